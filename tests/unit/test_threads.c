/*
 * test_threads.c - the segment's functions in threads that stand for the
 * processes of a fleet, as ThreadSanitizer sees threads only (tests/run
 * --threads).
 */
#include "inside_fleet.h"

#include "fleet/budget.h"
#include "fleet/endpoint.h"
#include "fleet/notice.h"
#include "fleet/orphan.h"
#include "pool/share.h"

#include <mews/view.h>
#include <pthread.h>

#define THREADS	 4
#define CHANGES	 20000
#define ROUNDS	 2000
#define CAP	 6	/* connections to the first endpoint, over all
			   threads */

struct meeting {
	struct mews_fleet *fleet;
	uint32_t changes;	/* when the test began */
	_Atomic unsigned begin;
	_Atomic unsigned ended; /* workers that have ended */
	_Atomic unsigned mistakes;
	_Atomic unsigned held;	/* connections that were granted */
};

struct thread {
	struct meeting *meeting;
	struct mews_fleet fleet; /* a fleet as one process has it, with a
				    slot */
	int number;
	void (*work)(struct thread *thread);
};

static struct meeting meeting;

static void
make_meeting(void)
{
	struct mews_fleet	*fleet = fleet_of(NULL, THREADS, CAP);

	meeting = (struct meeting) { .fleet = fleet,
		.changes = atomic_load(&fleet->segment.header->changes) };
}

static void
end_meeting(void)
{
	mews_fleet_destroy(&meeting.fleet);
}

static void
require(bool condition)
{
	if (!condition)
		atomic_fetch_add(&meeting.mistakes, 1);
}

static void *
run_thread(void *arg)
{
	struct thread	*thread = arg;

	require(mews_fleet_join(&thread->fleet, NULL) == MEWS_OK);
	gate(&meeting.begin, THREADS, 0);
	thread->work(thread);
	mews_fleet_leave(&thread->fleet);
	return NULL;
}

/* Run @first in one thread, and @others in the other ones. */
static void
in_threads(void (*first)(struct thread *), void (*others)(struct thread *))
{
	struct thread	threads[THREADS];
	pthread_t	ids[THREADS];

	for (int i = 0; i < THREADS; i++) {
		threads[i] = (struct thread) { .meeting = &meeting,
			.fleet = *meeting.fleet, .number = i,
			.work = i == 0 ? first : others };
		ck_assert_int_eq(pthread_create(&ids[i], NULL, run_thread,
		    &threads[i]), 0);
	}
	for (int i = 0; i < THREADS; i++)
		ck_assert_int_eq(pthread_join(ids[i], NULL), 0);
	ck_assert_uint_eq(meeting.mistakes, 0);
}

/* Words that must be as new as the counter of changes says. */
static void
announce_changes(struct thread *thread)
{
	struct segment_endpoint	*e = &thread->fleet.segment.endpoints[0];

	for (uint32_t i = 1; i <= CHANGES; i++) {
		segment_set_timeline(e, i, i % 2 == 0);
		atomic_store(&e->lag_bytes, i);
		endpoint_changed(&thread->fleet);
	}
}

static void
follow_changes(struct thread *thread)
{
	const struct segment *segment = &thread->fleet.segment;
	struct notice	      notice = { 0 };
	uint32_t	      told;

	do {
		told = atomic_load_explicit(&segment->header->changes,
		    memory_order_acquire) - meeting.changes;
		notice_read(&notice, segment);
		require(notice.candidates[0].timeline >= told);
		require(notice.candidates[0].lag_bytes >= told);
		require(notice.candidates[0].proven ==
		    (notice.candidates[0].timeline % 2 == 0 &&
			notice.candidates[0].timeline > 0));
	} while (told < CHANGES);
}

START_TEST(an_announced_change_is_seen)
{
	in_threads(announce_changes, follow_changes);
}
END_TEST

/* Addresses, and refusals, made of one letter each. */
static void
publish(struct thread *thread)
{
	struct segment_endpoint	*e = &thread->fleet.segment.endpoints[0];
	char	text[SEGMENT_REFUSAL_MAX + 1] = "";

	for (int i = 0; i < CHANGES; i++) {
		memset(text, 'a' + i % 26, SEGMENT_REFUSAL_MAX);
		segment_set_refusal(e, i % 10 == 0 ? NULL : text, i);
		text[SEGMENT_HOSTADDR_MAX - i % 9] = '\0';
		segment_set_address(e, text);
	}
}

static void
read_published(struct thread *thread)
{
	struct segment_endpoint	*e = &thread->fleet.segment.endpoints[0];
	char	 text[SEGMENT_REFUSAL_MAX + 1];
	uint32_t now;

	do {
		now = atomic_load(&e->address);
		segment_get_address(e, text);
		for (const char *at = text; *at != '\0'; at++)
			require(*at == text[0]);
		require(now == 0 || text[0] != '\0');
		/* A refusal may be mixed of two messages, but holds no other
		 * bytes. */
		segment_get_refusal(e, text);
		require(strspn(text, "abcdefghijklmnopqrstuvwxyz") ==
		    strlen(text));
	} while (now < CHANGES);
}

