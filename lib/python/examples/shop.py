"""shop.py - a WSGI application for gunicorn and uWSGI.

The fleet is made where the module is imported. With --preload that is before
the fork: all workers share what any of them learned of the servers. Without, or
with lazy-apps, each worker has a fleet of its own; or, where MEWS_ATTACH is set,
it attaches to that of `mews monitor -c $MEWS_CONF`.
"""

import os

import mews

fleet = mews.Fleet(os.environ["MEWS_CONF"],
                   attach="MEWS_ATTACH" in os.environ)


def application(environ, start_response):
    row, = fleet.pool().query("read", "select now() as time")
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [f"{os.getpid()} {row.time}\n".encode()]
