/*
 * test_leases.c - leases: their transactions end as they should, and what they
 * leave behind reaches no other user.
 */
#include "kept.h"
#include "unit.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* How many rows another session sees. */
static int
kept(void)
{
	return cluster_ask_int("a", "select count(*) from kept");
}

static void
insert(struct mews_lease *lease, int id)
{
	char	sql[60];

	snprintf(sql, sizeof(sql), "insert into kept (id) values (%d)", id);
	kept_do(lease, sql);
}

/* --- without waiting --- */

static void
granted(void *arg, struct mews_lease *lease, const struct mews_result *result)
{
	struct mews_lease	**out = arg;

	ck_assert_int_eq(mews_result_status(result), MEWS_OK);
	*out = lease;
}

START_TEST(a_free_connection_is_leased_at_once)
{
	struct mews_group *group = cluster_group("two");
	struct mews_lease *lease[3] = { NULL }, *late = NULL;

	/* No connection is open yet; asking opens one. */
	CLUSTER_WAIT((lease[0] = mews_lease_try(group)) != NULL);
	kept_do(lease[0], "select 1");
	CLUSTER_WAIT((lease[1] = mews_lease_try(group)) != NULL);
	kept_do(lease[1], "select 1");
	ck_assert_ptr_null(lease[2] = mews_lease_try(group));
	/* A lease that waits is served before. */
	ck_assert_int_eq(mews_lease_begin(group, 0, granted, &late, NULL),
	    MEWS_OK);
	mews_lease_end(&lease[0]);
	ck_assert_ptr_null(mews_lease_try(group));
	CLUSTER_WAIT(late != NULL);
	mews_lease_end(&lease[1]);
	ck_assert_ptr_nonnull(lease[1] = mews_lease_try(group));
	kept_do(lease[1], "select 1");
	mews_lease_end(&lease[1]);
	mews_lease_end(&late);
	ck_assert_uint_eq(cluster_stats("two").leased, 0);
	ck_assert_uint_eq(cluster_stats("two").connections, 2);
}
END_TEST

START_TEST(a_dead_connection_is_not_leased)
{
	struct mews_group *group = cluster_group("auto");
	struct mews_lease *lease = cluster_lease(group);
	char		   pid[20];

	strcpy(pid, kept_do(lease, "select pg_backend_pid()"));
	mews_lease_end(&lease);
	cluster_ask("a", "select pg_terminate_backend(pid, 5000) from "
	    "pg_stat_activity where application_name = 'mews:cluster'");
	CLUSTER_WAIT((lease = mews_lease_try(group)) != NULL);
	ck_assert_str_ne(kept_do(lease, "select pg_backend_pid()"), pid);
	mews_lease_end(&lease);
}
END_TEST

/* --- transactions --- */

START_TEST(a_commit_on_a_lease_keeps_and_a_rollback_does_not)
{
	struct mews_lease	*lease = cluster_lease(cluster_group("manual"));

	insert(lease, 1);
	ck_assert_int_eq(kept(), 0);
	ck_assert_int_eq(cluster_commit(lease).status, MEWS_OK);
	ck_assert_int_eq(kept(), 1);
	insert(lease, 2);
	ck_assert_int_eq(cluster_rollback(lease).status, MEWS_OK);
	ck_assert_int_eq(kept(), 1);
	insert(lease, 3);
	ck_assert_int_eq(kept(), 1);
	ck_assert_int_eq(cluster_commit(lease).status, MEWS_OK);
	ck_assert_int_eq(kept(), 2);
	mews_lease_end(&lease);
	ck_assert_ptr_null(lease);
	mews_lease_end(&lease);
}
END_TEST

START_TEST(without_autocommit_each_query_is_in_a_transaction)
{
	static const char *const xid = "select pg_current_xact_id()";
	struct mews_lease	*lease = cluster_lease(cluster_group("manual"));
	char			 first[80];

	strcpy(first, kept_do(lease, xid));
	ck_assert_str_eq(kept_do(lease, xid), first);
	ck_assert_int_eq(cluster_commit(lease).status, MEWS_OK);
	ck_assert_str_ne(kept_do(lease, xid), first);
	mews_lease_end(&lease);
}
END_TEST

