/*
 * test_prepared.c - registered statements, whatever becomes of what they were
 * prepared for.
 */
#include "cluster.h"
#include "unit.h"

#include <mews/transaction.h>
#include <stdio.h>
#include <string.h>

static const struct mews_group_config groups[] = {
	{ .name = "write", .role = MEWS_GROUP_PRIMARY, .connection_count = 1 },
	{ .name = "read", .role = MEWS_GROUP_ANY, .connection_count = 1 },
	{ .name = "hedged", .role = MEWS_GROUP_STANDBY, .connection_count = 4,
	  .min_connections = 4, .hedge_after = 20, .retry_budget = 100 },
};

static struct mews_statement *statement;

static void
made(void)
{
	cluster_ask("a", "set client_min_messages = warning;"
	    "drop table if exists typed; drop type if exists mood;"
	    "create type mood as enum ('well');"
	    "create table typed (x int primary key, m mood);"
	    "insert into typed values (1, 'well')");
	cluster_catch_up();
	cluster_open(groups, CLUSTER_COUNT(groups));
}

static void
register_sql(const char *sql)
{
	struct mews_error	error;

	ck_assert_msg(mews_statement_register(&statement, cluster.pool, NULL,
	    sql, 0, &error) == MEWS_OK, "%s", error.message);
}

static struct asked
run_on(struct mews_lease *lease, const char *value)
{
	const struct mews_param param = mews_param_text(value);
	const struct mews_query_args args = { .statement = statement,
		.params = &param, .param_count = value != NULL };
	struct mews_result     *result;
	struct asked		asked = { 0 };

	if (lease == NULL)
		return cluster_run_args(cluster_group("write"), &args);
	ck_assert_int_ne(mews_lease_query_run(lease, &args, &result),
	    MEWS_INVALID);
	cluster_note(&asked, result);
	mews_result_free(&result);
	return asked;
}

static int
known(void)
{
	struct asked	asked = cluster_run(cluster_group("write"),
	    "select count(*) from pg_prepared_statements");

	return atoi(asked.value);
}

/* --- statements that the host removed --- */

static const char *const removals[] = {
	"deallocate all", "discard all", "deallocate mews_0",
	"/* all */ DEALLOCATE prepare ALL", ";deallocate all;",
};

START_TEST(a_statement_that_was_removed_works)
{
	const struct mews_query_args	removal = { .sql = removals[_i] };
	struct mews_lease	       *lease;
	struct asked			asked = { 0 };

	register_sql("select 'here'");
	ck_assert_str_eq(run_on(NULL, NULL).value, "here");
	lease = cluster_lease(cluster_group("write"));
	ck_assert_str_eq(run_on(lease, NULL).value, "here");
	ck_assert_int_eq(cluster_on_lease(lease, removals[_i]).status,
	    MEWS_OK);
	ck_assert_str_eq(run_on(lease, NULL).value, "here");
	ck_assert_str_eq(run_on(lease, NULL).value, "here");
	/* The removal and the next run are in flight together. */
	if (strstr(removals[_i], "mews_0") == NULL) {
		ck_assert_int_eq(mews_lease_query(lease, &removal,
		    cluster_note, &asked, NULL), MEWS_OK);
		ck_assert_str_eq(run_on(lease, NULL).value, "here");
		ck_assert_int_eq(asked.status, MEWS_OK);
	}
	mews_lease_end(&lease);
	ck_assert_str_eq(run_on(NULL, NULL).value, "here");
	ck_assert_int_eq(known(), 1);
}
END_TEST