START_TEST(a_published_address_is_never_torn_between_threads)
{
	in_threads(publish, read_published);
}
END_TEST

/* Take a connection and give it back; some are left to the monitor. */
static void
connect_once(struct thread *thread, uint64_t *seed)
{
	struct mews_fleet *fleet = &thread->fleet;
	int		   index;

	if (budget_take(fleet, 0) != BUDGET_OK)
		return;
	require(atomic_fetch_add(&meeting.held, 1) < CAP);
	index = orphan_record(fleet->slot, 0, (uint32_t)dice(seed) | 1, 0);
	atomic_fetch_add(&fleet->slot->group_connections[0][0], 1);
	budget_dialed(fleet, 0, dice(seed) % 4 != 0);
	atomic_fetch_sub(&fleet->slot->group_connections[0][0], 1);
	if (dice(seed) % 16 == 0)
		orphan_leave(&fleet->segment, fleet->slot, index);
	else
		orphan_forget(fleet->slot, index);
	atomic_fetch_sub(&meeting.held, 1);
	budget_give(fleet, 0);
}

static void
see(struct thread *thread, uint64_t *seed)
{
	struct mews_fleet *fleet = &thread->fleet;
	uint32_t	   endpoint = (uint32_t)(dice(seed) % 2);
	unsigned	   epoch;

	epoch = health_get(&fleet->segment.endpoints[endpoint].health).epoch;
	switch (dice(seed) % 4) {
	case 0:
		endpoint_report(fleet, endpoint, (enum health_evidence)
		    (dice(seed) % HEALTH_EVIDENCES), epoch);
		break;
	case 1:
		endpoint_see_role(fleet, endpoint, dice(seed) % 2 == 0 ?
		    HEALTH_ROLE_PRIMARY : HEALTH_ROLE_STANDBY, epoch);
		break;
	case 2:
		if (endpoint_lease(fleet, endpoint, HEALTH_MONITOR, true, 0))
			endpoint_verdict(fleet, endpoint, dice(seed) % 2 == 0 ?
			    HEALTH_PROBE_OK : HEALTH_PROBE_FAILED, epoch);
		break;
	default:
		if (dice(seed) % 16 == 0)
			budget_lower(fleet, endpoint);
	}
}

static void
work_as_worker(struct thread *thread)
{
	struct mews_fleet *fleet = &thread->fleet;
	uint64_t	   seed = 7 + (uint64_t)thread->number;

	for (int i = 0; i < ROUNDS; i++) {
		see(thread, &seed);
		connect_once(thread, &seed);
		mews_fleet_beat(fleet);
		mews_fleet_count_requests(fleet, 1);
		/* The slot is marked as if its process had been replaced. */
		if (i % 100 == 99) {
			mews_fleet_leave(fleet);
			require(mews_fleet_join(fleet, NULL) == MEWS_OK);
		}
	}
	atomic_fetch_add(&meeting.ended, 1);
}

/* As the monitor does: end the orphans, and read all that can be shown. */
static void
work_as_monitor(struct thread *thread)
{
	struct segment		 *segment = &thread->fleet.segment;
	struct mews_view	 *view;
	struct mews_view_endpoint endpoint;
	struct mews_view_worker	  worker;
	char	 sql[ORPHAN_SQL_MAX];
	uint32_t at;

	require(mews_view_open_fleet(&view, &thread->fleet, NULL) == MEWS_OK);
	do {
		at = 0;
		while (orphan_next(segment, 0, &at, "'x'", 0, sql))
			orphan_gone(segment, at);
		require(mews_view_endpoint(view, 0, &endpoint,
		    sizeof(endpoint)));
		for (uint32_t i = 0; i < THREADS; i++)
			mews_view_worker(view, i, &worker, sizeof(worker));
		require(share_sum(&thread->fleet, 0, 0) <= CAP);
	} while (atomic_load(&meeting.ended) < THREADS - 1);
	mews_view_close(&view);
}

START_TEST(connections_of_many_threads_are_counted_exactly)
{
	const struct segment *segment = &meeting.fleet->segment;

	in_threads(work_as_monitor, work_as_worker);
	ck_assert_uint_eq(budget_sum(segment, 0), 0);
	ck_assert_uint_eq(share_sum(meeting.fleet, 0, 0), 0);
	for (uint32_t i = 0; i < segment->slot_count; i++)
		ck_assert_int_eq(segment->slots[i].pid, 0);
}
END_TEST

static Suite *
threads_suite(void)
{
	Suite	*suite = suite_create("threads");
	TCase	*tcase = unit_case(suite, "threads");

	tcase_add_checked_fixture(tcase, make_meeting, end_meeting);
	tcase_add_test(tcase, an_announced_change_is_seen);
	tcase_add_test(tcase,
	    a_published_address_is_never_torn_between_threads);
	tcase_add_test(tcase, connections_of_many_threads_are_counted_exactly);
	return suite;
}

UNIT_MAIN(threads_suite)
