/*
 * test_view.c - looking at a fleet from outside, whatever its segment holds.
 */
#include "inside_fleet.h"

#include "fleet/endpoint.h"

#include <mews/view.h>

static struct mews_fleet *fleet;
static struct mews_view	 *view;
static struct mews_error  error;

static void
make_fleet(void)
{
	make_directory();
	fleet = fleet_of(file, 4, 50);
	ck_assert_msg(mews_view_open(&view, file, &error) == MEWS_OK, "%s",
	    error.message);
}

static void
destroy_fleet(void)
{
	mews_view_close(&view);
	ck_assert_ptr_null(view);
	mews_view_close(&view);
	mews_fleet_destroy(&fleet);
	remove_directory();
}

/* Set back the fleet's birth by @ms. */
static void
age_fleet(int64_t ms)
{
	fleet->segment.header->made_us -= ms * 1000;
}

START_TEST(a_view_shows_a_new_fleet)
{
	struct mews_view_fleet	  f;
	struct mews_view_endpoint e;
	struct mews_view_worker	  w;

	age_fleet(5000);
	mews_view_fleet(view, &f, sizeof(f));
	ck_assert_str_eq(f.instance, "test");
	ck_assert_int_eq(f.master_pid, 0);
	ck_assert_uint_eq(f.generation, 0);
	ck_assert_uint_eq(f.endpoint_count, 2);
	ck_assert_uint_eq(f.slot_count, 4 + FLEET_GUESTS);
	ck_assert_int_eq(f.damaged_ms, -1);
	ck_assert_int_ge(f.uptime_ms, 5000);
	ck_assert_int_lt(f.uptime_ms, 60000);
	ck_assert(mews_view_endpoint(view, 0, &e, sizeof(e)));
	ck_assert_str_eq(e.name, "a");
	ck_assert_str_eq(e.state, "unknown");
	ck_assert_str_eq(e.role, "unknown");
	ck_assert_str_eq(e.reason, "none");
	ck_assert_uint_eq(e.max_connections, 50);
	ck_assert_int_eq(e.changed_ms, -1);
	ck_assert_str_eq(e.cause, "none");
	ck_assert_int_eq(e.evidence_ms, -1);
	ck_assert_int_eq(e.probed_ms, -1);
	ck_assert_int_eq(e.returned_ms, -1);
	ck_assert_int_eq(e.rejected_ms, -1);
	ck_assert_uint_eq(e.lowered_ms, 0);
	ck_assert_uint_eq(e.retry_in_ms, 0);
	ck_assert(mews_view_endpoint(view, 1, &e, sizeof(e)));
	ck_assert_str_eq(e.name, "b");
	ck_assert_uint_eq(e.max_connections, 0);
	ck_assert(!mews_view_endpoint(view, 2, &e, sizeof(e)));
	ck_assert(!mews_view_endpoint(view, UINT32_MAX, &e, sizeof(e)));
	for (uint32_t i = 0; i < 5; i++)
		ck_assert(!mews_view_worker(view, i, &w, sizeof(w)));
	ck_assert(!mews_view_worker(view, UINT32_MAX, &w, sizeof(w)));
}
END_TEST

