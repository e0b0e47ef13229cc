/*
 * test_wait.c - a host ends blocking calls from a signal handler, waits with a
 * function of its own, and asks which thread a pool belongs to.
 */
#include "cluster.h"
#include "unit.h"

#include <errno.h>
#include <mews/stream.h>
#include <mews/transaction.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/time.h>

#define SLEEP "select pg_sleep(600) /* waited for */"

static const struct mews_group_config groups[] = {
	{ .name = "write", .role = MEWS_GROUP_PRIMARY, .connection_count = 1,
	  .query_timeout = MEWS_FOREVER, .acquire_timeout = 45000 },
};

static struct mews_pool	     *handled; /* the pool that the handler
					  interrupts */
static volatile sig_atomic_t  signals;

static void
on_alarm(int number)
{
	(void)number;
	signals++;
	if (handled != NULL)
		mews_pool_interrupt(handled);
}

/* Get SIGALRM in @ms, and again and again if @every. */
static void
alarm_in(int ms, bool every)
{
	const struct itimerval timer = {
		.it_value = { ms / 1000, ms % 1000 * 1000 },
		.it_interval = { 0, every ? ms * 1000 : 0 },
	};

	ck_assert_int_eq(setitimer(ITIMER_REAL, &timer, NULL), 0);
}

static void
begin(void)
{
	const struct sigaction action = { .sa_handler = on_alarm };

	cluster_repair();
	cluster_open(groups, CLUSTER_COUNT(groups));
	ck_assert_str_eq(cluster_value(cluster_group("write"), "select 1"),
	    "1");
	ck_assert_int_eq(sigaction(SIGALRM, &action, NULL), 0);
	handled = cluster.pool;
	signals = 0;
}

static void
end(void)
{
	alarm_in(0, false);
	handled = NULL;
	cluster_ask("a", "select count(pg_cancel_backend(pid)) from "
	    "pg_stat_activity where query = '" SLEEP "'");
	cluster_close();
}

/* A source of COPY that never ends, in small pieces. */
static int
source(void *arg, void *buffer, size_t size)
{
	(void)arg;
	ck_assert_uint_ge(size, 2);
	memcpy(buffer, "1\n", 2);
	return 2;
}

enum { QUERY, LEASE_QUERY, ROWS, COPY_IN, SAVEPOINT, KINDS };

static struct asked ahead;

static enum mews_status
block(int kind, struct mews_lease *lease, struct mews_result **out)
{
	const struct mews_query_args args = { .sql = SLEEP };

	switch (kind) {
	case QUERY:
		return mews_query_run(cluster_group("write"), &args, out);
	case LEASE_QUERY:
		return mews_lease_query_run(lease, &args, out);
	case ROWS:
		return mews_lease_rows_run(lease, &args, cluster_go_on, NULL,
		    out);
	case COPY_IN:
		return mews_copy_in_run(lease, "copy waits from stdin",
		    source, NULL, out);
	default:
		/* The savepoint waits behind a query that sleeps. */
		ck_assert_int_eq(mews_lease_query(lease, &args, cluster_note,
		    &ahead, NULL), MEWS_OK);
		return mews_lease_savepoint_run(lease, "s", out);
	}
}

START_TEST(a_call_that_waits_is_interrupted)
{
	struct mews_result *result = NULL;
	struct mews_lease  *lease = NULL;

	if (_i != QUERY)
		lease = cluster_lease(cluster_group("write"));
	if (_i == COPY_IN)
		cluster_on_lease(lease, "create temp table waits (i int)");
	alarm_in(200, false);
	ck_assert_int_eq(block(_i, lease, &result), MEWS_CANCELED);
	ck_assert_int_eq(signals, 1);
	ck_assert_ptr_nonnull(result);
	ck_assert_str_eq(mews_result_endpoint(result), "a");
	mews_result_free(&result);
	handled = NULL;
	mews_lease_end(&lease);
	cluster_ask("a", "select count(pg_cancel_backend(pid)) from "
	    "pg_stat_activity where query = '" SLEEP "'");
	ck_assert_str_eq(cluster_value(cluster_group("write"), "select 7"),
	    "7");
}
END_TEST

START_TEST(the_wait_for_a_lease_is_interrupted)
{
	struct mews_lease *held = cluster_lease(cluster_group("write")), *lease;

	alarm_in(100, false);
	ck_assert_int_eq(mews_lease_begin_run(cluster_group("write"), 45000,
	    &lease), MEWS_CANCELED);
	ck_assert_ptr_null(lease);
	mews_lease_end(&held);
}
END_TEST

