/*
 * test_attach_death.c - attached processes that are killed, at any instruction:
 * the processes that are left give back their slots, exactly once.
 */
#include "inside_fleet.h"
#include "step.h"

#include "fleet/budget.h"
#include "fleet/endpoint.h"
#include "fleet/orphan.h"
#include "fleet/slots.h"

#include <pthread.h>

#define WORKERS 2
#define CAP	2

static struct mews_fleet *fleet, *guest;
static struct mews_error  error;

/* Memory that the child and its parent share. */
static struct {
	struct step step;
	_Atomic int ready;
} *both;

static struct mews_fleet *
attach(void)
{
	const struct mews_endpoint_config a = { .name = "a",
		.conninfo = "host=127.0.0.1 port=1", .max_connections = CAP };
	const struct mews_group_config g = { .name = "g" };
	const struct mews_config config = {
		.abi = MEWS_ABI, .instance = "test", .runtime_file = file,
		.endpoints = &a, .endpoint_count = 1,
		.groups = &g, .group_count = 1,
	};
	struct mews_fleet *attached;

	ck_assert_msg(mews_fleet_attach(&attached, &config, &error) ==
	    MEWS_OK, "%s", error.message);
	return attached;
}

static void
join(struct mews_fleet *own)
{
	ck_assert_msg(mews_fleet_join(own, &error) == MEWS_OK, "%s",
	    error.message);
}

static void
make_fleet(void)
{
	make_directory();
	both = shared(sizeof(*both));
	fleet = fleet_of(file, WORKERS, CAP);
}

static void
destroy_fleet(void)
{
	mews_fleet_destroy(&guest);
	mews_fleet_destroy(&fleet);
	remove_directory();
	ck_assert_int_ne(access(directory, F_OK), 0);
}

static uint32_t
slots_taken(void)
{
	uint32_t	taken = 0;

	for (uint32_t i = 0; i < fleet->segment.slot_count; i++) {
		const struct segment_slot *slot = &fleet->segment.slots[i];

		taken += atomic_load(&slot->pid) != 0 ||
		    atomic_load(&slot->holder) != 0;
	}
	return taken;
}

/* All that may be counted in a slot. */
static void
count_all(struct mews_fleet *own)
{
	if (budget_take(own, 0) == BUDGET_OK)
		budget_dialed(own, 0, true);
	/* The second connection is still dialing, if there is room for it. */
	budget_take(own, 0);
	orphan_record(own->slot, 0, 99, 0);
	mews_fleet_count_requests(own, 1);
}

/* Nothing is left but the sessions that the servers may still run. */
static void
judge(uint32_t slots, uint32_t orphans)
{
	REQUIRE(slots_taken() == slots);
	for (uint32_t i = 0; i < fleet->segment.slot_count; i++) {
		const struct segment_slot *slot = &fleet->segment.slots[i];

		if (atomic_load(&slot->pid) != 0)
			continue;
		REQUIRE(slot->requests == 0);
		REQUIRE(slot->connections[0] == 0);
		REQUIRE(slot->dialing[0] == 0);
		REQUIRE(slot->backends[0].word == 0);
	}
	ck_assert_uint_le(orphan_count(&fleet->segment, 0), orphans);
	for (uint32_t i = 0; i < SEGMENT_ORPHANS; i++)
		orphan_gone(&fleet->segment, i);
}

static void
live(void *arg, int number)
{
	struct mews_fleet *own = attach();

	(void)arg;
	(void)number;
	join(own);
	count_all(own);
	atomic_fetch_add(&both->ready, 1);
	pause();
}

/* Attach, count all that may be counted, and wait to be killed. */
static pid_t
start_guest(void (*be)(void *, int), int ready)
{
	pid_t	child;

	atomic_store(&both->ready, 0);
	fork_children(&child, 1, be, NULL);
	while (atomic_load(&both->ready) < ready) {
		ck_assert_int_eq(waitpid(child, NULL, WNOHANG), 0);
		usleep(1000);
	}
	return child;
}

/* --- who gives it back --- */

START_TEST(other_processes_give_back_the_slot_of_a_dead_one)
{
	pid_t	child = start_guest(live, 1);

	guest = attach();
	slots_tend(_i == 0 ? guest : fleet, true);
	ck_assert_uint_eq(slots_taken(), 1);
	ck_assert_uint_eq(budget_sum(&fleet->segment, 0), 2);
	/* A zombie, which is not reaped, is dead. */
	kill(child, SIGKILL);
	ck_assert_int_eq(waitid(P_PID, (id_t)child, &(siginfo_t){ 0 },
	    WEXITED | WNOWAIT), 0);
	slots_tend(_i == 0 ? guest : fleet, true);
	ck_assert_uint_eq(orphan_count(&fleet->segment, 0), 1);
	judge(0, 1);
	ck_assert_int_eq(waitpid(child, NULL, 0), child);
	ck_assert(!mews_fleet_reap(fleet, child));
	join(fleet);
	for (int i = 0; i < CAP; i++)
		ck_assert_int_eq(budget_take(fleet, 0), BUDGET_OK);
	ck_assert_int_eq(budget_take(fleet, 0), BUDGET_FULL);
}
END_TEST

