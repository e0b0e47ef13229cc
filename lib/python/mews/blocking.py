"""Pools, leases and transactions of calls that wait."""

from . import _mews
from .errors import Canceled, Error, TransactionConflict, Undone
from .notification import Notification
from .session import Held

PIECE = 1024 * 1024  # the bytes of COPY that are given to the library at once


def pieces(data):
    """The data of a source of COPY, in pieces of at most PIECE bytes."""
    if isinstance(data, str):
        data = data.encode()
    view = memoryview(data).cast("B")
    for at in range(0, len(view), PIECE):
        yield view[at:at + PIECE]


class Session(Held):
    """Calls on a connection that is held exclusively."""

    def __init__(self, lease):
        self._use(lease)

    def query(self, sql, *parameters, **options):
        """Run one query and return its Rows; as Pool.query()."""
        return self._lease.query(sql, *parameters, **options)

    def execute(self, sql, *parameters, **options):
        """As query(), but return how many rows were affected."""
        return self._lease.execute(sql, *parameters, **options)

    def rows(self, sql, *parameters):
        """Run a query whose rows come one by one, in constant memory.

        for row in lease.rows("select ..."): ...

        Leaving the loop early reads the rest and throws it away. Another
        call on this connection meanwhile waits for the rest, and has it kept
        in memory.
        """
        stream = self._lease.rows(sql, *parameters)
        try:
            while (batch := stream.take()) is not None:
                if batch:
                    yield from batch
                else:
                    stream.wait()
        finally:
            stream.stop()

    def script(self, sql):
        """Run a text of several statements: a migration, say.

        Outside of a transaction the text is one, unless it begins and ends
        transactions itself. It stops at the first error. Neither parameters
        nor COPY are allowed. Returns a list of Rows, one for each statement.
        """
        return self._lease.script(sql)

    def describe(self, sql):
        """The Description of a statement, which is not run."""
        return self._lease.describe(sql)

    def copy_out(self, sql):
        """COPY ... TO STDOUT: yields bytes; in text and csv, one row each."""
        stream = self._lease.copy_out(sql)
        try:
            while (batch := stream.take()) is not None:
                if batch:
                    yield from batch
                else:
                    stream.wait()
        finally:
            stream.stop()

    def copy_in(self, sql, source):
        """COPY ... FROM STDIN from an iterable of bytes or str.

        Pieces need not end where rows do. An exception in the source aborts
        the COPY: nothing is stored. The source cannot use this connection.
        Returns the number of rows.
        """
        stream = self._lease.copy_in(sql)
        try:
            for data in source:
                for piece in pieces(data):
                    while not stream.put(piece) and not stream.ended:
                        stream.wait()
                if stream.ended:
                    break
            stream.wait()  # wait at least until the server is ready
        except BaseException as error:
            try:
                stream.finish(f"the source raised {type(error).__name__}")
                while isinstance(error, Exception) and not stream.ended:
                    stream.wait()
            except Error:
                pass  # the first error is raised
            raise
        stream.finish(None)
        while stream.take() is not None:
            stream.wait()
        return stream.rowcount


class Savepoint(Session):
    """A part of a transaction that can be undone by itself."""

    def __init__(self, transaction):
        self._transaction = transaction
        self._name = None

    def __enter__(self):
        outer = self._transaction
        self._use(outer._lease)
        self._depth = outer._depth + 1
        name = f"mews_{self._depth}"
        self._lease.savepoint(name)
        self._name = name
        return self

    def __exit__(self, kind, error, trace):
        name, self._name = self._name, None
        if kind is None:
            self._lease.release(name)
        else:
            try:
                self._lease.rollback_to(name)
                self._lease.release(name)
            except Error:
                pass  # the first error is raised
        return False

    def savepoint(self):
        """A savepoint inside of this one."""
        return Savepoint(self)

    transaction = savepoint


