/*
 * test_health_races.c - one health word, changed by many processes at once.
 */
#include "inside.h"

#include "fleet/health.h"

#include <signal.h>

static const struct health_rules rules = {
	.interval = 1000, .timeout = 500, .fall = 2, .rise = 2,
};

#define EPOCH_MAX ((1U << HEALTH_EPOCH_BITS) - 1)
#define COUNT_MAX 15U /* where counted failures stay */
#define LEASE_MS  (rules.timeout + HEALTH_LEASE_SPARE)
#define PROCESSES 4U
#define ROUNDS	  300U

struct meeting {
	alignas(128) health_word word;
	alignas(128) _Atomic unsigned begin; /* the gates' rounds */
	_Atomic unsigned end;
	_Atomic unsigned won;
	_Atomic unsigned mistakes;
	_Atomic unsigned long changes;
	_Atomic unsigned long reports;
};

static void
fail_twice(void *arg, int number)
{
	static const struct health_rules own = {
		.interval = 1000, .timeout = 500, .fall = 15, .rise = 1,
	};
	struct meeting *m = arg;
	struct health	health;

	for (unsigned round = 0; round < ROUNDS; round++) {
		gate(&m->begin, PROCESSES, round);
		for (int i = 0; i < 2; i++)
			health_report(&m->word, HEALTH_PROBE_FAILED, true, 0,
			    &own, 0, 0);
		gate(&m->end, PROCESSES, 2 * round);
		health = health_get(&m->word);
		if (health.failures != 2 * PROCESSES ||
		    health.state != HEALTH_UNKNOWN)
			atomic_fetch_add(&m->mistakes, 1);
		gate(&m->end, PROCESSES, 2 * round + 1);
		if (number == 0)
			atomic_store(&m->word, 0);
	}
}

START_TEST(no_failure_is_lost_between_processes)
{
	struct meeting	*m = shared(sizeof(*m));

	in_children(PROCESSES, fail_twice, m);
	ck_assert_uint_eq(m->mistakes, 0);
}
END_TEST

static void
report_refused(void *arg, int number)
{
	struct meeting	*m = arg;

	(void)number;
	gate(&m->begin, PROCESSES, 0);
	for (int i = 0; i < 1000; i++)
		health_report(&m->word, HEALTH_REFUSED, false,
		    health_get(&m->word).epoch, &rules, 0, 0);
}

START_TEST(the_count_of_failures_stops_at_its_maximum)
{
	struct meeting	*m = shared(sizeof(*m));
	struct health	 health;

	in_children(PROCESSES, report_refused, m);
	health = health_get(&m->word);
	ck_assert_uint_eq(health.failures, COUNT_MAX);
	ck_assert_int_eq(health.state, HEALTH_DOWN);
	ck_assert_uint_eq(health.epoch, 1);	/* many processes saw one
						   death */
	ck_assert_uint_eq(health.successes, 0);
	ck_assert_int_eq(health.role, HEALTH_ROLE_UNKNOWN);
}
END_TEST

/* Roles flip, servers die and rise; the process that made a new epoch counts
 * it. */
static void
flip_and_count(void *arg, int number)
{
	static const struct health_rules own = {
		.interval = 1000, .timeout = 500, .fall = 1, .rise = 1,
	};
	struct meeting	    *m = arg;
	struct health_change change;
	uint64_t	     seed = 13 + (uint64_t)number;
	unsigned long	     changes = 0;

	gate(&m->begin, PROCESSES, 0);
	for (int i = 0; i < 20000; i++) {
		unsigned	epoch = health_get(&m->word).epoch;
		uint64_t	what = dice(&seed);

		if (what % 2 == 0)
			change = health_see_role(&m->word, what / 2 % 2 == 0 ?
			    HEALTH_ROLE_PRIMARY : HEALTH_ROLE_STANDBY, epoch);
		else
			change = health_report(&m->word, what / 2 % 2 == 0 ?
			    HEALTH_PROBE_FAILED : HEALTH_PROBE_OK, true, epoch,
			    &own, (uint32_t)i, (uint32_t)what);
		changes += (change.to.epoch - change.from.epoch) & EPOCH_MAX;
	}
	atomic_fetch_add(&m->changes, changes);
}

