# One fleet in many processes: forks, multiprocessing, threads, the monitor.

import multiprocessing
import os
import signal
import subprocess
import sys
import threading

import mews
import pytest
from conftest import PATIENCE, settings, until


def in_child(function):
	"""Call @function in a forked child; True if the child returned a true
	value."""
	pid = os.fork()
	if pid == 0:
		try:
			os._exit(0 if function() else 1)
		except BaseException as error:
			print(repr(error), file=sys.stderr)
			os._exit(2)
	return pid, lambda: os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def backend(pool):
	return pool.query("write", "select pg_backend_pid()")[0][0]


def test_a_child_has_connections_of_its_own(fleet, pool):
	parent = backend(pool)
	pid, end = in_child(lambda: backend(pool) != parent)
	assert end() == 0 and fleet.reap(pid) and not fleet.reap(pid)
	assert backend(pool) == parent


def test_a_child_forgets_its_parents_leases(fleet, pool):
	with pool.transaction("write") as t:
		mine = t.query("select pg_backend_pid()")[0][0]

		def work():
			try:
				t.query("select 1")
			except mews.Unavailable:
				return backend(pool) != mine
		pid, end = in_child(work)
		assert end() == 0 and fleet.reap(pid)
		assert t.query("select pg_backend_pid()")[0][0] == mine


def test_a_fleet_may_be_made_before_any_use():
	with mews.Fleet(settings()) as fleet:
		pool = fleet.pool()
		children = [in_child(lambda: backend(pool)) for _ in range(3)]
		for pid, end in children:
			assert end() == 0 and fleet.reap(pid)


def test_a_slot_for_each_worker_and_no_more():
	with mews.Fleet(settings(workers=1)) as fleet:
		fleet.pool().query("read", "select 1")

		def work():
			try:
				fleet.pool().query("read", "select 1")
			except mews.Invalid as error:
				return "slots" in error.message
		_, end = in_child(work)
		assert end() == 0


def test_slots_of_the_dead_are_given_back_before_a_fork():
	with mews.Fleet(settings(workers=2)) as fleet:
		def work():
			fleet.pool().query("read", "select 1")
			os.kill(os.getpid(), signal.SIGKILL)
		for _ in range(6):
			_, end = in_child(work)
			assert end() == -signal.SIGKILL
		assert fleet.reap() == 1 and fleet.reap() == 0
		assert fleet.pool().query("read", "select 1::int") == [(1,)]
		assert fleet.reap() == 0


def test_a_thread_that_ends_closes_its_connections(fleet, pool):
	found = []

	def work():
		found.append(backend(fleet.pool()))
	thread = threading.Thread(target=work)
	thread.start()
	thread.join()
	until(lambda: not pool.query("write", "select 1 from "
	    "pg_stat_activity where pid = $1", found[0]),
	    "the end of the thread's session")


LEFT_OPEN = """
import asyncio, os, threading, mews
fleet = mews.Fleet({"endpoints": {"a": os.environ["MEWS_A"]},
    "groups": {"read": {}}})
fleet.monitor()
pool = fleet.pool()
lease = pool.lease("read")
rows = lease.rows("select generate_series(1, 100000)")
next(rows)
listener = pool.listen("x")
async def work():
    left = fleet.async_pool()
    await left.query("read", "select 1")
    left.query("read", "select pg_sleep(10)")
asyncio.run(work())
def wait():
    mine = fleet.pool()
    mine.query("read", "select 1")
    ready.set()
    mine.query("read", "select pg_sleep(10)")
ready = threading.Event()
threading.Thread(target=wait, daemon=True).start()
ready.wait()
print("end")
"""


def test_a_program_that_leaves_everything_open_ends_well():
	done = subprocess.run([sys.executable, "-c", LEFT_OPEN],
	    capture_output=True, text=True, timeout=PATIENCE)
	assert (done.stdout, done.returncode) == ("end\n", 0), done.stderr
	assert "Fatal" not in done.stderr and "Traceback" not in done.stderr


def test_multiprocessing_by_fork(fleet):
	context = multiprocessing.get_context("fork")
	queue = context.SimpleQueue()

	def work():
		queue.put(fleet.pool().query("read", "select 7::int as x")[0])

	process = context.Process(target=work)
	process.start()
	assert queue.get().x == 7
	process.join()
	assert process.exitcode == 0 and fleet.reap(process.pid)


@pytest.mark.parametrize("method, own", [("forkserver", False),
    ("spawn", True)])
def test_multiprocessing_without_a_fork_of_ours(method, own, monkeypatch):
	here = os.path.dirname(__file__)
	monkeypatch.setenv("PYTHONPATH", here + os.pathsep +
	    os.environ.get("PYTHONPATH", ""))
	code = """
import multiprocessing, sys
if __name__ == "__main__":
    context = multiprocessing.get_context(sys.argv[1])
    if sys.argv[1] == "forkserver":
        context.set_forkserver_preload(["shared_fleet"])
    from run_shared import run
    queue = context.SimpleQueue()
    processes = [context.Process(target=run, args=(queue,))
        for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        print(queue.get())
        process.join()
"""
	done = subprocess.run([sys.executable, "-c", code, method],
	    capture_output=True, text=True, timeout=PATIENCE)
	assert done.stdout == f"({own}, Row(x=7))\n" * 2, done.stderr


