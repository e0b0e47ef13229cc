/*
 * test_fork.c - a pool that is carried over a fork by mistake.
 *
 * The child's copy refuses everything; whatever the child does with it, the
 * parent goes on with the very same connections.
 */
#include "cluster.h"
#include "unit.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const struct mews_group_config groups[] = {
	{ .name = "one", .role = MEWS_GROUP_PRIMARY, .connection_count = 1 },
	{ .name = "manual", .role = MEWS_GROUP_PRIMARY, .connection_count = 1,
	  .autocommit = MEWS_SWITCH_OFF },
};

/* The parent's handles when it forks. */
static struct {
	struct mews_group *one, *manual;
	struct mews_statement *statement;
	struct mews_lease *lease; /* a lease with an open transaction */
	struct asked sleeping;    /* a query in flight */
	struct asked waiting;	  /* a wait for a lease */
} held;

static void
granted(void *arg, struct mews_lease *lease, const struct mews_result *result)
{
	cluster_note(arg, result);
	mews_lease_end(&lease);
}

static void
refuses_everything(void *arg)
{
	struct mews_query_args	args = { .sql = "select 1" };
	struct mews_statement  *statement;
	struct mews_lease      *lease;
	struct mews_result     *result;
	struct asked		none = { 0 };

	(void)arg;
	ck_assert_int_eq(mews_query_send(held.one, &args, cluster_note, &none,
	    NULL), MEWS_INVALID);
	ck_assert_ptr_nonnull(strstr(mews_group_message(held.one),
	    "another process"));
	ck_assert_int_eq(mews_query_run(held.one, &args, &result),
	    MEWS_INVALID);
	ck_assert_ptr_null(result);
	ck_assert_int_eq(mews_query_cancel(cluster.pool, held.sleeping.id),
	    MEWS_INVALID);
	ck_assert_int_eq(mews_lease_begin(held.manual, 0, granted, &none,
	    NULL), MEWS_INVALID);
	ck_assert_int_eq(mews_lease_begin_run(held.manual, 0, &lease),
	    MEWS_INVALID);
	ck_assert_int_eq(mews_lease_query(held.lease, &args, cluster_note,
	    &none, NULL), MEWS_INVALID);
	ck_assert_int_eq(mews_lease_query_run(held.lease, &args, &result),
	    MEWS_INVALID);
	ck_assert_int_eq(mews_lease_transaction(held.lease, NULL),
	    MEWS_INVALID);
	ck_assert_int_eq(mews_lease_commit(held.lease, cluster_note, &none),
	    MEWS_INVALID);
	ck_assert_int_eq(mews_lease_commit_run(held.lease, &result),
	    MEWS_INVALID);
	ck_assert_int_eq(mews_lease_rollback(held.lease, cluster_note, &none),
	    MEWS_INVALID);
	ck_assert_int_eq(mews_statement_register(&statement, cluster.pool, NULL,
	    "select 1", 0, NULL),
	    MEWS_INVALID);
	ck_assert_int_eq(mews_pool_turn(cluster.pool, 0), MEWS_INVALID);
	ck_assert_int_eq(mews_pool_tick(cluster.pool), -1);
	for (int fd = 0; fd < 100; fd++)
		mews_pool_ready(cluster.pool, fd,
		    MEWS_WATCH_READ | MEWS_WATCH_WRITE);
	ck_assert_int_eq(none.calls, 0);
}

static void
closes_the_pool(void *arg)
{
	(void)arg;
	mews_pool_close(&cluster.pool);
}

static void
refuses_then_closes_the_pool(void *arg)
{
	refuses_everything(arg);
	mews_pool_close(&cluster.pool);
}

static void
ends_the_lease_then_closes_the_pool(void *arg)
{
	(void)arg;
	mews_lease_end(&held.lease);
	mews_pool_close(&cluster.pool);
}

static void
closes_the_pool_then_ends_the_lease(void *arg)
{
	(void)arg;
	mews_pool_close(&cluster.pool);
	ck_assert_int_eq(mews_lease_transaction(held.lease, NULL),
	    MEWS_INVALID);
	mews_lease_end(&held.lease);
}

static void
leaves_first(void *arg)
{
	(void)arg;
	mews_fleet_leave(cluster.fleet);
	mews_pool_close(&cluster.pool);
}

static void
destroys_all(void *arg)
{
	(void)arg;
	mews_lease_end(&held.lease);
	cluster_close();
}

static void
exits(void *arg)
{
	(void)arg;
	exit(0);
}

/* A child may have a pool of its own beside the dead copy. */
static void
opens_its_own(void *arg)
{
	struct mews_pool	*copy = cluster.pool;

	(void)arg;
	cluster_join();
	ck_assert_str_eq(cluster_value(cluster_group("one"), "select 'child'"),
	    "child");
	mews_pool_close(&copy);
	ck_assert_str_eq(cluster_value(cluster_group("one"), "select 'child'"),
	    "child");
	mews_lease_end(&held.lease);
	cluster_close();
}

/* A child opens a pool of its own, after it closed the copy. */
static void
replaces_it(void *arg)
{
	(void)arg;
	mews_pool_close(&cluster.pool);
	cluster_join();
	ck_assert_str_eq(cluster_value(cluster_group("one"), "select 'child'"),
	    "child");
	cluster_close();
}

