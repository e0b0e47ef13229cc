# The interface of the module pgdbpool, as its callers use it.

import copy
import datetime
import decimal
import json
import os
import pickle
import threading
import uuid

import pytest
from mews.pgdbpool import pool
from mews.pgdbpool.sql import Template

SERVER = {name: dict(word.split("=", 1) for word in os.environ.get(
    "MEWS_" + name.upper(), "").split()) for name in "abc"}


def database(name="a", **more):
	server = SERVER[name]
	return {
		"host": server["host"], "port": server["port"],
		"name": server["dbname"], "user": server["user"], "pass": "x'\\y",
		"ssl": "prefer", "connect_timeout": 30,
		"connection_retry_sleep": 1, "query_timeout": 30000,
		"session_tmp_buffer": 128, **more,
	}


def config(db=None, **more):
	return {
		"type": "non-threaded", "db": db or database(),
		"groups": {
			"auto": {"connection_count": 3, "autocommit": True},
			"manual": {"connection_count": 2, "autocommit": False},
		}, **more,
	}


@pytest.fixture(autouse=True)
def init():
	pool.Connection.init(config())
	with pool.Handler("auto") as db:
		db.query("create table if not exists old (id int primary key, "
		    "name text, at timestamp)")
		db.query("truncate old")


def ids():
	with pool.Handler("auto") as db:
		return [row[0] for row in db.query("select id from old "
		    "order by id")]


def test_rows_by_index_and_by_name():
	with pool.Handler("auto") as db:
		cursor = db.query("select 1 as id, 'x' as name, null as n")
		assert cursor.rowcount == 1
		assert [column.name for column in cursor.description] == ["id",
		    "name", "n"]
		assert cursor.description[0][1] == 23
		row = cursor.fetchone()
		assert (row[0], row["name"], row["n"]) == (1, "x", None)
		assert row == [1, "x", None] and "id" in row and "y" not in row
		assert dict(row) == {"id": 1, "name": "x", "n": None}
		assert row.get("y", 5) == 5 and list(row.keys())[0] == "id"
		assert list(row.items())[1] == ("name", "x")
		assert json.dumps(row) == '[1, "x", null]'
		row["name"] = "y"
		assert row[1] == "y"
		for twin in (pickle.loads(pickle.dumps(row)),
		    copy.deepcopy(row)):
			assert twin["name"] == "y"
		with pytest.raises(KeyError):
			row["y"]
		assert cursor.fetchone() is None


def test_ways_to_fetch():
	with pool.Handler("auto") as db:
		cursor = db.query("select generate_series(1, 10) as i")
		assert [row.get("i") for row in cursor.fetchmany(3)] == [1, 2, 3]
		assert cursor.fetchmany() == [[4]]
		assert cursor.fetchone()["i"] == 5
		assert len(cursor.fetchall()) == 5 and cursor.fetchall() == []
		cursor.scroll(0, "absolute")
		assert sum(row["i"] for row in cursor) == 55
		cursor = db.query("insert into old values (1), (2)")
		assert cursor.rowcount == 2 and cursor.description is None
		with pytest.raises(pool.DBQueryError, match="no results"):
			cursor.fetchone()


def test_parameters():
	with pool.Handler("auto") as db:
		def one(sql, params=None):
			return db.query(sql, params).fetchone()[0]
		assert one("select %s + 1", (1,)) == 2
		assert one("select %(a)s || %(b)s || %(a)s", {"a": "x", "b": "'y",
		    "c": 1}) == "x'yx"
		assert one("select 7 %% %s", (4,)) == 3
		assert one("select 'a' like '%'") is True
		assert one("select 'ab' like 'a%%' and %s", (True,)) is True
		assert one("select '%s'") == "%s"
		assert one("select 5 in %s", ((4, 5),)) is True
		assert one("select 'a' in %s", (("a'", "\\a"),)) is False
		assert one("select 5 = any(%s)", ([4, 5],)) is True
		assert one("select interval %s", ("1 day",)) == \
		    datetime.timedelta(1)
		assert one("select date %s", ("2024-01-31",)) == datetime.date(
		    2024, 1, 31)
		assert one("select %s is null", ("x",)) is False
		assert one("select %s is null", (None,)) is True
		assert one("select coalesce(%s, %s)", (None, "x")) == "x"
		assert one("select json_build_object('a', %s)", ("x",)) == {
		    "a": "x"}
		assert one("select concat(%s, %s)", ("x", 5)) == "x5"
		assert one("select round(%s, 1)", (1.25,)) == decimal.Decimal(
		    "1.3")
		assert one("select pg_typeof(%s)::text", (5,)) == "integer"
		assert one("select pg_typeof(%s)::text", (5 * 10**9,)) == "bigint"
		assert one("select 3 - %s", (-2,)) == 5
		assert one("select 3 -%s", (-2,)) == 5
		assert one("select array_length(%s, 1)", ([1, 2],)) == 2
		assert one("select %s::uuid", (uuid.UUID(int=1),)) == \
		    "00000000-0000-0000-0000-000000000001"
		db.query("set application_name = %s", ("it's \\",))
		assert one("show application_name") == "it's \\"
		assert one("select %s", ("grün \\n '",)) == "grün \\n '"
		now = datetime.datetime(2024, 1, 31, 1, 2, 3)
		db.query("insert into old (id, name, at) values (%s, %s, %s)",
		    (1, "x", now))
		assert one("select at from old where at <= %s limit %s",
		    (now, 1)) == now
		db.query("update old set name = %s where id = %s", (None, 1))
		assert one("select count(*) from old where name is null") == 1


