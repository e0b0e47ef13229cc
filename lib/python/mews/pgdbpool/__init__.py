"""The interface of the module pgdbpool, on top of mews.

Changing the import is enough:

    from mews.pgdbpool import pool          # was: from pgdbpool import pool

    pool.Connection.init(config)
    with pool.Handler("group1") as db:
        for row in db.query("select * from t where id = %s", (7,)):
            print(row["id"], row[0])

Call Connection.init() before the server forks: then its processes share what
they know of the databases. A process that forked opens connections of its
own. Where this differs from pgdbpool, on purpose:

    there                               here
    init() opens all connections        a connection is opened when it is
                                        needed, in the process that needs it
    a ping before each query            none: the pool knows what broke
    a lost connection: up to ten        the next Handler has a server that is
    sleeps of connection_retry_sleep    up, or a DBOfflineError after
                                        connect_timeout seconds
    an exception leaves the block       it is rolled back
    with what it wrote committed
    a commit that fails at the end      DBQueryError
    is not told
    commit() of a transaction in        DBQueryError
    which a query failed says nothing
    several databases in turns          by health and role: a group has
                                        primaries, or what its key "role"
                                        says (see mews.conf)
    parameters become part of the SQL   they are bound by the server; where
                                        SQL does not allow that they are
                                        quoted
    connection_count of a process       as many Handlers at a time in a
                                        process; each thread has connections
                                        of its own
    one Handler too many waits,         a DBConnectionError at once where the
    perhaps for ever                    thread itself has all the others

More keys than there: port in a database; role in a group; workers beside
them, how many processes there can be (64).
"""

from .pool import (Connection, DBConnectionError, DBOfflineError,
                   DBQueryError, Handler, Query, UnconfiguredGroupError)

__all__ = ["Connection", "DBConnectionError", "DBOfflineError",
           "DBQueryError", "Handler", "Query", "UnconfiguredGroupError"]