def test_a_fleet_is_not_pickled(fleet):
	with pytest.raises(TypeError, match="before the fork"):
		multiprocessing.reduction.ForkingPickler.dumps(fleet)


def test_the_monitor_ends_with_its_fleet():
	fleet = mews.Fleet(settings())
	pid = fleet.monitor()
	# A child does not keep the monitor alive.
	child, end = in_child(lambda: signal.pause() is None)
	assert fleet.pool().query("read", "select 1::int") == [(1,)]
	with pytest.raises(RuntimeError):
		fleet.monitor()
	os.kill(pid, signal.SIGKILL)
	os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
	pid = fleet.monitor()
	fleet.close()
	with pytest.raises(ProcessLookupError):
		os.kill(pid, 0)
	with pytest.raises(mews.Invalid, match="closed"):
		fleet.monitor()
	os.kill(child, signal.SIGKILL)
	end()


def test_the_monitor_ends_with_its_host(tmp_path):
	path = tmp_path / "pid"

	def work():
		path.write_text(str(mews.Fleet(settings()).monitor()))
		os.kill(os.getpid(), signal.SIGKILL)
	_, end = in_child(work)
	assert end() == -signal.SIGKILL
	pid = int(path.read_text())

	def gone():
		try:
			with open(f"/proc/{pid}/stat") as file:
				return file.read().split(")")[1].split()[0] == "Z"
		except FileNotFoundError:
			return True
	until(gone, "the end of the monitor")


def test_the_status_of_a_fleet():
	with mews.Fleet(settings()) as fleet:
		fleet.monitor()
		fleet.pool().query("read", "select 1")

		def known():
			fleet.pool().attend()
			status = fleet.status()
			return status["monitor"] and all(e["state"] == "up" and
			    e["lag"] is not None for e in status["endpoints"])
		until(known, "what the monitor finds out")
		status = fleet.status()
		assert [(e["name"], e["role"]) for e in status["endpoints"]] == [
		    ("a", "primary"), ("b", "standby"), ("c", "standby")]
		assert [w["pid"] for w in status["workers"]] == [os.getpid()]
		assert status["slots"] == 8 and status["uptime"] >= 0


def test_a_drained_endpoint_gets_no_work():
	with mews.Fleet(settings()) as fleet:
		query = fleet.pool().query
		for name in "bc":
			fleet.drain(name)
		until(lambda: all(query("read", "select 1").endpoint == "a"
		    for _ in range(20)), "the end of the others")
		fleet.drain("b", False)
		until(lambda: query("read", "select 1").endpoint == "b",
		    "its return")
		with pytest.raises(mews.Invalid):
			fleet.drain("none")


def test_a_log_hears_of_events():
	lines = []
	endpoints = {"a": "host=127.0.0.1 port=1"}
	with mews.Fleet(settings(endpoints=endpoints),
	    log=lambda *line: lines.append(line)) as fleet:
		with pytest.raises(mews.Error):
			fleet.pool().query("read", "select 1", wait=0.5)
	assert any(event == "endpoint" and "to=down" in text
	    for _, event, text in lines)


def ask(pool, sql):
	return pool.query("write", sql)


def stream(pool, sql):
	with pool.lease("write") as lease:
		return list(lease.rows(sql))


def script(pool, sql):
	with pool.lease("write") as lease:
		return lease.script(sql)[0]


# A complete answer belongs to the child, too; all that still goes on on a
# connection belongs to the parent.
@pytest.mark.parametrize("way, given", [(ask, True), (stream, False),
    (script, False)])
def test_a_decoder_may_fork(fleet, pool, way, given):
	parent = os.getpid()
	children = []

	def decode(text):
		if not children:
			children.append(os.fork())
			# In the decoder already, the child has a pool of its
			# own.
			if children == [0]:
				assert pool.query("write", "select 1::int") == [(1,)]
		return text
	mews.register_type(829, decode)
	try:
		before = backend(pool)
		try:
			rows = way(pool, "select '00:00:00:00:00:01'::macaddr")
		except mews.Error:
			rows = None
		right = (rows == [("00:00:00:00:00:01",)]) == (
		    given or os.getpid() == parent)
		mine = backend(pool)
	finally:
		if os.getpid() != parent:
			os._exit(0 if right and mine != before else 1)
		mews.register_type(829, str)
	pid, = children
	assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
	assert fleet.reap(pid) and right
	assert pool.query("write", "select 1 from pg_stat_activity "
	    "where pid = $1", before)
	assert [backend(pool) for _ in range(20)]
