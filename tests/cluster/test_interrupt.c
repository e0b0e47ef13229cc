/*
 * test_interrupt.c - a host has the server cancel one query, and no other.
 */
#include "cluster.h"
#include "fake.h"
#include "unit.h"

#include <mews/stream.h>
#include <stdio.h>
#include <string.h>

#define SLEEP "select pg_sleep(600) /* interrupted */"

static const struct mews_group_config groups[] = {
	{ .name = "write", .role = MEWS_GROUP_PRIMARY, .connection_count = 1,
	  .query_timeout = MEWS_FOREVER, .acquire_timeout = 45000 },
	{ .name = "read", .role = MEWS_GROUP_STANDBY, .connection_count = 2,
	  .query_timeout = MEWS_FOREVER, .acquire_timeout = 45000 },
};

static void
begin(void)
{
	cluster_repair();
	cluster_open(groups, CLUSTER_COUNT(groups));
}

static int
running(const char *server)
{
	return cluster_ask_int(server, "select count(*) from pg_stat_activity "
	    "where state = 'active' and query = '" SLEEP "'");
}

static void
assert_interrupted(const struct asked *asked)
{
	ck_assert_int_eq(asked->calls, 1);
	ck_assert_msg(asked->status == MEWS_TIMEOUT, "%s: %s",
	    mews_status_name(asked->status), asked->message);
	ck_assert_str_eq(asked->sqlstate, "57014");
}

START_TEST(a_shared_query_is_interrupted)
{
	struct asked	asked;
	const char     *name = _i == 0 ? "write" : "read";

	cluster_send_sql(&asked, cluster_group(name), SLEEP);
	CLUSTER_WAIT(running("a") + running("b") + running("c") == 1);
	ck_assert_int_eq(mews_query_interrupt(cluster.pool, asked.id),
	    MEWS_OK);
	CLUSTER_WAIT(asked.calls == 1);
	assert_interrupted(&asked);
	ck_assert_int_eq(running("a") + running("b") + running("c"), 0);
	ck_assert_str_eq(cluster_value(cluster_group(name), "select 7"), "7");
	ck_assert_int_eq(mews_query_interrupt(cluster.pool, asked.id),
	    MEWS_INVALID);
}
END_TEST

START_TEST(a_query_on_a_lease_is_interrupted)
{
	const struct mews_query_args args = { .sql = SLEEP };
	struct mews_lease *lease = cluster_lease(cluster_group("write"));
	struct asked	   asked = { 0 };

	ck_assert_int_eq(_i == 0 ?
	    mews_lease_query(lease, &args, cluster_note, &asked, &asked.id) :
	    mews_lease_rows(lease, &args, cluster_go_on, cluster_note, &asked,
		&asked.id), MEWS_OK);
	CLUSTER_WAIT(running("a") == 1);
	ck_assert_int_eq(mews_query_interrupt(cluster.pool, asked.id),
	    MEWS_OK);
	CLUSTER_WAIT(asked.calls == 1);
	assert_interrupted(&asked);
	/* The lease is still good. */
	ck_assert_str_eq(cluster_on_lease(lease, "select 7").value, "7");
	mews_lease_end(&lease);
	ck_assert_uint_eq(cluster_stats("write").opened, 1);
}
END_TEST

START_TEST(an_interrupt_does_not_hit_neighbours)
{
	struct asked	first, second;

	cluster_value(cluster_group("write"), "select 1");
	cluster_send_sql(&first, cluster_group("write"),
	    "select pg_sleep(0.3)");
	cluster_send_sql(&second, cluster_group("write"), "select 7");
	ck_assert_int_eq(mews_query_interrupt(cluster.pool, first.id),
	    MEWS_INVALID);
	ck_assert_int_eq(mews_query_interrupt(cluster.pool, second.id),
	    MEWS_INVALID);
	CLUSTER_WAIT(first.calls == 1 && second.calls == 1);
	ck_assert_int_eq(first.status, MEWS_OK);
	ck_assert_int_eq(second.status, MEWS_OK);
}
END_TEST

START_TEST(a_waiting_query_is_given_up)
{
	struct mews_lease *lease = cluster_lease(cluster_group("write"));
	struct asked	   asked;

	cluster_send_sql(&asked, cluster_group("write"), "select 1");
	ck_assert_int_eq(mews_query_interrupt(cluster.pool, asked.id),
	    MEWS_OK);
	CLUSTER_WAIT(asked.calls == 1);
	ck_assert_int_eq(asked.status, MEWS_CANCELED);
	ck_assert_str_eq(asked.endpoint, "");
	mews_lease_end(&lease);
}
END_TEST

/* The query ends while the cancelling session logs in: the next query on its
 * connection is not cancelled. */
