/*
 * test_learn.c - what is learned of times: one late answer says little, many
 * say all.
 */
#include "inside.h"

#include "pool/share.h"

static const struct mews_group_config group;

#define QUICK_US 300.0F
#define SECOND_US 1e6F

static void
learn_quick(struct known *known, int count)
{
	for (int i = 0; i < count; i++)
		known_learn(known, QUICK_US, 1);
}

/* How many answers come together with the late one. */
static const uint32_t turns[] = { 1, 10, 1000 };

START_TEST(one_late_answer_costs_a_server_nothing)
{
	struct known	known = { .latency_us = 500, .p99_us = 1000 };
	int64_t			now = 0;
	float			usual, most = 0;

	learn_quick(&known, 1000);
	ck_assert_float_le(known.latency_us, QUICK_US * 1.01F);
	known.usual_us = usual = known.latency_us;
	ck_assert_int_eq(known_held_us(&known, &group), KNOWN_HELD_US);
	known_learn(&known, SECOND_US, turns[_i]);
	/* A query behind a long one waits for the usual time only. */
	ck_assert_int_le(known_held_us(&known, &group), KNOWN_HELD_US * 2);
	/* The average is read at its worst, and again while the late answer
	 * fades. */
	for (int i = 0; i < 10; i++) {
		known.learned_us = now += SHARE_BEAT_US;
		share_learn(&known, now);
		most = known.usual_us > most ? known.usual_us : most;
		learn_quick(&known, 5);
	}
	/* At twice the usual time a server would lose reads. */
	ck_assert_float_le(most, usual * 1.5F);
}
END_TEST

START_TEST(a_server_that_is_slower_is_known_soon)
{
	struct known	known = { .latency_us = 500, .p99_us = 1000 };

	learn_quick(&known, 1000);
	for (int i = 0; i < 60; i++)
		known_learn(&known, QUICK_US * 100, 1);
	ck_assert_float_ge(known.latency_us, QUICK_US * 90);
}
END_TEST

START_TEST(one_late_run_makes_no_statement_slow)
{
	float	mean = 0, usual = 0;

	for (int i = 0; i < 1000; i++)
		mean_learn(&mean, &usual, QUICK_US);
	mean_learn(&mean, &usual, SECOND_US);
	ck_assert(!mean_is_slow(mean, usual));
	for (int i = 0; i < 10; i++)
		mean_learn(&mean, &usual, QUICK_US);
	mean_learn(&mean, &usual, SECOND_US);
	ck_assert(!mean_is_slow(mean, usual));
}
END_TEST

START_TEST(the_second_long_run_makes_a_statement_slow)
{
	float	quick = 0, slow = 0, usual = 0;

	for (int i = 0; i < 100; i++)
		mean_learn(&quick, &usual, QUICK_US);
	for (int i = 0; i < 2; i++) {
		ck_assert(!mean_is_slow(slow, usual));
		mean_learn(&slow, &usual, 50000);
	}
	ck_assert(mean_is_slow(slow, usual));
	for (int i = 0; i < 100; i++)
		mean_learn(&slow, &usual, 50000);
	ck_assert_float_ge(slow, 49000);
	ck_assert(!mean_is_slow(quick, usual));
}
END_TEST

static Suite *
learn_suite(void)
{
	Suite	*suite = suite_create("learn");
	TCase	*tcase = unit_case(suite, "learn");

	tcase_add_loop_test(tcase, one_late_answer_costs_a_server_nothing, 0,
	    COUNT(turns));
	tcase_add_test(tcase, a_server_that_is_slower_is_known_soon);
	tcase_add_test(tcase, one_late_run_makes_no_statement_slow);
	tcase_add_test(tcase, the_second_long_run_makes_a_statement_slow);
	return suite;
}

UNIT_MAIN(learn_suite)