START_TEST(a_failed_transaction_leaves_no_statement_behind)
{
	struct mews_lease      *lease;
	struct mews_result     *result;

	register_sql("select * from typed");
	for (int i = 0; i < 3; i++) {
		char	sql[60];

		ck_assert_int_eq(run_on(NULL, NULL).status, MEWS_OK);
		snprintf(sql, sizeof(sql), "alter table typed add y%d int", i);
		cluster_ask("a", sql);
		lease = cluster_lease(cluster_group("write"));
		mews_lease_transaction(lease, NULL);
		ck_assert_int_eq(mews_lease_savepoint_run(lease, "s",
		    &result), MEWS_OK);
		mews_result_free(&result);
		ck_assert_str_eq(run_on(lease, NULL).sqlstate, "0A000");
		ck_assert_str_eq(run_on(lease, NULL).sqlstate, "25P02");
		ck_assert_int_eq(mews_lease_rollback_to_run(lease, "s",
		    &result), MEWS_OK);
		mews_result_free(&result);
		ck_assert_int_eq(run_on(lease, NULL).status, MEWS_OK);
		ck_assert_int_eq(cluster_commit(lease).status, MEWS_OK);
		mews_lease_end(&lease);
	}
	ck_assert_int_eq(run_on(NULL, NULL).status, MEWS_OK);
	ck_assert_int_eq(known(), 1);
}
END_TEST

/* --- statements whose types changed --- */

static const struct {
	const char *sql, *before, *change, *after;
} changed[] = {
	{ "select x from typed where m = $1", "well",
	  "alter table typed drop m; drop type mood; "
	  "create type mood as enum ('well', 'better'); "
	  "alter table typed add m mood default 'better'", "better" },
	{ "select x from typed where x = $1", "1",
	  "alter table typed alter x type bigint; "
	  "update typed set x = 5000000000", "5000000000" },
	{ "select x from typed where x = $1", "1",
	  "alter table typed alter x type text; "
	  "update typed set x = 'one'", "one" },
	{ "select x, m from typed where x = $1", "1",
	  "alter table typed alter x type text; "
	  "update typed set x = 'one'", "one" },
	{ "select * from typed where x = $1", "1",
	  "alter table typed add y int", "1" },
	{ "insert into typed values ($1)", "2",
	  "alter table typed alter x type text", "two" },
};

START_TEST(a_statement_follows_a_change_of_its_columns_types)
{
	struct mews_lease	*lease;
	struct asked		 asked;

	register_sql(changed[_i].sql);
	ck_assert_str_eq(run_on(NULL, changed[_i].before).message, "");
	cluster_ask("a", changed[_i].change);
	asked = run_on(NULL, changed[_i].after);
	ck_assert_msg(asked.status == MEWS_OK, "%s: %s", asked.sqlstate,
	    asked.message);
	cluster_ask("a", "delete from typed where x::text = 'two'");
	ck_assert_str_eq(run_on(NULL, changed[_i].after).message, "");
	cluster_ask("a", "delete from typed where x::text = 'two'");
	/* The statement is prepared under its name again, and the old one is
	 * gone. */
	ck_assert_int_eq(known(), 1);
	lease = cluster_lease(cluster_group("write"));
	ck_assert_str_eq(run_on(lease, changed[_i].after).message, "");
	mews_lease_end(&lease);
}
END_TEST

START_TEST(all_queries_in_flight_follow_a_change_of_types)
{
	const struct mews_param		 param =
	    mews_param_text(changed[_i].after);
	struct mews_query_args		 args = { .params = &param,
		.param_count = 1 };
	struct asked			 asked[4];

	register_sql(changed[_i].sql);
	args.statement = statement;
	ck_assert_str_eq(run_on(NULL, changed[_i].before).message, "");
	cluster_ask("a", changed[_i].change);
	if (strncmp(changed[_i].sql, "insert", 6) == 0)
		cluster_ask("a", "alter table typed drop constraint "
		    "typed_pkey");
	for (size_t i = 0; i < CLUSTER_COUNT(asked); i++)
		cluster_send(&asked[i], cluster_group("write"), &args);
	for (size_t i = 0; i < CLUSTER_COUNT(asked); i++)
		CLUSTER_WAIT(asked[i].calls > 0);
	for (size_t i = 0; i < CLUSTER_COUNT(asked); i++)
		ck_assert_str_eq(asked[i].message, "");
	ck_assert_str_eq(run_on(NULL, changed[_i].after).message, "");
	ck_assert_int_eq(known(), 1);
}
END_TEST

