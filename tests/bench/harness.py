# harness.py - what tests/bench/run measures with: processes, fleets, wrk.
#
# Every process started here is in `started` and ends with the script, even if
# that is killed: the kernel signals them. Files are written into the directory
# of the throwaway servers, which is removed whatever happens.

import contextlib
import ctypes
import json
import os
import pathlib
import random
import re
import resource
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time

PR_SET_PDEATHSIG = 1
libc = ctypes.CDLL(None)
started = []


class Failure(Exception):
	pass


def say(*words):
	print("bench:", *words, file=sys.stderr, flush=True)


def die_with_parent():
	libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def start(args, **more):
	child = subprocess.Popen([str(a) for a in args],
	    stdin=subprocess.DEVNULL, preexec_fn=die_with_parent, **more)
	started.append(child)
	return child


def end(child, how=signal.SIGTERM, seconds=20):
	for sign in (how, signal.SIGKILL):
		if child.poll() is None:
			child.send_signal(sign)
		try:
			child.wait(seconds)
			break
		except subprocess.TimeoutExpired:
			pass
	if child in started:
		started.remove(child)


def end_all():
	for child in list(started):
		end(child, seconds=5)


def run(args, seconds=60):
	child = start(args, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
	    text=True)
	try:
		out, err = child.communicate(timeout=seconds)
	except subprocess.TimeoutExpired:
		raise Failure(f"{args[0]}: no end after {seconds} s") from None
	finally:
		end(child)
	if child.returncode != 0:
		raise Failure(f"{' '.join(map(str, args))}: {err.strip()}")
	return out


def have(program):
	return shutil.which(program, path=os.environ["PATH"] +
	    ":/usr/sbin:/usr/local/sbin")


def pairs(line):
	"""A dictionary of KEY=VALUE ...; values are numbers where possible."""
	found = dict(word.split("=", 1) for word in line.split())
	for key, value in found.items():
		with contextlib.suppress(ValueError):
			found[key] = float(value)
	return found


def wait_until(what, test, seconds=20, pause=0.01):
	until = time.monotonic() + seconds
	while time.monotonic() < until:
		if got := test():
			return got
		time.sleep(pause)
	raise Failure(f"{what}: not within {seconds} s")


def free_port():
	"""A port below those that the kernel lends to clients."""
	while True:
		port = random.randrange(10000, 32000)
		with socket.socket() as s, contextlib.suppress(OSError):
			s.bind(("127.0.0.1", port))
			return port


#
# --- what the kernel knows of a process ---

def proc(pid, name):
	return pathlib.Path(f"/proc/{pid}/{name}").read_text()


def family(pid):
	"""The process and its descendants."""
	all_of_them = [pid]
	for child in proc(pid, f"task/{pid}/children").split():
		all_of_them += family(int(child))
	return all_of_them


def cpu_seconds(pids):
	"""CPU time by the scheduler's statistics if there are any, else by
	clock ticks."""
	total = 0
	for pid in pids:
		try:
			total += int(proc(pid, "schedstat").split()[0]) / 1e9
		except OSError:
			fields = proc(pid, "stat").rpartition(")")[2].split()
			total += ((int(fields[11]) + int(fields[12])) /
			    os.sysconf("SC_CLK_TCK"))
	return total


def wakeups(pids):
	return sum(int(re.search(r"^voluntary_ctxt_switches:\s*(\d+)",
	    proc(pid, "status"), re.MULTILINE)[1]) for pid in pids)


def private_kb(pid):
	return sum(int(kb) for kb in re.findall(
	    r"^Private_(?:Clean|Dirty):\s*(\d+)", proc(pid, "smaps_rollup"),
	    re.MULTILINE))


def resident_kb(pid):
	return int(re.search(r"^Rss:\s*(\d+)", proc(pid, "smaps_rollup"),
	    re.MULTILINE)[1])


#
# --- programs that measure ---

class Programs:
	def __init__(self, build):
		build = pathlib.Path(build).absolute()
		self.mews = build / "master/mews"
		self.app = build / "worker/examples/techempower.so"
		self.pool = build / "tests/bench/bench_pool"
		self.view = build / "tests/bench/bench_view"
		self.scrape = build / "tests/bench/bench_scrape"
		for program in vars(self).values():
			if not program.exists():
				raise Failure(f"{program}: not built")

	def bench_pool(self, mode, connections, inflight=64, raw=False,
	    **options):
		args = [self.pool, "--mode", mode, "--connections",
		    connections, "--inflight", inflight]
		for name, value in options.items():
			args.append("--" + name.replace("_", "-"))
			if value is not True:
				args.append(value)
		if raw:
			args.append("--raw")
		result = pairs(run(args, seconds=120))
		if result.get("warnings"):
			say(*args[1:], "had", int(result["warnings"]),
			    "warnings")
		return result


def microseconds(text):
	number, unit = re.fullmatch(r"([\d.]+)(us|ms|s|m)", text).groups()
	return float(number) * {"us": 1, "ms": 1e3, "s": 1e6, "m": 6e7}[unit]


