/*
 * test_lag.c - how far a standby is behind, by the positions that the primary
 * had and when.
 */
#include "inside.h"

#include "monitor/lag.h"

#define DAY_MS (INT64_C(24) * 3600 * 1000)

START_TEST(the_lag_is_the_age_of_the_first_position_not_reached)
{
	static struct lag	lag;

	ck_assert_uint_eq(lag_ms(&lag, 5, 1000), 0);
	lag_note(&lag, 10, 1000);
	lag_note(&lag, 20, 2000);
	lag_note(&lag, 20, 9000);	/* the primary wrote nothing */
	lag_note(&lag, 30, 9500);
	ck_assert_uint_eq(lag_ms(&lag, 30, 10000), 0);
	ck_assert_uint_eq(lag_ms(&lag, 20, 10000), 500);
	ck_assert_uint_eq(lag_ms(&lag, 10, 10000), 8000);
	ck_assert_uint_eq(lag_bytes(&lag, 10), 20);
	/* A position that goes back is another primary's: sampling begins
	 * anew. */
	lag_note(&lag, 15, 11000);
	ck_assert_uint_eq(lag_ms(&lag, 10, 11500), 500);
}
END_TEST

/* While the primary is idle, one sample stays good for months. */
START_TEST(the_lag_of_a_standby_that_stands_still_grows)
{
	static struct lag	lag;
	uint32_t		before = 0, now;

	lag_note(&lag, 10, DAY_MS);
	lag_note(&lag, 20, 2 * DAY_MS);
	for (int day = 3; day < 200; day++) {
		now = lag_ms(&lag, 10, day * DAY_MS);
		ck_assert_uint_ge(now, before);
		before = now;
	}
	ck_assert_uint_eq(before, LAG_MOST);
}
END_TEST

/* A primary writes in each second, as long as it can be remembered and far
 * longer. */
START_TEST(the_lag_of_a_standby_that_is_hours_late_is_told)
{
	static const int64_t	late_s[] = { 1, 30, 120, 126, 300, 3600, 36000,
		  86399 };
	static struct lag	lag;
	int64_t			now = DAY_MS, said, late;

	for (uint64_t second = 1; second <= 3 * 86400; second++)
		lag_note(&lag, second, now += 1000);
	for (size_t i = 0; i < sizeof(late_s) / sizeof(late_s[0]); i++) {
		/* The first missing position was written @late ago. */
		late = late_s[i] * 1000;
		said = lag_ms(&lag, (uint64_t)(3 * 86400 - late_s[i] - 1),
		    now);
		ck_assert_msg(said <= late && said >= late - late / 10,
		    "%jd ms instead of %jd", (intmax_t)said, (intmax_t)late);
	}
	/* A lag as long as the history that is kept. */
	ck_assert_uint_eq(lag_ms(&lag, 0, now), 3 * DAY_MS - 1000);
	ck_assert_uint_eq(lag_bytes(&lag, 0), 3 * 86400);
}
END_TEST

static Suite *
lag_suite(void)
{
	Suite	*suite = suite_create("lag");
	TCase	*tcase = unit_case(suite, "lag");

	tcase_add_test(tcase,
	    the_lag_is_the_age_of_the_first_position_not_reached);
	tcase_add_test(tcase, the_lag_of_a_standby_that_stands_still_grows);
	tcase_add_test(tcase, the_lag_of_a_standby_that_is_hours_late_is_told);
	return suite;
}

UNIT_MAIN(lag_suite)
