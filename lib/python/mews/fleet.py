"""mews.Fleet: made before the fork."""

import atexit
import os
import signal
import threading
import time
import weakref

from . import _mews, settings
from .blocking import Pool
from .errors import Error, Unavailable
from .foreign import Choice, is_evidence

_fleets = weakref.WeakSet()


class Fleet(_mews.Fleet):
    """The processes that share one segment, and the servers they know.

    Make it before the first fork, or attach to one that others made. A child
    takes its slot, and opens its own connections, at its first use of a pool;
    nothing but the segment is shared with others. The slot of a child that
    ended is given back when the parent forks the next one, or calls reap().

    config        the path of a file, see mews.conf(5), or a dict, see
                  help(mews.settings)
    runtime_file  path of the segment, so that `mews status` can read it;
                  without it the segment has no name
    attach        take part in a fleet that another process made, such as
                  `mews monitor -c FILE`, and share what it knows: for
                  processes whose parent cannot make one. It is found by
                  runtime_file, or else by the configuration's runtime_dir and
                  instance, of the same user. Endpoints and roles of groups
                  must be those of the fleet. Raises Unavailable if no fleet
                  runs. When that fleet ends, this process goes on alone; it
                  joins the fleet that follows at the next use of a pool
                  with nothing under way.
    log           called as log(level, event, text) for each event; must not
                  use the fleet
    """

    def __init__(self, config, *, runtime_file=None, log=None, attach=False):
        if runtime_file is not None:
            runtime_file = os.fspath(runtime_file)
        if isinstance(config, dict):
            self._from_dict(config, runtime_file, log, attach)
        else:
            super().__init__(os.fspath(config), runtime_file, log, attach)
        self._pools = threading.local()
        self._creator = os.getpid()
        self._monitor = None  # (its pid, this process' end of its pipe)
        _fleets.add(self)

    def _from_dict(self, config, runtime_file, log, attach):
        with open(os.memfd_create("mews.conf"), "w") as file:
            file.write(settings.text(config))
            file.flush()
            path = f"/proc/self/fd/{file.fileno()}"
            try:
                super().__init__(path, runtime_file, log, attach)
            except Error as error:
                # Line numbers mean nothing to the caller, who wrote a dict.
                error.args = ("\n".join(
                    line.split(": ", 1)[-1] if line.startswith(path) else line
                    for line in error.message.splitlines()),)
                raise

    def __reduce__(self):
        raise TypeError("a fleet is not sent to another process: make it "
                        "before the fork, and the child has it")

    def pool(self):
        """This thread's pool, in this process: a Pool.

        It opens at its first use, and again in a child.
        """
        try:
            return self._pools.blocking
        except AttributeError:
            self._pools.blocking = pool = Pool(self)
            return pool

    def async_pool(self):
        """A pool for the running asyncio loop: an AsyncPool."""
        from .aio import pool_of
        return pool_of(self, self._pools)

    def monitor(self):
        """Fork the process that probes the servers; returns its pid.

        The process ends with this one, or with close(); if it was killed,
        call monitor() again. Without it the fleet's processes probe servers
        that failed, but the lag of standbys is not measured.
        """
        self.status()  # raises if the fleet is closed
        if self._monitor is not None and self._monitor_lives():
            raise RuntimeError("this fleet has a monitor")
        wait, stop = os.pipe()
        pid = os.fork()
        if pid == 0:
            try:
                os.setsid()  # it ends with the pipe, not with the terminal
                for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                    signal.signal(number, signal.SIG_DFL)
                os.close(stop)
                self._run_monitor(wait)
            finally:
                os._exit(0)
        os.close(wait)
        self._monitor = pid, stop
        return pid

    def _monitor_lives(self):
        pid, stop = self._monitor
        try:
            if os.waitpid(pid, os.WNOHANG) == (0, 0):
                return True
        except ChildProcessError:
            pass  # the host has reaped it
        os.close(stop)
        self._monitor = None
        self.reap(pid)
        return False

    def _end_monitor(self):
        if self._monitor is None:
            return
        pid, stop = self._monitor
        self._monitor = None
        os.close(stop)
        try:
            os.waitpid(pid, 0)
        except ChildProcessError:
            pass  # the host has reaped it
        self.reap(pid)

    def choose(self, role="any", *, max_lag=None, max_lag_bytes=None,
               wait=5.0):
        """A server for another driver: a Choice, see help(mews.foreign).

        The server has that role, and is usable by all that the fleet knows;
        several such servers take turns. Any thread of any process may ask.

        role           "any", "primary", "standby" or "prefer-standby"
        max_lag        seconds that a standby may be behind
        max_lag_bytes  the same in bytes of WAL
        wait           seconds to look again and again before Unavailable is
                       raised; under asyncio 0, as the call blocks
        """
        lag = 0 if max_lag is None else max(1, round(max_lag * 1000))
        end = time.monotonic() + wait
        while True:
            try:
                return Choice._make(self._choose(
                    role, lag, max_lag_bytes or 0))
            except Unavailable:
                if time.monotonic() >= end:
                    raise
            time.sleep(0.02)

    def report(self, endpoint, error=None):
        """Say how a connection to a Choice, or to an endpoint by name, went.

        error  the exception that the driver raised; None: it just connected

        A failure of the connection makes the server suspect: all processes
        prefer others at once, and a probe decides. Returns whether the error
        was such a failure; an SQL error, for example, is not.
        """
        if isinstance(endpoint, Choice):
            endpoint = endpoint.endpoint
        if error is not None and not is_evidence(error):
            return False
        self._report(endpoint, None if error is None else
                     str(error) or type(error).__name__)
        return True

    def close(self):
        """Close this thread's pools, end the monitor, unmap the segment."""
        if self._creator == os.getpid():
            self._end_monitor()
        super().close()

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.close()


def _forked():
    """In a child: the monitor belongs to the parent."""
    for fleet in _fleets:
        if fleet._monitor is not None:
            try:
                os.close(fleet._monitor[1])
            except OSError:
                pass
            fleet._monitor = None


def _exit():
    for fleet in list(_fleets):
        try:
            fleet.close()
        except Error:
            pass  # another thread still uses it


os.register_at_fork(after_in_child=_forked)
atexit.register(_exit)
