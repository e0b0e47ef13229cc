"""shop.py - an application in Python: each request runs queries.

config/quickstart --python serves it; so does mews run -c shop.conf, with

    python { module = "shop:application" }

and shop.sql in the database.

GET /            the time of some server that may read
GET /stock       what is there
POST /sell?id=1  one less of it, in a transaction
"""

from urllib.parse import parse_qs

import mews

pool = mews.pool()


def stock():
    return "".join(f"{row.id}\t{row.name}\t{row.left}\n" for row in pool.query(
        "read", "select id, name, left_over as left from stock order by id"))


def sell(number):
    with pool.transaction("write") as t:
        rows = t.query("update stock set left_over = left_over - 1 "
                       "where id = $1 and left_over > 0 "
                       "returning left_over", number)
    return f"sold, {rows[0].left_over} left\n" if rows else "sold out\n"


def answer(method, path, query):
    if (method, path) == ("GET", "/"):
        return "200 OK", f"{pool.query('read', 'select now()')[0][0]}\n"
    if (method, path) == ("GET", "/stock"):
        return "200 OK", stock()
    if (method, path) == ("POST", "/sell"):
        number = parse_qs(query).get("id", [""])[0]
        if number.isdecimal() and len(number) < 10:
            return "200 OK", sell(int(number))
        return "400 Bad Request", "sell?id=NUMBER\n"
    return "404 Not Found", "there is nothing here\n"


def application(environ, start_response):
    status, text = answer(environ["REQUEST_METHOD"], environ["PATH_INFO"],
                          environ["QUERY_STRING"])
    start_response(status, [("Content-Type", "text/plain; charset=utf-8")])
    return [text.encode()]