START_TEST(with_autocommit_a_transaction_begins_where_it_is_asked_for)
{
	struct mews_lease	*lease = cluster_lease(cluster_group("auto"));

	insert(lease, 1);
	ck_assert_int_eq(kept(), 1);
	ck_assert_int_eq(mews_lease_transaction(lease, NULL), MEWS_OK);
	insert(lease, 2);
	ck_assert_int_eq(mews_lease_transaction(lease, NULL), MEWS_OK);
	insert(lease, 3);
	ck_assert_int_eq(kept(), 1);
	ck_assert_int_eq(cluster_commit(lease).status, MEWS_OK);
	ck_assert_int_eq(kept(), 3);
	insert(lease, 4);
	ck_assert_int_eq(kept(), 4);
	/* A transaction in which nothing ran. */
	ck_assert_int_eq(mews_lease_transaction(lease, NULL), MEWS_OK);
	ck_assert_int_eq(cluster_commit(lease).status, MEWS_OK);
	insert(lease, 5);
	ck_assert_int_eq(kept(), 5);
	mews_lease_end(&lease);
}
END_TEST

START_TEST(a_transaction_in_which_a_query_failed_keeps_nothing)
{
	struct mews_lease *lease = cluster_lease(cluster_group("manual"));
	struct asked	   asked;

	insert(lease, 1);
	asked = cluster_on_lease(lease, "select 1/0");
	ck_assert_int_eq(asked.status, MEWS_SQL);
	ck_assert_str_eq(asked.sqlstate, "22012");
	asked = cluster_on_lease(lease, "insert into kept (id) values (2)");
	ck_assert_int_eq(asked.status, MEWS_SQL);
	ck_assert_str_eq(asked.sqlstate, "25P02");
	asked = cluster_commit(lease);
	ck_assert_int_eq(asked.status, MEWS_SQL);
	ck_assert_ptr_nonnull(strstr(asked.message, "rolled back"));
	ck_assert_int_eq(kept(), 0);
	/* The next transaction works like any other. */
	insert(lease, 3);
	ck_assert_int_eq(cluster_commit(lease).status, MEWS_OK);
	ck_assert_int_eq(kept(), 1);
	mews_lease_end(&lease);
}
END_TEST

START_TEST(a_commit_that_fails_says_so)
{
	struct mews_lease *lease = cluster_lease(cluster_group("manual"));
	struct asked	   asked;

	insert(lease, 1);
	insert(lease, 1);
	asked = cluster_commit(lease);
	ck_assert_int_eq(asked.status, MEWS_SQL);
	ck_assert_str_eq(asked.sqlstate, "23505");
	ck_assert_int_eq(kept(), 0);
	insert(lease, 2);
	ck_assert_int_eq(cluster_commit(lease).status, MEWS_OK);
	ck_assert_int_eq(kept(), 1);
	mews_lease_end(&lease);
}
END_TEST

START_TEST(queries_in_flight_on_a_lease_end_in_their_order)
{
	struct mews_lease *lease = cluster_lease(cluster_group("manual"));
	struct asked	   asked[50], commit = { 0 };
	char		   sql[100];

	memset(asked, 0, sizeof(asked));
	for (int i = 0; i < 50; i++) {
		struct mews_query_args args = { .sql = sql };

		snprintf(sql, sizeof(sql), "insert into kept (id) values (%d) "
		    "returning (select count(*) from kept)", i);
		ck_assert_int_eq(mews_lease_query(lease, &args, cluster_note,
		    &asked[i], NULL), MEWS_OK);
	}
	ck_assert_int_eq(mews_lease_commit(lease, cluster_note, &commit),
	    MEWS_OK);
	CLUSTER_WAIT(commit.calls == 1);
	ck_assert_int_eq(commit.status, MEWS_OK);
	for (int i = 0; i < 50; i++) {
		ck_assert_int_eq(asked[i].calls, 1);
		ck_assert_int_eq(atoi(asked[i].value), i);
	}
	ck_assert_int_eq(kept(), 50);
	mews_lease_end(&lease);
}
END_TEST

/* The many ways to abandon a transaction. */

