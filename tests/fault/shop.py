# The application of tests/fault/python, for each server and pool.
#
# GET /read reads a row; POST /write?N inserts N, and its answer is 200 only if
# that is committed. Both tell the process that answered.

import json
import os
import random

READ = "select randomnumber from world where id = "
WRITE = "insert into kept values "


def start(start_response, status, text):
	start_response(status, [("Content-Type", "text/plain"),
	    ("Content-Length", str(len(text))), ("X-Pid", str(os.getpid()))])
	return [text]


def wsgi(read, write):
	def application(environ, start_response):
		try:
			if environ["PATH_INFO"] == "/write":
				write(int(environ["QUERY_STRING"]))
			else:
				read(random.randint(1, 10000))
		except Exception as error:
			return start(start_response, "503 Unavailable",
			    f"{type(error).__name__}: {error}\n".encode())
		return start(start_response, "200 OK", b"done\n")
	return application


def wsgi_of(pool_of):
	def write(number):
		with pool_of().transaction("write") as t:
			t.execute(WRITE + "($1)", number)
	return wsgi(lambda id: pool_of().query("read", READ + "$1", id), write)


def make_fleet():
	import mews
	return mews.Fleet(os.environ["MEWS_CONF"])


def make_forked():
	global fleet
	fleet = make_fleet()
	return wsgi_of(fleet.pool)


def make_attached():
	"""Each worker attaches to the fleet of `mews monitor`."""
	import mews
	return wsgi_of(mews.Fleet(os.environ["MEWS_CONF"], attach=True).pool)


def make_run():
	import mews
	return wsgi_of(mews.pool)


def make_asgi():
	fleet = make_fleet()
	fleet.monitor()

	async def serve(scope):
		pool = fleet.async_pool()
		if scope["path"] != "/write":
			await pool.query("read", READ + "$1",
			    random.randint(1, 10000))
			return
		async with pool.transaction("write") as t:
			await t.execute(WRITE + "($1)", int(scope["query_string"]))

	async def application(scope, receive, send):
		if scope["type"] != "http":
			raise ValueError("only http is served")
		status, text = 200, b"done\n"
		try:
			await serve(scope)
		except Exception as error:
			status = 503
			text = f"{type(error).__name__}: {error}\n".encode()
		await send({"type": "http.response.start", "status": status,
		    "headers": [(b"content-length", str(len(text)).encode()),
			(b"x-pid", str(os.getpid()).encode())]})
		await send({"type": "http.response.body", "body": text})
	return application


def make_psycopg():
	"""Pools as psycopg_pool's manual has them, in each process; libpq
	finds out which server to connect to."""
	from psycopg_pool import ConnectionPool
	pools = {}

	def pool(kind):
		if kind not in pools:
			pools[kind] = ConnectionPool(json.loads(
			    os.environ["PSYCOPG_DSN"])[kind], min_size=1,
			    max_size=4, timeout=10)
		return pools[kind]

	def read(id):
		with pool("read").connection() as connection:
			connection.execute(READ + "%s", (id,)).fetchone()

	def write(number):
		with pool("write").connection() as connection:
			connection.execute(WRITE + "(%s)", (number,))
	return wsgi(read, write)


def __getattr__(name):
	if "make_" + name not in globals():
		raise AttributeError(name)
	globals()[name] = globals()["make_" + name]()
	return globals()[name]
