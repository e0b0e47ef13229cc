/*
 * test_health_lease.c - the right to probe: one at a time, and when.
 */
#include "inside.h"

#include "fleet/health.h"

static const struct health_rules rules = {
	.interval = 1000, .timeout = 500, .fall = 2, .rise = 2,
};

#define LEASE_MS (rules.timeout + HEALTH_LEASE_SPARE)
#define ONLY_AFTER_A_CHANGE INT64_C(-1)

/* Ask for the lease as a worker does, without a monitor. */
static bool
lease(health_word *word, uint32_t now, bool panic, uint32_t probed)
{
	return health_lease(word, HEALTH_WORKER, &rules, now, panic, probed);
}

/* In how many milliseconds a lease is due; ONLY_AFTER_A_CHANGE. */
static int64_t
due_for(enum health_prober prober, struct health health, uint32_t now,
    bool panic, uint32_t probed)
{
	uint32_t	in_ms;

	return health_lease_due(health, prober, &rules, now, panic, probed,
	    &in_ms) ? in_ms : ONLY_AFTER_A_CHANGE;
}

static int64_t
lease_due(struct health health, uint32_t now, bool panic, uint32_t probed)
{
	return due_for(HEALTH_WORKER, health, now, panic, probed);
}

/* Instants of segment time, some around the end of its range after 49 days. */
static const uint32_t instants[] = {
	0, 1, 1000, INT32_MAX - 100, INT32_MAX, (uint32_t)INT32_MAX + 1,
	UINT32_MAX - 600, UINT32_MAX - 499, UINT32_MAX - 1, UINT32_MAX,
};

START_TEST(one_process_holds_the_probe_lease_until_it_expires)
{
	static const enum health_state states[] = {
		HEALTH_UNKNOWN, HEALTH_SUSPECT, HEALTH_DOWN,
	};
	uint32_t	now = instants[_i];

	for (int i = 0; i < COUNT(states); i++)
		for (int panic = 0; panic <= 1; panic++) {
			health_word word = health_pack((struct health) {
				.state = states[i], .epoch = 7, .failures = 1,
				.retry_ms = now + 100 });

			REQUIRE(!lease(&word, now + 99,
			    panic, now));
			REQUIRE(lease(&word, now + 100,
			    panic, now));
			for (uint32_t ms = 100; ms < 100 + LEASE_MS; ms++)
				REQUIRE(!lease(&word,
				    now + ms, panic, now + 100));
			REQUIRE(lease(&word, now + 100 + LEASE_MS,
			    panic, now + 100));
			/* A lease is no evidence. */
			REQUIRE(health_get(&word).state == states[i]);
			REQUIRE(health_get(&word).epoch == 7);
			REQUIRE(health_get(&word).failures == 1);
		}
}
END_TEST

START_TEST(an_endpoint_that_is_up_needs_no_probe)
{
	health_word	word = health_pack((struct health) {
		.state = HEALTH_UP, .retry_ms = 5 });

	ck_assert_int_eq(lease_due(health_get(&word), 10, false, 0),
	    ONLY_AFTER_A_CHANGE);
	ck_assert(!lease(&word, 10, false, 0));
}
END_TEST

/* A server may have changed its role meanwhile, so one that is up is probed. */
START_TEST(in_a_panic_servers_that_are_up_are_probed_too)
{
	health_word	word = health_pack((struct health) {
		.state = HEALTH_UP, .retry_ms = 5 });

	ck_assert_int_eq(lease_due(health_get(&word), 4, true, 0), 1);
	ck_assert(lease(&word, 5, true, 0));
	ck_assert(!lease(&word, 6, true, 0));
}
END_TEST

START_TEST(a_monitor_probes_servers_that_are_up_too)
{
	uint32_t	now = instants[_i];
	health_word	word = health_pack((struct health) {
		.state = HEALTH_UP, .retry_ms = now + 5 });

	ck_assert(!health_lease(&word, HEALTH_MONITOR, &rules, now + 4, false,
	    now));
	ck_assert(health_lease(&word, HEALTH_MONITOR, &rules, now + 5, false,
	    now));
	ck_assert(!health_lease(&word, HEALTH_MONITOR, &rules, now + 6, false,
	    now));
}
END_TEST

