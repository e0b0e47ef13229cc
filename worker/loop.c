/*
 * loop.c - the pool's place in a libev loop.
 *
 * An ev_io per descriptor, found by its number and kept for the next
 * connection that gets the same one; one ev_timer for the pool's deadline.
 */
#include "loop.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

struct loop {
	struct ev_loop *ev;
	struct mews_pool *pool;
	ev_timer deadline; /* only ends the wait: loop_turn() acts */
	ev_io **watchers; /* by descriptor; NULL: never seen */
	size_t watcher_count;
};

static void
on_ready(struct ev_loop *ev, ev_io *watcher, int revents)
{
	struct loop *loop = watcher->data;

	(void)ev;
	mews_pool_ready(loop->pool, watcher->fd,
	    (revents & EV_READ ? MEWS_WATCH_READ : 0) |
		(revents & EV_WRITE ? MEWS_WATCH_WRITE : 0));
}

static void
on_deadline(struct ev_loop *ev, ev_timer *timer, int revents)
{
	(void)ev;
	(void)timer;
	(void)revents;
}

/* The watcher of a descriptor. Without memory for it queries on the descriptor
 * would never end: give up. */
static ev_io *
watcher_of(struct loop *loop, int fd)
{
	size_t index = (size_t)fd, count = loop->watcher_count;
	ev_io **watchers;

	if (index >= count) {
		while (index >= count)
			count = count == 0 ? 64 : 2 * count;
		watchers = realloc(loop->watchers, count * sizeof(*watchers));
		if (watchers == NULL)
			abort();
		memset(watchers + loop->watcher_count, 0,
		    (count - loop->watcher_count) * sizeof(*watchers));
		loop->watchers = watchers;
		loop->watcher_count = count;
	}
	if (loop->watchers[index] == NULL) {
		if ((loop->watchers[index] = calloc(1, sizeof(ev_io))) == NULL)
			abort();
		ev_init(loop->watchers[index], on_ready);
		loop->watchers[index]->data = loop;
	}
	return loop->watchers[index];
}

void
loop_watch(void *arg, int fd, int events)
{
	struct loop *loop = arg;
	ev_io *watcher;
	int wanted = 0;

	assert(fd >= 0 && "the pool watches a descriptor");
	watcher = watcher_of(loop, fd);
	if (events & MEWS_WATCH_READ)
		wanted |= EV_READ;
	if (events & MEWS_WATCH_WRITE)
		wanted |= EV_WRITE;
	if (ev_is_active(watcher) && wanted != 0) {
		/* Of the same descriptor only the events change, which is
		 * cheaper. */
		if (watcher->events == wanted)
			return;
		ev_io_stop(loop->ev, watcher);
		ev_io_modify(watcher, wanted);
	} else {
		ev_io_stop(loop->ev, watcher);
		ev_io_set(watcher, fd, wanted);
	}
	if (wanted != 0)
		ev_io_start(loop->ev, watcher);
}

void
loop_set_pool(struct loop *loop, struct mews_pool *pool)
{
	loop->pool = pool;
}

void
loop_turn(struct loop *loop)
{
	int wait_ms;

	if (loop->pool == NULL)
		return;
	wait_ms = mews_pool_tick(loop->pool);
	ev_timer_stop(loop->ev, &loop->deadline);
	if (wait_ms < 0)
		return;
	ev_timer_set(&loop->deadline, wait_ms / 1000.0, 0.);
	ev_timer_start(loop->ev, &loop->deadline);
}

struct loop *
loop_open(struct ev_loop *ev)
{
	struct loop *loop = calloc(1, sizeof(*loop));

	if (loop == NULL)
		return NULL;
	loop->ev = ev;
	ev_init(&loop->deadline, on_deadline);
	return loop;
}

void
loop_close(struct loop **loopp)
{
	struct loop *loop = *loopp;

	if (loop == NULL)
		return;
	ev_timer_stop(loop->ev, &loop->deadline);
	for (size_t i = 0; i < loop->watcher_count; i++)
		if (loop->watchers[i] != NULL) {
			ev_io_stop(loop->ev, loop->watchers[i]);
			free(loop->watchers[i]);
		}
	free(loop->watchers);
	free(loop);
	*loopp = NULL;
}
