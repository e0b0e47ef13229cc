/*
 * test_types.c - values cross the boundary whole, or not at all.
 */
#include "cluster.h"
#include "unit.h"

#include <float.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

static const struct mews_group_config groups[] = {
	{ .name = "write", .role = MEWS_GROUP_PRIMARY, .connection_count = 1 },
};

static void
open_pool(void)
{
	cluster_open(groups, CLUSTER_COUNT(groups));
}

static struct mews_group *
group(void)
{
	return cluster_group("write");
}

/* Parameters. */

static char int4s[MEWS_ARRAY_BYTES(3, 4)], int8s[MEWS_ARRAY_BYTES(2, 8)];
static char none[2][MEWS_ARRAY_BYTES(0, 4)];

static struct mews_param
some_int4s(void)
{
	static const int32_t values[] = { 1, INT32_MIN, INT32_MAX };

	return mews_param_int4_array(int4s, values, 3);
}

static struct mews_param
some_int8s(void)
{
	static const int64_t values[] = { INT64_MIN, INT64_MAX };

	return mews_param_int8_array(int8s, values, 2);
}

START_TEST(a_binary_parameter_arrives_as_what_it_is)
{
	static const char uuid[16] = { 0x12, 0x34, 0, 0, 0, 0, 0, 0, 0, 0, 0,
		0, 0, 0, 0, 0x7f };
	const struct {
		const char *sql;
		struct mews_param param;
	} rows[] = {
		{ "select pg_typeof($1)::text = 'smallint' and $1 = -32768",
		  mews_param_int2(INT16_MIN) },
		{ "select pg_typeof($1)::text = 'integer' and "
		  "$1 = -2147483648", mews_param_int4(INT32_MIN) },
		{ "select $1 = 2147483647", mews_param_int4(INT32_MAX) },
		{ "select pg_typeof($1)::text = 'bigint' and "
		  "$1 = -9223372036854775808", mews_param_int8(INT64_MIN) },
		{ "select $1 = 9223372036854775807",
		  mews_param_int8(INT64_MAX) },
		{ "select pg_typeof($1)::text = 'real' and $1 = 0.5",
		  mews_param_float4(0.5F) },
		{ "select pg_typeof($1)::text = 'double precision' and "
		  "$1 = 1.7976931348623157e308", mews_param_float8(DBL_MAX) },
		{ "select $1 = 'nan'", mews_param_float8(NAN) },
		{ "select $1 = '-infinity'", mews_param_float8(-INFINITY) },
		{ "select $1 = '1970-01-01 00:00:00.000001+00'",
		  mews_param_time(1) },
		{ "select $1 = '1969-12-31 23:59:59+00'",
		  mews_param_time(-1000000) },
		{ "select $1 = '2038-01-19 03:14:08+00'",
		  mews_param_time(INT64_C(2147483648000000)) },
		{ "select $1 = '{1,-2147483648,2147483647}'", some_int4s() },
		{ "select 1 = any($1) and not 2 = any($1)", some_int4s() },
		{ "select $1 = '{-9223372036854775808,9223372036854775807}'",
		  some_int8s() },
		{ "select $1 = '{}' and not 1 = any($1)",
		  mews_param_int4_array(none[0], NULL, 0) },
		{ "select $1 = '{}'", mews_param_int8_array(none[1], NULL, 0) },
		{ "select $1 = '12340000-0000-0000-0000-00000000007f'",
		  mews_param_binary(MEWS_TYPE_UUID, uuid, 16) },
		{ "select $1 = '\\x0001ff'",
		  mews_param_binary(MEWS_TYPE_BYTEA, "\0\1\377", 3) },
		{ "select $1 = ''", mews_param_binary(MEWS_TYPE_BYTEA, "", 0) },
		{ "select $1 is null and pg_typeof($1)::text = 'bytea'",
		  mews_param_binary(MEWS_TYPE_BYTEA, NULL, 0) },
		{ "select $1 ->> 'a' = 'b'",
		  mews_param_as(MEWS_TYPE_JSONB, "{\"a\": \"b\"}") },
		{ "select pg_typeof($1)::text = 'text' and $1 = '7'",
		  mews_param_as(MEWS_TYPE_TEXT, "7") },
		{ "select $1 is null", mews_param_as(MEWS_TYPE_TEXT, NULL) },
	};

	for (size_t i = 0; i < CLUSTER_COUNT(rows); i++) {
		const struct mews_query_args args = { .sql = rows[i].sql,
			.params = &rows[i].param, .param_count = 1 };
		struct asked asked = cluster_run_args(group(), &args);

		ck_assert_msg(asked.status == MEWS_OK &&
		    strcmp(asked.value, "t") == 0, "%s: %s %s", rows[i].sql,
		    asked.value, asked.message);
	}
}
END_TEST

