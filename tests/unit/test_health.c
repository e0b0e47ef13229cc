/*
 * test_health.c - the rules of an endpoint's health. When it is probed:
 * test_health_lease.c; many processes at once: test_health_races.c.
 */
#include "inside.h"

#include "fleet/health.h"

static const struct health_rules rules = {
	.interval = 1000, .timeout = 500, .fall = 2, .rise = 2,
};

#define EPOCH_MAX ((1U << HEALTH_EPOCH_BITS) - 1)
#define COUNT_MAX 15U /* where counted failures and successes stay */

/* When the next probe may begin. */
enum retry {
	KEPT,	 /* as before */
	AT_ONCE, /* at once: no verdict is waited for */
	SOON,	 /* after a quarter of the interval, to make sure */
	LATER,	 /* after an interval */
	BACKOFF	 /* at random, later with each failure */
};

/* The effect of each kind of evidence on each state, with 2 failures to fall
 * and 2 successes to rise, none of them counted yet. */
static const struct {
	enum health_state to;
	bool epoch; /* a new epoch begins */
	enum retry retry;
	int failures; /* counted afterwards; -1: as before */
} table[HEALTH_STATES][HEALTH_EVIDENCES] = {
	[HEALTH_UNKNOWN] = {
		[HEALTH_NOTHING] = { HEALTH_UNKNOWN, false, KEPT, -1 },
		[HEALTH_PROBE_OK] = { HEALTH_UP, false, LATER, 0 },
		[HEALTH_PROBE_FAILED] = { HEALTH_UNKNOWN, false, SOON, 1 },
		[HEALTH_CONNECTED] = { HEALTH_UP, false, LATER, 0 },
		[HEALTH_REFUSED] = { HEALTH_DOWN, true, BACKOFF, 1 },
		[HEALTH_NOT_READY] = { HEALTH_DOWN, true, BACKOFF, 1 },
		[HEALTH_LOST] = { HEALTH_UNKNOWN, false, KEPT, -1 },
		[HEALTH_SHUTDOWN] = { HEALTH_UNKNOWN, false, KEPT, -1 },
		[HEALTH_WATCHDOG] = { HEALTH_UNKNOWN, false, KEPT, -1 },
		[HEALTH_CONNECT_TIMEOUT] = { HEALTH_UNKNOWN, false, KEPT, -1 },
		[HEALTH_STALL] = { HEALTH_UNKNOWN, false, KEPT, -1 },
		[HEALTH_REJECTED] = { HEALTH_UP, false, LATER, 0 },
		[HEALTH_TOO_MANY] = { HEALTH_UP, false, LATER, 0 },
		[HEALTH_ROLE_CHANGED] = { HEALTH_UNKNOWN, false, KEPT, -1 },
		[HEALTH_MOVED] = { HEALTH_UNKNOWN, true, KEPT, -1 },
		[HEALTH_REPORTED] = { HEALTH_UNKNOWN, false, KEPT, -1 },
	},
	[HEALTH_UP] = {
		[HEALTH_NOTHING] = { HEALTH_UP, false, KEPT, -1 },
		[HEALTH_PROBE_OK] = { HEALTH_UP, false, LATER, 0 },
		[HEALTH_PROBE_FAILED] = { HEALTH_SUSPECT, false, SOON, 1 },
		[HEALTH_CONNECTED] = { HEALTH_UP, false, KEPT, -1 },
		[HEALTH_REFUSED] = { HEALTH_DOWN, true, BACKOFF, 1 },
		[HEALTH_NOT_READY] = { HEALTH_DOWN, true, BACKOFF, 1 },
		[HEALTH_LOST] = { HEALTH_SUSPECT, false, AT_ONCE, 0 },
		[HEALTH_SHUTDOWN] = { HEALTH_SUSPECT, false, AT_ONCE, 0 },
		[HEALTH_WATCHDOG] = { HEALTH_SUSPECT, false, AT_ONCE, 0 },
		[HEALTH_CONNECT_TIMEOUT] = { HEALTH_SUSPECT, false, AT_ONCE,
		  0 },
		[HEALTH_STALL] = { HEALTH_SUSPECT, false, AT_ONCE, 0 },
		[HEALTH_REJECTED] = { HEALTH_UP, false, KEPT, -1 },
		[HEALTH_TOO_MANY] = { HEALTH_UP, false, KEPT, -1 },
		[HEALTH_ROLE_CHANGED] = { HEALTH_UP, false, KEPT, -1 },
		[HEALTH_MOVED] = { HEALTH_UP, true, KEPT, -1 },
		[HEALTH_REPORTED] = { HEALTH_SUSPECT, false, AT_ONCE, 0 },
	},
	[HEALTH_SUSPECT] = {
		[HEALTH_NOTHING] = { HEALTH_SUSPECT, false, KEPT, -1 },
		[HEALTH_PROBE_OK] = { HEALTH_UP, false, LATER, 0 },
		[HEALTH_PROBE_FAILED] = { HEALTH_SUSPECT, false, SOON, 1 },
		[HEALTH_CONNECTED] = { HEALTH_UP, false, LATER, 0 },
		[HEALTH_REFUSED] = { HEALTH_DOWN, true, BACKOFF, 1 },
		[HEALTH_NOT_READY] = { HEALTH_DOWN, true, BACKOFF, 1 },
		[HEALTH_LOST] = { HEALTH_SUSPECT, false, KEPT, -1 },
		[HEALTH_SHUTDOWN] = { HEALTH_SUSPECT, false, KEPT, -1 },
		[HEALTH_WATCHDOG] = { HEALTH_SUSPECT, false, KEPT, -1 },
		[HEALTH_CONNECT_TIMEOUT] = { HEALTH_SUSPECT, false, KEPT, -1 },
		[HEALTH_STALL] = { HEALTH_SUSPECT, false, KEPT, -1 },
		[HEALTH_REJECTED] = { HEALTH_UP, false, LATER, 0 },
		[HEALTH_TOO_MANY] = { HEALTH_UP, false, LATER, 0 },
		[HEALTH_ROLE_CHANGED] = { HEALTH_SUSPECT, false, KEPT, -1 },
		[HEALTH_MOVED] = { HEALTH_SUSPECT, true, KEPT, -1 },
		[HEALTH_REPORTED] = { HEALTH_SUSPECT, false, KEPT, -1 },
	},
	[HEALTH_DOWN] = {
		[HEALTH_NOTHING] = { HEALTH_DOWN, false, KEPT, -1 },
		[HEALTH_PROBE_OK] = { HEALTH_DOWN, false, SOON, -1 },
		[HEALTH_PROBE_FAILED] = { HEALTH_DOWN, false, BACKOFF, 1 },
		[HEALTH_CONNECTED] = { HEALTH_DOWN, false, KEPT, -1 },
		[HEALTH_REFUSED] = { HEALTH_DOWN, false, BACKOFF, 1 },
		[HEALTH_NOT_READY] = { HEALTH_DOWN, false, BACKOFF, 1 },
		[HEALTH_LOST] = { HEALTH_DOWN, false, KEPT, -1 },
		[HEALTH_SHUTDOWN] = { HEALTH_DOWN, false, KEPT, -1 },
		[HEALTH_WATCHDOG] = { HEALTH_DOWN, false, KEPT, -1 },
		[HEALTH_CONNECT_TIMEOUT] = { HEALTH_DOWN, false, KEPT, -1 },
		[HEALTH_STALL] = { HEALTH_DOWN, false, KEPT, -1 },
		[HEALTH_REJECTED] = { HEALTH_DOWN, false, KEPT, -1 },
		[HEALTH_TOO_MANY] = { HEALTH_DOWN, false, KEPT, -1 },
		[HEALTH_ROLE_CHANGED] = { HEALTH_DOWN, false, KEPT, -1 },
		[HEALTH_MOVED] = { HEALTH_DOWN, true, KEPT, -1 },
		[HEALTH_REPORTED] = { HEALTH_DOWN, false, KEPT, -1 },
	},
};

