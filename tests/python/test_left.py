# Calls that are left in the middle, or come from decoders, finalizers and the
# like: the pool stays usable.

import asyncio
import os
import signal
import time

import mews
import pytest
from conftest import PATIENCE


def count(pool, table):
	return pool.query("write", f"select count(*) from {table}")[0][0]


@pytest.mark.parametrize("sql", ["commit", "ROLLBACK", "/* x */ end",
    "abort", "prepare transaction 'x'", "commit and chain"])
def test_sql_cannot_end_a_block(pool, table, sql):
	insert = f"insert into {table} values ($1, 'x')"
	with pool.transaction("write") as t:
		t.execute(insert, 1)
		for call in (t.execute, t.query, lambda sql: list(t.rows(sql))):
			with pytest.raises(mews.Invalid, match="leave the block"):
				call(sql)
		t.execute("savepoint s")
		t.execute(insert, 2)
		t.execute("rollback work to s")
	assert pool.query("write", f"select id from {table}") == [(1,)]
	with pool.lease("write") as lease:
		with lease.transaction() as t:
			with pytest.raises(mews.Invalid, match="leave the block"):
				t.execute(sql)
		# Behind the block and without one, the user may end
		# transactions.
		lease.execute("begin")
		lease.execute(insert, 3)
		lease.execute("rollback")
	assert count(pool, table) == 1


@pytest.mark.parametrize("end", ["commit", "rollback"])
def test_a_script_that_ended_its_block_is_told(pool, table, end):
	insert = f"insert into {table} values "
	with pytest.raises(mews.Partly, match="within its block") as caught:
		with pool.transaction("write") as t:
			t.script(f"{insert} (1, 'x'); {end};")
	assert not caught.value.may_resend
	assert caught.value.sqlstate == "25P01"
	with pytest.raises(mews.Partly, match="within its block"):
		with pool.transaction("write") as t:
			t.script(end)
			t.rollback()
	# A statement behind the script is in a transaction again.
	with pytest.raises(KeyError):
		with pool.transaction("write") as t:
			t.script(end)
			t.execute(f"{insert} (2, 'x')")
			raise KeyError
	assert count(pool, table) == (end == "commit")


def test_a_copy_out_may_be_left(pool):
	sql = "copy (select generate_series(1, 100000)) to stdout"
	with pool.lease("read") as lease:
		for _ in range(3):
			for _ in lease.copy_out(sql):
				break
			assert lease.query("select 1::int") == [(1,)]
		more = lease.copy_out(sql)
		next(more)
		# Another call waits for the rest of the COPY, which is kept.
		assert lease.script("select 1")[0] == [(1,)]
		assert sum(1 for _ in more) == 99999
		next(lease.copy_out(sql))
		with lease.transaction() as t:
			assert t.query("select 1::int") == [(1,)]


class Stop(BaseException):
	pass


def test_an_interrupt_leaves_a_lease_of_use(pool, table):
	def stop(*_):
		raise Stop

	def source(lines):
		for _ in range(lines):
			yield "1\tx\n" * 1000
		os.kill(os.getpid(), signal.SIGALRM)
		while True:
			yield "1\tx\n" * 1000

	begun = time.monotonic()
	pool.execute("write", f"alter table {table} drop constraint "
	    f"{table}_pkey")
	before = signal.signal(signal.SIGALRM, stop)
	try:
		with pool.lease("write") as lease:
			for call in (lease.script, lease.query):
				with pytest.raises(Stop):
					signal.setitimer(signal.ITIMER_REAL, 0.03)
					call("select pg_sleep(50)")
				assert lease.query("select 1::int") == [(1,)]
			for lines in (0, 1, 100):
				with pytest.raises(Stop):
					lease.copy_in(f"copy {table} from stdin",
					    source(lines))
				assert lease.query(f"select count(*) from {table}") \
				    == [(0,)]
		assert time.monotonic() - begun < PATIENCE
	finally:
		signal.setitimer(signal.ITIMER_REAL, 0)
		signal.signal(signal.SIGALRM, before)


async def after(turns, work):
	"""Run work(), and cancel it after a number of turns of the loop."""
	task = asyncio.ensure_future(work())
	for _ in range(turns):
		await asyncio.sleep(0)
	task.cancel()
	try:
		await task
	except asyncio.CancelledError:
		return True


