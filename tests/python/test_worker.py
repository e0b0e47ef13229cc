# mews run with an application in Python: WSGI and WebApp.

import contextlib
import http.client
import json
import os
import pathlib
import signal
import socket
import subprocess
import tempfile
import threading
import venv

import pytest

from conftest import plain, until

HERE = os.path.dirname(os.path.abspath(__file__))


class Served:
	def __init__(self, port, process, log):
		self.port, self.process, self.log = port, process, log

	def connect(self):
		return http.client.HTTPConnection("127.0.0.1", self.port,
		    timeout=45)

	def ask(self, path, method="GET", body=None, headers=None):
		"""The status and the body; each call has a connection of its
		own."""
		with contextlib.closing(self.connect()) as connection:
			connection.request(method, path, body, headers or {})
			answer = connection.getresponse()
			return answer.status, answer.read()

	def text(self, path, **more):
		status, body = self.ask(path, **more)
		assert status == 200, body
		return body.decode()

	def logged(self, text):
		return text in open(self.log).read()


def command(*arguments):
	"""The mews command with these arguments, and its environment."""
	return {"args": [os.environ["MEWS_COMMAND"], *arguments],
	    "env": plain()}


def configuration(directory, port, workers=1, **python):
	path = directory / "mews.conf"
	keys = {"module": "served", "path": HERE, **python}
	path.write_text(f"""
app = "{os.environ['MEWS_PYTHON_APP']}"
workers = {workers}
listen = {{"127.0.0.1:{port}"}}
runtime_dir = "{directory}/run"
http {{ max_body_size = 64MB }}
python {{ {" ".join(f'{key} = "{value}"' for key, value in keys.items())} }}
group "read" {{ query_timeout = 60s acquire_timeout = 30s slow_query = 200ms }}
group "write" {{ role = primary query_timeout = 60s acquire_timeout = 30s }}
""" + "\n".join(f"""endpoint "{name}" {{ conninfo = '{
	    os.environ["MEWS_" + name.upper()]}' }}""" for name in "abc"))
	return path


def free_port():
	with socket.socket() as s:
		s.bind(("127.0.0.1", 0))
		return s.getsockname()[1]


@contextlib.contextmanager
def serve(directory, workers=1, **python):
	port = free_port()
	path = configuration(directory, port, workers, **python)
	log = directory / "log"
	with open(log, "w") as file:
		process = subprocess.Popen(**command("run", "-c", path),
		    stderr=file)
	try:
		until(lambda: process.poll() is not None or
		    open(log).read().count("to=ready") >= workers,
		    "a ready worker")
		assert process.poll() is None, open(log).read()
		yield Served(port, process, log)
		process.send_signal(signal.SIGTERM)
		assert process.wait(45) == 0
	finally:
		process.kill()
		process.wait()


@contextlib.contextmanager
def a_directory():
	"""A directory that the workers may enter, whichever user they are."""
	with tempfile.TemporaryDirectory() as path:
		os.chmod(path, 0o755)
		yield pathlib.Path(path)


@pytest.fixture
def directory():
	with a_directory() as path:
		yield path


@pytest.fixture(scope="module")
def wsgi():
	with a_directory() as path, serve(path) as served:
		yield served


@pytest.fixture(scope="module")
def validated():
	with a_directory() as path, \
	    serve(path, module="served:validated") as served:
		yield served


def test_queries_run_on_the_workers_pool(wsgi):
	assert wsgi.text("/query") == "42"
	assert wsgi.text("/write") == "False"


def slow_queries(served, text=""):
	return [line for line in open(served.log)
	    if "event=slow_query" in line and text in line]


@pytest.mark.parametrize("path", ["/nap", "/naps"])
def test_a_slow_query_names_its_request(wsgi, path):
	parent = "00-" + path[1:].encode().hex().zfill(32) + \
	    "-00f067aa0ba902b7-01"
	wsgi.text(path, headers={"Traceparent": parent})
	until(lambda: slow_queries(wsgi, f" traceparent={parent}"), "the line")
	before = len(slow_queries(wsgi))
	wsgi.text(path)
	until(lambda: len(slow_queries(wsgi)) > before, "another line")
	assert len(slow_queries(wsgi, parent)) == 1