/* The verdict of a probe, at a time that does not matter. */
static struct health
verdict(struct health health, enum health_evidence evidence,
    const struct health_rules *with)
{
	return health_next(health, evidence, true, with, 0, 0);
}

static void
assert_retry(enum retry retry, struct health from, struct health to,
    uint32_t now)
{
	uint32_t	wait = to.retry_ms - now;

	switch (retry) {
	case KEPT:
		ck_assert_uint_eq(to.retry_ms, from.retry_ms);
		break;
	case AT_ONCE:
		ck_assert_uint_eq(wait, 0);
		break;
	case SOON:
		ck_assert_uint_eq(wait, rules.interval / 4);
		break;
	case LATER:
		/* Jitter keeps many endpoints from being probed at the same
		 * time. */
		ck_assert_uint_ge(wait, rules.interval * 9 / 10);
		ck_assert_uint_le(wait, rules.interval * 11 / 10);
		break;
	case BACKOFF:
		ck_assert_uint_ge(wait, HEALTH_BACKOFF_LEAST);
		ck_assert_uint_le(wait, HEALTH_BACKOFF_FIRST);
		break;
	}
}

START_TEST(each_kind_of_evidence_has_its_effect)
{
	enum health_state    state = (enum health_state)(_i / HEALTH_EVIDENCES);
	enum health_evidence evidence =
	    (enum health_evidence)(_i % HEALTH_EVIDENCES);
	uint64_t	     seed = 3;

	for (int round = 0; round < 100; round++) {
		uint32_t	now = (uint32_t)dice(&seed);
		struct health	to, from = health_unpack(dice(&seed));
		bool		probe;

		from.state = state;
		from.failures = from.successes = 0;
		probe = round % 2 == 0;
		to = health_next(from, evidence, probe, &rules, now,
		    (uint32_t)dice(&seed));
		ck_assert_str_eq(health_state_name(to.state),
		    health_state_name(table[state][evidence].to));
		ck_assert_uint_eq(to.epoch, (from.epoch +
		    (table[state][evidence].epoch ? 1 : 0)) & EPOCH_MAX);
		ck_assert_int_eq(to.role, from.role);
		if (table[state][evidence].failures != -1)
			ck_assert_uint_eq(to.failures,
			    (unsigned)table[state][evidence].failures);
		else
			ck_assert_uint_eq(to.failures, from.failures);
		ck_assert_uint_eq(to.successes, state == HEALTH_DOWN &&
		    evidence == HEALTH_PROBE_OK ? 1 : 0);
		/* A probe that runs keeps its lease until its verdict. */
		ck_assert_int_eq(to.probing, from.probing && !probe);
		assert_retry(to.probing ? KEPT : table[state][evidence].retry,
		    from, to, now);
	}
}
END_TEST

