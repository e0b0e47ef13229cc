# The examples for gunicorn, uWSGI and uvicorn, run by Debian's packages of these.

import concurrent.futures
import contextlib
import http.client
import os
import pathlib
import pwd
import re
import shutil
import signal
import socket
import subprocess

import mews
import pytest

from conftest import plain, settings, until
from mews.settings import text

HERE = os.path.dirname(os.path.abspath(__file__))
EXAMPLES = pathlib.Path(__file__).parents[2] / "lib" / "python" / "examples"


def free_port():
	with socket.socket() as s:
		s.bind(("127.0.0.1", 0))
		return s.getsockname()[1]


def catches(pid, number):
	try:
		status = pathlib.Path(f"/proc/{pid}/status").read_text()
	except FileNotFoundError:
		return False
	caught = status.split("SigCgt:")[1].split()[0]
	return int(caught, 16) >> (number - 1) & 1


class Server:
	def __init__(self, port, process, log):
		self.port, self.process, self.log = port, process, log

	def ask(self, path="/"):
		"""The pid of the worker that answered, or None without an
		answer."""
		connection = http.client.HTTPConnection("127.0.0.1", self.port,
		    timeout=45)
		with contextlib.closing(connection):
			try:
				connection.request("GET", path)
				answer = connection.getresponse()
				body = answer.read()
			except (ConnectionError, http.client.HTTPException):
				return None
		assert answer.status == 200, body
		return int(body.split()[0])

	def hears(self, starts=1):
		"""Would uWSGI obey a signal? Its processes ignore signals at
		first: the master until all workers were forked, a worker until
		it has loaded its application, though other workers answer
		already."""
		pid = self.process.pid
		with open(f"/proc/{pid}/task/{pid}/children") as file:
			workers = file.read().split()
		return open(self.log).read().count("(master-start)") == starts and \
		    catches(pid, signal.SIGTERM) and len(workers) == 4 and \
		    all(catches(p, signal.SIGHUP) for p in [pid, *workers])

	def alive(self):
		assert self.process.poll() is None, open(self.log).read()
		return self.ask()


# gunicorn logs in its signal handlers. A signal that interrupts its logging is
# reported by Python's logging as an error, with a traceback.
OF_LOGGING = re.compile(r"^--- Logging error ---$.*?^Arguments: .*?$",
    re.DOTALL | re.MULTILINE)


@contextlib.contextmanager
def serve(directory, *command, text_of=None, **environment):
	"""Serve by @command, in which PORT stands for a free port.

	text_of  the configuration, if it is not that of all others
	"""
	if shutil.which(command[0]) is None:
		pytest.skip(f"{command[0]} is not installed")
	port = free_port()
	(directory / "mews.conf").write_text(text_of or text(settings()))
	log = directory / "log"
	with open(log, "w") as file:
		process = subprocess.Popen([word.replace("PORT", str(port))
		    for word in command], cwd=EXAMPLES, stdout=file,
		    stderr=subprocess.STDOUT, start_new_session=True, env={**os.environ,
		    "MEWS_CONF": str(directory / "mews.conf"), **environment})
	try:
		server = Server(port, process, log)
		until(server.alive, "an answer")
		if "--ini" in command:
			until(server.hears, "the end of its start")
		yield server
		assert "Traceback" not in OF_LOGGING.sub("", open(log).read())
		process.terminate()
		process.wait(45)
	finally:
		with contextlib.suppress(ProcessLookupError):
			os.killpg(process.pid, signal.SIGKILL)
		process.wait()


GUNICORN = ("gunicorn", "-b", "127.0.0.1:PORT", "--graceful-timeout", "20")
KINDS = ["gunicorn", "gunicorn without preload", "gunicorn of uvicorn",
    "uwsgi", "uwsgi lazy", "uvicorn"]


def serve_kind(kind, directory, module="shop", asynchronous=None):
	if kind.startswith("uwsgi") and "LD_PRELOAD" in os.environ:
		pytest.skip("with a sanitizer's runtime uWSGI's master hangs now and "
		    "then before it has begun")
	asynchronous = asynchronous or module + "_async:application"
	uwsgi = ("uwsgi_python3", "--ini", str(directory / "uwsgi.ini"),
	    "--http-socket", "127.0.0.1:PORT")
	(directory / "uwsgi.ini").write_text((EXAMPLES / "uwsgi.ini")
	    .read_text().replace("shop:application", module + ":application"))
	command = {
		"gunicorn": (*GUNICORN, "-c", "gunicorn.conf.py",
		    module + ":application"),
		"gunicorn without preload": (*GUNICORN, "-w", "2",
		    module + ":application"),
		"gunicorn of uvicorn": (*GUNICORN, "-w", "2", "-k",
		    "uvicorn.workers.UvicornWorker", asynchronous),
		"uwsgi": uwsgi,
		"uwsgi lazy": (*uwsgi, "--lazy-apps"),
		"uvicorn": ("uvicorn", "--port", "PORT", asynchronous),
	}[kind]
	return serve(directory, *command, MEWS_BEGUN=str(directory / "begun"),
	    PYTHONPATH=os.pathsep.join([HERE, str(EXAMPLES),
		os.environ.get("PYTHONPATH", "")]))


