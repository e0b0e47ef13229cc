/*
 * loop.h - the turns of one thread: the clock, what is due, descriptors.
 *
 * The loop knows no other room. Its owner gives it one function to run in each
 * turn; others register a descriptor with a function and its argument. A turn:
 *
 *	loop_tick()	read the clock, run the owner's function, say when next
 *	the host waits	or loop_turn() and loop_wait(), with poll(2)
 *	loop_ready()	tell whoever registered a descriptor that is ready
 *
 * A loop belongs to the thread that opened it. In a forked child it is a copy,
 * which is refused; at the first refusal the descriptors of its table are made
 * dead, because a word on them would be said in the parent's name.
 */
#ifndef LIB_BASE_LOOP_H
#define LIB_BASE_LOOP_H

#include "base/clock.h"
#include "base/watch.h"

#include <stdatomic.h>

/* The work of the owner in each turn. */
typedef void loop_tick_fn(void *who);

struct loop {
	const char *volatile *owner; /* &loop_thread of the thread that owns the
					loop, on a page that a fork finds
					empty */
	bool abandoned; /* a fork's copy, its descriptors replaced by dead
			   ones */
	bool closing;	/* loop_disown() was called */

	int64_t now_us; /* of this turn */
	bool now_stale; /* the host waited since: read the clock */
	bool blocking;	/* the host has no loop: only blocking calls turn this
			   one */
	bool hurry;	/* a tick is wanted now */
	atomic_bool interrupted; /* by the host: a blocking call ends */
	unsigned depth; /* > 0: inside ready, tick or a blocking call */
	int64_t due_us; /* no deadline is earlier */
	int64_t ticked_us;   /* the last tick */
	int64_t before_us;   /* the tick before that */
	int64_t away_us;     /* how late the host came to this tick; or 0 */
	int64_t looked_us;   /* the last look at all descriptors: see
				patience.h */
	int64_t attended_us; /* until then the host was not expected to call */

	loop_tick_fn *tick;
	void *who;
	struct watches watches;
};

#define LOOP_NEVER   INT64_MAX
#define LOOP_AWAY_US 5000 /* a host later than that was away */

/* Has another address in each thread: the quickest way to tell threads
 * apart. */
extern _Thread_local char loop_thread
    __attribute__((tls_model("initial-exec"), visibility("hidden")));

/* For this thread; @watch: the host's, or NULL. However it ends, loop_close()
 * is due. */
enum mews_status loop_open(struct loop *loop, mews_watch_fn *watch,
    void *watch_arg, loop_tick_fn *tick, void *who, struct mews_error *error);

/* Refuse the loop to every thread from now on, this one too: its owner
 * closes. */
void loop_disown(struct loop *loop);
void loop_close(struct loop *loop);

/* Refuse this thread the loop: false. Asserts if @loop is NULL or another
 * thread's; in a fork's copy replaces the descriptors by dead ones. */
bool loop_refuse(struct loop *loop);

/* Admit this thread, if the loop is its own and not closing; else as
 * loop_refuse(). */
static inline bool
loop_admit(struct loop *loop)
{
	return *loop->owner == &loop_thread || loop_refuse(loop);
}

/* Something is due at @at_us: do not wait beyond it. */
static inline void
loop_due(struct loop *loop, int64_t at_us)
{
	if (at_us < loop->due_us)
		loop->due_us = at_us;
}

int64_t loop_read_clock(struct loop *loop);

/* The clock, read once per turn. */
static inline int64_t
loop_now(struct loop *loop)
{
	return loop->now_stale ? loop_read_clock(loop) : loop->now_us;
}

/* A host without a loop calls, perhaps after a long time away. Calls in quick
 * succession count as one turn, in which no connection is looked at. */
static inline void
loop_arrive(struct loop *loop)
{
	if (loop->watches.fn == NULL && loop->depth == 0 &&
	    !loop->now_stale && clock_now_us() - loop->now_us > LOOP_AWAY_US)
		loop->now_stale = true;
}

/* Have @fn called with @who for @events on @fd, which is @who's until
 * loop_forget(). */
static inline bool
loop_watch(struct loop *loop, int fd, int events, watch_fn *fn, void *who)
{
	return watch_set(&loop->watches, fd, events, fn, who);
}

/* As loop_watch(), for a descriptor that a fork's copy may go on using. */
bool loop_watch_lent(struct loop *loop, int fd, int events, watch_fn *fn,
    void *who);

/* Give @fd up, before it is closed, if it is still @who's. */
static inline void
loop_forget(struct loop *loop, int fd, const void *who)
{
	watch_end(&loop->watches, fd, who);
}

/* After a failed call of libpq, whose connection has @socket now: if libpq
 * closed *@fd, give it up and set it to -1. */
static inline void
loop_closed(struct loop *loop, int socket, int *fd, const void *who)
{
	watch_closed(&loop->watches, socket, fd, who);
}

/* See mews_pool_tick(), mews_pool_ready() and mews_pool_turn(). */
int loop_tick(struct loop *loop);
void loop_ready(struct loop *loop, int fd, int events);
void loop_turn(struct loop *loop, int timeout_ms);

/* Was the loop interrupted since the last look? */
static inline bool
loop_take_interrupt(struct loop *loop)
{
	return atomic_load_explicit(&loop->interrupted,
	    memory_order_relaxed) && atomic_exchange(&loop->interrupted, false);
}

/* Turn until *@done is set, @until_us is over, or an interrupt. Returns
 * *@done. */
bool loop_wait(struct loop *loop, const bool *done, int64_t until_us);

#endif
