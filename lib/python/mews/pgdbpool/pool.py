"""Connection and Handler, as in the module pgdbpool.pool."""

import json
import os
import re
import threading

from .. import errors
from ..fleet import Fleet
from .cursor import (ConnectionRef, Cursor, DBConnectionError,
                     DBOfflineError, DBQueryError, UnconfiguredGroupError,
                     query_error)

__all__ = ["Connection", "DBConnectionError", "DBOfflineError",
           "DBQueryError", "Handler", "Query", "UnconfiguredGroupError"]

CONNECT_TIMEOUT = 30        # in seconds
QUERY_TIMEOUT = 120000      # in ms
WORKERS = 64
LEAST_LEASE = 300000        # ms for which a Handler may be idle


def _ssl(value):
    """sslmode, from all that callers write."""
    return {True: "require", False: "disable", None: "prefer",
            "on": "require", "off": "disable"}.get(value, value)


def _conninfo(db):
    names = {"host": "host", "port": "port", "dbname": "name",
             "user": "user", "password": "pass"}
    values = {key: db[name] for key, name in names.items() if name in db}
    values["sslmode"] = _ssl(db.get("ssl"))
    return " ".join(
        key + "='" + re.sub(r"(['\\])", r"\\\1", str(value)) + "'"
        for key, value in values.items())


def _group(group, db):
    timeout = int(db.get("query_timeout", QUERY_TIMEOUT))
    settings = {
        "role": group.get("role", "primary"),
        "connection_count": group["connection_count"],
        "autocommit": group.get("autocommit") is True,
        "acquire_timeout":
            f"{round(db.get('connect_timeout', CONNECT_TIMEOUT) * 1000)}ms",
        # A Handler that is idle for longer is taken away.
        "query_timeout":
            f"{min(max(timeout, LEAST_LEASE), 86400000)}ms",
    }
    init = [f"SET statement_timeout = {timeout}"]
    if "session_tmp_buffer" in db:
        init.append(
            f"SET temp_buffers = '{int(db['session_tmp_buffer'])}MB'")
    if group.get("sqlprepare") is True:
        init.append('SELECT "SQLPrepare"."PrepareQueries"()')
    settings["init"] = init
    return settings


class _Places:
    """Places for as many Handlers of a group as it has connections."""

    def __init__(self, group, count):
        self._group = group
        self._count = count
        self._free = threading.BoundedSemaphore(count)
        self._held = {}  # dict: a Handler's number to its thread

    def take(self):
        """The number of a free place; waits until another thread gives one
        back."""
        me = threading.get_ident()
        if not self._free.acquire(blocking=False):
            if list(self._held.values()).count(me) >= self._count:
                raise DBConnectionError(
                    f"this thread has all {self._count} connections of group "
                    f"{self._group} already: end one of its Handlers first, "
                    "or set a higher connection_count")
            self._free.acquire()
        place = object()
        self._held[place] = me
        return place

    def give_back(self, place):
        del self._held[place]
        self._free.release()


class Connection:
    """The one set of databases and groups of this program."""

    _config = None
    _fleet = None
    _places = {}

    @classmethod
    def init(cls, config):
        """Take a configuration; best before the server forks.

        :param dict config: see help(mews.pgdbpool)
        """
        databases = config["db"]
        if isinstance(databases, dict):
            databases = [databases]
        if cls.get_threading_model(config) not in ("threaded",
                                                   "non-threaded"):
            raise DBConnectionError("type is threaded or non-threaded")
        try:
            fleet = Fleet({
                "instance": "pgdbpool",
                "workers": config.get("workers", WORKERS),
                "endpoints": {f"db{number}": _conninfo(db)
                              for number, db in enumerate(databases, 1)},
                "groups": {name: _group(group, databases[0])
                           for name, group in config["groups"].items()},
            })
        except (errors.Error, KeyError, TypeError, ValueError) as error:
            raise DBConnectionError(repr(error)) from error
        before, cls._fleet, cls._config = cls._fleet, fleet, config
        cls._begin()
        if before is not None:
            try:
                before.close()
            except errors.Error:
                pass  # another thread still uses it

    @classmethod
    def _begin(cls):
        if cls._config is not None:
            cls._places = {
                name: _Places(name, group["connection_count"])
                for name, group in cls._config["groups"].items()}

    @classmethod
    def get_threading_model(cls, config=None):
        """"threaded" or "non-threaded"; with either, threads may be used."""
        return (config or cls._config).get("type", "threaded")

    @classmethod
    def get_max_pool_size(cls, group):
        """How many Handlers of a group there can be at a time."""
        return cls._config["groups"][group]["connection_count"]


# A child counts its own Handlers.
os.register_at_fork(after_in_child=Connection._begin)


class Query:
    """The functions behind Handler.query() and query_prepared()."""

    @staticmethod
    def execute(connection, sql_statement, sql_params=None):
        cursor = Cursor(connection)
        cursor.execute(sql_statement, sql_params)
        return cursor

    @staticmethod
    def execute_prepared(connection, sql_params):
        """The result of "SQLPrepare"."ExecuteQuery"; a text of JSON if it
        failed."""
        if sql_params is None:
            raise TypeError("sql_params must be given")
        cursor = Cursor(connection)
        try:
            cursor.callproc('"SQLPrepare"."ExecuteQuery"', sql_params)
            return cursor.fetchone()[0]
        except DBQueryError as error:
            cause = error.__cause__
            return json.dumps({"error": True,
                               "exception": type(cause).__name__,
                               "exceptionCause": str(cause)})


class Handler:
    """One connection of a group, for a with block.

    with pool.Handler("group1") as db:
        for row in db.query("select * from t"):
            print(row["id"])
        db.commit()     # where autocommit is off
    """

    _lease = None
    _places = None

    def __init__(self, group):
        if Connection._fleet is None:
            raise DBConnectionError("call Connection.init() first")
        if group not in Connection._places:
            raise UnconfiguredGroupError(group)
        self._group = group
        places = Connection._places[group]
        self._place = places.take()
        self._places = places
        try:
            self._lease = Connection._fleet.pool()._lease(group)
        except errors.Error as error:
            self._release()
            raise query_error(error) from error
        except BaseException:
            self._release()
            raise
        self.conn_ref = ConnectionRef(
            self._lease,
            Connection._config["groups"][group].get("autocommit") is True)

    @property
    def connection(self):
        """The connection, with cursor(), commit() and rollback()."""
        return self.conn_ref

    def query(self, statement, params=None):
        """Run SQL with %s or %(name)s; returns a Cursor."""
        return Query.execute(self.conn_ref, statement, params)

    def query_prepared(self, params):
        """Run a prepared query of the extension prep_queries."""
        return Query.execute_prepared(self.conn_ref, params)

    def commit(self):
        """Commit, if autocommit is off."""
        self.conn_ref.commit()

    def rollback(self):
        """Undo, if autocommit is off."""
        self.conn_ref.rollback()

    def _release(self):
        lease, self._lease = self._lease, None
        places, self._places = self._places, None
        try:
            if lease is not None:
                lease.end()
        finally:
            if places is not None:
                places.give_back(self._place)

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        try:
            if kind is None:
                self.conn_ref.commit()
        finally:
            self._release()

    def __del__(self):
        try:
            self._release()
        except Exception:
            pass  # its thread, or the interpreter, has ended
