"""PostgreSQL for servers that fork: private pools, shared knowledge.

    import mews

    fleet = mews.Fleet("/etc/mews.conf")        # before the fork
    ...
    pool = fleet.pool()                         # in each child
    rows = pool.query("read", "select * from t where id = $1", 7)

A Fleet knows the servers (endpoints) and what they are used for (groups). It
is made before the fork; each child then has connections of its own, and all
of them share, in memory, what any of them learned: a server that one process
found dead is skipped by all, and comes back by one probe at a time.

Queries that are one statement each share few connections. A transaction, or
anything that changes a session, holds one for itself:

    with pool.transaction("write", isolation="serializable") as t:
        t.execute("update accounts set sum = sum - $1 where id = $2", 5, 1)
        with t.savepoint():
            t.execute("insert into log values ($1)", "paid")

    pool.transaction("write", retry=3).run(pay, 1, 2)   # pay(t, 1, 2)

    with pool.lease("read") as lease:
        for row in lease.rows("select * from large"):   # constant memory
            ...
        lease.copy_in("copy t from stdin", open("t.tsv", "rb"))
        lease.script(open("migration.sql").read())      # many statements
        lease.execute("set role " + lease.quote_identifier(name))

    pool.describe("read", "select $1::int")     # types, without running it
    pool.on_notice(print)                       # notices of servers

With asyncio, all is the same with await, on the running loop:

    pool = fleet.async_pool()
    rows = await pool.query("read", "select 1")
    async with pool.transaction("write") as t:
        await t.execute("...")

The place where the fleet is made decides which processes share what is known
of the servers:

    gunicorn --preload, uWSGI           at module level: all workers
    gunicorn, uWSGI --lazy-apps         each worker has a fleet of its own
    multiprocessing, fork               before the fork: all processes
    multiprocessing, forkserver         in a module of
                                        set_forkserver_preload(): all
    multiprocessing, spawn              each process has its own
    processes without a common parent   Fleet(.., attach=True): those of the
                                        fleet of `mews monitor` share it
    threads                             one fleet; each thread has its pool
    a host in C that embeds Python      where the interpreter is started before
                                        the fork, all, whether Python is told of
                                        the fork or not; after it, each
                                        process has its own

A subinterpreter is refused: uWSGI needs single-interpreter where it has more
applications than one, mod_wsgi WSGIApplicationGroup %{GLOBAL}.

Make one process probe the servers, with fleet.monitor(), where the fleet is
made. A transaction or lease that does nothing for longer than its group's
query_timeout was forgotten, and is taken away.

In a worker of mews run, whose application this is, mews.pool() is the worker's
own pool, and there is no fleet to make: help(mews.worker).

psycopg, SQLAlchemy and Django can skip dead servers, too, with fleet.choose()
and fleet.report(): help(mews.foreign).

Errors: help(mews.errors). Types: help(mews.types). The configuration:
help(mews.settings), and mews.conf(5).
"""

from . import errors, foreign, settings, types
from ._mews import Row, Rows
from .blocking import Lease, Listener, Pool, Savepoint, Transaction
from .description import Column, Description
from .errors import (Canceled, DataError, DecodeError, Error, IntegrityError,
                     Invalid, Lost, NoMemory, NotSent, Overload, Partly,
                     ProgrammingError, ReadOnlyError, SQLError,
                     SystemFailure, Timeout, TooLarge, TransactionConflict,
                     Unavailable, Undone, Waited)
from .fleet import Fleet
from .foreign import Choice
from .notice import Notice
from .notification import Notification
from .types import Json, Range, register_type
from .worker import pool

_ASYNC = ("AsyncLease", "AsyncListener", "AsyncPool", "AsyncSavepoint",
          "AsyncTransaction")


def __getattr__(name):
    """Import asyncio only if it is used."""
    if name in _ASYNC:
        from . import aio
        return getattr(aio, name)
    raise AttributeError(f"module 'mews' has no attribute {name!r}")


__all__ = [
    *_ASYNC,
    "Canceled", "Choice", "Column", "DataError", "DecodeError", "Description",
    "Error", "Fleet",
    "IntegrityError", "Invalid", "Json", "Lease", "Listener", "Lost",
    "NoMemory", "NotSent", "Notice", "Notification", "Overload", "Partly", "Pool",
    "ProgrammingError", "Range", "ReadOnlyError", "Row", "Rows", "SQLError",
    "Savepoint", "SystemFailure", "Timeout", "TooLarge", "Transaction",
    "TransactionConflict", "Unavailable", "Undone", "Waited", "errors",
    "foreign", "pool", "register_type", "settings", "types",
]
