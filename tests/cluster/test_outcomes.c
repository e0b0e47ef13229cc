/*
 * test_outcomes.c - what a status says of what was done, in the less simple
 * cases: transactions, statements that commit on their way, positions, and
 * queries that were given up.
 */
#include "cluster.h"
#include "unit.h"

#include <mews/transaction.h>
#include <stdio.h>
#include <string.h>

#define SLEEP "select pg_sleep(60)"

static const char *const own_path[] = { "set search_path = own, pg_catalog" };

static const struct mews_group_config groups[] = {
	{ .name = "write", .role = MEWS_GROUP_PRIMARY, .query_timeout = 1000,
	  .connection_count = 1, .pipeline = 1, .acquire_timeout = 45000 },
	{ .name = "plain", .role = MEWS_GROUP_PRIMARY },
	{ .name = "begun", .role = MEWS_GROUP_PRIMARY,
	  .autocommit = MEWS_SWITCH_OFF },
	{ .name = "own", .role = MEWS_GROUP_PRIMARY, .init = own_path,
	  .init_count = 1 },
};

static void
begin(void)
{
	cluster_repair();
	cluster_ask("a", "drop table if exists truth;"
	    "create table truth (id int);"
	    "create or replace procedure half() language plpgsql as $$ begin "
	    "insert into truth values (1); commit; perform 1/0; end $$;"
	    "create or replace procedure slow() language plpgsql as $$ begin "
	    "insert into truth values (1); commit; perform pg_sleep(60); "
	    "end $$;"
	    "create or replace function raise_57014() returns int language "
	    "plpgsql as $$ begin raise exception 'own' using errcode = "
	    "'57014'; end $$;"
	    "create schema if not exists own; grant all on schema own to "
	    "public; create or replace function "
	    "own.pg_current_wal_insert_lsn() returns pg_lsn language plpgsql "
	    "as $$ begin perform pg_terminate_backend(pg_backend_pid(), 0); "
	    "perform pg_sleep(60); return null; end $$");
	cluster_open(groups, CLUSTER_COUNT(groups));
}

static void
assert_status(const struct asked *asked, enum mews_status status)
{
	ck_assert_msg(asked->status == status, "%s instead of %s: %s",
	    mews_status_name(asked->status), mews_status_name(status),
	    asked->message);
	ck_assert_int_eq(asked->calls, 1);
}

/* Queries on a lease behind SLEEP, and how each ends when the session is
 * lost. */
static const struct {
	const char *group;
	const char *sent[3]; /* SQL; "C" and "R": commit and roll back */
	enum mews_status ends[3];
} lost[] = {
	{ "begun", { SLEEP }, { MEWS_UNDONE } },
	{ "begun", { SLEEP, "insert into truth values (1)" },
	  { MEWS_UNDONE, MEWS_UNDONE } },
	{ "begun", { SLEEP, "C" }, { MEWS_LOST, MEWS_LOST } },
	{ "begun", { SLEEP, "R" }, { MEWS_UNDONE, MEWS_UNDONE } },
	{ "begun", { SLEEP, "C", "insert into truth values (1)" },
	  { MEWS_LOST, MEWS_LOST, MEWS_UNDONE } },
	{ "begun", { SLEEP, "commit" }, { MEWS_LOST, MEWS_LOST } },
	{ "begun", { SLEEP, "end", SLEEP },
	  { MEWS_LOST, MEWS_LOST, MEWS_LOST } },
	{ "plain", { SLEEP, "insert into truth values (1)" },
	  { MEWS_LOST, MEWS_LOST } },
	{ "plain", { "begin", SLEEP }, { MEWS_OK, MEWS_LOST } },
};

START_TEST(a_session_that_is_lost_says_what_became_of_its_transaction)
{
	struct mews_lease      *lease;
	struct asked		asked[3] = { 0 };
	int			count = 0;

	lease = cluster_lease(cluster_group(lost[_i].group));
	for (; count < 3 && lost[_i].sent[count] != NULL; count++) {
		const struct mews_query_args args = {
			.sql = lost[_i].sent[count] };
		enum mews_status	status;

		if (strcmp(args.sql, "C") == 0)
			status = mews_lease_commit(lease, cluster_note,
			    &asked[count]);
		else if (strcmp(args.sql, "R") == 0)
			status = mews_lease_rollback(lease, cluster_note,
			    &asked[count]);
		else
			status = mews_lease_query(lease, &args, cluster_note,
			    &asked[count], NULL);
		ck_assert_int_eq(status, MEWS_OK);
	}
	CLUSTER_WAIT(cluster_ask_int("a", "select count("
	    "pg_terminate_backend(pid)) from pg_stat_activity where state = "
	    "'active' and query = '" SLEEP "'") == 1);
	for (int i = 0; i < count; i++) {
		CLUSTER_WAIT(asked[i].calls == 1);
		assert_status(&asked[i], lost[_i].ends[i]);
		ck_assert_str_eq(asked[i].endpoint, "a");
	}
	mews_lease_end(&lease);
	ck_assert_int_eq(cluster_ask_int("a", "select count(*) from truth"),
	    0);
}
END_TEST

