"""shop_sqlalchemy.py - an engine that connects where the fleet says."""

import os

import mews
import psycopg2
import sqlalchemy

fleet = mews.Fleet(os.environ["MEWS_CONF"])


def engine(role, **more):
    def connect():
        choice = fleet.choose(role, **more)
        try:
            connection = psycopg2.connect(choice.conninfo, connect_timeout=3)
        except psycopg2.OperationalError as error:
            fleet.report(choice, error)
            raise
        fleet.report(choice)
        return connection
    # Recycle connections, as their server may have lost its role.
    return sqlalchemy.create_engine("postgresql+psycopg2://", creator=connect,
                                    pool_pre_ping=True, pool_recycle=60)


if __name__ == "__main__":
    fleet.monitor()
    with engine("standby", max_lag=10).connect() as connection:
        row = connection.execute(sqlalchemy.text(
            "select inet_server_port(), pg_is_in_recovery()")).one()
        print(*row)
