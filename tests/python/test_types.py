# Values of PostgreSQL as values of Python, both ways.

import datetime
import decimal
import enum
import ipaddress
import math
import uuid

import mews
import pytest

UTC = datetime.timezone.utc
D = decimal.Decimal
R = mews.Range


def zone(minutes):
	return datetime.timezone(datetime.timedelta(minutes=minutes))


# Values that are sent as a type, and must come back equal.
BOTH_WAYS = [
	("bool", [True, False]),
	("int2", [0, -32768, 32767]),
	("int4", [-2**31, 2**31 - 1]),
	("int8", [0, -1, -2**63, 2**63 - 1, 10**18, -10**17]),
	("oid", [2**32 - 1]),
	("float4", [0.5, math.inf]),
	("float8", [0.1, -1e300, 5e-324, math.inf, -math.inf]),
	("numeric", [D("0.10"), D("-1" + "0" * 40), D("NaN"), D("1.50")]),
	("text", ["", "x", "grün 🦅", "'\"\\", "{}", "NULL"]),
	("varchar(5)", ["abc"]),
	("name", ["abc"]),
	("bytea", [b"", b"\0\xff\\x'", bytes(range(256))]),
	("json", [{"a": [1, None, "x"]}]),
	("jsonb", [{"a": {"b": 1.5}}]),
	("date", [datetime.date(1, 1, 1), datetime.date(9999, 12, 31),
	    datetime.date(2024, 2, 29)]),
	("time", [datetime.time(0, 0), datetime.time(23, 59, 59, 999999)]),
	("timetz", [datetime.time(12, 30, tzinfo=zone(330)),
	    datetime.time(1, 2, 3, 40, tzinfo=UTC)]),
	("timestamp", [datetime.datetime(1, 1, 1),
	    datetime.datetime(2024, 2, 29, 1, 2, 3, 456000),
	    datetime.datetime(9999, 12, 31, 23, 59, 59, 999999)]),
	("timestamptz", [datetime.datetime(2024, 2, 29, 1, 2, 3, 4,
	    tzinfo=zone(-210)), datetime.datetime(1970, 1, 1, tzinfo=UTC)]),
	("interval", [datetime.timedelta(), datetime.timedelta(1, 2, 3),
	    datetime.timedelta(-1, 1), datetime.timedelta(days=-400),
	    datetime.timedelta(microseconds=-1),
	    datetime.timedelta(hours=2000000)]),
	("uuid", [uuid.UUID(int=0), uuid.uuid4()]),
	("inet", [ipaddress.ip_address("10.1.2.3"),
	    ipaddress.ip_address("::1"),
	    ipaddress.ip_interface("10.1.2.3/8")]),
	("cidr", [ipaddress.ip_network("10.0.0.0/8"),
	    ipaddress.ip_network("fe80::/10")]),
	("int[]", [[], [1, None, 3], [[1, 2], [3, 4]]]),
	("int8[]", [list(range(1000))]),
	("bool[]", [[True, None, False]]),
	("float8[]", [[0.1, math.inf]]),
	("text[]", [["", "a,b", 'q"\\', "NULL", "{", " x ", None, "grün"]]),
	("bytea[]", [[b"\0", b"x"]]),
	("numeric[]", [[D("1.10")]]),
	("date[]", [[datetime.date(2024, 1, 1), None]]),
	("timestamptz[]", [[datetime.datetime(2024, 1, 1, tzinfo=UTC)]]),
	("interval[]", [[datetime.timedelta(1, 5)]]),
	("uuid[]", [[uuid.UUID(int=5)]]),
	("inet[]", [[ipaddress.ip_address("::1")]]),
	("jsonb[]", [[{"a": "x\"y"}]]),
	("int4range", [R(1, 10), R(None, 5), R(5, None), R(empty=True),
	    R(None, None, "()")]),
	("numrange", [R(D("1.5"), D("2.5"), "[]"), R(D(1), D(2), "(]")]),
	("daterange", [R(datetime.date(2024, 1, 1),
	    datetime.date(2024, 2, 1))]),
	("tsrange", [R(datetime.datetime(2024, 1, 1),
	    datetime.datetime(2024, 1, 2))]),
	("tstzrange", [R(datetime.datetime(2024, 1, 1, tzinfo=UTC), None)]),
	("int8range", [R(1, 2**40)]),
]


@pytest.mark.parametrize("name, values", BOTH_WAYS,
    ids=[name for name, _ in BOTH_WAYS])
def test_each_value_comes_back_as_it_was(pool, name, values):
	for value in values + [None]:
		back, = pool.query("read", f"select $1::{name} as x", value)[0]
		if value != value:
			assert back != back
			continue
		if name == "numrange" and value == R(D(1), D(2), "(]"):
			assert (back.lower, back.bounds) == (1, "(]")
		if value is not None and "range" in name and \
		    value.upper is not None and value.lower is None:
			assert back.upper == value.upper
			continue
		assert back == value and type(back) is type(value)


def test_a_type_unknown_to_mews_is_text(pool):
	for sql, text in [
		("'(1,2)'::point", "(1,2)"), ("'1 2'::tsvector", "'1' '2'"),
		("'{1,2}'::point", None), ("row(1, 'x')", "(1,x)"),
		("'12:34:56:78:90:ab'::macaddr", "12:34:56:78:90:ab"),
		("'101'::bit(3)", "101"), ("'$1.50'::money::text", "$1.50"),
	]:
		if text is not None:
			assert pool.query("read", f"select {sql}")[0][0] == text


