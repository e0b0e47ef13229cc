/*
 * test_queries.c - every answer reaches the query that asked, once, and is
 * right.
 */
#include "plain.h"
#include "unit.h"

#include <arpa/inet.h>
#include <float.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

static struct mews_statement *
registered(const char *sql, unsigned flags)
{
	struct mews_statement	*statement;

	ck_assert_int_eq(mews_statement_register(
	    &statement, cluster.pool, NULL, sql, flags, NULL),
	    MEWS_OK);
	return statement;
}

/* --- ten thousand queries of all kinds --- */

#define MANY 10000

enum kind {
	KIND_REGISTERED,
	KIND_OF_THE_MOMENT,
	KIND_DIVISION, /* fails when it runs */
	KIND_UNKNOWN,  /* fails when it is parsed */
	KIND_CAST,     /* fails when its parameter is bound */
	KIND_INSERT,
	KIND_DUPLICATE, /* fails, and must not harm its neighbours */
	KINDS
};

struct question {
	int number;
	enum kind kind;
	int calls;
};

static int answered;

/* Each answer holds the number of its question. */
static void
check_answer(void *arg, const struct mews_result *result)
{
	static const char *const states[KINDS] = { "", "", "22012", "42703",
		"22P02", "", "23505" };
	struct question *q = arg;
	char		 expected[40];

	answered++;
	q->calls++;
	ck_assert_str_eq(mews_result_sqlstate(result), states[q->kind]);
	ck_assert_int_eq(mews_result_status(result),
	    states[q->kind][0] == '\0' ? MEWS_OK : MEWS_SQL);
	snprintf(expected, sizeof(expected), "<%d>", q->number);
	if (mews_result_status(result) == MEWS_OK)
		ck_assert_str_eq(PQgetvalue(mews_result_pg(result), 0, 0),
		    expected);
	else if (q->kind != KIND_DIVISION && q->kind != KIND_DUPLICATE)
		ck_assert_ptr_nonnull(strstr(mews_result_message(result),
		    expected));
}

static void
put_question(struct question *q, struct mews_statement *const statements[KINDS])
{
	static const char *const from[] = { "read", "narrow", "write", "one" };
	bool	writes = q->kind == KIND_INSERT || q->kind == KIND_DUPLICATE;
	char	text[40], sql[80];
	struct mews_param	params[2] = { mews_param_int_text(q->number) };
	struct mews_query_args	args = { .params = params, .param_count = 1 };
	struct mews_group      *group;
	enum mews_status	status;

	snprintf(text, sizeof(text), "<%d>", q->number);
	args.statement = statements[q->kind];
	if (q->kind == KIND_CAST) {
		params[0] = mews_param_text(text);
	} else if (q->kind == KIND_UNKNOWN) {
		snprintf(sql, sizeof(sql), "select \"%s\"", text);
		args = (struct mews_query_args) { .sql = sql };
	} else if (q->kind == KIND_OF_THE_MOMENT) {
		args.sql = "select $1::text || $2";
		params[0] = mews_param_text(text);
		params[1] = mews_param_text("");
		args.param_count = 2;
	}
	group = cluster_group(writes ? "write" : from[q->number % 4]);
	while ((status = mews_query_send(group, &args, check_answer, q,
		    NULL)) == MEWS_OVERLOAD)
		cluster_turn();
	ck_assert_int_eq(status, MEWS_OK);
}

START_TEST(each_of_ten_thousand_answers_reaches_its_asker)
{
	static struct question	questions[MANY];
	static const char *const sql[KINDS] = {
		[KIND_REGISTERED] = "select '<' || $1::int || '>'",
		[KIND_DIVISION] = "select $1::int / 0",
		[KIND_CAST] = "select $1::int",
		[KIND_INSERT] = "insert into stored values ($1) "
				"returning '<' || id || '>'",
		[KIND_DUPLICATE] = "insert into stored values (-1), ($1)",
	};
	struct mews_statement *statements[KINDS] = { NULL };
	int		       inserts = 0;
	char		       expected[40];

	cluster_ask("a", "drop table if exists stored;"
	    "create table stored (id int primary key);"
	    "insert into stored values (-1)");
	plain_open();
	for (int i = 0; i < KINDS; i++)
		if (sql[i] != NULL)
			statements[i] = registered(sql[i], 0);
	srand(1);
	for (int i = 0; i < MANY; i++) {
		questions[i] = (struct question) {
			.number = i, .kind = (enum kind)(rand() % KINDS),
		};
		inserts += questions[i].kind == KIND_INSERT;
		put_question(&questions[i], statements);
		if (rand() % 20 == 0)
			mews_pool_turn(cluster.pool, 0);
	}
	CLUSTER_WAIT(answered == MANY);
	for (int i = 0; i < MANY; i++)
		ck_assert_int_eq(questions[i].calls, 1);
	snprintf(expected, sizeof(expected), "%d", inserts + 1);
	ck_assert_str_eq(cluster_ask("a", "select count(*) from stored"),
	    expected);
	ck_assert_uint_eq(cluster_stats("one").in_flight, 0);
	ck_assert_uint_eq(cluster_stats("read").waiting, 0);
}
END_TEST

