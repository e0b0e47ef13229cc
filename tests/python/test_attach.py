# Processes that attach to a fleet that no parent of theirs made.

import contextlib
import os
import pwd
import signal
import subprocess
import sys
import threading

import mews
import pytest
from conftest import plain, settings, until

CONF = """
instance = "attach"
runtime_dir = "%s"
user = %s
app = "/nowhere/app.so"
%s
group "read" { query_timeout = 60s acquire_timeout = 30s }
group "write" { role = primary query_timeout = 60s acquire_timeout = 30s }
"""


@pytest.fixture
def conf(tmp_path):
	"""The path of a configuration, which names a runtime directory."""
	endpoints = "\n".join('endpoint "%s" { conninfo = "%s" }' %
	    (name, os.environ["MEWS_" + name.upper()]) for name in "abc")
	path = tmp_path / "mews.conf"
	path.write_text(CONF % (tmp_path / "run",
	    pwd.getpwuid(os.getuid()).pw_name, endpoints))
	return path


@contextlib.contextmanager
def a_service(conf):
	"""`mews monitor`, which runs until the test has ended."""
	with subprocess.Popen([os.environ["MEWS_COMMAND"], "monitor", "-c", conf],
	    stderr=subprocess.PIPE, text=True, env=plain()) as service:
		for line in service.stderr:
			if "event=ready" in line:
				break
		drain = threading.Thread(target=service.stderr.read)
		drain.start()
		try:
			yield service
		finally:
			service.terminate()
			drain.join()


def pids(fleet):
	return [worker["pid"] for worker in fleet.status()["workers"]]


def test_attaching_without_a_fleet_is_unavailable(conf):
	with pytest.raises(mews.Unavailable, match="no fleet runs"):
		mews.Fleet(conf, attach=True)


def test_a_process_attaches_by_the_configuration(conf):
	with a_service(conf), mews.Fleet(conf, attach=True) as fleet:
		assert fleet.pool().query("read", "select 1 as one")[0].one == 1
		assert pids(fleet) == [os.getpid()]


def test_a_conflict_is_refused_by_name(tmp_path):
	file = tmp_path / "segment"
	other = settings()
	other["groups"]["read"]["role"] = "primary"
	with mews.Fleet(settings(), runtime_file=file):
		with pytest.raises(mews.Invalid,
		    match="group.read.role: it is primary here, and any in"):
			mews.Fleet(other, runtime_file=file, attach=True)


GUEST = """
import sys, mews
fleet = mews.Fleet(sys.argv[1], attach=True)
fleet.pool().execute("write", "select 1")
print("joined", flush=True)
sys.stdin.read()
"""


def test_the_slot_of_a_process_that_is_killed_is_given_back(conf):
	with a_service(conf), mews.Fleet(conf, attach=True) as fleet:
		fleet.pool().query("read", "select 1")
		with subprocess.Popen([sys.executable, "-c", GUEST, conf],
		    stdin=subprocess.PIPE, stdout=subprocess.PIPE) as guest:
			assert guest.stdout.readline() == b"joined\n"
			assert guest.pid in pids(fleet)
			guest.send_signal(signal.SIGKILL)
		until(lambda: guest.pid not in pids(fleet))


def test_one_process_learns_what_another_found(conf):
	with a_service(conf), mews.Fleet(conf, attach=True) as one, \
	    mews.Fleet(conf, attach=True) as other:
		one.drain("b")
		until(lambda: any(e["drained"] for e in
		    other.status()["endpoints"]))


def test_a_child_of_an_attached_process_joins(conf):
	with a_service(conf), mews.Fleet(conf, attach=True) as fleet:
		fleet.pool().query("read", "select 1")
		pid = os.fork()
		if pid == 0:
			fleet.pool().query("read", "select 1")
			os._exit(0 if len(pids(fleet)) == 2 else 1)
		assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
		until(lambda: pids(fleet) == [os.getpid()])


def test_a_process_joins_the_next_fleet_by_itself(conf):
	events = []
	with a_service(conf):
		fleet = mews.Fleet(conf, attach=True,
		    log=lambda level, event, text: events.append(event))
		pool = fleet.pool()
		assert pool.query("read", "select 1")
	# Alone, the pool goes on as before.
	until(lambda: pool.query("read", "select 1") and
	    "fleet_ended" in events)
	with a_service(conf), fleet:
		lease = pool.lease("write")
		until(lambda: pool.query("read", "select 1") and
		    "fleet_replaced" in events)
		# A pool with something under way stays with the former fleet.
		assert pids(fleet) == [os.getpid()] or not pids(fleet)
		lease.query("select 1")
		lease.end()
		until(lambda: pool.query("read", "select 1") and
		    pids(fleet) == [os.getpid()] and
		    fleet.status()["monitor"])