START_TEST(a_lease_that_ends_without_commit_keeps_nothing)
{
	struct mews_lease *lease = cluster_lease(cluster_group("manual"));

	insert(lease, 1);
	mews_lease_end(&lease);
	lease = cluster_lease(cluster_group("manual"));
	ck_assert_str_eq(kept_do(lease, "select count(*) from kept"), "0");
	ck_assert_int_eq(cluster_commit(lease).status, MEWS_OK);
	mews_lease_end(&lease);
	ck_assert_int_eq(kept(), 0);
	ck_assert_uint_eq(cluster_stats("manual").opened, 1);
}
END_TEST

START_TEST(a_lease_that_ends_with_queries_in_flight_keeps_nothing)
{
	struct mews_query_args args = { .sql = "insert into kept (id) "
		"select 1 from pg_sleep(0.2)" };
	struct mews_lease     *lease = cluster_lease(cluster_group("manual"));
	struct asked	       asked = { 0 };

	ck_assert_int_eq(mews_lease_query(lease, &args, cluster_note, &asked,
	    NULL), MEWS_OK);
	mews_lease_end(&lease);
	lease = cluster_lease(cluster_group("manual"));
	ck_assert_int_eq(asked.calls, 1);
	ck_assert_int_eq(asked.status, MEWS_OK);
	ck_assert_str_eq(kept_do(lease, "select count(*) from kept"), "0");
	mews_lease_end(&lease);
}
END_TEST

START_TEST(a_transaction_begun_by_hand_is_rolled_back_as_well)
{
	struct mews_lease	*lease = cluster_lease(cluster_group("auto"));

	kept_do(lease, "begin");
	insert(lease, 1);
	mews_lease_end(&lease);
	ck_assert_str_eq(cluster_value(cluster_group("auto"),
	    "select count(*) from kept"), "0");
	/* A transaction that was ended by hand needs no rollback. */
	lease = cluster_lease(cluster_group("manual"));
	insert(lease, 2);
	kept_do(lease, "commit");
	mews_lease_end(&lease);
	ck_assert_int_eq(kept(), 1);
	lease = cluster_lease(cluster_group("manual"));
	insert(lease, 3);
	ck_assert_int_eq(kept(), 1);
	mews_lease_end(&lease);
}
END_TEST

START_TEST(a_forgotten_lease_is_taken_away)
{
	const char	  *name = _i == 0 ? "brief" : "aging";
	struct mews_lease *lease = cluster_lease(cluster_group(name));
	struct mews_lease *next;

	insert(lease, 1);
	/* The next lease gets the connection once the first is found to be
	 * forgotten. */
	next = cluster_lease(cluster_group(name));
	ck_assert_int_eq(cluster_logged("lease_forgotten"), 1);
	ck_assert_str_eq(kept_do(next, "select count(*) from kept"), "0");
	mews_lease_end(&next);
	ck_assert_int_eq(cluster_on_lease(lease, "select 1").status,
	    MEWS_UNAVAILABLE);
	ck_assert_int_eq(cluster_commit(lease).status, MEWS_UNAVAILABLE);
	ck_assert_int_eq(cluster_rollback(lease).status, MEWS_UNAVAILABLE);
	ck_assert_int_eq(mews_lease_transaction(lease, NULL), MEWS_UNAVAILABLE);
	ck_assert_ptr_nonnull(strstr(mews_group_message(cluster_group(name)),
	    "gone"));
	mews_lease_end(&lease);
	ck_assert_int_eq(kept(), 0);
}
END_TEST

START_TEST(a_lease_in_use_is_not_forgotten)
{
	struct mews_lease *lease = cluster_lease(cluster_group("brief"));
	int64_t		   end = cluster_now() + 1000;

	insert(lease, 1);
	while (cluster_now() < end)
		kept_do(lease, "select pg_sleep(0.1)");
	ck_assert_int_eq(cluster_commit(lease).status, MEWS_OK);
	mews_lease_end(&lease);
	ck_assert_int_eq(kept(), 1);
	ck_assert_int_eq(cluster_logged("lease_forgotten"), 0);
}
END_TEST

