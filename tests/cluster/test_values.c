/*
 * test_values.c - columns are read as a whole, or the reader says why not.
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

START_TEST(a_row_or_column_that_is_not_there_is_absent)
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
	/* Neither a query that failed nor one that was never sent has rows. */
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
values_suite(void)
{
	Suite *suite = suite_create("values");
	TCase *tcase = unit_case(suite, "results");

	tcase_add_checked_fixture(tcase, open_pool, cluster_close);
	tcase_set_timeout(tcase, 180);
	tcase_add_loop_test(tcase, integers_are_read_or_said_not_to_fit, 0,
	    (int)CLUSTER_COUNT(integers));
	tcase_add_loop_test(tcase, doubles_are_read_or_said_not_to_fit, 0,
	    (int)CLUSTER_COUNT(doubles));
	tcase_add_test(tcase, not_a_number_is_read);
	tcase_add_test(tcase, booleans_are_read);
	tcase_add_test(tcase, text_is_read_where_it_is_text);
	tcase_add_test(tcase, bytes_are_read_in_binary);
	tcase_add_loop_test(tcase, times_are_read_in_binary, 0,
	    (int)CLUSTER_COUNT(times));
	tcase_add_test(tcase, a_time_goes_there_and_back);
	tcase_add_test(tcase, a_time_before_all_is_refused);
	tcase_add_test(tcase, a_row_or_column_that_is_not_there_is_absent);
	return suite;
}

UNIT_MAIN(values_suite)
