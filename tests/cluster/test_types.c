/*
 * test_types.c - parameters reach the server with their types, or are refused.
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

/* More parameters than fit inside a query's own memory, typed and untyped
 * ones. */
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

/* An int4 fits an int8 column: the server converts values that have a type. */
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
	/* A parameter without a type goes with any declared type. */
	params[0] = mews_param_int_text(-20);
	ck_assert_str_eq(cluster_run_args(group(), &args).value, "2");
	params[0] = mews_param_null();
	ck_assert(cluster_run_args(group(), &args).null);
	/* Also on a lease, and where the statement must be prepared again. */
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
	/* A statement that declares no types. */
	args.param_count = 2;
	args.statement = typed("select $1::int4 + $2::int8", NULL, 0);
	ck_assert_int_eq(cluster_run_args(group(), &args).status,
	    MEWS_INVALID);
	params[0] = params[1] = mews_param_int_text(3);
	ck_assert_str_eq(cluster_run_args(group(), &args).value, "6");
}
END_TEST

/* A statement whose plan went stale is sent as its SQL, unprepared. */
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

static Suite *
types_suite(void)
{
	Suite *suite = suite_create("types");
	TCase *params = unit_case(suite, "parameters");

	tcase_add_checked_fixture(params, open_pool, cluster_close);
	tcase_set_timeout(params, 180);
	tcase_add_test(params, a_binary_parameter_arrives_as_what_it_is);
	tcase_add_test(params, many_parameters_keep_their_types);
	tcase_add_test(params, a_typed_parameter_is_converted_by_the_server);
	tcase_add_test(params, a_statement_declares_its_types_once);
	tcase_add_test(params, another_type_is_refused_before_it_is_sent);
	tcase_add_test(params, a_stale_statement_keeps_its_types);
	tcase_add_test(params, types_are_checked_when_they_are_declared);
	return suite;
}

UNIT_MAIN(types_suite)
