"""The worker of mews run that this interpreter is in.

    import mews

    def application(environ, start_response):
        row, = mews.pool().query("read", "select now()")
        ...

mews.pool() is the worker's own pool. Elsewhere it raises a RuntimeError: make
a fleet, and use fleet.pool().
"""

import importlib
import io
import json
import sys
import traceback
from io import BytesIO  # noqa: F401 (for the worker, which makes inputs)

from . import _mews
from .blocking import Pool

_pool = None


def pool():
    """The pool of the worker in which this code runs."""
    if _pool is None:
        raise RuntimeError("this is no worker of mews run: make a mews.Fleet, "
                           "and use its pool()")
    return _pool


class _Log(io.TextIOBase):
    """sys.stderr and wsgi.errors: each line becomes a line of the worker's
    log."""

    def __init__(self, log):
        self._log = log
        self._begun = ""

    def writable(self):
        return True

    def write(self, text):
        *lines, self._begun = (self._begun + text).split("\n")
        for line in lines:
            if line:
                self._log(line)
        return len(text)

    def flush(self):
        if self._begun:
            self._log(self._begun)
            self._begun = ""


def _attach(handle, log):
    global _pool
    sys.stderr = _Log(log)
    _pool = _mews._adopt(Pool, handle)


def _detach():
    """Release the pool, which is not used from here on."""
    if _pool is not None:
        _pool._release()
    sys.stderr = sys.__stderr__


def _find(module, kind, path):
    """The application that is named MODULE or MODULE:NAME."""
    global _pool
    if _pool is None:
        # In mews check, modules may ask for a pool, but not use its servers.
        _pool = _mews._adopt(Pool, None)
    sys.path.insert(0, path)
    name, _, attribute = module.partition(":")
    found = importlib.import_module(name)
    default = "WebApp" if kind == "webapp" else "application"
    for part in (attribute or default).split("."):
        found = getattr(found, part)
    if kind == "webapp":
        found = (found() if isinstance(found, type) else found).invoke
    if not callable(found):
        raise TypeError(f"{attribute or default} cannot be called")
    return found


def _trace(parent):
    """Set the traceparent of the request that is served: bytes, or None."""
    _pool._trace(parent)


def _report(error):
    traceback.print_exception(error)
    sys.stderr.flush()


def _payload(body, is_json):
    if is_json:
        return json.loads(body)
    try:
        return body.decode()
    except UnicodeDecodeError:
        return body


def _invoke(invoke, source, is_json):
    result = invoke(_payload(source.read(), is_json))
    if isinstance(result, bytes):
        return "application/octet-stream", result
    if isinstance(result, str):
        return "text/plain; charset=utf-8", result.encode()
    return "application/json", json.dumps(result).encode()
