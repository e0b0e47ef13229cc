/*
 * test_budget.c - how many connections and logins a fleet allows itself.
 *
 * The endpoint "a" has a cap of 5, "b" has none.
 */
#include "inside_fleet.h"

#include "fleet/budget.h"

#include <signal.h>

#define WORKERS 8
#define ROUNDS	50U
#define CAP	5U

static struct mews_fleet *fleet;

static void
make_fleet(void)
{
	fleet = fleet_of(NULL, WORKERS, CAP);
}

static void
destroy_fleet(void)
{
	mews_fleet_destroy(&fleet);
}

static void
join(void)
{
	ck_assert_int_eq(mews_fleet_join(fleet, NULL), MEWS_OK);
}

/* Take a connection that is open at once, if there may be one. */
static bool
take(uint32_t endpoint)
{
	if (budget_take(fleet, endpoint) != BUDGET_OK)
		return false;
	budget_dialed(fleet, endpoint, true);
	return true;
}

static uint32_t
sum(uint32_t endpoint)
{
	return budget_sum(&fleet->segment, endpoint);
}

struct meeting {
	_Atomic unsigned begin, end;
	_Atomic unsigned ready;
	_Atomic unsigned taken;
	_Atomic unsigned mistakes;
};

struct hammer {
	_Atomic unsigned begin;
	_Atomic unsigned most;
	_Atomic unsigned mistakes;
	_Atomic unsigned long taken;
	_Atomic uint64_t holders; /* one bit for each worker that holds one */
	bool forever;
};

/*
 * Take and give. In between, the worker's bit is set in a word that counts
 * independently of the budget: it never has more bits than the cap allows.
 */
static void
hammer_budget(void *arg, int number)
{
	struct hammer  *h = arg;
	const uint64_t	bit = UINT64_C(1) << number;
	unsigned	held;

	join();
	gate(&h->begin, WORKERS, 0);
	for (int i = 0; h->forever || i < 5000; i++) {
		if (!take(0))
			continue;
		held = (unsigned)__builtin_popcountll(
		    atomic_fetch_or(&h->holders, bit) | bit);
		if (held > CAP)
			atomic_fetch_add(&h->mistakes, 1);
		if (held > atomic_load(&h->most))
			atomic_store(&h->most, held);
		atomic_fetch_add(&h->taken, 1);
		atomic_fetch_and(&h->holders, ~bit);
		budget_give(fleet, 0);
	}
}

START_TEST(the_cap_is_never_exceeded)
{
	struct hammer	*h = shared(sizeof(*h));

	in_children(WORKERS, hammer_budget, h);
	ck_assert_uint_eq(h->mistakes, 0);
	ck_assert_uint_gt(h->taken, 0);
	ck_assert_uint_eq(sum(0), 0);
}
END_TEST

START_TEST(the_cap_holds_while_workers_are_killed)
{
	struct hammer  *h = shared(sizeof(*h));
	pid_t		children[WORKERS];
	uint64_t	seed = 50;
	unsigned long	before;

	h->forever = true;
	fork_children(children, WORKERS, hammer_budget, h);
	for (int round = 0; round < 20; round++) {
		int	i = (int)(dice(&seed) % WORKERS);

		before = atomic_load(&h->taken);
		while (atomic_load(&h->taken) < before + 50)
			sched_yield();
		kill(children[i], SIGKILL);
		waitpid(children[i], NULL, 0);
		atomic_fetch_and(&h->holders, ~(UINT64_C(1) << i));
		mews_fleet_reap(fleet, children[i]);
		children[i] = fork();
		ck_assert_int_ne(children[i], -1);
		if (children[i] == 0) {
			hammer_budget(h, i);
			_exit(0);
		}
	}
	for (int i = 0; i < WORKERS; i++) {
		kill(children[i], SIGKILL);
		waitpid(children[i], NULL, 0);
		mews_fleet_reap(fleet, children[i]);
	}
	ck_assert_uint_eq(h->mistakes, 0);
	ck_assert_uint_eq(sum(0), 0);
}
END_TEST

START_TEST(one_process_takes_all_connections_and_gives_them_back)
{
	join();
	for (unsigned round = 0; round < 2; round++) {
		for (unsigned i = 1; i <= CAP; i++) {
			ck_assert(take(0));
			ck_assert_uint_eq(sum(0), i);
		}
		ck_assert(!take(0));
		ck_assert_uint_eq(sum(0), CAP);
		for (unsigned i = 0; i < CAP; i++)
			budget_give(fleet, 0);
		ck_assert_uint_eq(sum(0), 0);
	}
	/* The endpoint "b" has no cap. */
	for (unsigned i = 1; i <= 1000; i++)
		ck_assert(take(1));
	ck_assert_uint_eq(sum(1), 1000);
	ck_assert_uint_eq(sum(0), 0);
	mews_fleet_leave(fleet);
	ck_assert_uint_eq(sum(1), 0);
}
END_TEST

