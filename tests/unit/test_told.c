/*
 * test_told.c - what a fleet tells the next one, which has a segment of its
 * own, and how many connections both have together.
 *
 * The endpoint "a" has a cap of 5, "b" has none.
 */
#include "inside_fleet.h"

#include "base/clock.h"
#include "fleet/budget.h"
#include "fleet/endpoint.h"
#include "fleet/record.h"

#define WORKERS 4
#define CAP	5U
#define ROUNDS	150

static struct mews_fleet *before, *first, *after;

/* The fleet before, and the fleet after, with another segment. */
static void
make_fleets(void)
{
	const struct mews_endpoint_config endpoints[] = {
		{ .name = "a", .conninfo = "host=127.0.0.1 port=1",
		  .max_connections = CAP },
		{ .name = "b", .conninfo = "host=/nowhere port=1" },
	};
	const struct mews_group_config group = { .name = "g" };
	const struct mews_config config = {
		.abi = MEWS_ABI, .instance = "test", .workers = WORKERS,
		.endpoints = endpoints, .endpoint_count = 2,
		.groups = &group, .group_count = 1,
	};

	before = fleet_of(NULL, WORKERS, CAP);
	first = fleet_of(NULL, 2 * WORKERS, CAP);
	ck_assert_int_eq(mews_fleet_renew(&after, first, &config, NULL),
	    MEWS_OK);
	ck_assert_int_eq(mews_fleet_turn(after), MEWS_TURN_NEXT);
}

static void
destroy_fleets(void)
{
	mews_fleet_destroy(&after);
	mews_fleet_destroy(&first);
	mews_fleet_destroy(&before);
}

static void
pass_on(bool lend)
{
	char	line[MEWS_FLEET_TOLD];

	for (uint32_t i = 0; mews_fleet_tell(before, i, lend, line); i++)
		ck_assert_msg(mews_fleet_hear(after, line) == MEWS_OK, "%s",
		    line);
}

static struct segment_endpoint *
of(struct mews_fleet *fleet, uint32_t at)
{
	return &fleet->segment.endpoints[at];
}

START_TEST(what_is_known_of_a_server_is_told)
{
	struct segment_endpoint *a = of(before, 0), *b = of(before, 1);

	endpoint_report(before, 0, HEALTH_REFUSED, 0);
	endpoint_see_role(before, 1, HEALTH_ROLE_STANDBY, 0);
	endpoint_report(before, 1, HEALTH_CONNECTED, 0);
	segment_set_timeline(b, 7, true);
	atomic_store(&b->drained, 1);
	atomic_store(&b->measured_ms, 1);
	atomic_store(&b->lag_ms, 12);
	atomic_store(&b->lag_bytes, 345);
	mixed_inherit(&a->mixed, 0);
	pass_on(false);
	ck_assert_int_eq(endpoint_health(after, 0).state, HEALTH_DOWN);
	ck_assert_uint_eq(endpoint_health(after, 0).failures, 1);
	ck_assert(mixed_is(&of(after, 0)->mixed));
	ck_assert_uint_eq(atomic_load(&of(after, 0)->cause), HEALTH_REFUSED);
	ck_assert_int_eq(endpoint_health(after, 1).state, HEALTH_UP);
	ck_assert_int_eq(endpoint_health(after, 1).role, HEALTH_ROLE_STANDBY);
	ck_assert_uint_eq(atomic_load(&of(after, 1)->timeline),
	    7 | SEGMENT_PROVEN);
	ck_assert_uint_eq(atomic_load(&of(after, 1)->lag_ms), 12);
	ck_assert_uint_eq(atomic_load(&of(after, 1)->lag_bytes), 345);
	ck_assert_uint_eq(atomic_load(&of(after, 1)->drained), 1);
	/* All connections are still those of the fleet before. */
	ck_assert_uint_eq(budget_elsewhere(&after->segment, 0), CAP);
	mews_fleet_inherit(after);
	ck_assert_uint_eq(budget_elsewhere(&after->segment, 0), 0);
}
END_TEST

