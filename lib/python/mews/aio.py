"""Pools, leases and transactions of calls that are awaited.

Calls wait on the running asyncio loop, by its add_reader(), without a thread.
Queries of all tasks of one turn of the loop are sent together. A task that is
cancelled has the server cancel its query. Only the answer is given up if
other queries are behind it on its connection, if a pooler is full, or while
another shared query of that server is being cancelled.
"""

import asyncio
import weakref

from . import _mews
from .blocking import pieces
from .errors import Canceled, Error, TransactionConflict, Undone
from .notification import Notification
from .session import Held


class QueryFuture(asyncio.Future):
    """The result of a query; cancelling it cancels the query."""

    _query = None
    _pool = None

    def cancel(self, msg=None):
        if not super().cancel(msg):
            return False
        if self._query is not None:
            self._pool._cancel(self._query)
        return True


async def _free(lease):
    """Wait until a cancelled call has left the connection."""
    while lease.busy:
        await lease.free()


def later(lease, method, *args, **options):
    """Call a method of a lease when the lease is free; used by the
    extension."""
    async def call():
        await _free(lease)
        return await getattr(lease, method)(*args, **options)
    return asyncio.get_running_loop().create_task(call())


class AsyncSession(Held):
    """Calls on a connection that is held exclusively."""

    _begun_by = "async with"

    def query(self, sql, *parameters, **options):
        """await it: run one query and get its Rows; as Pool.query()."""
        return self._lease.query(sql, *parameters, **options)

    def execute(self, sql, *parameters, **options):
        """await it: as query(), and get the number of affected rows."""
        return self._lease.execute(sql, *parameters, **options)

    def _begin(self, method, *args):
        lease = self._lease
        return self._stream(
            None if lease.busy else getattr(lease, method)(*args),
            lease, method, args)

    async def _stream(self, stream, lease, method, args):
        if stream is None:
            await _free(lease)
            stream = getattr(lease, method)(*args)
        try:
            while (batch := stream.take()) is not None:
                for item in batch:
                    yield item
                if not batch:
                    await stream.wait()
        finally:
            stream.stop()

    def rows(self, sql, *parameters):
        """async for row in lease.rows(...), in constant memory.

        Another call on this connection meanwhile waits for the rest of the
        rows, and has it kept in memory.
        """
        return self._begin("rows", sql, *parameters)

    def script(self, sql):
        """await it: run a text of several statements: a migration, say.

        Outside of a transaction the text is one, unless it begins and ends
        transactions itself. It stops at the first error. Neither parameters
        nor COPY are allowed. Returns a list of Rows, one for each statement.
        """
        return self._lease.script(sql)

    def describe(self, sql):
        """await it: get the Description of a statement, which is not run."""
        return self._lease.describe(sql)

    def copy_out(self, sql):
        """COPY ... TO STDOUT: async for data in lease.copy_out(...)"""
        return self._begin("copy_out", sql)

    async def copy_in(self, sql, source):
        """COPY ... FROM STDIN from an iterable, asynchronous or not, of
        bytes or str. An exception in the source aborts it: nothing is
        stored. Returns the number of rows.
        """
        await _free(self._lease)
        stream = self._lease.copy_in(sql)

        async def put(data):
            for piece in pieces(data):
                while not stream.put(piece) and not stream.ended:
                    await stream.wait()

        try:
            if hasattr(source, "__aiter__"):
                async for data in source:
                    await put(data)
                    if stream.ended:
                        break
            else:
                for data in source:
                    await put(data)
                    if stream.ended:
                        break
            await stream.wait()  # wait at least until the server is ready
        except BaseException as error:
            try:
                stream.finish(f"the source raised {type(error).__name__}")
                while isinstance(error, Exception) and not stream.ended:
                    await stream.wait()
            except Error:
                pass  # the first error is raised
            raise
        stream.finish(None)
        while stream.take() is not None:
            await stream.wait()
        return stream.rowcount


class AsyncSavepoint(AsyncSession):
    """A part of a transaction that can be undone by itself."""

    def __init__(self, transaction):
        self._transaction = transaction

    async def __aenter__(self):
        outer = self._transaction
        self._use(outer._lease)
        self._depth = outer._depth + 1
        self._name = f"mews_{self._depth}"
        await self._lease.savepoint(self._name)
        return self

    async def __aexit__(self, kind, error, trace):
        if kind is None:
            await self._lease.release(self._name)
        elif kind is not GeneratorExit:  # that cannot await
            try:
                await self._lease.rollback_to(self._name)
                await self._lease.release(self._name)
            except Error:
                pass  # the first error is raised
        return False

    def savepoint(self):
        """A savepoint inside of this one."""
        return AsyncSavepoint(self)

    transaction = savepoint


