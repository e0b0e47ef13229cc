/*
 * test_reasons.c - each state of an endpoint is explained, with its reasons.
 */
#include "inside_fleet.h"

#include "base/clock.h"
#include "fleet/budget.h"
#include "fleet/damage.h"
#include "fleet/endpoint.h"
#include "reasons.h"

#include <stdlib.h>

static const struct mews_health_config rules = {
	.interval = 60000, .rise = 3,
};

static struct mews_fleet *fleet;
static struct mews_view	 *view;
static char		 *said;

static void
make_fleet(void)
{
	struct mews_error error;

	make_directory();
	fleet = fleet_of(file, 4, 50);
	ck_assert_int_eq(mews_fleet_join(fleet, &error), MEWS_OK);
	ck_assert_int_eq(mews_view_open(&view, file, &error), MEWS_OK);
}

static void
destroy_fleet(void)
{
	free(said);
	said = NULL;
	mews_view_close(&view);
	mews_fleet_destroy(&fleet);
	remove_directory();
}

static void
listen_to(uint32_t endpoint, const struct mews_health_config *health)
{
	size_t size;
	FILE  *out;

	free(said);
	out = open_memstream(&said, &size);
	ck_assert_ptr_nonnull(out);
	reasons_print(view, endpoint, health, out);
	ck_assert_int_eq(fclose(out), 0);
}

static void
assert_says(const char *words)
{
	ck_assert_msg(strstr(said, words) != NULL, "no \"%s\" in: %s", words,
	    said);
}

static void
report(uint32_t endpoint, enum health_evidence evidence)
{
	endpoint_report(fleet, endpoint, evidence,
	    endpoint_health(fleet, endpoint).epoch);
}

static void
see_role(uint32_t endpoint, enum health_role role)
{
	endpoint_see_role(fleet, endpoint, role,
	    endpoint_health(fleet, endpoint).epoch);
}

/* Make the endpoint @i a primary of this timeline, and up. */
static void
make_primary(uint32_t endpoint, uint32_t timeline)
{
	report(endpoint, HEALTH_CONNECTED);
	see_role(endpoint, HEALTH_ROLE_PRIMARY);
	segment_set_timeline(&fleet->segment.endpoints[endpoint], timeline,
	    true);
}

START_TEST(an_endpoint_that_was_never_seen)
{
	listen_to(0, &rules);
	assert_says("endpoint a is not known yet; its role is not known.");
	assert_says("The next probe is due now.");
	assert_says("The first answer makes it up.");
	assert_says("It gets no writes before its role is known.");
	listen_to(2, &rules);
	ck_assert_str_eq(said, "");
}
END_TEST

START_TEST(an_endpoint_that_is_up)
{
	char worker[64];

	make_primary(0, 3);
	listen_to(0, &rules);
	assert_says("endpoint a is up; it is a primary on timeline 3.");
	snprintf(worker, sizeof(worker), "worker 0 (pid %jd) saw: ",
	    (intmax_t)getpid());
	assert_says(worker);
	assert_says("No monitor runs");
	assert_says("It may get writes");
	/* A probe is due, as the last one was five seconds ago. */
	fleet->segment.header->made_us -= 5000000;
	atomic_store(&fleet->segment.header->monitor_pid, (int32_t)getpid());
	ck_assert(endpoint_lease(fleet, 0, HEALTH_MONITOR, true, 0));
	listen_to(0, &rules);
	snprintf(worker, sizeof(worker), "the monitor (pid %jd) saw: ",
	    (intmax_t)getpid());
	assert_says(worker);
	assert_says("A probe is on its way, and has 500ms in all.");
	endpoint_verdict(fleet, 0, HEALTH_PROBE_OK,
	    endpoint_health(fleet, 0).epoch);
	listen_to(0, &rules);
	assert_says("it answered a probe (probe_ok)");
	assert_says("The next probe is in ");
	/* Without the rules, no number is guessed. */
	listen_to(0, NULL);
	ck_assert_ptr_null(strstr(said, "The next probe"));
}
END_TEST

START_TEST(an_endpoint_that_is_suspect)
{
	report(0, HEALTH_CONNECTED);
	see_role(0, HEALTH_ROLE_STANDBY);
	report(0, HEALTH_WATCHDOG);
	listen_to(0, &rules);
	assert_says("endpoint a is suspect; it is a standby.");
	assert_says("a query got no answer in its time (watchdog)");
	assert_says("One answer makes it up again; 2 more failed probes, or");
	assert_says("It gets no writes: it is a standby.");
}
END_TEST