class Transaction(Session):
    """A transaction: committed at the end of its block, rolled back by an
    exception. SQL that would end it, COMMIT or ROLLBACK, is refused.

    with pool.transaction("write") as t:
        t.execute("update ...")
        with t.savepoint():
            ...
    """

    def __init__(self, borrow, isolation=None, read_only=None,
                 deferrable=None, retry=0):
        self._borrow = borrow  # returns (lease, whether to end the lease)
        self._options = isolation, read_only, deferrable
        self._retry = retry
        self._open = False

    def __enter__(self):
        if self._retry:
            raise TypeError("a block cannot be run again: with retry give a "
                            "function to run()")
        return self._enter()

    def _enter(self):
        if self._open:
            raise RuntimeError("this transaction is open already")
        lease, self._ours = self._borrow()
        try:
            lease.begin(*self._options)
        except BaseException:
            self._end(lease)
            raise
        self._use(lease)
        self._open = True
        return self

    def _end(self, lease):
        self._open = False
        if self._ours:
            lease.end()

    def __exit__(self, kind, error, trace):
        lease = self._lease
        if not self._open:
            return False  # the block itself rolled back
        try:
            if kind is None:
                lease.commit()
            elif not self._ours:
                self._undo(lease)
        finally:
            self._end(lease)
        return False

    @staticmethod
    def _undo(lease):
        try:
            lease.rollback()
        except Error:
            pass  # the first error is raised

    def rollback(self):
        """Undo the transaction; the block may go on, but without it."""
        if self._open:
            try:
                self._lease.rollback()
            finally:
                self._end(self._lease)

    def savepoint(self):
        """A part that can be undone by itself: use it with `with`."""
        return Savepoint(self)

    transaction = savepoint

    def run(self, function, *args):
        """Call function(transaction, *args) and return what it returned.

        It is called again, up to `retry` times, where the transaction was
        certainly undone by a conflict (40001, 40P01) or a lost connection.
        """
        for left in range(self._retry, -1, -1):
            try:
                self._enter()
                try:
                    value = function(self, *args)
                except BaseException as error:
                    self.__exit__(type(error), error, None)
                    raise
                self.__exit__(None, None, None)
                return value
            except (TransactionConflict, Undone) as error:
                if left == 0 or not error.may_resend:
                    raise


class Lease(Session):
    """One connection held exclusively, for session state, COPY and rows in
    constant memory. Use it with `with`, or call end().

    Leftovers of a lease never reach the next user of its connection.
    """

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.end()

    def end(self):
        """Give the lease back; an open transaction is rolled back."""
        self._lease.end()

    def transaction(self, *, isolation=None, read_only=None,
                    deferrable=None):
        """A Transaction on this connection; see Pool.transaction()."""
        return Transaction(lambda: (self._lease, False), isolation,
                           read_only, deferrable)


class Listener:
    """Notifications of a channel: iterate over it, or get() one.

    PostgreSQL keeps no messages for a listener that is away, so the event of
    a Notification tells when messages can be relied on: "listening", then
    "message"..., "lost", "missed", "message"... Read anew what you keep in
    step with the database at "listening" and at "missed".
    """

    def __init__(self, listener):
        self._listener = listener
        self._heard = []

    def get(self, timeout=None):
        """The next Notification, or None after timeout seconds."""
        if not self._heard:
            self._heard = self._listener.take()
            if not self._heard:
                self._listener.wait(
                    -1 if timeout is None else int(timeout * 1000))
                self._heard = self._listener.take()
            self._heard.reverse()
        return Notification(*self._heard.pop()) if self._heard else None

    def __iter__(self):
        while True:
            try:
                notification = self.get()
            except Canceled:
                return
            if notification is not None:
                yield notification

    def close(self):
        """Stop listening."""
        self._listener.close()

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.close()


class Pool(_mews.Pool):
    """One thread's connections, in the groups of its fleet.

    pool = fleet.pool()
    for row in pool.query("read", "select id, name from t where id = $1", 7):
        print(row.id, row["name"], row[0])
    """

    def lease(self, group, *, wait=None, after=0):
        """Borrow a connection: a Lease.

        wait   seconds to wait; default: the group's acquire_timeout
        after  a position() that the server must have replayed
        """
        return Lease(self._lease(group, wait=wait, after=after))

    def transaction(self, group, *, isolation=None, read_only=None,
                    deferrable=None, retry=0, wait=None, after=0):
        """A Transaction: use it with `with`, or run() a function in it.

        isolation  "read committed", "repeatable read", "serializable"
        retry      how often run() may call its function again
        wait       seconds to wait for a connection
        after      a position() that the server must have replayed
        """
        return Transaction(
            lambda: (self._lease(group, wait=wait, after=after), True),
            isolation, read_only, deferrable, retry)

    def listen(self, channel):
        """Hear what is sent to a channel: a Listener."""
        return Listener(self._listen(channel))

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.close()
