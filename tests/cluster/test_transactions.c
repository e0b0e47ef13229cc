/*
 * test_transactions.c - a transaction has the options that were asked for, and
 * is done as a whole or not at all.
 */
#include "cluster.h"
#include "unit.h"

#include <stdio.h>
#include <string.h>

static const struct mews_group_config groups[] = {
	{ .name = "write", .role = MEWS_GROUP_PRIMARY, .connection_count = 2 },
	{ .name = "manual", .role = MEWS_GROUP_PRIMARY, .connection_count = 1,
	  .autocommit = MEWS_SWITCH_OFF },
	{ .name = "read", .role = MEWS_GROUP_STANDBY, .connection_count = 1 },
};

static void
open_pool(void)
{
	cluster_open(groups, CLUSTER_COUNT(groups));
	cluster_ask("a", "set client_min_messages = warning; "
	    "drop table if exists tx; "
	    "create table tx (id int primary key, note text)");
}

static void
close_pool(void)
{
	cluster_close();
}

static void
must(struct mews_lease *lease, const char *sql)
{
	struct asked	asked = cluster_on_lease(lease, sql);

	ck_assert_msg(asked.status == MEWS_OK, "%s: %s", sql, asked.message);
}

/* Note the end of a blocking call on a lease: the status; the result is
 * freed. */
static enum mews_status
ended(enum mews_status status, struct mews_result *result)
{
	if (result != NULL)
		ck_assert_int_eq(mews_result_status(result), status);
	mews_result_free(&result);
	return status;
}

static enum mews_status
savepoint(struct mews_lease *lease, const char *name)
{
	struct mews_result     *result;
	enum mews_status	status;

	status = mews_lease_savepoint_run(lease, name, &result);
	return ended(status, result);
}

static enum mews_status
rollback_to(struct mews_lease *lease, const char *name)
{
	struct mews_result     *result;
	enum mews_status	status;

	status = mews_lease_rollback_to_run(lease, name, &result);
	return ended(status, result);
}

static enum mews_status
release(struct mews_lease *lease, const char *name)
{
	struct mews_result     *result;
	enum mews_status	status;

	status = mews_lease_release_savepoint_run(lease, name, &result);
	return ended(status, result);
}

/* Each option, as the server shows it. */
static const struct {
	struct mews_transaction options;
	const char *expected; /* isolation, read only, deferrable */
} wanted[] = {
	{ { .isolation = MEWS_ISOLATION_DEFAULT }, "read committed off off" },
	{ { .isolation = MEWS_ISOLATION_READ_COMMITTED },
	  "read committed off off" },
	{ { .isolation = MEWS_ISOLATION_REPEATABLE_READ },
	  "repeatable read off off" },
	{ { .isolation = MEWS_ISOLATION_SERIALIZABLE },
	  "serializable off off" },
	{ { .read_only = MEWS_SWITCH_ON }, "read committed on off" },
	{ { .read_only = MEWS_SWITCH_OFF }, "read committed off off" },
	{ { .deferrable = MEWS_SWITCH_ON }, "read committed off on" },
	{ { .deferrable = MEWS_SWITCH_OFF }, "read committed off off" },
	{ { MEWS_ISOLATION_REPEATABLE_READ, MEWS_SWITCH_ON, MEWS_SWITCH_OFF },
	  "repeatable read on off" },
	{ { MEWS_ISOLATION_SERIALIZABLE, MEWS_SWITCH_ON, MEWS_SWITCH_ON },
	  "serializable on on" },
};

#define SHOW "select current_setting('transaction_isolation') || ' ' || "    \
    "current_setting('transaction_read_only') || ' ' || "		    \
    "current_setting('transaction_deferrable')"

static void
check_options(const char *group, size_t row)
{
	struct mews_lease	*lease = cluster_lease(cluster_group(group));

	ck_assert_int_eq(mews_lease_transaction(lease, &wanted[row].options),
	    MEWS_OK);
	ck_assert_str_eq(cluster_on_lease(lease, SHOW).value,
	    wanted[row].expected);
	ck_assert_int_eq(cluster_commit(lease).status, MEWS_OK);
	/* Options last for one transaction. */
	ck_assert_int_eq(mews_lease_transaction(lease, NULL), MEWS_OK);
	ck_assert_str_eq(cluster_on_lease(lease, SHOW).value,
	    "read committed off off");
	ck_assert_int_eq(cluster_rollback(lease).status, MEWS_OK);
	mews_lease_end(&lease);
}