START_TEST(on_a_lease_a_change_of_types_is_told_once)
{
	struct mews_lease	*lease = cluster_lease(cluster_group("write"));
	struct asked		 asked;

	register_sql(changed[_i].sql);
	ck_assert_str_eq(run_on(lease, changed[_i].before).message, "");
	cluster_ask("a", changed[_i].change);
	for (int i = 0; i < 3; i++) {
		ck_assert_int_eq(mews_lease_transaction(lease, NULL), MEWS_OK);
		asked = run_on(lease, changed[_i].after);
		ck_assert_msg((asked.status == MEWS_OK) == (i > 0), "%d: %s",
		    i, asked.message);
		cluster_rollback(lease);
	}
	mews_lease_end(&lease);
}
END_TEST

START_TEST(a_parameter_that_cannot_be_read_is_not_resent_for_ever)
{
	struct asked	asked;

	register_sql("select count(nextval('tries')) from "
	    "(select 1 where $1::int is not null) as t");
	cluster_ask("a", "drop sequence if exists tries; "
	    "create sequence tries");
	register_sql("select 1 / (nextval('tries') * 0 + $1::int), "
	    "(2147483647 + $1::int)");
	for (int i = 0; i < 10; i++) {
		asked = run_on(NULL, "1");
		ck_assert_str_eq(asked.sqlstate, "22003");
	}
	ck_assert_int_le(cluster_ask_int("a",
	    "select last_value from tries"), 11);
	ck_assert_int_eq(known(), 1);
}
END_TEST

/* A statement commits inside, and fails after that. */

static const struct {
	const char *sql, *value, *state;
} halves[] = {
	{ "call half($1)", "22003", "22003" },
	{ "call half($1)", "22P02", "22P02" },
	{ "call half($1)", "0A000", "0A000" },
	{ "call half($1)", "XX000", "XX000" },
	{ "call half($1)", "26000", "26000" },
	{ "do $$ begin insert into typed values "
	  "((select max(x) + 1 from typed)); commit; "
	  "perform nosuchf(1); end $$", NULL, "42883" },
};

START_TEST(a_statement_that_committed_does_not_run_twice)
{
	struct asked	asked;

	cluster_ask("a", "create or replace procedure half(c text) "
	    "language plpgsql as $$ begin insert into typed values "
	    "((select max(x) + 1 from typed)); commit; "
	    "raise 'half' using errcode = c; end $$");
	register_sql(halves[_i].sql);
	for (int i = 0; i < 3; i++) {
		asked = run_on(NULL, halves[_i].value);
		ck_assert_int_eq(asked.status, MEWS_PARTLY);
		ck_assert_str_eq(asked.sqlstate, halves[_i].state);
		ck_assert_int_eq(cluster_ask_int("a",
		    "select count(*) from typed"), i + 2);
	}
}
END_TEST

START_TEST(a_state_that_sql_raised_removes_nothing)
{
	cluster_ask("a", "drop sequence if exists tries; "
	    "create sequence tries;"
	    "create or replace function lost(c text) returns int "
	    "language plpgsql as $$ begin perform nextval('tries'); "
	    "raise 'prepared statement \"mews_0\" does not exist' "
	    "using errcode = c; end $$");
	register_sql("select lost($1)");
	for (int i = 0; i < 5; i++)
		ck_assert_str_eq(run_on(NULL, "26000").sqlstate, "26000");
	ck_assert_int_eq(cluster_ask_int("a",
	    "select last_value from tries"), 5);
	ck_assert_int_eq(known(), 1);
}
END_TEST

START_TEST(a_removal_that_was_not_seen_is_mended)
{
	register_sql("select 'here'");
	for (int i = 0; i < 3; i++) {
		ck_assert_str_eq(run_on(NULL, NULL).value, "here");
		ck_assert_int_eq(cluster_run(cluster_group("write"),
		    "do $$ begin execute 'deallocate all'; end $$").status,
		    MEWS_OK);
	}
	ck_assert_str_eq(run_on(NULL, NULL).value, "here");
}
END_TEST