static const struct {
	const char *sql;
	enum mews_status pooled, begun; /* alone, and inside of a transaction */
	const char *state, *begun_state;
	int rows; /* how many rows the query alone leaves */
} errors[] = {
	{ "call half()", MEWS_PARTLY, MEWS_SQL, "22012", "2D000", 1 },
	{ "do $$ begin insert into truth values (1); commit; "
	  "perform 1/0; end $$", MEWS_PARTLY, MEWS_SQL, "22012", "2D000", 1 },
	{ "call slow()", MEWS_PARTLY, MEWS_SQL, "57014", "2D000", 1 },
	{ "vacuum missing", MEWS_PARTLY, MEWS_SQL, "42P01", "25001", 0 },
	{ "create index concurrently i on missing (id)", MEWS_PARTLY,
	  MEWS_SQL, "42P01", "25001", 0 },
	{ "create index i on missing (id)", MEWS_SQL, MEWS_SQL, "42P01",
	  "42P01", 0 },
	{ "insert into truth values (1/0)", MEWS_SQL, MEWS_SQL, "22012",
	  "22012", 0 },
	{ "insert into truth select 1 from pg_sleep(60)", MEWS_TIMEOUT,
	  MEWS_TIMEOUT, "57014", "57014", 0 },
	{ "select raise_57014()", MEWS_SQL, MEWS_SQL, "57014", "57014", 0 },
};

START_TEST(an_error_says_whether_something_may_have_stayed)
{
	struct mews_lease      *lease;
	struct asked		asked;

	asked = cluster_run(cluster_group("write"), errors[_i].sql);
	assert_status(&asked, errors[_i].pooled);
	ck_assert_str_eq(asked.sqlstate, errors[_i].state);
	ck_assert_str_ne(asked.message, "");
	ck_assert_int_eq(cluster_ask_int("a", "select count(*) from truth"),
	    errors[_i].rows);
	lease = cluster_lease(cluster_group("write"));
	ck_assert_int_eq(mews_lease_transaction(lease, NULL), MEWS_OK);
	asked = cluster_on_lease(lease, errors[_i].sql);
	assert_status(&asked, errors[_i].begun);
	ck_assert_str_eq(asked.sqlstate, errors[_i].begun_state);
	mews_lease_end(&lease);
	ck_assert_int_eq(cluster_ask_int("a", "select count(*) from truth"),
	    errors[_i].rows);
}
END_TEST

/* Send @sql behind a BEGIN as SQL, with @around before and behind it unless
 * that is NULL, without waiting in between; returns the end of @sql. */
static struct asked
ask_behind_begin(const char *around, const char *sql)
{
	struct mews_lease      *lease;
	const char *const	sent[] = { "begin", around, sql, around };
	struct asked		asked[4] = { 0 };

	lease = cluster_lease(cluster_group("write"));
	for (int i = 0; i < 4; i++) {
		const struct mews_query_args args = { .sql = sent[i] };

		if (args.sql != NULL)
			ck_assert_int_eq(mews_lease_query(lease, &args,
			    cluster_note, &asked[i], NULL), MEWS_OK);
	}
	CLUSTER_WAIT(asked[2].calls == 1 &&
	    (around == NULL || asked[3].calls == 1));
	mews_lease_end(&lease);
	return asked[2];
}

/* The host begins the transaction as SQL, so the library learns of it from the
 * answers only. */
START_TEST(an_error_behind_a_begin_as_sql_left_nothing)
{
	struct asked	asked;

	asked = ask_behind_begin(NULL, errors[_i].sql);
	assert_status(&asked, errors[_i].begun);
	ck_assert_str_eq(asked.sqlstate, errors[_i].begun_state);
	asked = ask_behind_begin("select 1/0", errors[_i].sql);
	assert_status(&asked, MEWS_SQL);
	ck_assert_str_eq(asked.sqlstate, "25P02");
	ck_assert_int_eq(cluster_ask_int("a", "select count(*) from truth"),
	    0);
}
END_TEST