class AsyncTransaction(AsyncSession):
    """A transaction: committed at the end of its `async with`, rolled back
    by an exception. SQL that would end it, COMMIT or ROLLBACK, is refused."""

    def __init__(self, borrow, isolation=None, read_only=None,
                 deferrable=None, retry=0):
        self._borrow = borrow
        self._options = isolation, read_only, deferrable
        self._retry = retry
        self._open = False

    async def __aenter__(self):
        if self._retry:
            raise TypeError("a block cannot be run again: with retry give a "
                            "function to run()")
        return await self._enter()

    async def _enter(self):
        if self._open:
            raise RuntimeError("this transaction is open already")
        lease, self._ours = await self._borrow()
        try:
            await _free(lease)
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

    async def __aexit__(self, kind, error, trace):
        lease = self._lease
        if not self._open:
            return False  # the block itself rolled back
        try:
            if kind is None:
                await lease.commit()
            elif not self._ours and kind is not GeneratorExit:
                try:
                    await lease.rollback()
                except Error:
                    pass  # the first error is raised
        finally:
            self._end(lease)
        return False

    async def rollback(self):
        """Undo the transaction; the block may go on, but without it."""
        if self._open:
            try:
                await self._lease.rollback()
            finally:
                self._end(self._lease)

    def savepoint(self):
        """A part that can be undone by itself: use it with `async with`."""
        return AsyncSavepoint(self)

    transaction = savepoint

    async def run(self, function, *args):
        """Await function(transaction, *args), and again, up to `retry` times,
        if the transaction was certainly undone by a conflict (40001, 40P01) or
        a lost connection."""
        for left in range(self._retry, -1, -1):
            try:
                await self._enter()
                try:
                    value = await function(self, *args)
                except BaseException as error:
                    await self.__aexit__(type(error), error, None)
                    raise
                await self.__aexit__(None, None, None)
                return value
            except (TransactionConflict, Undone) as error:
                if left == 0 or not error.may_resend:
                    raise


class AsyncLease(AsyncSession):
    """One connection held exclusively. Use it with `async with`."""

    def __init__(self, lease):
        self._use(lease)

    async def __aenter__(self):
        return self

    async def __aexit__(self, *exception):
        self.end()

    def end(self):
        """Give the lease back; an open transaction is rolled back."""
        self._lease.end()

    def transaction(self, *, isolation=None, read_only=None,
                    deferrable=None):
        """An AsyncTransaction on this connection."""
        async def borrow():
            return self._lease, False
        return AsyncTransaction(borrow, isolation, read_only, deferrable)


class _Borrowing:
    """await it, or use it with `async with`: an AsyncLease."""

    def __init__(self, future):
        self._future = future

    def __await__(self):
        return AsyncLease((yield from self._future))

    async def __aenter__(self):
        self._lease = await self
        return self._lease

    async def __aexit__(self, *exception):
        self._lease.end()


class AsyncListener:
    """Notifications of a channel: async for notification in listener. See
    help(mews.Listener)."""

    def __init__(self, listener):
        self._listener = listener
        self._heard = []

    async def get(self):
        """The next Notification."""
        while not self._heard:
            self._heard = self._listener.take()
            if not self._heard:
                await self._listener.wait(-1)
            self._heard.reverse()
        return Notification(*self._heard.pop())

    async def __aiter__(self):
        while True:
            try:
                notification = await self.get()
            except Canceled:
                return
            yield notification

    def close(self):
        """Stop listening."""
        self._listener.close()

    async def __aenter__(self):
        return self

    async def __aexit__(self, *exception):
        self.close()


class AsyncPool(_mews.Pool):
    """One loop's connections, in the groups of its fleet.

    await query(...) and await execute(...) take what Pool's take.
    """

    def __new__(cls, fleet):
        return super().__new__(cls, fleet, asyncio.get_running_loop(),
                               QueryFuture)

    def __init__(self, fleet):
        self._listeners = weakref.WeakSet()

    def lease(self, group, *, wait=None, after=0):
        """Borrow a connection: async with pool.lease("read") as lease"""
        return _Borrowing(self._lease(group, wait=wait, after=after))

    def transaction(self, group, *, isolation=None, read_only=None,
                    deferrable=None, retry=0, wait=None, after=0):
        """An AsyncTransaction; see Pool.transaction()."""
        async def borrow():
            return await self._lease(group, wait=wait,
                                     after=after), True
        return AsyncTransaction(borrow, isolation, read_only, deferrable,
                                retry)

    def listen(self, channel):
        """Hear what is sent to a channel: an AsyncListener."""
        listener = AsyncListener(self._listen(channel))
        self._listeners.add(listener)
        return listener

    def close(self):
        """Close every connection; queries in flight end with Canceled."""
        for listener in list(self._listeners):
            listener.close()
        super().close()

    async def __aenter__(self):
        return self

    async def __aexit__(self, *exception):
        self.close()


def pool_of(fleet, pools):
    """The pool of the running loop; `pools` has those of this thread."""
    loop = asyncio.get_running_loop()
    pool = getattr(pools, "asynchronous", None)
    if pool is None or pools.loop is not loop:
        if pool is not None:
            pool.close()  # its loop has ended
        pools.asynchronous = pool = AsyncPool(fleet)
        pools.loop = loop
    return pool