START_TEST(changes_are_seen_in_a_view)
{
	struct mews_view_fleet	  f;
	struct mews_view_endpoint e;
	struct mews_view_worker	  w;

	mews_fleet_set_master(fleet, 99, 3);
	ck_assert_int_eq(mews_fleet_join(fleet, &error), MEWS_OK);
	mews_fleet_set_state(fleet, MEWS_WORKER_READY);
	mews_fleet_count_requests(fleet, 7);
	fleet->slot->queries = UINT64_C(1) << 40;
	fleet->slot->errors = 2;
	fleet->slot->waiting = 3;
	fleet->slot->in_flight = 4;
	fleet->slot->connections[0] = 5;
	fleet->slot->connections[1] = 6;
	fleet->segment.slots[3].connections[0] = 10;
	endpoint_see_role(fleet, 0, HEALTH_ROLE_STANDBY, 0);
	age_fleet(10000);
	endpoint_report(fleet, 0, HEALTH_REFUSED, 0);
	/* Set back again, so that no delay of this test makes the retry due. */
	age_fleet(-2000);

	mews_view_fleet(view, &f, sizeof(f));
	ck_assert_int_eq(f.master_pid, 99);
	ck_assert_uint_eq(f.generation, 3);
	ck_assert(mews_view_endpoint(view, 0, &e, sizeof(e)));
	ck_assert_str_eq(e.state, "down");
	ck_assert_str_eq(e.role, "standby");
	ck_assert_str_eq(e.reason, "refused");
	ck_assert_uint_eq(e.epoch, 1);
	ck_assert_uint_eq(e.failures, 1);
	ck_assert_uint_gt(e.retry_in_ms, 0);
	ck_assert_uint_le(e.retry_in_ms, HEALTH_BACKOFF_FIRST + 2000);
	ck_assert_uint_eq(e.connections, 15);
	ck_assert_int_ge(e.changed_ms, 0);
	ck_assert_int_lt(e.changed_ms, 10000);
	ck_assert_str_eq(e.cause, "refused");
	ck_assert_int_eq(e.evidence_by, getpid());
	ck_assert_int_ge(e.evidence_ms, 0);
	ck_assert_int_eq(e.rejected_ms, -1);
	ck_assert(mews_view_worker(view, 0, &w, sizeof(w)));
	ck_assert_int_eq(w.pid, getpid());
	ck_assert_int_eq(w.state, MEWS_WORKER_READY);
	ck_assert_int_ge(w.uptime_ms, 8000);
	ck_assert_int_ge(w.heartbeat_age_ms, 8000);
	ck_assert_uint_eq(w.requests, 7);
	ck_assert_uint_eq(w.queries, UINT64_C(1) << 40);
	ck_assert_uint_eq(w.errors, 2);
	ck_assert_uint_eq(w.waiting, 3);
	ck_assert_uint_eq(w.in_flight, 4);
	ck_assert_uint_eq(w.connections[0], 5);
	ck_assert_uint_eq(w.connections[1], 6);
	/* A view can outlive its fleet. */
	mews_fleet_destroy(&fleet);
	ck_assert(!mews_view_worker(view, 0, &w, sizeof(w)));
	ck_assert(mews_view_endpoint(view, 0, &e, sizeof(e)));
	fleet = fleet_of(file, 4, 50);
}
END_TEST

START_TEST(worker_states_have_names)
{
	ck_assert_str_eq(mews_worker_state_name(MEWS_WORKER_FREE), "free");
	ck_assert_str_eq(mews_worker_state_name(MEWS_WORKER_STARTING),
	    "starting");
	ck_assert_str_eq(mews_worker_state_name(MEWS_WORKER_READY), "ready");
	ck_assert_str_eq(mews_worker_state_name(MEWS_WORKER_DRAINING),
	    "draining");
	ck_assert_str_eq(mews_worker_state_name((enum mews_worker_state)4),
	    "?");
	ck_assert_str_eq(mews_worker_state_name((enum mews_worker_state)-1),
	    "?");
}
END_TEST

START_TEST(a_file_that_is_no_segment_gives_no_view)
{
	struct mews_view *none = view;

	ck_assert_int_eq(mews_view_open(&none, directory, &error),
	    MEWS_INVALID);
	ck_assert_ptr_null(none);
	none = view;
	ck_assert_int_eq(mews_view_open(&none, "/nowhere/x", NULL),
	    MEWS_SYSTEM);
	ck_assert_ptr_null(none);
}
END_TEST

static void
assert_one_of(const char *name, const char *const *names)
{
	for (; *names != NULL; names++)
		if (strcmp(name, *names) == 0)
			return;
	ck_abort_msg("\"%s\" is no name", name);
}