/* More than fit inside a query's own memory; typed and untyped side by side. */
START_TEST(many_parameters_keep_their_types)
{
	struct mews_param params[12];
	char		  sql[600] = "select ''", *p = sql + strlen(sql);
	struct asked	  asked;
	struct mews_query_args args = { .sql = sql, .params = params,
		.param_count = 12 };

	for (int i = 0; i < 12; i++) {
		p += sprintf(p, " || pg_typeof($%d%s)::text || ' '", i + 1,
		    i % 3 == 2 ? "::numeric" : "");
		if (i % 3 == 0)
			params[i] = mews_param_int4(i);
		else if (i % 3 == 1)
			params[i] = mews_param_int8(i);
		else
			params[i] = mews_param_int_text(i);
	}
	asked = cluster_run_args(group(), &args);
	ck_assert_str_eq(asked.message, "");
	ck_assert_int_eq(strncmp(asked.value, "integer bigint numeric integer "
	    "bigint numeric ", 46), 0);
}
END_TEST

/* An int4 fits an int8 column: the server converts what has a type. */
START_TEST(a_typed_parameter_is_converted_by_the_server)
{
	struct mews_param	params[] = { mews_param_int4(-5),
		mews_param_int2(7), mews_param_float4(0.25F) };
	struct mews_query_args	args = { .params = params, .param_count = 3,
		.sql = "insert into wide values ($1, $2, $3) returning "
		       "a || ' ' || b || ' ' || c" };

	cluster_ask("a", "set client_min_messages = warning; "
	    "drop table if exists wide; "
	    "create table wide (a int8, b numeric, c float8)");
	ck_assert_str_eq(cluster_run_args(group(), &args).value,
	    "-5 7 0.25");
}
END_TEST

static struct mews_statement *
typed(const char *sql, const Oid *types, int count)
{
	struct mews_statement	*statement;

	ck_assert_int_eq(mews_statement_register_typed(&statement, cluster.pool,
	    NULL, sql, 0, types, count, NULL),
	    MEWS_OK);
	return statement;
}

START_TEST(a_statement_declares_its_types_once)
{
	static const Oid	types[] = { MEWS_TYPE_INT4, 0 };
	struct mews_param	params[2] = { mews_param_int4(20),
		mews_param_text("22") };
	struct mews_query_args	args = { .params = params, .param_count = 2,
		.statement = typed("select $1 + $2::int", types, 2) };
	struct mews_lease      *lease;

	ck_assert_str_eq(cluster_run_args(group(), &args).value, "42");
	/* Without a type of its own it goes with any. */
	params[0] = mews_param_int_text(-20);
	ck_assert_str_eq(cluster_run_args(group(), &args).value, "2");
	params[0] = mews_param_null();
	ck_assert(cluster_run_args(group(), &args).null);
	/* On a lease, and where it has to be prepared again. */
	params[0] = mews_param_int4(1);
	lease = cluster_lease(group());
	cluster_on_lease(lease, "deallocate all");
	mews_lease_end(&lease);
	ck_assert_str_eq(cluster_run_args(group(), &args).value, "23");
}
END_TEST

