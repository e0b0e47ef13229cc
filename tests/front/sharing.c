/*
 * sharing.c - which worker takes the next client.
 *
 * One process plays all workers: the words of another worker are written into
 * the table by that worker's share.
 */
#include "share.h"
#include "unit.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define WORKERS 4

static struct ev_loop *ev;
static struct share_table *table;
static struct share *shares[WORKERS];
static int	listener;
static int	resumed;

static void
on_resume(void *arg)
{
	(void)arg;
	resumed++;
	ev_break(ev, EVBREAK_ALL);
}

/* Tell that the worker has @settled clients, all of which stay. */
static void
tell(struct share *share, uint32_t settled)
{
	share_tell(share, &(struct share_clients){ .settled = settled,
	    .room = true });
}

static void
open_all(void)
{
	listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	ck_assert_int_eq(listen(listener, 10), 0);
	ev = ev_loop_new(EVFLAG_AUTO);
	table = share_table_make(WORKERS + 1);	/* one place stays free */
	for (unsigned i = 0; i < WORKERS; i++) {
		shares[i] = share_open(table, i, ev, &listener, 1, on_resume,
		    NULL);
		ck_assert_ptr_nonnull(shares[i]);
	}
	resumed = 0;
}

static void
close_all(void)
{
	for (unsigned i = 0; i < WORKERS; i++)
		share_close(&shares[i]);
	ev_loop_destroy(ev);
	close(listener);
}

/* The clients of each worker, and whether the first worker takes one more. */
static const struct {
	uint32_t clients[WORKERS];
	bool takes;
} parts[] = {
	{ { 0, 0, 0, 0 }, true },
	{ { 1, 1, 1, 1 }, true },
	{ { 1, 0, 1, 1 }, false },
	{ { 1, 2, 2, 2 }, true },
	{ { 2, 3, 3, 1 }, false },
	{ { 7, 7, 8, 8 }, true },
	{ { 8, 7, 8, 8 }, false },
	{ { 18, 16, 18, 18 }, true },
	{ { 19, 16, 18, 18 }, false },
	{ { 4000000000u, 4000000000u, 4000000000u, 4000000000u }, true },
};

START_TEST(a_part_is_full_when_another_has_less)
{
	for (unsigned i = 0; i < WORKERS; i++)
		tell(shares[i], parts[_i].clients[i]);
	ck_assert_int_eq(share_takes(shares[0]), parts[_i].takes);
	ck_assert_int_eq(share_waits(shares[0]), !parts[_i].takes);
}
END_TEST

START_TEST(a_worker_that_takes_none_does_not_count)
{
	tell(shares[0], 10);
	for (unsigned i = 1; i < WORKERS; i++)
		tell(shares[i], 20);
	ck_assert(share_takes(shares[0]));
	ck_assert(!share_takes(shares[1]));
	share_tell(shares[0], &(struct share_clients){ .settled = 10,
	    .room = false });
	ck_assert(share_takes(shares[2]));
	tell(shares[0], 10);
	ck_assert(!share_takes(shares[2]));
	share_close(&shares[0]);		/* that worker drains */
	ck_assert(share_takes(shares[2]));
	tell(shares[1], 1);
	ck_assert(!share_takes(shares[2]));
	share_table_clear(table, 1);		/* that worker was killed */
	ck_assert(share_takes(shares[2]));
}
END_TEST

START_TEST(a_worker_goes_on_when_no_client_waits)
{
	tell(shares[0], 1);
	ck_assert(!share_takes(shares[0]));
	ev_run(ev, 0);
	ck_assert_int_eq(resumed, 1);
	ck_assert(!share_waits(shares[0]));
	/* No client was left waiting, so the others are counted on. */
	ck_assert(!share_takes(shares[0]));
}
END_TEST

/* Connect a client, which waits at the listener. */
static int
wait_there(void)
{
	struct sockaddr_in at;
	socklen_t	   length = sizeof(at);
	int		   client = socket(AF_INET, SOCK_STREAM, 0);

	ck_assert_int_eq(getsockname(listener, (struct sockaddr *)&at,
	    &length), 0);
	ck_assert_int_eq(connect(client, (struct sockaddr *)&at, length), 0);
	return client;
}

static int64_t
now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* How long the first worker takes clients, which must not be too many. */
static int64_t
absence_ms(void)
{
	int64_t began;

	ck_assert(!share_takes(shares[0]));
	ev_run(ev, 0);
	began = now_ms();
	while (share_takes(shares[0]))
		usleep(40000);
	return now_ms() - began;
}

