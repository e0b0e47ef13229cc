/*
 * test_leftovers.c - what a lease leaves in its session reaches no other user.
 */
#include "kept.h"
#include "unit.h"

#include <stdio.h>
#include <string.h>

/* Leftovers of a lease in its session, and how the next user looks for them. */

static const struct {
	const char *leave; /* run on the lease */
	const char *look;  /* run by the next user: "t" if the session is
			      clean */
} leaks[] = {
	{ "set search_path = nowhere",
	  "select current_setting('search_path') like '%public'" },
	{ "set statement_timeout = 1234",
	  "select current_setting('statement_timeout') = '30s'" },
	{ "select set_config('mews.leak', 'x', false)",
	  "select coalesce(current_setting('mews.leak', true), '') = ''" },
	{ "with x as (select set_config('mews.leak', 'x', false)) select "
	  "from x",
	  "select coalesce(current_setting('mews.leak', true), '') = ''" },
	{ "do $$ begin perform set_config('mews.leak', 'x', false); end $$",
	  "select coalesce(current_setting('mews.leak', true), '') = ''" },
	{ "select leaking()",
	  "select coalesce(current_setting('mews.leak', true), '') = ''" },
	{ "set session characteristics as transaction read only",
	  "select current_setting('transaction_read_only') = 'off'" },
	{ "set role pg_monitor", "select current_user = 'mews'" },
	{ "set session authorization pg_monitor",
	  "select session_user = 'mews'" },
	{ "create temp table leak (x int)",
	  "select to_regclass('leak') is null" },
	{ "create table pg_temp.leak (x int)",
	  "select to_regclass('pg_temp.leak') is null" },
	{ "select 1 as x into temp leak",
	  "select to_regclass('leak') is null" },
	{ "select pg_advisory_lock(42)",
	  "select count(*) = 0 from pg_locks where locktype = 'advisory'" },
	{ "prepare leak as select 1",
	  "select count(*) = 0 from pg_prepared_statements "
	  "where name = 'leak'" },
	{ "declare leak cursor with hold for select 1",
	  "select count(*) = 0 from pg_cursors where name = 'leak'" },
	{ "listen leak", "select count(*) = 0 from pg_listening_channels()" },
};

/* Ways in which the lease ends. */
enum parting { COMMITTED, OPEN, FAILED, NO_TRANSACTION, PARTINGS };

START_TEST(leftovers_of_a_lease_reach_no_other_user)
{
	struct mews_group      *group = cluster_group("auto");
	struct mews_statement  *statement;
	struct mews_query_args	args = { 0 };
	struct mews_lease      *lease;
	struct asked		asked;
	char			pid[80];
	const char	       *leave = leaks[_i].leave;

	cluster_ask("a", "create or replace function leaking() returns text "
	    "language sql as "
	    "$$ select set_config('mews.leak', 'x', false) $$");
	ck_assert_int_eq(mews_statement_register(&statement, cluster.pool, NULL,
	    "select 'still there'", 0, NULL),
	    MEWS_OK);
	args.statement = statement;
	strcpy(pid, cluster_value(group, "select pg_backend_pid()"));
	for (int how = 0; how < PARTINGS * 2; how++) {
		enum parting parting = (enum parting)(how / 2);

		cluster_run_args(group, &args);
		lease = cluster_lease(group);
		if (parting != NO_TRANSACTION)
			ck_assert_int_eq(mews_lease_transaction(lease, NULL),
			    MEWS_OK);
		kept_do(lease, leave);
		if (parting == FAILED)
			ck_assert_int_eq(cluster_on_lease(lease, "select 1/0")
			    .status, MEWS_SQL);
		if (parting == COMMITTED)
			ck_assert_int_eq(cluster_commit(lease).status,
			    MEWS_OK);
		mews_lease_end(&lease);
		/* The next user is a pooled query, or another lease. */
		if (how % 2 == 0) {
			asked = cluster_run(group, leaks[_i].look);
		} else {
			lease = cluster_lease(group);
			asked = cluster_on_lease(lease, leaks[_i].look);
			mews_lease_end(&lease);
		}
		ck_assert_msg(asked.status == MEWS_OK &&
		    strcmp(asked.value, "t") == 0, "%s, %d: %s %s",
		    leaks[_i].leave, how, asked.value, asked.message);
		ck_assert_str_eq(cluster_run_args(group, &args).value,
		    "still there");
		ck_assert_str_eq(cluster_value(group,
		    "select pg_backend_pid()"), pid);
	}
}
END_TEST

