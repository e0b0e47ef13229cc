/*
 * test_sleepers.c - slow statements among quick ones.
 *
 * The load of quick reads is open, far below what the servers can do, and comes
 * in bursts: the reads of a burst are sent in one turn. Rounds with one sleeper
 * per hundred queries alternate with rounds without; the best of the pairs'
 * ratios counts, so that a machine with something else to do does not decide.
 * The median is printed.
 *
 * Sleepers are statements of their own, or the quick statement with a parameter
 * that makes it slow. The latter are not known before they run; neighbours wait
 * for a part of their time only.
 */
#include "cluster.h"
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define PAIRS	  5    /* pairs of rounds */
#define BURSTS	  120  /* bursts in a round */
#define BURST	  10   /* queries in a burst */
#define BURST_US  5000 /* from one burst to the next */
#define EVERY	  101  /* one sleeper of so many queries: at no fixed place in a
			  burst */
#define QUICK_SQL "select $1::int"
#define SLOW_SQL  "select pg_sleep(0.05)"
#define NAP_SQL	  "select $1::int from pg_sleep($2)"
#define NAP_US	  50000
#define TIMES	  3    /* p99 with sleepers by p99 without, at most */

/* One quick read. */
struct shot {
	int64_t due_us;
	int64_t took_us; /* from due_us to its answer */
};

static struct {
	struct mews_group *group;
	struct mews_statement *quick, *slow; /* NULL: sent as SQL */
	bool naps; /* all run NAP_SQL, and a parameter makes some sleep */
	struct shot shots[BURSTS * BURST];
	int sent, ended; /* how many of shots */
	int asleep, slept;
	int count; /* queries of all rounds */
} load;