START_TEST(unknown_evidence_changes_nothing)
{
	uint64_t	seed = 4;

	for (int round = 0; round < 1000; round++) {
		struct health	from = health_unpack(dice(&seed)), to;

		to = health_next(from, (enum health_evidence)
		    (HEALTH_EVIDENCES + dice(&seed) % 1000), false, &rules, 1,
		    2);
		REQUIRE(health_pack(from) == health_pack(to));
	}
}
END_TEST

/* Soft evidence, and any answer, even an unfriendly one, are no verdict. */
START_TEST(only_a_probe_or_a_refusal_is_a_verdict)
{
	uint64_t	seed = 5;

	for (int round = 0; round < 10000; round++) {
		struct health	     from = health_unpack(dice(&seed)), to;
		enum health_evidence evidence =
		    (enum health_evidence)(dice(&seed) % HEALTH_EVIDENCES);

		to = health_next(from, evidence, round % 2 == 0, &rules,
		    (uint32_t)dice(&seed), (uint32_t)dice(&seed));
		if (from.state != HEALTH_DOWN && to.state == HEALTH_DOWN)
			REQUIRE(evidence == HEALTH_PROBE_FAILED ||
			    evidence == HEALTH_REFUSED ||
			    evidence == HEALTH_NOT_READY);
		if (from.state == HEALTH_DOWN && to.state != HEALTH_DOWN)
			REQUIRE(evidence == HEALTH_PROBE_OK);
	}
}
END_TEST