START_TEST(options_of_a_transaction_reach_the_server)
{
	check_options("write", (size_t)_i);
	check_options("manual", (size_t)_i);
}
END_TEST

START_TEST(a_group_that_reads_stays_read_only)
{
	struct mews_transaction options = { .read_only = MEWS_SWITCH_OFF };
	struct mews_lease      *lease = cluster_lease(cluster_group("read"));

	ck_assert_int_eq(mews_lease_transaction(lease, &options),
	    MEWS_INVALID);
	ck_assert_ptr_nonnull(strstr(mews_group_message(
	    cluster_group("read")), "read only"));
	options.read_only = MEWS_SWITCH_ON;
	options.isolation = MEWS_ISOLATION_REPEATABLE_READ;
	ck_assert_int_eq(mews_lease_transaction(lease, &options), MEWS_OK);
	ck_assert_str_eq(cluster_on_lease(lease, SHOW).value,
	    "repeatable read on off");
	mews_lease_end(&lease);
}
END_TEST

/* A standby cannot do this: the first query says so, and the queries sent
 * behind it do not run either. */
START_TEST(options_that_the_server_refuses_run_nothing)
{
	const struct mews_transaction options = {
		.isolation = MEWS_ISOLATION_SERIALIZABLE,
	};
	const struct mews_query_args args = { .sql = "select 1" };
	struct mews_lease *lease = cluster_lease(cluster_group("read"));
	struct asked	   first = { 0 }, second = { 0 };

	ck_assert_int_eq(mews_lease_transaction(lease, &options), MEWS_OK);
	ck_assert_int_eq(mews_lease_query(lease, &args, cluster_note, &first,
	    NULL), MEWS_OK);
	ck_assert_int_eq(mews_lease_query(lease, &args, cluster_note, &second,
	    NULL), MEWS_OK);
	CLUSTER_WAIT(second.calls == 1);
	ck_assert_int_eq(first.status, MEWS_SQL);
	ck_assert_str_eq(first.sqlstate, "0A000");
	ck_assert_int_eq(second.status, MEWS_SQL);
	ck_assert_str_eq(second.sqlstate, "25P02");
	ck_assert_int_eq(cluster_commit(lease).status, MEWS_SQL);
	must(lease, "select 1");
	mews_lease_end(&lease);
	ck_assert_uint_eq(cluster_stats("read").opened, 1);
}
END_TEST

START_TEST(unknown_options_of_a_transaction_are_refused)
{
	const struct mews_transaction bad[] = {
		{ .isolation = (enum mews_isolation)4 },
		{ .read_only = (enum mews_switch)3 },
		{ .deferrable = (enum mews_switch)-1 },
	};
	struct mews_lease *lease = cluster_lease(cluster_group("write"));

	for (size_t i = 0; i < CLUSTER_COUNT(bad); i++)
		ck_assert_int_eq(mews_lease_transaction(lease, &bad[i]),
		    MEWS_INVALID);
	mews_lease_end(&lease);
}
END_TEST

START_TEST(an_open_transaction_keeps_its_options)
{
	const struct mews_transaction options = {
		.isolation = MEWS_ISOLATION_SERIALIZABLE,
	};
	struct mews_lease *lease = cluster_lease(cluster_group("write"));

	ck_assert_int_eq(mews_lease_transaction(lease, NULL), MEWS_OK);
	must(lease, "select 1");
	ck_assert_int_eq(mews_lease_transaction(lease, NULL), MEWS_OK);
	ck_assert_int_eq(mews_lease_transaction(lease, &options),
	    MEWS_INVALID);
	ck_assert_ptr_nonnull(strstr(mews_group_message(
	    cluster_group("write")), "open already"));
	ck_assert_int_eq(cluster_rollback(lease).status, MEWS_OK);
	ck_assert_int_eq(mews_lease_transaction(lease, &options), MEWS_OK);
	ck_assert_str_eq(cluster_on_lease(lease, SHOW).value,
	    "serializable off off");
	mews_lease_end(&lease);
}
END_TEST

/* The host may also write BEGIN and COMMIT itself. */
START_TEST(transactions_by_hand_are_noticed)
{
	struct mews_lease *lease = cluster_lease(cluster_group("write"));

	must(lease, "begin isolation level serializable");
	ck_assert_int_eq(mews_lease_transaction(lease, NULL), MEWS_OK);
	ck_assert_str_eq(cluster_on_lease(lease, SHOW).value,
	    "serializable off off");
	must(lease, "insert into tx values (1, 'by hand')");
	must(lease, "commit");
	/* mews_lease_transaction() still holds: a new transaction begins. */
	must(lease, "insert into tx values (2, 'undone')");
	mews_lease_end(&lease);
	ck_assert_str_eq(cluster_value(cluster_group("write"),
	    "select string_agg(id::text, ' ') from tx"), "1");
}
END_TEST

