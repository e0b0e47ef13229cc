/*
 * test_orphan.c - backends that a dead worker left behind.
 */
#include "inside_fleet.h"

#include "fleet/orphan.h"

static struct segment	    segment;
static struct segment_slot *slot;
static char		    sql[ORPHAN_SQL_MAX];

static void
make_segment(void)
{
	ck_assert_int_eq(segment_make(&segment, NULL, "test", 2, 3,
	    (struct figures_room) { 1, 1 }, NULL),
	    MEWS_OK);
	slot = &segment.slots[1];
}

static void
close_segment(void)
{
	segment_close(&segment);
}

/* All orphans are asked for, and all are gone. */
static bool
next(uint32_t endpoint, int64_t now)
{
	uint32_t	at = 0;

	if (!orphan_next(&segment, endpoint, &at, "'it''s mews'", now, sql))
		return false;
	orphan_gone(&segment, at);
	return true;
}

static void
assert_next(uint32_t endpoint, const char *part)
{
	ck_assert(next(endpoint, 10000));
	ck_assert_msg(strstr(sql, part) != NULL, "%s", sql);
}

START_TEST(a_forgotten_backend_is_no_orphan)
{
	int	first = orphan_record(slot, 0, 100, 0);
	int	second = orphan_record(slot, 1, 200, 0);

	ck_assert_int_ne(first, second);
	orphan_forget(slot, first);
	orphan_forget(slot, -1);
	orphan_forget(NULL, 3);
	ck_assert_int_eq(orphan_record(NULL, 0, 1, 0), -1);
	orphan_adopt(&segment, slot);
	ck_assert(!next(0, 0));
	assert_next(1, "pid = 200 ");
	ck_assert(!next(1, 0));
}
END_TEST

START_TEST(an_orphan_is_named_by_pid_name_and_age)
{
	orphan_record(slot, 0, 4294967295, 5000);
	orphan_adopt(&segment, slot);
	ck_assert(next(0, 17034));
	ck_assert_ptr_nonnull(strstr(sql, "pid = 4294967295 "));
	ck_assert_ptr_nonnull(strstr(sql, "application_name = 'it''s mews'"));
	ck_assert_ptr_nonnull(strstr(sql, "- 12) < 3"));
	/* A time months later. */
	orphan_forget(slot, 0);
	orphan_record(slot, 0, 1, INT64_C(90) * 86400000);
	orphan_adopt(&segment, slot);
	ck_assert(next(0, INT64_C(90) * 86400000 + 3000));
	ck_assert_ptr_nonnull(strstr(sql, "- 3) < 3"));
}
END_TEST

START_TEST(an_orphan_counts_until_it_is_gone)
{
	uint32_t	at = 0;

	orphan_leave(&segment, slot, orphan_record(slot, 1, 300, 0));
	orphan_leave(&segment, NULL, 3);
	orphan_leave(&segment, slot, -1);
	ck_assert_uint_eq(slot->backends[0].word, 0);
	ck_assert_uint_eq(orphan_count(&segment, 0), 0);
	ck_assert_uint_eq(orphan_count(&segment, 1), 1);
	ck_assert(orphan_next(&segment, 1, &at, "'x'", 0, sql));
	ck_assert_uint_eq(orphan_count(&segment, 1), 1);
	at++;
	ck_assert(!orphan_next(&segment, 1, &at, "'x'", 0, sql));
	ck_assert(next(1, 0));
	ck_assert_uint_eq(orphan_count(&segment, 1), 0);
}
END_TEST

/* Several workers die; each of their backends is ended once. */
START_TEST(a_full_list_of_orphans_forgets_but_does_not_overflow)
{
	int	found = 0;

	for (uint32_t worker = 0; worker < 6; worker++) {
		for (uint32_t i = 0; i < SEGMENT_BACKENDS; i++)
			ck_assert_int_eq(orphan_record(slot, i % 2,
			    worker * 1000 + i + 1, 0), (int)i);
		ck_assert_int_eq(orphan_record(slot, 0, 7, 0), -1);
		orphan_adopt(&segment, slot);
		segment_clear_slot(&segment, slot);
	}
	while (next(0, 0) || next(1, 0))
		found++;
	ck_assert_int_eq(found, SEGMENT_ORPHANS);
}
END_TEST

START_TEST(a_damaged_list_of_orphans_is_survived)
{
	uint64_t	seed = 70;

	for (uint32_t round = 0; round < 100; round++) {
		fill_randomly(segment.orphans, sizeof(*segment.orphans),
		    &seed);
		fill_randomly(slot, sizeof(*slot), &seed);
		orphan_adopt(&segment, slot);
		while (next(round % 2, (int64_t)dice(&seed)))
			REQUIRE(strlen(sql) < ORPHAN_SQL_MAX - 1);
	}
}
END_TEST

static Suite *
orphan_suite(void)
{
	Suite	*suite = suite_create("orphan");
	TCase	*tcase = unit_case(suite, "lists");

	tcase_add_checked_fixture(tcase, make_segment, close_segment);
	tcase_add_test(tcase, a_forgotten_backend_is_no_orphan);
	tcase_add_test(tcase, an_orphan_is_named_by_pid_name_and_age);
	tcase_add_test(tcase, an_orphan_counts_until_it_is_gone);
	tcase_add_test(tcase,
	    a_full_list_of_orphans_forgets_but_does_not_overflow);
	tcase_add_test(tcase, a_damaged_list_of_orphans_is_survived);
	return suite;
}

UNIT_MAIN(orphan_suite)