/* --- parameters --- */

static struct mews_param
long_text(void)
{
	static char	text[100001];

	memset(text, 'x', sizeof(text) - 1);
	return mews_param_text(text);
}

START_TEST(a_parameter_arrives_as_it_was_given)
{
	const struct {
		const char *sql;
		struct mews_param param;
	} rows[] = {
		{ "select $1::bigint = 9223372036854775807",
		  mews_param_int_text(INT64_MAX) },
		{ "select $1::bigint = -9223372036854775808",
		  mews_param_int_text(INT64_MIN) },
		{ "select $1::smallint = 0", mews_param_int_text(0) },
		{ "select $1::float8 = 0.1", mews_param_double_text(0.1) },
		{ "select $1::numeric = 0.1", mews_param_double_text(0.1) },
		{ "select $1::float8 = -1.7976931348623157e308",
		  mews_param_double_text(-DBL_MAX) },
		{ "select $1::float8 = 2.2250738585072014e-308",
		  mews_param_double_text(DBL_MIN) },
		{ "select $1::float8 = 'nan'",
		  mews_param_double_text(0.0 / 0.0) },
		{ "select $1::float8 = '-infinity'",
		  mews_param_double_text(-1.0 / 0.0) },
		{ "select $1", mews_param_bool(true) },
		{ "select not $1::bool", mews_param_bool(false) },
		{ "select $1::text = ''", mews_param_text("") },
		{ "select $1::text = e'it''s \\\\ $1 \\n'",
		  mews_param_text("it's \\ $1 \n") },
		{ "select $1::text is null", mews_param_text(NULL) },
		{ "select $1::int is null", mews_param_null() },
		{ "select $1::int is null", { 0 } },
		{ "select $1::text = repeat('x', 100000)", long_text() },
		{ "select $1::bytea = '\\x00ff00'",
		  mews_param_bytes("\0\377\0", 3) },
		{ "select $1::bytea = ''", mews_param_bytes("", 0) },
		{ "select $1::bytea is null", mews_param_bytes(NULL, 0) },
		{ "select $1::int = 258", mews_param_bytes("\0\0\1\2", 4) },
		{ "select $1::text = 'abc'",
		  { .value = "abcdef", .length = 3 } },
	};
	struct mews_query_args args = { .param_count = 1 };
	struct asked	       asked;

	plain_open();
	for (size_t i = 0; i < CLUSTER_COUNT(rows); i++)
		for (int twice = 0; twice < 2; twice++) {
			args.params = &rows[i].param;
			args.sql = twice ? NULL : rows[i].sql;
			args.statement = twice ?
			    registered(rows[i].sql, 0) : NULL;
			asked = cluster_run_args(cluster_group("one"), &args);
			ck_assert_msg(asked.status == MEWS_OK &&
			    strcmp(asked.value, "t") == 0, "%s: %s %s",
			    rows[i].sql, asked.value, asked.message);
		}
}
END_TEST

START_TEST(parameters_are_copied_when_the_query_is_accepted)
{
	char			text[] = "before";
	struct mews_param	params[8];
	struct mews_query_args	args = { .params = params, .param_count = 8,
		.sql = "select concat($1::text, $2::text, $3::text, $4::text, "
		    "$5::text, $6::text, $7::text, $8::text)" };
	struct asked		asked;

	plain_open();
	for (int i = 0; i < 8; i++)
		params[i] = mews_param_int_text(i);
	params[3] = mews_param_text(text);
	params[4] = mews_param_null();
	cluster_send(&asked, cluster_group("read"), &args);
	memset(text, '#', sizeof(text) - 1);
	memset(params, '#', sizeof(params));
	CLUSTER_WAIT(asked.calls == 1);
	ck_assert_str_eq(asked.value, "012before567");
}
END_TEST

