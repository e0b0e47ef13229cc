# The examples' applications, with one request more: /slow reports that it has
# begun, and takes a while.

import os

import shop
import shop_async


def begin():
	open(os.environ["MEWS_BEGUN"], "w").close()


def application(environ, start_response):
	if environ["PATH_INFO"] == "/slow":
		begin()
		shop.fleet.pool().query("read", "select pg_sleep(1.5)")
	return shop.application(environ, start_response)


async def asynchronous(scope, receive, send):
	if scope.get("path") == "/slow":
		begin()
		await shop_async.fleet.async_pool().query("read",
		    "select pg_sleep(1.5)")
	await shop_async.application(scope, receive, send)