def test_workers_without_a_common_parent_attach(tmp_path):
	conf = tmp_path / "mews.conf"
	user = pwd.getpwuid(os.getuid()).pw_name
	more = f'runtime_dir = "{tmp_path}/run"\nuser = {user}\n'
	conf.write_text(text(settings(instance="attached")) + more)
	with subprocess.Popen([os.environ["MEWS_COMMAND"], "monitor", "-c",
	    conf], stderr=open(tmp_path / "monitor.log", "w"),
	    env=plain()) as monitor:
		until(lambda: "event=ready" in
		    (tmp_path / "monitor.log").read_text(), "the monitor")
		command = (*GUNICORN, "-c", "gunicorn_attach.conf.py")
		with serve(tmp_path, *command, text_of=conf.read_text()) as server, \
		    mews.Fleet(conf, attach=True) as fleet:
			def pids():
				return {w["pid"] for w in fleet.status()["workers"]}
			until(lambda: server.ask() and len(pids()) == 4,
			    "four slots")
			victim = until(server.ask)
			os.kill(victim, signal.SIGKILL)
			until(lambda: server.ask() and len(pids()) == 4 and
			    victim not in pids(), "another worker in its place")
		monitor.terminate()


@pytest.fixture(params=KINDS)
def server(request, tmp_path):
	with serve_kind(request.param, tmp_path) as server:
		server.kind = request.param
		yield server


def test_requests_are_answered(server):
	pids = {server.ask() for _ in range(200)}
	assert None not in pids
	until(lambda: server.kind == "uvicorn" or
	    len(pids) > 1 or pids.add(server.ask()), "a second worker")


def test_a_worker_that_is_killed_is_replaced(server):
	if server.kind == "uvicorn":
		pytest.skip("uvicorn has one process, and no parent: what starts "
		    "it replaces it")
	victim = until(server.ask)
	os.kill(victim, signal.SIGKILL)
	until(lambda: (pid := server.ask()) is not None and pid != victim,
	    "an answer of another worker")


def test_a_reload_ends_no_answer(server):
	if server.kind == "uvicorn":
		pytest.skip("uvicorn does not reload, but while developing")
	before = {until(server.ask) for _ in range(50)}
	server.process.send_signal(signal.SIGHUP)

	def new_one():
		pid = server.ask()
		# uvicorn closes connections that have not sent their request
		# yet.
		assert pid is not None or server.kind == "gunicorn of uvicorn"
		return pid is not None and pid not in before
	until(new_one, "a new worker")
	if server.kind.startswith("uwsgi"):
		until(lambda: server.hears(2), "the end of its new start")


@pytest.mark.parametrize("kind", KINDS)
def test_a_stop_ends_no_answer(kind, tmp_path):
	with serve_kind(kind, tmp_path, "slow_shop",
	    "slow_shop:asynchronous") as server, \
	    concurrent.futures.ThreadPoolExecutor() as threads:
		answer = threads.submit(server.ask, "/slow")
		until((tmp_path / "begun").exists, "the request")
		server.process.terminate()
		assert answer.result(45) is not None
		server.process.wait(45)


def test_uwsgi_has_one_interpreter_and_many_threads(tmp_path):
	def command(*more):
		return ("uwsgi_python3", "--plugin", "python3", "--http-socket",
		    "127.0.0.1:PORT", "--mount", "/=shop.py", "--mount",
		    "/b=shop.py", "--need-app", "--die-on-term",
		    "--threads", "4", *more)

	if shutil.which("uwsgi_python3") is None or "LD_PRELOAD" in os.environ:
		pytest.skip("uWSGI is not installed, or has a sanitizer's runtime")
	(tmp_path / "mews.conf").write_text(text(settings()))
	environment = {**os.environ, "MEWS_CONF": str(tmp_path / "mews.conf")}
	done = subprocess.run([word.replace("PORT", "0") for word in command()],
	    cwd=EXAMPLES, env=environment, capture_output=True, text=True,
	    timeout=45)
	assert done.returncode != 0
	assert "uWSGI has single-interpreter = true" in done.stderr
	with serve(tmp_path, *command("--single-interpreter", "--master")) as \
	    server, concurrent.futures.ThreadPoolExecutor(8) as pool:
		paths = ["/", "/b"] * 20
		assert all(pool.map(server.ask, paths))
