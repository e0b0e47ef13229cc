"""A database backend for Django: DATABASES[..]["ENGINE"] = "shop_django".

"OPTIONS": {"fleet": fleet, "role": "standby", "max_lag": 10}
"""

from django.db.backends.postgresql import base
from django.db.utils import OperationalError


class DatabaseWrapper(base.DatabaseWrapper):
    def get_connection_params(self):
        options = {**self.settings_dict["OPTIONS"]}
        self.fleet = options.pop("fleet")
        self.choice = self.fleet.choose(options.pop("role", "primary"),
                                        max_lag=options.pop("max_lag", None))
        return {"connect_timeout": 3, **self.choice.parameters, **options}

    def connect(self):
        try:
            super().connect()
        except OperationalError as error:
            self.fleet.report(self.choice, error)
            raise
        self.fleet.report(self.choice)
