/*
 * test_statuses.c - the status of a query tells the truth about it.
 *
 * The table "truth" holds what happened; the status says what happened.
 */
#include "cluster.h"
#include "unit.h"

#include <stdio.h>
#include <string.h>

#define WAIT_MS 1000 /* a login on a busy machine may take more than 300 ms */

static const struct mews_group_config groups[] = {
	{ .name = "write", .role = MEWS_GROUP_PRIMARY, .query_timeout = 300,
	  .acquire_timeout = WAIT_MS },
	{ .name = "single", .role = MEWS_GROUP_PRIMARY, .connection_count = 1,
	  .pipeline = 1, .queue = 3 },
	{ .name = "read", .role = MEWS_GROUP_STANDBY },
	{ .name = "patient", .role = MEWS_GROUP_PRIMARY,
	  .acquire_timeout = 2000 },
	{ .name = "lease", .role = MEWS_GROUP_PRIMARY, .connection_count = 1,
	  .autocommit = MEWS_SWITCH_OFF },
};

static void
truth_made(void)
{
	cluster_repair();
	cluster_ask("a", "set synchronous_commit = local;"
	    "drop table if exists truth; create table truth (id int unique,"
	    " constraint positive check (id > 0))");
}

static int
truth_count(void)
{
	return cluster_ask_int("a", "select count(*) from truth");
}

static void
open_pool(void)
{
	cluster_open(groups, CLUSTER_COUNT(groups));
}

static void
assert_status(struct asked asked, enum mews_status status)
{
	ck_assert_msg(asked.status == status, "%s instead of %s: %s",
	    mews_status_name(asked.status), mews_status_name(status),
	    asked.message);
	ck_assert_int_eq(asked.calls, 1);
	if (status == MEWS_OK)
		ck_assert_str_eq(asked.message, "");
	else
		ck_assert_str_ne(asked.message, "");
	if (mews_status_unsent(status))
		ck_assert_str_eq(asked.endpoint, "");
}

static const struct {
	const char *sql;
	const char *sqlstate;
	const char *message;
} sql_errors[] = {
	{ "select 1/0", "22012", "division by zero" },
	{ "selec", "42601", "syntax error" },
	{ "select 1; select 2", "42601", "multiple commands" },
	{ "select * from missing", "42P01", "missing" },
	{ "insert into truth values (1), (1)", "23505", "truth_id_key" },
	{ "insert into truth values (-1)", "23514", "positive" },
	{ "select $1::int", "08P01", "parameters" },
};

START_TEST(sql_names_the_error_of_the_server)
{
	struct asked	asked;

	open_pool();
	asked = cluster_run(cluster_group("write"), sql_errors[_i].sql);
	assert_status(asked, MEWS_SQL);
	ck_assert_str_eq(asked.sqlstate, sql_errors[_i].sqlstate);
	ck_assert_ptr_nonnull(strstr(asked.message, sql_errors[_i].message));
	ck_assert_str_eq(asked.endpoint, "a");
	ck_assert_int_eq(truth_count(), 0);
	/* The error concerns the query, not the connection. */
	cluster_value(cluster_group("write"), "select 1");
	ck_assert_uint_eq(cluster_stats("write").opened, 1);
	ck_assert_uint_eq(cluster_stats("write").queries, 2);
	ck_assert_uint_eq(cluster_stats("write").errors, 1);
}
END_TEST

START_TEST(ok_means_committed)
{
	open_pool();
	for (int i = 1; i <= 20; i++) {
		struct mews_param param = mews_param_int_text(i);
		struct mews_query_args args = { .params = &param,
			.sql = "insert into truth values ($1)",
			.param_count = 1 };

		assert_status(cluster_run_args(cluster_group("write"), &args),
		    MEWS_OK);
		ck_assert_int_eq(truth_count(), i);
	}
}
END_TEST

/* --- UNAVAILABLE --- */

