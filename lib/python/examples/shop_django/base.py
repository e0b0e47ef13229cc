"""A database backend for Django: DATABASES[..]["ENGINE"] = "shop_django".

"OPTIONS": {"fleet": fleet, "role": "standby", "max_lag": 10}
"""

from django.db.backends.postgresql import base
from django.db.utils import OperationalError


class DatabaseWrapper(base.DatabaseWrapper):
    def get_connection_params(self):
        parameters = super().get_connection_params()
        parameters.pop("database", None)  # the name of dbname in Django 3
        self.fleet = parameters.pop("fleet")
        self.choice = self.fleet.choose(parameters.pop("role", "primary"),
                                        max_lag=parameters.pop("max_lag",
                                                               None))
        return {"connect_timeout": 3, **parameters, **self.choice.parameters}

    def connect(self):
        try:
            super().connect()
        except OperationalError as error:
            self.fleet.report(self.choice, error)
            raise
        self.fleet.report(self.choice)