START_TEST(another_type_is_refused_before_it_is_sent)
{
	static const Oid	types[] = { MEWS_TYPE_INT4, MEWS_TYPE_INT8 };
	struct mews_param	params[3] = { mews_param_int8(1),
		mews_param_int8(1), mews_param_int4(1) };
	struct mews_query_args	args = { .params = params, .param_count = 2,
		.statement = typed("select $1 + $2", types, 2) };

	ck_assert_int_eq(cluster_run_args(group(), &args).status,
	    MEWS_INVALID);
	ck_assert_ptr_nonnull(strstr(mews_group_message(group()),
	    "mews_statement_register_typed()"));
	params[0] = mews_param_int4(1);
	ck_assert_str_eq(cluster_run_args(group(), &args).value, "2");
	args.param_count = 1;
	ck_assert_int_eq(cluster_run_args(group(), &args).status,
	    MEWS_INVALID);
	args.param_count = 3;
	ck_assert_int_eq(cluster_run_args(group(), &args).status,
	    MEWS_INVALID);
	/* One that declares none. */
	args.param_count = 2;
	args.statement = typed("select $1::int4 + $2::int8", NULL, 0);
	ck_assert_int_eq(cluster_run_args(group(), &args).status,
	    MEWS_INVALID);
	params[0] = params[1] = mews_param_int_text(3);
	ck_assert_str_eq(cluster_run_args(group(), &args).value, "6");
}
END_TEST

/* The way of a statement whose plan went stale: its SQL, unprepared. */
START_TEST(a_stale_statement_keeps_its_types)
{
	static const Oid	types[] = { MEWS_TYPE_INT4 };
	struct mews_param	param = mews_param_int4(1);
	struct mews_query_args	args = { .params = &param, .param_count = 1,
		.statement = typed("select * from narrow where a = $1", types,
		    1) };

	cluster_ask("a", "set client_min_messages = warning; "
	    "drop table if exists narrow; create table narrow (a int8); "
	    "insert into narrow values (1)");
	ck_assert_str_eq(cluster_run_args(group(), &args).value, "1");
	cluster_ask("a", "alter table narrow alter a type int4");
	ck_assert_str_eq(cluster_run_args(group(), &args).value, "1");
	cluster_ask("a", "alter table narrow alter a type numeric");
	ck_assert_str_eq(cluster_run_args(group(), &args).value, "1");
	ck_assert_str_eq(cluster_run_args(group(), &args).value, "1");
}
END_TEST

START_TEST(types_are_checked_when_they_are_declared)
{
	static const Oid	 types[] = { MEWS_TYPE_INT4 };
	struct mews_statement	*statement;

	ck_assert_int_eq(mews_statement_register_typed(&statement, cluster.pool,
	    NULL, "select $1", 0, types, -1, NULL),
	    MEWS_INVALID);
	ck_assert_int_eq(mews_statement_register_typed(&statement, cluster.pool,
	    NULL, "select $1", 0, NULL, 1, NULL),
	    MEWS_INVALID);
	ck_assert_int_eq(
	    mews_statement_register_typed(&statement, cluster.pool, NULL,
		"select $1", 0, types, MEWS_PARAMS_MAX + 1, NULL),
	    MEWS_INVALID);
	ck_assert_ptr_null(statement);
}
END_TEST

/* Results. */

static struct mews_result *
run(const char *expression, unsigned flags)
{
	struct mews_result     *result;
	struct mews_query_args	args = { .flags = flags };
	char			sql[200];

	snprintf(sql, sizeof(sql), "select %s", expression);
	args.sql = sql;
	ck_assert_msg(mews_query_run(group(), &args, &result) == MEWS_OK,
	    "%s: %s", sql, mews_result_message(result));
	return result;
}