def test_a_copy_in_tells_what_ended_it(fleet, pool, table):
	parent = os.getpid()
	children = []

	def killed():
		while True:
			yield "1\tx\n" * 1000
			pool.query("write", "select pg_terminate_backend($1)", pid)

	def forked():
		yield "1\tx\n"
		children.append(os.fork())
		if os.getpid() != parent:
			raise KeyError
		yield "2\tx\n"

	sql = f"copy {table} from stdin"
	pool.execute("write", f"alter table {table} drop constraint "
	    f"{table}_pkey")
	with pool.lease("write") as lease:
		pid, = lease.query("select pg_backend_pid()")[0]
		with pytest.raises(mews.Error, match="terminating|lost"):
			lease.copy_in(sql, killed())
	assert count(pool, table) == 0
	right = False
	try:
		with pool.lease("write") as lease:
			right = lease.copy_in(sql, forked()) == 2
	except KeyError:
		right = pool.query("write", "select 1::int") == [(1,)]
	finally:
		if os.getpid() != parent:
			os._exit(0 if right else 1)
	assert os.waitstatus_to_exitcode(os.waitpid(children[0], 0)[1]) == 0
	assert right and fleet.reap(children[0])


def test_a_cancelled_query_ends_at_its_server(fleet, pool):
	def runs():
		return pool.query("write", "select 1 from pg_stat_activity where "
		    "query like 'select pg_sleep(50)%' and state = 'active'")

	async def cancel(query):
		task = asyncio.ensure_future(query("select pg_sleep(50)"))
		while not runs():
			await asyncio.sleep(0.01)
		task.cancel()
		while runs():
			await asyncio.sleep(0.01)

	async def work():
		async with fleet.async_pool() as mine:
			await cancel(lambda sql: mine.query("write", sql))
			async with mine.lease("write") as lease:
				await cancel(lease.query)
				await cancel(lease.script)
			async with mine.transaction("write") as t:
				await cancel(t.query)
				await t.rollback()

	asyncio.run(asyncio.wait_for(work(), PATIENCE))


def test_a_call_that_is_cancelled_anywhere_leaves_a_lease_of_use(fleet, pool,
    table):
	sql = f"copy {table} from stdin"

	async def source():
		for i in range(3):
			yield f"{i}\tx\n"
			await asyncio.sleep(0)
		await asyncio.sleep(PATIENCE)

	async def first(rows):
		async for row in rows:
			pass

	async def block(lease):
		async with lease.transaction() as t:
			await t.execute(f"insert into {table} values (1, 'x')")
			await t.execute("select pg_sleep(50)")

	async def work():
		async with fleet.async_pool() as mine:
			async with mine.lease("write") as lease:
				for turns in range(9):
					for call in (
					    lambda: lease.copy_in(sql, source()),
					    lambda: first(lease.copy_out("copy (select "
						"generate_series(1, 1000)) to stdout")),
					    lambda: first(lease.rows("select "
						"generate_series(1, 1000)")),
					    lambda: first_of(lease.script,
						"select pg_sleep(0.01)"),
					    lambda: first_of(lease.query,
						"select pg_sleep(50)"),
					    lambda: first_of(lease.describe, "select 1"),
					    lambda: block(lease)):
						await after(turns, call)
						assert await lease.query("select count(*) "
						    f"from {table}") == [(0,)]
						await after(turns, call)
						assert await lease.copy_in(sql, []) == 0
						await after(turns, call)
						async with lease.transaction() as t:
							assert (await t.script("select 1"))[
							    0] == [(1,)]
			for turns in range(9):
				await after(turns, lambda: outer(mine))
			stats = mine.stats("write")
			assert stats["leased"] == 0
			await asyncio.gather(*(mine.query("write", "select 1")
			    for _ in range(20)))

	async def first_of(function, sql):
		return await function(sql)

	async def outer(mine):
		async with mine.transaction("write") as t:
			async with t.savepoint() as s:
				await s.execute(f"insert into {table} values (1, '')")
				await s.copy_in(sql, source())

	asyncio.run(asyncio.wait_for(work(), PATIENCE))
	assert count(pool, table) == 0


def test_a_savepoint_is_undone_by_whatever_ends_it(fleet, pool, table):
	insert = f"insert into {table} values ($1, '')"
	with pool.transaction("write") as t:
		t.execute(insert, 1)
		with pytest.raises(Stop):
			with t.savepoint() as s:
				s.execute(insert, 2)
				raise Stop

	async def work():
		async with fleet.async_pool() as mine, \
		    mine.transaction("write") as t:
			await t.execute(insert, 3)
			for slow in (lambda s: asyncio.sleep(PATIENCE),
			    lambda s: s.query("select pg_sleep(50)")):
				with pytest.raises(asyncio.TimeoutError):
					await asyncio.wait_for(part(t, slow), 0.05)
			await t.execute(insert, 5)

	async def part(t, slow):
		async with t.savepoint() as s:
			await s.execute(insert, 4)
			await slow(s)

	asyncio.run(asyncio.wait_for(work(), PATIENCE))
	assert pool.query("write", f"select id from {table} order by id") == [
	    (1,), (3,), (5,)]


