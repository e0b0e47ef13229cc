"""shop_async.py - an ASGI application for uvicorn: uvicorn shop_async:application

Hundreds of requests at a time share few connections, and their queries of one
turn of the loop are sent together. uvicorn --workers makes its processes anew, so
that each has a fleet of its own; or, where MEWS_ATTACH is set, it attaches to
that of `mews monitor -c $MEWS_CONF`.
"""

import os

import mews

fleet = mews.Fleet(os.environ["MEWS_CONF"],
                   attach="MEWS_ATTACH" in os.environ)


async def application(scope, receive, send):
    if scope["type"] != "http":
        raise ValueError("only http is served")
    row, = await fleet.async_pool().query("read", "select now() as time")
    await send({"type": "http.response.start", "status": 200,
                "headers": [(b"content-type", b"text/plain")]})
    await send({"type": "http.response.body",
                "body": f"{os.getpid()} {row.time}\n".encode()})