START_TEST(columns_are_binary_only_where_asked_for)
{
	static const char *const sql = "select 258, null::int, ''";
	struct mews_statement	*statement;
	struct mews_query_args	 args[3];
	struct mews_result	*result;
	const PGresult		*pg;
	uint32_t		 value;

	plain_open();
	statement = registered(sql, MEWS_QUERY_BINARY);
	args[0] = (struct mews_query_args) { .statement = statement };
	args[1] = (struct mews_query_args) { .sql = sql,
		.flags = MEWS_QUERY_BINARY };
	args[2] = (struct mews_query_args) { .sql = sql };
	for (int i = 0; i < 3; i++) {
		ck_assert_int_eq(mews_query_run(cluster_group("one"),
		    &args[i], &result), MEWS_OK);
		pg = mews_result_pg(result);
		ck_assert_int_eq(PQnfields(pg), 3);
		ck_assert_int_eq(PQfformat(pg, 0), i < 2);
		ck_assert(PQgetisnull(pg, 0, 1));
		ck_assert(!PQgetisnull(pg, 0, 2));
		ck_assert_int_eq(PQgetlength(pg, 0, 2), 0);
		if (i < 2) {
			memcpy(&value, PQgetvalue(pg, 0, 0), 4);
			ck_assert_uint_eq(ntohl(value), 258);
		} else {
			ck_assert_str_eq(PQgetvalue(pg, 0, 0), "258");
		}
		mews_result_free(&result);
		ck_assert_ptr_null(result);
	}
}
END_TEST

START_TEST(a_result_may_have_no_rows_many_rows_and_much_in_one)
{
	struct mews_query_args	args = { .sql =
		"select i, repeat('y', 100) from generate_series(1, 50000) i" };
	struct mews_result     *result;

	plain_open();
	ck_assert_int_eq(mews_query_run(cluster_group("read"), &args, &result),
	    MEWS_OK);
	ck_assert_int_eq(PQntuples(mews_result_pg(result)), 50000);
	ck_assert_str_eq(PQgetvalue(mews_result_pg(result), 49999, 0),
	    "50000");
	mews_result_free(&result);
	args.sql = "select repeat('z', 20000000)";
	ck_assert_int_eq(mews_query_run(cluster_group("read"), &args, &result),
	    MEWS_OK);
	ck_assert_int_eq(PQgetlength(mews_result_pg(result), 0, 0), 20000000);
	mews_result_free(&result);
	args.sql = "select where false";
	ck_assert_int_eq(mews_query_run(cluster_group("read"), &args, &result),
	    MEWS_OK);
	ck_assert_int_eq(PQntuples(mews_result_pg(result)), 0);
	mews_result_free(&result);
	args.sql = "-- nothing at all";
	ck_assert_int_eq(mews_query_run(cluster_group("read"), &args, &result),
	    MEWS_OK);
	mews_result_free(&result);
}
END_TEST

/* --- prepared statements --- */

START_TEST(a_statement_is_prepared_once_on_a_connection)
{
	struct mews_query_args	args = { 0 };

	plain_open();
	args.statement = registered("select 'used'", 0);
	registered("select 'never used'", 0);
	for (int i = 0; i < 5; i++)
		ck_assert_str_eq(cluster_run_args(cluster_group("one"),
		    &args).value, "used");
	ck_assert_str_eq(cluster_value(cluster_group("one"),
	    "select count(*) from pg_prepared_statements"), "1");
}
END_TEST

START_TEST(many_statements_keep_apart)
{
	struct mews_statement	*statements[300];
	struct asked		 asked[CLUSTER_COUNT(statements)];
	char			 sql[40];

	plain_open();
	for (int i = 0; i < 300; i++) {
		snprintf(sql, sizeof(sql), "select 'statement %d'", i);
		statements[i] = registered(sql, 0);
	}
	for (int round = 0; round < 2; round++) {
		for (int i = 0; i < 300; i++)
			cluster_send(&asked[i], cluster_group("one"),
			    &(struct mews_query_args) {
				.statement = statements[299 - i] });
		CLUSTER_WAIT(asked[299].calls == 1);
		for (int i = 0; i < 300; i++) {
			snprintf(sql, sizeof(sql), "statement %d", 299 - i);
			ck_assert_int_eq(asked[i].calls, 1);
			ck_assert_str_eq(asked[i].value, sql);
		}
	}
	ck_assert_str_eq(cluster_value(cluster_group("one"),
	    "select count(*) from pg_prepared_statements"), "300");
}
END_TEST

