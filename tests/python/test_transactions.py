# Transactions, savepoints, leases, rows one by one, COPY and LISTEN.

import signal

import mews
import pytest


def count(pool, table):
	return pool.query("write", f"select count(*) from {table}")[0][0]


def test_a_transaction_commits_at_its_end(pool, table):
	with pool.transaction("write") as t:
		t.execute(f"insert into {table} values (1, 'x')")
		assert count(pool, table) == 0
	assert count(pool, table) == 1


def test_an_exception_rolls_a_transaction_back(pool, table):
	with pytest.raises(ZeroDivisionError):
		with pool.transaction("write") as t:
			t.execute(f"insert into {table} values (1, 'x')")
			1 / 0
	assert count(pool, table) == 0


def test_a_rollback_by_the_block_itself(pool, table):
	with pool.transaction("write") as t:
		t.execute(f"insert into {table} values (1, 'x')")
		t.rollback()
	assert count(pool, table) == 0


def test_an_error_that_was_swallowed_does_not_commit(pool, table):
	with pytest.raises(mews.SQLError):
		with pool.transaction("write") as t:
			t.execute(f"insert into {table} values (1, 'x')")
			try:
				t.execute("select 1/0")
			except mews.DataError:
				pass
	assert count(pool, table) == 0


def test_savepoints_nest(pool, table):
	insert = f"insert into {table} values ($1, 'x')"
	with pool.transaction("write") as t:
		t.execute(insert, 1)
		with pytest.raises(mews.IntegrityError):
			with t.savepoint() as s:
				s.execute(insert, 2)
				s.execute(insert, 1)
		with t.savepoint() as s:
			s.execute(insert, 3)
			with pytest.raises(KeyError):
				with s.savepoint() as inner:
					inner.execute(insert, 4)
					raise KeyError
	assert pool.query("write", f"select id from {table} order by id") == [
	    (1,), (3,)]


def test_options_of_a_transaction(pool):
	show = ("select current_setting('transaction_isolation'), "
	    "current_setting('transaction_read_only')")
	with pool.transaction("write", isolation="SERIALIZABLE",
	    read_only=True) as t:
		assert t.query(show) == [("serializable", "on")]
	with pytest.raises(ValueError, match="isolation"):
		with pool.transaction("write", isolation="none"):
			pass


def test_a_conflict_is_tried_again(pool, table):
	pool.execute("write", f"insert into {table} values (1, '0')")
	tries = []

	def change(t):
		tries.append(1)
		value = int(t.query(f"select name from {table}")[0].name)
		if len(tries) < 3:
			pool.execute("write", f"update {table} set name = '7'")
		t.execute(f"update {table} set name = $1", str(value + 1))
		return value

	assert pool.transaction("write", isolation="repeatable read",
	    retry=5).run(change) == 7
	assert len(tries) == 3
	tries.clear()
	with pytest.raises(mews.TransactionConflict) as caught:
		pool.transaction("write", isolation="repeatable read",
		    retry=1).run(change)
	assert caught.value.may_resend and len(tries) == 2


def test_a_block_cannot_be_tried_again(pool):
	with pytest.raises(TypeError, match="run"):
		with pool.transaction("write", retry=1):
			pass


def test_a_lost_connection_tells_what_is_known(pool, table):
	kill = "select pg_terminate_backend($1)"
	with pytest.raises(mews.Error) as caught:
		with pool.transaction("write") as t:
			t.execute(f"insert into {table} values (1, 'x')")
			pid, = t.query("select pg_backend_pid()")[0]
			pool.query("write", kill, pid)
			t.execute(f"insert into {table} values (2, 'x')")
	assert caught.value.may_resend, caught.value.status
	with pytest.raises(mews.Lost) as caught:
		pool.execute("write", f"insert into {table} select 3, "
		    "pg_terminate_backend(pg_backend_pid())::text "
		    "from pg_sleep(0.01)")
	assert not caught.value.may_resend
	assert count(pool, table) == 0
	assert pool.transaction("write", retry=1).run(
	    lambda t: t.query("select 1::int")) == [(1,)]


def test_a_lease_leaves_nothing_behind(pool):
	for _ in range(4):
		with pool.lease("write") as lease:
			lease.execute("set search_path = nowhere")
	for _ in range(8):
		with pool.lease("write") as lease:
			path, = lease.query("show search_path")[0]
			assert path != "nowhere" and lease.endpoint == "a"


def test_a_transaction_on_a_lease(pool, table):
	with pool.lease("write") as lease:
		with lease.transaction() as t:
			t.execute(f"insert into {table} values (1, 'x')")
		with pytest.raises(KeyError):
			with lease.transaction() as t:
				t.execute(f"insert into {table} values (2, 'x')")
				raise KeyError
		assert lease.query(f"select count(*) from {table}")[0][0] == 1


def test_an_ended_lease_refuses(pool):
	with pool.lease("read") as lease:
		pass
	with pytest.raises(mews.Invalid):
		lease.query("select 1")
	lease.end()


def test_a_lease_that_nobody_holds_is_free_again(pool):
	for _ in range(50):
		pool.lease("write").query("select 1")