START_TEST(an_interrupt_that_comes_too_late_hits_no_query)
{
	struct asked	late, next;

	for (int i = 0; i < 30; i++) {
		cluster_send_sql(&late, cluster_group("write"),
		    "select pg_sleep(0.003)");
		CLUSTER_WAIT(cluster_stats("write").in_flight == 1 ||
		    late.calls == 1);
		ck_assert_int_eq(mews_query_interrupt(cluster.pool, late.id),
		    late.calls == 1 ? MEWS_INVALID : MEWS_OK);
		cluster_send_sql(&next, cluster_group("write"),
		    "select pg_sleep(0.02)");
		CLUSTER_WAIT(late.calls == 1 && next.calls == 1);
		ck_assert(late.status == MEWS_OK ||
		    late.status == MEWS_TIMEOUT);
		ck_assert_msg(next.status == MEWS_OK, "%s", next.message);
	}
}
END_TEST

enum next { NEXT_ON_LEASE, NEXT_LEASE, NEXT_SHARED, NEXT_UNHEARD,
	NEXT_CANCELED, NEXT_LATE, NEXT_COUNT };

/* The query ends about when the cancelling session asks: the next query on its
 * connection, sent from the callback or after the end of the lease, is not
 * cancelled. */
START_TEST(an_interrupt_does_not_hit_the_next_user_of_a_lease)
{
	static const struct mews_query_args innocent = {
		.sql = "select pg_sleep(0.003)" };
	struct mews_query_args	args = { 0 };
	int			hit = 0;

	for (int i = 0; i < 100; i++) {
		struct mews_lease *lease =
		    cluster_lease(cluster_group("write"));
		struct asked	   asked = { 0 };
		char		   sql[60];

		snprintf(sql, sizeof(sql), "select pg_sleep(%.4f)",
		    0.0005 * (i % 20));
		args.sql = sql;
		args.deadline_ms = _i == NEXT_LATE ? 1 + (uint32_t)i % 10 : 0;
		ck_assert_int_eq(mews_lease_query(lease, &args, cluster_note,
		    &asked, &asked.id), MEWS_OK);
		mews_pool_turn(cluster.pool, 0);
		(void)mews_query_interrupt(cluster.pool, asked.id);
		if (_i == NEXT_CANCELED)
			(void)mews_query_cancel(cluster.pool, asked.id);
		if (_i != NEXT_UNHEARD)
			CLUSTER_WAIT(asked.calls == 1);
		if (_i == NEXT_LEASE || _i == NEXT_SHARED || _i == NEXT_UNHEARD)
			mews_lease_end(&lease);
		if (_i == NEXT_LEASE)
			lease = cluster_lease(cluster_group("write"));
		for (int k = 0; k < 4; k++) {
			struct mews_result *result = NULL;
			enum mews_status    status = lease == NULL ?
			    mews_query_run(cluster_group("write"), &innocent,
				&result) :
			    mews_lease_query_run(lease, &innocent, &result);

			hit += status != MEWS_OK;
			mews_result_free(&result);
		}
		mews_lease_end(&lease);
		ck_assert_int_eq(asked.calls, 1);
	}
	ck_assert_msg(hit == 0, "%d other queries were hit", hit);
}
END_TEST

START_TEST(a_query_interrupted_and_given_up_ends_on_the_server)
{
	const struct mews_query_args args = { .sql = SLEEP };
	struct mews_lease *lease = cluster_lease(cluster_group("write"));
	struct asked	   asked = { 0 };

	ck_assert_int_eq(mews_lease_query(lease, &args, cluster_note, &asked,
	    &asked.id), MEWS_OK);
	CLUSTER_WAIT(running("a") == 1);
	ck_assert_int_eq(mews_query_interrupt(cluster.pool, asked.id),
	    MEWS_OK);
	ck_assert_int_eq(mews_query_cancel(cluster.pool, asked.id), MEWS_OK);
	ck_assert_int_eq(mews_query_cancel(cluster.pool, asked.id),
	    MEWS_INVALID);
	CLUSTER_WAIT(asked.calls == 1);
	ck_assert_int_eq(asked.status, MEWS_CANCELED);
	ck_assert_str_eq(cluster_on_lease(lease, "select 7").value, "7");
	mews_lease_end(&lease);
	ck_assert_int_eq(asked.calls, 1);
	ck_assert_int_eq(running("a"), 0);
}
END_TEST

START_TEST(a_pool_can_be_closed_during_an_interrupt)
{
	struct asked	asked;

	cluster_send_sql(&asked, cluster_group("write"), SLEEP);
	CLUSTER_WAIT(running("a") == 1);
	ck_assert_int_eq(mews_query_interrupt(cluster.pool, asked.id),
	    MEWS_OK);
	mews_pool_close(&cluster.pool);
	ck_assert_int_eq(asked.calls, 1);
	ck_assert_int_eq(asked.status, MEWS_CANCELED);
	cluster_ask("a", "select count(pg_terminate_backend(pid)) from "
	    "pg_stat_activity where query = '" SLEEP "'");
}
END_TEST

