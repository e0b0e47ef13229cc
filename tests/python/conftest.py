# Fixtures of the tests of import mews: a fleet of the three servers.

import contextlib
import os
import time

import mews
import pytest

PATIENCE = 45  # seconds until a wait was in vain


def settings(**more):
	result = {
		"workers": 8,
		"endpoints": {name: os.environ["MEWS_" + name.upper()]
		    for name in "abc"},
		"groups": {
			"read": {"query_timeout": "60s",
			    "acquire_timeout": "30s"},
			"write": {"role": "primary", "query_timeout": "60s",
			    "acquire_timeout": "30s"},
		},
	}
	result.update(more)
	return result


def plain():
	"""The environment for other programs, without the runtime of a
	sanitizer that Python's interpreter is started with."""
	return {key: value for key, value in os.environ.items()
	    if key != "LD_PRELOAD"}


def until(condition, what="the condition"):
	"""Return the result of condition() as soon as that is true."""
	end = time.monotonic() + PATIENCE
	while not (result := condition()):
		assert time.monotonic() < end, f"in vain: {what}"
		time.sleep(0.01)
	return result


@pytest.fixture(scope="session")
def fleet():
	with mews.Fleet(settings()) as fleet:
		yield fleet


@pytest.fixture
def pool(fleet):
	return fleet.pool()


@contextlib.contextmanager
def a_table(pool):
	"""The name of an empty table (id int primary key, name text)."""
	pool.execute("write", "drop table if exists python_test")
	pool.execute("write", "create table python_test "
	    "(id int primary key, name text)")
	yield "python_test"
	pool.execute("write", "drop table python_test")


@pytest.fixture
def table(pool):
	with a_table(pool) as name:
		yield name
