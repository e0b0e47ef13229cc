/*
 * test_explain.c - mews explain beside servers that die and come back.
 *
 * From the environment: MEWS_A and MEWS_B, the conninfo of servers;
 * MEWS_SERVERS and MEWS_SERVERS_DIR, to kill them and freeze them with.
 */
#include "fleet.h"
#include "unit.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct fleet	   the_fleet;
static struct fleet *const fleet = &the_fleet;
static struct said	   said;

static void
start(void)
{
	char more[900];

	snprintf(more, sizeof(more),
	    "endpoint \"p\" { conninfo = \"%s\" }\n"
	    "endpoint \"s\" { conninfo = \"%s\" }\n"
	    "group \"write\" { role = primary }\n"
	    "health { interval = 200ms timeout = 4s fall = 2 rise = 2 }\n",
	    getenv("MEWS_A"), getenv("MEWS_B"));
	fleet_init(fleet, more);
	fleet_start(fleet);
}

static void
servers(const char *command, const char *which)
{
	char line[600];

	snprintf(line, sizeof(line), "\"$MEWS_SERVERS\" %s "
	    "\"$MEWS_SERVERS_DIR\" %s >/dev/null", command, which);
	ck_assert_int_eq(system(line), 0);
}

static void
repair(void)
{
	servers("thaw", "a b");
	servers("up", "a b");
}

/* Run explain until its output has these words. */
static void
wait_for_words(const char *endpoint, const char *words)
{
	int64_t deadline = fleet_now() + 45000;

	do {
		ck_assert_msg(fleet_now() < deadline, "no \"%s\" in: %s",
		    words, said.out);
		mews(&said, "explain", endpoint, "-c", fleet->config, NULL);
		ck_assert_int_eq(said.status, 0);
	} while (strstr(said.out, words) == NULL);
}

static void
assert_says(const char *words)
{
	ck_assert_msg(strstr(said.out, words) != NULL, "no \"%s\" in: %s",
	    words, said.out);
}

START_TEST(explain_tells_of_a_server_that_is_killed_and_comes_back)
{
	start();
	wait_for_words("p", "endpoint p is up; it is a primary on timeline ");
	wait_for_words("p", "It may get writes");
	assert_says("(probe_ok)");
	wait_for_words("p", "the monitor (pid ");
	wait_for_words("s", "endpoint s is up; it is a standby");
	assert_says("It gets no writes: it is a standby.");
	servers("kill", "a");
	wait_for_words("p", "endpoint p is down; when last seen it was a "
	    "primary");
	wait_for_words("p", "(refused)");
	assert_says(" since it is down.");
	assert_says("It is up again after 2 good probes, and gets less than "
	    "its share for 10.0s then (slow_start).");
	assert_says("It gets no writes while it is down.");
	servers("up", "a");
	wait_for_words("p", "It came back and gets less than its share");
	assert_says("endpoint p is up");
	ck_assert_int_eq(fleet_end(fleet, SIGTERM), 0);
}
END_TEST

START_TEST(explain_tells_of_a_server_that_is_frozen)
{
	start();
	wait_for_words("s", "endpoint s is up; it is a standby");
	servers("freeze", "b");
	wait_for_words("s", "1 failed probe in a row.");
	assert_says("endpoint s is suspect");
	assert_says("a probe got no answer in its time (probe_failed)");
	assert_says("One answer makes it up again; 1 more failed probe, or");
	wait_for_words("s", "endpoint s is down");
	servers("thaw", "b");
	wait_for_words("s", "endpoint s is up");
	ck_assert_int_eq(fleet_end(fleet, SIGTERM), 0);
}
END_TEST

static Suite *
explain_suite(void)
{
	Suite *suite = suite_create("explain");
	TCase *tcase = unit_case(suite, "explain");

	tcase_set_timeout(tcase, 180);
	tcase_add_unchecked_fixture(tcase, fleet_make_base,
	    fleet_remove_base);
	tcase_add_checked_fixture(tcase, NULL, repair);
	tcase_add_test(tcase,
	    explain_tells_of_a_server_that_is_killed_and_comes_back);
	tcase_add_test(tcase, explain_tells_of_a_server_that_is_frozen);
	return suite;
}

UNIT_MAIN(explain_suite)