START_TEST(a_position_that_is_lost_leaves_the_write_well)
{
	const struct mews_query_args args = { .flags = MEWS_QUERY_POSITION,
		.sql = "insert into public.truth values (1)" };
	struct mews_result     *result;

	ck_assert_int_eq(mews_query_run(cluster_group("own"), &args, &result),
	    MEWS_OK);
	ck_assert_uint_eq(mews_result_position(result), 0);
	ck_assert_str_eq(mews_result_endpoint(result), "a");
	ck_assert_int_eq(cluster_logged("connection_lost"), 1);
	mews_result_free(&result);
	ck_assert_int_eq(cluster_ask_int("a", "select count(*) from truth"),
	    1);
}
END_TEST

START_TEST(a_canceled_query_names_its_server_if_it_was_sent)
{
	struct mews_group      *group = cluster_group("write");
	struct asked		sent, waits, closed;

	cluster_value(group, "select 1");
	cluster_send_sql(&sent, group, "select pg_sleep(0.5)");
	cluster_send_sql(&waits, group, "select pg_sleep(0.5)");
	mews_query_cancel(cluster.pool, sent.id);
	mews_query_cancel(cluster.pool, waits.id);
	CLUSTER_WAIT(sent.calls == 1 && waits.calls == 1);
	assert_status(&sent, MEWS_CANCELED);
	assert_status(&waits, MEWS_CANCELED);
	ck_assert_str_eq(sent.endpoint, "a");
	ck_assert_str_eq(waits.endpoint, "");
	cluster_value(group, "select 1");
	cluster_send_sql(&closed, group, SLEEP);
	mews_pool_close(&cluster.pool);
	assert_status(&closed, MEWS_CANCELED);
	ck_assert_str_eq(closed.endpoint, "a");
}
END_TEST

#define AGAIN 50

/* The callback of a CANCELED query sends the next one, and cancels it. */
static void
begin_again(void *arg, const struct mews_result *result)
{
	struct asked	       *asked = arg;
	mews_query_id		id;
	struct mews_query_args	args = { .sql = "select 1" };

	cluster_note(asked, result);
	if (asked->calls == AGAIN)
		return;
	ck_assert_int_eq(mews_query_send(cluster_group("write"), &args,
	    begin_again, asked, &id), MEWS_OK);
	ck_assert_int_eq(mews_query_cancel(cluster.pool, id), MEWS_OK);
}

START_TEST(a_query_canceled_in_a_callback_ends_in_the_next_turn)
{
	struct mews_query_args	args = { .sql = "select 1" };
	struct asked		asked = { 0 };
	mews_query_id		id;

	cluster_value(cluster_group("write"), "select 1");
	ck_assert_int_eq(mews_query_send(cluster_group("write"), &args,
	    begin_again, &asked, &id), MEWS_OK);
	ck_assert_int_eq(mews_query_cancel(cluster.pool, id), MEWS_OK);
	ck_assert_int_eq(mews_pool_tick(cluster.pool), 0);
	ck_assert_int_eq(asked.calls, 1);
	CLUSTER_WAIT(asked.calls == AGAIN);
	ck_assert_int_eq(asked.status, MEWS_CANCELED);
}
END_TEST

static void
assert_line(const char *text, const char *part)
{
	ck_assert_msg(strstr(text, part) != NULL &&
	    strcspn(text, "\n\r\t") == strlen(text), "%s", text);
}

/* Texts of a server, a group and an error, each with line breaks, from every
 * call. */
START_TEST(a_message_is_one_line)
{
	static const char	raise[] = "do $$ begin raise exception "
	    "e'two\\n\\tlines'; end $$";
	struct mews_group      *group = cluster_group("plain");
	struct mews_lease      *lease = cluster_lease(group);
	struct mews_query_args	args = { .sql = "set\nsearch_path\n= own" };
	struct mews_statement  *statement;
	struct mews_error	error;
	struct mews_result     *result;
	struct asked		asked;

	asked = cluster_run(group, raise);
	assert_line(asked.message, "two lines");
	assert_line(cluster_on_lease(lease, raise).message, "two lines");
	assert_line(cluster_on_lease(lease, "select\n1/0").message, "zero");
	mews_lease_end(&lease);
	cluster_send_sql(&asked, group, raise);
	CLUSTER_WAIT(asked.calls == 1);
	assert_line(asked.message, "two lines");
	ck_assert_int_eq(mews_query_run(group, &args, &result), MEWS_INVALID);
	assert_line(mews_group_message(group), "set search_path");
	ck_assert_int_eq(mews_statement_register(&statement, cluster.pool,
	    "a\nname", "select 1", 0xff, &error), MEWS_INVALID);
	assert_line(error.message, "a name");
}
END_TEST

