/*
 * test_damage.c - a segment that was written over by accident is mended, and
 * the log says so.
 */
#include "cluster.h"
#include "unit.h"

#include "fleet/fleet.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct mews_group_config groups[] = {
	{ .name = "write", .role = MEWS_GROUP_PRIMARY, .connection_count = 3,
	  .acquire_timeout = 500 },
	{ .name = "read", .connection_count = 3, .acquire_timeout = 500 },
};

static void
zeros(unsigned char *memory, size_t size)
{
	memset(memory, 0, size);
}

static void
ones(unsigned char *memory, size_t size)
{
	memset(memory, 0xff, size);
}

static void
text(unsigned char *memory, size_t size)
{
	for (size_t i = 0; i < size; i++)
		memory[i] = (unsigned char)"accident"[i % 8];
}

static void
noise(unsigned char *memory, size_t size)
{
	uint64_t	x = 88172645463325252;

	/* xorshift64, G. Marsaglia, "Xorshift RNGs", 2003 */
	for (size_t i = 0; i < size; i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		memory[i] = (unsigned char)x;
	}
}

/* The bytes that a segment is written over with. */
static void (*const fills[])(unsigned char *, size_t) = {
	zeros, ones, text, noise,
};

static void
begin(void)
{
	cluster_repair();
	cluster_prepare(groups, CLUSTER_COUNT(groups));
	cluster_create();
}

static bool
serves(const char *group)
{
	struct asked asked = cluster_run(cluster_group(group), "select 1");

	return asked.status == MEWS_OK;
}

static void
assert_heals(unsigned char *memory, size_t size, int fill)
{
	struct mews_view_fleet	seen;
	int			healed = 0;

	fills[fill](memory, size);
	CLUSTER_WAIT(cluster_logged("segment_damaged") == 1);
	/* Serves for good: twenty times in a row no query waits for
	 * anything. */
	CLUSTER_WAIT((healed = serves("write") && serves("read") ?
	    healed + 1 : 0) == 20);
	CLUSTER_WAIT(strcmp(cluster_state("a"), "up") == 0 &&
	    strcmp(cluster_role("a"), "primary") == 0);
	ck_assert_str_eq(cluster_look("a").name, "a");
	mews_view_fleet(cluster.view, &seen, sizeof(seen));
	ck_assert_int_ge(seen.damaged_ms, 0);
	CLUSTER_WAIT(cluster_look("a").connections <= 6);
	/* A lost connection is replaced. */
	cluster_ask("a", "select pg_terminate_backend(pid) from "
	    "pg_stat_activity where application_name = 'mews:cluster'");
	CLUSTER_WAIT(serves("write"));
}

START_TEST(a_segment_overwritten_as_a_whole_is_mended)
{
	pid_t	monitor = cluster_monitor();

	cluster_join();
	cluster_value(cluster_group("write"), "select 1");
	cluster_value(cluster_group("read"), "select 1");
	assert_heals((unsigned char *)cluster.fleet->segment.header,
	    cluster.fleet->segment.size, _i);
	cluster_end(monitor);
}
END_TEST

/* Without a monitor the workers mend the segment. */
START_TEST(a_segment_with_overwritten_slots_is_mended)
{
	struct segment	*segment = &cluster.fleet->segment;

	cluster_join();
	cluster_value(cluster_group("write"), "select 1");
	cluster_value(cluster_group("read"), "select 1");
	assert_heals((unsigned char *)segment->slots,
	    segment->slot_count * sizeof(*segment->slots), _i);
}
END_TEST

START_TEST(a_segment_with_overwritten_endpoints_is_mended)
{
	struct segment	*segment = &cluster.fleet->segment;

	cluster_join();
	cluster_value(cluster_group("write"), "select 1");
	cluster_value(cluster_group("read"), "select 1");
	assert_heals((unsigned char *)segment->endpoints,
	    segment->endpoint_count * sizeof(*segment->endpoints), _i);
}
END_TEST

static Suite *
damage_suite(void)
{
	Suite	*suite = suite_create("damage");
	TCase	*tcase = unit_case(suite, "damage");

	tcase_set_timeout(tcase, 180);
	tcase_add_checked_fixture(tcase, begin, cluster_close);
	tcase_add_loop_test(tcase, a_segment_overwritten_as_a_whole_is_mended,
	    0, CLUSTER_COUNT(fills));
	tcase_add_loop_test(tcase, a_segment_with_overwritten_slots_is_mended,
	    0, CLUSTER_COUNT(fills));
	tcase_add_loop_test(tcase,
	    a_segment_with_overwritten_endpoints_is_mended, 0,
	    CLUSTER_COUNT(fills));
	return suite;
}

UNIT_MAIN(damage_suite)