/*
 * All workers take a connection to @endpoint at once, and hold it until all
 * have tried; more than @most at a time is a mistake. @logs_in: each stays in
 * its login meanwhile.
 */
static void
meet(struct meeting *m, uint32_t endpoint, unsigned most, bool logs_in)
{
	join();
	for (unsigned round = 0; round < ROUNDS; round++) {
		bool	took;

		gate(&m->begin, WORKERS, round);
		took = logs_in ? budget_take(fleet, endpoint) == BUDGET_OK :
		    take(endpoint);
		if (took)
			atomic_fetch_add(&m->taken, 1);
		gate(&m->end, WORKERS, 2 * round);
		if (atomic_load(&m->taken) > most)
			atomic_fetch_add(&m->mistakes, 1);
		if (took && logs_in)
			budget_dialed(fleet, endpoint, false);
		if (took)
			budget_give(fleet, endpoint);
		gate(&m->end, WORKERS, 2 * round + 1);
		if (took)
			atomic_fetch_sub(&m->taken, 1);
	}
}

static void
take_at_once(void *arg, int number)
{
	(void)number;
	meet(arg, 0, CAP, false);
}

START_TEST(a_race_for_the_last_connection_exceeds_nothing)
{
	struct meeting	*m = shared(sizeof(*m));

	in_children(WORKERS, take_at_once, m);
	ck_assert_uint_eq(m->mistakes, 0);
	ck_assert_uint_eq(sum(0), 0);
}
END_TEST

/* Hold @number + 1 connections until killed. */
static void
hold_some(void *arg, int number)
{
	struct meeting	*m = arg;

	join();
	for (int i = 0; i <= number; i++)
		while (!take(1))
			sched_yield();
	mews_fleet_set_state(fleet, MEWS_WORKER_READY);
	atomic_fetch_add(&m->ready, 1);
	for (;;)
		pause();
}

START_TEST(a_killed_worker_gives_back_exactly_what_it_held)
{
	struct meeting	*m = shared(sizeof(*m));
	pid_t		 children[WORKERS];
	unsigned	 held = WORKERS * (WORKERS + 1) / 2;

	fork_children(children, WORKERS, hold_some, m);
	while (atomic_load(&m->ready) < WORKERS)
		sched_yield();
	ck_assert_uint_eq(sum(1), held);
	for (int i = 0; i < WORKERS; i++) {
		ck_assert_int_eq(mews_fleet_state(fleet, children[i]),
		    MEWS_WORKER_READY);
		kill(children[i], SIGKILL);
		waitpid(children[i], NULL, 0);
		/* A connection of the dead is given back when its process is
		 * reaped, once. */
		ck_assert_uint_eq(sum(1), held);
		held -= (unsigned)i + 1;
		ck_assert(mews_fleet_reap(fleet, children[i]));
		ck_assert(!mews_fleet_reap(fleet, children[i]));
		ck_assert_uint_eq(sum(1), held);
		ck_assert_int_eq(mews_fleet_state(fleet, children[i]),
		    MEWS_WORKER_FREE);
	}
}
END_TEST

/* --- fairness --- */

static void
take_all(void *arg, int number)
{
	struct meeting	*m = arg;

	(void)number;
	join();
	while (take(0))
		atomic_fetch_add(&m->taken, 1);
	atomic_fetch_add(&m->ready, 1);
	while (atomic_load(&m->end) == 0)
		sched_yield();
}

/* Take all connections, and give back one when told. */
static void
take_all_give_one(void *arg, int number)
{
	struct meeting	*m = arg;

	(void)number;
	join();
	while (take(0))
		atomic_fetch_add(&m->taken, 1);
	atomic_fetch_add(&m->ready, 1);
	while (atomic_load(&m->begin) == 0)
		sched_yield();
	budget_give(fleet, 0);
	atomic_fetch_add(&m->ready, 1);
	while (atomic_load(&m->end) == 0)
		sched_yield();
}

START_TEST(a_newcomer_waits_until_another_process_gives_back)
{
	struct meeting	*m = shared(sizeof(*m));
	pid_t		 first;

	fork_children(&first, 1, take_all_give_one, m);
	while (atomic_load(&m->ready) == 0)
		sched_yield();
	ck_assert_uint_eq(m->taken, CAP);
	join();
	ck_assert_int_eq(budget_take(fleet, 0), BUDGET_FULL);
	ck_assert_uint_eq(sum(0), CAP);
	atomic_store(&m->begin, 1);
	while (atomic_load(&m->ready) == 1)
		sched_yield();
	ck_assert(take(0));
	ck_assert_int_eq(budget_take(fleet, 0), BUDGET_FULL);
	ck_assert_uint_eq(sum(0), CAP);
	atomic_store(&m->end, 1);
	wait_children(&first, 1);
}
END_TEST