#define TEXT	0x1
#define BINARY	0x2

static const unsigned format_flags[] = { [TEXT] = 0,
	[BINARY] = MEWS_QUERY_BINARY };

static const struct {
	const char *expression;
	unsigned formats;
	enum mews_value found;
	int64_t value;
} integers[] = {
	{ "0::int2", TEXT | BINARY, MEWS_VALUE_OK, 0 },
	{ "(-32768)::int2", TEXT | BINARY, MEWS_VALUE_OK, INT16_MIN },
	{ "(-2147483648)::int4", TEXT | BINARY, MEWS_VALUE_OK, INT32_MIN },
	{ "2147483648", TEXT | BINARY, MEWS_VALUE_OK, INT64_C(2147483648) },
	{ "9223372036854775807", TEXT | BINARY, MEWS_VALUE_OK, INT64_MAX },
	{ "(-9223372036854775808)::int8", TEXT | BINARY, MEWS_VALUE_OK,
	  INT64_MIN },
	{ "4294967295::oid", TEXT | BINARY, MEWS_VALUE_OK, UINT32_MAX },
	{ "null::int4", TEXT | BINARY, MEWS_VALUE_NULL, 0 },
	{ "7::numeric", TEXT, MEWS_VALUE_OK, 7 },
	{ "7::numeric", BINARY, MEWS_VALUE_TYPE, 0 },
	{ "7.00::numeric", TEXT, MEWS_VALUE_OK, 7 },
	{ "'-7.0'::numeric", TEXT, MEWS_VALUE_OK, -7 },
	{ "7.5::numeric", TEXT, MEWS_VALUE_RANGE, 0 },
	{ "9223372036854775808", TEXT, MEWS_VALUE_RANGE, 0 },
	{ "'nan'::numeric", TEXT, MEWS_VALUE_RANGE, 0 },
	{ "'7'::text", TEXT | BINARY, MEWS_VALUE_TYPE, 0 },
	{ "7::float8", TEXT | BINARY, MEWS_VALUE_TYPE, 0 },
	{ "true", TEXT | BINARY, MEWS_VALUE_TYPE, 0 },
	{ "'\\x07'::bytea", TEXT | BINARY, MEWS_VALUE_TYPE, 0 },
};

START_TEST(integers_are_read_or_said_not_to_fit)
{
	for (unsigned format = TEXT; format <= BINARY; format++) {
		struct mews_result *result;
		enum mews_value	    found;
		int64_t		    wide = 77;
		int32_t		    small = 77;

		if ((integers[_i].formats & format) == 0)
			continue;
		result = run(integers[_i].expression, format_flags[format]);
		found = mews_result_int64(result, 0, 0, &wide);
		ck_assert_int_eq(found, integers[_i].found);
		ck_assert(wide == integers[_i].value);
		if (found == MEWS_VALUE_OK &&
		    (wide < INT32_MIN || wide > INT32_MAX)) {
			found = MEWS_VALUE_RANGE;
			wide = 0;
		}
		ck_assert_int_eq(mews_result_int32(result, 0, 0, &small),
		    found);
		ck_assert_int_eq(small, wide);
		mews_result_free(&result);
	}
}
END_TEST