def test_an_array_with_bounds(pool):
	assert pool.query("read", "select '[2:3]={1,2}'::int[]")[0][0] == [1, 2]


def test_a_parameter_takes_the_type_that_is_expected(pool, table):
	pool.execute("write", f"insert into {table} values ($1, $2)", 1, "x")
	for ids in ([1, 2], (1,)):
		assert len(pool.query("write", f"select * from {table} "
		    "where id = any($1)", ids)) == 1
	assert pool.query("read", "select $1::int + 1, $2::numeric, $3", 1,
	    2, 3) == [(2, D(2), "3")]
	assert pool.query("read", "select $1::numeric", 10**30)[0][0] == \
	    10**30


def test_subclasses_and_enumerations(pool):
	class Name(str):
		pass

	class Colour(enum.Enum):
		RED = "red"

	class Level(enum.IntEnum):
		HIGH = 3

	class Raw(enum.Enum):
		ZERO = b"\0\xff"

	assert pool.query("read", "select $1, $2, $3::int, $4::bool, $5",
	    Name("n"), Colour.RED, Level.HIGH, True, Name("o")) == [
	    ("n", "red", 3, True, "o")]
	assert pool.query("read", "select $1::bytea, $2::bytea",
	    bytearray(b"x"), memoryview(b"y")) == [(b"x", b"y")]
	assert pool.query("read", "select $1::bytea[]",
	    [Raw.ZERO, b"x", bytearray(b"\\"), memoryview(b"y"), None]) == [
	    ([b"\0\xff", b"x", b"\\", b"y", None],)]
	assert pool.query("read", "select $1::jsonb", mews.Json([1, "x"])) == [
	    ([1, "x"],)]


@pytest.mark.parametrize("sql", [
	"'infinity'::date", "'-infinity'::timestamp", "'infinity'::timestamptz",
	"'0044-03-15 BC'::date", "'10000-01-01'::date",
	"'10000-01-01'::timestamp", "'0044-03-15 BC'::timestamp",
	"'24:00'::time", "'3000000 years'::interval",
])
def test_a_value_python_cannot_hold_is_an_error(pool, sql):
	with pytest.raises(mews.DecodeError, match="cast it to text"):
		pool.query("read", f"select {sql}")
	assert isinstance(pool.query("read", f"select ({sql})::text")[0][0],
	    str)


def test_months_of_an_interval(pool):
	assert pool.query("read", "select '1 year 2 mons -3 days "
	    "-04:05:06.5'::interval")[0][0] == datetime.timedelta(
	    days=365 + 60 - 3) - datetime.timedelta(hours=4, minutes=5,
	    seconds=6.5)


def test_a_session_with_other_styles_is_read_the_same():
	from conftest import settings
	groups = {"odd": {"init": [
	    "set timezone = 'Asia/Kolkata'",
	    "set client_encoding = 'LATIN1'"]}}
	import os
	endpoints = {"a": os.environ["MEWS_A"] +
	    " options='-c datestyle=german -c intervalstyle=iso_8601 "
	    "-c bytea_output=escape' client_encoding=LATIN1"}
	with mews.Fleet(settings(groups=groups, endpoints=endpoints)) as fleet:
		for _ in range(2):
			assert fleet.pool().query("odd", "select "
			    "'2024-01-31'::date, '1 day'::interval, "
			    "'\\x00'::bytea, '2024-01-31 00:00Z'::timestamptz, "
			    "chr(252), $1", "\xfc\u20ac"
			    ) == [(datetime.date(2024, 1, 31),
			    datetime.timedelta(1), b"\0",
			    datetime.datetime(2024, 1, 31, tzinfo=UTC),
			    "\xfc", "\xfc\u20ac")]
			with fleet.pool().lease("odd") as lease:
				lease.execute("reset all")


def test_a_listener_has_the_encoding_of_python():
	import os

	from conftest import settings
	endpoints = {"a": os.environ["MEWS_A"] + " client_encoding=LATIN1"}
	with mews.Fleet(settings(endpoints=endpoints)) as fleet:
		pool = fleet.pool()
		with pool.listen("caf\xe9") as listener:
			assert listener.get(40).event == "listening"
			pool.query("write", "select pg_notify($1, $2)",
			    "caf\xe9", "\xfc\u20ac")
			heard = listener.get(40)
			assert (heard.event, heard.payload) == ("message",
			    "\xfc\u20ac")


def test_a_type_of_ones_own(pool):
	class Point(tuple):
		pass

	oid = pool.query("read", "select 'point'::regtype::oid")[0][0]
	mews.register_type(oid, lambda text: Point(
	    map(float, text.strip("()").split(","))), python=Point,
	    dump=lambda value: "(%g,%g)" % value)
	assert pool.query("read", "select $1::point as p",
	    Point((1, 2.5)))[0].p == (1, 2.5)

	def wrong(text):
		raise KeyError(text)
	mews.register_type(oid, wrong)
	with pytest.raises(KeyError):
		pool.query("read", "select '(1,2)'::point as p")
	mews.register_type(oid, str)
	assert pool.query("read", "select 1::int") == [(1,)]


def test_range_holds():
	assert 1 in R(1, 2) and 2 not in R(1, 2) and 2 in R(1, 2, "[]")
	assert 5 in R() and 5 not in R(empty=True)
	with pytest.raises(ValueError):
		R(1, 2, "x")