START_TEST(a_statement_that_cannot_be_prepared_works_once_it_can)
{
	struct mews_query_args	args = { 0 };
	struct asked		asked[20];

	cluster_ask("a", "drop table if exists late");
	plain_open();
	args.statement = registered("select count(*) from late", 0);
	for (int i = 0; i < 20; i++)
		cluster_send(&asked[i], cluster_group("one"), &args);
	for (int i = 0; i < 20; i++) {
		CLUSTER_WAIT(asked[i].calls == 1);
		ck_assert_int_eq(asked[i].status, MEWS_SQL);
		ck_assert_str_eq(asked[i].sqlstate, "42P01");
	}
	cluster_ask("a", "create table late ()");
	ck_assert_str_eq(cluster_run_args(cluster_group("one"), &args).value,
	    "0");
}
END_TEST

/* Send 50 queries of @args in one flight: each ends well with @value. */
static void
flight_is_well(const struct mews_query_args *args, const char *value)
{
	static struct asked	asked[50];

	for (int i = 0; i < 50; i++)
		cluster_send(&asked[i], cluster_group("one"), args);
	for (int i = 0; i < 50; i++) {
		CLUSTER_WAIT(asked[i].calls == 1);
		ck_assert_msg(asked[i].status == MEWS_OK, "query %d: %s: %s",
		    i, mews_status_name(asked[i].status), asked[i].message);
		ck_assert_str_eq(asked[i].value, value);
	}
}

START_TEST(a_statement_survives_a_change_of_its_table)
{
	struct mews_query_args	args = { 0 };

	cluster_ask("a", "drop table if exists changing;"
	    "create table changing as select 'old' as v");
	plain_open();
	args.statement = registered("select * from changing", 0);
	flight_is_well(&args, "old");
	for (int i = 0; i < 5; i++) {
		cluster_ask("a", "drop table changing;"
		    "create table changing as select 1 as v");
		flight_is_well(&args, "1");
		cluster_ask("a", "drop table changing;"
		    "create table changing as select 'new' as v, 2 as w");
		flight_is_well(&args, "new");
	}
}
END_TEST

START_TEST(a_statement_survives_that_somebody_deallocates_it)
{
	struct mews_query_args	args = { 0 };

	plain_open();
	args.statement = registered("select 'back'", 0);
	for (int i = 0; i < 5; i++) {
		flight_is_well(&args, "back");
		cluster_value(cluster_group("one"),
		    "do $$ begin execute 'deallocate all'; end $$");
	}
	ck_assert_uint_eq(cluster_stats("one").opened, 1);
}
END_TEST

/* --- writes --- */

START_TEST(a_write_is_well_only_once_it_is_committed)
{
	struct mews_group *group;
	struct asked	   before, late, behind, found;

	cluster_ask("a", "drop table if exists deferred; create table deferred "
	    "(id int unique deferrable initially deferred);"
	    "insert into deferred values (1)");
	plain_open();
	group = cluster_group("one");
	cluster_send_sql(&before, group, "insert into deferred values (2)");
	/* The query succeeds as a statement; its commit does not. */
	cluster_send_sql(&late, group,
	    "insert into deferred values (1) returning 'seen'");
	cluster_send_sql(&behind, group, "insert into deferred values (3)");
	cluster_send_sql(&found, group, "select string_agg(id::text, ',' "
	    "order by id) from deferred");
	CLUSTER_WAIT(found.calls == 1);
	ck_assert_int_eq(before.status, MEWS_OK);
	ck_assert_int_eq(late.calls, 1);
	ck_assert_int_eq(late.status, MEWS_SQL);
	ck_assert_str_eq(late.sqlstate, "23505");
	ck_assert_int_eq(behind.status, MEWS_OK);
	ck_assert_str_eq(found.value, "1,2,3");
	ck_assert_str_eq(cluster_ask("a", "select count(*) from deferred"),
	    "3");
	ck_assert_uint_eq(cluster_stats("one").opened, 1);
}
END_TEST

START_TEST(a_row_lock_ends_with_its_query)
{
	plain_open();
	for (int i = 0; i < 20; i++)
		ck_assert_str_eq(cluster_value(cluster_group("write"),
		    "select id from world where id = 1 for update nowait"),
		    "1");
	cluster_ask("a", "select from world where id = 1 for update nowait");
}
END_TEST

START_TEST(a_reader_group_cannot_write)
{
	struct asked asked;

	plain_open();
	asked = cluster_run(cluster_group("read"),
	    "update world set randomnumber = 0 where id = 1");
	ck_assert_int_eq(asked.status, MEWS_SQL);
	ck_assert_str_eq(asked.sqlstate, "25006");
}
END_TEST

/* --- refusals --- */

