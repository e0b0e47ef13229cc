# Queries, rows and errors of a blocking pool.

import copy
import pickle
import signal
import threading

import mews
import pytest
from conftest import settings, until


def test_a_row_is_a_tuple_with_names(pool):
	row, = pool.query("read", "select 1::int as id, 'x'::text as name, "
	    "null::int as nothing")
	assert row == (1, "x", None) and isinstance(row, tuple)
	assert (row.id, row["name"], row[-1]) == (1, "x", None)
	number, name, nothing = row
	assert (number, name, nothing) == row and hash(row) == hash((1, "x",
	    None))
	assert row._fields == ("id", "name", "nothing")
	assert row._asdict() == {"id": 1, "name": "x", "nothing": None}
	assert repr(row) == "Row(id=1, name='x', nothing=None)"
	assert row[0:2] == (1, "x") and len(row) == 3
	with pytest.raises(AttributeError):
		row.other
	with pytest.raises(KeyError):
		row["other"]
	with pytest.raises(IndexError):
		row[3]


def test_a_row_survives_pickle_and_copy(pool):
	row, = pool.query("read", "select 1::int as id, '{1,2}'::int[] as l")
	for twin in (pickle.loads(pickle.dumps(row)), copy.deepcopy(row)):
		assert twin == row and twin.id == 1 and twin.l == [1, 2]


def test_names_of_columns_win_over_methods(pool):
	row, = pool.query("read", "select 5::int as count, 6::int as index, "
	    "7::int as index")
	assert row.count == 5 and row.index == 6


def test_a_result_knows_its_columns_and_its_endpoint(pool):
	rows = pool.query("read", "select 1::int as id where false")
	assert rows == [] and rows.columns == ("id",) and rows.rowcount == 0
	assert rows.endpoint in ("a", "b", "c")


def test_affected_rows_are_counted(pool, table):
	assert pool.execute("write", f"insert into {table} select i, 'x' "
	    "from generate_series(1, 10) as i") == 10
	rows = pool.query("write", f"delete from {table} where id > $1 "
	    "returning id", 7)
	assert rows.rowcount == 3 and len(rows) == 3


def test_a_repeated_text_follows_changes_of_its_table(pool, table):
	sql = f"select * from {table}"
	for _ in range(3):
		assert pool.query("write", sql).columns == ("id", "name")
	pool.execute("write", f"alter table {table} rename name to label")
	pool.execute("write", f"alter table {table} add more numeric")
	assert pool.query("write", sql).columns == ("id", "label", "more")


def test_many_different_texts_are_remembered_in_bounds(pool):
	for i in range(2500):
		assert pool.query("read", f"select {i}::int")[0][0] == i
	assert pool.query("read", "select 1::int")[0][0] == 1


def test_an_error_tells_what_may_be_done(pool, table):
	insert = f"insert into {table} values ($1, $2)"
	pool.execute("write", insert, 1, "x")
	with pytest.raises(mews.IntegrityError) as caught:
		pool.execute("write", insert, 1, "x")
	error = caught.value
	assert isinstance(error, mews.SQLError)
	assert (error.status, error.sqlstate) == ("SQL", "23505")
	assert error.constraint == f"{table}_pkey" and error.may_resend
	assert "duplicate key" in error.message and "(id)=(1)" in error.detail
	assert error.endpoint == "a"


def test_classes_of_errors(pool):
	for sql, kind in [
		("select 1/0", mews.DataError),
		("select no_such_column", mews.ProgrammingError),
		("selct", mews.ProgrammingError),
		("create table x ()", mews.ReadOnlyError),
		("begin", mews.Invalid),
	]:
		with pytest.raises(kind):
			pool.query("read", sql)
	assert issubclass(mews.Invalid, mews.NotSent)


def test_mistakes_of_the_caller(pool):
	with pytest.raises(KeyError, match="no group 'none'"):
		pool.query("none", "select 1")
	for wrong in [(), ("read",), (1, "select 1"), ("read", 1),
	    ("read", b"select 1")]:
		with pytest.raises(TypeError):
			pool.query(*wrong)
	with pytest.raises(TypeError, match="no option"):
		pool.query("read", "select 1", colour=1)
	with pytest.raises(ValueError, match="NUL"):
		pool.query("read", "select $1", "a\0b")
	with pytest.raises(TypeError, match="register_type"):
		pool.query("read", "select $1", object())
	with pytest.raises(mews.ProgrammingError, match="requires 2"):
		pool.query("read", "select $1::int + $2::int", 1)


def test_a_query_that_takes_too_long_ends():
	groups = {"slow": {"query_timeout": "400ms"}}
	with mews.Fleet(settings(groups=groups)) as fleet:
		with pytest.raises(mews.Timeout) as caught:
			fleet.pool().query("slow", "select pg_sleep(30)")
		assert caught.value.may_resend


