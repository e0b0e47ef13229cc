/*
 * test_shares.c - equal servers have equal parts of the reads of a fleet.
 *
 * Four workers ask in a steady rhythm; what each server answered is counted in
 * memory that they share. Verdicts are slow and nothing stalls, so that only
 * what the tests do changes a server's state, however busy the machine is.
 */
#include "cluster.h"
#include "unit.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define WORKERS	   4
#define EACH_MS	   7	/* each worker sends a read so often: about 600/s
			   together */
#define MEASURED   3000 /* answers that a share is computed from */
#define WITHIN	   15	/* per cent that a share may differ from its part */
#define SETTLINGS  4	/* measurements, of which one must be settled */
#define SLOW_START 2000
#define QUIET	   50	/* logins of the fleet: more, and it never settles */

/* Counters that the workers write. */
struct counts {
	_Atomic bool stop;
	_Atomic int on[3]; /* answers, by endpoint: a, b, c */
	_Atomic int failed;
	_Atomic uint64_t opened[WORKERS]; /* connections opened so far */
};

static struct counts *counts;
static pid_t workers[WORKERS], monitor;
static uint32_t weights[3];

static void
answered(void *arg, const struct mews_result *result)
{
	(void)arg;
	if (mews_result_status(result) == MEWS_OK)
		counts->on[mews_result_endpoint(result)[0] - 'a']++;
	else
		counts->failed++;
}

static void
ask_steadily(void *arg)
{
	struct mews_query_args	args = { .sql = "select 1" };
	_Atomic uint64_t       *opened = arg;
	struct mews_group      *group;
	struct mews_group_stats stats;
	int64_t			due, now;

	cluster_join();
	group = cluster_group("read");
	for (due = cluster_now(); !counts->stop; due += EACH_MS) {
		while ((now = cluster_now()) < due)
			ck_assert_int_eq(mews_pool_turn(cluster.pool,
			    (int)(due - now)), MEWS_OK);
		ck_assert_int_eq(mews_query_send(group, &args, answered, NULL,
		    NULL), MEWS_OK);
		mews_group_stats(group, &stats, sizeof(stats));
		*opened = stats.opened;
	}
	do {
		cluster_turn();
		mews_group_stats(group, &stats, sizeof(stats));
	} while (stats.in_flight + stats.waiting > 0);
	cluster_close();
}

