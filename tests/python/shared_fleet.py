# A module that makes a fleet, as a server's application does: a process that
# imports it has a fleet, and its forks share that.

import os

import mews
from conftest import settings

fleet = mews.Fleet(settings())


def work(queue):
	"""Put whether this process made the fleet, and the answer to a
	query."""
	try:
		row, = fleet.pool().query("read", "select 7::int as x")
		queue.put((fleet._creator == os.getpid(), row))
	except BaseException as error:
		queue.put(repr(error))
