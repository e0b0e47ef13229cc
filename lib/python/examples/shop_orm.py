"""shop_orm.py - settings of Django that use the backend in shop_django."""

import os

import django
import mews
from django.conf import settings

fleet = mews.Fleet(os.environ["MEWS_CONF"])


def database(**options):
    # The fleet has the name of the database.
    return {"ENGINE": "shop_django", "NAME": None, "CONN_MAX_AGE": 60,
            "OPTIONS": {"fleet": fleet, **options}}


settings.configure(DATABASES={
    "default": database(role="primary"),
    "replica": database(role="standby", max_lag=10),
})
django.setup()

if __name__ == "__main__":
    from django.db import connections
    fleet.monitor()
    with connections["replica"].cursor() as cursor:
        cursor.execute("select inet_server_port(), pg_is_in_recovery()")
        print(*cursor.fetchone())