START_TEST(closing_the_pool_keeps_nothing)
{
	struct mews_lease *lease = cluster_lease(cluster_group("manual"));

	insert(lease, 1);
	mews_pool_close(&cluster.pool);
	ck_assert_int_eq(cluster_on_lease(lease, "select 1").status,
	    MEWS_INVALID);
	ck_assert_int_eq(cluster_commit(lease).status, MEWS_INVALID);
	ck_assert_int_eq(mews_lease_transaction(lease, NULL), MEWS_INVALID);
	ck_assert_str_eq(mews_lease_endpoint(lease), "");
	mews_lease_end(&lease);
	CLUSTER_WAIT(cluster_ask_int("a", "select count(*) from "
	    "pg_stat_activity where application_name = 'mews:cluster'") == 0);
	ck_assert_int_eq(kept(), 0);
}
END_TEST

static void
insert_and_hang(void *arg)
{
	struct mews_lease	*lease;

	cluster_join();
	lease = cluster_lease(cluster_group("manual"));
	insert(lease, 1);
	if (write(*(int *)arg, "x", 1) == 1)
		pause();
}

START_TEST(a_killed_process_keeps_nothing)
{
	struct mews_view_worker seen;
	int			told[2], status;
	char			byte;
	pid_t			pid;

	cluster_close();
	kept_prepare();
	cluster_create();
	ck_assert_int_eq(pipe(told), 0);
	pid = cluster_fork(insert_and_hang, &told[1]);
	close(told[1]);
	ck_assert_int_eq(read(told[0], &byte, 1), 1);
	close(told[0]);
	ck_assert_int_eq(cluster_ask_int("a", "select count(*) from "
	    "pg_stat_activity where state = 'idle in transaction'"), 1);
	ck_assert(mews_view_worker(cluster.view, 0, &seen, sizeof(seen)));
	ck_assert_int_eq(seen.pid, pid);
	ck_assert_uint_eq(seen.connections[0], 1);
	kill(pid, SIGKILL);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(mews_fleet_reap(cluster.fleet, pid));
	ck_assert(!mews_view_worker(cluster.view, 0, &seen, sizeof(seen)));
	CLUSTER_WAIT(cluster_ask_int("a", "select count(*) from "
	    "pg_stat_activity where state = 'idle in transaction'") == 0);
	ck_assert_int_eq(kept(), 0);
}
END_TEST

/* --- sharing --- */

START_TEST(no_other_query_runs_on_a_leased_connection)
{
	struct mews_group *group = cluster_group("two");
	struct mews_lease *lease = cluster_lease(group);
	char		   pid[80];

	strcpy(pid, kept_do(lease, "select pg_backend_pid()"));
	for (int i = 0; i < 50; i++)
		ck_assert_str_ne(cluster_value(group,
		    "select pg_backend_pid()"), pid);
	ck_assert_uint_eq(cluster_stats("two").leased, 1);
	ck_assert_str_eq(kept_do(lease, "select pg_backend_pid()"), pid);
	mews_lease_end(&lease);
	ck_assert_uint_eq(cluster_stats("two").leased, 0);
}
END_TEST

static void
insert_granted(void *arg, struct mews_lease *lease,
    const struct mews_result *result)
{
	struct mews_query_args	args = {
		.sql = "insert into kept (id) values (2)" };

	ck_assert_ptr_nonnull(lease);
	ck_assert_int_eq(mews_result_status(result), MEWS_OK);
	ck_assert_int_eq(mews_lease_query(lease, &args, cluster_note, arg,
	    NULL), MEWS_OK);
	mews_lease_end(&lease);
}

START_TEST(leases_and_queries_wait_in_one_queue)
{
	struct mews_group *group = cluster_group("auto");
	struct mews_lease *held = cluster_lease(group);
	struct asked	   one, two = { 0 }, three;

	cluster_send_sql(&one, group, "insert into kept (id) values (1)");
	ck_assert_int_eq(mews_lease_begin(group, 0, insert_granted, &two,
	    NULL), MEWS_OK);
	cluster_send_sql(&three, group, "insert into kept (id) values (3)");
	ck_assert_uint_eq(cluster_stats("auto").waiting, 3);
	insert(held, 0);
	ck_assert_int_eq(one.calls, 0);
	mews_lease_end(&held);
	CLUSTER_WAIT(three.calls == 1);
	ck_assert_int_eq(one.calls, 1);
	ck_assert_int_eq(two.calls, 1);
	ck_assert_str_eq(cluster_ask("a",
	    "select string_agg(id::text, ',' order by at) from kept"),
	    "0,1,2,3");
}
END_TEST