/* Run the same on all connections of a group, a few times on each. */
static void
run_on_all(const struct mews_query_args *args)
{
	struct asked	asked[24];

	for (size_t i = 0; i < CLUSTER_COUNT(asked); i++)
		cluster_send(&asked[i], cluster_group("hedged"), args);
	for (size_t i = 0; i < CLUSTER_COUNT(asked); i++) {
		CLUSTER_WAIT(asked[i].calls == 1);
		ck_assert_str_eq(asked[i].message, "");
	}
}

START_TEST(a_twin_that_was_not_run_is_no_answer)
{
	const struct mews_query_args removal = { .sql =
	    "do $$ begin execute 'deallocate all'; end $$" };
	struct mews_query_args args = { .flags = 0 };

	register_sql("select 'here' from pg_sleep(0.1)");
	args.statement = statement;
	for (int i = 0; i < 5; i++) {
		run_on_all(&args);
		run_on_all(&removal);
		ck_assert_str_eq(cluster_run_args(cluster_group("hedged"),
		    &args).value, "here");
	}
}
END_TEST

/* --- in a transaction that failed --- */

START_TEST(nothing_is_sent_into_a_failed_transaction)
{
	struct mews_lease	*lease = cluster_lease(cluster_group("write"));
	struct mews_result	*result;

	register_sql("select * from typed");
	ck_assert_str_eq(run_on(lease, NULL).value, "1");
	ck_assert_int_eq(mews_lease_transaction(lease, NULL), MEWS_OK);
	ck_assert_int_eq(mews_lease_savepoint_run(lease, "s", &result),
	    MEWS_OK);
	mews_result_free(&result);
	ck_assert_int_eq(cluster_on_lease(lease,
	    "alter table typed add y int").status, MEWS_OK);
	ck_assert_str_eq(run_on(lease, NULL).sqlstate, "0A000");
	for (int i = 0; i < _i; i++)
		ck_assert_str_eq(run_on(lease, NULL).sqlstate, "25P02");
	ck_assert_int_eq(mews_lease_rollback_to_run(lease, "s", &result),
	    MEWS_OK);
	mews_result_free(&result);
	for (int i = 0; i < 2; i++)
		ck_assert_str_eq(run_on(lease, NULL).value, "1");
	ck_assert_int_eq(cluster_commit(lease).status, MEWS_OK);
	mews_lease_end(&lease);
	ck_assert_str_eq(run_on(NULL, NULL).value, "1");
}
END_TEST

/* The statement is sent again before its preparing is answered. */

static void
send_on(struct mews_lease *lease, struct asked *asked)
{
	const struct mews_query_args args = { .statement = statement };

	memset(asked, 0, sizeof(*asked));
	ck_assert_int_eq(mews_lease_query(lease, &args, cluster_note, asked,
	    NULL), MEWS_OK);
}

START_TEST(a_statement_that_failed_to_be_prepared_is_not_used)
{
	struct mews_lease		*lease =
	    cluster_lease(cluster_group("write"));
	const struct mews_query_args	 bad = { .sql = "select 1 / 0" };
	struct asked			 failed = { 0 }, undone = { 0 };
	struct asked			 first, second, done = { 0 };

	register_sql("select 'here'");
	ck_assert_int_eq(mews_lease_transaction(lease, NULL), MEWS_OK);
	ck_assert_int_eq(mews_lease_query(lease, &bad, cluster_note, &failed,
	    NULL), MEWS_OK);
	send_on(lease, &first);
	ck_assert_int_eq(mews_lease_rollback(lease, cluster_note, &undone),
	    MEWS_OK);
	ck_assert_int_eq(mews_lease_transaction(lease, NULL), MEWS_OK);
	send_on(lease, &second);
	ck_assert_int_eq(mews_lease_commit(lease, cluster_note, &done),
	    MEWS_OK);
	CLUSTER_WAIT(done.calls > 0);
	ck_assert_str_eq(failed.sqlstate, "22012");
	ck_assert_str_eq(first.sqlstate, "25P02");
	ck_assert_str_eq(second.message, "");
	ck_assert_str_eq(second.value, "here");
	ck_assert_int_eq(done.status, MEWS_OK);
	mews_lease_end(&lease);
}
END_TEST