START_TEST(unavailable_when_no_server_runs)
{
	int64_t	began;

	open_pool();
	cluster_value(cluster_group("write"), "select 1");
	cluster_servers("down", "a b c");
	for (int i = 0; i < 3; i++) {
		began = cluster_now();
		assert_status(cluster_run(cluster_group("write"),
		    "insert into truth values (1)"), MEWS_UNAVAILABLE);
		ck_assert_int_ge(cluster_now() - began,
		    CLUSTER_LEAST(WAIT_MS));
		ck_assert_int_lt(cluster_now() - began, WAIT_MS + 10000);
	}
	cluster_servers("up", "a b c");
	ck_assert_int_eq(truth_count(), 0);
	CLUSTER_WAIT(cluster_run(cluster_group("write"), "select 1").status ==
	    MEWS_OK);
}
END_TEST

START_TEST(unavailable_when_no_server_has_the_role)
{
	struct asked	asked;

	cluster_prepare(groups, CLUSTER_COUNT(groups));
	cluster.config.endpoints = &cluster.endpoints[1];
	cluster.config.endpoint_count = 2;
	cluster_create();
	cluster_join();
	cluster_value(cluster_group("read"), "select 1");
	asked = cluster_run(cluster_group("write"), "select 1");
	assert_status(asked, MEWS_UNAVAILABLE);
	ck_assert_ptr_nonnull(strstr(asked.message, "write"));
}
END_TEST

/* Open a fleet with a alone, where the login fails. */
static struct asked
ask_with(const char *conninfo, const char *group)
{
	static char	whole[400];
	struct asked	asked;

	cluster_prepare(groups, CLUSTER_COUNT(groups));
	snprintf(whole, sizeof(whole), "%s %s", cluster.endpoints[0].conninfo,
	    conninfo);
	cluster.endpoints[0].conninfo = whole;
	cluster.config.endpoint_count = 1;
	cluster_create();
	cluster_join();
	asked = cluster_run(cluster_group(group), "select 1");
	/* Logins are rejected, but no server is dead. */
	ck_assert_str_ne(cluster_state("a"), "down");
	return asked;
}

START_TEST(a_wrong_database_is_named)
{
	struct asked	asked = ask_with("dbname=nowhere", "patient");

	assert_status(asked, MEWS_UNAVAILABLE);
	ck_assert_ptr_nonnull(strstr(asked.message,
	    "database \"nowhere\" does not exist"));
	ck_assert_int_gt(cluster_logged("sqlstate=3D000"), 0);
}
END_TEST

/* The first line of pg_hba.conf that matches decides: put one in front. */
static void
ask_for_password(const char *user)
{
	char	sql[1000];

	snprintf(sql, sizeof(sql), "do $do$ declare "
	    "hba text := current_setting('hba_file'); "
	    "line text := 'host all %s 127.0.0.1/32 scram-sha-256'; "
	    "begin execute format('copy (select unnest(string_to_array("
	    "%%L, e''\\n''))) to %%L', concat_ws(e'\\n', line, "
	    "pg_read_file(hba)), hba); end $do$", user);
	cluster_ask("a", sql);
	cluster_ask("a", "select pg_reload_conf()");
}

START_TEST(a_wrong_password_is_told)
{
	struct asked	asked;

	cluster_ask("a", "drop role if exists locked;"
	    "create role locked login password 'right'");
	ask_for_password("locked");
	/* The server takes a moment to read it again. */
	for (;;) {
		asked = ask_with("user=locked password=wrong", "patient");
		if (asked.status != MEWS_OK)
			break;
		cluster_close();
	}
	assert_status(asked, MEWS_UNAVAILABLE);
	ck_assert_ptr_nonnull(strstr(asked.message, "password"));
	ck_assert_ptr_nonnull(strstr(asked.message, "locked"));
	ck_assert_ptr_null(strstr(asked.message, "wrong"));
	cluster_close();
	assert_status(ask_with("user=locked password=right", "patient"),
	    MEWS_OK);
}
END_TEST

