/*
 * test_queue.c - an ordinary load waits; queries that would take too much
 * memory are refused.
 */
#include "cluster.h"
#include "unit.h"

#include <stdlib.h>
#include <string.h>

#define CROWD	20000
#define LARGE	(100 * 1024)
#define LARGEST (3 * 1024 * 1024)

static const struct mews_group_config groups[] = {
	{ .name = "read", .role = MEWS_GROUP_STANDBY,
	  .acquire_timeout = 45000 },
	{ .name = "write", .role = MEWS_GROUP_PRIMARY, .connection_count = 1,
	  .pipeline = 1, .acquire_timeout = 45000 },
};

static int ended, well;

static void
count(void *arg, const struct mews_result *result)
{
	(void)arg;
	ended++;
	well += mews_result_status(result) == MEWS_OK;
}

/* 256 clients with 20 queries each are a quarter of this. */
START_TEST(twenty_thousand_queries_may_wait)
{
	const struct mews_query_args args = { .sql = "select 1" };

	cluster_repair();
	cluster_open(groups, CLUSTER_COUNT(groups));
	for (int i = 0; i < CROWD; i++)
		ck_assert_msg(mews_query_send(cluster_group("read"), &args,
		    count, NULL, NULL) == MEWS_OK, "%d: %s", i,
		    mews_group_message(cluster_group("read")));
	CLUSTER_WAIT(ended == CROWD);
	ck_assert_int_eq(well, CROWD);
}
END_TEST

/* How many queries with @size bytes of parameter are accepted before one is
 * refused; 100 at most. */
static int
fill(const char *group, int32_t size)
{
	static char		bytes[LARGEST];
	const struct mews_param param = mews_param_bytes(bytes, size);
	struct mews_query_args	args = { .params = &param, .param_count = 1,
		.sql = "select length($1::bytea)" };
	enum mews_status	status;
	int			n = 0;

	for (; n < 100; n++) {
		status = mews_query_send(cluster_group(group), &args, count,
		    NULL, NULL);
		if (status == MEWS_OK)
			continue;
		ck_assert_int_eq(status, MEWS_OVERLOAD);
		ck_assert_ptr_nonnull(strstr(mews_group_message(
		    cluster_group(group)), "queue_memory is 1048576"));
		break;
	}
	return n;
}

START_TEST(waiting_queries_take_no_more_than_queue_memory)
{
	struct asked	busy;

	cluster_repair();
	cluster_prepare(groups, CLUSTER_COUNT(groups));
	cluster.config.queue_memory = 1024 * 1024;
	cluster_create();
	cluster_join();
	/* No connection is open yet, so all of them wait. */
	for (int round = 0; round < 3; round++) {
		ended = well = 0;
		if (round > 0)
			cluster_send_sql(&busy, cluster_group("write"),
			    "select pg_sleep(0.1)");
		ck_assert_int_eq(fill("write", LARGE), 10);
		/* The limit is for the whole worker, not for each group. */
		if (round == 0)
			ck_assert_int_eq(fill("read", LARGE), 0);
		CLUSTER_WAIT(ended == 10);
		ck_assert_int_eq(well, 10);
	}
	/* A query that is larger than the whole limit may wait alone. */
	cluster_value(cluster_group("write"), "select 1");
	cluster_send_sql(&busy, cluster_group("write"),
	    "select pg_sleep(0.1)");
	ended = 0;
	ck_assert_int_eq(fill("write", LARGEST), 1);
	CLUSTER_WAIT(ended == 1 && busy.calls == 1);
}
END_TEST

static Suite *
queue_suite(void)
{
	Suite	*suite = suite_create("queue");
	TCase	*tcase = unit_case(suite, "queue");

	tcase_set_timeout(tcase, 60);
	tcase_add_checked_fixture(tcase, NULL, cluster_close);
	tcase_add_test(tcase, twenty_thousand_queries_may_wait);
	tcase_add_test(tcase, waiting_queries_take_no_more_than_queue_memory);
	return suite;
}

UNIT_MAIN(queue_suite)
