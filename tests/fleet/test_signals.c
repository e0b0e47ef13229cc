/*
 * test_signals.c - signals to a fleet that mean nothing, come too early, or
 * come from a stranger.
 */
#include "fleet.h"
#include "unit.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static struct fleet	   the_fleet;
static struct fleet *const fleet = &the_fleet;

static bool
answers(pid_t worker)
{
	return fleet_get_worker(fleet) == worker;
}

START_TEST(signals_without_a_meaning_end_no_process)
{
	const int meaningless[] = { SIGALRM, SIGVTALRM, SIGPROF, SIGIO, SIGPWR,
		SIGSTKFLT, SIGXCPU, SIGXFSZ, SIGRTMIN, SIGRTMAX, SIGHUP,
		SIGUSR2 };
	pid_t	  before[FLEET_WORKERS_MAX], workers[FLEET_WORKERS_MAX];
	pid_t	  monitor;

	fleet_init(fleet, "");
	fleet_start(fleet);
	ck_assert_int_eq(fleet_workers(fleet, before), 2);
	monitor = fleet_monitor(fleet);
	for (size_t i = 0; i < sizeof(meaningless) / sizeof(int); i++) {
		/* HUP and USR2 mean something to the master alone. */
		if (meaningless[i] != SIGHUP && meaningless[i] != SIGUSR2)
			fleet_signal(fleet, meaningless[i]);
		for (int j = 0; j < 2; j++)
			kill(before[j], meaningless[i]);
		kill(monitor, meaningless[i]);
	}
	fleet_wait(answers(before[0]) && answers(before[1]));
	ck_assert_int_eq(fleet_workers(fleet, workers), 2);
	ck_assert_int_eq(workers[0], before[0]);
	ck_assert_int_eq(workers[1], before[1]);
	ck_assert_int_eq(fleet_monitor(fleet), monitor);
	ck_assert(fleet_is_alive(monitor));
	fleet_signal(fleet, SIGUSR1);
	fleet_wait(fleet_logged(fleet, "signal=USR1") == 1);
	ck_assert_int_eq(fleet_get(fleet, "/"), 200);
	ck_assert_int_eq(fleet_end(fleet, SIGTERM), 0);
}
END_TEST

static const int all_early[] = { SIGALRM, SIGVTALRM, SIGPROF, SIGIO, SIGPWR,
	SIGSTKFLT, SIGXCPU, SIGXFSZ, SIGPIPE, SIGHUP, SIGUSR1,
	SIGTTIN, SIGTTOU };

/* While the application is tried, the master has not made any file. */
START_TEST(a_signal_that_comes_too_early_ends_no_start)
{
	char	    loaded[300], wait[300];
	struct stat st;

	fleet_init(fleet, "");
	fleet_open_file(fleet, loaded, sizeof(loaded), "loaded",
	    "MEWS_TEST_LOADED");
	fleet_open_file(fleet, wait, sizeof(wait), "wait", "MEWS_TEST_WAIT");
	fleet_launch(fleet);
	fleet_wait(stat(loaded, &st) == 0 && st.st_size > 0);
	for (size_t i = 0; i < sizeof(all_early) / sizeof(int); i++)
		fleet_signal(fleet, all_early[i]);
	ck_assert_int_eq(unlink(wait), 0);
	fleet_wait(fleet_logged(fleet, "event=ready workers=") > 0);
	fleet_wait(fleet_get(fleet, "/") == 200);
	ck_assert_int_eq(fleet_end(fleet, SIGTERM), 0);
}
END_TEST

START_TEST(a_start_can_be_ended_at_any_time)
{
	char	    loaded[300], wait[300];
	struct stat st;

	fleet_init(fleet, "");
	fleet_open_file(fleet, loaded, sizeof(loaded), "loaded",
	    "MEWS_TEST_LOADED");
	fleet_open_file(fleet, wait, sizeof(wait), "wait", "MEWS_TEST_WAIT");
	fleet_launch(fleet);
	fleet_wait(stat(loaded, &st) == 0 && st.st_size > 0);
	ck_assert_int_eq(fleet_end(fleet, SIGTERM), -SIGTERM);
}
END_TEST

/* The master's signals to a worker: see worker/worker.h and worker/doing.h. */
START_TEST(a_worker_obeys_its_master_only)
{
	pid_t before[FLEET_WORKERS_MAX], workers[FLEET_WORKERS_MAX];

	fleet_init(fleet, "");
	fleet_start(fleet);
	ck_assert_int_eq(fleet_workers(fleet, before), 2);
	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(kill(before[i], SIGRTMIN + 3), 0);
		ck_assert_int_eq(kill(before[i], SIGRTMIN + 4), 0);
	}
	fleet_wait(answers(before[0]));
	fleet_wait(answers(before[1]));
	ck_assert_int_eq(fleet_workers(fleet, workers), 2);
	ck_assert_int_eq(workers[0], before[0]);
	ck_assert_int_eq(workers[1], before[1]);
	ck_assert_int_eq(fleet_logged(fleet, "to=draining"), 0);
	ck_assert_int_eq(fleet_logged(fleet, "event=worker_stuck"), 0);
	ck_assert_int_eq(fleet_end(fleet, SIGTERM), 0);
}
END_TEST

static Suite *
signals_suite(void)
{
	Suite *suite = suite_create("signals");
	TCase *tcase = unit_case(suite, "signals");

	tcase_set_timeout(tcase, 180);
	tcase_add_unchecked_fixture(tcase, fleet_make_base,
	    fleet_remove_base);
	tcase_add_test(tcase, signals_without_a_meaning_end_no_process);
	tcase_add_test(tcase, a_signal_that_comes_too_early_ends_no_start);
	tcase_add_test(tcase, a_start_can_be_ended_at_any_time);
	tcase_add_test(tcase, a_worker_obeys_its_master_only);
	return suite;
}

UNIT_MAIN(signals_suite)