START_TEST(a_worker_leaves_the_monitor_some_time)
{
	uint32_t	now = instants[_i], late = now + HEALTH_MONITOR_SPARE;
	health_word	word = health_pack((struct health) {
		.state = HEALTH_DOWN, .retry_ms = now });

	for (int panic = 0; panic <= 1; panic++) {
		ck_assert_int_eq(due_for(HEALTH_STAND_BY, health_get(&word),
		    now, panic, now - rules.interval), HEALTH_MONITOR_SPARE);
		ck_assert(!health_lease(&word, HEALTH_STAND_BY, &rules,
		    late - 1, panic, now - rules.interval));
	}
	ck_assert_int_eq(due_for(HEALTH_MONITOR, health_get(&word), now,
	    false, now - rules.interval), 0);
	ck_assert(health_lease(&word, HEALTH_STAND_BY, &rules, late, false,
	    now - rules.interval));
	ck_assert(!health_lease(&word, HEALTH_MONITOR, &rules, late, false,
	    now - rules.interval));
}
END_TEST

/* Workers report what they see while one process probes. */
START_TEST(only_its_verdict_ends_a_probe_lease)
{
	uint64_t	seed = 16 + (uint64_t)_i;

	for (int round = 0; round < 300; round++) {
		uint32_t	began = instants[_i] + (uint32_t)round;
		struct health	health = health_unpack(dice(&seed));
		health_word	word;

		health.retry_ms = began;
		health.probing = false;
		word = health_pack(health);
		REQUIRE(health_lease(&word, HEALTH_MONITOR, &rules, began,
		    false, began));
		for (uint32_t ms = 0; ms < LEASE_MS; ms += 50) {
			health = health_get(&word);
			if (dice(&seed) % 8 == 0)
				health_see_role(&word, (enum health_role)
				    (dice(&seed) % HEALTH_ROLES),
				    health.epoch);
			else
				health_report(&word, (enum health_evidence)
				    (dice(&seed) % HEALTH_EVIDENCES), false,
				    health.epoch, &rules, began + ms,
				    (uint32_t)dice(&seed));
			REQUIRE(!health_lease(&word, HEALTH_MONITOR, &rules,
			    began + ms, dice(&seed) % 2 == 0, began));
			REQUIRE(!lease(&word, began + ms, true, began - 9999));
		}
		REQUIRE(health_lease(&word, HEALTH_MONITOR, &rules,
		    began + LEASE_MS, false, began));
	}
}
END_TEST

/* A long back-off is waited for; in a panic, one interval is. */
START_TEST(panic_probes_once_per_interval)
{
	uint32_t	now = instants[_i];
	health_word	word = health_pack((struct health) {
		.state = HEALTH_DOWN, .retry_ms = now + 30000 });

	for (uint32_t ms = 0; ms < 30000; ms++)
		REQUIRE(!lease(&word, now + ms, false, now));
	for (uint32_t ms = 0; ms < rules.interval; ms++)
		REQUIRE(!lease(&word, now + ms, true, now));
	ck_assert_int_eq(lease_due(health_get(&word), now,
	    true, now), rules.interval);
	REQUIRE(lease(&word, now + rules.interval, true,
	    now));
}
END_TEST

/*
 * Processes that look for work every millisecond, probes that fail and now and
 * then succeed, and probers that die: one probe runs at a time, and in a panic
 * a worker waits for no longer than one probe and one interval.
 */
START_TEST(an_endpoint_has_one_probe_at_a_time)
{
	uint32_t	now = instants[_i], probed = now - 100000;
	uint32_t	ends = 0, began = now;
	health_word	word = health_pack((struct health) {
		.state = HEALTH_DOWN, .retry_ms = now });
	bool		runs = false, panic = false;
	int		probes = 0;
	uint64_t	seed = 10 + (uint64_t)_i;

	for (int ms = 0; ms < 60000; ms++, now++) {
		unsigned	epoch = health_get(&word).epoch;

		if (ms % 5000 == 0)
			panic = dice(&seed) % 2 == 0;
		if (runs && now == ends) {
			runs = false;
			if (dice(&seed) % 4 != 0)
				health_report(&word, dice(&seed) % 8 == 0 ?
				    HEALTH_PROBE_OK : HEALTH_PROBE_FAILED,
				    true, epoch, &rules, now,
				    (uint32_t)dice(&seed));
			if (health_get(&word).state == HEALTH_UP)
				health_report(&word, HEALTH_LOST, false, epoch,
				    &rules, now, 0);
		}
		if (!lease(&word, now, panic, probed)) {
			if (panic && ms % 5000 > 1500)
				REQUIRE(now - began <=
				    rules.interval + LEASE_MS);
			continue;
		}
		REQUIRE(!runs);
		runs = true;
		probes++;
		probed = began = now;
		ends = now + 1 + (uint32_t)(dice(&seed) % rules.timeout);
	}
	ck_assert_int_gt(probes, 10);
}
END_TEST