START_TEST(an_endpoint_falls_after_so_many_failed_probes)
{
	const struct health_rules own = {
		.interval = 1000, .timeout = 500, .fall = (unsigned)_i,
		.rise = 1,
	};
	static const enum health_state begin[] = {
		HEALTH_UNKNOWN, HEALTH_UP, HEALTH_SUSPECT,
	};

	for (int b = 0; b < COUNT(begin); b++) {
		struct health	health = { .state = begin[b] };

		for (unsigned i = 1; i < own.fall; i++) {
			health = verdict(health, HEALTH_PROBE_FAILED, &own);
			ck_assert_int_ne(health.state, HEALTH_DOWN);
			ck_assert_uint_eq(health.failures, i);
			ck_assert_uint_eq(health.epoch, 0);
		}
		health = verdict(health, HEALTH_PROBE_FAILED, &own);
		ck_assert_int_eq(health.state, HEALTH_DOWN);
		ck_assert_uint_eq(health.epoch, 1);
	}
}
END_TEST

START_TEST(an_endpoint_rises_after_so_many_good_probes)
{
	const struct health_rules own = {
		.interval = 1000, .timeout = 500, .fall = 1,
		.rise = (unsigned)_i,
	};
	struct health	health = { .state = HEALTH_DOWN, .failures = 9 };

	/* One success short of rising, then a failure: counting begins
	 * again. */
	for (int round = 0; round < 2; round++) {
		for (unsigned i = 1; i < own.rise; i++) {
			health = verdict(health, HEALTH_PROBE_OK, &own);
			ck_assert_int_eq(health.state, HEALTH_DOWN);
			ck_assert_uint_eq(health.successes, i);
		}
		if (round == 0) {
			health = verdict(health, HEALTH_PROBE_FAILED, &own);
			ck_assert_uint_eq(health.successes, 0);
		}
	}
	health = verdict(health, HEALTH_PROBE_OK, &own);
	ck_assert_int_eq(health.state, HEALTH_UP);
	ck_assert_uint_eq(health.failures, 0);
	ck_assert_uint_eq(health.successes, 0);
	ck_assert_uint_eq(health.epoch, 1);
}
END_TEST

/* Two processes probed the server while it was dead; the report of the slower
 * one is late. */
START_TEST(stale_reports_of_an_outage_are_ignored)
{
	const struct health dead = { .state = HEALTH_DOWN, .epoch = 7 };
	health_word	    word = health_pack(dead);

	for (unsigned i = 0; i < rules.rise; i++)
		health_report(&word, HEALTH_PROBE_OK, true, 7, &rules, 0, 0);
	ck_assert_int_eq(health_get(&word).state, HEALTH_UP);
	health_report(&word, HEALTH_REFUSED, true, 7, &rules, 0, 0);
	health_report(&word, HEALTH_PROBE_FAILED, true, 7, &rules, 0, 0);
	ck_assert_int_eq(health_get(&word).state, HEALTH_UP);
	ck_assert_uint_eq(health_get(&word).failures, 0);
}
END_TEST

START_TEST(a_good_probe_forgives_the_failed_ones)
{
	struct health	health = { .state = HEALTH_UP };

	for (int i = 0; i < 100; i++) {
		health = verdict(health, HEALTH_PROBE_FAILED, &rules);
		ck_assert_int_eq(health.state, HEALTH_SUSPECT);
		health = verdict(health, HEALTH_PROBE_OK, &rules);
		ck_assert_int_eq(health.state, HEALTH_UP);
	}
	ck_assert_uint_eq(health.epoch, 0);
}
END_TEST

/* Back-off is 1 s, doubled by each failure up to 30 s, however many failures it
 * took to fall. */
START_TEST(backoff_doubles_with_full_jitter)
{
	static const uint32_t most[] = {
		1000, 2000, 4000, 8000, 16000, 30000, 30000, 30000,
	};
	const struct health_rules own = {
		.interval = 1000, .timeout = 500, .fall = (unsigned)_i,
		.rise = 1,
	};
	struct health	health = { .state = HEALTH_UP };
	uint64_t	seed = 6;

	for (unsigned i = 1; i < own.fall; i++)
		health = verdict(health, HEALTH_PROBE_FAILED, &own);
	for (int death = 0; death < 40; death++) {
		uint32_t	bound = most[death < COUNT(most) ? death :
		    COUNT(most) - 1];
		uint32_t	least = UINT32_MAX, longest = 0, wait;

		for (int i = 0; i < 500; i++) {
			uint32_t	now = (uint32_t)dice(&seed);

			wait = health_next(health, HEALTH_PROBE_FAILED, true,
			    &own, now, (uint32_t)dice(&seed)).retry_ms - now;
			least = wait < least ? wait : least;
			longest = wait > longest ? wait : longest;
		}
		ck_assert_uint_ge(least, HEALTH_BACKOFF_LEAST);
		ck_assert_uint_le(longest, bound);
		/* Jitter uses all of its range. */
		ck_assert_uint_lt(least, HEALTH_BACKOFF_LEAST + bound / 20);
		ck_assert_uint_gt(longest, bound - bound / 20);
		health = verdict(health, HEALTH_PROBE_FAILED, &own);
		ck_assert_int_eq(health.state, HEALTH_DOWN);
	}
	ck_assert_uint_eq(health.failures, COUNT_MAX);
	ck_assert_uint_eq(health.epoch, 1);
}
END_TEST

