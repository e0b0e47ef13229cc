/*
 * test_events.c - the order of events: of queries, of the end of queries that
 * are given up, of the end of the pool; and a host with a loop of its own.
 */
#include "plain.h"
#include "unit.h"

#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

/* --- the order of events --- */

struct chain {
	int links;
	int calls;
};

static void
send_next(void *arg, const struct mews_result *result)
{
	struct chain	       *chain = arg;
	struct mews_query_args	args = { .sql = "select 1" };

	ck_assert_int_eq(mews_result_status(result), MEWS_OK);
	if (++chain->calls < chain->links)
		ck_assert_int_eq(mews_query_send(cluster_group("one"), &args,
		    send_next, chain, NULL), MEWS_OK);
}

START_TEST(other_queries_make_progress_during_a_blocking_call)
{
	struct mews_query_args args = { .sql = "select 1" };
	struct chain	       chain = { .links = 20 };

	plain_open();
	cluster_value(cluster_group("one"), "select 1");
	ck_assert_int_eq(mews_query_send(cluster_group("one"), &args,
	    send_next, &chain, NULL), MEWS_OK);
	cluster_value(cluster_group("write"), "select pg_sleep(1)");
	ck_assert_int_eq(chain.calls, 20);
}
END_TEST

START_TEST(a_callback_may_send_the_next_query)
{
	struct mews_query_args args = { .sql = "select 1" };
	struct chain	       chain = { .links = 1000 };

	plain_open();
	ck_assert_int_eq(mews_query_send(cluster_group("one"), &args,
	    send_next, &chain, NULL), MEWS_OK);
	CLUSTER_WAIT(chain.calls == 1000);
	ck_assert_uint_eq(cluster_stats("one").opened, 1);
}
END_TEST

START_TEST(waiting_queries_are_served_in_order)
{
	struct mews_query_args	args = { .param_count = 1 };
	struct asked		asked[100];
	struct mews_param	param;

	cluster_ask("a", "drop table if exists line;"
	    "create table line (at serial, id int)");
	plain_open();
	args.sql = "insert into line (id) values ($1::int)";
	for (int i = 0; i < 100; i++) {
		param = mews_param_int_text(i);
		args.params = &param;
		cluster_send(&asked[i], cluster_group("one"), &args);
	}
	ck_assert_uint_gt(cluster_stats("one").waiting, 0);
	CLUSTER_WAIT(asked[99].calls == 1);
	ck_assert_str_eq(cluster_ask("a",
	    "select count(*) from line where at = id + 1"), "100");
}
END_TEST

/* --- queries that are given up --- */

START_TEST(a_query_that_waits_can_be_given_up)
{
	struct mews_group      *group;
	struct asked		busy, waits;

	cluster_ask("a", "drop table if exists given_up;"
	    "create table given_up ()");
	plain_open();
	group = cluster_group("single");
	/* First while no connection is open, then while the connection is
	 * busy. */
	for (unsigned i = 0; i < 2; i++) {
		cluster_send_sql(&busy, group, "select pg_sleep(0.1)");
		cluster_send_sql(&waits, group,
		    "insert into given_up default values");
		ck_assert_uint_eq(cluster_stats("single").waiting, 2 - i);
		ck_assert_int_eq(mews_query_cancel(cluster.pool, waits.id),
		    MEWS_OK);
		ck_assert_int_eq(waits.calls, 0);
		ck_assert_int_eq(mews_query_cancel(cluster.pool, waits.id),
		    MEWS_INVALID);
		CLUSTER_WAIT(waits.calls == 1);
		ck_assert_int_eq(waits.status, MEWS_CANCELED);
		ck_assert_str_eq(waits.endpoint, "");
		CLUSTER_WAIT(busy.calls == 1);
		ck_assert_int_eq(busy.status, MEWS_OK);
		ck_assert_int_eq(waits.calls, 1);
		ck_assert_int_eq(mews_query_cancel(cluster.pool, waits.id),
		    MEWS_INVALID);
	}
	ck_assert_str_eq(cluster_value(group, "select count(*) from given_up"),
	    "0");
}
END_TEST

START_TEST(a_query_that_was_sent_can_be_given_up)
{
	struct mews_group      *group;
	struct asked		asked[3];

	cluster_ask("a", "drop table if exists given_up;"
	    "create table given_up ()");
	plain_open();
	group = cluster_group("one");
	cluster_value(group, "select 1");
	cluster_send_sql(&asked[0], group, "select 'first'");
	cluster_send_sql(&asked[1], group, "with x as (insert into given_up "
	    "default values) select pg_sleep(0.2)");
	cluster_send_sql(&asked[2], group, "select 'third'");
	ck_assert_uint_eq(cluster_stats("one").in_flight, 3);
	ck_assert_int_eq(mews_query_cancel(cluster.pool, asked[1].id),
	    MEWS_OK);
	CLUSTER_WAIT(asked[1].calls == 1);
	ck_assert_int_eq(asked[1].status, MEWS_CANCELED);
	ck_assert_int_eq(asked[2].calls, 0);
	ck_assert_int_eq(mews_query_cancel(cluster.pool, asked[1].id),
	    MEWS_INVALID);
	CLUSTER_WAIT(asked[2].calls == 1);
	ck_assert_str_eq(asked[0].value, "first");
	ck_assert_str_eq(asked[2].value, "third");
	ck_assert_int_eq(asked[1].calls, 1);
	/* The server finished the query nevertheless. */
	ck_assert_str_eq(cluster_value(group, "select count(*) from given_up"),
	    "1");
}
END_TEST