def test_rows_one_by_one(pool):
	with pool.lease("read") as lease:
		total = 0
		for row in lease.rows("select i, repeat('x', 100) as text "
		    "from generate_series(1, $1::int) as i", 20000):
			total += row.i
		assert total == 20000 * 20001 // 2


def test_a_loop_over_rows_may_be_left(pool):
	with pool.lease("read") as lease:
		for row in lease.rows("select i from generate_series(1, "
		    "100000) as i"):
			if row.i == 5:
				break
		assert lease.query("select 1::int") == [(1,)]


def test_a_call_while_rows_are_read_waits_for_the_rest(pool):
	with pool.transaction("write") as t:
		rows = t.rows("select generate_series(1, 50000)::int")
		next(rows)
		assert t.query("select 5::int") == [(5,)]
		assert sum(1 for _ in rows) == 49999
		more = t.rows("select generate_series(1, 50000)")
		next(more)
		with pytest.raises(KeyError):
			with t.savepoint() as s:
				left = s.rows("select generate_series(1, 50000)")
				next(left)
				raise KeyError
		assert sum(1 for _ in more) == sum(1 for _ in left) == 49999
		last = t.rows("select generate_series(1, 50000)")
		next(last)
	assert sum(1 for _ in last) == 49999


def test_a_source_cannot_use_the_connection(pool, table):
	with pool.lease("write") as lease:
		def source():
			yield "1\tx\n"
			lease.query("select 1")
		with pytest.raises(mews.Invalid, match="copy_in"):
			lease.copy_in(f"copy {table} from stdin", source())
		assert lease.query(f"select * from {table}") == []


def test_a_transaction_begins_with_its_block(pool):
	for kind in (pool.transaction("write"), pool.transaction(
	    "write").savepoint()):
		with pytest.raises(RuntimeError, match="`with`"):
			kind.execute("select 1")
		with pytest.raises(AttributeError, match="commit"):
			kind.commit()


def test_rows_end_with_their_error(pool):
	seen = []
	with pool.lease("read") as lease:
		with pytest.raises(mews.DataError):
			for row in lease.rows("select 1 / (1000 - i) as x "
			    "from generate_series(1, 2000) as i"):
				seen.append(row)
		assert len(seen) == 999
		assert lease.query("select 1::int") == [(1,)]


def test_copy_both_ways(pool, table):
	with pool.lease("write") as lease:
		assert lease.copy_in(f"copy {table} from stdin",
		    (f"{i}\tname {i}\n" for i in range(5000))) == 5000
		out = list(lease.copy_out(f"copy (select * from {table} "
		    "order by id) to stdout"))
		assert len(out) == 5000 and out[7] == b"7\tname 7\n"
		assert lease.copy_in(f"copy {table} from stdin", []) == 0
		big = b"".join(b"%d\tx\n" % i for i in range(10000, 500000))
		assert lease.copy_in(f"copy {table} from stdin", [big]) == \
		    490000


def test_a_source_that_fails_stores_nothing(pool, table):
	def source():
		for i in range(1000):
			yield f"{i}\tx\n"
		raise KeyError("mine")

	with pool.lease("write") as lease:
		with pytest.raises(KeyError, match="mine"):
			lease.copy_in(f"copy {table} from stdin", source())
		assert lease.query(f"select count(*) from {table}") == [(0,)]


def test_a_mistake_in_the_data_is_told(pool, table):
	with pool.lease("write") as lease:
		with pytest.raises(mews.DataError):
			lease.copy_in(f"copy {table} from stdin",
			    ["1\tx\nnone\tx\n"])
		with pytest.raises(mews.ProgrammingError):
			lease.copy_in("copy nowhere from stdin", ["1\tx\n"])
		with pytest.raises(mews.ProgrammingError):
			list(lease.copy_out("copy nowhere to stdout"))
		assert lease.query("select 1::int") == [(1,)]


def test_a_signal_ends_a_stream(pool, table):
	class Stop(Exception):
		pass

	def stop(*_):
		raise Stop

	before = signal.signal(signal.SIGALRM, stop)
	try:
		for sql in ("select pg_sleep(50)", "select pg_sleep(0.001) "
		    "from generate_series(1, 100000)"):
			with pytest.raises(Stop):
				signal.setitimer(signal.ITIMER_REAL, 0.05)
				with pool.lease("read") as lease:
					for _ in lease.rows(sql):
						pass
		with pytest.raises(Stop):
			signal.setitimer(signal.ITIMER_REAL, 0.05)
			with pool.transaction("write") as t:
				t.execute("select pg_sleep(50)")
		assert pool.query("write", "select 1::int") == [(1,)]
	finally:
		signal.signal(signal.SIGALRM, before)


def test_notifications_are_heard(pool):
	with pool.listen("python test") as listener:
		assert listener.get(45).event == "listening"
		assert listener.get(0.01) is None
		for i in range(3):
			pool.execute("write", "select pg_notify('python test',"
			    " $1)", str(i))
		heard = [listener.get(45) for _ in range(3)]
		assert [n.payload for n in heard] == ["0", "1", "2"]
		assert heard[0].event == "message" and heard[0].sender > 0
	with pytest.raises(mews.Canceled):
		listener.get(0)
