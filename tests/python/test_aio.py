# Tests of mews.aio: queries with await, on asyncio's loop.

import asyncio
import functools
import os

import mews
import pytest
from conftest import PATIENCE, a_table

try:
	import uvloop
except ImportError:
	uvloop = None


async def until(condition):
	"""Let other tasks run until condition() is true; asynchronous() bounds
	the wait."""
	while not condition():
		await asyncio.sleep(0.005)


def asynchronous(test):
	"""Run a test on a loop of its own, once for each kind that is
	installed, and close the pool behind it."""
	@functools.wraps(test)
	def run(fleet, pool):
		async def work(name):
			async with fleet.async_pool() as mine:
				await asyncio.wait_for(test(mine, name),
				    PATIENCE)

		for kind in (asyncio, uvloop):
			if kind is None:
				continue
			with a_table(pool) as name:
				loop = kind.new_event_loop()
				try:
					loop.run_until_complete(work(name))
				finally:
					loop.run_until_complete(
					    loop.shutdown_asyncgens())
					loop.close()
	# pytest finds fixtures by the names of parameters.
	del run.__wrapped__
	return run


@asynchronous
async def test_queries(pool, table):
	rows = await pool.query("read", "select $1::int as x", 7)
	assert rows[0].x == 7 and rows.endpoint in ("a", "b", "c")
	assert await pool.execute("write",
	    f"insert into {table} values (1, 'x'), (2, 'y')",
	    position=True) == 2
	assert len(await pool.query("read", f"select * from {table}",
	    after=pool.position())) == 2


@asynchronous
async def test_many_tasks_share_few_connections(pool, table):
	async def one(i):
		return (await pool.query("read", "select $1::int", i))[0][0]

	for _ in range(3):
		assert await asyncio.gather(*map(one, range(500))) == list(
		    range(500))
	stats = pool.stats("read")
	assert 0 < stats["connections"] <= 4 and stats["queries"] == 1500


@asynchronous
async def test_errors(pool, table):
	results = await asyncio.gather(*(pool.query("read",
	    "select 1 / $1::int", i % 3) for i in range(30)),
	    return_exceptions=True)
	for i, result in enumerate(results):
		if i % 3 == 0:
			assert isinstance(result, mews.DataError)
		else:
			assert result[0][0] == 1 // (i % 3)
	with pytest.raises(mews.Invalid):
		await pool.query("read", "begin")
	with pytest.raises(KeyError):
		pool.query("none", "select 1")


@asynchronous
async def test_a_task_that_is_cancelled_cancels_its_query(pool, table):
	task = asyncio.create_task(pool_sleep(pool))
	await until(lambda: pool.stats("read")["in_flight"] == 1)
	task.cancel()
	with pytest.raises(asyncio.CancelledError):
		await task
	assert await pool.query("read", "select 1::int") == [(1,)]
	with pytest.raises(asyncio.TimeoutError):
		await asyncio.wait_for(pool_sleep(pool), 0.05)


async def pool_sleep(pool):
	return await pool.query("read", "select pg_sleep(20)")


@asynchronous
async def test_transactions(pool, table):
	insert = f"insert into {table} values ($1, 'x')"
	async with pool.transaction("write") as t:
		await t.execute(insert, 1)
		with pytest.raises(mews.IntegrityError):
			async with t.savepoint() as s:
				await s.execute(insert, 1)
		async with t.savepoint() as s:
			await s.execute(insert, 2)
	with pytest.raises(KeyError):
		async with pool.transaction("write") as t:
			await t.execute(insert, 3)
			raise KeyError
	async with pool.transaction("write") as t:
		await t.execute(insert, 4)
		await t.rollback()
	assert await pool.query("write", f"select id from {table} "
	    "order by id") == [(1,), (2,)]


@asynchronous
async def test_a_conflict_is_tried_again(pool, table):
	await pool.execute("write", f"insert into {table} values (1, '0')")
	tries = []

	async def change(t):
		tries.append(1)
		await t.query(f"select name from {table}")
		if len(tries) < 3:
			await pool.execute("write",
			    f"update {table} set name = 'x'")
		await t.execute(f"update {table} set name = 'y'")

	await pool.transaction("write", isolation="repeatable read",
	    retry=5).run(change)
	assert len(tries) == 3