START_TEST(a_name_that_nobody_has_cannot_be_canceled)
{
	struct asked	asked;

	plain_open();
	cluster_send_sql(&asked, cluster_group("one"), "select 1");
	ck_assert_int_eq(mews_query_cancel(cluster.pool, 0), MEWS_INVALID);
	ck_assert_int_eq(mews_query_cancel(cluster.pool, asked.id + 1),
	    MEWS_INVALID);
	ck_assert_int_eq(mews_query_cancel(cluster.pool,
	    asked.id + (UINT64_C(1) << 32)), MEWS_INVALID);
	ck_assert_int_eq(mews_query_cancel(cluster.pool, UINT64_MAX),
	    MEWS_INVALID);
	CLUSTER_WAIT(asked.calls == 1);
	ck_assert_int_eq(asked.status, MEWS_OK);
	ck_assert_int_eq(mews_query_cancel(cluster.pool, asked.id),
	    MEWS_INVALID);
}
END_TEST

/* --- the end of the pool --- */

static int last_words;
static struct mews_group *closing;

static void
too_late(void *arg, const struct mews_result *result)
{
	struct mews_query_args	args = { .sql = "select 1" };

	cluster_note(arg, result);
	last_words++;
	ck_assert_int_eq(mews_query_send(closing, &args, too_late, arg, NULL),
	    MEWS_INVALID);
}

static void
no_lease(void *arg, struct mews_lease *lease, const struct mews_result *result)
{
	ck_assert_ptr_null(lease);
	cluster_note(arg, result);
}

START_TEST(closing_the_pool_ends_everything_once)
{
	struct mews_query_args args = { .sql = "select pg_sleep(0.1)" };
	struct asked	       asked[100], on_lease = { 0 }, waits = { 0 };
	struct mews_lease     *lease;

	plain_open();
	lease = cluster_lease(cluster_group("write"));
	ck_assert_int_eq(mews_lease_query(lease, &args, cluster_note,
	    &on_lease, NULL), MEWS_OK);
	memset(asked, 0, sizeof(asked));
	closing = cluster_group("one");
	cluster_value(closing, "select 1");
	for (int i = 0; i < 100; i++)
		ck_assert_int_eq(mews_query_send(closing, &args, too_late,
		    &asked[i], &asked[i].id), MEWS_OK);
	ck_assert_int_eq(mews_lease_begin(cluster_group("one"), 0, no_lease,
	    &waits, NULL), MEWS_OK);
	mews_pool_turn(cluster.pool, 0);
	ck_assert_uint_gt(cluster_stats("one").in_flight, 0);
	ck_assert_uint_gt(cluster_stats("one").waiting, 1);
	ck_assert_int_eq(mews_query_cancel(cluster.pool, asked[1].id),
	    MEWS_OK);
	mews_pool_close(&cluster.pool);
	ck_assert_ptr_null(cluster.pool);
	for (int i = 0; i < 100; i++) {
		ck_assert_int_eq(asked[i].calls, 1);
		ck_assert_int_eq(asked[i].status, MEWS_CANCELED);
	}
	ck_assert_int_eq(last_words, 100);
	ck_assert_int_eq(waits.calls, 1);
	ck_assert_int_eq(waits.status, MEWS_CANCELED);
	ck_assert_int_eq(on_lease.calls, 1);
	ck_assert_int_eq(on_lease.status, MEWS_CANCELED);
	mews_lease_end(&lease);
	/* No connection is left on the server. */
	CLUSTER_WAIT(cluster_ask_int("a", "select count(*) from "
	    "pg_stat_activity where application_name = 'mews:cluster'") == 0);
}
END_TEST

/* --- a host with a loop of its own --- */

static int epoll = -1;
static int watched[1024];

/* epoll fails for a descriptor that was closed before it was given up, or given
 * up without having been watched. */
static void
watch(void *arg, int fd, int events)
{
	struct epoll_event	event = { .data.fd = fd };
	int			how = EPOLL_CTL_DEL;

	ck_assert_ptr_eq(arg, &epoll);
	if (events != 0)
		how = watched[fd] == 0 ? EPOLL_CTL_ADD : EPOLL_CTL_MOD;
	event.events = ((events & MEWS_WATCH_READ) != 0 ? EPOLLIN : 0U) |
	    ((events & MEWS_WATCH_WRITE) != 0 ? EPOLLOUT : 0U);
	watched[fd] = events;
	ck_assert_int_eq(epoll_ctl(epoll, how, fd, &event), 0);
}