def test_the_environ_is_that_of_pep_3333(wsgi):
	environ = eval(wsgi.text("/environ?a=1%202&b", headers={
	    "Host": "example.org:8080", "Content-Type": "x/y",
	    "X-Some-Thing": "caf\xe9", "Proxy": "evil", "X_Under": "no",
	    "Cookie": "a=1"}))
	assert environ["REQUEST_METHOD"] == "GET"
	assert environ["PATH_INFO"] == "/environ"
	assert environ["SCRIPT_NAME"] == ""
	assert environ["QUERY_STRING"] == "a=1%202&b"
	assert environ["SERVER_NAME"] == "example.org"
	assert environ["SERVER_PORT"] == "8080"
	assert environ["SERVER_PROTOCOL"] == "HTTP/1.1"
	assert environ["REMOTE_ADDR"] == "127.0.0.1"
	assert environ["CONTENT_TYPE"] == "x/y"
	assert environ["HTTP_X_SOME_THING"] == "caf\xe9"
	assert environ["HTTP_COOKIE"] == "a=1"
	assert "HTTP_PROXY" not in environ
	assert "HTTP_X_UNDER" not in environ
	assert "CONTENT_LENGTH" not in environ


def test_headers_sent_twice_are_joined(wsgi):
	with socket.create_connection(("127.0.0.1", wsgi.port), 45) as s:
		s.sendall(b"GET /environ HTTP/1.1\r\nHost: x\r\nA: 1\r\n"
		    b"Cookie: a=1\r\nA: 2\r\nCookie: b=2\r\n"
		    b"Connection: close\r\n\r\n")
		answer = s.makefile("rb").read()
	environ = eval(answer.partition(b"\r\n\r\n")[2])
	assert environ["HTTP_A"] == "1, 2"
	assert environ["HTTP_COOKIE"] == "a=1; b=2"
	assert (environ["SERVER_NAME"], environ["SERVER_PORT"]) == ("x", "80")


@pytest.mark.parametrize("size", [0, 1, 65536, 65537, 5_000_000])
def test_bodies_arrive_whole(wsgi, size):
	body = os.urandom(size)
	length, _ = wsgi.text("/length", method="POST", body=body).split()
	assert int(length) == size


def test_a_body_in_chunks_arrives_whole(wsgi):
	parts = [b"a" * 1000] * 200
	assert wsgi.text("/length", method="POST", body=iter(parts)).split()[0] \
	    == "200000"


def test_lines_of_a_long_body(wsgi):
	assert wsgi.text("/lines", method="POST",
	    body=b"line\n" * 100_000) == "100000"


def test_a_body_that_is_too_long_is_refused(wsgi):
	with contextlib.closing(wsgi.connect()) as connection:
		connection.putrequest("POST", "/length")
		connection.putheader("Content-Length", str(1 << 40))
		connection.endheaders()
		assert connection.getresponse().status == 413


def test_a_slow_body_holds_up_no_other_client(wsgi):
	with socket.create_connection(("127.0.0.1", wsgi.port), 45) as s:
		s.sendall(b"POST /length HTTP/1.1\r\nHost: x\r\n"
		    b"Content-Length: 100000\r\n\r\n" + b"x" * 99_999)
		assert wsgi.text("/query") == "42"
		s.sendall(b"x")
		assert s.recv(12) == b"HTTP/1.1 200"


def test_an_exception_is_500_and_a_traceback_in_the_log(wsgi):
	status, body = wsgi.ask("/boom")
	assert (status, body) == (500, b"Internal Server Error\n")
	until(lambda: wsgi.logged("two lines"), "the traceback")
	assert wsgi.logged("in application")
	assert wsgi.logged("ValueError: a text of")


@pytest.mark.parametrize("path", ["/exit", "/nothing", "/close",
    "/uncounted"])
