/*
 * test_process.c - when a worker that died is started again.
 */
#include "process.h"
#include "unit.h"

static struct process_list list = TAILQ_HEAD_INITIALIZER(list);

/* @p starts @at and lives for @lived ms; returns how long it must wait. */
static int64_t
live_and_die(struct process *p, int64_t at, bool ready, int64_t lived)
{
	process_forked(p, 1, at);
	if (ready)
		process_ready(p);
	process_ended(p, at + lived);
	ck_assert_int_eq(p->state, PROCESS_ABSENT);
	ck_assert_int_eq(p->pid, 0);
	return p->start_at - (at + lived);
}

START_TEST(the_first_death_costs_nothing_the_next_ones_twice_as_much)
{
	static const int64_t most[] = { 0, 200, 400, 800, 1600, 3200, 6400,
		10000, 10000, 10000 };
	struct process	    *p = process_add(&list);
	int64_t		     wait;

	for (size_t i = 0; i < sizeof(most) / sizeof(most[0]); i++) {
		wait = live_and_die(p, 1000, false, 5);
		ck_assert_int_ge(wait, most[i] / 2);
		ck_assert_int_le(wait, most[i]);
	}
}
END_TEST

START_TEST(a_process_that_served_well_starts_afresh)
{
	struct process *p = process_add(&list);

	for (int i = 0; i < 9; i++)
		live_and_die(p, 1000, false, 5);
	ck_assert_int_ge(live_and_die(p, 1000, true, 999), 500);
	ck_assert_int_eq(live_and_die(p, 1000, true, 1000), 0);
}
END_TEST

START_TEST(a_process_never_ready_did_not_serve_well)
{
	struct process *p = process_add(&list);

	live_and_die(p, 1000, false, 5);
	ck_assert_int_ge(live_and_die(p, 1000, false, 60000), 100);
}
END_TEST

START_TEST(a_process_that_got_ready_waits_a_second_at_most)
{
	struct process *p = process_add(&list);
	int64_t		wait = 0;

	for (int i = 0; i < 20; i++) {
		wait = live_and_die(p, 1000, true, 5);
		ck_assert_int_le(wait, 1000);
	}
	ck_assert_int_ge(wait, 500);
}
END_TEST

/* How long a process that died must wait beside another one in that state. */
static int64_t
wait_beside(enum process_state state, bool ready, int64_t lived)
{
	struct process *other = process_add(&list), *p = process_add(&list);
	int64_t		at;

	for (int i = 0; i < 9; i++)
		live_and_die(p, 1000, ready, lived);
	process_forked(other, 2, 1000);
	other->state = state;
	ck_assert_ptr_eq(process_next(&list, &at), p);
	process_remove(&list, p);
	process_remove(&list, other);
	return at - 1000 - lived;
}

START_TEST(the_last_process_of_a_fleet_waits_a_second_at_most)
{
	/* While another process serves, or soon will, it waits. */
	ck_assert_int_ge(wait_beside(PROCESS_READY, true, 500), 500);
	ck_assert_int_ge(wait_beside(PROCESS_STARTING, true, 500), 500);
	ck_assert_int_ge(wait_beside(PROCESS_READY, false, 500), 5000);
	/* If none does, it waits for a second at most, but not in a busy
	 * loop. */
	ck_assert_int_eq(wait_beside(PROCESS_STOPPING, true, 500), 0);
	ck_assert_int_eq(wait_beside(PROCESS_KILLED, true, 500), 0);
	ck_assert_int_eq(wait_beside(PROCESS_KILLED, true, 50), 100);
	ck_assert_int_eq(wait_beside(PROCESS_KILLED, false, 500), 1000);
}
END_TEST

START_TEST(only_one_process_is_started_without_its_delay)
{
	struct process *a = process_add(&list), *b = process_add(&list);
	int64_t		at;

	for (int i = 0; i < 9; i++) {
		live_and_die(a, 1000, true, 500);
		live_and_die(b, 1000, true, 500);
	}
	ck_assert_ptr_eq(process_next(&list, &at), a);
	ck_assert_int_eq(at, 1500);
	process_forked(a, 1, 1500);
	ck_assert_ptr_eq(process_next(&list, &at), b);
	ck_assert_int_ge(at, 2000);
	process_forked(b, 1, 1500);
	ck_assert_ptr_null(process_next(&list, &at));
	ck_assert_int_eq(at, PROCESS_NEVER);
}
END_TEST

START_TEST(processes_that_died_together_start_apart)
{
	struct process *p;
	int64_t		wait[64];
	int		equal = 0;

	for (int i = 0; i < 64; i++) {
		p = process_add(&list);
		for (int death = 0; death < 9; death++)
			wait[i] = live_and_die(p, 1000, false, 5);
		equal += wait[i] == wait[0];
	}
	ck_assert_int_lt(equal, 16);
}
END_TEST

START_TEST(a_number_is_given_again_only_when_it_is_free)
{
	struct process *p[4], *again;

	for (unsigned i = 0; i < 4; i++) {
		p[i] = process_add(&list);
		ck_assert_uint_eq(p[i]->number, i);
	}
	process_remove(&list, p[1]);
	again = process_add(&list);
	ck_assert_uint_eq(again->number, 1);
	ck_assert_uint_eq(process_add(&list)->number, 4);
}
END_TEST

static Suite *
process_suite(void)
{
	Suite *suite = suite_create("process");
	TCase *tcase = unit_case(suite, "respawn");

	tcase_add_test(tcase,
	    the_first_death_costs_nothing_the_next_ones_twice_as_much);
	tcase_add_test(tcase, a_process_that_served_well_starts_afresh);
	tcase_add_test(tcase, a_process_never_ready_did_not_serve_well);
	tcase_add_test(tcase, a_process_that_got_ready_waits_a_second_at_most);
	tcase_add_test(tcase,
	    the_last_process_of_a_fleet_waits_a_second_at_most);
	tcase_add_test(tcase, only_one_process_is_started_without_its_delay);
	tcase_add_test(tcase, processes_that_died_together_start_apart);
	tcase_add_test(tcase, a_number_is_given_again_only_when_it_is_free);
	return suite;
}

UNIT_MAIN(process_suite)
