# The application of test_worker.py: WSGI, plain and validated, and a WebApp.

import os
import sys
import threading
import time
from wsgiref.validate import validator

import mews

pool = mews.pool()
beats = [0]


def beat():
	while True:
		time.sleep(0.01)
		beats[0] += 1


threading.Thread(target=beat, daemon=True).start()


class Body:
	"""An iterable that counts how often it was closed."""

	closed = 0

	def __init__(self, pieces):
		self.pieces = pieces

	def __iter__(self):
		yield from self.pieces

	def close(self):
		Body.closed += 1


def text(start_response, body, *headers):
	start_response("200 OK", [("Content-Type", "text/plain"), *headers])
	return [str(body).encode()]


def pieces(number):
	for i in range(number):
		yield b"%07d\n" % i * 8192


def explode():
	yield b"half\n"
	raise ValueError("in the middle")


def late(environ, start_response):
	start_response("200 OK", [("Content-Type", "text/plain")])
	yield b"late"


def naps(start_response):
	start_response("200 OK", [("Content-Type", "text/plain")])
	yield b"to come: "
	yield pool.query("read", "select pg_sleep(0.3), 'nap'")[0][1].encode()


def write(environ, start_response):
	give = start_response("200 OK", [("Content-Type", "text/plain")])
	give(b"one ")
	give(b"two ")
	return [b"three"]


def twice(environ, start_response):
	start_response("200 OK", [("Content-Type", "text/plain")])
	try:
		raise ValueError("better known now")
	except ValueError:
		start_response("500 Oops", [("Content-Type", "text/plain")],
		    sys.exc_info())
	return [b"replaced"]


def application(environ, start_response):
	path = environ["PATH_INFO"]
	if path == "/nap":
		with pool.lease("read") as lease:
			lease.query("select pg_sleep(0.3)")
		return text(start_response, "slept")
	if path == "/naps":
		return naps(start_response)
	if path == "/query":
		return text(start_response,
		    pool.query("read", "select 6 * 7")[0][0])
	if path == "/asleep":
		before = beats[0]
		pool.query("read", "select pg_sleep(0.5)")
		return text(start_response, beats[0] - before)
	if path == "/write":
		with pool.transaction("write") as t:
			return text(start_response,
			    t.query("select pg_is_in_recovery()")[0][0])
	if path == "/environ":
		return text(start_response, repr({key: value
		    for key, value in environ.items()
		    if isinstance(value, str)}))
	if path == "/length":
		body = environ["wsgi.input"].read()
		return text(start_response, f"{len(body)} {hash(body)}")
	if path == "/lines":
		return text(start_response, len(list(environ["wsgi.input"])))
	if path == "/boom":
		raise ValueError("a text of\ntwo lines")
	if path == "/exit":
		sys.exit(3)
	if path == "/nothing":
		return [b"no start_response()"]
	if path == "/middle":
		start_response("200 OK", [("Content-Type", "text/plain")])
		return explode()
	if path == "/pieces":
		start_response("200 OK", [("Content-Type", "text/plain")])
		return Body(pieces(int(environ["QUERY_STRING"])))
	if path == "/closed":
		return text(start_response, Body.closed)
	if path == "/known":
		start_response("200 OK", [("Content-Type", "text/plain"),
		    ("Content-Length", "10")])
		return Body([b"hello", b"", b"world"])
	if path == "/uncounted":
		start_response("200 OK", [("Content-Length", "many")])
		return [b"some", b"thing"]
	if path == "/empty":
		start_response("204 No Content", [])
		return []
	if path == "/head":
		start_response("200 OK", [("Content-Type", "text/plain"),
		    ("Content-Length", "1234")])
		return []
	if path == "/error":
		print("to the log", file=environ["wsgi.errors"])
		return text(start_response, "told")
	if path == "/beats":
		return text(start_response, beats[0])
	if path == "/pid":
		return text(start_response, os.getpid(), ("X-Pid", "yes"))
	if path == "/late":
		return late(environ, start_response)
	if path == "/give":
		return write(environ, start_response)
	if path == "/twice":
		return twice(environ, start_response)
	if path == "/hold":
		hold = environ["QUERY_STRING"]
		open(hold, "x").close()
		while not os.path.exists(hold + ".over"):
			time.sleep(0.01)
		return text(start_response, "held")
	if path == "/close":
		pool.close()
	raise AssertionError(path)


validated = validator(application)


class WebApp:
	def __init__(self):
		self.count = 0

	def invoke(self, payload):
		self.count += 1
		if payload == "text":
			return "some text"
		if payload == "bytes":
			return b"\xff\x00"
		if payload == "nap":
			return str(pool.query("read", "select pg_sleep(0.3)"))
		if payload == "boom":
			raise ValueError("webapp")
		return {"payload": repr(payload), "count": self.count,
		    "read": pool.query("read", "select 1")[0][0]}