def test_texts_that_cannot_be_bound():
	def sql(text, params, bind=True):
		with pool.Handler("auto") as db:
			return db.conn_ref._statement(Template(text), params,
			    bind).text
	assert sql("select %s", ("x",)) == "select $1"
	assert sql("select %s", (1,)) == "select $1::int4"
	assert sql("select %s", (None,)) == "select NULL"
	assert sql("SET x = %s", ("a'b",)) == "SET x = 'a''b'"
	assert sql("select Interval %s", ("1d",)) == "select Interval '1d'"
	assert sql("(select a from b where c = %s)", ("1d",)) == \
	    "(select a from b where c = $1)"
	assert sql("select %s", ("a\\b",), False) == "select  E'a\\\\b'"
	assert sql("select %s", (b"\0",), False) == "select '\\x00'::bytea"
	assert sql("select %s", (float("nan"),), False) == \
	    "select 'nan'::float8"
	assert sql("select -%s", (-1,), False) == "select - -1"
	assert sql('select "a%b", %s -- %s\n', (1,)) == \
	    'select "a%b", $1::int4 -- %s\n'
	assert sql("select in %s", ((1, (2, 3)),), False) == \
	    "select in (1, (2, 3))"


def test_mistakes():
	with pool.Handler("auto") as db:
		for text, params in [
			("select %s", ()), ("select %s", (1, 2)),
			("select %(a)s", {}), ("select %(a)s", (1,)),
			("select %s", (object(),)), ("select %s", ("\0",)),
			("select none", None), ("selct", ()),
		]:
			with pytest.raises(pool.DBQueryError):
				db.query(text, params)
		with pytest.raises(pool.DBQueryError) as caught:
			db.query("select 1/0")
		assert caught.value.sqlstate == "22012"
		assert "division by zero" in str(caught.value)
	with pytest.raises(pool.UnconfiguredGroupError):
		pool.Handler("none")
	with pytest.raises(pool.DBConnectionError):
		pool.Connection.init(config(type="odd"))
	with pytest.raises(pool.DBConnectionError):
		pool.Connection.init(config(groups={"a": {
		    "connection_count": -1}}))


def test_commit_and_its_absence():
	with pool.Handler("manual") as db:
		db.query("insert into old values (%s)", (1,))
		assert ids() == []
		db.commit()
		assert ids() == [1]
		db.query("insert into old values (2)")
	assert ids() == [1, 2], "the end of the block commits"
	with pytest.raises(ZeroDivisionError):
		with pool.Handler("manual") as db:
			db.query("insert into old values (3)")
			1 / 0
	with pool.Handler("manual") as db:
		db.query("insert into old values (4)")
		db.conn_ref.rollback()
		db.commit()
	assert ids() == [1, 2]


def test_a_commit_of_a_failed_transaction_is_told():
	with pytest.raises(pool.DBQueryError):
		with pool.Handler("manual") as db:
			db.query("insert into old values (1)")
			with pytest.raises(pool.DBQueryError):
				db.query("insert into old values (1)")
	assert ids() == []


def test_types_are_found_out_within_a_transaction():
	for name in ("x", "y"):
		with pool.Handler("manual") as db:
			db.query("insert into old (id) values (%s)", (ord(name),))
			assert db.query("select json_build_object(%s, 1) as j",
			    (name,)).fetchone()["j"] == {name: 1}
	assert ids() == [ord("x"), ord("y")]


def test_the_connection_itself():
	with pool.Handler("manual") as db:
		with db.connection.cursor() as cursor:
			cursor.execute("insert into old values (%s)", (1,))
			cursor.executemany("insert into old values (%s)",
			    [(2,), (3,)])
			assert cursor.rowcount == 2
		with pytest.raises(pool.DBQueryError):
			cursor.execute("select 1")
		db.connection.commit()
		cursor = db.conn_ref.cursor(cursor_factory=object)
		cursor.callproc("repeat", ("x", 3))
		assert cursor.fetchone()[0] == "xxx"
	assert ids() == [1, 2, 3]