START_TEST(bad_sql_says_so_each_time)
{
	struct mews_lease	*lease = cluster_lease(cluster_group("write"));
	struct asked		 asked[3];

	register_sql("selec 1");
	for (int i = 0; i < 3; i++)
		send_on(lease, &asked[i]);
	CLUSTER_WAIT(asked[2].calls > 0);
	for (int i = 0; i < 3; i++)
		ck_assert_str_eq(asked[i].sqlstate, "42601");
	mews_lease_end(&lease);
}
END_TEST

START_TEST(a_statement_prepared_in_flight_is_used)
{
	struct mews_lease	*lease = cluster_lease(cluster_group("write"));
	struct asked		 asked[3], done = { 0 };

	register_sql("select 'here'");
	ck_assert_int_eq(mews_lease_transaction(lease, NULL), MEWS_OK);
	for (int i = 0; i < 3; i++)
		send_on(lease, &asked[i]);
	ck_assert_int_eq(mews_lease_commit(lease, cluster_note, &done),
	    MEWS_OK);
	CLUSTER_WAIT(done.calls > 0);
	for (int i = 0; i < 3; i++)
		ck_assert_str_eq(asked[i].value, "here");
	ck_assert_str_eq(run_on(lease, NULL).value, "here");
	ck_assert_str_eq(cluster_on_lease(lease, "select count(*) || ',' || "
	    "max(generic_plans + custom_plans) from pg_prepared_statements")
	    .value, "1,2");
	mews_lease_end(&lease);
}
END_TEST

/* --- registered twice, and dropped --- */

static struct asked
run_statement(const struct mews_statement *of, const char *group)
{
	const struct mews_query_args args = { .statement = of };

	return cluster_run_args(cluster_group(group), &args);
}

START_TEST(the_same_sql_is_prepared_once)
{
	const Oid	       type = 23;
	struct mews_statement *again, *typed;

	register_sql("select 'here'");
	ck_assert_int_eq(mews_statement_register(&again, cluster.pool, "again",
	    "select 'here'", 0, NULL), MEWS_OK);
	ck_assert_ptr_ne(again, statement);
	ck_assert_str_eq(mews_statement_name(again), "again");
	ck_assert_str_eq(run_statement(statement, "write").value, "here");
	ck_assert_str_eq(run_statement(again, "write").value, "here");
	ck_assert_int_eq(known(), 1);
	/* With other types, an equal text is another statement. */
	ck_assert_int_eq(mews_statement_register(&again, cluster.pool, NULL,
	    "select $1", 0, NULL), MEWS_OK);
	ck_assert_int_eq(mews_statement_register_typed(&typed, cluster.pool,
	    NULL, "select $1", 0, &type, 1, NULL), MEWS_OK);
	ck_assert_str_ne(mews_statement_name(again),
	    mews_statement_name(typed));
}
END_TEST

START_TEST(dropped_statements_are_forgotten_by_servers)
{
	struct mews_statement *again;

	register_sql("select 'here'");
	ck_assert_int_eq(mews_statement_register(&again, cluster.pool, NULL,
	    "select 'here'", 0, NULL), MEWS_OK);
	ck_assert_str_eq(run_statement(statement, "write").value, "here");
	ck_assert_str_eq(run_statement(statement, "read").value, "here");
	mews_statement_drop(&statement);
	ck_assert_ptr_null(statement);
	ck_assert_str_eq(run_statement(again, "write").value, "here");
	ck_assert_int_eq(known(), 1);
	mews_statement_drop(&again);
	mews_statement_drop(&again);
	CLUSTER_WAIT(known() == 0);
	/* A free number is used again, under another name. */
	for (int i = 0; i < 3; i++) {
		register_sql("select 'there'");
		ck_assert_str_eq(run_statement(statement, "write").value,
		    "there");
		mews_statement_drop(&statement);
		CLUSTER_WAIT(known() == 0);
	}
}
END_TEST