static void
note_refusal(void *arg, struct mews_lease *lease,
    const struct mews_result *result)
{
	cluster_note(arg, result);
	mews_lease_end(&lease);
}

START_TEST(a_wait_for_a_lease_can_be_given_up)
{
	struct mews_group *group = cluster_group("auto");
	struct mews_lease *held = cluster_lease(group);
	struct asked	   given_up = { 0 }, stays = { 0 };

	ck_assert_int_eq(mews_lease_begin(group, 0, note_refusal, &given_up,
	    &given_up.id), MEWS_OK);
	ck_assert_int_eq(mews_lease_begin(group, 0, note_refusal, &stays,
	    &stays.id), MEWS_OK);
	ck_assert_int_eq(mews_query_cancel(cluster.pool, given_up.id),
	    MEWS_OK);
	ck_assert_int_eq(given_up.calls, 0);
	mews_lease_end(&held);
	CLUSTER_WAIT(stays.calls == 1);
	ck_assert_int_eq(stays.status, MEWS_OK);
	ck_assert_int_eq(given_up.calls, 1);
	ck_assert_int_eq(given_up.status, MEWS_CANCELED);
	ck_assert_uint_eq(cluster_stats("auto").leased, 0);
}
END_TEST

START_TEST(a_query_on_a_lease_can_be_given_up)
{
	struct mews_query_args args = { .sql = "select pg_sleep(0.2)" };
	struct mews_lease     *lease = cluster_lease(cluster_group("manual"));
	struct asked	       asked = { 0 };

	ck_assert_int_eq(mews_lease_query(lease, &args, cluster_note, &asked,
	    &asked.id), MEWS_OK);
	ck_assert_int_eq(mews_query_cancel(cluster.pool, asked.id), MEWS_OK);
	CLUSTER_WAIT(asked.calls == 1);
	ck_assert_int_eq(asked.status, MEWS_CANCELED);
	insert(lease, 1);
	ck_assert_int_eq(cluster_commit(lease).status, MEWS_OK);
	ck_assert_int_eq(asked.calls, 1);
	mews_lease_end(&lease);
	ck_assert_int_eq(kept(), 1);
}
END_TEST

START_TEST(a_lease_of_a_reader_group_reads)
{
	struct mews_lease	*lease = cluster_lease(cluster_group("read"));
	const char		*endpoint = mews_lease_endpoint(lease);

	ck_assert(strcmp(endpoint, "b") == 0 || strcmp(endpoint, "c") == 0);
	ck_assert_str_eq(kept_do(lease, "select pg_is_in_recovery()"), "t");
	ck_assert_str_eq(cluster_on_lease(lease,
	    "delete from world").sqlstate, "25006");
	mews_lease_end(&lease);
}
END_TEST

/* --- a connection that dies --- */

static void
terminate(const char *pid)
{
	char	sql[100];

	snprintf(sql, sizeof(sql), "select pg_terminate_backend(%s, 10000)",
	    pid);
	ck_assert_str_eq(cluster_ask("a", sql), "t");
}