/* A process that is alone may have all; half of its share is for a newcomer as
 * soon as a connection is given back. */
START_TEST(half_of_each_share_is_left_to_the_others)
{
	struct meeting	*m = shared(sizeof(*m));
	pid_t		 greedy;
	uint32_t	 mine = 0;

	mews_fleet_destroy(&fleet);
	fleet = fleet_of(NULL, WORKERS, 16);
	join();
	fork_children(&greedy, 1, take_all, m);
	while (atomic_load(&m->ready) == 0)
		sched_yield();
	/* The cap is 16 and there are two workers: each may be sure of 4. */
	ck_assert_uint_eq(m->taken, 12);
	while (take(0))
		mine++;
	ck_assert_uint_eq(mine, 4);
	ck_assert_uint_eq(sum(0), 16);
	atomic_store(&m->end, 1);
	wait_children(&greedy, 1);
	mews_fleet_reap(fleet, greedy);
	/* Alone again, a process may have all of them. */
	while (take(0))
		mine++;
	ck_assert_uint_eq(mine, 16);
}
END_TEST

/* --- logins at a time --- */

START_TEST(logins_are_few_at_first_and_more_as_they_succeed)
{
	const uint32_t	least = MEWS_CONNECT_BURST_DEFAULT;

	join();
	for (uint32_t i = 0; i < least; i++)
		ck_assert_int_eq(budget_take(fleet, 1), BUDGET_OK);
	ck_assert_int_eq(budget_take(fleet, 1), BUDGET_BURST);
	ck_assert_uint_eq(sum(1), least);
	/* A login that ended well makes room for itself and one more. */
	budget_dialed(fleet, 1, true);
	ck_assert_int_eq(budget_take(fleet, 1), BUDGET_OK);
	ck_assert_int_eq(budget_take(fleet, 1), BUDGET_OK);
	ck_assert_int_eq(budget_take(fleet, 1), BUDGET_BURST);
	/* A login that failed makes no room. */
	budget_dialed(fleet, 1, false);
	budget_give(fleet, 1);
	ck_assert_int_eq(budget_take(fleet, 1), BUDGET_BURST);
	ck_assert_uint_eq(sum(1), least + 1);
	ck_assert_uint_eq(fleet->segment.endpoints[1].burst, least);
	for (uint32_t i = 0; i < 10 * BUDGET_BURST_MOST; i++) {
		fleet->slot->dialing[1] = 1;
		budget_dialed(fleet, 1, true);
	}
	ck_assert_uint_eq(fleet->segment.endpoints[1].burst,
	    BUDGET_BURST_MOST);
}
END_TEST

/* Logins that last too long: the server has more to do than it can; see
 * config/SCALE.md. */
START_TEST(logins_that_are_late_let_no_more_in)
{
	struct segment_endpoint *e = &fleet->segment.endpoints[1];
	const uint32_t	least = MEWS_CONNECT_BURST_DEFAULT;

	join();
	for (uint32_t i = 0; i < 10; i++) {
		fleet->slot->dialing[1] = 1;
		budget_took(fleet, 1, BUDGET_LATE_US);
		budget_dialed(fleet, 1, true);
	}
	ck_assert_uint_eq(e->burst, least + 10);
	for (uint32_t i = 0; i < 10; i++) {
		fleet->slot->dialing[1] = 1;
		budget_took(fleet, 1, BUDGET_LATE_US + 1);
		budget_dialed(fleet, 1, true);
	}
	ck_assert_uint_eq(e->burst, least + 10);
	for (uint32_t i = 0; i < 100; i++)
		budget_took(fleet, 1, INT64_C(3000000));
	ck_assert_uint_eq(e->burst, least);
	/* On a far server each login takes many round trips, which is not
	 * load. */
	e->burst = least + 1;
	e->rtt_us = 100000;
	budget_took(fleet, 1, BUDGET_LATE_US + BUDGET_LATE_TRIPS * 100000);
	ck_assert_uint_eq(e->burst, least + 1);
}
END_TEST

static void
dial_at_once(void *arg, int number)
{
	(void)number;
	meet(arg, 1, MEWS_CONNECT_BURST_DEFAULT, true);
}

