"""shop.py - an application in Python: each request runs queries.

    mews run -c shop.conf, with

    python { module = "shop:application" }

GET /        the time of some server that may read
GET /stock   what is there
POST /sell?id=1  one less of it, in a transaction
"""

from urllib.parse import parse_qs

import mews

pool = mews.pool()


def stock():
    return "".join(f"{row.id}\t{row.left}\n" for row in pool.query(
        "read", "select id, left_over as left from stock order by id"))


def sell(number):
    with pool.transaction("write") as t:
        rows = t.query("update stock set left_over = left_over - 1 "
                       "where id = $1 and left_over > 0 "
                       "returning left_over", number)
        return "sold\n" if rows else "sold out\n"


def application(environ, start_response):
    method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"]
    if (method, path) == ("GET", "/"):
        text = f"{pool.query('read', 'select now()')[0][0]}\n"
    elif (method, path) == ("GET", "/stock"):
        text = stock()
    elif (method, path) == ("POST", "/sell"):
        text = sell(int(parse_qs(environ["QUERY_STRING"])["id"][0]))
    else:
        start_response("404 Not Found", [("Content-Type", "text/plain")])
        return [b"there is nothing here\n"]
    start_response("200 OK", [("Content-Type", "text/plain; charset=utf-8")])
    return [text.encode()]