START_TEST(a_lease_whose_connection_died_is_of_no_more_use)
{
	struct mews_query_args args = { .sql = "select pg_sleep(20)" };
	struct mews_lease     *lease = cluster_lease(cluster_group("manual"));
	struct asked	       asked[3] = { 0 };
	char		       pid[80];

	insert(lease, 1);
	strcpy(pid, kept_do(lease, "select pg_backend_pid()"));
	for (int i = 0; _i == 0 && i < 3; i++)
		ck_assert_int_eq(mews_lease_query(lease, &args, cluster_note,
		    &asked[i], NULL), MEWS_OK);
	mews_pool_turn(cluster.pool, 0);
	terminate(pid);
	for (int i = 0; _i == 0 && i < 3; i++) {
		CLUSTER_WAIT(asked[i].calls == 1);
		ck_assert_int_eq(asked[i].status, MEWS_UNDONE);
	}
	/* The next call finds the loss, unless the lease was told before. */
	ck_assert_int_eq(cluster_on_lease(lease, "select 1").status,
	    MEWS_UNAVAILABLE);
	ck_assert_int_eq(cluster_commit(lease).status, MEWS_UNAVAILABLE);
	ck_assert_str_eq(mews_lease_endpoint(lease), "a");
	mews_lease_end(&lease);
	ck_assert_int_eq(kept(), 0);
	lease = cluster_lease(cluster_group("manual"));
	insert(lease, 2);
	ck_assert_int_eq(cluster_commit(lease).status, MEWS_OK);
	mews_lease_end(&lease);
	ck_assert_int_eq(kept(), 1);
}
END_TEST

/* libpq cannot copy in a pipeline: refuse it, and do not hang. */
START_TEST(copy_sent_as_a_query_is_refused)
{
	static const char *const sql[] = { "copy world to stdout",
		"copy kept from stdin" };
	struct mews_lease	*lease = cluster_lease(cluster_group("auto"));
	struct asked		 asked = cluster_on_lease(lease, sql[_i]);

	ck_assert_int_ne(asked.status, MEWS_OK);
	mews_lease_end(&lease);
	ck_assert_str_eq(cluster_value(cluster_group("auto"), "select 1"),
	    "1");
}
END_TEST

static Suite *
leases_suite(void)
{
	Suite *suite = suite_create("leases");
	TCase *transactions = unit_case(suite, "transactions");
	TCase *abandoned = unit_case(suite, "abandoned");
	TCase *sharing = unit_case(suite, "sharing");
	TCase *lost = unit_case(suite, "lost");
	TCase *cases[] = { transactions, abandoned, sharing, lost };

	for (size_t i = 0; i < CLUSTER_COUNT(cases); i++) {
		tcase_add_checked_fixture(cases[i], kept_open, cluster_close);
		tcase_set_timeout(cases[i], 180);
	}
	tcase_add_test(sharing, a_free_connection_is_leased_at_once);
	tcase_add_test(sharing, a_dead_connection_is_not_leased);
	tcase_add_test(transactions,
	    a_commit_on_a_lease_keeps_and_a_rollback_does_not);
	tcase_add_test(transactions,
	    without_autocommit_each_query_is_in_a_transaction);
	tcase_add_test(transactions,
	    with_autocommit_a_transaction_begins_where_it_is_asked_for);
	tcase_add_test(transactions,
	    a_transaction_in_which_a_query_failed_keeps_nothing);
	tcase_add_test(transactions, a_commit_that_fails_says_so);
	tcase_add_test(transactions,
	    queries_in_flight_on_a_lease_end_in_their_order);
	tcase_add_test(abandoned,
	    a_lease_that_ends_without_commit_keeps_nothing);
	tcase_add_test(abandoned,
	    a_lease_that_ends_with_queries_in_flight_keeps_nothing);
	tcase_add_test(abandoned,
	    a_transaction_begun_by_hand_is_rolled_back_as_well);
	tcase_add_loop_test(abandoned, a_forgotten_lease_is_taken_away, 0, 2);
	tcase_add_test(abandoned, a_lease_in_use_is_not_forgotten);
	tcase_add_test(abandoned, closing_the_pool_keeps_nothing);
	tcase_add_test(abandoned, a_killed_process_keeps_nothing);
	tcase_add_test(sharing, no_other_query_runs_on_a_leased_connection);
	tcase_add_test(sharing, leases_and_queries_wait_in_one_queue);
	tcase_add_test(sharing, a_wait_for_a_lease_can_be_given_up);
	tcase_add_test(sharing, a_query_on_a_lease_can_be_given_up);
	tcase_add_test(sharing, a_lease_of_a_reader_group_reads);
	tcase_add_loop_test(lost,
	    a_lease_whose_connection_died_is_of_no_more_use, 0, 2);
	tcase_add_loop_test(lost, copy_sent_as_a_query_is_refused, 0, 2);
	return suite;
}

UNIT_MAIN(leases_suite)
