# The applications of serve: /db, a row by its key as JSON, in each way that
# serve compares. Modules are imported for the name that is asked for only.

import json
import os
import random

DSN = os.environ["MEWS_A"]
SQL = "select id, randomnumber from world where id = "


def reply(start_response, id, number):
	start_response("200 OK", [("Content-Type", "application/json")])
	return [json.dumps({"id": id, "randomNumber": number}).encode()]


def key():
	return random.randint(1, 10000)


def wsgi_of(pool_of):
	sql = SQL + "$1"

	def application(environ, start_response):
		row, = pool_of().query("read", sql, key())
		return reply(start_response, *row)
	return application


async def send_row(send, id, number):
	await send({"type": "http.response.start", "status": 200,
	    "headers": [(b"content-type", b"application/json")]})
	await send({"type": "http.response.body",
	    "body": json.dumps({"id": id, "randomNumber": number}).encode()})


def make_fleet():
	import mews
	return mews.Fleet({"endpoints": {"a": DSN}, "workers": 8,
	    "groups": {"read": {}}})


def make_mews_wsgi():
	return wsgi_of(make_fleet().pool)


def make_run_wsgi():
	import mews
	return wsgi_of(mews.pool)


def make_run_webapp():
	import mews
	pool = mews.pool()

	class WebApp:
		def invoke(self, payload):
			id, number = pool.query("read", SQL + "$1", key())[0]
			return {"id": id, "randomNumber": number}
	return WebApp


def make_psycopg_wsgi():
	import psycopg_pool
	pools = {}

	def application(environ, start_response):
		pid = os.getpid()
		if pid not in pools:
			pools[pid] = psycopg_pool.ConnectionPool(DSN,
			    min_size=1, max_size=4)
		with pools[pid].connection() as connection:
			row = connection.execute(SQL + "%s",
			    (key(),)).fetchone()
		return reply(start_response, *row)
	return application


def make_mews_asgi():
	fleet = make_fleet()

	async def application(scope, receive, send):
		row, = await fleet.async_pool().query("read", SQL + "$1",
		    key())
		await send_row(send, *row)
	return application


def make_asyncpg_asgi():
	import asyncpg
	names = {"dbname": "database"}
	where = {names.get(name, name): value for name, value in
	    (word.split("=", 1) for word in DSN.split())}
	pool = None

	async def application(scope, receive, send):
		nonlocal pool
		if pool is None:
			pool = await asyncpg.create_pool(**where, min_size=4,
			    max_size=4)
		await send_row(send, *await pool.fetchrow(SQL + "$1", key()))
	return application


def __getattr__(name):
	maker = globals().get("make_" + name)
	if maker is None:
		raise AttributeError(name)
	globals()[name] = made = maker()
	return made
