/*
 * test_timelines.c - of two primaries only the newest gets writes, as what the
 * other one acknowledges is lost when it is rewound.
 *
 * b is promoted beside a, which lives on; each test changes the servers, and
 * restores them with config/servers follow.
 */
#include "cluster.h"
#include "load.h"
#include "unit.h"

#include <stdlib.h>
#include <string.h>

static const struct mews_group_config groups[] = {
	{ .name = "write", .role = MEWS_GROUP_PRIMARY,
	  .connection_count = 2, .acquire_timeout = 1500 },
	{ .name = "read", .role = MEWS_GROUP_STANDBY, .connection_count = 2,
	  .stall_after = 60000 },
};

static struct load *load, *reads;
static pid_t	    monitor; /* 0: there is no monitor, and the workers probe */

static void
begin(void)
{
	load = load_new();
	reads = load_new();
	cluster_repair();
}

static void
end(void)
{
	if (monitor != 0)
		cluster_end(monitor);
	monitor = 0;
	cluster_close();
	free(load);
	free(reads);
}

/* Reads on b show a promotion there, which writes to a would not. */
static void
open_fleet(bool with_monitor)
{
	cluster_prepare(groups, CLUSTER_COUNT(groups));
	cluster_create();
	if (with_monitor)
		monitor = cluster_monitor();
	cluster_join();
	load_start(reads, "read", "select $1::int, pg_sleep(0.001)");
	load_start(load, "write", "select $1::int from pg_sleep(0.002)");
	CLUSTER_WAIT(load->on[0] > 20 && reads->on[1] > 20);
	CLUSTER_WAIT(cluster_look("b").timeline != 0);
}

static int
logged(const char *text)
{
	return cluster_logged(text) + (monitor == 0 ? 0 :
	    cluster_monitor_logged(text));
}

START_TEST(a_primary_that_was_replaced_gets_no_write_when_the_new_one_dies)
{
	struct asked	asked;
	int		before;

	open_fleet(_i == 0);
	cluster_servers("promote", "b");
	CLUSTER_WAIT(load->on[1] > 20);
	load_stop(reads);
	load_stop(load);
	before = load->on[0];
	cluster_servers("kill", "b");
	load_start(load, "write", "select $1::int from pg_sleep(0.002)");
	CLUSTER_WAIT(load->count[MEWS_UNAVAILABLE] > 3 * LOAD_WIDTH);
	CLUSTER_WAIT(cluster_look("a").outdated);
	load_stop(load);
	ck_assert_int_eq(load->on[0], 0);
	ck_assert_int_gt(before, 0);
	asked = cluster_run(cluster_group("write"), "select 1");
	ck_assert_int_eq(asked.status, MEWS_UNAVAILABLE);
	ck_assert_ptr_nonnull(strstr(asked.message,
	    "a is an outdated primary: b was seen on a later timeline"));
	CLUSTER_WAIT(logged("error outdated_primary endpoint=a") == 1);
	/* b is rewound: its data and its timeline are a's again. */
	cluster_servers("follow", "b a");
	CLUSTER_WAIT(cluster_run(cluster_group("write"), "select 1")
	    .status == MEWS_OK);
	ck_assert(!cluster_look("a").outdated);
	ck_assert_int_eq(logged("error outdated_primary endpoint=a"), 1);
}
END_TEST

START_TEST(a_promotion_stops_the_writes_to_the_old_primary)
{
	int		before;

	open_fleet(_i == 0);
	cluster_servers("promote", "b");
	CLUSTER_WAIT(strcmp(cluster_role("b"), "primary") == 0);
	before = load->on[0];
	CLUSTER_WAIT(load->on[1] > 20);
	/* Writes that were in flight may end well. */
	ck_assert_int_le(load->on[0] - before, LOAD_WIDTH);
	load_stop(reads);
	load_stop(load);
	ck_assert_msg(load_failed(load) == 0, "%s", load->message);
	cluster_servers("follow", "b a");
}
END_TEST

/* The new primary is dead before the fleet begins: a standby of it shows that
 * it existed. */
START_TEST(a_fleet_that_begins_late_finds_the_primary_outdated)
{
	struct asked	asked;

	cluster_servers("promote", "b");
	cluster_servers("follow", "c b");
	cluster_servers("kill", "b");
	cluster_prepare(groups, CLUSTER_COUNT(groups));
	cluster_create();
	if (_i == 0)
		monitor = cluster_monitor();
	cluster_join();
	/* A server that was never seen decides nothing. */
	CLUSTER_WAIT(cluster_look("c").timeline > 1);
	do {
		asked = cluster_run(cluster_group("write"), "select 1");
		ck_assert_int_eq(asked.status, MEWS_UNAVAILABLE);
	} while (strstr(asked.message, "a is an outdated primary: c was seen "
	    "on a later timeline") == NULL);
	ck_assert(cluster_look("a").outdated);
	cluster_servers("follow", "b a");
	cluster_servers("follow", "c a");
	CLUSTER_WAIT(cluster_run(cluster_group("write"), "select 1")
	    .status == MEWS_OK);
}
END_TEST

static Suite *
timelines_suite(void)
{
	Suite	*suite = suite_create("timelines");
	TCase	*tcase = unit_case(suite, "timelines");

	tcase_set_timeout(tcase, 180);
	tcase_add_checked_fixture(tcase, begin, end);
	tcase_add_loop_test(tcase,
	    a_primary_that_was_replaced_gets_no_write_when_the_new_one_dies,
	    0, 2);
	tcase_add_loop_test(tcase,
	    a_promotion_stops_the_writes_to_the_old_primary, 0, 2);
	tcase_add_loop_test(tcase,
	    a_fleet_that_begins_late_finds_the_primary_outdated, 0, 2);
	return suite;
}

UNIT_MAIN(timelines_suite)