/* May the query be sent again? */
static const struct {
	enum mews_status status;
	bool unsent, undone;
} answers[] = {
	{ MEWS_OK, false, false }, { MEWS_SQL, false, true },
	{ MEWS_UNAVAILABLE, true, true }, { MEWS_OVERLOAD, true, true },
	{ MEWS_WAITED, true, true }, { MEWS_TIMEOUT, false, true },
	{ MEWS_LOST, false, false }, { MEWS_CANCELED, false, false },
	{ MEWS_INVALID, true, true }, { MEWS_NOMEM, true, true },
	{ MEWS_SYSTEM, false, false }, { MEWS_UNDONE, false, true },
	{ MEWS_PARTLY, false, false }, { MEWS_TOO_LARGE, false, false },
};

START_TEST(each_status_says_whether_a_query_may_be_sent_again)
{
	for (size_t i = 0; i < CLUSTER_COUNT(answers); i++) {
		ck_assert_uint_eq(answers[i].status, i);
		ck_assert_int_eq(mews_status_unsent(answers[i].status),
		    answers[i].unsent);
		ck_assert_int_eq(mews_status_undone(answers[i].status),
		    answers[i].undone);
		ck_assert_str_ne(mews_status_name(answers[i].status), "?");
	}
	ck_assert_str_eq(mews_status_name(
	    (enum mews_status)CLUSTER_COUNT(answers)), "?");
}
END_TEST

START_TEST(unavailable_says_why_each_server_is_left_out)
{
	struct asked	asked;

	cluster_value(cluster_group("write"), "select 1");
	ck_assert_int_eq(mews_fleet_drain(cluster.fleet, "a", true, NULL),
	    MEWS_OK);
	asked = cluster_run_args(cluster_group("write"),
	    &(struct mews_query_args){ .sql = "select 1",
		.deadline_ms = 1000 });
	ck_assert(mews_status_unsent(asked.status));
	ck_assert_msg(strstr(asked.message, "a is drained, b takes no writes, "
	    "c takes no writes") != NULL, "%s", asked.message);
	ck_assert_int_eq(mews_fleet_drain(cluster.fleet, "a", false, NULL),
	    MEWS_OK);
	cluster_value(cluster_group("write"), "select 1");
}
END_TEST

START_TEST(a_statement_of_another_pool_is_refused)
{
	struct mews_pool       *other;
	struct mews_statement  *statement;
	struct mews_query_args	args = { 0 };
	struct asked		none = { 0 };

	ck_assert_int_eq(mews_pool_open(&other, cluster.fleet, NULL, NULL,
	    NULL), MEWS_OK);
	ck_assert_int_eq(mews_statement_register(&statement, other, NULL,
	    "select 1", 0, NULL), MEWS_OK);
	args.statement = statement;
	ck_assert_int_eq(mews_query_send(cluster_group("plain"), &args,
	    cluster_note, &none, NULL), MEWS_INVALID);
	ck_assert_str_eq(mews_group_message(cluster_group("plain")),
	    "the statement was registered with another pool");
	mews_pool_close(&other);
	cluster_value(cluster_group("plain"), "select 1");
	ck_assert_int_eq(none.calls, 0);
}
END_TEST

static Suite *
outcomes_suite(void)
{
	Suite	*suite = suite_create("outcomes");
	TCase	*tcase = unit_case(suite, "outcomes");

	tcase_set_timeout(tcase, 60);
	tcase_add_checked_fixture(tcase, begin, cluster_close);
	tcase_add_loop_test(tcase,
	    a_session_that_is_lost_says_what_became_of_its_transaction, 0,
	    (int)CLUSTER_COUNT(lost));
	tcase_add_loop_test(tcase,
	    an_error_says_whether_something_may_have_stayed, 0,
	    (int)CLUSTER_COUNT(errors));
	tcase_add_loop_test(tcase, an_error_behind_a_begin_as_sql_left_nothing,
	    0, (int)CLUSTER_COUNT(errors));
	tcase_add_test(tcase, a_position_that_is_lost_leaves_the_write_well);
	tcase_add_test(tcase, a_canceled_query_names_its_server_if_it_was_sent);
	tcase_add_test(tcase,
	    a_query_canceled_in_a_callback_ends_in_the_next_turn);
	tcase_add_test(tcase, a_message_is_one_line);
	tcase_add_test(tcase,
	    each_status_says_whether_a_query_may_be_sent_again);
	tcase_add_test(tcase, unavailable_says_why_each_server_is_left_out);
	tcase_add_test(tcase, a_statement_of_another_pool_is_refused);
	return suite;
}

UNIT_MAIN(outcomes_suite)
