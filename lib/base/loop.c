/*
 * loop.c - turning the loop: what is due, who may use it. The table of its
 * descriptors is in watch.c.
 */
#include "base/loop.h"

#include "base/forked.h"
#include "base/status.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

_Thread_local char loop_thread;

/* A fork's copy shares its descriptors with the parent: replace them by dead
 * ones. */
static void
abandon(struct loop *loop)
{
	int	null = open("/dev/null", O_RDWR | O_CLOEXEC);

	loop->abandoned = true;
	for (size_t i = 0; i < loop->watches.count; i++) {
		const struct watch *watch = &loop->watches.all[i];

		if (watch->lent)
			continue;
		if (null != -1)
			dup3(null, watch->fd, O_CLOEXEC);
		else
			close(watch->fd);
	}
	if (null != -1)
		close(null);
}

bool
loop_refuse(struct loop *loop)
{
	assert(loop != NULL && "mews: a pool is there after mews_pool_open() "
	    "and until mews_pool_close()");
	assert((*loop->owner == NULL || loop->closing ||
	    *loop->owner == &loop_thread) &&
	    "mews: a pool is used by the thread that opened it only");
	if (*loop->owner == NULL && !loop->abandoned)
		abandon(loop);
	return false;
}

enum mews_status
loop_open(struct loop *loop, mews_watch_fn *watch, void *watch_arg,
    loop_tick_fn *tick, void *who, struct mews_error *error)
{
	int64_t	now_us = clock_now_us();

	*loop = (struct loop) {
		.owner = forked_mark(&loop_thread),
		.now_us = now_us,
		.blocking = watch == NULL,
		/* Due now: the first tick looks at everything. */
		.due_us = now_us,
		.attended_us = now_us,
		.tick = tick,
		.who = who,
		.watches = { .fn = watch, .arg = watch_arg },
	};
	if (loop->owner == NULL)
		return status_set(error, MEWS_SYSTEM,
		    "cannot map a page that forks find empty: %s",
		    strerror(errno));
	return MEWS_OK;
}

void
loop_disown(struct loop *loop)
{
	if (loop->abandoned)
		loop->watches.fn = NULL; /* the parent's loop, not ours */
	else if (loop->owner != NULL)
		*loop->owner = (const char *)loop;
	loop->closing = true;
	loop->depth++; /* callbacks run until the end */
}

void
loop_close(struct loop *loop)
{
	forked_free(&loop->owner);
	watch_free(&loop->watches);
}

int64_t
loop_read_clock(struct loop *loop)
{
	loop->now_us = clock_now_us();
	loop->now_stale = false;
	return loop->now_us;
}

bool
loop_watch_lent(struct loop *loop, int fd, int events, watch_fn *fn, void *who)
{
	if (!watch_set(&loop->watches, fd, events, fn, who))
		return false;
	watch_find(&loop->watches, fd)->lent = true;
	return true;
}

/* Wait with poll(2), and call the functions of what became ready. */
static void
wait_ready(struct loop *loop, int timeout_ms)
{
	size_t	count = watch_poll(&loop->watches, timeout_ms);

	for (size_t i = 0; i < count; i++) {
		int	fd, events = watch_ready(&loop->watches, i, &fd);

		if (events != 0)
			loop_ready(loop, fd, events);
	}
}

int
loop_tick(struct loop *loop)
{
	int64_t	away_us, left_us;

	assert(loop->depth == 0 &&
	    "mews: a callback of the pool cannot turn its loop");
	loop->depth++;
	loop->blocking = false;
	away_us = loop_now(loop) - loop->attended_us;
	loop->away_us = away_us > LOOP_AWAY_US ? away_us : 0;
	/* The host was away: read first what servers sent meanwhile, so that
	 * none is taken for silent. */
	if (loop->away_us > 0)
		wait_ready(loop, 0);
	loop->looked_us = loop->away_us > 0 ? loop_now(loop) :
	    loop->ticked_us;
	loop->before_us = loop->ticked_us;
	loop->ticked_us = loop_now(loop);
	loop->tick(loop->who);
	loop->depth--;
	loop->now_stale = true;
	loop->attended_us = loop->due_us;
	left_us = loop->due_us - loop->now_us;
	return left_us <= 0 || loop->hurry ? 0 : (int)((left_us + 999) / 1000);
}

void
loop_ready(struct loop *loop, int fd, int events)
{
	const struct watch *watch;

	if (!loop_admit(loop) ||
	    (watch = watch_find(&loop->watches, fd)) == NULL ||
	    watch->events == 0)
		return;
	loop->depth++;
	watch->fn(watch->who, events);
	/* The host works on before the next call: read the clock anew then. */
	if (--loop->depth == 0)
		loop->now_stale = true;
}

/* End a turn: a host without a loop attends to the pool again at its next
 * call. */
static void
leave(struct loop *loop)
{
	loop->now_stale = true;
	if (loop->watches.fn == NULL)
		loop->attended_us = clock_now_us();
}

void
loop_turn(struct loop *loop, int timeout_ms)
{
	int	due = loop_tick(loop);

	if (timeout_ms >= 0 && timeout_ms < due)
		due = timeout_ms;
	wait_ready(loop, due);
	leave(loop);
}

bool
loop_wait(struct loop *loop, const bool *done, int64_t until_us)
{
	while (!*done) {
		int	due = loop_tick(loop);

		if (*done)
			break;
		if (atomic_load_explicit(&loop->interrupted,
			memory_order_relaxed))
			break;
		wait_ready(loop, due);
		if (loop->now_us >= until_us)
			break;
	}
	leave(loop);
	loop->blocking = loop->watches.fn == NULL;
	return *done;
}
