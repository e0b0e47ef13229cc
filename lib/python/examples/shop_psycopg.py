"""shop_psycopg.py - psycopg, on a server that the fleet knows to be alive."""

import os

import mews
import psycopg

fleet = mews.Fleet(os.environ["MEWS_CONF"])


def connect(role, **more):
    """Connect to a server of that role; try another one if it fails."""
    for attempt in range(3):
        choice = fleet.choose(role, **more)
        try:
            connection = psycopg.connect(choice.conninfo, connect_timeout=3)
        except psycopg.OperationalError as error:
            if not fleet.report(choice, error) or attempt == 2:
                raise
        else:
            fleet.report(choice)
            return connection


if __name__ == "__main__":
    fleet.monitor()
    with connect("standby", max_lag=10) as connection:
        row = connection.execute("select pg_is_in_recovery()").fetchone()
        print(connection.info.port, row[0])