def test_without_a_server_nothing_was_sent():
	endpoints = {"a": "host=127.0.0.1 port=1"}
	with mews.Fleet(settings(endpoints=endpoints)) as fleet:
		with pytest.raises(mews.NotSent) as caught:
			fleet.pool().query("read", "select 1", wait=0.1)
		assert caught.value.may_resend


def test_a_configuration_is_refused_with_its_reason():
	for wrong, why in [
		({"workers": "many"}, "workers"),
		({"groups": {"read": {"role": "king"}}}, "role"),
		({"groups": {"read": {"query_timeout": 5}}}, "query_timeout"),
		({"endpoints": {}}, "endpoint"),
	]:
		with pytest.raises(mews.Invalid, match=why):
			mews.Fleet(settings(**wrong))
	with pytest.raises(ValueError, match="colour"):
		mews.Fleet(settings(colour="red"))
	for wrong in ({"groups": ["read"]}, {"endpoints": {"a": 5}}):
		with pytest.raises(TypeError, match="dict"):
			mews.Fleet(settings(**wrong))


def test_a_file_needs_no_application(tmp_path):
	path = tmp_path / "mews.conf"
	path.write_text("endpoint 'a' { conninfo = 'host=127.0.0.1' }\n"
	    "group 'read' { }\n")
	with mews.Fleet(path, runtime_file=tmp_path / "segment"):
		assert (tmp_path / "segment").exists()
	assert not (tmp_path / "segment").exists()
	path.write_text("endpoint 'a' { colour = red }\n")
	with pytest.raises(mews.Invalid, match=r"mews.conf:1: "):
		mews.Fleet(path)


def test_texts_of_a_configuration_are_quoted():
	for name in ("it's", 'say "x"', "back\\slash", "$HOME", "${HOME}"):
		endpoints = {"a": f"host=/nowhere application_name='{name}'"}
		try:
			mews.Fleet(settings(endpoints=endpoints)).close()
		except mews.Invalid as error:  # libpq itself shows its quotes
			assert "conninfo" in error.message


def test_a_signal_interrupts_a_wait_and_the_pool_goes_on(pool):
	class Stop(Exception):
		pass

	def stop(*_):
		raise Stop

	before = signal.signal(signal.SIGALRM, stop)
	try:
		with pytest.raises(Stop):
			signal.setitimer(signal.ITIMER_REAL, 0.05)
			pool.query("read", "select pg_sleep(1000)")
		assert pool.query("read", "select 1::int")[0][0] == 1
	finally:
		signal.signal(signal.SIGALRM, before)


def test_a_signal_handler_may_query_meanwhile(pool):
	heard = []
	before = signal.signal(signal.SIGALRM, lambda *_: heard.append(
	    pool.query("read", "select 2::int")[0][0]))
	try:
		signal.setitimer(signal.ITIMER_REAL, 0.05)
		assert pool.query("read", "select 1::int from pg_sleep(0.3)") \
		    == [(1,)]
		assert heard == [2]
	finally:
		signal.signal(signal.SIGALRM, before)


def test_each_thread_has_a_pool_of_its_own(fleet, pool):
	found = []

	def work():
		mine = fleet.pool()
		assert mine is not pool and mine is fleet.pool()
		found.append(mine.query("read", "select 1::int")[0][0])
		try:
			pool.query("read", "select 1")
		except mews.Invalid as error:
			found.append(error.status)

	pool.query("read", "select 1")
	threads = [threading.Thread(target=work) for _ in range(4)]
	for thread in threads:
		thread.start()
	for thread in threads:
		thread.join()
	assert sorted(map(str, found)) == ["1"] * 4 + ["INVALID"] * 4


def test_other_threads_run_while_a_query_waits(fleet, pool):
	lock = "select pg_advisory_lock(1)"
	held = threading.Event()

	def work():
		mine = fleet.pool()
		with mine.lease("write") as lease:
			lease.query(lock)
			held.set()
			# Wait until the other thread waits for the lock, in
			# the server.
			until(lambda: mine.query("write", "select 1 from "
			    "pg_locks where locktype = 'advisory' and "
			    "not granted"))

	thread = threading.Thread(target=work)
	thread.start()
	held.wait()
	with pool.lease("write") as lease:
		lease.query(lock)
	thread.join()


def test_a_closed_pool_opens_again(pool):
	pool.close()
	assert pool.query("read", "select 1::int") == [(1,)]
	assert pool.stats("read")["connections"] >= 1


def test_what_was_written_is_read(pool, table):
	pool.execute("write", f"insert into {table} values (1, 'x')",
	    position=True)
	assert pool.position() > 0
	for _ in range(10):
		assert len(pool.query("read", f"select * from {table}",
		    after=pool.position())) == 1
