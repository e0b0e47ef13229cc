# tap_pytest.py FILE... - run pytest, and report as TAP.

import os
import sys

import pytest


class Tap:
	"""A plugin that prints a line for each test, and why it failed."""

	def __init__(self):
		self.count = 0
		self.failed = False

	@pytest.hookimpl(trylast=True)
	def pytest_configure(self, config):
		# Other plugins need the reporter's options; its report is not
		# printed.
		reporter = config.pluginmanager.getplugin("terminalreporter")
		reporter._tw._file = open(os.devnull, "w")

	def line(self, result, name, why=""):
		self.count += 1
		self.failed = self.failed or result == "not ok"
		print(result, self.count, "-", name, flush=True)
		for line in str(why).splitlines():
			print("#", line, flush=True)

	def pytest_runtest_logreport(self, report):
		name = report.nodeid.split("::", 1)[-1]
		if report.failed:
			self.line("not ok", name, report.longreprtext +
			    report.capstdout + report.capstderr)
		elif report.skipped:
			why = report.longrepr[-1].removeprefix("Skipped: ")
			self.line("ok", f"{name} # SKIP {why}")
		elif report.when == "call":
			self.line("ok", name)

	def pytest_collectreport(self, report):
		if report.failed:
			self.line("not ok", report.nodeid, report.longreprtext)


tap = Tap()
pytest.main(["-p", "no:cacheprovider", "-p", "no:faulthandler",
    *sys.argv[1:]], plugins=[tap])
print(f"1..{tap.count}", flush=True)
sys.exit(tap.failed)
