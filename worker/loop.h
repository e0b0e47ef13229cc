/*
 * loop.h - the pool's place in a libev loop.
 *
 * One per pool. The pool says through loop_watch() what it waits for; the
 * worker calls loop_turn() right before libev waits.
 */
#ifndef WORKER_LOOP_H
#define WORKER_LOOP_H

#include <ev.h>
#include <mews/pool.h>

struct loop;

/** NULL: out of memory. */
struct loop *loop_open(struct ev_loop *ev);
/** Close it after the pool; sets *loop to NULL, NULL *loop is a no-op. */
void loop_close(struct loop **loop);

/** A mews_watch_fn; @loop is the struct loop. */
void loop_watch(void *loop, int fd, int events);
/** The pool that was opened with it. NULL: there is none (any more). */
void loop_set_pool(struct loop *loop, struct mews_pool *pool);
/** Send what was asked for, act on deadlines, and set the next one. */
void loop_turn(struct loop *loop);

#endif