START_TEST(epochs_are_counted_exactly_by_many_processes)
{
	struct meeting	*m = shared(sizeof(*m));

	/* The epoch wraps in the middle of the test. */
	m->word = health_pack((struct health) { .epoch = EPOCH_MAX - 1000,
		.role = HEALTH_ROLE_PRIMARY, .state = HEALTH_UP });
	in_children(PROCESSES, flip_and_count, m);
	ck_assert_uint_gt(m->changes, 2000);
	ck_assert_uint_eq(health_get(&m->word).epoch,
	    (EPOCH_MAX - 1000 + m->changes) & EPOCH_MAX);
}
END_TEST

static void
race_for_the_lease(void *arg, int number)
{
	struct meeting *m = arg;
	uint32_t	now = UINT32_MAX - 100000; /* the clock wraps as well */

	(void)number;
	for (unsigned round = 0; round < ROUNDS; round++) {
		gate(&m->begin, PROCESSES, round);
		if (health_lease(&m->word, HEALTH_WORKER, &rules, now,
			round % 2 == 0, now - LEASE_MS))
			atomic_fetch_add(&m->won, 1);
		gate(&m->end, PROCESSES, round);
		if (atomic_load(&m->won) != round + 1)
			atomic_fetch_add(&m->mistakes, 1);
		now += LEASE_MS;
	}
}

START_TEST(a_race_for_the_probe_lease_has_one_winner)
{
	struct meeting	*m = shared(sizeof(*m));

	m->word = health_pack((struct health) { .state = HEALTH_DOWN,
		.retry_ms = UINT32_MAX - 100000 });
	in_children(PROCESSES, race_for_the_lease, m);
	ck_assert_uint_eq(m->mistakes, 0);
	ck_assert_uint_eq(m->won, ROUNDS);
}
END_TEST

static void
report_forever(void *arg, int number)
{
	struct meeting	*m = arg;
	uint64_t	 seed = 14 + (uint64_t)number;

	for (;;) {
		health_report(&m->word, (enum health_evidence)
		    (dice(&seed) % HEALTH_EVIDENCES), number % 2 == 0,
		    health_get(&m->word).epoch, &rules, 1, 2);
		atomic_fetch_add(&m->reports, 1);
	}
}

START_TEST(a_process_killed_while_reporting_stops_no_other)
{
	struct meeting	*m = shared(sizeof(*m));
	pid_t		 children[PROCESSES];
	unsigned long	 reports;
	unsigned	 epoch;

	for (int round = 0; round < 10; round++) {
		reports = atomic_load(&m->reports);
		fork_children(children, PROCESSES, report_forever, m);
		while (atomic_load(&m->reports) < reports + 1000)
			sched_yield();
		for (unsigned i = 0; i < PROCESSES; i++)
			kill(children[i], SIGKILL);
		for (unsigned i = 0; i < PROCESSES; i++)
			waitpid(children[i], NULL, 0);
		epoch = health_get(&m->word).epoch;
		health_report(&m->word, HEALTH_REFUSED, false, epoch, &rules,
		    1, 2);
		ck_assert_int_eq(health_get(&m->word).state, HEALTH_DOWN);
		epoch = health_get(&m->word).epoch;
		for (int i = 0; i < 2; i++)
			health_report(&m->word, HEALTH_PROBE_OK, true, epoch,
			    &rules, 1, 2);
		ck_assert_int_eq(health_get(&m->word).state, HEALTH_UP);
	}
}
END_TEST

static Suite *
health_races_suite(void)
{
	Suite	*suite = suite_create("health races");
	TCase	*tcase = unit_case(suite, "processes");

	tcase_add_test(tcase, no_failure_is_lost_between_processes);
	tcase_add_test(tcase, the_count_of_failures_stops_at_its_maximum);
	tcase_add_test(tcase, epochs_are_counted_exactly_by_many_processes);
	tcase_add_test(tcase, a_race_for_the_probe_lease_has_one_winner);
	tcase_add_test(tcase, a_process_killed_while_reporting_stops_no_other);
	return suite;
}

UNIT_MAIN(health_races_suite)