START_TEST(a_session_that_cannot_begin_is_explained)
{
	static const char *const init[] = { "select 1", "set nonsense = 1" };
	static const struct mews_group_config group = { .name = "bad",
		.role = MEWS_GROUP_PRIMARY, .acquire_timeout = 2000,
		.init = init, .init_count = 2 };
	struct asked	asked;

	cluster_open(&group, 1);
	asked = cluster_run(cluster_group("bad"), "select 1");
	assert_status(asked, MEWS_UNAVAILABLE);
	ck_assert_ptr_nonnull(strstr(asked.message, "nonsense"));
}
END_TEST

START_TEST(a_session_begins_with_what_was_configured)
{
	static const char *const init[] = { "set application_name = 'first'",
		"select set_config('application_name', 'second', false)" };
	static const struct mews_group_config group = { .name = "good",
		.query_timeout = 4321, .session_tmp_buffer = 16 << 20,
		.init = init, .init_count = 2 };

	cluster_open(&group, 1);
	ck_assert_str_eq(cluster_value(cluster_group("good"),
	    "select concat_ws(' ', current_setting('application_name'), "
	    "current_setting('statement_timeout'), "
	    "current_setting('temp_buffers'), "
	    "current_setting('default_transaction_read_only'))"),
	    "second 4321ms 16MB on");
}
END_TEST

/* --- OVERLOAD and WAITED --- */

START_TEST(overload_names_the_counts)
{
	struct mews_query_args args = { .sql = "insert into truth values (9)" };
	struct asked	       asked[4], none = { 0 };
	struct mews_group     *group;
	const char	      *message;

	open_pool();
	group = cluster_group("single");
	cluster_value(group, "select 1");
	for (int i = 0; i < 4; i++)
		cluster_send_sql(&asked[i], group, "select pg_sleep(0.1)");
	for (int i = 0; i < 3; i++) {
		ck_assert_int_eq(mews_query_send(group, &args, cluster_note,
		    &none, NULL), MEWS_OVERLOAD);
		message = mews_group_message(group);
		ck_assert_ptr_nonnull(strstr(message, "1 connections in use"));
		ck_assert_ptr_nonnull(strstr(message, "0 idle"));
		ck_assert_ptr_nonnull(strstr(message, "3 waiting"));
		ck_assert_ptr_nonnull(strstr(message, "limit 3"));
	}
	for (int i = 0; i < 4; i++) {
		CLUSTER_WAIT(asked[i].calls == 1);
		assert_status(asked[i], MEWS_OK);
	}
	ck_assert_int_eq(none.calls, 0);
	ck_assert_int_eq(truth_count(), 0);
	cluster_value(group, "select 1");
}
END_TEST

START_TEST(waited_means_never_sent)
{
	struct mews_query_args args = { .sql = "insert into truth values (9)",
		.wait_ms = 100 };
	struct asked	       busy, waits;
	struct mews_group     *group;
	int64_t		       began;

	open_pool();
	group = cluster_group("single");
	cluster_value(group, "select 1");
	cluster_send_sql(&busy, group, "select pg_sleep(0.5)");
	began = cluster_now();
	cluster_send(&waits, group, &args);
	CLUSTER_WAIT(waits.calls == 1);
	ck_assert_int_ge(cluster_now() - began, CLUSTER_LEAST(100));
	ck_assert_int_eq(busy.calls, 0);
	assert_status(waits, MEWS_WAITED);
	CLUSTER_WAIT(busy.calls == 1);
	assert_status(busy, MEWS_OK);
	ck_assert_str_eq(cluster_value(group, "select count(*) from truth"),
	    "0");
}
END_TEST

