# A server in C that embeds the interpreter; see host.c.

import contextlib
import os
import signal
import socket
import subprocess
import sys

import pytest

from conftest import PATIENCE, plain, settings, until
from mews.settings import text

HERE = os.path.dirname(os.path.abspath(__file__))


class Host:
	def __init__(self, requests, log):
		self.requests, self.log = requests, log

	def send(self, payload):
		self.requests.send(payload.encode())

	def answer(self):
		return self.requests.recv(65536).decode()

	def ask_all(self, number):
		"""(worker, backend) for each of so many requests at once."""
		for _ in range(number):
			self.send("ask")
		return {tuple(map(int, self.answer().split()))
		    for _ in range(number)}


@pytest.fixture(params=["after", "hooks", "hooks warm", "bare",
    "bare warm"])
def host(request, tmp_path):
	kind, _, warm = request.param.partition(" ")
	(tmp_path / "mews.conf").write_text(text(settings()))
	environment = plain()
	environment.update(PYTHONPATH=HERE + os.pathsep +
	    os.environ.get("PYTHONPATH", ""),
	    MEWS_CONF=str(tmp_path / "mews.conf"))
	if warm:
		environment["MEWS_WARM"] = "1"
	ours, theirs = socket.socketpair(socket.AF_UNIX,
	    socket.SOCK_SEQPACKET)
	ours.settimeout(PATIENCE)
	log = tmp_path / "log"
	with open(log, "w") as file:
		process = subprocess.Popen([os.environ["MEWS_PYTHON_HOST"], kind,
		    "hosted", "3"], stdin=theirs, stderr=file, env=environment,
		    start_new_session=True)
	theirs.close()
	try:
		yield Host(ours, log)
		ours.close()
		assert process.wait(PATIENCE) == 0, open(log).read()
	finally:
		with contextlib.suppress(ProcessLookupError):
			os.killpg(process.pid, signal.SIGKILL)
		process.wait()


def gone(pid):
	try:
		os.kill(pid, 0)
	except ProcessLookupError:
		return True


def test_each_worker_has_connections_of_its_own(host):
	seen = set()

	def all_served():
		seen.update(host.ask_all(12))
		return len({worker for worker, _ in seen}) == 3
	until(all_served, "an answer of each worker")
	assert len({backend for _, backend in seen}) >= 3


def test_an_exception_is_the_hosts_to_see(host):
	host.send("boom")
	assert host.answer() == "failed"
	assert "ValueError: boom" in open(host.log).read()
	assert host.ask_all(1)


def test_a_killed_worker_is_replaced(host):
	for _ in range(3):
		victim, _ = host.ask_all(1).pop()
		os.kill(victim, signal.SIGKILL)
		until(lambda: gone(victim), "its end")  # it may take a request until then
	seen = set()

	def new_one():
		seen.update(worker for worker, _ in host.ask_all(6))
		return len(seen) >= 3
	until(new_one, "answers of other workers")


def test_another_interpreter_is_refused():
	"""Another interpreter has other classes: mews.Error would not be the
	one raised.

	Python 3.12 refuses the import by itself, with another message.
	"""
	interpreters = pytest.importorskip("_xxsubinterpreters" if
	    sys.version_info < (3, 13) else "_interpreters")
	code = """if True:
	    try:
	        import mews
	    except ImportError as error:
	        assert "interpreter" in str(error), error
	    else:
	        raise AssertionError("imported")
	"""
	other = interpreters.create()
	try:
		failed = interpreters.run_string(other, code)
		assert failed is None
	finally:
		interpreters.destroy(other)
