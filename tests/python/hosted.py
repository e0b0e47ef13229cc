# The application of test_hosts.py. With MEWS_WARM the pool is used where it is
# imported, so that a fork may copy it in use.

import os

import mews

fleet = mews.Fleet(os.environ["MEWS_CONF"])
pool = fleet.pool()
if "MEWS_WARM" in os.environ:
	pool.query("write", "select 1")


class WebApp:
	def invoke(self, payload):
		if payload == "boom":
			raise ValueError(payload)
		with pool.transaction("write") as t:
			backend, = t.query("select pg_backend_pid()")[0]
		return f"{os.getpid()} {backend}"
