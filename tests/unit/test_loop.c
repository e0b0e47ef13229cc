/*
 * test_loop.c - the loop: whom a descriptor's readiness is told to, who may
 * give it up, and what becomes of it in a fork's copy.
 */
#include "unit.h"

#include "base/loop.h"

#include <errno.h>
#include <sys/wait.h>
#include <unistd.h>

/* An owner of descriptors. */
struct hearer {
	int calls, events;
};

static struct loop   loop;
static struct hearer hearer, other;
static int	     ticks, pipes[2];

/* The last thing that the host was told. */
static struct {
	int calls, fd, events;
} host;

static void
host_watch(void *arg, int fd, int events)
{
	(void)arg;
	host.calls++;
	host.fd = fd;
	host.events = events;
}

static void
hear(void *who, int events)
{
	struct hearer	*h = who;

	h->calls++;
	h->events = events;
}

static void
count_tick(void *who)
{
	(void)who;
	ticks++;
	loop.due_us = loop_now(&loop) + 1000000;
	loop.hurry = false;
}

static void
open_loop(void)
{
	struct mews_error	error;

	memset(&hearer, 0, sizeof(hearer));
	memset(&other, 0, sizeof(other));
	memset(&host, 0, sizeof(host));
	ticks = 0;
	ck_assert_int_eq(loop_open(&loop, host_watch, NULL, count_tick, NULL,
	    &error), MEWS_OK);
	ck_assert_int_eq(pipe(pipes), 0);
	ck_assert(loop_watch(&loop, pipes[0], MEWS_WATCH_READ, hear,
	    &hearer));
	ck_assert_int_eq(host.events, MEWS_WATCH_READ);
}

static void
close_loop(void)
{
	loop_disown(&loop);
	loop_close(&loop);
	close(pipes[0]);
	close(pipes[1]);
}

START_TEST(a_ready_descriptor_is_told_to_who_registered_it)
{
	ck_assert_int_eq(write(pipes[1], "x", 1), 1);
	loop_turn(&loop, 1000);
	ck_assert_int_eq(ticks, 1);
	ck_assert_int_eq(hearer.calls, 1);
	ck_assert_int_eq(hearer.events, MEWS_WATCH_READ);
}
END_TEST

START_TEST(a_descriptor_is_given_up_only_by_its_owner)
{
	loop_forget(&loop, pipes[0], &other);
	ck_assert_int_eq(host.calls, 1);
	loop_ready(&loop, pipes[0], MEWS_WATCH_READ);
	ck_assert_int_eq(hearer.calls, 1);
	loop_forget(&loop, pipes[0], &hearer);
	ck_assert_int_eq(host.calls, 2);
	ck_assert_int_eq(host.events, 0);
	loop_ready(&loop, pipes[0], MEWS_WATCH_READ);
	ck_assert_int_eq(hearer.calls, 1);
}
END_TEST

/* libpq closed the number, and another owner opened it again. */
START_TEST(a_number_that_is_anothers_now_is_not_taken_from_it)
{
	int	fd = pipes[0];

	ck_assert(loop_watch(&loop, fd, MEWS_WATCH_READ, hear, &other));
	loop_closed(&loop, -1, &fd, &hearer);
	ck_assert_int_eq(fd, -1);
	loop_ready(&loop, pipes[0], MEWS_WATCH_READ);
	ck_assert_int_eq(hearer.calls, 0);
	ck_assert_int_eq(other.calls, 1);
}
END_TEST

START_TEST(a_paused_descriptor_is_neither_waited_for_nor_told)
{
	ck_assert(loop_watch(&loop, pipes[0], 0, hear, &hearer));
	ck_assert_int_eq(host.events, 0);
	/* poll(2) would tell the end of file without being asked for it. */
	close(pipes[1]);
	pipes[1] = -1;
	loop_turn(&loop, 0);
	loop_ready(&loop, pipes[0], MEWS_WATCH_READ);
	ck_assert_int_eq(hearer.calls, 0);
	/* The host was told once that the descriptor is given up. */
	loop_forget(&loop, pipes[0], &hearer);
	ck_assert_int_eq(host.calls, 2);
}
END_TEST

static bool
is_a_pipe(int fd)
{
	return lseek(fd, 0, SEEK_CUR) == -1 && errno == ESPIPE;
}

/* Run in the child: exit with 0 if all but the lent descriptor is dead. */
static void
look_at_the_copy(int lent)
{
	const int	calls = host.calls;

	if (loop_admit(&loop) || is_a_pipe(pipes[0]) ||
	    !is_a_pipe(lent))
		_exit(1);
	loop_disown(&loop);
	loop_forget(&loop, pipes[0], &hearer);
	loop_close(&loop);
	_exit(host.calls == calls ? 0 : 2);
}

/* A paused descriptor is dead in the copy, too. */
START_TEST(descriptors_are_dead_in_a_forks_copy_but_for_what_is_lent)
{
	int	lent[2], status;
	pid_t	pid;

	ck_assert_int_eq(pipe(lent), 0);
	ck_assert(loop_watch_lent(&loop, lent[0], MEWS_WATCH_READ, hear,
	    &other));
	if (_i == 1)
		ck_assert(loop_watch(&loop, pipes[0], 0, hear, &hearer));
	if ((pid = fork()) == 0)
		look_at_the_copy(lent[0]);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
	ck_assert(is_a_pipe(pipes[0]));
	loop_forget(&loop, lent[0], &other);
	close(lent[0]);
	close(lent[1]);
}
END_TEST

static Suite *
loop_suite(void)
{
	Suite	*suite = suite_create("loop");
	TCase	*tcase = tcase_create("loop");

	tcase_add_checked_fixture(tcase, open_loop, close_loop);
	tcase_add_test(tcase,
	    a_ready_descriptor_is_told_to_who_registered_it);
	tcase_add_test(tcase, a_descriptor_is_given_up_only_by_its_owner);
	tcase_add_test(tcase,
	    a_number_that_is_anothers_now_is_not_taken_from_it);
	tcase_add_test(tcase,
	    a_paused_descriptor_is_neither_waited_for_nor_told);
	tcase_add_loop_test(tcase,
	    descriptors_are_dead_in_a_forks_copy_but_for_what_is_lent, 0, 2);
	suite_add_tcase(suite, tcase);
	return suite;
}

UNIT_MAIN(loop_suite)
