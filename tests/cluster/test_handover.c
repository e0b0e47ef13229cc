/*
 * test_handover.c - a session is as its group says, whoever had it before: each
 * way a lease ends, times each next use of its connection.
 */
#include "cluster.h"
#include "unit.h"

#include <stdio.h>
#include <string.h>

static const char *const init[] = { "set search_path = handover, public" };
static const char *const gated[] = {
	"insert into handover.gate select * from handover.keys",
};

#define SETTINGS \
	.connection_count = 1, .query_timeout = 30000, .init = init, \
	.init_count = 1, .acquire_timeout = 40000

static const struct mews_group_config groups[] = {
	{ .name = "auto", .role = MEWS_GROUP_PRIMARY, SETTINGS },
	{ .name = "manual", .role = MEWS_GROUP_PRIMARY, SETTINGS,
	  .autocommit = MEWS_SWITCH_OFF },
	{ .name = "any", .role = MEWS_GROUP_ANY, SETTINGS },
	{ .name = "gated", .role = MEWS_GROUP_PRIMARY, .connection_count = 1,
	  .init = gated, .init_count = 1, .acquire_timeout = 500 },
	{ .name = "many", .role = MEWS_GROUP_PRIMARY, .connection_count = 4 },
};

static void
made(void)
{
	cluster_ask("a", "drop schema if exists handover cascade;"
	    "drop table if exists public.landed;"
	    "create schema handover;"
	    "create table handover.landed (x int primary key);"
	    "create table public.landed (x int);"
	    "create table handover.keys (x int);"
	    "create table handover.gate (x int unique "
	    "deferrable initially deferred)");
	cluster_catch_up();
	cluster_open(groups, CLUSTER_COUNT(groups));
}

/* --- how a lease ends, having changed its session --- */

static void
leave_it(struct mews_lease *lease)
{
	(void)lease;
}

static void
commit_it(struct mews_lease *lease)
{
	ck_assert_int_eq(cluster_commit(lease).status, MEWS_OK);
}

static void
undo_it(struct mews_lease *lease)
{
	ck_assert_int_eq(cluster_rollback(lease).status, MEWS_OK);
}

static void
fail_it(struct mews_lease *lease)
{
	ck_assert_int_eq(cluster_on_lease(lease, "select 1/0").status,
	    MEWS_SQL);
}

static void
chain_it(struct mews_lease *lease)
{
	ck_assert_int_eq(cluster_on_lease(lease, "commit and chain").status,
	    MEWS_OK);
}

static void
undo_and_chain_it(struct mews_lease *lease)
{
	ck_assert_int_eq(cluster_on_lease(lease, "rollback and chain").status,
	    MEWS_OK);
}

/* Prepare a transaction; it fails where the server allows none. */
static void
prepare_it(struct mews_lease *lease)
{
	struct asked	asked = cluster_on_lease(lease,
	    "prepare transaction 'mews handover'");

	if (asked.status == MEWS_OK)
		cluster_ask("a", "rollback prepared 'mews handover'");
	else
		ck_assert_str_eq(asked.sqlstate, "55000");
}

static struct asked unheard[2];

/* End the lease with queries in flight, which are the last to be answered. */
static void
leave_in_flight(struct mews_lease *lease)
{
	static const char *const sql[] = { "select 1/0", "select 1" };

	for (int i = 0; i < 2; i++) {
		const struct mews_query_args	args = { .sql = sql[i] };

		unheard[i] = (struct asked) { 0 };
		ck_assert_int_eq(mews_lease_query(lease, &args, cluster_note,
		    &unheard[i], NULL), MEWS_OK);
	}
}

static const struct {
	const char *name;
	void (*end)(struct mews_lease *);
	bool transaction;
} partings[] = {
	{ "without a transaction", leave_it, false },
	{ "an error without a transaction", fail_it, false },
	{ "in flight", leave_in_flight, false },
	{ "committed", commit_it, true },
	{ "rolled back", undo_it, true },
	{ "open", leave_it, true },
	{ "failed", fail_it, true },
	{ "in flight inside of one", leave_in_flight, true },
	{ "committed and begun anew", chain_it, true },
	{ "rolled back and begun anew", undo_and_chain_it, true },
	{ "prepared", prepare_it, true },
};

/* Statements that change a session. */
static const char *const changes[] = {
	"set timezone = 'UTC'", "set statement_timeout = 0",
	"set search_path = public",
	"set default_transaction_read_only = off", "discard all", "reset all",
};

/* Checks at the next use; true: the group takes that connection. */

static bool
takes_queries(const char *name)
{
	return strcmp(name, "manual") != 0;
}

static bool
next_is_an_error(const char *name)
{
	if (!takes_queries(name))
		return false;
	ck_assert_str_eq(cluster_run(cluster_group(name), "select 1/0")
	    .sqlstate, "22012");
	return true;
}