static const struct {
	const char *expression;
	unsigned formats;
	enum mews_value found;
	double value;
} doubles[] = {
	{ "0.1::float8", TEXT | BINARY, MEWS_VALUE_OK, 0.1 },
	{ "0.25::float4", TEXT | BINARY, MEWS_VALUE_OK, 0.25 },
	{ "0.1::float4", TEXT | BINARY, MEWS_VALUE_OK, (double)0.1F },
	{ "1.7976931348623157e308::float8", TEXT | BINARY, MEWS_VALUE_OK,
	  DBL_MAX },
	{ "5e-324::float8", TEXT | BINARY, MEWS_VALUE_OK, 5e-324 },
	{ "'infinity'::float8", TEXT | BINARY, MEWS_VALUE_OK, INFINITY },
	{ "'-infinity'::float4", TEXT | BINARY, MEWS_VALUE_OK, -INFINITY },
	{ "(-3)::int8", TEXT | BINARY, MEWS_VALUE_OK, -3 },
	{ "12.5::numeric", TEXT, MEWS_VALUE_OK, 12.5 },
	{ "12.5::numeric", BINARY, MEWS_VALUE_TYPE, 0 },
	{ "'1e400'::numeric", TEXT, MEWS_VALUE_RANGE, 0 },
	{ "null::float8", TEXT | BINARY, MEWS_VALUE_NULL, 0 },
	{ "'0.1'::text", TEXT | BINARY, MEWS_VALUE_TYPE, 0 },
	{ "now()", TEXT | BINARY, MEWS_VALUE_TYPE, 0 },
};

START_TEST(doubles_are_read_or_said_not_to_fit)
{
	for (unsigned format = TEXT; format <= BINARY; format++) {
		struct mews_result *result;
		double		    value = 77;

		if ((doubles[_i].formats & format) == 0)
			continue;
		result = run(doubles[_i].expression, format_flags[format]);
		ck_assert_int_eq(mews_result_double(result, 0, 0, &value),
		    doubles[_i].found);
		ck_assert(value == doubles[_i].value);
		mews_result_free(&result);
	}
}
END_TEST

START_TEST(not_a_number_is_read)
{
	for (unsigned format = TEXT; format <= BINARY; format++) {
		struct mews_result *result = run("'nan'::float8",
		    format_flags[format]);
		double		    value = 77;

		ck_assert_int_eq(mews_result_double(result, 0, 0, &value),
		    MEWS_VALUE_OK);
		ck_assert(isnan(value));
		mews_result_free(&result);
	}
}
END_TEST

START_TEST(booleans_are_read)
{
	for (unsigned format = TEXT; format <= BINARY; format++) {
		struct mews_result *result = run("true, false, null::bool, 1",
		    format_flags[format]);
		bool		    value = false;

		ck_assert_int_eq(mews_result_bool(result, 0, 0, &value),
		    MEWS_VALUE_OK);
		ck_assert(value);
		ck_assert_int_eq(mews_result_bool(result, 0, 1, &value),
		    MEWS_VALUE_OK);
		ck_assert(!value);
		ck_assert_int_eq(mews_result_bool(result, 0, 2, &value),
		    MEWS_VALUE_NULL);
		ck_assert_int_eq(mews_result_bool(result, 0, 3, &value),
		    MEWS_VALUE_TYPE);
		mews_result_free(&result);
	}
}
END_TEST

START_TEST(text_is_read_where_it_is_text)
{
	struct mews_result *result;
	const char	   *text;
	size_t		    length;

	result = run("7, 'Größe', '', null, '\\x00'::bytea", 0);
	ck_assert_int_eq(mews_result_text(result, 0, 0, &text, &length),
	    MEWS_VALUE_OK);
	ck_assert_str_eq(text, "7");
	ck_assert_int_eq(mews_result_text(result, 0, 1, &text, &length),
	    MEWS_VALUE_OK);
	ck_assert_str_eq(text, "Größe");
	ck_assert_uint_eq(length, 7);
	ck_assert_int_eq(mews_result_text(result, 0, 2, &text, NULL),
	    MEWS_VALUE_OK);
	ck_assert_str_eq(text, "");
	ck_assert_int_eq(mews_result_text(result, 0, 3, &text, &length),
	    MEWS_VALUE_NULL);
	ck_assert_ptr_null(text);
	ck_assert_int_eq(mews_result_text(result, 0, 4, &text, &length),
	    MEWS_VALUE_OK);
	ck_assert_str_eq(text, "\\x00");
	mews_result_free(&result);
	result = run("'x'::text, 'x'::varchar, 'x'::char(1), 'x'::name, "
	    "'\"x\"'::json, 7", MEWS_QUERY_BINARY);
	for (int column = 0; column < 5; column++) {
		ck_assert_int_eq(mews_result_text(result, 0, column, &text,
		    &length), MEWS_VALUE_OK);
		ck_assert_str_eq(text, column == 4 ? "\"x\"" : "x");
	}
	ck_assert_int_eq(mews_result_text(result, 0, 5, &text, &length),
	    MEWS_VALUE_TYPE);
	mews_result_free(&result);
}
END_TEST