START_TEST(a_lease_that_nobody_returns_is_waited_for_in_vain)
{
	struct mews_lease *held, *none;
	int64_t		   began;

	open_pool();
	held = cluster_lease(cluster_group("lease"));
	began = cluster_now();
	ck_assert_int_eq(mews_lease_begin_run(cluster_group("lease"), 100,
	    &none), MEWS_WAITED);
	ck_assert_ptr_null(none);
	ck_assert_int_ge(cluster_now() - began, CLUSTER_LEAST(100));
	mews_lease_end(&held);
	held = cluster_lease(cluster_group("lease"));
	mews_lease_end(&held);
}
END_TEST

/* --- TIMEOUT --- */

START_TEST(timeout_means_not_committed)
{
	struct asked	asked;
	char		before[20];

	open_pool();
	strcpy(before, cluster_value(cluster_group("write"),
	    "select pg_backend_pid()"));
	asked = cluster_run(cluster_group("write"),
	    "insert into truth select 1 from pg_sleep(5)");
	assert_status(asked, MEWS_TIMEOUT);
	ck_assert_str_eq(asked.sqlstate, "57014");
	ck_assert_str_eq(asked.endpoint, "a");
	ck_assert_int_eq(truth_count(), 0);
	ck_assert_str_eq(cluster_value(cluster_group("write"),
	    "select pg_backend_pid()"), before);
	ck_assert_str_eq(cluster_state("a"), "up");
}
END_TEST

START_TEST(timeout_undoes_its_transaction)
{
	static const struct mews_group_config group = { .name = "quick",
		.role = MEWS_GROUP_PRIMARY, .autocommit = MEWS_SWITCH_OFF,
		.query_timeout = 300 };
	struct mews_lease	*lease;

	cluster_open(&group, 1);
	lease = cluster_lease(cluster_group("quick"));
	assert_status(cluster_on_lease(lease, "insert into truth values (1)"),
	    MEWS_OK);
	assert_status(cluster_on_lease(lease, "select pg_sleep(5)"),
	    MEWS_TIMEOUT);
	assert_status(cluster_commit(lease), MEWS_SQL);
	mews_lease_end(&lease);
	ck_assert_int_eq(truth_count(), 0);
}
END_TEST

/* --- LOST --- */

/* End the backend that runs a query with @text in it. */
static void
terminate(const char *text)
{
	char	sql[300];

	snprintf(sql, sizeof(sql), "select count(pg_terminate_backend(pid)) "
	    "from pg_stat_activity where state = 'active' and "
	    "application_name = 'mews:cluster' and query like '%%%s%%'", text);
	CLUSTER_WAIT(cluster_ask_int("a", sql) == 1);
}

START_TEST(lost_may_mean_not_committed)
{
	struct mews_group *group;
	struct asked	   asked;

	open_pool();
	group = cluster_group("single");
	cluster_send_sql(&asked, group,
	    "insert into truth select 1 from pg_sleep(20)");
	terminate("insert into truth");
	CLUSTER_WAIT(asked.calls == 1);
	assert_status(asked, MEWS_LOST);
	ck_assert_str_eq(asked.endpoint, "a");
	ck_assert_ptr_nonnull(strstr(asked.message, "unknown"));
	ck_assert_int_eq(truth_count(), 0);
	/* A write is never resent by the library. */
	ck_assert_uint_eq(cluster_stats("single").resent, 0);
	cluster_value(group, "select 1");
	ck_assert_uint_eq(cluster_stats("single").opened, 2);
}
END_TEST

START_TEST(lost_may_mean_committed)
{
	struct asked	asked;

	/* A commit waits for a synchronous standby that does not exist. */
	cluster_ask("a",
	    "alter system set synchronous_standby_names = 'nobody'");
	cluster_ask("a", "select pg_reload_conf()");
	CLUSTER_WAIT(strcmp(cluster_ask("a", "show synchronous_standby_names"),
	    "nobody") == 0);
	open_pool();
	cluster_send_sql(&asked, cluster_group("single"),
	    "insert into truth values (1)");
	CLUSTER_WAIT(cluster_ask_int("a", "select count(*) from "
	    "pg_stat_activity where wait_event = 'SyncRep'") == 1);
	terminate("insert into truth");
	CLUSTER_WAIT(asked.calls == 1);
	cluster_ask("a", "alter system reset synchronous_standby_names");
	cluster_ask("a", "select pg_reload_conf()");
	assert_status(asked, MEWS_LOST);
	ck_assert_int_eq(truth_count(), 1);
}
END_TEST