START_TEST(a_worker_is_counted_on_again_soon)
{
	int64_t shortest = INT64_MAX, absence;
	int	client = wait_there();

	for (int i = 0; i < 5; i++) {
		for (unsigned n = 0; n < WORKERS; n++)
			tell(shares[n], n == 0 ? 2 : 1);
		if ((absence = absence_ms()) < shortest)
			shortest = absence;
	}
	ck_assert_int_lt(shortest, 500);
	/* An absence counts for longer if the worker stays silent. */
	for (int i = 0; i < 7; i++)
		absence = absence_ms();
	ck_assert_int_ge(absence, 1000);
	close(client);
}
END_TEST

/* How many clients the first worker takes before it waits again. */
static int
taken_at_once(void)
{
	int taken = 0;

	ck_assert(!share_takes(shares[0]));
	ev_run(ev, 0);
	while (share_takes(shares[0]))
		taken++;
	return taken;
}

START_TEST(an_absence_is_good_for_few_clients_of_a_burst)
{
	int	client = wait_there();

	for (unsigned n = 0; n < WORKERS; n++)
		tell(shares[n], n == 0 ? 1 : 0);
	ck_assert_int_le(taken_at_once(), 33);
	ck_assert_int_gt(taken_at_once(), 1);
	tell(shares[0], 1000);
	ck_assert_int_le(taken_at_once(), 126);
	close(client);
}
END_TEST

START_TEST(a_client_that_others_leave_waiting_is_taken)
{
	int	client = wait_there();

	tell(shares[0], 2);
	tell(shares[1], 1);
	tell(shares[2], 2);
	ck_assert(!share_takes(shares[0]));	/* the last worker has none */
	ev_run(ev, 0);
	ck_assert_int_eq(resumed, 1);
	ck_assert(share_takes(shares[0]));
	/* The silent worker is no longer counted on; the others are. */
	ck_assert(!share_takes(shares[0]));
	tell(shares[1], 2);
	do {
		ev_run(ev, 0);
		ck_assert(share_takes(shares[0]));
	} while (!share_takes(shares[0]));
	close(client);
}
END_TEST

START_TEST(a_worker_goes_on_as_soon_as_others_have_as_many)
{
	tell(shares[0], 1);
	ck_assert(!share_takes(shares[0]));
	for (unsigned i = 1; i < WORKERS; i++)
		tell(shares[i], 1);
	ev_run(ev, 0);
	ck_assert_int_eq(resumed, 1);
	ck_assert(share_takes(shares[0]));
}
END_TEST

START_TEST(clients_that_only_pass_are_taken)
{
	struct share_clients clients = { .settled = 4, .young = 3,
		.room = true };
	int64_t	end = now_ms() + 30000;

	for (unsigned i = 0; i < WORKERS; i++)
		tell(shares[i], 4);
	share_tell(shares[0], &clients);
	ck_assert(!share_takes(shares[0]));
	/* Clients that pass are taken two at a time and more, depending on
	 * their time. */
	do {
		clients.passed += 1000;
		clients.passed_us += 100000;
		share_tell(shares[0], &clients);
	} while (!share_takes(shares[0]));
	clients.settled = 5;	/* a client that stays counts as before */
	share_tell(shares[0], &clients);
	ck_assert(!share_takes(shares[0]));
	clients.settled = 4;
	/* Clients that passed are forgotten soon. */
	do {
		ck_assert_int_lt(now_ms(), end);
		usleep(10000);
		share_tell(shares[0], &clients);
	} while (share_takes(shares[0]));
}
END_TEST

START_TEST(a_worker_alone_takes_all)
{
	struct share *alone = share_open(NULL, 0, ev, &listener, 1, on_resume,
	    NULL);

	tell(alone, 1000);
	ck_assert(share_takes(alone));
	share_close(&alone);
	alone = share_open(table, WORKERS + 1, ev, &listener, 1, on_resume,
	    NULL);
	tell(alone, 1000);
	ck_assert(share_takes(alone));
	share_close(&alone);
}
END_TEST

static Suite *
sharing_suite(void)
{
	Suite	*suite = suite_create("sharing");
	TCase	*tcase = unit_case(suite, "sharing");

	tcase_set_timeout(tcase, 45);
	tcase_add_checked_fixture(tcase, open_all, close_all);
	tcase_add_loop_test(tcase, a_part_is_full_when_another_has_less, 0,
	    (int)(sizeof(parts) / sizeof(parts[0])));
	tcase_add_test(tcase, a_worker_that_takes_none_does_not_count);
	tcase_add_test(tcase, a_worker_goes_on_when_no_client_waits);
	tcase_add_test(tcase, a_client_that_others_leave_waiting_is_taken);
	tcase_add_test(tcase, a_worker_is_counted_on_again_soon);
	tcase_add_test(tcase, an_absence_is_good_for_few_clients_of_a_burst);
	tcase_add_test(tcase, a_worker_goes_on_as_soon_as_others_have_as_many);
	tcase_add_test(tcase, clients_that_only_pass_are_taken);
	tcase_add_test(tcase, a_worker_alone_takes_all);
	return suite;
}

UNIT_MAIN(sharing_suite)