/* The next probe comes when it would have come before. */
START_TEST(the_time_of_the_next_probe_is_told)
{
	const struct health down = { .state = HEALTH_DOWN, .failures = 9,
		.retry_ms = (uint32_t)segment_ms(&before->segment,
		    clock_now_us()) + 20000 };
	uint32_t		wait;

	health_inherit(&of(before, 0)->health, down);
	pass_on(false);
	wait = endpoint_health(after, 0).retry_ms -
	    (uint32_t)segment_ms(&after->segment, clock_now_us());
	ck_assert_uint_le(wait, 20000);
	ck_assert_uint_gt(wait, 10000);
}
END_TEST

START_TEST(own_evidence_stays_until_there_is_news)
{
	endpoint_report(before, 0, HEALTH_CONNECTED, 0);
	pass_on(false);
	ck_assert_int_eq(endpoint_health(after, 0).state, HEALTH_UP);
	endpoint_report(after, 0, HEALTH_REFUSED, 0);
	pass_on(false);
	ck_assert_int_eq(endpoint_health(after, 0).state, HEALTH_DOWN);
	/* An operator's drain is told as well. */
	atomic_store(&of(before, 1)->drained, 1);
	pass_on(false);
	atomic_store(&of(after, 1)->drained, 0);
	pass_on(false);
	ck_assert_uint_eq(atomic_load(&of(after, 1)->drained), 0);
	/* A fleet that serves believes its own evidence. */
	mews_fleet_switch(after);
	endpoint_report(before, 0, HEALTH_REFUSED, 0);
	health_inherit(&of(after, 0)->health, (struct health) {
		.state = HEALTH_UP });
	pass_on(false);
	ck_assert_int_eq(endpoint_health(after, 0).state, HEALTH_UP);
}
END_TEST

START_TEST(health_told_of_another_address_is_not_taken_over)
{
	static const char told[] = "name=a held=3 drained=1 state=down "
	    "role=primary server=host=127.0.0.1 port=2";

	ck_assert_int_eq(mews_fleet_hear(after, told), MEWS_OK);
	ck_assert_int_eq(endpoint_health(after, 0).state, HEALTH_UNKNOWN);
	ck_assert_uint_eq(atomic_load(&of(after, 0)->drained), 1);
	ck_assert_uint_eq(budget_elsewhere(&after->segment, 0), 3);
}
END_TEST

START_TEST(a_told_line_that_makes_no_sense_changes_nothing)
{
	static const char *const lines[] = {
		"", " ", "=", "name=a", "held=1", "name=a held=", "a held=1",
		"name=a held=x", "name=a held=-1", "name= held=1",
		"name=a held=1 x", "name=a held=1x",
	};

	for (int i = 0; i < COUNT(lines); i++)
		ck_assert_msg(mews_fleet_hear(after, lines[i]) == MEWS_INVALID,
		    "%s", lines[i]);
	ck_assert_uint_eq(budget_elsewhere(&after->segment, 0), 0);
	/* A line about an unknown endpoint, and one with fields that are not
	 * known. */
	ck_assert_int_eq(mews_fleet_hear(after, "name=z held=1"), MEWS_OK);
	ck_assert_int_eq(mews_fleet_hear(after, "moon=new name=a held=2 "
	    "state=better role=king failures=999 wait_ms=99999999999"),
	    MEWS_OK);
	ck_assert_uint_eq(budget_elsewhere(&after->segment, 0), 2);
	ck_assert_int_eq(endpoint_health(after, 0).state, HEALTH_UNKNOWN);
	ck_assert_int_eq(mews_fleet_hear(after, "name=a held=99999999999999"),
	    MEWS_OK);
	ck_assert_uint_eq(budget_elsewhere(&after->segment, 0),
	    BUDGET_ELSEWHERE_MOST);
}
END_TEST