START_TEST(bytes_are_read_in_binary)
{
	struct mews_result *result;
	const void	   *bytes;
	size_t		    length;

	result = run("'\\x0001ff'::bytea, null::bytea, ''::bytea",
	    MEWS_QUERY_BINARY);
	ck_assert_int_eq(mews_result_bytes(result, 0, 0, &bytes, &length),
	    MEWS_VALUE_OK);
	ck_assert_uint_eq(length, 3);
	ck_assert_int_eq(memcmp(bytes, "\0\1\377", 3), 0);
	ck_assert_int_eq(mews_result_bytes(result, 0, 1, &bytes, &length),
	    MEWS_VALUE_NULL);
	ck_assert_ptr_null(bytes);
	ck_assert_int_eq(mews_result_bytes(result, 0, 2, &bytes, &length),
	    MEWS_VALUE_OK);
	ck_assert_uint_eq(length, 0);
	mews_result_free(&result);
	result = run("'\\x0001ff'::bytea", 0);
	ck_assert_int_eq(mews_result_bytes(result, 0, 0, &bytes, &length),
	    MEWS_VALUE_TYPE);
	mews_result_free(&result);
}
END_TEST

static const struct {
	const char *expression;
	enum mews_value found;
	int64_t us;
} times[] = {
	{ "'1970-01-01 00:00:00.000001+00'::timestamptz", MEWS_VALUE_OK, 1 },
	{ "'2001-09-09 01:46:40+00'::timestamptz", MEWS_VALUE_OK,
	  INT64_C(1000000000000000) },
	{ "'1970-01-02'::timestamp", MEWS_VALUE_OK, INT64_C(86400000000) },
	{ "'1969-12-31'::date", MEWS_VALUE_OK, INT64_C(-86400000000) },
	{ "'4713-01-01 BC'::date", MEWS_VALUE_OK,
	  INT64_C(-210863520000000000) },
	{ "'infinity'::timestamptz", MEWS_VALUE_RANGE, 0 },
	{ "'-infinity'::timestamp", MEWS_VALUE_RANGE, 0 },
	{ "'infinity'::date", MEWS_VALUE_RANGE, 0 },
	{ "'-infinity'::date", MEWS_VALUE_RANGE, 0 },
	{ "null::timestamptz", MEWS_VALUE_NULL, 0 },
	{ "1", MEWS_VALUE_TYPE, 0 },
};

START_TEST(times_are_read_in_binary)
{
	struct mews_result *result;
	int64_t		    us = 77;

	result = run(times[_i].expression, MEWS_QUERY_BINARY);
	ck_assert_int_eq(mews_result_time(result, 0, 0, &us),
	    times[_i].found);
	ck_assert(us == times[_i].us);
	mews_result_free(&result);
}
END_TEST

START_TEST(a_time_goes_there_and_back)
{
	const int64_t there = INT64_C(1767225599123456);
	struct mews_param	param = mews_param_time(there);
	struct mews_query_args	args = { .sql = "select $1",
		.params = &param, .param_count = 1,
		.flags = MEWS_QUERY_BINARY };
	struct mews_result     *result;
	int64_t			back;

	ck_assert_int_eq(mews_query_run(group(), &args, &result), MEWS_OK);
	ck_assert_int_eq(mews_result_time(result, 0, 0, &back),
	    MEWS_VALUE_OK);
	ck_assert(back == there);
	mews_result_free(&result);
}
END_TEST