/* Read everything that a view shows; all of it must make sense. */
static void
look_around(void)
{
	static const char *const states[] = {
		"unknown", "up", "suspect", "down", NULL,
	};
	static const char *const roles[] = {
		"unknown", "primary", "standby", "readonly", "mixed",
		NULL,
	};
	struct mews_view_fleet	  f;
	struct mews_view_endpoint e;
	struct mews_view_worker	  w;

	mews_view_fleet(view, &f, sizeof(f));
	REQUIRE(f.uptime_ms >= 0);
	REQUIRE(f.endpoint_count <= MEWS_ENDPOINTS_MAX);
	REQUIRE(f.slot_count == 4 + FLEET_GUESTS);
	REQUIRE(strnlen(f.instance, sizeof(f.instance)) <= MEWS_NAME_MAX);
	for (uint32_t i = 0; i < f.endpoint_count; i++) {
		REQUIRE(mews_view_endpoint(view, i, &e, sizeof(e)));
		REQUIRE(strnlen(e.name, sizeof(e.name)) <= MEWS_NAME_MAX);
		assert_one_of(e.state, states);
		assert_one_of(e.role, roles);
		REQUIRE(e.reason != NULL && strlen(e.reason) < 32);
		REQUIRE(e.changed_ms >= -1 && e.evidence_ms >= -1);
		REQUIRE(e.cause != NULL && strlen(e.cause) < 32);
		REQUIRE(strnlen(e.refusal, sizeof(e.refusal)) <
		    sizeof(e.refusal));
	}
	for (uint32_t i = 0; i < f.slot_count; i++) {
		if (!mews_view_worker(view, i, &w, sizeof(w)))
			continue;
		REQUIRE(w.pid > 0);
		REQUIRE(w.uptime_ms >= 0);
		REQUIRE(w.heartbeat_age_ms >= 0);
		REQUIRE(strlen(mews_worker_state_name(w.state)) < 32);
		for (uint32_t j = f.endpoint_count; j < MEWS_ENDPOINTS_MAX; j++)
			REQUIRE(w.connections[j] == 0);
	}
}

/* Overwrite all but the fields that the view checked when it was opened. */
START_TEST(garbage_in_the_segment_is_survived)
{
	struct segment	*s = &fleet->segment;
	uint64_t	 seed = 60;

	for (int round = 0; round < 1000; round++) {
		for (uint32_t i = 0; i < 2; i++)
			fill_randomly(&s->endpoints[i],
			    sizeof(s->endpoints[i]), &seed);
		for (uint32_t i = 0; i < 4; i++)
			fill_randomly(&s->slots[i], sizeof(s->slots[i]),
			    &seed);
		fill_randomly(&s->header->made_us,
		    sizeof(*s->header) - offsetof(struct segment_header,
			made_us), &seed);
		if (round % 4 == 0)
			s->header->made_us = round % 8 == 0 ? INT64_MIN :
			    INT64_MAX;
		look_around();
	}
	/* Make no name end. */
	memset(s->endpoints, 'x', 2 * sizeof(*s->endpoints));
	memset(s->header->instance, 'x', sizeof(s->header->instance));
	look_around();
}
END_TEST

/* The rest of the library reads the damaged memory as well. */
START_TEST(garbage_in_the_segment_stops_no_worker)
{
	struct segment	*s = &fleet->segment;
	uint64_t	 seed = 61;

	ck_assert_int_eq(mews_fleet_join(fleet, &error), MEWS_OK);
	for (int round = 0; round < 300; round++) {
		enum health_evidence evidence =
		    (enum health_evidence)(dice(&seed) % HEALTH_EVIDENCES);
		pid_t	pid;

		fill_randomly(s->endpoints, 2 * sizeof(*s->endpoints), &seed);
		fill_randomly(s->slots, 4 * sizeof(*s->slots), &seed);
		s->header->made_us = (int64_t)dice(&seed);
		endpoint_report(fleet, 0, evidence,
		    endpoint_health(fleet, 0).epoch);
		endpoint_see_role(fleet, 0, HEALTH_ROLE_PRIMARY,
		    endpoint_health(fleet, 0).epoch);
		endpoint_lease(fleet, 0, HEALTH_WORKER, true, 0);
		mews_fleet_beat(fleet);
		mews_fleet_count_requests(fleet, 1);
		pid = s->slots[2].pid;
		REQUIRE(mews_fleet_beat_age(fleet, pid) >= -1);
		REQUIRE(mews_fleet_reap(fleet, pid) == (pid > 0));
	}
}
END_TEST

static Suite *
view_suite(void)
{
	Suite	*suite = suite_create("view");
	TCase	*tcase = unit_case(suite, "view");

	tcase_add_checked_fixture(tcase, make_fleet, destroy_fleet);
	tcase_add_test(tcase, a_view_shows_a_new_fleet);
	tcase_add_test(tcase, changes_are_seen_in_a_view);
	tcase_add_test(tcase, worker_states_have_names);
	tcase_add_test(tcase, a_file_that_is_no_segment_gives_no_view);
	tcase_add_test(tcase, garbage_in_the_segment_is_survived);
	tcase_add_test(tcase, garbage_in_the_segment_stops_no_worker);
	return suite;
}

UNIT_MAIN(view_suite)