/* A rollback does not claim to undo a transaction that COMMIT as text ended. */
START_TEST(a_rollback_behind_a_commit_by_hand_is_refused)
{
	struct mews_lease *lease = cluster_lease(cluster_group("write"));
	struct asked	   asked;

	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(mews_lease_transaction(lease, NULL), MEWS_OK);
		must(lease, "insert into tx select count(*), 'stays' from tx");
		must(lease, "commit");
		asked = cluster_rollback(lease);
		ck_assert_int_eq(asked.status, MEWS_SQL);
		ck_assert_str_eq(asked.sqlstate, "25P01");
		/* No transaction is asked for any more, either. */
		asked = cluster_rollback(lease);
		ck_assert_str_eq(asked.sqlstate, "25P01");
	}
	/* BEGIN as text, its end, and an end of no transaction. */
	must(lease, "begin");
	ck_assert_int_eq(cluster_rollback(lease).status, MEWS_OK);
	asked = cluster_rollback(lease);
	ck_assert_str_eq(asked.sqlstate, "25P01");
	/* A new transaction works as ever, with a query or without. */
	ck_assert_int_eq(mews_lease_transaction(lease, NULL), MEWS_OK);
	ck_assert_int_eq(cluster_rollback(lease).status, MEWS_OK);
	ck_assert_int_eq(mews_lease_transaction(lease, NULL), MEWS_OK);
	must(lease, "insert into tx values (2, 'undone')");
	ck_assert_int_eq(cluster_rollback(lease).status, MEWS_OK);
	mews_lease_end(&lease);
	ck_assert_str_eq(cluster_value(cluster_group("write"),
	    "select string_agg(id::text, ' ' order by id) from tx"), "0 1");
}
END_TEST

/* A lost query of a transaction that was asked for is undone, also if a
 * transaction by hand came before. */
START_TEST(a_loss_behind_a_transaction_by_hand_is_undone)
{
	const struct mews_query_args args = { .sql = "select pg_sleep(600)" };
	struct mews_lease *lease = cluster_lease(cluster_group("write"));
	struct asked	   asked = { 0 };
	char		   sql[120];

	must(lease, "begin");
	must(lease, "commit");
	ck_assert_int_eq(mews_lease_transaction(lease, NULL), MEWS_OK);
	snprintf(sql, sizeof(sql), "select pg_terminate_backend(%s)",
	    cluster_on_lease(lease, "select pg_backend_pid()").value);
	ck_assert_int_eq(mews_lease_query(lease, &args, cluster_note, &asked,
	    NULL), MEWS_OK);
	mews_pool_turn(cluster.pool, 0);
	cluster_ask("a", sql);
	CLUSTER_WAIT(asked.calls == 1);
	ck_assert_int_eq(asked.status, MEWS_UNDONE);
	mews_lease_end(&lease);
}
END_TEST

START_TEST(serializable_conflicts_are_told_at_the_end)
{
	const struct mews_transaction options = {
		.isolation = MEWS_ISOLATION_SERIALIZABLE,
	};
	struct mews_group *group = cluster_group("write");
	struct mews_lease *leases[2];
	struct asked	   asked;
	int		   committed = 0;

	for (int i = 0; i < 2; i++) {
		leases[i] = cluster_lease(group);
		ck_assert_int_eq(mews_lease_transaction(leases[i], &options),
		    MEWS_OK);
		must(leases[i], "select count(*) from tx");
	}
	must(leases[0], "insert into tx select count(*), 'a' from tx");
	must(leases[1], "insert into tx select count(*) + 10, 'b' from tx");
	for (int i = 0; i < 2; i++) {
		asked = cluster_commit(leases[i]);
		committed += asked.status == MEWS_OK;
		if (asked.status != MEWS_OK) {
			ck_assert_int_eq(asked.status, MEWS_SQL);
			ck_assert_str_eq(asked.sqlstate, "40001");
		}
		mews_lease_end(&leases[i]);
	}
	ck_assert_int_eq(committed, 1);
	ck_assert_str_eq(cluster_value(group, "select count(*) from tx"), "1");
}
END_TEST