/* Ways to fail: a script of fake.h, and what is logged. */
static const struct {
	const char *script, *told;
} failures[] = {
	{ "-/-", "no answer in time" },
	{ "-/E", "ERROR:  no" },
	{ "-/C", "canceled nothing" },
	{ "-/.", "closed" },
};

/* A request that fails is told. The query ends as it would have without. */
START_TEST(a_request_to_interrupt_that_fails_costs_no_query)
{
	const struct mews_query_args args = { .sql =
		"select 'pg_cancel_backend'" };
	char		   conninfo[120];
	in_port_t	   port;
	pid_t		   fake;
	struct mews_lease *lease;
	struct asked	   asked = { 0 };

	fake = fake_start(&port, "pg_cancel_backend", failures[_i].script);
	snprintf(conninfo, sizeof(conninfo), "host=127.0.0.1 port=%u user=x "
	    "dbname=x sslmode=disable gssencmode=disable", (unsigned)port);
	cluster_open_at(conninfo, groups, 1);
	lease = cluster_lease(cluster_group("write"));
	ck_assert_int_eq(mews_lease_query(lease, &args, cluster_note, &asked,
	    &asked.id), MEWS_OK);
	cluster_turn();
	for (int times = 1; times <= 2; times++) {
		ck_assert_int_eq(mews_query_interrupt(cluster.pool, asked.id),
		    MEWS_OK);
		CLUSTER_WAIT(cluster_logged("interrupt_failed") == times);
		ck_assert_msg(cluster_logged(failures[_i].told) == times, "%s",
		    cluster.log);
		ck_assert_int_eq(asked.calls, 0);
	}
	fake_end(fake);
	CLUSTER_WAIT(asked.calls == 1);
	ck_assert_int_eq(asked.status, MEWS_LOST);
	mews_lease_end(&lease);
}
END_TEST

/* A server that is full lets nobody in to ask. */
START_TEST(an_interrupt_that_found_no_room_can_be_repeated)
{
	const struct mews_query_args args = { .sql = SLEEP };
	char		   conninfo[300];
	struct mews_lease *lease;
	struct asked	   asked = { 0 };

	cluster_ask("a", "drop role if exists few; create role few login");
	snprintf(conninfo, sizeof(conninfo), "%s user=few", getenv("MEWS_A"));
	cluster_open_at(conninfo, groups, 1);
	lease = cluster_lease(cluster_group("write"));
	ck_assert_int_eq(mews_lease_query(lease, &args, cluster_note, &asked,
	    &asked.id), MEWS_OK);
	CLUSTER_WAIT(running("a") == 1);
	cluster_ask("a", "alter role few connection limit 1");
	ck_assert_int_eq(mews_query_interrupt(cluster.pool, asked.id),
	    MEWS_OK);
	CLUSTER_WAIT(cluster_logged("interrupt_failed") == 1);
	ck_assert_int_ge(cluster_logged("too many connections"), 1);
	ck_assert_int_eq(asked.calls, 0);
	ck_assert_int_eq(running("a"), 1);
	cluster_ask("a", "alter role few connection limit -1");
	ck_assert_int_eq(mews_query_interrupt(cluster.pool, asked.id),
	    MEWS_OK);
	CLUSTER_WAIT(asked.calls == 1);
	assert_interrupted(&asked);
	ck_assert_str_eq(cluster_on_lease(lease, "select 7").value, "7");
	mews_lease_end(&lease);
}
END_TEST

static Suite *
interrupt_suite(void)
{
	Suite	*suite = suite_create("interrupt");
	TCase	*tcase = unit_case(suite, "interrupt");
	TCase	*failing = unit_case(suite, "failing");

	tcase_set_timeout(tcase, 180);
	tcase_add_checked_fixture(tcase, begin, cluster_close);
	tcase_add_loop_test(tcase, a_shared_query_is_interrupted, 0, 2);
	tcase_add_loop_test(tcase, a_query_on_a_lease_is_interrupted, 0, 2);
	tcase_add_test(tcase, an_interrupt_does_not_hit_neighbours);
	tcase_add_test(tcase, a_waiting_query_is_given_up);
	tcase_add_test(tcase, an_interrupt_that_comes_too_late_hits_no_query);
	tcase_add_loop_test(tcase,
	    an_interrupt_does_not_hit_the_next_user_of_a_lease, 0, NEXT_COUNT);
	tcase_add_test(tcase,
	    a_query_interrupted_and_given_up_ends_on_the_server);
	tcase_add_test(tcase, a_pool_can_be_closed_during_an_interrupt);
	tcase_add_checked_fixture(failing, cluster_repair, cluster_close);
	tcase_add_loop_test(failing,
	    a_request_to_interrupt_that_fails_costs_no_query, 0,
	    CLUSTER_COUNT(failures));
	tcase_add_test(failing,
	    an_interrupt_that_found_no_room_can_be_repeated);
	return suite;
}

UNIT_MAIN(interrupt_suite)
