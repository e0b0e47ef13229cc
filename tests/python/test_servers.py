# The examples for gunicorn, uWSGI and uvicorn, as Debian packages these.

import contextlib
import http.client
import os
import pathlib
import shutil
import signal
import socket
import subprocess

import pytest

from conftest import settings, until
from mews.settings import text

EXAMPLES = pathlib.Path(__file__).parents[2] / "lib" / "python" / "examples"


def free_port():
	with socket.socket() as s:
		s.bind(("127.0.0.1", 0))
		return s.getsockname()[1]


class Server:
	def __init__(self, port, process, log):
		self.port, self.process, self.log = port, process, log

	def ask(self):
		"""The pid of the worker that answered, or None: nobody did."""
		connection = http.client.HTTPConnection("127.0.0.1", self.port,
		    timeout=45)
		with contextlib.closing(connection):
			try:
				connection.request("GET", "/")
				answer = connection.getresponse()
			except (ConnectionError, http.client.HTTPException):
				return None
			body = answer.read()
		assert answer.status == 200, body
		return int(body.split()[0])

	def alive(self):
		assert self.process.poll() is None, open(self.log).read()
		return self.ask()


@contextlib.contextmanager
def serve(directory, *command, **environment):
	"""Serve by @command, in which PORT stands for a free port."""
	if shutil.which(command[0]) is None:
		pytest.skip(f"{command[0]} is not installed")
	port = free_port()
	(directory / "mews.conf").write_text(text(settings()))
	log = directory / "log"
	with open(log, "w") as file:
		process = subprocess.Popen([word.replace("PORT", str(port))
		    for word in command], cwd=EXAMPLES, stdout=file,
		    stderr=subprocess.STDOUT, start_new_session=True, env={**os.environ,
		    "MEWS_CONF": str(directory / "mews.conf"), **environment})
	try:
		server = Server(port, process, log)
		until(server.alive, "an answer")
		yield server
		assert "Traceback" not in open(log).read()
		# uWSGI forgets a signal that comes while it starts workers.
		if not command[0].startswith("uwsgi"):
			process.terminate()
			process.wait(45)
	finally:
		with contextlib.suppress(ProcessLookupError):
			os.killpg(process.pid, signal.SIGKILL)
		process.wait()


GUNICORN = ("gunicorn", "-b", "127.0.0.1:PORT", "--graceful-timeout", "20")


@pytest.fixture(params=["gunicorn", "gunicorn without preload", "uwsgi",
    "uwsgi lazy", "uvicorn"])
def server(request, tmp_path):
	command = {
		"gunicorn": (*GUNICORN, "-c", "gunicorn.conf.py"),
		"gunicorn without preload": (*GUNICORN, "-w", "2", "shop"),
		"uwsgi": ("uwsgi_python3", "--ini", "uwsgi.ini",
		    "--http-socket", "127.0.0.1:PORT"),
		"uwsgi lazy": ("uwsgi_python3", "--ini", "uwsgi.ini",
		    "--lazy-apps", "--http-socket", "127.0.0.1:PORT"),
		"uvicorn": ("uvicorn", "--port", "PORT",
		    "shop_async:application"),
	}[request.param]
	with serve(tmp_path, *command) as server:
		server.kind = request.param
		yield server


def test_requests_are_answered(server):
	pids = {server.ask() for _ in range(200)}
	assert None not in pids
	until(lambda: server.kind == "uvicorn" or
	    len(pids) > 1 or pids.add(server.ask()), "a second worker")


def test_a_worker_that_is_killed_is_replaced(server):
	if server.kind == "uvicorn":
		pytest.skip("it has one process")
	victim = until(server.ask)
	os.kill(victim, signal.SIGKILL)
	until(lambda: (pid := server.ask()) is not None and pid != victim,
	    "an answer of another worker")


def test_a_reload_ends_no_answer(server):
	if not server.kind.startswith("gunicorn"):
		pytest.skip("it does not reload, or not reliably")
	before = {until(server.ask) for _ in range(50)}
	server.process.send_signal(signal.SIGHUP)
	until(lambda: (pid := server.ask()) is not None and pid not in before,
	    "a new worker")