START_TEST(a_time_before_all_is_refused)
{
	static const int64_t	before[] = { INT64_MIN, INT64_MIN + 1,
		INT64_MIN + INT64_C(946684800000000),
		INT64_MIN + INT64_C(946684800000001) };
	struct mews_param	param;
	struct mews_query_args	args = { .sql = "select $1::timestamptz",
		.params = &param, .param_count = 1 };

	for (size_t i = 0; i < CLUSTER_COUNT(before); i++) {
		param = mews_param_time(before[i]);
		ck_assert_str_eq(cluster_run_args(group(), &args).sqlstate,
		    "22008");
	}
}
END_TEST

START_TEST(what_is_not_there_is_absent)
{
	static const int  places[][2] = { { -1, 0 }, { 1, 0 }, { 0, -1 },
		{ 0, 1 }, { INT_MAX, INT_MAX } };
	struct mews_result     *result = run("1", 0);
	struct mews_query_args	args = { .sql = "select 1/0" };
	int64_t			value = 77;

	for (size_t i = 0; i < CLUSTER_COUNT(places); i++) {
		ck_assert_int_eq(mews_result_int64(result, places[i][0],
		    places[i][1], &value), MEWS_VALUE_ABSENT);
		ck_assert(value == 0);
	}
	mews_result_free(&result);
	/* A query that failed has no rows, one that was never sent neither. */
	ck_assert_int_eq(mews_query_run(group(), &args, &result), MEWS_SQL);
	ck_assert_int_eq(mews_result_int64(result, 0, 0, &value),
	    MEWS_VALUE_ABSENT);
	mews_result_free(&result);
	ck_assert_str_eq(mews_value_name(MEWS_VALUE_OK), "ok");
	ck_assert_str_eq(mews_value_name(MEWS_VALUE_ABSENT), "absent");
	ck_assert_str_eq(mews_value_name((enum mews_value)5), "?");
}
END_TEST

static Suite *
types_suite(void)
{
	Suite *suite = suite_create("types");
	TCase *params = unit_case(suite, "parameters");
	TCase *results = unit_case(suite, "results");

	tcase_add_checked_fixture(params, open_pool, cluster_close);
	tcase_set_timeout(params, 180);
	tcase_add_test(params, a_binary_parameter_arrives_as_what_it_is);
	tcase_add_test(params, many_parameters_keep_their_types);
	tcase_add_test(params, a_typed_parameter_is_converted_by_the_server);
	tcase_add_test(params, a_statement_declares_its_types_once);
	tcase_add_test(params, another_type_is_refused_before_it_is_sent);
	tcase_add_test(params, a_stale_statement_keeps_its_types);
	tcase_add_test(params, types_are_checked_when_they_are_declared);
	tcase_add_checked_fixture(results, open_pool, cluster_close);
	tcase_set_timeout(results, 180);
	tcase_add_loop_test(results, integers_are_read_or_said_not_to_fit, 0,
	    (int)CLUSTER_COUNT(integers));
	tcase_add_loop_test(results, doubles_are_read_or_said_not_to_fit, 0,
	    (int)CLUSTER_COUNT(doubles));
	tcase_add_test(results, not_a_number_is_read);
	tcase_add_test(results, booleans_are_read);
	tcase_add_test(results, text_is_read_where_it_is_text);
	tcase_add_test(results, bytes_are_read_in_binary);
	tcase_add_loop_test(results, times_are_read_in_binary, 0,
	    (int)CLUSTER_COUNT(times));
	tcase_add_test(results, a_time_goes_there_and_back);
	tcase_add_test(results, a_time_before_all_is_refused);
	tcase_add_test(results, what_is_not_there_is_absent);
	return suite;
}

UNIT_MAIN(types_suite)