START_TEST(savepoints_undo_and_go_on)
{
	struct mews_group *group = cluster_group("write");
	struct mews_lease *lease = cluster_lease(group);

	ck_assert_int_eq(mews_lease_transaction(lease, NULL), MEWS_OK);
	/* The savepoint is the first of the transaction: BEGIN is sent ahead of
	 * it. */
	ck_assert_int_eq(savepoint(lease, "one"), MEWS_OK);
	must(lease, "insert into tx values (1, 'kept')");
	ck_assert_int_eq(savepoint(lease, "two"), MEWS_OK);
	must(lease, "insert into tx values (2, 'undone')");
	ck_assert_int_eq(cluster_on_lease(lease, "select 1/0").status,
	    MEWS_SQL);
	ck_assert_str_eq(cluster_on_lease(lease, "select 1").sqlstate,
	    "25P02");
	ck_assert_int_eq(rollback_to(lease, "two"), MEWS_OK);
	must(lease, "insert into tx values (3, 'kept')");
	ck_assert_int_eq(release(lease, "two"), MEWS_OK);
	ck_assert_int_eq(rollback_to(lease, "two"), MEWS_SQL);
	ck_assert_int_eq(rollback_to(lease, "one"), MEWS_OK);
	must(lease, "insert into tx values (4, 'kept')");
	ck_assert_int_eq(cluster_commit(lease).status, MEWS_OK);
	mews_lease_end(&lease);
	ck_assert_str_eq(cluster_value(group,
	    "select string_agg(id::text, ' ' order by id) from tx"), "4");
}
END_TEST

/* All calls are in one flight, without waiting in between. */
START_TEST(savepoints_keep_their_order_in_flight)
{
	const struct mews_query_args bad = { .sql = "select 1/0" };
	const struct mews_query_args good = {
		.sql = "insert into tx values (7, '')",
	};
	struct mews_lease *lease = cluster_lease(cluster_group("manual"));
	struct asked	   asked[5] = { { 0 } };

	ck_assert_int_eq(mews_lease_savepoint(lease, "s", cluster_note,
	    &asked[0]), MEWS_OK);
	ck_assert_int_eq(mews_lease_query(lease, &bad, cluster_note,
	    &asked[1], NULL), MEWS_OK);
	ck_assert_int_eq(mews_lease_rollback_to(lease, "s", cluster_note,
	    &asked[2]), MEWS_OK);
	ck_assert_int_eq(mews_lease_query(lease, &good, cluster_note,
	    &asked[3], NULL), MEWS_OK);
	ck_assert_int_eq(mews_lease_commit(lease, cluster_note, &asked[4]),
	    MEWS_OK);
	CLUSTER_WAIT(asked[4].calls == 1);
	for (int i = 0; i < 5; i++) {
		ck_assert_int_eq(asked[i].calls, 1);
		ck_assert_int_eq(asked[i].status, i == 1 ? MEWS_SQL : MEWS_OK);
	}
	mews_lease_end(&lease);
	ck_assert_str_eq(cluster_ask("a", "select id from tx"), "7");
}
END_TEST

#define LONGEST "1234567890123456789012345678901234567890123456789012345678901\
23"

START_TEST(savepoint_names_are_quoted_and_checked)
{
	static const char *const names[] = { "a b", "\"", "x\"; drop table tx",
		"Größe", "SELECT",
		LONGEST };
	char		   quotes[MEWS_SAVEPOINT_MAX + 2];
	struct mews_lease *lease = cluster_lease(cluster_group("manual"));
	struct asked	   asked = { 0 };

	for (size_t i = 0; i < CLUSTER_COUNT(names); i++) {
		ck_assert_int_eq(savepoint(lease, names[i]), MEWS_OK);
		ck_assert_int_eq(rollback_to(lease, names[i]), MEWS_OK);
		ck_assert_int_eq(release(lease, names[i]), MEWS_OK);
	}
	/* Upper and lower case are different names. */
	ck_assert_int_eq(savepoint(lease, "s"), MEWS_OK);
	ck_assert_int_eq(release(lease, "S"), MEWS_SQL);
	memset(quotes, '"', sizeof(quotes));
	quotes[MEWS_SAVEPOINT_MAX + 1] = '\0';
	ck_assert_int_eq(savepoint(lease, quotes), MEWS_INVALID);
	quotes[MEWS_SAVEPOINT_MAX] = '\0';
	ck_assert_int_eq(rollback_to(lease, "s"), MEWS_OK);
	ck_assert_int_eq(savepoint(lease, quotes), MEWS_OK);
	ck_assert_int_eq(savepoint(lease, ""), MEWS_INVALID);
	ck_assert_int_eq(savepoint(lease, NULL), MEWS_INVALID);
	ck_assert_int_eq(mews_lease_savepoint(lease, "x", NULL, NULL),
	    MEWS_INVALID);
	ck_assert_int_eq(cluster_rollback(lease).status, MEWS_OK);
	mews_lease_end(&lease);
	/* Outside of a transaction a savepoint is refused. */
	lease = cluster_lease(cluster_group("write"));
	ck_assert_int_eq(mews_lease_savepoint(lease, "x", cluster_note,
	    &asked), MEWS_OK);
	CLUSTER_WAIT(asked.calls == 1);
	ck_assert_str_eq(asked.sqlstate, "25P01");
	mews_lease_end(&lease);
}
END_TEST