static bool
next_is_a_write_beside_an_error(const char *name)
{
	struct asked	write, read;

	if (!takes_queries(name) || strcmp(name, "any") == 0)
		return false;
	cluster_send_sql(&write, cluster_group(name),
	    "insert into landed values (1) returning x");
	cluster_send_sql(&read, cluster_group(name), "select 1/0");
	CLUSTER_WAIT(write.calls + read.calls == 2);
	ck_assert_int_eq(write.status, MEWS_OK);
	ck_assert_int_eq(read.status, MEWS_SQL);
	ck_assert_str_eq(cluster_ask("a",
	    "select count(*) from handover.landed"), "1");
	cluster_ask("a", "truncate handover.landed");
	return true;
}

static bool
next_is_a_mistake(const char *name)
{
	if (!takes_queries(name))
		return false;
	ck_assert_str_eq(cluster_run(cluster_group(name), "selekt").sqlstate,
	    "42601");
	return true;
}

static bool
next_is_vacuum(const char *name)
{
	if (!takes_queries(name) || strcmp(name, "any") == 0)
		return false;
	ck_assert_str_eq(cluster_run(cluster_group(name),
	    "vacuum handover.landed").message, "");
	return true;
}

static bool
next_is_a_lease_that_fails(const char *name)
{
	struct mews_lease	*lease = cluster_lease(cluster_group(name));

	ck_assert_int_eq(mews_lease_transaction(lease, NULL), MEWS_OK);
	ck_assert_str_eq(cluster_on_lease(lease, "select 1/0").sqlstate,
	    "22012");
	mews_lease_end(&lease);
	return true;
}

static int
no_row(void *arg, void *buffer, size_t size)
{
	(void)arg;
	(void)buffer;
	(void)size;
	return -1;
}

static bool
next_is_a_copy_that_fails(const char *name)
{
	struct mews_lease      *lease = cluster_lease(cluster_group(name));
	struct mews_result     *result;

	if (strcmp(name, "any") != 0)
		ck_assert_int_eq(mews_copy_in_run(lease,
		    "copy landed from stdin", no_row, NULL, &result),
		    MEWS_CANCELED);
	else
		ck_assert_int_eq(mews_copy_in_run(lease,
		    "copy landed from stdin", no_row, NULL, &result),
		    MEWS_SQL);
	mews_result_free(&result);
	mews_lease_end(&lease);
	return true;
}

static bool
next_is_nothing(const char *name)
{
	(void)name;
	return true;
}

static const struct {
	const char *name;
	bool (*run)(const char *group);
} nexts[] = {
	{ "nothing", next_is_nothing },
	{ "an error", next_is_an_error },
	{ "a write beside an error", next_is_a_write_beside_an_error },
	{ "a mistake", next_is_a_mistake },
	{ "vacuum", next_is_vacuum },
	{ "a lease that fails", next_is_a_lease_that_fails },
	{ "a copy that fails", next_is_a_copy_that_fails },
};

/* All that the group says of its sessions holds, and no transaction is open. */
static const char *
settings(const char *name)
{
	static struct asked	asked;
	struct mews_lease      *lease = cluster_lease(cluster_group(name));

	asked = cluster_on_lease(lease, "select concat_ws(' ', "
	    "current_setting('statement_timeout'), "
	    "current_setting('default_transaction_read_only'), "
	    "current_setting('search_path'))");
	ck_assert_msg(asked.status == MEWS_OK, "%s", asked.message);
	mews_lease_end(&lease);
	return asked.value;
}

static const char *
backend(const char *name)
{
	static struct asked	asked;
	struct mews_lease      *lease = cluster_lease(cluster_group(name));

	asked = cluster_on_lease(lease, "select pg_backend_pid()");
	mews_lease_end(&lease);
	return asked.value;
}

static void
hand_over(const char *name, size_t parting, size_t next, const char *change)
{
	struct mews_lease	*lease;
	const char		*wanted, *seen;

	/* The server takes DISCARD ALL outside of transactions only. */
	if (strcmp(change, "discard all") == 0 &&
	    (partings[parting].transaction || !takes_queries(name)))
		return;
	lease = cluster_lease(cluster_group(name));
	if (partings[parting].transaction)
		ck_assert_int_eq(mews_lease_transaction(lease, NULL), MEWS_OK);
	ck_assert_int_eq(cluster_on_lease(lease, change).status, MEWS_OK);
	partings[parting].end(lease);
	mews_lease_end(&lease);
	if (!nexts[next].run(name))
		return;
	wanted = strcmp(name, "any") == 0 ? "30s on handover, public" :
	    "30s off handover, public";
	seen = settings(name);
	ck_assert_msg(strcmp(seen, wanted) == 0, "%s, %s: %s, then %s: %s",
	    name, change, partings[parting].name, nexts[next].name, seen);
}