START_TEST(an_endpoint_that_is_down)
{
	make_primary(0, 3);
	report(0, HEALTH_SHUTDOWN);
	report(0, HEALTH_REFUSED);
	listen_to(0, &rules);
	assert_says("endpoint a is down; when last seen it was a primary on "
	    "timeline 3.");
	assert_says("nobody took the connection, or could be reached "
	    "(refused)");
	assert_says("1 failure since it is down.");
	assert_says("It is up again after 3 good probes, and gets less than "
	    "its share for 10.0s then (slow_start).");
	assert_says("It gets no writes while it is down.");
}
END_TEST

/* The first cause stays, whatever was seen since. */
START_TEST(the_cause_outlives_later_evidence)
{
	report(0, HEALTH_NOT_READY);
	report(0, HEALTH_REFUSED);
	listen_to(0, &rules);
	assert_says("saw: it was starting up or shutting down (not_ready)");
	assert_says("saw: nobody took the connection, or could be reached "
	    "(refused)");
	assert_says("2 failures since it is down.");
}
END_TEST

START_TEST(a_cause_seen_by_a_process_that_is_gone_is_told)
{
	report(0, HEALTH_REFUSED);
	mews_fleet_leave(fleet);
	listen_to(0, &rules);
	assert_says("a process that has ended (pid ");
}
END_TEST

START_TEST(an_endpoint_that_came_back)
{
	make_primary(0, 3);
	report(0, HEALTH_REFUSED);
	endpoint_verdict(fleet, 0, HEALTH_PROBE_OK,
	    endpoint_health(fleet, 0).epoch);
	listen_to(0, &rules);
	assert_says("It came back and gets less than its share for another ");
}
END_TEST

START_TEST(an_endpoint_with_limits_of_all_kinds)
{
	struct segment_endpoint *e = &fleet->segment.endpoints[0];

	make_primary(0, 3);
	make_primary(1, 4);
	budget_lower(fleet, 0);
	segment_set_refusal(e, "28P01: no\nentry", 1);
	listen_to(0, &rules);
	assert_says("It had too many connections (53300): for another ");
	assert_says("it gets 1 at most.");
	assert_says("Logins are rejected since ");
	assert_says("28P01: no?entry");
	assert_says("It gets no writes: it is an outdated primary");
	atomic_store(&e->drained, 1);
	segment_set_refusal(e, NULL, 0);
	listen_to(0, &rules);
	assert_says("until mews enable a.");
	assert_says("It gets no writes while it is drained.");
	ck_assert_ptr_null(strstr(said, "rejected"));
	listen_to(1, &rules);
	assert_says("It may get writes");
	/* A primary that was promoted a moment ago: it is not known to be the
	 * newest. */
	segment_set_timeline(&fleet->segment.endpoints[1], 4, false);
	listen_to(1, &rules);
	assert_says("Writes wait until the timeline");
}
END_TEST

START_TEST(an_endpoint_that_is_not_a_single_server)
{
	make_primary(0, 3);
	for (int i = 0; i < MIXED_CHANGES; i++)
		see_role(0, i % 2 == 0 ? HEALTH_ROLE_STANDBY :
					 HEALTH_ROLE_PRIMARY);
	listen_to(0, &rules);
	assert_says("endpoint a is up; logins lead to a primary and to a "
	    "standby by turns, so it is no single server");
	assert_says("It gets no writes, no reads of groups with role standby");
}
END_TEST

START_TEST(a_segment_found_written_over_is_told)
{
	int64_t	now_us = clock_now_us();

	damage_mend(fleet, now_us);
	listen_to(0, &rules);
	ck_assert_msg(strstr(said, "written over") == NULL, "%s", said);
	atomic_store(&fleet->slot->connections[0], UINT32_MAX);
	damage_mend(fleet, now_us);
	listen_to(0, &rules);
	assert_says("The shared memory was found written over ");
	assert_says(" ago. The fleet put right what it knows, and measures "
	    "the rest anew; if that happens again, restart it.");
}
END_TEST

static Suite *
reasons_suite(void)
{
	Suite	*suite = suite_create("reasons");
	TCase	*tcase = unit_case(suite, "reasons");

	tcase_add_checked_fixture(tcase, make_fleet, destroy_fleet);
	tcase_add_test(tcase, an_endpoint_that_was_never_seen);
	tcase_add_test(tcase, an_endpoint_that_is_up);
	tcase_add_test(tcase, an_endpoint_that_is_suspect);
	tcase_add_test(tcase, an_endpoint_that_is_down);
	tcase_add_test(tcase, the_cause_outlives_later_evidence);
	tcase_add_test(tcase, a_cause_seen_by_a_process_that_is_gone_is_told);
	tcase_add_test(tcase, an_endpoint_that_came_back);
	tcase_add_test(tcase, an_endpoint_that_is_not_a_single_server);
	tcase_add_test(tcase, an_endpoint_with_limits_of_all_kinds);
	tcase_add_test(tcase, a_segment_found_written_over_is_told);
	return suite;
}

UNIT_MAIN(reasons_suite)