START_TEST(lost_when_a_frozen_server_answers_no_more)
{
	struct asked	write, again;

	open_pool();
	cluster_value(cluster_group("write"), "select 1");
	cluster_servers("freeze", "a");
	cluster_send_sql(&write, cluster_group("write"),
	    "insert into truth values (1)");
	CLUSTER_WAIT(write.calls == 1);
	assert_status(write, MEWS_LOST);
	CLUSTER_WAIT(strcmp(cluster_state("a"), "down") == 0);
	assert_status(cluster_run(cluster_group("write"),
	    "insert into truth values (2)"), MEWS_UNAVAILABLE);
	cluster_servers("thaw", "a");
	again = cluster_run(cluster_group("single"),
	    "insert into truth values (3)");
	assert_status(again, MEWS_OK);
	ck_assert_int_eq(cluster_ask_int("a", "select count(*) from truth "
	    "where id = 2"), 0);
}
END_TEST

START_TEST(a_read_is_sent_again_instead_of_lost)
{
	static const struct mews_group_config group = { .name = "any",
		.connection_count = 1 };
	struct asked	asked;

	cluster_prepare(&group, 1);
	cluster.config.endpoint_count = 1;
	cluster_create();
	cluster_join();
	cluster_send_sql(&asked, cluster_group("any"),
	    "select 'again' from pg_sleep(0.5)");
	terminate("again");
	CLUSTER_WAIT(asked.calls == 1);
	assert_status(asked, MEWS_OK);
	ck_assert_str_eq(asked.value, "again");
	ck_assert_uint_eq(cluster_stats("any").resent, 1);
}
END_TEST

START_TEST(a_read_that_kills_its_connection_is_not_sent_for_ever)
{
	static const struct mews_group_config group = { .name = "any" };

	cluster_prepare(&group, 1);
	cluster.config.endpoint_count = 1;
	cluster_create();
	cluster_join();
	assert_status(cluster_run(cluster_group("any"),
	    "select pg_terminate_backend(pg_backend_pid())"), MEWS_LOST);
	ck_assert_uint_le(cluster_stats("any").resent, 2);
}
END_TEST

/* --- INVALID --- */

START_TEST(a_mistake_of_the_caller_is_invalid)
{
	struct mews_param	params[1] = { { .length = -2 } };
	struct mews_statement  *statement;
	struct mews_query_args	wrong[] = {
		{ 0 },
		{ .sql = "select 1", .statement = (void *)1 },
		{ .sql = "select $1", .param_count = 1 },
		{ .sql = "select $1", .params = params, .param_count = -1 },
		{ .sql = "select $1", .params = params, .param_count = 65536 },
		{ .sql = "select $1", .params = params, .param_count = 1 },
		{ .sql = "select 1", .flags = 0x8000 },
	};
	struct mews_group *group;
	struct asked	   none = { 0 };

	open_pool();
	group = cluster_group("single");
	ck_assert_str_eq(mews_group_message(group), "");
	for (size_t i = 0; i < CLUSTER_COUNT(wrong); i++) {
		ck_assert_int_eq(mews_query_send(group, &wrong[i],
		    cluster_note, &none, NULL), MEWS_INVALID);
		ck_assert_str_ne(mews_group_message(group), "");
	}
	ck_assert_int_eq(mews_query_send(group, NULL, cluster_note, &none,
	    NULL), MEWS_INVALID);
	wrong[0].sql = "select 1";
	ck_assert_int_eq(mews_query_send(group, &wrong[0], NULL, &none, NULL),
	    MEWS_INVALID);
	ck_assert_int_eq(mews_query_send(cluster_group("lease"), &wrong[0],
	    cluster_note, &none, NULL), MEWS_INVALID);
	ck_assert_int_eq(mews_lease_begin(group, 0, NULL, NULL, NULL),
	    MEWS_INVALID);
	ck_assert_int_eq(mews_statement_register(
	    &statement, cluster.pool, NULL, NULL, 0, NULL),
	    MEWS_INVALID);
	ck_assert_ptr_null(statement);
	ck_assert_int_eq(mews_statement_register(&statement, cluster.pool, NULL,
	    "select 1", 0x8000, NULL),
	    MEWS_INVALID);
	cluster_value(group, "select 1");
	ck_assert_int_eq(none.calls, 0);
}
END_TEST

