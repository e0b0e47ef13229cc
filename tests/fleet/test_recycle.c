/*
 * test_recycle.c - workers that are replaced before they fail.
 */
#include "fleet.h"
#include "unit.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct fleet	   the_fleet;
static struct fleet *const fleet = &the_fleet;
static pid_t		   workers[FLEET_WORKERS_MAX];

/* Ask until @count workers were replaced and have ended; each request must be
 * answered. */
static void
recycle(int count)
{
	while (fleet_logged(fleet, "event=worker_recycled") < count)
		ck_assert_int_eq(fleet_get(fleet, "/"), 200);
	fleet_wait(fleet_logged(fleet, "event=worker_exited") >= count);
}

/* The place in the log of a line with @what about the worker of that number. */
static const char *
place_of(const char *what, int number)
{
	char text[64];

	snprintf(text, sizeof(text), "event=worker_%s worker=%d ", what,
	    number);
	return strstr(fleet_log_text(fleet), text);
}

START_TEST(a_worker_that_answered_enough_has_a_successor_first)
{
	const char *recycled, *ready, *exited;
	int	    old, successor;

	fleet_init(fleet, "max_requests = 40\n");
	fleet_start(fleet);
	recycle(1);
	recycled = strstr(fleet_log_text(fleet), "event=worker_recycled");
	ck_assert_int_eq(sscanf(recycled, "event=worker_recycled worker=%d",
	    &old), 1);
	ck_assert_int_eq(sscanf(strstr(recycled, "successor="),
	    "successor=%d", &successor), 1);
	ck_assert_int_eq(successor, 2);
	ready = place_of("ready", successor);
	exited = place_of("exited", old);
	ck_assert(recycled < ready && ready < exited);
	recycle(6);
	fleet_wait(fleet_workers(fleet, workers) == 2);
	ck_assert_int_eq(fleet_logged(fleet, "level=error"), 0);
	ck_assert_int_eq(fleet_logged(fleet, "event=worker_overdue"), 0);
	ck_assert_int_eq(fleet_end(fleet, SIGTERM), 0);
}
END_TEST

START_TEST(a_worker_that_uses_too_much_memory_is_replaced)
{
	fleet_init(fleet, "max_memory = 250MB\n");
	fleet_start(fleet);
	ck_assert_int_eq(fleet_get(fleet, "/leak"), 200);
	fleet_wait(fleet_logged(fleet, "event=worker_exited") == 1);
	ck_assert_int_eq(fleet_logged(fleet, "event=worker_recycled"), 1);
	fleet_wait(fleet_workers(fleet, workers) == 2);
	ck_assert_int_eq(fleet_get(fleet, "/"), 200);
	ck_assert_int_eq(fleet_end(fleet, SIGTERM), 0);
}
END_TEST

START_TEST(a_successor_that_does_not_start_leaves_all_as_it_was)
{
	pid_t before[FLEET_WORKERS_MAX];
	char  fail[300];

	fleet_init(fleet, "max_requests = 10\n");
	snprintf(fail, sizeof(fail), "%s/fail", fleet->dir);
	setenv("MEWS_TEST_FAIL", fail, 1);
	fleet_start(fleet);
	ck_assert_int_eq(fleet_workers(fleet, before), 2);
	ck_assert_int_eq(close(creat(fail, 0644)), 0);
	recycle(1);
	ck_assert_int_eq(fleet_workers(fleet, workers), 2);
	ck_assert_int_eq(workers[0], before[0]);
	ck_assert_int_eq(workers[1], before[1]);
	unlink(fail);
	recycle(2);
	ck_assert_int_eq(fleet_end(fleet, SIGTERM), 0);
}
END_TEST

/* After deaths and changes of their number, there are as many as there should
 * be. */
START_TEST(a_worker_that_dies_while_it_is_replaced_has_one_successor)
{
	fleet_init(fleet, "max_requests = 10\n");
	fleet_start(fleet);
	for (int i = 1; i < 8; i++) {
		while (fleet_logged(fleet, "event=worker_recycled") < i)
			fleet_get(fleet, "/");
		fleet_workers(fleet, workers);
		kill(workers[i % 2], SIGKILL);
		if (i == 4)
			fleet_signal(fleet, SIGTTOU);
		if (i == 5)
			fleet_signal(fleet, SIGTTIN);
	}
	fleet_wait(fleet_workers(fleet, workers) == 2);
	ck_assert_int_eq(fleet_end(fleet, SIGTERM), 0);
}
END_TEST

static Suite *
recycle_suite(void)
{
	Suite *suite = suite_create("recycle");
	TCase *tcase = unit_case(suite, "recycle");

	tcase_set_timeout(tcase, 180);
	tcase_add_unchecked_fixture(tcase, fleet_make_base,
	    fleet_remove_base);
	tcase_add_test(tcase,
	    a_worker_that_answered_enough_has_a_successor_first);
	tcase_add_test(tcase, a_worker_that_uses_too_much_memory_is_replaced);
	tcase_add_test(tcase,
	    a_successor_that_does_not_start_leaves_all_as_it_was);
	tcase_add_test(tcase,
	    a_worker_that_dies_while_it_is_replaced_has_one_successor);
	return suite;
}

UNIT_MAIN(recycle_suite)
