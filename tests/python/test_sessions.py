# Calls about a session itself: scripts, descriptions, quoting, notices;
# and reads behind a write.

import asyncio
import sys

import mews
import pytest

from conftest import until

NOTICE = "do $$ begin raise notice using message = 'about %s', " \
    "detail = 'more', hint = 'do'; end $$"


def test_a_script_has_rows_for_each_statement(pool):
	with pool.lease("write") as lease:
		made, filled, seen, again = lease.script(
		    "create temp table t (id int, name text);"
		    "insert into t values (1, 'a;b'), (2, null);"
		    "select * from t order by id; select count(*)::int as n from t")
		assert made == [] and filled.rowcount == 2
		assert [tuple(row) for row in seen] == [(1, "a;b"), (2, None)]
		assert seen.columns == ("id", "name") and again[0].n == 2
		assert lease.query("select 1::int") == [(1,)]


def test_a_script_that_fails_is_undone(pool, table):
	with pool.lease("write") as lease:
		with pytest.raises(mews.DataError):
			lease.script(f"insert into {table} values (1); select 1/0")
		with pytest.raises(mews.Partly):
			lease.script(f"begin; insert into {table} values (2);"
			    "commit; select 1/0")
		assert lease.query(f"select id from {table}") == [(2,)]


def test_a_script_inside_of_a_transaction(pool, table):
	with pytest.raises(KeyError), pool.transaction("write") as t:
		t.script(f"insert into {table} values (1); select 1")
		raise KeyError
	assert pool.query("write", f"select 1 from {table}") == []


def test_a_decoder_that_raises_in_a_script(pool):
	mews.register_type(3220, load=lambda text: 1 / 0)  # the type pg_lsn
	try:
		with pool.lease("write") as lease:
			with pytest.raises(ZeroDivisionError):
				lease.script("select 1; select '0/0'::pg_lsn; select 2")
			assert lease.query("select 1::int") == [(1,)]
	finally:
		mews.register_type(3220, load=str)


def test_a_statement_is_described(pool):
	sql = "select $1::int as number, name, $2 = name as same from (values " \
	    "('x'::varchar(7))) as v (name)"
	about = pool.describe("read", sql)
	assert about.parameters == (23, 25)
	assert [c.name for c in about.columns] == ["number", "name", "same"]
	assert [c.type for c in about.columns] == [23, 1043, 16]
	assert about.columns[1].modifier == 7 + 4
	assert pool.describe("write", "update pg_class set relname = relname") \
	    == ((), ())
	with pytest.raises(mews.ProgrammingError):
		pool.describe("read", "select nonsense")
	with pool.lease("write") as lease:
		lease.execute("create temp table t (id int8)")
		assert lease.describe("table t").columns == (("id", 20, -1),)


def test_quoting(pool):
	with pool.lease("read") as lease:
		for text in ("", "it's", "a\\b", '"', "\u00e9\U0001f985"):
			quoted = lease.quote_literal(text)
			assert lease.query(f"select {quoted}::text")[0][0] == text
		name = lease.quote_identifier('My "x"')
		assert name == '"My ""x"""'
		assert lease.query(f"select 1 as {name}").columns == ('My "x"',)
		for bad, error in (("a\0b", mews.Invalid), (7, TypeError)):
			with pytest.raises(error):
				lease.quote_literal(bad)
		with pytest.raises(mews.Invalid):
			lease.quote_identifier("")


def test_notices_are_heard(fleet):
	with mews.Pool(fleet) as pool:
		heard, mine = [], []
		pool.on_notice(heard.append)
		pool.execute("write", NOTICE % "all")
		notice, = heard
		assert isinstance(notice, mews.Notice)
		assert (notice.severity, notice.message, notice.detail, notice.hint,
		    notice.endpoint) == ("NOTICE", "about all", "more", "do", "a")
		with pool.lease("write") as lease:
			lease.on_notice(mine.append)
			lease.execute(NOTICE % "one")
			lease.on_notice(None)
			lease.execute(NOTICE % "again all")
		assert [n.message for n in mine] == ["about one"]
		assert [n.message for n in heard[1:]] == ["about again all"]
		pool.close()  # the handler stays set
		pool.execute("write", NOTICE % "later")
		assert heard[-1].message == "about later"
		pool.on_notice(None)
		pool.execute("write", NOTICE % "nobody")
		assert heard[-1].message == "about later"
		with pytest.raises(TypeError):
			pool.on_notice(7)


def test_a_handler_may_use_the_pool(fleet):
	with mews.Pool(fleet) as pool:
		seen = []
		pool.on_notice(lambda notice: seen.append(
		    pool.query("read", "select 1::int")[0][0]))
		pool.execute("write", NOTICE % "this")
		assert seen == [1]


def test_an_exception_of_a_notice_handler_is_reported(fleet, monkeypatch):
	told = []
	monkeypatch.setattr(sys, "unraisablehook",
	    lambda args: told.append(args.exc_type))
	with mews.Pool(fleet) as pool:
		pool.on_notice(lambda notice: 1 / 0)
		pool.execute("write", NOTICE % "this")
		assert told == [ZeroDivisionError]
		assert pool.query("read", "select 1::int") == [(1,)]

		def interrupt(notice):
			raise KeyboardInterrupt
		pool.on_notice(interrupt)
		with pytest.raises(KeyboardInterrupt):
			pool.execute("write", NOTICE % "that")
			pool.query("read", "select 1")
		pool.on_notice(None)
		assert pool.query("read", "select 1::int") == [(1,)]


def test_a_lease_reads_what_was_written(pool, table):
	for number in range(20):
		pool.execute("write", f"insert into {table} values ($1)", number,
		    position=True)
		with pool.lease("read", after=pool.position()) as lease:
			assert lease.query(f"select count(*)::int from {table}") == \
			    [(number + 1,)]
	with pool.transaction("read", after=pool.position()) as t:
		assert t.query(f"select count(*)::int from {table}") == [(20,)]


def test_statements_are_dropped_beyond_a_limit(fleet):
	with mews.Pool(fleet) as pool:
		for number in range(1100):
			for _ in range(2):
				assert pool.query("write", f"select {number}") == [(number,)]

		def count():
			pool.attend()
			return pool.query("write", "select count(*)::int, "
			    "pg_backend_pid() from pg_prepared_statements")[0][0]
		until(lambda: 0 < count() <= 1001, "the end of the oldest")
		assert pool.query("write", "select 0") == [(0,)]


def test_the_same_with_await(fleet):
	async def work():
		async with mews.AsyncPool(fleet) as pool:
			heard = []
			pool.on_notice(heard.append)
			about = await pool.describe("read", "select $1::int")
			assert about.parameters == (23,)
			async with pool.lease("write") as lease:
				assert lease.quote_literal('x') == "'x'"
				*_, last = await lease.script("create temp table t "
				    "(id int); insert into t values (7); table t")
				assert last == [(7,)]
				await lease.execute(NOTICE % "await")
				assert (await lease.describe("table t")).columns[0].type \
				    == 23
			assert heard[-1].message == "about await"
			async with pool.transaction("read", after=pool.position()) as t:
				await t.query("select 1")
	asyncio.run(work())