START_TEST(the_most_parameters_there_can_be_arrive)
{
	static struct mews_param params[MEWS_PARAMS_MAX];
	static char		 sql[MEWS_PARAMS_MAX * 10];
	struct mews_query_args	 args = { .sql = sql, .params = params,
		.param_count = MEWS_PARAMS_MAX };
	size_t			 used;

	used = (size_t)sprintf(sql, "select count(*) from (values ($1::int)");
	for (int i = 0; i < MEWS_PARAMS_MAX; i++) {
		params[i] = mews_param_int_text(i);
		if (i > 0)
			used += (size_t)sprintf(sql + used, ",($%d)", i + 1);
	}
	strcpy(sql + used, ") v");
	open_pool();
	ck_assert_str_eq(cluster_run_args(cluster_group("single"),
	    &args).value, "65535");
}
END_TEST

static Suite *
statuses_suite(void)
{
	Suite *suite = suite_create("statuses");
	TCase *sql = unit_case(suite, "ok and sql");
	TCase *unavailable = unit_case(suite, "unavailable");
	TCase *wait = unit_case(suite, "overload and waited");
	TCase *timeout = unit_case(suite, "timeout");
	TCase *lost = unit_case(suite, "lost");
	TCase *invalid = unit_case(suite, "invalid");
	TCase *cases[] = { sql, unavailable, wait, timeout, lost, invalid };

	for (size_t i = 0; i < CLUSTER_COUNT(cases); i++) {
		tcase_add_checked_fixture(cases[i], truth_made, cluster_close);
		tcase_set_timeout(cases[i], 180);
	}
	tcase_add_loop_test(sql, sql_names_the_error_of_the_server, 0,
	    CLUSTER_COUNT(sql_errors));
	tcase_add_test(sql, ok_means_committed);
	tcase_add_test(unavailable, unavailable_when_no_server_runs);
	tcase_add_test(unavailable, unavailable_when_no_server_has_the_role);
	tcase_add_test(unavailable, a_wrong_database_is_named);
	tcase_add_test(unavailable, a_wrong_password_is_told);
	tcase_add_test(unavailable, a_session_that_cannot_begin_is_explained);
	tcase_add_test(unavailable, a_session_begins_with_what_was_configured);
	tcase_add_test(wait, overload_names_the_counts);
	tcase_add_test(wait, waited_means_never_sent);
	tcase_add_test(wait, a_lease_that_nobody_returns_is_waited_for_in_vain);
	tcase_add_test(timeout, timeout_means_not_committed);
	tcase_add_test(timeout, timeout_undoes_its_transaction);
	tcase_add_test(lost, lost_may_mean_not_committed);
	tcase_add_test(lost, lost_may_mean_committed);
	tcase_add_test(lost, lost_when_a_frozen_server_answers_no_more);
	tcase_add_test(lost, a_read_is_sent_again_instead_of_lost);
	tcase_add_test(lost,
	    a_read_that_kills_its_connection_is_not_sent_for_ever);
	tcase_add_test(invalid, a_mistake_of_the_caller_is_invalid);
	tcase_add_test(invalid, the_most_parameters_there_can_be_arrive);
	return suite;
}

UNIT_MAIN(statuses_suite)