static int64_t
now_us(void)
{
	struct timespec	ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

static void
on_quick(void *arg, const struct mews_result *result)
{
	struct shot	*shot = arg;

	ck_assert_msg(mews_result_status(result) == MEWS_OK, "%s",
	    mews_result_message(result));
	shot->took_us = now_us() - shot->due_us;
	load.ended++;
}

static void
on_slept(void *arg, const struct mews_result *result)
{
	(void)arg;
	ck_assert_msg(mews_result_status(result) == MEWS_OK, "%s",
	    mews_result_message(result));
	load.asleep--;
	load.slept++;
}

static void
send_sleeper(void)
{
	struct mews_param	params[] = { mews_param_int_text(0),
		mews_param_text("0.05") };
	struct mews_query_args	args = { .statement = load.slow,
		.sql = load.slow == NULL ? SLOW_SQL : NULL,
		.params = params, .param_count = load.naps ? 2 : 0 };

	load.asleep++;
	ck_assert_int_eq(mews_query_send(load.group, &args, on_slept, NULL,
	    NULL), MEWS_OK);
}

static void
send_quick(int64_t due_us)
{
	struct mews_param	params[] = { mews_param_int_text(load.sent),
		mews_param_text("0") };
	struct mews_query_args	args = { .statement = load.quick,
		.sql = load.quick == NULL ? QUICK_SQL : NULL,
		.params = params, .param_count = load.naps ? 2 : 1 };
	struct shot	       *shot = &load.shots[load.sent++];

	shot->due_us = due_us;
	ck_assert_int_eq(mews_query_send(load.group, &args, on_quick, shot,
	    NULL), MEWS_OK);
}

static int
by_time(const void *a, const void *b)
{
	int64_t	x = ((const struct shot *)a)->took_us;
	int64_t y = ((const struct shot *)b)->took_us;

	return (x > y) - (x < y);
}

/* Run a round; the p99 of its quick reads, in us. */
static double
run_round(bool sleepers)
{
	int64_t	due = now_us(), now;

	load.sent = load.ended = 0;
	for (int i = 0; i < BURSTS; i++, due += BURST_US) {
		while ((now = now_us()) < due)
			ck_assert_int_eq(mews_pool_turn(cluster.pool,
			    (int)(due - now + 999) / 1000), MEWS_OK);
		for (int k = 0; k < BURST; k++) {
			if (sleepers && ++load.count % EVERY == 0)
				send_sleeper();
			send_quick(due);
		}
	}
	CLUSTER_WAIT(load.ended == load.sent && load.asleep == 0);
	qsort(load.shots, (size_t)load.sent, sizeof(load.shots[0]), by_time);
	return (double)load.shots[load.sent * 99 / 100].took_us;
}

static int
by_size(const void *a, const void *b)
{
	double	x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void
open_load(const struct mews_group_config *group)
{
	cluster_open(group, 1);
	memset(&load, 0, sizeof(load));
	load.group = cluster_group("g");
}

static void
register_both(void)
{
	ck_assert_int_eq(mews_statement_register(&load.quick, cluster.pool,
	    NULL, QUICK_SQL, 0, NULL),
	    MEWS_OK);
	ck_assert_int_eq(mews_statement_register(
	    &load.slow, cluster.pool, NULL, SLOW_SQL, 0, NULL),
	    MEWS_OK);
}

static void
judge(void)
{
	double	ratios[PAIRS], with[PAIRS], without;
	char	text[PAIRS * 40] = "";
	size_t	used = 0;

	/* The first round opens all connections, and shows which statement is
	 * slow. */
	run_round(true);
	for (int i = 0; i < PAIRS; i++) {
		with[i] = run_round(true);
		without = run_round(false);
		ratios[i] = with[i] / without;
		used += (size_t)snprintf(text + used, sizeof(text) - used,
		    " %.0f/%.0f", with[i], without);
	}
	ck_assert_int_ge(load.slept, PAIRS * BURSTS * BURST / EVERY);
	qsort(ratios, PAIRS, sizeof(ratios[0]), by_size);
	qsort(with, PAIRS, sizeof(with[0]), by_size);
	printf("# p99 with sleepers / without, us:%s: median %.2f\n", text,
	    ratios[PAIRS / 2]);
	/* A busy machine spoils some rounds; reads that wait spoil all of
	 * them. */
	ck_assert_msg(ratios[0] < TIMES ||
	    (load.naps && with[0] < NAP_US / 2),
	    "p99 with sleepers / without, us:%s", text);
}

START_TEST(quick_reads_do_not_wait_behind_sleepers)
{
	open_load(&(struct mews_group_config) { .name = "g",
	    .role = MEWS_GROUP_ANY, .connection_count = 4 });
	register_both();
	judge();
}
END_TEST

START_TEST(quick_reads_do_not_wait_on_the_only_server)
{
	open_load(&(struct mews_group_config) { .name = "g",
	    .role = MEWS_GROUP_PRIMARY, .connection_count = 4 });
	judge();
}
END_TEST

START_TEST(quick_reads_do_not_wait_without_batches)
{
	open_load(&(struct mews_group_config) { .name = "g",
	    .role = MEWS_GROUP_ANY, .connection_count = 4,
	    .batch = MEWS_SWITCH_OFF });
	register_both();
	judge();
}
END_TEST

START_TEST(quick_reads_do_not_wait_for_a_slow_parameter)
{
	open_load(&(struct mews_group_config) { .name = "g",
	    .role = MEWS_GROUP_ANY, .connection_count = 8,
	    .batch = _i == 0 ? MEWS_SWITCH_ON : MEWS_SWITCH_OFF });
	load.naps = true;
	ck_assert_int_eq(mews_statement_register(&load.quick, cluster.pool,
	    NULL, NAP_SQL, 0, NULL), MEWS_OK);
	load.slow = load.quick;
	judge();
}
END_TEST

/* All reads are sent in one turn, to one connection; the third one is slow. */
START_TEST(reads_behind_a_slow_one_move_to_other_connections)
{
	static struct asked asked[6]; /* the last read ends with the pool */

	cluster_prepare(&(struct mews_group_config) { .name = "g",
	    .role = MEWS_GROUP_ANY, .connection_count = 3,
	    .min_connections = 3 }, 1);
	cluster.config.endpoint_count = 1;
	cluster_create();
	cluster_join();
	CLUSTER_WAIT(cluster_stats("g").idle == 3);
	for (int i = 0; i < (int)CLUSTER_COUNT(asked); i++) {
		struct mews_param	params[] = { mews_param_int_text(i),
			mews_param_text(i == 2 ? "20" : "0") };
		struct mews_query_args	args = { .sql = NAP_SQL,
			.params = params, .param_count = 2 };

		cluster_send(&asked[i], cluster_group("g"), &args);
	}
	for (int i = 0; i < (int)CLUSTER_COUNT(asked); i++) {
		if (i == 2)
			continue;
		CLUSTER_WAIT(asked[i].calls == 1);
		ck_assert_int_eq(asked[i].status, MEWS_OK);
		ck_assert_int_eq(atoi(asked[i].value), i);
	}
	ck_assert_int_eq(asked[2].calls, 0);
}
END_TEST

static Suite *
sleepers_suite(void)
{
	Suite	*suite = suite_create("sleepers");
	TCase	*tcase = unit_case(suite, "sleepers");
	TCase	*naps_case = unit_case(suite, "naps");

	tcase_set_timeout(tcase, 180);
	tcase_add_checked_fixture(tcase, cluster_repair, cluster_close);
	tcase_add_test(tcase, quick_reads_do_not_wait_behind_sleepers);
	tcase_add_test(tcase, quick_reads_do_not_wait_on_the_only_server);
	tcase_add_test(tcase, quick_reads_do_not_wait_without_batches);
	tcase_set_timeout(naps_case, 180);
	tcase_add_checked_fixture(naps_case, cluster_repair, cluster_close);
	tcase_add_test(naps_case,
	    reads_behind_a_slow_one_move_to_other_connections);
	tcase_add_loop_test(naps_case,
	    quick_reads_do_not_wait_for_a_slow_parameter, 0, 2);
	return suite;
}

UNIT_MAIN(sleepers_suite)