static const char *const session_sql[] = {
	"BEGIN", "start transaction", " /* x /* y */ */ begin", "-- x\ncommit",
	"end", "rollback", "savepoint s", "set search_path = x",
	"SET LOCAL a.b = 1", "reset all", "discard all", "listen x",
	"unlisten *",
	"prepare p as select 1", "execute p", "deallocate all",
	"declare c cursor for select 1", "fetch c", "close c", "lock world",
	"copy world to stdout", "load 'x'", "create temp table x ()",
	"CREATE LOCAL TEMPORARY TABLE x ()",
};

START_TEST(sql_about_the_session_is_refused)
{
	struct mews_query_args args[2] = { 0 };
	struct asked	       asked = { 0 };

	plain_open();
	args[0].sql = session_sql[_i];
	args[1].statement = registered(session_sql[_i], 0);
	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(mews_query_send(cluster_group("one"),
		    &args[i], cluster_note, &asked, NULL), MEWS_INVALID);
		ck_assert_ptr_nonnull(strstr(mews_group_message(
		    cluster_group("one")), "lease"));
	}
	cluster_value(cluster_group("one"), "select 1");
	ck_assert_int_eq(asked.calls, 0);
}
END_TEST

struct inner {
	int calls;
	enum mews_status query, lease, turn;
};

static void
block_inside(void *arg, const struct mews_result *result)
{
	struct inner	       *inner = arg;
	struct mews_query_args	args = { .sql = "select 1" };
	struct mews_result     *none = NULL;
	struct mews_lease      *lease;

	ck_assert_int_eq(mews_result_status(result), MEWS_OK);
	inner->calls++;
	inner->query = mews_query_run(cluster_group("one"), &args, &none);
	ck_assert_ptr_null(none);
	inner->lease = mews_lease_begin_run(cluster_group("one"), 0, &lease);
	ck_assert_ptr_null(lease);
	inner->turn = mews_pool_turn(cluster.pool, 0);
}

START_TEST(a_blocking_call_inside_a_callback_is_refused)
{
	struct mews_query_args	args = { .sql = "select 1" };
	struct inner		inner = { 0 };

	plain_open();
	ck_assert_int_eq(mews_query_send(cluster_group("one"), &args,
	    block_inside, &inner, NULL), MEWS_OK);
	ck_assert_int_eq(inner.calls, 0);
	cluster_value(cluster_group("write"), "select pg_sleep(0.1)");
	CLUSTER_WAIT(inner.calls == 1);
	ck_assert_int_eq(inner.query, MEWS_INVALID);
	ck_assert_int_eq(inner.lease, MEWS_INVALID);
	ck_assert_int_eq(inner.turn, MEWS_INVALID);
}
END_TEST

static Suite *
queries_suite(void)
{
	Suite *suite = suite_create("queries");
	TCase *many = unit_case(suite, "many");
	TCase *params = unit_case(suite, "parameters");
	TCase *statements = unit_case(suite, "statements");
	TCase *writes = unit_case(suite, "writes");
	TCase *refused = unit_case(suite, "refused");
	TCase *cases[] = { many, params, statements, writes, refused };

	for (size_t i = 0; i < CLUSTER_COUNT(cases); i++) {
		tcase_add_checked_fixture(cases[i], NULL, cluster_close);
		tcase_set_timeout(cases[i], 180);
	}
	tcase_add_test(many, each_of_ten_thousand_answers_reaches_its_asker);
	tcase_add_test(params, a_parameter_arrives_as_it_was_given);
	tcase_add_test(params,
	    parameters_are_copied_when_the_query_is_accepted);
	tcase_add_test(params, columns_are_binary_only_where_asked_for);
	tcase_add_test(params,
	    a_result_may_have_no_rows_many_rows_and_much_in_one);
	tcase_add_test(statements,
	    a_statement_is_prepared_once_on_a_connection);
	tcase_add_test(statements, many_statements_keep_apart);
	tcase_add_test(statements,
	    a_statement_that_cannot_be_prepared_works_once_it_can);
	tcase_add_test(statements, a_statement_survives_a_change_of_its_table);
	tcase_add_test(statements,
	    a_statement_survives_that_somebody_deallocates_it);
	tcase_add_test(writes, a_write_is_well_only_once_it_is_committed);
	tcase_add_test(writes, a_row_lock_ends_with_its_query);
	tcase_add_test(writes, a_reader_group_cannot_write);
	tcase_add_loop_test(refused, sql_about_the_session_is_refused, 0,
	    CLUSTER_COUNT(session_sql));
	tcase_add_test(refused, a_blocking_call_inside_a_callback_is_refused);
	return suite;
}

UNIT_MAIN(queries_suite)