def wrk(url, connections, seconds, threads=1, header=None):
	out = run(["wrk", "--latency", "-t", threads, "-c", connections, "-d",
	    f"{seconds}s", "--timeout", "5s",
	    *(["-H", header] if header else []), url], seconds=seconds + 30)
	errors = re.search(r"Non-2xx or 3xx responses: (\d+)", out)
	trouble = re.search(r"Socket errors: (.*)", out)
	if trouble:
		say(url, "socket errors:", trouble[1])

	def quantile(percent):
		return microseconds(re.search(rf"^ +{percent}% +(\S+)$", out,
		    re.MULTILINE)[1])

	return {
		"requests": int(re.search(r"(\d+) requests in", out)[1]),
		"rate": float(re.search(r"Requests/sec:\s*([\d.]+)", out)[1]),
		"p50_us": quantile(50),
		"p99_us": quantile(99),
		"errors": int(errors[1]) if errors else 0,
	}


def load(port, path, count, clients, header=None):
	"""Ask @count times, in turns: one request of each client, then the
	next. Two fleets that get the same do the same."""
	request = (f"GET {path} HTTP/1.1\r\nHost: bench\r\n" +
	    (header + "\r\n" if header else "") + "\r\n").encode()
	with contextlib.ExitStack() as stack:
		sockets = [stack.enter_context(socket.create_connection(
		    ("127.0.0.1", port), 60)) for _ in range(clients)]
		for _ in range(count // clients):
			for s in sockets:
				s.sendall(request)
			for s in sockets:
				take_answer(s)


def take_answer(s):
	"""An answer with a length."""
	got = b""
	while True:
		head, end, body = got.partition(b"\r\n\r\n")
		length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
		if end and len(body) >= int(length[1]):
			break
		piece = s.recv(65536)
		if not piece:
			raise Failure("a connection ended")
		got += piece
	if b" 200 " not in head.splitlines()[0]:
		raise Failure(head.decode(errors="replace"))


@contextlib.contextmanager
def scraped(port):
	"""Ask for the metrics every 100 ms meanwhile; None: do not."""
	over = threading.Event()

	def scrape():
		while port is not None and not over.wait(0.1):
			get(port, "/metrics")

	thread = threading.Thread(target=scrape)
	thread.start()
	try:
		yield
	finally:
		over.set()
		thread.join()


def get(port, path):
	"""The status of one request; 0: nothing answers yet."""
	with contextlib.suppress(OSError):
		with socket.create_connection(("127.0.0.1", port), 5) as s:
			s.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n"
			    "Connection: close\r\n\r\n".encode())
			head = s.makefile("rb").readline().split()
			return int(head[1]) if len(head) > 1 else 0
	return 0