/* A stopped process is not dead, however long that takes. */
START_TEST(a_stopped_process_keeps_its_slot)
{
	pid_t	child = start_guest(live, 1);

	kill(child, SIGSTOP);
	for (uint32_t i = 0; i < fleet->segment.slot_count; i++)
		atomic_store(&fleet->segment.slots[i].beat_ms, -100000);
	slots_tend(fleet, true);
	ck_assert_uint_eq(slots_taken(), 1);
	kill(child, SIGKILL);
	ck_assert_int_eq(waitpid(child, NULL, 0), child);
	slots_tend(fleet, true);
	judge(0, 1);
}
END_TEST

/* The child of a host that never reaps: the host may still do so, so its slot
 * is given back later. */
static void
live_as_child(void *arg, int number)
{
	(void)arg;
	(void)number;
	join(fleet);
	count_all(fleet);
	atomic_fetch_add(&both->ready, 1);
	pause();
}

START_TEST(a_child_that_nobody_reaps_is_given_back_as_well)
{
	pid_t	child = start_guest(live_as_child, 1);

	kill(child, SIGKILL);
	ck_assert_int_eq(waitid(P_PID, (id_t)child, &(siginfo_t){ 0 },
	    WEXITED | WNOWAIT), 0);
	guest = attach();
	slots_tend(guest, true);
	ck_assert_uint_eq(slots_taken(), 1);
	if (_i == 0) {
		ck_assert(mews_fleet_reap(fleet, child));
		judge(0, 1);
	}
	atomic_store(&fleet->segment.slots[0].beat_ms, -SLOTS_GRACE_MS);
	slots_tend(guest, true);
	judge(0, _i == 0 ? 0 : 1);
	ck_assert_int_eq(waitpid(child, NULL, 0), child);
}
END_TEST

/* --- more than one of a process --- */

static void *
live_in_thread(void *arg)
{
	join(attach());
	atomic_fetch_add(&both->ready, 1);
	pause();
	return arg;
}

static void
live_twice(void *arg, int number)
{
	pthread_t	   thread;
	struct mews_fleet *third = attach();

	(void)number;
	join(third);
	ck_assert_int_eq(pthread_create(&thread, NULL, live_in_thread, arg),
	    0);
	while (atomic_load(&both->ready) == 0)
		usleep(1000);
	/* Closing another descriptor of a lock file ends the lock of a
	 * process. */
	slots_tend(third, true);
	mews_fleet_leave(third);
	mews_fleet_destroy(&third);
	live(arg, 0);
}

START_TEST(each_thread_of_a_guest_has_a_slot)
{
	pid_t	child = start_guest(live_twice, 2);

	slots_tend(fleet, true);
	ck_assert_uint_eq(slots_taken(), 2);
	kill(child, SIGKILL);
	ck_assert_int_eq(waitpid(child, NULL, 0), child);
	slots_tend(fleet, true);
	judge(0, 1);
}
END_TEST

/* The guest forks a child, which joins; both count in their words of @both. */
static void
live_and_fork(void *arg, int number)
{
	struct mews_fleet	*own = attach();
	pid_t			 child;

	(void)arg;
	(void)number;
	join(own);
	child = fork();
	if (child == 0) {
		ck_assert_ptr_null(fleet_slot(own));
		join(own);
		atomic_fetch_add(&both->ready, 1);
		pause();
	}
	while (atomic_load(&both->ready) == 0)
		usleep(1000);
	/* A child that does not join has copies of all descriptors. */
	if (fork() == 0)
		pause();
	atomic_fetch_add(&both->ready, 1);
	pause();
}

START_TEST(a_fork_of_a_guest_does_not_keep_its_slot)
{
	pid_t	child = start_guest(live_and_fork, 2), other = 0;

	slots_tend(fleet, true);
	ck_assert_uint_eq(slots_taken(), 2);
	for (uint32_t i = 0; i < fleet->segment.slot_count; i++) {
		int32_t	pid = atomic_load(&fleet->segment.slots[i].pid);

		if (pid != 0 && pid != child)
			other = (pid_t)pid;
	}
	kill(child, SIGKILL);
	ck_assert_int_eq(waitpid(child, NULL, 0), child);
	slots_tend(fleet, true);
	ck_assert_uint_eq(slots_taken(), 1);
	kill(other, SIGKILL);
	while (slots_taken() > 0) {
		slots_tend(fleet, true);
		usleep(1000);
	}
}
END_TEST

/* --- at any instruction --- */

static void
prepare_guest(void)
{
	guest = attach();
}

