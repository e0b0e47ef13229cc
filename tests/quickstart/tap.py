# tap.py - checks that report as TAP, and processes, none of which is left
# behind.
#
# Processes that one started here leaves behind become children of this one
# (a subreaper), so that they can be counted and ended.

import contextlib
import ctypes
import os
import pathlib
import signal
import subprocess
import sys
import time
import traceback

PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36
libc = ctypes.CDLL(None)
count = failed = 0


class Failure(Exception):
	pass


def say(text):
	for line in str(text).splitlines():
		print("#", line, flush=True)


def report(result, name):
	global count, failed
	count += 1
	failed += result == "not ok"
	print(result, count, "-", name, flush=True)


@contextlib.contextmanager
def check(name):
	"""One test: it fails if what is inside raises."""
	try:
		yield
	except Failure as why:
		say(why)
		report("not ok", name)
	except Exception:
		say(traceback.format_exc())
		report("not ok", name)
	else:
		report("ok", name)


def skip(name, why):
	report("ok", f"{name} # SKIP {why}")


def require(condition, *what):
	if not condition:
		raise Failure(" ".join(map(str, what)))


def until(seconds, condition, what):
	"""Return the result of condition() as soon as that is true."""
	end = time.monotonic() + seconds
	while not (result := condition()):
		require(time.monotonic() < end, f"not within {seconds} s:", what)
		time.sleep(0.05)
	return result


def adopt():
	"""Become the parent of processes that others leave behind."""
	require(libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0,
	    "no subreaper")
	for number in (signal.SIGTERM, signal.SIGHUP):
		signal.signal(number, lambda *_: sys.exit(1))


def orphans(known=()):
	"""{pid: command} of living processes that no other process waits
	for."""
	pid = os.getpid()
	found = {}
	for child in pathlib.Path(f"/proc/{pid}/task/{pid}/children") \
	    .read_text().split():
		if int(child) in known:
			continue
		try:
			if os.waitpid(int(child), os.WNOHANG)[0] == 0:
				found[int(child)] = pathlib.Path(
				    f"/proc/{child}/cmdline").read_text() \
				    .replace("\0", " ").strip()
		except (ChildProcessError, FileNotFoundError):
			pass
	return found


def kill_orphans():
	while left := orphans():
		for pid in left:
			with contextlib.suppress(ProcessLookupError):
				os.kill(pid, signal.SIGKILL)
		time.sleep(0.01)


def prepare(new_group):
	# The child must end with this process, even if that is killed.
	libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
	if new_group:
		os.setpgid(0, 0)
	signal.signal(signal.SIGINT, signal.SIG_DFL)


def start(args, user=None, new_group=False, **more):
	"""Start a process as @user (a passwd entry), or as this user."""
	if user is not None:
		more.update(user=user.pw_uid, group=user.pw_gid,
		    extra_groups=[])
	return subprocess.Popen([str(a) for a in args],
	    stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
	    stderr=subprocess.STDOUT, text=True, errors="replace",
	    preexec_fn=lambda: prepare(new_group), **more)


def run(args, seconds=60, **more):
	"""Run a command, which must succeed, and return its output."""
	process = start(args, **more)
	try:
		out, _ = process.communicate(timeout=seconds)
	except subprocess.TimeoutExpired:
		process.kill()
		out, _ = process.communicate()
		raise Failure(f"{args}: no end in {seconds} s\n{out}") from None
	require(process.returncode == 0,
	    f"{args}: status {process.returncode}\n{out}")
	return out


def end():
	print(f"1..{count}", flush=True)
	sys.exit(failed > 0)
