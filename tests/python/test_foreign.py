# A server for another driver: choosing, reporting, and the examples.

import os
import pathlib
import subprocess
import sys

import mews
import pytest

from conftest import PATIENCE, settings, until
from mews.settings import text

EXAMPLES = pathlib.Path(__file__).parents[2] / "lib" / "python" / "examples"


def state(fleet, name):
	return next(e["state"] for e in fleet.status()["endpoints"]
	    if e["name"] == name)


@pytest.fixture
def probed():
	"""A fleet with a monitor that has seen every server."""
	with mews.Fleet(settings()) as fleet:
		fleet.monitor()
		until(lambda: all(e["state"] == "up" and e["role"] != "unknown"
		    for e in fleet.status()["endpoints"]), "servers")
		yield fleet


def test_no_server_is_chosen_before_a_probe():
	with mews.Fleet(settings()) as fleet:
		with pytest.raises(mews.Unavailable) as caught:
			fleet.choose(wait=0)
		assert "a=unknown" in caught.value.message
		assert caught.value.may_resend


def test_a_choice_is_of_the_role(probed):
	primary = probed.choose("primary", wait=PATIENCE)
	assert primary.role == "primary" and primary.endpoint == "a"
	standbys = [probed.choose("standby", max_lag=3600) for _ in range(100)]
	for name in "bc":
		assert 48 <= [c.endpoint for c in standbys].count(name) <= 52
	assert standbys[0].parameters.items() >= {
	    "port": standbys[0].parameters["port"]}.items()
	assert all(f"{key}='" in primary.conninfo
	    for key in primary.parameters)


def test_an_unknown_role_is_refused(probed):
	with pytest.raises(mews.Invalid):
		probed.choose("master")
	with pytest.raises(mews.Invalid):
		probed.report("nobody")


class OperationalError(Exception):
	"""An exception as drivers have it."""


def test_a_failure_is_evidence_and_no_more():
	# There is no monitor, so no probe decides meanwhile.
	with mews.Fleet(settings()) as fleet:
		assert fleet.report("b")
		assert state(fleet, "b") == "up"
		for error in (ValueError("no"), mews.Invalid("no")):
			assert not fleet.report("b", error)
		slow = OperationalError("canceling statement")
		slow.pgcode = "57014"
		assert not fleet.report("b", slow)
		assert state(fleet, "b") == "up"
		assert fleet.report("b", OperationalError("timeout expired"))
		assert state(fleet, "b") == "suspect"
		fleet.report("b", ConnectionResetError())
		assert state(fleet, "b") == "suspect"


def test_an_error_inside_another_is_found():
	inner = OperationalError("the server goes")
	inner.sqlstate = "57P01"
	outer = RuntimeError("no connection")
	outer.__cause__ = inner
	assert mews.foreign.is_evidence(outer)
	wrapped = Exception("(psycopg2.errors.QueryCanceled)")
	wrapped.orig = OperationalError("slow")
	wrapped.orig.pgcode = "57014"
	assert not mews.foreign.is_evidence(wrapped)
	circle = ValueError()
	circle.__cause__ = circle
	assert not mews.foreign.is_evidence(circle)


def test_a_closed_fleet_refuses():
	fleet = mews.Fleet(settings())
	fleet.close()
	with pytest.raises(mews.Invalid):
		fleet.choose(wait=0)
	with pytest.raises(mews.Invalid):
		fleet.report("a")


@pytest.mark.parametrize("example, needs", [
	("shop_psycopg", "psycopg"), ("shop_sqlalchemy", "sqlalchemy"),
	("shop_orm", "django")])
def test_the_examples_find_a_standby(example, needs, tmp_path):
	pytest.importorskip(needs)
	(tmp_path / "mews.conf").write_text(text(settings()))
	result = subprocess.run([sys.executable, f"{example}.py"],
	    cwd=EXAMPLES, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
	    timeout=4 * PATIENCE, text=True, env={**os.environ,
		"MEWS_CONF": str(tmp_path / "mews.conf")})
	assert result.returncode == 0, result.stdout
	assert result.stdout.split()[-1] == "True", result.stdout