START_TEST(a_session_is_what_its_group_says)
{
	static const char *const names[] = { "auto", "manual", "any" };
	char			 pid[80];

	for (size_t g = 0; g < CLUSTER_COUNT(names); g++) {
		strcpy(pid, backend(names[g]));
		for (size_t next = 0; next < CLUSTER_COUNT(nexts); next++)
			for (size_t i = 0; i < CLUSTER_COUNT(changes); i++)
				hand_over(names[g], (size_t)_i, next,
				    changes[i]);
		/* All of this happened on one connection. */
		ck_assert_str_eq(backend(names[g]), pid);
	}
}
END_TEST

/* Locks and the like of a lease are released while its host does nothing. */

static const struct {
	const char *leave;
	const char *gone; /* asked past the pool: "t" when it is released; $ is
			     the pid */
} holds[] = {
	{ "select pg_advisory_lock(4711)", "select count(*) = 0 from pg_locks "
	  "where locktype = 'advisory' and objid = 4711" },
	{ "create temp table held (x int)", "select count(*) = 0 from "
	  "pg_class where relname = 'held'" },
	{ "lock table handover.landed", "select count(*) = 0 from pg_locks "
	  "where mode = 'AccessExclusiveLock' and "
	  "relation = 'handover.landed'::regclass" },
};

START_TEST(locks_of_a_lease_are_released_at_its_end)
{
	struct mews_lease	*lease;
	int64_t			 end = cluster_now() + CLUSTER_PATIENCE;

	lease = cluster_lease(cluster_group("many"));
	if (strncmp(holds[_i].leave, "lock", 4) == 0)
		ck_assert_int_eq(mews_lease_transaction(lease, NULL), MEWS_OK);
	ck_assert_int_eq(cluster_on_lease(lease, holds[_i].leave).status,
	    MEWS_OK);
	ck_assert_str_eq(cluster_ask("a", holds[_i].gone), "f");
	mews_lease_end(&lease);
	/* The pool is not turned from here on. */
	while (strcmp(cluster_ask("a", holds[_i].gone), "t") != 0)
		ck_assert_msg(cluster_now() < end, "still there: %s",
		    holds[_i].leave);
}
END_TEST

/* A session whose settings cannot be made again is ended. */

static const struct {
	const char *close; /* SQL after which settings fail */
	const char *open;  /* SQL after which settings succeed again */
} gates[] = {
	{ "alter table handover.keys rename to gone",
	  "alter table handover.gone rename to keys" },
	/* Settings fail at the end of their transaction only. */
	{ "insert into handover.keys values (1), (1)",
	  "truncate handover.keys, handover.gate" },
};

START_TEST(a_session_whose_settings_failed_is_not_used)
{
	struct mews_lease	*lease;
	struct asked		 asked;
	char			 pid[80];

	strcpy(pid, backend("gated"));
	lease = cluster_lease(cluster_group("gated"));
	ck_assert_int_eq(cluster_on_lease(lease,
	    "set timezone = 'UTC'").status, MEWS_OK);
	cluster_ask("a", gates[_i].close);
	mews_lease_end(&lease);
	asked = cluster_run(cluster_group("gated"), "select 1");
	ck_assert_int_eq(asked.status, MEWS_UNAVAILABLE);
	cluster_ask("a", gates[_i].open);
	while ((asked = cluster_run(cluster_group("gated"),
	    "select pg_backend_pid()")).status != MEWS_OK)
		ck_assert_int_eq(asked.status, MEWS_UNAVAILABLE);
	ck_assert_str_ne(asked.value, pid);
	/* No server is blamed for the failed settings. */
	ck_assert_str_eq(cluster_state("a"), "up");
}
END_TEST

static Suite *
handover_suite(void)
{
	Suite *suite = suite_create("handover");
	TCase *next = unit_case(suite, "what comes next");
	TCase *held = unit_case(suite, "held");

	tcase_add_checked_fixture(next, made, cluster_close);
	tcase_set_timeout(next, 100);
	tcase_add_loop_test(next, a_session_is_what_its_group_says, 0,
	    CLUSTER_COUNT(partings));
	tcase_add_checked_fixture(held, made, cluster_close);
	tcase_set_timeout(held, 100);
	tcase_add_loop_test(held, locks_of_a_lease_are_released_at_its_end, 0,
	    CLUSTER_COUNT(holds));
	tcase_add_loop_test(held, a_session_whose_settings_failed_is_not_used,
	    0, CLUSTER_COUNT(gates));
	return suite;
}

UNIT_MAIN(handover_suite)
