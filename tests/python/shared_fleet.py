# A module that makes a fleet, as a server's application does: whoever imports
# it has one, and a fork of that process shares it.

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