static void
live_and_leave(void)
{
	if (mews_fleet_join(guest, NULL) != MEWS_OK)
		_exit(1);
	count_all(guest);
	mews_fleet_leave(guest);
}

START_TEST(a_guest_killed_anywhere_leaves_nothing)
{
	bool	more = true;
	int	seen = 0, held = 0;

	for (int at = 1; more; at += (89 + at / 16) * STEP_STRIDE) {
		pid_t	child = step_child(&both->step, prepare_guest,
		    live_and_leave);

		more = step_on(&both->step, child, at);
		step_kill(child);
		seen++;
		held += slots_taken() > 0;
		slots_tend(fleet, true);
		judge(0, 1);
		join(fleet);
		mews_fleet_leave(fleet);
	}
	ck_assert_int_gt(seen, 3);
	ck_assert_int_gt(held, seen / 4);
}
END_TEST

static void
tend(void)
{
	slots_tend(guest, true);
}

/* The process that gives back is killed meanwhile, or stopped: another one
 * gives back, and a third one that joins has a slot of its own. */
START_TEST(a_process_killed_while_giving_back_leaves_it_to_the_next)
{
	bool	more = true;
	int	seen = 0;

	for (int at = 1; more; at += (307 + at / 8) * STEP_STRIDE) {
		pid_t	child, dead = start_guest(live, 1);

		kill(dead, SIGKILL);
		ck_assert_int_eq(waitpid(dead, NULL, 0), dead);
		child = step_child(&both->step, prepare_guest, tend);
		more = step_on(&both->step, child, at);
		seen++;
		/* The stopped process has the lock, or not yet. */
		slots_tend(fleet, true);
		join(fleet);
		mews_fleet_count_requests(fleet, 7);
		if (_i == 0)
			step_kill(child);
		else
			step_end(child);
		slots_tend(fleet, true);
		ck_assert_uint_eq(fleet->slot->requests, 7);
		ck_assert_uint_eq(slots_taken(), 1);
		ck_assert_uint_eq(orphan_count(&fleet->segment, 0), 1);
		mews_fleet_leave(fleet);
		judge(0, 1);
	}
	ck_assert_int_gt(seen, 2);
}
END_TEST

/* A session is listed as an orphan before its slot forgets it; a process killed
 * in between leaves it in both, and the next one lists it once. */
START_TEST(a_session_is_listed_once)
{
	pid_t	child, dead = start_guest(live, 1);
	bool	more = true;

	kill(dead, SIGKILL);
	ck_assert_int_eq(waitpid(dead, NULL, 0), dead);
	child = step_child(&both->step, prepare_guest, tend);
	while (more && orphan_count(&fleet->segment, 0) == 0)
		more = step_on(&both->step, child, 1);
	ck_assert(more);
	ck_assert_uint_eq(slots_taken(), 1);
	step_kill(child);
	slots_tend(fleet, true);
	ck_assert_uint_eq(orphan_count(&fleet->segment, 0), 1);
	judge(0, 1);
}
END_TEST

/* The locks of a slot that was written over still tell which process lives. */
START_TEST(a_slot_of_garbage_is_cleared_or_kept)
{
	struct segment_slot	*slot;
	pid_t			 child = start_guest(live, 1);

	for (uint32_t i = 0; i < fleet->segment.slot_count; i++) {
		slot = &fleet->segment.slots[i];
		atomic_store(&slot->holder, UINT64_C(0x1234567812345679));
	}
	slots_tend(fleet, true);
	ck_assert_uint_eq(slots_taken(), 1);
	kill(child, SIGKILL);
	ck_assert_int_eq(waitpid(child, NULL, 0), child);
	slots_tend(fleet, true);
	judge(0, 1);
}
END_TEST

static Suite *
attach_death_suite(void)
{
	Suite	*suite = suite_create("attach death");
	TCase	*tcase = unit_case(suite, "deaths");

	tcase_add_checked_fixture(tcase, make_fleet, destroy_fleet);
	tcase_add_loop_test(tcase,
	    other_processes_give_back_the_slot_of_a_dead_one, 0, 2);
	tcase_add_test(tcase, a_stopped_process_keeps_its_slot);
	tcase_add_loop_test(tcase,
	    a_child_that_nobody_reaps_is_given_back_as_well, 0, 2);
	tcase_add_test(tcase, each_thread_of_a_guest_has_a_slot);
	tcase_add_test(tcase, a_fork_of_a_guest_does_not_keep_its_slot);
	tcase_add_test(tcase, a_slot_of_garbage_is_cleared_or_kept);
	if (step_possible()) {
		tcase_add_test(tcase, a_session_is_listed_once);
		tcase_add_test(tcase, a_guest_killed_anywhere_leaves_nothing);
		tcase_add_loop_test(tcase,
		    a_process_killed_while_giving_back_leaves_it_to_the_next, 0,
		    2);
	}
	return suite;
}

int
main(void)
{
	return unit_run(attach_death_suite());
}