def test_an_application_that_breaks_pep_3333_gets_500(wsgi, path):
	assert wsgi.ask(path)[0] == 500
	assert wsgi.text("/query") == "42"


def test_an_exception_in_the_middle_breaks_the_answer_off(wsgi):
	with pytest.raises((http.client.IncompleteRead, ConnectionError)):
		wsgi.ask("/middle")
	until(lambda: wsgi.logged("in the middle"), "the traceback")


def test_pieces_arrive_in_order_and_the_body_is_closed(wsgi):
	closed = int(wsgi.text("/closed"))
	body = wsgi.text("/pieces?100").split()
	assert len(body) == 100 * 8192
	assert body[::8192] == ["%07d" % i for i in range(100)]
	assert int(wsgi.text("/closed")) == closed + 1


def test_a_client_that_does_not_read_holds_up_no_other(wsgi):
	closed = int(wsgi.text("/closed"))
	with socket.create_connection(("127.0.0.1", wsgi.port), 45) as s:
		s.sendall(b"GET /pieces?10000 HTTP/1.1\r\nHost: x\r\n\r\n")
		assert s.recv(12) == b"HTTP/1.1 200"
		assert wsgi.text("/query") == "42"
	until(lambda: int(wsgi.text("/closed")) == closed + 1,
	    "the end of the body")


def test_a_known_length_is_kept(wsgi):
	with contextlib.closing(wsgi.connect()) as connection:
		connection.request("GET", "/known")
		answer = connection.getresponse()
		assert answer.getheader("Content-Length") == "10"
		assert answer.read() == b"helloworld"
		connection.request("GET", "/query")
		assert connection.getresponse().read() == b"42"


def test_answers_without_a_body(wsgi):
	assert wsgi.ask("/empty") == (204, b"")
	with contextlib.closing(wsgi.connect()) as connection:
		connection.request("HEAD", "/head")
		answer = connection.getresponse()
		assert answer.getheader("Content-Length") == "1234"
		assert answer.read() == b""
		connection.request("GET", "/query")
		assert connection.getresponse().read() == b"42"


def test_start_response_when_the_body_begins(wsgi):
	assert wsgi.text("/late") == "late"


def test_start_response_again_with_an_exception(wsgi):
	assert wsgi.ask("/twice") == (500, b"replaced")


def test_bytes_given_to_write_come_first(wsgi):
	assert wsgi.text("/give") == "one two three"


def test_wsgi_errors_is_the_log(wsgi):
	assert wsgi.text("/error") == "told"
	until(lambda: wsgi.logged('text="to the log"'), "the line")


def test_threads_run_while_the_worker_waits(wsgi):
	before = int(wsgi.text("/beats"))
	until(lambda: int(wsgi.text("/beats")) > before + 2, "a beat")


def test_threads_run_while_a_query_waits(wsgi):
	assert int(wsgi.text("/asleep")) > 2


@pytest.mark.parametrize("path", ["/query", "/write", "/pieces?3",
    "/known", "/empty", "/late", "/give", "/error", "/environ"])
def test_the_wsgiref_validator_has_nothing_to_say(validated, path):
	assert validated.ask(path)[0] in (200, 204)
	assert not validated.logged("AssertionError")


def test_clients_that_stay_do_not_wait_behind_a_slow_request(directory):
	"""A client may wait if its last answer came when no worker was idle,
	or before requests were known to be slow."""
	(directory / "holds").mkdir()
	(directory / "holds").chmod(0o777)
	with serve(directory, workers=2) as served, \
	    contextlib.ExitStack() as stack:
		def connect():
			return stack.enter_context(contextlib.closing(
			    served.connect()))
		clients = [connect() for _ in range(6)]
		for client in clients * 3:
			client.request("GET", "/pid")
			client.getresponse().read()
		free = 0
		for number in range(10):
			hold = directory / "holds" / str(number)
			slow = connect()
			slow.request("GET", f"/hold?{hold}")
			until(hold.exists, "the slow request has begun")
			answers = []
			threads = [threading.Thread(target=ask_again,
			    args=(client, answers)) for client in clients]
			for thread in threads:
				thread.start()
			for thread in threads:
				thread.join(1)
			free += len(answers) == len(clients)
			(directory / "holds" / f"{number}.over").touch()
			for thread in threads:
				thread.join(45)
			assert slow.getresponse().read() == b"held"
			assert answers == [200] * len(clients)
		assert free >= 7


