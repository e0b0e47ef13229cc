/*
 * test_monitor.c - there is always a monitor, and workers go on while it is
 * replaced.
 */
#include "fleet.h"
#include "unit.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

static struct fleet	   the_fleet;
static struct fleet *const fleet = &the_fleet;

/* Two workers serve, the same as before. */
static void
assert_undisturbed(const pid_t before[FLEET_WORKERS_MAX])
{
	pid_t now[FLEET_WORKERS_MAX];

	ck_assert_int_eq(fleet_workers(fleet, now), 2);
	ck_assert_int_eq(now[0], before[0]);
	ck_assert_int_eq(now[1], before[1]);
	ck_assert_int_eq(fleet_get(fleet, "/"), 200);
	ck_assert_int_eq(fleet_logged(fleet, "event=worker_exited"), 0);
}

/* Does status show a monitor, and another one than @before? */
static bool
is_replaced(pid_t before)
{
	pid_t	    now = fleet_monitor(fleet);
	struct said said;
	char	    shown[40];

	if (now == before)
		return false;
	mews(&said, "status", "-c", fleet->config, "--json", NULL);
	snprintf(shown, sizeof(shown), "\"monitor\":{\"pid\":%jd,",
	    (intmax_t)now);
	return said.status == 0 && strstr(said.out, shown) != NULL;
}

START_TEST(a_monitor_that_is_killed_is_replaced)
{
	pid_t workers[FLEET_WORKERS_MAX], monitor;

	fleet_init(fleet, "");
	fleet_start(fleet);
	ck_assert_int_eq(fleet_workers(fleet, workers), 2);
	/* From the second death on, the successor waits a little. */
	for (int i = 0; i < 3; i++) {
		monitor = fleet_monitor(fleet);
		ck_assert_int_gt(monitor, 0);
		ck_assert_int_eq(kill(monitor, SIGKILL), 0);
		fleet_wait(is_replaced(monitor));
		assert_undisturbed(workers);
	}
	ck_assert_int_eq(fleet_end(fleet, SIGTERM), 0);
}
END_TEST

START_TEST(a_monitor_that_hangs_is_killed_and_replaced)
{
	pid_t workers[FLEET_WORKERS_MAX], monitor;

	fleet_init(fleet, "worker_timeout = 2s\n");
	fleet_start(fleet);
	ck_assert_int_eq(fleet_workers(fleet, workers), 2);
	monitor = fleet_monitor(fleet);
	ck_assert_int_eq(kill(monitor, SIGSTOP), 0);
	fleet_wait(fleet_logged(fleet, "event=monitor_hangs") == 1);
	fleet_wait(!fleet_is_alive(monitor) && is_replaced(monitor));
	assert_undisturbed(workers);
	ck_assert_int_eq(fleet_end(fleet, SIGTERM), 0);
}
END_TEST

static Suite *
monitor_suite(void)
{
	Suite *suite = suite_create("monitor");
	TCase *tcase = unit_case(suite, "monitor");

	tcase_set_timeout(tcase, 180);
	tcase_add_unchecked_fixture(tcase, fleet_make_base,
	    fleet_remove_base);
	tcase_add_test(tcase, a_monitor_that_is_killed_is_replaced);
	tcase_add_test(tcase, a_monitor_that_hangs_is_killed_and_replaced);
	return suite;
}

UNIT_MAIN(monitor_suite)