static void
open_own(void)
{
	plain_prepare();
	cluster_create();
	epoll = epoll_create1(EPOLL_CLOEXEC);
	ck_assert_int_eq(mews_fleet_join(cluster.fleet, NULL), MEWS_OK);
	ck_assert_int_eq(mews_pool_open(&cluster.pool, cluster.fleet, watch,
	    &epoll, NULL), MEWS_OK);
}

/* Tell the pool which descriptors are ready, without a tick. */
static void
own_ready(int wait)
{
	struct epoll_event	events[16];
	int			count = epoll_wait(epoll, events, 16, wait);

	for (int i = 0; i < count; i++)
		mews_pool_ready(cluster.pool, events[i].data.fd,
		    ((events[i].events & ~(uint32_t)EPOLLOUT) != 0 ?
			MEWS_WATCH_READ : 0) |
		    ((events[i].events & EPOLLOUT) != 0 ?
			MEWS_WATCH_WRITE : 0));
}

static void
own_turn(void)
{
	int	wait = mews_pool_tick(cluster.pool);

	ck_assert_int_ge(wait, -1);
	own_ready(wait);
}

static void
own_value(struct asked *asked, const char *sql)
{
	cluster_send_sql(asked, cluster_group("single"), sql);
	while (asked->calls == 0)
		own_turn();
	ck_assert_msg(asked->status == MEWS_OK, "%s", asked->message);
}

START_TEST(a_query_given_up_while_it_waited_is_not_sent)
{
	struct asked asked, first, second;

	cluster_ask("a", "create unlogged table never_sent (n int)");
	open_own();
	own_value(&asked, "select 1");
	cluster_send_sql(&first, cluster_group("single"),
	    "select pg_sleep(0.05)");
	cluster_send_sql(&second, cluster_group("single"),
	    "insert into never_sent values (1)");
	mews_pool_tick(cluster.pool);
	ck_assert_uint_eq(cluster_stats("single").waiting, 1);
	ck_assert_int_eq(mews_query_cancel(cluster.pool, second.id), MEWS_OK);
	/* The answer makes room on the connection before the next tick. */
	while (first.calls == 0)
		own_ready(-1);
	own_value(&asked, "select count(*) from never_sent");
	ck_assert_str_eq(asked.value, "0");
	ck_assert_int_eq(second.calls, 1);
	ck_assert_int_eq(second.status, MEWS_CANCELED);
	cluster_ask("a", "drop table never_sent");
	mews_pool_close(&cluster.pool);
	close(epoll);
}
END_TEST

START_TEST(a_host_with_its_own_loop_is_told_what_to_watch)
{
	struct asked asked[200];
	int	     done = 0;

	open_own();
	for (int i = 0; i < 200; i++)
		cluster_send_sql(&asked[i], cluster_group("read"),
		    i % 50 == 0 ? "select repeat('x', 3000000)" : "select 1");
	while (done < 200) {
		own_turn();
		done = 0;
		for (int i = 0; i < 200; i++)
			done += asked[i].calls;
	}
	for (int i = 0; i < 200; i++)
		ck_assert_int_eq(asked[i].status, MEWS_OK);
	/* A descriptor that is not the pool's is ignored. */
	mews_pool_ready(cluster.pool, epoll, MEWS_WATCH_READ);
	mews_pool_ready(cluster.pool, -1, MEWS_WATCH_READ);
	mews_pool_ready(cluster.pool, 1000000, MEWS_WATCH_READ);
	mews_pool_close(&cluster.pool);
	for (size_t i = 0; i < CLUSTER_COUNT(watched); i++)
		ck_assert_int_eq(watched[i], 0);
	close(epoll);
}
END_TEST

static Suite *
events_suite(void)
{
	Suite *suite = suite_create("events");
	TCase *order = unit_case(suite, "order");
	TCase *ends = unit_case(suite, "ends");
	TCase *cases[] = { order, ends };

	for (size_t i = 0; i < CLUSTER_COUNT(cases); i++) {
		tcase_add_checked_fixture(cases[i], NULL, cluster_close);
		tcase_set_timeout(cases[i], 180);
	}
	tcase_add_test(order,
	    other_queries_make_progress_during_a_blocking_call);
	tcase_add_test(order, a_callback_may_send_the_next_query);
	tcase_add_test(order, waiting_queries_are_served_in_order);
	tcase_add_test(ends, a_query_that_waits_can_be_given_up);
	tcase_add_test(ends, a_query_that_was_sent_can_be_given_up);
	tcase_add_test(ends, a_name_that_nobody_has_cannot_be_canceled);
	tcase_add_test(ends, closing_the_pool_ends_everything_once);
	tcase_add_test(ends, a_query_given_up_while_it_waited_is_not_sent);
	tcase_add_test(ends, a_host_with_its_own_loop_is_told_what_to_watch);
	return suite;
}

UNIT_MAIN(events_suite)