START_TEST(a_turn_is_interrupted)
{
	enum mews_status	status;
	int64_t			until = cluster_now() + CLUSTER_PATIENCE;

	alarm_in(100, false);
	do {
		status = mews_pool_turn(cluster.pool, -1);
	} while (status == MEWS_OK && cluster_now() < until);
	ck_assert_int_eq(status, MEWS_CANCELED);
	ck_assert_int_eq(mews_pool_turn(cluster.pool, 0), MEWS_OK);
}
END_TEST

START_TEST(an_early_interrupt_ends_the_next_wait_and_no_more)
{
	const struct mews_query_args args = { .sql = SLEEP };
	struct mews_result	    *result;

	mews_pool_interrupt(cluster.pool);
	mews_pool_interrupt(cluster.pool);
	ck_assert_int_eq(mews_query_run(cluster_group("write"), &args,
	    &result), MEWS_CANCELED);
	mews_result_free(&result);
	cluster_ask("a", "select count(pg_cancel_backend(pid)) from "
	    "pg_stat_activity where query = '" SLEEP "'");
	ck_assert_str_eq(cluster_value(cluster_group("write"), "select 7"),
	    "7");
}
END_TEST

START_TEST(a_signal_without_an_interrupt_ends_no_wait)
{
	handled = NULL;
	alarm_in(10, true);
	ck_assert_str_eq(cluster_value(cluster_group("write"),
	    "select 7 from pg_sleep(0.3)"), "7");
	ck_assert_int_gt(signals, 1);
}
END_TEST

static int polls;

static int
own_poll(void *arg, struct pollfd *fds, nfds_t count, int timeout_ms)
{
	int	found = poll(fds, count, timeout_ms);

	ck_assert_ptr_eq(arg, &polls);
	polls++;
	if (found == -1 && errno == EINTR)
		mews_pool_interrupt(cluster.pool);
	return found;
}

START_TEST(a_blocking_call_waits_with_the_hosts_own_function)
{
	const struct mews_query_args args = { .sql = SLEEP };
	struct mews_result	    *result;
	int			     before;

	handled = NULL;
	ck_assert_int_eq(mews_pool_set_poll(cluster.pool, own_poll, &polls),
	    MEWS_OK);
	ck_assert_str_eq(cluster_value(cluster_group("write"), "select 7"),
	    "7");
	ck_assert_int_gt(polls, 0);
	alarm_in(200, false);
	ck_assert_int_eq(mews_query_run(cluster_group("write"), &args,
	    &result), MEWS_CANCELED);
	mews_result_free(&result);
	ck_assert_int_eq(mews_pool_set_poll(cluster.pool, NULL, NULL),
	    MEWS_OK);
	before = polls;
	mews_pool_turn(cluster.pool, 0);
	ck_assert_int_eq(polls, before);
}
END_TEST

static void *
check_elsewhere(void *arg)
{
	struct mews_error	*error = arg;

	error->status = mews_pool_check(cluster.pool, error);
	return NULL;
}

static void
check_in_child(void *arg)
{
	(void)arg;
	ck_assert_int_eq(mews_pool_check(cluster.pool, NULL), MEWS_INVALID);
	mews_pool_interrupt(cluster.pool);
}

START_TEST(a_thread_that_may_not_use_the_pool_is_told)
{
	struct mews_error	error;
	pthread_t		thread;

	ck_assert_int_eq(mews_pool_check(cluster.pool, &error), MEWS_OK);
	ck_assert_int_eq(pthread_create(&thread, NULL, check_elsewhere,
	    &error), 0);
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
	ck_assert_int_eq(error.status, MEWS_INVALID);
	ck_assert_str_eq(error.message, "the pool belongs to another thread");
	ck_assert_int_eq(mews_pool_check(NULL, &error), MEWS_INVALID);
	cluster_ended_well(cluster_fork(check_in_child, NULL));
	ck_assert_int_eq(mews_pool_turn(cluster.pool, 0), MEWS_OK);
}
END_TEST

static Suite *
wait_suite(void)
{
	Suite	*suite = suite_create("wait");
	TCase	*tcase = unit_case(suite, "wait");

	tcase_set_timeout(tcase, 180);
	tcase_add_checked_fixture(tcase, begin, end);
	tcase_add_loop_test(tcase, a_call_that_waits_is_interrupted, 0, KINDS);
	tcase_add_test(tcase, the_wait_for_a_lease_is_interrupted);
	tcase_add_test(tcase, a_turn_is_interrupted);
	tcase_add_test(tcase,
	    an_early_interrupt_ends_the_next_wait_and_no_more);
	tcase_add_test(tcase, a_signal_without_an_interrupt_ends_no_wait);
	tcase_add_test(tcase,
	    a_blocking_call_waits_with_the_hosts_own_function);
	tcase_add_test(tcase, a_thread_that_may_not_use_the_pool_is_told);
	return suite;
}

UNIT_MAIN(wait_suite)