@asynchronous
async def test_leases_and_streams(pool, table):
	async with pool.lease("write") as lease:
		assert await lease.copy_in(f"copy {table} from stdin",
		    (f"{i}\tx\n" for i in range(2000))) == 2000

		async def source():
			for i in range(5000, 6000):
				yield f"{i}\ty\n"
		assert await lease.copy_in(f"copy {table} from stdin",
		    source()) == 1000
		total = 0
		async for row in lease.rows(f"select * from {table}"):
			total += 1
		assert total == 3000
		pieces = [data async for data in
		    lease.copy_out(f"copy {table} to stdout")]
		assert len(pieces) == 3000

		async def bad():
			yield "9000\tx\n"
			raise KeyError
		with pytest.raises(KeyError):
			await lease.copy_in(f"copy {table} from stdin", bad())
		assert await lease.query(f"select count(*) from {table}") == [
		    (3000,)]
	lease = await pool.lease("read")
	assert await lease.query("select 1::int") == [(1,)]
	lease.end()


@asynchronous
async def test_a_call_while_rows_are_read_waits_for_the_rest(pool, table):
	async with pool.transaction("write") as t:
		count = 0
		async for row in t.rows("select generate_series(1, 20000)"):
			if count == 0:
				assert await t.query("select 5::int") == [(5,)]
			count += 1
		assert count == 20000
		async for row in t.rows("select generate_series(1, 20000)"):
			break
		assert await t.query("select 5::int") == [(5,)]
	with pytest.raises(RuntimeError, match="async with"):
		pool.transaction("write").execute("select 1")


@asynchronous
async def test_more_tasks_than_connections_take_turns(pool, table):
	active = []
	most = []

	async def work(i):
		async with pool.transaction("write") as t:
			active.append(i)
			most.append(len(active))
			await t.execute(f"insert into {table} values ($1, '')", i)
			active.remove(i)

	await asyncio.gather(*map(work, range(50)))
	assert max(most) <= 4
	assert await pool.query("write", f"select count(*) from {table}") == [
	    (50,)]


@asynchronous
async def test_a_wait_for_a_lease_may_be_cancelled(pool, table):
	held = [await pool.lease("write") for _ in range(4)]
	task = asyncio.ensure_future(wait_lease(pool))
	await until(lambda: pool.stats("write")["waiting"] == 1)
	task.cancel()
	with pytest.raises(asyncio.CancelledError):
		await task
	for lease in held:
		lease.end()
	for _ in range(8):
		(await pool.lease("write")).end()


async def wait_lease(pool):
	return await pool.lease("write")


@asynchronous
async def test_notifications(pool, table):
	async with pool.listen("aio") as listener:
		heard = listener.__aiter__()
		assert (await heard.__anext__()).event == "listening"
		await pool.execute("write", "select pg_notify('aio', 'x')")
		assert (await heard.__anext__()).payload == "x"


@asynchronous
async def test_a_close_ends_what_waits(pool, table):
	listener = pool.listen("aio")
	assert (await listener.get()).event == "listening"
	tasks = [asyncio.ensure_future(pool_sleep(pool)),
	    asyncio.ensure_future(listener.get())]
	await until(lambda: pool.stats("read")["in_flight"] == 1)
	pool.close()
	for task in tasks:
		with pytest.raises(mews.Canceled):
			await task
	assert await pool.query("read", "select 1::int") == [(1,)]


def test_a_loop_after_another(fleet):
	async def work():
		return (await fleet.async_pool().query("read",
		    "select 1::int"))[0][0]

	for _ in range(3):
		assert asyncio.run(work()) == 1


def test_a_child_has_a_loop_of_its_own(fleet):
	async def work():
		return (await fleet.async_pool().query("write",
		    "select pg_backend_pid()"))[0][0]

	asyncio.run(work())
	pid = os.fork()
	if pid == 0:
		try:
			os._exit(0 if asyncio.run(work()) else 1)
		except BaseException:
			os._exit(2)
	assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
	assert fleet.reap(pid)


def test_blocking_and_asynchronous_side_by_side(fleet, pool):
	async def work():
		mine = fleet.async_pool()
		future = mine.query("read", "select 1::int")
		assert pool.query("read", "select 2::int") == [(2,)]
		assert await future == [(1,)]
	asyncio.run(work())