START_TEST(random_bytes_as_told_lines_do_no_harm)
{
	char	 good[MEWS_FLEET_TOLD], *line = fenced(2048);
	uint64_t seed = 1;
	size_t	 length;

	endpoint_report(before, 0, HEALTH_REFUSED, 0);
	ck_assert(mews_fleet_tell(before, 0, false, good));
	for (int i = 0; i < 5000; i++) {
		strcpy(line, good);
		length = strlen(line);
		for (int n = (int)(dice(&seed) % 8); n >= 0; n--)
			line[dice(&seed) % length] = (char)dice(&seed);
		if (i % 50 == 0) {
			memset(line, i % 100 == 0 ? '1' : 'x', 2047);
			line[2047] = '\0';
		}
		mews_fleet_hear(after, line);
		REQUIRE(budget_elsewhere(&after->segment, 0) <=
		    BUDGET_ELSEWHERE_MOST);
		REQUIRE(endpoint_health(after, 0).state < HEALTH_STATES);
		REQUIRE(endpoint_health(after, 0).role < HEALTH_ROLES);
	}
}
END_TEST

/* Both fleets take and give as fast as they can, while one lends to the
 * other. */
struct both {
	_Atomic bool	 over;
	_Atomic unsigned held, most, had[2];
};

struct hammer {
	struct both *both;
	struct mews_fleet *fleet;
	int side;
};

static void
hammer(void *arg, int number)
{
	const struct hammer *h = arg;
	struct both	    *both = h->both;
	unsigned	     held, most;

	(void)number;
	REQUIRE(mews_fleet_join(h->fleet, NULL) == MEWS_OK);
	while (!atomic_load(&both->over)) {
		if (budget_take(h->fleet, 0) != BUDGET_OK)
			continue;
		budget_dialed(h->fleet, 0, true);
		held = atomic_fetch_add(&both->held, 1) + 1;
		most = atomic_load(&both->most);
		while (held > most && !atomic_compare_exchange_weak(
		    &both->most, &most, held))
			;
		atomic_fetch_add(&both->had[h->side], 1);
		if (held % 2 == 0)
			sched_yield();
		atomic_fetch_sub(&both->held, 1);
		budget_give(h->fleet, 0);
	}
	mews_fleet_leave(h->fleet);
}

START_TEST(the_cap_holds_for_both_fleets_together)
{
	struct both   *both = shared(sizeof(*both));
	struct hammer  old = { both, before, 0 }, new = { both, after, 1 };
	pid_t	       children[2 * WORKERS];
	unsigned       had;

	pass_on(false);
	fork_children(children, WORKERS, hammer, &old);
	fork_children(children + WORKERS, WORKERS, hammer, &new);
	for (int round = 0; round < ROUNDS; round++) {
		if (round == ROUNDS / 2)
			record_set_turn(before->segment.header, 2);
		pass_on(true);
		usleep(1000);
	}
	/* The fleet before has at most one connection left. */
	had = atomic_load(&both->had[1]);
	while (atomic_load(&both->had[1]) < had + 100)
		sched_yield();
	atomic_store(&both->over, true);
	wait_children(children, 2 * WORKERS);
	ck_assert_uint_le(atomic_load(&both->most), CAP);
	ck_assert_uint_gt(atomic_load(&both->had[0]), 0);
	ck_assert_uint_ge(budget_other(&before->segment, 0, BUDGET_AFTER),
	    CAP / 4 + 1);
	mews_fleet_take_back(before);
	ck_assert_uint_eq(budget_elsewhere(&before->segment, 0), 0);
}
END_TEST

static Suite *
told_suite(void)
{
	Suite	*suite = suite_create("told");
	TCase	*tcase = unit_case(suite, "told");

	tcase_add_checked_fixture(tcase, make_fleets, destroy_fleets);
	tcase_add_test(tcase, what_is_known_of_a_server_is_told);
	tcase_add_test(tcase, the_time_of_the_next_probe_is_told);
	tcase_add_test(tcase, own_evidence_stays_until_there_is_news);
	tcase_add_test(tcase, health_told_of_another_address_is_not_taken_over);
	tcase_add_test(tcase, a_told_line_that_makes_no_sense_changes_nothing);
	tcase_add_test(tcase, random_bytes_as_told_lines_do_no_harm);
	tcase_add_test(tcase, the_cap_holds_for_both_fleets_together);
	return suite;
}

UNIT_MAIN(told_suite)