START_TEST(a_server_that_came_back_is_not_stormed)
{
	struct meeting	*m = shared(sizeof(*m));

	in_children(WORKERS, dial_at_once, m);
	ck_assert_uint_eq(m->mistakes, 0);
	ck_assert_uint_eq(sum(1), 0);
}
END_TEST

/* --- what the server allows --- */

START_TEST(a_server_that_has_too_many_is_asked_for_less)
{
	struct segment_endpoint *b = &fleet->segment.endpoints[1];

	/* Set back the fleet's birth, so that it is a minute old. */
	fleet->segment.header->made_us -= 60000000;
	join();
	for (int i = 0; i < 10; i++)
		ck_assert(take(1));
	budget_lower(fleet, 1);
	budget_give(fleet, 1);		/* the refused one */
	ck_assert_uint_eq(budget_cap(&fleet->segment, 1, 61000), 9);
	ck_assert_int_eq(budget_take(fleet, 1), BUDGET_FULL);
	budget_give(fleet, 1);
	ck_assert(take(1));
	/* The limit is lowered for a while only. */
	b->limit_ms = 30001;
	ck_assert_uint_eq(budget_cap(&fleet->segment, 1, 30000), 9);
	ck_assert_uint_eq(budget_cap(&fleet->segment, 1, 30001), 0);
	/* A time that is garbage, or long past, lowers nothing. */
	b->limit_ms = INT64_MAX;
	ck_assert_uint_eq(budget_cap(&fleet->segment, 1, 30000), 0);
	b->limit_ms = 30001;
	ck_assert_uint_eq(budget_cap(&fleet->segment, 1,
	    30001 + (INT64_C(1) << 31)), 0);
	for (int i = 0; i < 10; i++)
		ck_assert(take(1));
	ck_assert_uint_eq(sum(1), 19);
}
END_TEST

START_TEST(a_lowered_limit_counts_another_fleets_connections)
{
	/* Set back the fleet's birth, so that it is a minute old. */
	fleet->segment.header->made_us -= 60000000;
	budget_set_other(&fleet->segment, 1, BUDGET_BEFORE, 8);
	join();
	for (int i = 0; i < 3; i++)
		ck_assert(take(1));
	budget_lower(fleet, 1);
	budget_give(fleet, 1);		/* the refused one */
	ck_assert_uint_eq(budget_cap(&fleet->segment, 1, 61000), 10);
	budget_give(fleet, 1);
	ck_assert(take(1));
	ck_assert_int_eq(budget_take(fleet, 1), BUDGET_FULL);
}
END_TEST

START_TEST(a_lowered_limit_never_raises_the_cap)
{
	struct segment_endpoint *a = &fleet->segment.endpoints[0];

	a->limit_ms = 1000;
	for (uint32_t limit = 1; limit < 10; limit++) {
		a->limit = limit;
		ck_assert_uint_eq(budget_cap(&fleet->segment, 0, 999),
		    limit < CAP ? limit : CAP);
		ck_assert_uint_eq(budget_cap(&fleet->segment, 0, 1000), CAP);
	}
	/* A fleet that is refused before it has any connection asks for one. */
	join();
	budget_lower(fleet, 0);
	ck_assert_uint_eq(a->limit, 1);
	ck_assert_int_ne(a->limit_ms, 0);
}
END_TEST

static Suite *
budget_suite(void)
{
	Suite	*suite = suite_create("budget");
	TCase	*tcase = unit_case(suite, "budget");

	tcase_add_checked_fixture(tcase, make_fleet, destroy_fleet);
	tcase_add_test(tcase, the_cap_is_never_exceeded);
	tcase_add_test(tcase, a_race_for_the_last_connection_exceeds_nothing);
	tcase_add_test(tcase, the_cap_holds_while_workers_are_killed);
	tcase_add_test(tcase,
	    one_process_takes_all_connections_and_gives_them_back);
	tcase_add_test(tcase, a_killed_worker_gives_back_exactly_what_it_held);
	tcase_add_test(tcase,
	    a_newcomer_waits_until_another_process_gives_back);
	tcase_add_test(tcase, half_of_each_share_is_left_to_the_others);
	tcase_add_test(tcase, logins_are_few_at_first_and_more_as_they_succeed);
	tcase_add_test(tcase, logins_that_are_late_let_no_more_in);
	tcase_add_test(tcase, a_server_that_came_back_is_not_stormed);
	tcase_add_test(tcase, a_server_that_has_too_many_is_asked_for_less);
	tcase_add_test(tcase,
	    a_lowered_limit_counts_another_fleets_connections);
	tcase_add_test(tcase, a_lowered_limit_never_raises_the_cap);
	return suite;
}

UNIT_MAIN(budget_suite)