START_TEST(the_session_of_a_harmless_lease_is_kept_as_it_is)
{
	static const char *const harmless[] = { "select 1",
		"insert into kept (id) values (1)",
		"update kept set id = id + 1 where id > 0 returning id",
		"delete from kept where id in (select max(id) from kept)",
		"select count(*) from pg_prepared_statements" };
	struct mews_group      *group = cluster_group("auto");
	struct mews_statement  *statement;
	struct mews_query_args	args = { 0 };
	struct mews_lease      *lease;

	ck_assert_int_eq(mews_statement_register(&statement, cluster.pool, NULL,
	    "select 1", 0, NULL),
	    MEWS_OK);
	args.statement = statement;
	cluster_run_args(group, &args);
	for (size_t i = 0; i < CLUSTER_COUNT(harmless); i++) {
		lease = cluster_lease(group);
		ck_assert_int_eq(mews_lease_transaction(lease, NULL), MEWS_OK);
		kept_do(lease, harmless[i]);
		mews_lease_end(&lease);
		ck_assert_str_eq(cluster_value(group,
		    "select count(*) from pg_prepared_statements"), "1");
	}
	lease = cluster_lease(group);
	kept_do(lease, "set search_path = public");
	mews_lease_end(&lease);
	ck_assert_str_eq(cluster_value(group,
	    "select count(*) from pg_prepared_statements"), "0");
}
END_TEST

START_TEST(a_statement_may_be_first_used_on_a_lease)
{
	struct mews_statement  *statement;
	struct mews_query_args	args = { 0 };
	struct mews_result     *result;
	struct mews_lease      *lease;

	ck_assert_int_eq(mews_statement_register(&statement, cluster.pool, NULL,
	    "select 'prepared'", 0, NULL),
	    MEWS_OK);
	args.statement = statement;
	for (int i = 0; i < 3; i++) {
		lease = cluster_lease(cluster_group("manual"));
		for (int k = 0; k < 2; k++) {
			ck_assert_int_eq(mews_lease_query_run(lease, &args,
			    &result), MEWS_OK);
			ck_assert_str_eq(PQgetvalue(mews_result_pg(result), 0,
			    0), "prepared");
			mews_result_free(&result);
		}
		/* A statement that is first used in a transaction survives its
		 * rollback. */
		if (i == 1)
			ck_assert_int_eq(cluster_on_lease(lease, "select 1/0")
			    .status, MEWS_SQL);
		ck_assert_int_eq(cluster_rollback(lease).status, MEWS_OK);
		mews_lease_end(&lease);
	}
}
END_TEST

static Suite *
leftovers_suite(void)
{
	Suite *suite = suite_create("leftovers");
	TCase *left = unit_case(suite, "left behind");

	tcase_add_checked_fixture(left, kept_open, cluster_close);
	tcase_set_timeout(left, 180);
	tcase_add_loop_test(left, leftovers_of_a_lease_reach_no_other_user, 0,
	    CLUSTER_COUNT(leaks));
	tcase_add_test(left, the_session_of_a_harmless_lease_is_kept_as_it_is);
	tcase_add_test(left, a_statement_may_be_first_used_on_a_lease);
	return suite;
}

UNIT_MAIN(leftovers_suite)