START_TEST(a_query_outlives_its_statement)
{
	struct mews_query_args args = { 0 };
	struct asked	       asked, behind;

	register_sql("select 'slow' from pg_sleep(1.2)");
	args.statement = statement;
	cluster_send(&asked, cluster_group("write"), &args);
	cluster_send(&behind, cluster_group("write"), &args);
	mews_statement_drop(&statement);
	CLUSTER_WAIT(asked.calls == 1 && behind.calls == 1);
	ck_assert_str_eq(asked.value, "slow");
	ck_assert_str_eq(behind.value, "slow");
	CLUSTER_WAIT(known() == 0);
}
END_TEST

START_TEST(a_lease_keeps_dropped_statements_until_it_ends)
{
	struct mews_lease *lease = cluster_lease(cluster_group("write"));

	register_sql("select 'here'");
	cluster_on_lease(lease, "begin");
	ck_assert_str_eq(run_on(lease, NULL).value, "here");
	ck_assert_int_eq(cluster_on_lease(lease, "select 1/0").status,
	    MEWS_SQL);
	mews_statement_drop(&statement);
	for (int64_t end_ms = cluster_now() + 1500; cluster_now() < end_ms;)
		cluster_turn();
	ck_assert_int_eq(cluster_on_lease(lease, "rollback").status, MEWS_OK);
	mews_lease_end(&lease);
	CLUSTER_WAIT(known() == 0);
}
END_TEST

static Suite *
prepared_suite(void)
{
	Suite *suite = suite_create("prepared");
	TCase *all = unit_case(suite, "prepared");

	tcase_add_checked_fixture(all, made, cluster_close);
	tcase_set_timeout(all, 60);
	tcase_add_test(all, a_failed_transaction_leaves_no_statement_behind);
	tcase_add_loop_test(all, a_statement_that_was_removed_works, 0,
	    CLUSTER_COUNT(removals));
	tcase_add_loop_test(all,
	    a_statement_follows_a_change_of_its_columns_types, 0,
	    CLUSTER_COUNT(changed));
	tcase_add_loop_test(all, all_queries_in_flight_follow_a_change_of_types,
	    0, CLUSTER_COUNT(changed));
	tcase_add_loop_test(all, on_a_lease_a_change_of_types_is_told_once, 0,
	    CLUSTER_COUNT(changed));
	tcase_add_test(all,
	    a_parameter_that_cannot_be_read_is_not_resent_for_ever);
	tcase_add_loop_test(all, a_statement_that_committed_does_not_run_twice,
	    0, CLUSTER_COUNT(halves));
	tcase_add_test(all, a_state_that_sql_raised_removes_nothing);
	tcase_add_test(all, a_removal_that_was_not_seen_is_mended);
	tcase_add_test(all, a_twin_that_was_not_run_is_no_answer);
	tcase_add_loop_test(all, nothing_is_sent_into_a_failed_transaction, 0,
	    3);
	tcase_add_test(all, a_statement_that_failed_to_be_prepared_is_not_used);
	tcase_add_test(all, bad_sql_says_so_each_time);
	tcase_add_test(all, a_statement_prepared_in_flight_is_used);
	tcase_add_test(all, the_same_sql_is_prepared_once);
	tcase_add_test(all, dropped_statements_are_forgotten_by_servers);
	tcase_add_test(all, a_query_outlives_its_statement);
	tcase_add_test(all, a_lease_keeps_dropped_statements_until_it_ends);
	return suite;
}

UNIT_MAIN(prepared_suite)
