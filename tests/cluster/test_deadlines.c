/*
 * test_deadlines.c - wait_ms bounds the wait for a connection, deadline_ms the
 * whole time of a query.
 */
#include "cluster.h"
#include "unit.h"

#include <mews/stream.h>
#include <stdlib.h>
#include <string.h>

#define QUERIES 300

static const struct mews_group_config groups[] = {
	{ .name = "write", .role = MEWS_GROUP_PRIMARY, .connection_count = 1,
	  .pipeline = 1, .acquire_timeout = 45000 },
	{ .name = "wide", .role = MEWS_GROUP_PRIMARY, .connection_count = 4,
	  .stall_after = 60000, .acquire_timeout = 45000 },
};

static void
begin(void)
{
	cluster_repair();
	cluster_open(groups, CLUSTER_COUNT(groups));
}

static void
assert_late(const struct asked *asked, const char *endpoint)
{
	ck_assert_int_eq(asked->calls, 1);
	ck_assert_msg(asked->status == MEWS_CANCELED, "%s: %s",
	    mews_status_name(asked->status), asked->message);
	ck_assert_str_eq(asked->endpoint, endpoint);
	ck_assert_ptr_nonnull(strstr(asked->message, "deadline"));
}

START_TEST(a_deadline_ends_a_query_that_was_sent)
{
	const struct mews_query_args late = { .deadline_ms = 100,
		.sql = "select pg_sleep(0.5)" };
	int64_t		began = cluster_now();
	struct asked	asked;

	asked = cluster_run_args(cluster_group("write"), &late);
	ck_assert_int_ge(cluster_now() - began, CLUSTER_LEAST(100));
	assert_late(&asked, "a");
	/* The connection stays in use. */
	cluster_value(cluster_group("write"), "select 1");
	ck_assert_uint_eq(cluster_stats("write").opened, 1);
}
END_TEST

START_TEST(a_deadline_ends_a_query_that_waits)
{
	const struct mews_query_args args[] = {
		{ .sql = "select pg_sleep(0.5)", .wait_ms = 10 },
		{ .sql = "select 1", .deadline_ms = 100, .wait_ms = 30000 },
		{ .sql = "select 1", .wait_ms = 100, .deadline_ms = 30000 },
		{ .sql = "select 7", .deadline_ms = 30000 },
	};
	struct asked	asked[4];

	cluster_value(cluster_group("write"), "select 1");
	for (int i = 0; i < 4; i++)
		cluster_send(&asked[i], cluster_group("write"), &args[i]);
	for (int i = 0; i < 4; i++)
		CLUSTER_WAIT(asked[i].calls == 1);
	/* A query that was sent does not count as waiting. */
	ck_assert_int_eq(asked[0].status, MEWS_OK);
	ck_assert_int_eq(asked[1].status, MEWS_WAITED);
	ck_assert_int_eq(asked[2].status, MEWS_WAITED);
	ck_assert_str_eq(asked[1].endpoint, "");
	ck_assert_int_eq(asked[3].status, MEWS_OK);
}
END_TEST

START_TEST(a_deadline_ends_a_query_on_a_lease)
{
	const struct mews_query_args late = { .deadline_ms = 100,
		.sql = "select pg_sleep(0.5)" };
	struct mews_lease      *lease = cluster_lease(cluster_group("write"));
	struct asked		asked = { 0 };

	ck_assert_int_eq(_i == 0 ?
	    mews_lease_query(lease, &late, cluster_note, &asked, NULL) :
	    mews_lease_rows(lease, &late, cluster_go_on, cluster_note, &asked,
	    NULL),
	    MEWS_OK);
	CLUSTER_WAIT(asked.calls == 1);
	assert_late(&asked, "a");
	ck_assert_str_eq(cluster_on_lease(lease, "select 7").value, "7");
	mews_lease_end(&lease);
	ck_assert_int_eq(asked.calls, 1);
}
END_TEST

/* The query was lost and waits for a server again. */
START_TEST(a_deadline_ends_a_lost_read_that_waits_again)
{
	static const struct mews_group_config group = { .name = "read",
		.role = MEWS_GROUP_STANDBY, .connection_count = 1,
		.acquire_timeout = 45000 };
	const struct mews_query_args args = { .deadline_ms = 2000,
		.sql = "select pg_sleep(60)" };
	struct asked	asked;

	cluster_close();
	cluster_prepare(&group, 1);
	cluster.config.endpoints = &cluster.endpoints[1];
	cluster.config.endpoint_count = 1;
	cluster_create();
	cluster_join();
	cluster_value(cluster_group("read"), "select 1");
	cluster_send(&asked, cluster_group("read"), &args);
	cluster_servers("kill", "b");
	CLUSTER_WAIT(asked.calls == 1);
	ck_assert_int_eq(asked.status, MEWS_CANCELED);
	ck_assert_str_eq(asked.endpoint, "b");
}
END_TEST

/* Deadlines of all lengths; queries that end before, at and after theirs. */
static struct one {
	int64_t due;
	struct asked asked;
} ones[QUERIES];

static void
ended(void *arg, const struct mews_result *result)
{
	struct one	*one = arg;

	cluster_note(&one->asked, result);
	if (strstr(one->asked.message, "deadline") != NULL)
		ck_assert_int_ge(cluster_now(), one->due - 1);
}

START_TEST(no_deadline_passes_early_or_twice)
{
	struct mews_group      *group = cluster_group("wide");
	int			late = 0;
	/* A deadline counts from a turn's clock, which is read after this
	 * one. */
	int64_t			start = cluster_now();

	cluster_value(group, "select 1");
	for (uint32_t i = 0; i < QUERIES; i++) {
		const struct mews_query_args args = {
			.sql = i % 3 == 0 ? "select 1" :
			    "select pg_sleep(0.02)",
			.deadline_ms = 1 + i * 7919 % 1000 };

		ones[i].due = start + args.deadline_ms;
		ck_assert_int_eq(mews_query_send(group, &args, ended,
		    &ones[i], &ones[i].asked.id), MEWS_OK);
	}
	for (int i = 0; i < QUERIES; i += 5)
		mews_query_cancel(cluster.pool, ones[i].asked.id);
	for (int i = 0; i < QUERIES; i++) {
		CLUSTER_WAIT(ones[i].asked.calls == 1);
		late += ones[i].asked.status != MEWS_OK;
	}
	ck_assert_int_gt(late, QUERIES / 10);
	ck_assert_int_lt(late, QUERIES);
	CLUSTER_WAIT(cluster_stats("wide").in_flight == 0);
	for (int i = 0; i < QUERIES; i++)
		ck_assert_int_eq(ones[i].asked.calls, 1);
}
END_TEST

static Suite *
deadlines_suite(void)
{
	Suite	*suite = suite_create("deadlines");
	TCase	*tcase = unit_case(suite, "deadlines");

	tcase_set_timeout(tcase, 60);
	tcase_add_checked_fixture(tcase, begin, cluster_close);
	tcase_add_test(tcase, a_deadline_ends_a_query_that_was_sent);
	tcase_add_test(tcase, a_deadline_ends_a_query_that_waits);
	tcase_add_loop_test(tcase, a_deadline_ends_a_query_on_a_lease, 0, 2);
	tcase_add_test(tcase, a_deadline_ends_a_lost_read_that_waits_again);
	tcase_add_test(tcase, no_deadline_passes_early_or_twice);
	return suite;
}

UNIT_MAIN(deadlines_suite)