/* A lease that is announced for later cannot be taken before. */
START_TEST(a_probe_lease_is_free_at_the_announced_time)
{
	uint64_t	seed = 11;

	for (int i = 0; i < 30000; i++) {
		uint32_t	now = (uint32_t)dice(&seed);
		int64_t		due;
		struct health	health = health_unpack(dice(&seed));
		uint32_t	probed = now - (uint32_t)(dice(&seed) % 3000);
		bool		panic = dice(&seed) % 2 == 0;
		health_word	word;

		health.retry_ms = now + (uint32_t)(dice(&seed) % 40000) -
		    8000;
		due = lease_due(health, now, panic, probed);
		word = health_pack(health);
		REQUIRE(lease(&word, now, panic, probed) ==
		    (due == 0));
		if (due == 0 || due == ONLY_AFTER_A_CHANGE)
			continue;
		REQUIRE(!lease(&word, now + (uint32_t)due - 1, panic,
		    probed));
		if (!panic)
			REQUIRE(lease(&word, now + (uint32_t)due,
			    panic, probed));
	}
}
END_TEST

/* A time so far ahead is set by no rule: it is garbage, or older than 24
 * days. */
START_TEST(an_impossible_retry_time_puts_nothing_off)
{
	uint32_t	now = instants[_i];
	struct health	health = { .state = HEALTH_DOWN };
	health_word	word;

	for (int bit = 17; bit <= 31; bit++) {
		health.retry_ms = now + (UINT32_C(1) << bit);
		word = health_pack(health);
		ck_assert_int_eq(lease_due(health, now, false,
		    now), 0);
		ck_assert(lease(&word, now, false, now));
	}
}
END_TEST

/* The rules use differences of times only. */
START_TEST(the_wrap_of_the_clock_changes_no_rule_of_health)
{
	uint64_t	seed = 12;

	for (int i = 0; i < 30000; i++) {
		struct health	a = health_unpack(dice(&seed)), b = a;
		uint32_t	shift = (uint32_t)dice(&seed);
		uint32_t	now = 1000000, random = (uint32_t)dice(&seed);
		uint32_t	probed = now - random % 5000;
		bool		panic = random % 2 == 0;
		enum health_evidence evidence =
		    (enum health_evidence)(dice(&seed) % HEALTH_EVIDENCES);

		a.retry_ms = now - 10000 + random % 50000;
		b.retry_ms = a.retry_ms + shift;
		REQUIRE(lease_due(a, now, panic, probed) ==
		    lease_due(b, now + shift, panic,
			probed + shift));
		a = health_next(a, evidence, i % 2 == 0, &rules, now, random);
		b = health_next(b, evidence, i % 2 == 0, &rules, now + shift,
		    random);
		a.retry_ms += shift;
		REQUIRE(health_pack(a) == health_pack(b));
	}
}
END_TEST

static Suite *
health_lease_suite(void)
{
	Suite	*suite = suite_create("health lease");
	TCase	*tcase = unit_case(suite, "lease");

	tcase_add_loop_test(tcase,
	    one_process_holds_the_probe_lease_until_it_expires, 0,
	    COUNT(instants));
	tcase_add_test(tcase, an_endpoint_that_is_up_needs_no_probe);
	tcase_add_test(tcase, in_a_panic_servers_that_are_up_are_probed_too);
	tcase_add_loop_test(tcase, a_monitor_probes_servers_that_are_up_too, 0,
	    COUNT(instants));
	tcase_add_loop_test(tcase, a_worker_leaves_the_monitor_some_time, 0,
	    COUNT(instants));
	tcase_add_loop_test(tcase, only_its_verdict_ends_a_probe_lease, 0,
	    COUNT(instants));
	tcase_add_loop_test(tcase, panic_probes_once_per_interval, 0,
	    COUNT(instants));
	tcase_add_loop_test(tcase, an_endpoint_has_one_probe_at_a_time, 0,
	    COUNT(instants));
	tcase_add_test(tcase, a_probe_lease_is_free_at_the_announced_time);
	tcase_add_loop_test(tcase, an_impossible_retry_time_puts_nothing_off, 0,
	    COUNT(instants));
	tcase_add_test(tcase, the_wrap_of_the_clock_changes_no_rule_of_health);
	return suite;
}

UNIT_MAIN(health_lease_suite)