START_TEST(the_epoch_wraps)
{
	struct health	health = { .state = HEALTH_UP, .epoch = EPOCH_MAX,
		.role = HEALTH_ROLE_PRIMARY };

	ck_assert_uint_eq(verdict(health, HEALTH_REFUSED, &rules).epoch, 0);
	ck_assert_uint_eq(health_next_role(health,
	    HEALTH_ROLE_STANDBY).epoch, 0);
}
END_TEST

START_TEST(each_health_word_survives_unpacking_and_packing)
{
	uint64_t	seed = 7;

	for (int i = 0; i < 30000; i++) {
		uint64_t	word = dice(&seed);
		struct health	health = health_unpack(word);

		REQUIRE((unsigned)health.state < HEALTH_STATES);
		REQUIRE((unsigned)health.role < HEALTH_ROLES);
		REQUIRE(health.epoch <= EPOCH_MAX);
		REQUIRE(health_pack(health) == word);
	}
	REQUIRE(health_pack(health_unpack(0)) == 0);
	REQUIRE(health_unpack(0).state == HEALTH_UNKNOWN);
	REQUIRE(health_pack(health_unpack(UINT64_MAX)) == UINT64_MAX);
}
END_TEST

START_TEST(a_change_of_role_begins_an_epoch_but_the_first_sight_does_not)
{
	for (int from = 0; from < HEALTH_ROLES; from++)
		for (int to = 0; to < HEALTH_ROLES; to++) {
			const struct health health = {
				.state = HEALTH_SUSPECT, .failures = 3,
				.successes = 4, .epoch = 5, .retry_ms = 6,
				.role = (enum health_role)from,
			};
			struct health wanted = health;
			health_word   word = health_pack(health);
			struct health_change change;

			wanted.role = (enum health_role)to;
			if (from != to && from != HEALTH_ROLE_UNKNOWN)
				wanted.epoch++;
			change = health_see_role(&word, wanted.role, 5);
			ck_assert_uint_eq(word, health_pack(wanted));
			ck_assert_uint_eq(health_pack(change.from),
			    health_pack(health));
			ck_assert_uint_eq(health_pack(change.to), word);
			ck_assert_uint_eq(health_pack(health_next_role(health,
			    wanted.role)), word);
		}
}
END_TEST

START_TEST(a_report_of_another_epoch_is_ignored)
{
	uint64_t	seed = 8;

	for (int i = 0; i < 10000; i++) {
		uint64_t	     before = dice(&seed);
		health_word	     word = before;
		struct health_change change;
		unsigned	     epoch = health_unpack(before).epoch;
		unsigned	     other = (unsigned)dice(&seed) & EPOCH_MAX;

		if (other == epoch)
			other = (epoch - 1) & EPOCH_MAX;
		change = health_report(&word, (enum health_evidence)
		    (dice(&seed) % HEALTH_EVIDENCES), false, other, &rules, 1,
		    2);
		REQUIRE(word == before);
		REQUIRE(health_pack(change.from) == before);
		REQUIRE(health_pack(change.to) == before);
		change = health_see_role(&word, (enum health_role)
		    (dice(&seed) % HEALTH_ROLES), other);
		REQUIRE(word == before);
		REQUIRE(health_pack(change.to) == before);
	}
}
END_TEST