def test_the_limits_of_a_group():
	with pool.Handler("auto") as db:
		assert db.query("show statement_timeout").fetchone()[0] == "30s"
		assert db.query("show temp_buffers").fetchone()[0] == "128MB"
	pool.Connection.init(config(database(query_timeout=1000)))
	with pool.Handler("auto") as db:
		with pytest.raises(pool.DBQueryError):
			db.query("select pg_sleep(20)")
		assert db.query("select 1").fetchone() == [1]
	assert pool.Connection.get_max_pool_size("manual") == 2
	assert pool.Connection.get_threading_model() == "non-threaded"


def test_session_state_within_a_handler():
	with pool.Handler("auto") as db:
		db.query("create temp table mine as select 5 as x")
		assert db.query("select x from mine").fetchone()["x"] == 5
	for _ in range(4):
		with pool.Handler("auto") as db:
			with pytest.raises(pool.DBQueryError):
				db.query("select x from mine")


def test_threads_take_turns():
	pool.Connection.init({
		"db": database(),
		"groups": {"auto": {"connection_count": 2, "autocommit": True}},
	})
	assert pool.Connection.get_threading_model() == "threaded"
	active, most, failed = [], [], []

	def work():
		try:
			for i in range(10):
				with pool.Handler("auto") as db:
					active.append(1)
					most.append(len(active))
					assert db.query("select %s as i",
					    (i,)).fetchone()["i"] == i
					active.pop()
		except BaseException as error:
			failed.append(error)

	threads = [threading.Thread(target=work) for _ in range(8)]
	for thread in threads:
		thread.start()
	for thread in threads:
		thread.join()
	assert not failed and len(most) == 80 and max(most) <= 2


def test_one_handler_too_many_is_told_at_once():
	with pool.Handler("manual") as first, pool.Handler("manual"):
		first.query("select 1")
		with pytest.raises(pool.DBConnectionError,
		    match="all 2 connections of group manual") as caught:
			pool.Handler("manual")
		assert not isinstance(caught.value, pool.DBOfflineError)
	with pool.Handler("manual") as db:
		assert db.query("select 1").fetchone()[0] == 1
	# A Handler may wait if another thread can give one back.
	held = []
	taken, over = threading.Event(), threading.Event()

	def hold():
		with pool.Handler("manual"):
			taken.set()
			over.wait()

	thread = threading.Thread(target=hold)
	thread.start()
	taken.wait()
	held.append(pool.Handler("manual"))
	threading.Timer(0.1, over.set).start()
	held.append(pool.Handler("manual"))
	assert over.is_set()
	thread.join()


def test_a_forked_child():
	with pool.Handler("auto") as db:
		parent = db.query("select pg_backend_pid()").fetchone()[0]
	pid = os.fork()
	if pid == 0:
		try:
			with pool.Handler("auto") as db:
				child = db.query("select pg_backend_pid()")
				os._exit(0 if child.fetchone()[0] != parent else 1)
		except BaseException:
			os._exit(2)
	assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def test_several_databases():
	pool.Connection.init(config([database(name) for name in "abc"], groups={
	    "write": {"connection_count": 3, "autocommit": True},
	    "read": {"connection_count": 3, "autocommit": True,
		"role": "standby"}}))
	with pool.Handler("write") as db:
		assert db.query("select pg_is_in_recovery()").fetchone() == [
		    False]
	with pool.Handler("read") as db:
		assert db.query("select pg_is_in_recovery()").fetchone() == [
		    True]


def test_no_database():
	pool.Connection.init(config(database(port=1, connect_timeout=0.2)))
	with pytest.raises(pool.DBOfflineError):
		pool.Handler("auto")


PREPARED = '''
create schema if not exists "SQLPrepare";
create or replace function "SQLPrepare"."PrepareQueries"() returns boolean
language plpgsql as $$ begin
	execute 'prepare "Test" (int, text) as select $1 as a, $2 as b';
	return true;
end $$;
create or replace function "SQLPrepare"."ExecuteQuery"(character,
    character varying, json, character varying[]) returns json
language plpgsql as $$ declare result json; begin
	execute format('create temporary table result on commit drop as '
	    'execute %I (%L, %L)', $2, $3->>$4[1], $3->>$4[2]);
	execute 'select array_to_json(array_agg(row_to_json(t))) '
	    'from result as t' into result;
	return result;
end $$;
'''


def test_prepared_queries():
	with pool.Handler("auto") as db:
		for statement in PREPARED.split(";\ncreate or"):
			if not statement.startswith("\ncreate schema"):
				statement = "create or" + statement
			db.query(statement)
	pool.Connection.init(config(groups={"p": {"connection_count": 2,
	    "autocommit": True, "sqlprepare": True}}))
	for i in range(5):
		with pool.Handler("p") as db:
			assert db.query_prepared(["S", "Test", json.dumps(
			    {"x": i, "y": "z"}), ["x", "y"]]) == [
			    {"a": i, "b": "z"}]
			failed = json.loads(db.query_prepared(["S", "None", "{}",
			    []]))
			assert failed["error"] is True
	with pool.Handler("p") as db:
		db.query('drop schema "SQLPrepare" cascade')