class Fleet:
	"""A fleet of the sample application, for a with statement."""

	def __init__(self, programs, workers, endpoints, read="role = any",
	    write="role = primary", admin=False, counted=False):
		self.programs = programs
		self.counted = counted
		self.others = 3 if admin else 2	# the master and the monitor
		self.workers = workers
		# Not below the servers' directory, which does not belong to
		# root.
		self.dir = pathlib.Path(tempfile.mkdtemp(prefix="mews."))
		self.dir.chmod(0o755)
		# Workers of a fleet that root starts run as nobody, who may
		# have no access to the build directory.
		app = shutil.copy(programs.app, self.dir)
		self.port = free_port()
		self.config = self.dir / "mews.conf"
		self.admin = free_port() if admin else None
		self.config.write_text("\n".join([
			'instance = "bench"',
			f"workers = {workers}",
			f'listen = {{"127.0.0.1:{self.port}"}}',
			f'app = "{app}"',
			f'runtime_dir = "{self.dir}/run"',
			*([f'admin = "127.0.0.1:{self.admin}"'] if admin
			    else []),
			*(f'endpoint "{name}" {{ conninfo = "{conninfo}" }}'
			    for name, conninfo in endpoints.items()),
			# 256 clients ask for 20 rows each: none is refused.
			f'group "read" {{ {read} connection_count = 4 '
			    'queue = 10000 }',
			f'group "write" {{ {write} connection_count = 4 '
			    'queue = 10000 }',
			""]))
		self.segment = self.dir / "run/bench.segment"

	def __enter__(self):
		self.log = open(self.dir / "log", "w+")
		began = time.monotonic()
		counts = self.dir / "counts"
		counts.mkdir()
		counts.chmod(0o777)	# its processes are another user's
		self.master = start([*(["valgrind", "--tool=callgrind",
		    f"--callgrind-out-file={counts}/%p"] if self.counted
		    else []), self.programs.mews, "run", "-c", self.config],
		    stdout=self.log, stderr=self.log)
		try:
			self.wait_for("/plaintext")
			self.first_answer_ms = (time.monotonic() - began) * 1e3
			self.wait_for("/db")
			self.first_db_ms = (time.monotonic() - began) * 1e3
			wait_until("workers", lambda: len(self.pids()) ==
			    self.workers + self.others)
		except BaseException:
			self.__exit__()
			raise
		return self

	def __exit__(self, *_):
		end(self.master)
		self.log.close()
		shutil.rmtree(self.dir)

	def instructions(self):
		"""End a fleet that is counted; what its worker needed."""
		pid, = self.worker_pids()
		end(self.master)
		text = (self.dir / f"counts/{pid}").read_text()
		return int(re.findall(r"^(?:summary|totals): (\d+)", text,
		    re.MULTILINE)[-1])

	def wait_for(self, path):
		def answers():
			if self.master.poll() is not None:
				raise Failure("mews ended: " + (self.dir /
				    "log").read_text())
			return get(self.port, path) == 200
		wait_until(path, answers, pause=0.001)

	def pids(self):
		return family(self.master.pid)

	def worker_pids(self):
		return [worker["pid"] for worker in self.status()["workers"]]

	def url(self, path):
		return f"http://127.0.0.1:{self.port}{path}"

	def status(self):
		return json.loads(run([self.programs.mews, "status", "-c",
		    self.config, "--json"]))

	def settle(self, connections):
		"""Wait until each worker has so many connections."""
		wait_until("connections", lambda: all(
		    sum(worker["connections"].values()) >= connections
		    for worker in self.status()["workers"]), pause=0.1)

	def worker_kb(self):
		return statistics.median(map(private_kb, self.worker_pids()))

	def status_ms(self, count=20):
		"""Wall clock time and CPU time of one `mews status`."""
		# Not by start(), as its additions to a child would count.
		args = [self.programs.mews, "status", "-c", self.config]
		before = resource.getrusage(resource.RUSAGE_CHILDREN)
		began = time.monotonic()
		for _ in range(count):
			subprocess.run(args, stdout=subprocess.DEVNULL,
			    check=True, timeout=10)
		took = time.monotonic() - began
		after = resource.getrusage(resource.RUSAGE_CHILDREN)
		cpu = (after.ru_utime + after.ru_stime - before.ru_utime -
		    before.ru_stime)
		return took / count * 1e3, cpu / count * 1e3

	def view_us(self, count=20000):
		return pairs(run([self.programs.view, self.segment, "read",
		    count]))["us"]

	def down_us(self, name):
		"""Freeze the server of an endpoint under load; the time from
		the verdict on it until the last worker has given it up."""
		servers = os.environ["MEWS_SERVERS"]
		directory = os.environ["MEWS_SERVERS_DIR"]
		load = start(["wrk", "-t", 1, "-c", self.workers, "-d", "30s",
		    self.url("/db")], stdout=subprocess.DEVNULL)
		view = start([self.programs.view, self.segment, "down", 15],
		    stdout=subprocess.PIPE, text=True)
		try:
			view.stdout.readline()
			time.sleep(0.3)
			run([servers, "freeze", directory, name])
			out, _ = view.communicate(timeout=20)
			if view.returncode != 0:
				raise Failure("the frozen server was not "
				    "found down")
			return pairs(out)["us"]
		finally:
			run([servers, "thaw", directory, name])
			end(view)
			end(load)


@contextlib.contextmanager
def without_standbys():
	"""Only server a runs, so its writes are neither sent nor replayed."""
	def servers(command):
		run([os.environ["MEWS_SERVERS"], command,
		    os.environ["MEWS_SERVERS_DIR"], "b", "c"])
	servers("down")
	try:
		yield
	finally:
		servers("up")


@contextlib.contextmanager
def pgbouncer(port, size):
	"""pgbouncer in front of server a; it refuses to run as root."""
	directory = pathlib.Path(os.environ["MEWS_SERVERS_DIR"],
	    f"pgbouncer.{port}")
	directory.mkdir()
	directory.chmod(0o755)
	config = directory / "pgbouncer.ini"
	config.write_text(f"""[databases]
mews = host=127.0.0.1 port={os.environ['MEWS_A_PORT']} dbname=mews user=mews
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = {size}
max_client_conn = 100
""")
	user = {"user": "nobody", "extra_groups": []} if os.geteuid() == 0 \
	    else {}
	child = start([have("pgbouncer"), "-q", config],
	    stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **user)
	try:
		def listens():
			if child.poll() is not None:
				raise Failure("pgbouncer ended")
			with contextlib.suppress(OSError):
				with socket.create_connection(("127.0.0.1",
				    port), 1):
					return True
			return False
		wait_until("pgbouncer", listens)
		yield
	finally:
		end(child, signal.SIGINT, 5)


def pgbench(port, protocol, clients, seconds):
	script = pathlib.Path(os.environ["MEWS_SERVERS_DIR"], "pgbench.sql")
	script.write_text("\\set id random(1, 10000)\n"
	    "select id, randomnumber from world where id = :id;\n")
	out = run([have("pgbench"), "-n", "-M", protocol, "-c", clients, "-j",
	    1, "-T", seconds, "-f", script, "-h", "127.0.0.1", "-p", port,
	    "-U", "mews", "mews"], seconds=seconds + 30)
	return float(re.search(r"tps = ([\d.]+)", out)[1])