START_TEST(a_verdict_of_another_epoch_ends_its_lease_only)
{
	uint64_t	seed = 15;

	for (int i = 0; i < 10000; i++) {
		struct health	from = health_unpack(dice(&seed));
		health_word	word = health_pack(from);

		health_report(&word, (enum health_evidence)
		    (dice(&seed) % HEALTH_EVIDENCES), true,
		    (from.epoch + 1) & EPOCH_MAX, &rules, 1, 2);
		from.probing = false;
		REQUIRE(word == health_pack(from));
	}
}
END_TEST

START_TEST(a_report_applies_the_rule_to_the_shared_word)
{
	uint64_t	seed = 9;

	for (int i = 0; i < 10000; i++) {
		uint64_t	     before = dice(&seed);
		health_word	     word = before;
		struct health	     from = health_unpack(before);
		enum health_evidence evidence =
		    (enum health_evidence)(dice(&seed) % HEALTH_EVIDENCES);
		bool		     probe = i % 2 == 0;
		struct health_change change = health_report(&word, evidence,
		    probe, from.epoch, &rules, 77, 88);

		REQUIRE(word == health_pack(health_next(from, evidence, probe,
		    &rules, 77, 88)));
		REQUIRE(health_pack(change.from) == before);
		REQUIRE(health_pack(change.to) == word);
		REQUIRE(health_pack(health_get(&word)) == word);
	}
}
END_TEST

START_TEST(states_roles_and_evidence_have_names)
{
	const char	*names[HEALTH_EVIDENCES];

	for (int i = 0; i < HEALTH_EVIDENCES; i++) {
		names[i] = health_evidence_name((enum health_evidence)i);
		for (int j = 0; j < i; j++)
			ck_assert_str_ne(names[i], names[j]);
	}
	ck_assert_str_eq(health_state_name(HEALTH_UNKNOWN), "unknown");
	ck_assert_str_eq(health_state_name(HEALTH_UP), "up");
	ck_assert_str_eq(health_state_name(HEALTH_SUSPECT), "suspect");
	ck_assert_str_eq(health_state_name(HEALTH_DOWN), "down");
	ck_assert_str_eq(health_role_name(HEALTH_ROLE_READONLY), "readonly");
	ck_assert_str_eq(health_state_name(HEALTH_STATES), "?");
	ck_assert_str_eq(health_state_name((enum health_state)-1), "?");
	ck_assert_str_eq(health_role_name(HEALTH_ROLES), "?");
	ck_assert_str_eq(health_role_name((enum health_role)-1), "?");
	ck_assert_str_eq(health_evidence_name(HEALTH_EVIDENCES), "?");
	ck_assert_str_eq(health_evidence_name((enum health_evidence)-1), "?");
}
END_TEST

static Suite *
health_suite(void)
{
	Suite	*suite = suite_create("health");
	TCase	*tcase = unit_case(suite, "rules");

	tcase_add_loop_test(tcase, each_kind_of_evidence_has_its_effect, 0,
	    (int)HEALTH_STATES * (int)HEALTH_EVIDENCES);
	tcase_add_test(tcase, unknown_evidence_changes_nothing);
	tcase_add_test(tcase, only_a_probe_or_a_refusal_is_a_verdict);
	tcase_add_loop_test(tcase,
	    an_endpoint_falls_after_so_many_failed_probes, 1, 16);
	tcase_add_loop_test(tcase, an_endpoint_rises_after_so_many_good_probes,
	    1, 16);
	tcase_add_test(tcase, stale_reports_of_an_outage_are_ignored);
	tcase_add_test(tcase, a_good_probe_forgives_the_failed_ones);
	tcase_add_loop_test(tcase, backoff_doubles_with_full_jitter, 1, 16);
	tcase_add_test(tcase, the_epoch_wraps);
	tcase_add_test(tcase, each_health_word_survives_unpacking_and_packing);
	tcase_add_test(tcase,
	    a_change_of_role_begins_an_epoch_but_the_first_sight_does_not);
	tcase_add_test(tcase, a_report_of_another_epoch_is_ignored);
	tcase_add_test(tcase, a_verdict_of_another_epoch_ends_its_lease_only);
	tcase_add_test(tcase, a_report_applies_the_rule_to_the_shared_word);
	tcase_add_test(tcase, states_roles_and_evidence_have_names);
	return suite;
}

UNIT_MAIN(health_suite)