static void
start(uint32_t connection_count, const uint32_t of[3])
{
	const struct mews_group_config	group = { .name = "read",
		.connection_count = connection_count, .stall_after = 60000,
		.acquire_timeout = 45000 };

	counts = mmap(NULL, sizeof(*counts), PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ck_assert_ptr_ne(counts, MAP_FAILED);
	cluster_prepare(&group, 1);
	for (int i = 0; i < 3; i++)
		cluster.endpoints[i].weight = weights[i] = of[i];
	cluster.config.health.timeout = 5000;
	cluster.config.health.slow_start = SLOW_START;
	cluster_create();
	monitor = cluster_monitor();
	CLUSTER_WAIT(cluster_is("a", "up") && cluster_is("b", "up") &&
	    cluster_is("c", "up"));
	for (int i = 0; i < WORKERS; i++)
		workers[i] = cluster_fork(ask_steadily, &counts->opened[i]);
}

static void
stop(void)
{
	counts->stop = true;
	for (int i = 0; i < WORKERS; i++)
		cluster_ended_well(workers[i]);
	cluster_end(monitor);
	ck_assert_int_eq(counts->failed, 0);
}

static uint64_t
opened(void)
{
	uint64_t	sum = 0;

	for (int i = 0; i < WORKERS; i++)
		sum += counts->opened[i];
	return sum;
}

static uint32_t
connections(int endpoint)
{
	const char name[] = { (char)('a' + endpoint), '\0' };

	return cluster_look(name).connections;
}

/* Do the used servers have equally many connections, but for one? */
static bool
is_even(const bool used[3])
{
	uint32_t	least = UINT32_MAX, most = 0;

	for (int i = 0; i < 3; i++) {
		uint32_t	n = connections(i);

		if (!used[i] && n > 0)
			return false;
		if (!used[i])
			continue;
		least = n < least ? n : least;
		most = n > most ? n : most;
	}
	return least > 0 && most - least <= 1;
}

/* Measure each server's share of the next answers. */
static void
measure(const char *what, int percent[3])
{
	int	before[3], sum = 0;

	for (int i = 0; i < 3; i++)
		before[i] = counts->on[i];
	CLUSTER_WAIT(counts->on[0] + counts->on[1] + counts->on[2] >=
	    before[0] + before[1] + before[2] + MEASURED);
	for (int i = 0; i < 3; i++)
		sum += percent[i] = counts->on[i] - before[i];
	for (int i = 0; i < 3; i++)
		percent[i] = (percent[i] * 1000 / sum + 5) / 10;
	printf("# %s: %d / %d / %d %% of the reads, "
	    "%u / %u / %u connections, %d logins\n", what, percent[0],
	    percent[1], percent[2], connections(0), connections(1),
	    connections(2), (int)opened());
	fflush(stdout);
}

static bool
has_parts(const int percent[3], const bool used[3])
{
	uint32_t	sum = 0;

	for (int i = 0; i < 3; i++)
		sum += used[i] ? weights[i] : 0;
	for (int i = 0; i < 3; i++) {
		double	part = used[i] ? 100.0 * weights[i] / sum : 0;

		if (percent[i] < part * (100 - WITHIN) / 100 ||
		    percent[i] > part * (100 + WITHIN) / 100)
			return false;
	}
	return true;
}

/* Measure until each server has its share, and has @enough connections for it:
 * on a busy machine that takes several rounds. */
static void
settle(const char *what, const bool used[3], bool enough)
{
	int	percent[3];

	for (int i = 0; i < SETTLINGS; i++) {
		measure(what, percent);
		for (int k = 0; k < 3; k++)
			ck_assert(used[k] || percent[k] == 0);
		if (!enough || has_parts(percent, used))
			return;
	}
	ck_abort_msg("%s: %d / %d / %d %% of the reads", what, percent[0],
	    percent[1], percent[2]);
}

static const uint32_t equal[3] = { 1, 1, 1 };
static const bool all[3] = { true, true, true };
static const bool without_b[3] = { true, false, true };

static const uint32_t connection_counts[] = { 1, 2, 8 };

/* Wait for enough connections for each server's exact share of the reads. */
static bool
is_enough(uint32_t connection_count)
{
	return connection_count * WORKERS >= 4 * 3;
}

START_TEST(equal_servers_have_equal_parts)
{
	uint32_t connection_count = connection_counts[_i];
	uint64_t before;
	char	 what[40];

	start(connection_count, equal);
	CLUSTER_WAIT(is_even(all));
	before = opened();
	snprintf(what, sizeof(what), "connection_count %u", connection_count);
	settle(what, all, is_enough(connection_count));
	CLUSTER_WAIT(is_even(all));
	ck_assert_uint_le(opened() - before, QUIET);
	stop();
}
END_TEST

START_TEST(a_server_that_came_back_has_an_equal_part_again)
{
	uint32_t connection_count = connection_counts[_i];
	int64_t	 up;

	start(connection_count, equal);
	CLUSTER_WAIT(is_even(all));
	cluster_servers("down", "b");
	CLUSTER_WAIT(cluster_is("b", "down"));
	CLUSTER_WAIT(is_even(without_b));
	cluster_servers("up", "b");
	CLUSTER_WAIT(cluster_is("b", "up"));
	up = cluster_now();
	CLUSTER_WAIT(is_even(all));
	printf("# connection_count %u: even %d ms after the return\n",
	    connection_count, (int)(cluster_now() - up));
	CLUSTER_WAIT(is_even(all) && cluster_now() - up >= SLOW_START);
	settle("back", all, is_enough(connection_count));
	CLUSTER_WAIT(is_even(all));
	stop();
}
END_TEST

static void
drain(const char *endpoint, bool drained)
{
	struct mews_error	error;

	ck_assert_msg(mews_endpoint_drain(cluster.config.runtime_file,
	    endpoint, drained, &error) == MEWS_OK, "%s", error.message);
}

START_TEST(a_drained_server_leaves_its_part_to_the_others)
{
	uint32_t connection_count = connection_counts[_i];
	int64_t	 since;

	start(connection_count, equal);
	CLUSTER_WAIT(is_even(all));
	drain("b", true);
	CLUSTER_WAIT(is_even(without_b));
	settle("drained", without_b, is_enough(connection_count));
	drain("b", false);
	since = cluster_now();
	CLUSTER_WAIT(is_even(all) && cluster_now() - since >= SLOW_START);
	settle("enabled", all, is_enough(connection_count));
	CLUSTER_WAIT(is_even(all));
	stop();
}
END_TEST

START_TEST(queries_are_spread_by_the_weights)
{
	static const uint32_t uneven[3] = { 3, 1, 2 };

	start(8, uneven);
	CLUSTER_WAIT(connections(0) >= WORKERS &&
	    connections(1) >= WORKERS && connections(2) >= WORKERS);
	settle("weights 3, 1 and 2", all, true);
	stop();
}
END_TEST

START_TEST(connections_are_spread_by_the_weights)
{
	static const uint32_t uneven[3] = { 2, 1, 1 };

	start(1, uneven);
	CLUSTER_WAIT(connections(0) == 2 && connections(1) == 1 &&
	    connections(2) == 1);
	settle("weights 2, 1 and 1", all, true);
	stop();
}
END_TEST

#define BURST	    40 /* reads sent in one turn */
#define CONNECTIONS 4

/* Send @count reads in one turn; returns the most that one connection has of
 * them, and in @used how many connections have some. */
static int
most_of_a_burst(int count, int *used)
{
	struct asked	asked[BURST];
	int		most = 0;

	for (int i = 0; i < count; i++)
		cluster_send_sql(&asked[i], cluster_group("g"),
		    "select pg_backend_pid()");
	*used = 0;
	for (int i = 0; i < count; i++) {
		int	same = 0;

		CLUSTER_WAIT(asked[i].calls == 1);
		ck_assert_int_eq(asked[i].status, MEWS_OK);
		for (int k = 0; k <= i; k++)
			same += strcmp(asked[k].value, asked[i].value) == 0;
		*used += same == 1;
		most = same > most ? same : most;
	}
	return most;
}

START_TEST(a_burst_is_spread_over_the_connections)
{
	int	used;

	cluster_prepare(&(struct mews_group_config) { .name = "g",
	    .role = MEWS_GROUP_ANY, .connection_count = CONNECTIONS,
	    .min_connections = CONNECTIONS, .stall_after = 60000 }, 1);
	cluster.config.endpoint_count = 1;
	cluster_create();
	cluster_join();
	CLUSTER_WAIT(cluster_stats("g").idle == CONNECTIONS);
	/* Up to so many reads, the fewest connections are used. */
	ck_assert_int_eq(most_of_a_burst(CONNECTIONS, &used), CONNECTIONS);
	ck_assert_int_eq(used, 1);
	ck_assert_int_le(most_of_a_burst(BURST / 4, &used), CONNECTIONS);
	ck_assert_int_ge(used, CONNECTIONS - 1);
	ck_assert_int_le(most_of_a_burst(BURST, &used),
	    BURST / CONNECTIONS * 5 / 4);
	ck_assert_int_eq(used, CONNECTIONS);
}
END_TEST

static Suite *
shares_suite(void)
{
	Suite	*suite = suite_create("shares");
	TCase	*steady = unit_case(suite, "steady");
	TCase	*moved = unit_case(suite, "moved");
	TCase	*weighted = unit_case(suite, "weighted");
	TCase	*burst = unit_case(suite, "burst");
	TCase	*cases[] = { steady, moved, weighted, burst };
	int	 counts_end = (int)CLUSTER_COUNT(connection_counts);

	for (size_t i = 0; i < CLUSTER_COUNT(cases); i++) {
		tcase_add_checked_fixture(cases[i], cluster_repair,
		    cluster_close);
		tcase_set_timeout(cases[i], 120);
	}
	tcase_add_loop_test(steady, equal_servers_have_equal_parts, 0,
	    counts_end);
	tcase_add_loop_test(moved,
	    a_server_that_came_back_has_an_equal_part_again, 0, counts_end);
	tcase_add_loop_test(moved,
	    a_drained_server_leaves_its_part_to_the_others, 0, counts_end);
	tcase_add_test(weighted, queries_are_spread_by_the_weights);
	tcase_add_test(weighted, connections_are_spread_by_the_weights);
	tcase_add_test(burst, a_burst_is_spread_over_the_connections);
	return suite;
}

UNIT_MAIN(shares_suite)