/* A transaction alone needs no reset: statements that were prepared on the
 * connection stay for the next user. */
START_TEST(a_lease_with_transactions_alone_costs_no_reset)
{
	struct mews_group      *group = cluster_group("manual");
	struct mews_lease      *lease = cluster_lease(group);
	struct mews_statement  *statement;
	struct mews_query_args	args = { 0 };
	struct asked		asked = { 0 };

	ck_assert_int_eq(mews_statement_register(&statement, cluster.pool, NULL,
	    "select 7", 0, NULL),
	    MEWS_OK);
	args.statement = statement;
	ck_assert_int_eq(mews_lease_query(lease, &args, cluster_note, &asked,
	    NULL), MEWS_OK);
	CLUSTER_WAIT(asked.calls == 1);
	ck_assert_int_eq(savepoint(lease, "s"), MEWS_OK);
	ck_assert_int_eq(cluster_commit(lease).status, MEWS_OK);
	mews_lease_end(&lease);
	lease = cluster_lease(group);
	ck_assert_str_eq(cluster_on_lease(lease,
	    "select count(*) from pg_prepared_statements").value, "1");
	mews_lease_end(&lease);
}
END_TEST

START_TEST(a_lease_with_a_lost_connection_refuses_queries)
{
	struct mews_group *group = cluster_group("write");
	struct mews_lease *lease = cluster_lease(group);
	char		   sql[120];

	ck_assert_int_eq(mews_lease_transaction(lease, NULL), MEWS_OK);
	snprintf(sql, sizeof(sql), "select pg_terminate_backend(%s)",
	    cluster_on_lease(lease, "select pg_backend_pid()").value);
	cluster_ask("a", sql);
	CLUSTER_WAIT(mews_lease_transaction(lease, NULL) ==
	    MEWS_UNAVAILABLE);
	ck_assert_int_eq(savepoint(lease, "s"), MEWS_UNAVAILABLE);
	ck_assert_int_eq(cluster_commit(lease).status, MEWS_UNAVAILABLE);
	mews_lease_end(&lease);
}
END_TEST

static Suite *
transactions_suite(void)
{
	Suite	*suite = suite_create("transactions");
	TCase	*tcase = unit_case(suite, "options");

	tcase_add_checked_fixture(tcase, open_pool, close_pool);
	tcase_set_timeout(tcase, 180);
	tcase_add_loop_test(tcase, options_of_a_transaction_reach_the_server, 0,
	    (int)CLUSTER_COUNT(wanted));
	tcase_add_test(tcase, a_group_that_reads_stays_read_only);
	tcase_add_test(tcase, options_that_the_server_refuses_run_nothing);
	tcase_add_test(tcase, unknown_options_of_a_transaction_are_refused);
	tcase_add_test(tcase, an_open_transaction_keeps_its_options);
	tcase_add_test(tcase, transactions_by_hand_are_noticed);
	tcase_add_test(tcase, a_rollback_behind_a_commit_by_hand_is_refused);
	tcase_add_test(tcase, a_loss_behind_a_transaction_by_hand_is_undone);
	tcase_add_test(tcase, serializable_conflicts_are_told_at_the_end);
	tcase = unit_case(suite, "savepoints");
	tcase_add_checked_fixture(tcase, open_pool, close_pool);
	tcase_set_timeout(tcase, 180);
	tcase_add_test(tcase, savepoints_undo_and_go_on);
	tcase_add_test(tcase, savepoints_keep_their_order_in_flight);
	tcase_add_test(tcase, savepoint_names_are_quoted_and_checked);
	tcase_add_test(tcase, a_lease_with_transactions_alone_costs_no_reset);
	tcase_add_test(tcase, a_lease_with_a_lost_connection_refuses_queries);
	return suite;
}

UNIT_MAIN(transactions_suite)