def ask_again(client, answers):
	client.request("GET", "/query")
	answer = client.getresponse()
	answer.read()
	answers.append(answer.status)


def test_webapp(directory):
	with serve(directory, kind="webapp") as served:
		def ask(body, kind="text/plain"):
			return served.ask("/", "POST", body,
			    {"Content-Type": kind})

		assert ask("text") == (200, b"some text")
		assert ask("bytes") == (200, b"\xff\x00")
		assert ask("boom")[0] == 500
		status, body = ask('{"a": [1]}', "application/json")
		assert json.loads(body) == {"payload": "{'a': [1]}", "count": 4,
		    "read": 1}
		assert json.loads(ask(b"\xff")[1])["payload"] == "b'\\xff'"
		assert ask("{", "application/json")[0] == 500
		assert served.logged("JSONDecodeError")


def write_code(path, answer):
	"""Replace a file in one step, as the worker may import it now."""
	fresh = path.with_suffix(".new")
	fresh.write_text(f"""
def application(environ, start_response):
	start_response("200 OK", [("Content-Type", "text/plain")])
	return [{answer}]
""")
	fresh.rename(path)


def test_a_reload_reloads_code(directory):
	code = directory / "changing.py"
	write_code(code, "b'first'")
	with serve(directory, module="changing", path=directory) as served:
		assert served.text("/") == "first"
		code.write_text("raise RuntimeError('half written')\n")
		served.process.send_signal(signal.SIGHUP)
		until(lambda: served.logged("half written"), "its traceback")
		assert served.text("/") == "first"
		write_code(code, "b'second, and longer'")
		served.process.send_signal(signal.SIGHUP)
		until(lambda: served.text("/") == "second, and longer",
		    "an answer of the new code")


def test_a_virtualenv(directory):
	venv.create(directory / "venv", symlinks=True)
	packages, = (directory / "venv" / "lib").glob("python*/site-packages")
	(packages / "only_there.py").write_text("import sys\nwhere = sys.prefix\n")
	write_code(directory / "inside.py",
	    "__import__('only_there').where.encode()")
	with serve(directory, module="inside", path=directory,
	    virtualenv=directory / "venv") as served:
		assert served.text("/") == str(directory / "venv")
	# Without the virtualenv the module is not found.
	result = check(configuration(directory, 1, module="only_there",
	    path=directory))
	assert "No module named 'only_there'" in result.stderr


def check(path):
	return subprocess.run(**command("check", "-c", path),
	    capture_output=True, text=True, timeout=45)


@pytest.mark.parametrize("module,why", [
	("absent", "ModuleNotFoundError"),
	("served:absent", "AttributeError"),
	("served:beats", "TypeError"),
	("broken", "ZeroDivisionError"),
])
def test_check_reports_what_cannot_be_imported(directory, module, why):
	(directory / "broken.py").write_text("def f():\n\t1 / 0\n\nf()\n")
	path = directory if module == "broken" else HERE
	result = check(configuration(directory, 1, module=module, path=path))
	assert result.returncode == 1
	assert why in result.stderr
	assert "Traceback" in result.stderr


def test_check_asks_no_server(directory):
	(directory / "eager.py").write_text(
	    "import mews\nmews.pool().query('read', 'select 1')\n")
	assert check(configuration(directory, free_port())).returncode == 0
	result = check(configuration(directory, free_port(), module="eager",
	    path=directory))
	assert result.returncode == 1
	assert "mews.errors.Invalid" in result.stderr


def test_elsewhere_there_is_no_worker_pool():
	import mews
	with pytest.raises(RuntimeError, match="no worker"):
		mews.pool()
