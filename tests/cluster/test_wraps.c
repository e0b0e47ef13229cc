/*
 * test_wraps.c - a fleet goes on while its clocks pass 24.8, 49.7 and 74.5
 * days, where a count of milliseconds in 31 or 32 bits wraps.
 */
#include "cluster.h"
#include "jump.h"
#include "unit.h"

#include <string.h>

static const struct mews_group_config groups[] = {
	{ .name = "write", .role = MEWS_GROUP_PRIMARY,
	  .connection_count = 2, .acquire_timeout = CLUSTER_PATIENCE,
	  .stall_after = 60000 },
	{ .name = "read", .connection_count = 3, .stall_after = 60000 },
};

/* A server goes and comes back; meanwhile the clock passes @wrap_ms. */
static void
pass(int64_t wrap_ms, int64_t began_ms)
{
	struct asked	waiting;

	clock_shift(wrap_ms - 500 - (cluster_now() - began_ms));
	cluster_value(cluster_group("write"), "select 1");
	cluster_servers("kill", "a");
	/* Old connections have expired, so a login must tell. */
	cluster_send_sql(&waiting, cluster_group("write"), "select 1");
	CLUSTER_WAIT(cluster_is("a", "down"));
	cluster_servers("up", "a");
	CLUSTER_WAIT(cluster_is("a", "up") &&
	    cluster_now() - began_ms > wrap_ms);
	CLUSTER_WAIT(waiting.calls == 1);
	ck_assert_msg(waiting.status == MEWS_OK, "%s", waiting.message);
	for (int i = 0; i < 20; i++) {
		struct asked asked = cluster_run(cluster_group("read"),
		    "select 1");

		ck_assert_msg(asked.status == MEWS_OK, "%s", asked.message);
	}
	/* Half the range later, nothing of this is remembered. */
	clock_shift(INT64_C(2200000000));
	cluster_value(cluster_group("write"), "select 1");
	/* For the clock, a login that ran meanwhile took 25 days. */
	CLUSTER_WAIT(cluster_is("a", "up") && cluster_is("b", "up") &&
	    cluster_is("c", "up"));
	ck_assert_int_eq(cluster_logged("to=down"), 1);
	ck_assert_uint_eq(cluster_look("a").cap, 0);
}

START_TEST(queries_are_served_across_the_wrap_of_the_clock)
{
	int64_t	began_ms = cluster_now();

	cluster_repair();
	cluster_open(groups, CLUSTER_COUNT(groups));
	cluster_value(cluster_group("write"), "select 1");
	CLUSTER_WAIT(cluster_is("a", "up") && cluster_is("b", "up") &&
	    cluster_is("c", "up"));
	pass(((int64_t)_i + 1) << 31, began_ms);
}
END_TEST

/* Of 90 reads one after the other, how many @endpoint answered. */
static void
count_reads(int on[3])
{
	memset(on, 0, 3 * sizeof(*on));
	for (int i = 0; i < 90; i++) {
		struct asked asked = cluster_run(cluster_group("read"),
		    "select 1");

		ck_assert_msg(asked.status == MEWS_OK, "%s", asked.message);
		on[asked.endpoint[0] - 'a']++;
	}
}

/* Restart c: a change of any endpoint computes all shares anew. */
static void
restart_c(void)
{
	cluster_servers("kill", "c");
	CLUSTER_WAIT((cluster_run(cluster_group("read"), "select 1"),
	    cluster_is("c", "down")));
	cluster_servers("up", "c");
	CLUSTER_WAIT(cluster_is("c", "up"));
}

/* The shares of b, which came back once, and of a, which was never away, for as
 * long as a difference of 32 bits has no sign. */
START_TEST(slow_start_is_not_entered_again)
{
	const int64_t			day_ms = 24 * 3600 * 1000;
	const struct mews_group_config	group = { .name = "read",
		.connection_count = 3, .acquire_timeout = CLUSTER_PATIENCE,
		.stall_after = 60000, .max_lifetime = MEWS_FOREVER,
		.idle_timeout = MEWS_FOREVER };
	int				on[3];

	cluster_repair();
	cluster_prepare(&group, 1);
	cluster.config.health.slow_start = 3600000;
	cluster_create();
	cluster_join();
	CLUSTER_WAIT(cluster_is("a", "up") && cluster_is("b", "up") &&
	    cluster_is("c", "up"));
	cluster_servers("kill", "b");
	CLUSTER_WAIT((count_reads(on), cluster_is("b", "down")));
	cluster_servers("up", "b");
	CLUSTER_WAIT(cluster_is("b", "up"));
	count_reads(on);
	ck_assert_msg(on[1] < on[0] / 4, "no slow start: %d of a, %d of b",
	    on[0], on[1]);
	clock_shift(3600000);
	for (int days = 0; days < 60; days += 12) {
		restart_c();
		CLUSTER_WAIT((count_reads(on), on[1] >= on[0] / 2));
		count_reads(on);
		ck_assert_msg(on[1] >= on[0] / 4, "after %d days: %d of a, "
		    "%d of b", days, on[0], on[1]);
		clock_shift(12 * day_ms);
	}
	/* Check measures in 32 bits how long a test took, so the clock is put
	 * back. */
	cluster_close();
	clock_shift(-60 * day_ms - 3600000);
}
END_TEST

static Suite *
wraps_suite(void)
{
	Suite	*suite = suite_create("wraps");
	TCase	*tcase = unit_case(suite, "wraps");

	tcase_set_timeout(tcase, 180);
	tcase_add_checked_fixture(tcase, NULL, cluster_close);
	tcase_add_loop_test(tcase,
	    queries_are_served_across_the_wrap_of_the_clock, 0, 3);
	tcase_add_test(tcase, slow_start_is_not_entered_again);
	return suite;
}

UNIT_MAIN(wraps_suite)