static const struct {
	const char *name;
	void (*fn)(void *arg);
} misuses[] = {
	{ "refuses_everything", refuses_everything },
	{ "closes_the_pool", closes_the_pool },
	{ "refuses_then_closes_the_pool", refuses_then_closes_the_pool },
	{ "ends_the_lease_then_closes_the_pool",
	  ends_the_lease_then_closes_the_pool },
	{ "closes_the_pool_then_ends_the_lease",
	  closes_the_pool_then_ends_the_lease },
	{ "leaves_first", leaves_first },
	{ "destroys_all", destroys_all },
	{ "exits", exits },
	{ "opens_its_own", opens_its_own },
	{ "replaces_it", replaces_it },
};

static uint32_t
connections_counted(void)
{
	struct mews_view_endpoint	seen;

	ck_assert(mews_view_endpoint(cluster.view, 0, &seen, sizeof(seen)));
	return seen.connections;
}

START_TEST(a_childs_copy_of_a_pool_does_not_harm_the_parent)
{
	struct mews_query_args args = { 0 };
	struct asked	       asked;
	char		       one[80], manual[80];

	cluster_ask("a", "drop table if exists forked;"
	    "create table forked (id int)");
	cluster_open(groups, CLUSTER_COUNT(groups));
	held.one = cluster_group("one");
	held.manual = cluster_group("manual");
	ck_assert_int_eq(mews_statement_register(&held.statement, cluster.pool,
	    NULL, "select pg_backend_pid()", 0, NULL),
	    MEWS_OK);
	args.statement = held.statement;
	strcpy(one, cluster_run_args(held.one, &args).value);
	held.lease = cluster_lease(held.manual);
	ck_assert_int_eq(cluster_on_lease(held.lease,
	    "insert into forked values (1)").status, MEWS_OK);
	strcpy(manual, cluster_on_lease(held.lease,
	    "select pg_backend_pid()").value);
	ck_assert_int_eq(mews_lease_begin(held.manual, 0, granted,
	    &held.waiting, NULL), MEWS_OK);
	cluster_send_sql(&held.sleeping, held.one, "select pg_sleep(0.3)");
	mews_pool_turn(cluster.pool, 0);
	ck_assert_uint_eq(connections_counted(), 2);

	cluster_ended_well(cluster_fork(misuses[_i].fn, NULL));

	ck_assert_uint_eq(connections_counted(), 2);
	CLUSTER_WAIT(held.sleeping.calls == 1);
	ck_assert_int_eq(held.sleeping.status, MEWS_OK);
	ck_assert_str_eq(cluster_run_args(held.one, &args).value, one);
	asked = cluster_on_lease(held.lease, "select pg_backend_pid()");
	ck_assert_int_eq(asked.status, MEWS_OK);
	ck_assert_str_eq(asked.value, manual);
	ck_assert_int_eq(cluster_commit(held.lease).status, MEWS_OK);
	mews_lease_end(&held.lease);
	CLUSTER_WAIT(held.waiting.calls == 1);
	ck_assert_int_eq(held.waiting.status, MEWS_OK);
	ck_assert_int_eq(cluster_ask_int("a", "select count(*) from forked"),
	    1);
	ck_assert_uint_eq(cluster_stats("one").opened, 1);
	ck_assert_uint_eq(cluster_stats("manual").opened, 1);
	/* A host that was short of time may have suspected the server for a
	 * moment. */
	CLUSTER_WAIT(strcmp(cluster_state("a"), "up") == 0);
	ck_assert_int_eq(cluster_logged("to=down"), 0);
	ck_assert_int_eq(access(cluster.config.runtime_file, F_OK), 0);
}
END_TEST

/* A login under way is copied by the fork, too. */
static void
forks_while_it_dials(void *arg)
{
	(void)arg;
	ck_assert_int_eq(mews_pool_tick(cluster.pool), -1);
	mews_pool_close(&cluster.pool);
}

START_TEST(a_child_does_not_disturb_logins_under_way)
{
	struct asked	asked;

	cluster_open(groups, CLUSTER_COUNT(groups));
	cluster_send_sql(&asked, cluster_group("one"), "select 'well'");
	for (int i = 0; asked.calls == 0; i++) {
		ck_assert_int_lt(i, 1000);
		cluster_ended_well(cluster_fork(forks_while_it_dials, NULL));
	}
	ck_assert_int_eq(asked.status, MEWS_OK);
	ck_assert_uint_eq(cluster_stats("one").opened, 1);
	ck_assert_int_eq(cluster_logged("connect_failed"), 0);
	ck_assert_int_eq(cluster_logged("probe_failed"), 0);
}
END_TEST

START_TEST(a_child_is_not_joined_by_its_parent)
{
	struct mews_error	error;
	struct mews_pool       *pool;

	cluster_open(groups, CLUSTER_COUNT(groups));
	ck_assert_int_eq(mews_fleet_join(cluster.fleet, &error), MEWS_INVALID);
	mews_pool_close(&cluster.pool);
	mews_fleet_leave(cluster.fleet);
	ck_assert_int_eq(mews_pool_open(&pool, cluster.fleet, NULL, NULL,
	    &error), MEWS_INVALID);
	ck_assert_ptr_null(pool);
	ck_assert_ptr_nonnull(strstr(error.message, "mews_fleet_join"));
}
END_TEST

static Suite *
fork_suite(void)
{
	Suite *suite = suite_create("fork");
	TCase *tcase = unit_case(suite, "misuse");

	tcase_add_checked_fixture(tcase, NULL, cluster_close);
	tcase_set_timeout(tcase, 180);
	tcase_add_loop_test(tcase,
	    a_childs_copy_of_a_pool_does_not_harm_the_parent, 0,
	    CLUSTER_COUNT(misuses));
	tcase_add_test(tcase, a_child_does_not_disturb_logins_under_way);
	tcase_add_test(tcase, a_child_is_not_joined_by_its_parent);
	return suite;
}

UNIT_MAIN(fork_suite)