def test_tasks_wait_behind_a_copy_in_their_order(fleet, table):
	async def source():
		yield "1\tx\n"
		await asyncio.sleep(PATIENCE)

	async def work():
		async with fleet.async_pool() as mine, \
		    mine.lease("write") as lease:
			sql = f"copy {table} from stdin"
			copy = asyncio.ensure_future(lease.copy_in(sql, source()))
			while mine.stats("write")["in_flight"] == 0:
				await asyncio.sleep(0)
			# The source may never end.
			with pytest.raises(mews.Invalid, match="copy_in"):
				await lease.query("select 1")
			copy.cancel()
			with pytest.raises(asyncio.CancelledError):
				await copy
			calls = [asyncio.ensure_future(lease.query(
			    "select $1::int, clock_timestamp()", i))
			    for i in range(10)]
			calls[3].cancel()
			rows = await asyncio.gather(*calls,
			    return_exceptions=True)
			rows = [row[0] for i, row in enumerate(rows) if i != 3]
			assert [row[0] for row in rows] == [
			    i for i in range(10) if i != 3]
			assert rows == sorted(rows, key=lambda row: row[1])

	asyncio.run(asyncio.wait_for(work(), PATIENCE))


class Odd:
	"""A parameter whose text comes from a function."""

	def __init__(self, function):
		self.function = function


mews.register_type(python=Odd, dump=lambda odd: odd.function() or "5")


def test_a_parameter_may_close_what_it_is_for(fleet):
	pool = fleet.pool()

	def end():
		lease.end()

	def fail():
		raise KeyError("mine")
	for _ in range(3):
		assert pool.query("write", "select $1::int", Odd(pool.close)) \
		    == [(5,)]
		for way in ("query", "rows"):
			lease = pool.lease("write")
			with pytest.raises(mews.Invalid, match="ended"):
				list(getattr(lease, way)("select $1", Odd(end)))
			lease = pool.lease("write")
			with pytest.raises(mews.Unavailable):
				list(getattr(lease, way)("select $1",
				    Odd(pool.close)))
	with pytest.raises(KeyError, match="mine"):
		pool.query("write", "select $1", Odd(fail))
	assert pool.query("write", "select 1::int") == [(1,)]


def test_a_parameter_may_fork(fleet):
	pool = fleet.pool()
	parent = os.getpid()
	children = []
	try:
		rows = pool.query("write", "select $1::int, pg_backend_pid()",
		    Odd(lambda: children.append(os.fork())))
		right = rows[0][0] == 5
		backend = pool.query("write", "select pg_backend_pid()")[0][0]
	finally:
		if os.getpid() != parent:
			os._exit(0 if right else 1)
	assert os.waitstatus_to_exitcode(os.waitpid(children[0], 0)[1]) == 0
	assert right and fleet.reap(children[0])
	assert pool.query("write", "select 1 from pg_stat_activity "
	    "where pid = $1", backend)


@pytest.mark.parametrize("error", [StopIteration, GeneratorExit, KeyError,
    StopAsyncIteration, asyncio.CancelledError])
def test_an_exception_of_a_decoder_arrives(fleet, pool, error):
	def decode(text):
		raise error

	sql = "select '00:00:00:00:00:01'::macaddr"

	async def work(mine):
		await mine.query("read", sql)

	async def run():
		async with fleet.async_pool() as mine:
			try:
				await asyncio.wait_for(
				    asyncio.ensure_future(work(mine)), PATIENCE)
			except BaseException as raised:
				result = raised
			assert await mine.query("read", "select 1::int") == [(1,)]
			return result
	mews.register_type(829, decode)
	try:
		with pytest.raises(error):
			pool.query("read", sql)
		result = asyncio.run(run())
	finally:
		mews.register_type(829, str)
	assert not isinstance(result, asyncio.TimeoutError)
	assert pool.query("read", "select 1::int") == [(1,)]


def test_a_child_of_a_running_loop_begins_its_own(fleet):
	parent = os.getpid()
	children = []

	def decode(text):
		if not children:
			children.append(os.fork())
		return text

	async def ask():
		return (await fleet.async_pool().query("write",
		    "select 7::int"))[0][0]

	async def work():
		mine = fleet.async_pool()
		await mine.query("write", "select '00:00:00:00:00:01'::macaddr")
		if os.getpid() == parent:
			return await ask() == 7
		try:
			await mine.query("write", "select 1")
		except mews.Invalid as error:
			assert "asyncio.run()" in error.message
			return asyncio.run(ask()) == 7

	right = False
	mews.register_type(829, decode)
	try:
		right = asyncio.run(asyncio.wait_for(work(), PATIENCE))
	finally:
		if os.getpid() != parent:
			os._exit(0 if right else 1)
		mews.register_type(829, str)
	assert os.waitstatus_to_exitcode(os.waitpid(children[0], 0)[1]) == 0
	assert right and fleet.reap(children[0])
