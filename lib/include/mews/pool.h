/*
 * mews/pool.h - one process' private connections, and its place in a loop.
 *
 * The pool brings no event loop and forces none on the host. The host
 *
 *	- is told by watch() which descriptors to wait for,
 *	- calls mews_pool_ready() for each that became ready,
 *	- calls mews_pool_tick() right before it waits, and waits no longer
 *	  than the milliseconds that this returned.
 *
 * Queries are sent in mews_pool_tick(): what was asked for during one turn
 * of the loop leaves together. A host without a loop gives no watch() and
 * uses the blocking calls, which poll(2) the pool's own descriptors.
 *
 * A pool belongs to the thread that opened it: a call from another one is
 * refused by an assertion. After a fork the child's copy refuses every call
 * with MEWS_INVALID; the first such call closes the copy's descriptors, and
 * sends nothing to the servers.
 */
#ifndef MEWS_POOL_H
#define MEWS_POOL_H

#include <mews/fleet.h>
#include <mews/status.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

struct mews_pool;
struct mews_group;

#define MEWS_WATCH_READ	 1
#define MEWS_WATCH_WRITE 2

/**
 * Wait for @events (MEWS_WATCH_READ, MEWS_WATCH_WRITE or both) on @fd; 0: no
 * longer. Replaces what was asked for this descriptor before. Runs inside
 * calls into the pool; must not call it. The wait is level-triggered.
 *
 * A descriptor that is no longer needed is given up with 0 before any callback
 * of the host runs and before control returns to the host. If the server closed
 * the connection, libpq has closed the descriptor by then: epoll(7) forgot it,
 * so ignore EBADF and ENOENT of epoll_ctl(2).
 */
typedef void mews_watch_fn(void *arg, int fd, int events);

/**
 * Open this process' pool. Needs a slot (mews_fleet_join()). Returns without
 * waiting for any server: connections are made from the loop.
 *
 * @watch  NULL: the host uses the blocking calls only.
 * @out    set on MEWS_OK; end it with mews_pool_close().
 *
 * Returns MEWS_OK, MEWS_INVALID, MEWS_NOMEM or MEWS_SYSTEM.
 */
enum mews_status mews_pool_open(struct mews_pool **out,
    struct mews_fleet *fleet, mews_watch_fn *watch, void *watch_arg,
    struct mews_error *error);

/**
 * Close every connection properly (open transactions are rolled back by the
 * server) and set *pool to NULL; NULL *pool is a no-op. Queries not yet
 * ended end now, with MEWS_CANCELED, inside this call. An assertion refuses the
 * call inside one of the pool's callbacks.
 *
 * Groups and statements of the pool are gone. A lease that is still held
 * becomes a shell, which refuses everything and is to be ended nevertheless.
 *
 * In a fork's copy this only frees memory: no callback runs, and nothing is
 * sent.
 */
void mews_pool_close(struct mews_pool **pool);

/**
 * Something happened on @fd. Errors and hang-ups are MEWS_WATCH_READ.
 * Callbacks run in here. A descriptor that is not the pool's, or an event
 * that is over by now, does no harm.
 */
void mews_pool_ready(struct mews_pool *pool, int fd, int events);

/**
 * Send what this turn asked for, act on deadlines, beat. Callbacks run in here;
 * an assertion refuses the call inside one of them.
 *
 * Returns the milliseconds until it must be called again; 0: at once. -1 in
 * a fork's copy only.
 */
int mews_pool_tick(struct mews_pool *pool);

/**
 * One turn of a loop, for hosts that have none: send, wait for descriptors
 * with poll(2), and act. Waits no longer than @timeout_ms (-1: no limit) and
 * than until the next deadline.
 *
 * A host of blocking calls may stay away for as long as it likes. Meanwhile its
 * idle connections stay open and it probes nothing; a turn with timeout 0,
 * every second or so, looks after both.
 *
 * Returns MEWS_OK; MEWS_INVALID: inside a callback, or in a fork's copy; or
 * MEWS_CANCELED: mews_pool_interrupt() was called, see mews/wait.h.
 */
enum mews_status mews_pool_turn(struct mews_pool *pool, int timeout_ms);

/** The group of that name, or NULL. Lives as long as the pool. */
struct mews_group *mews_pool_group(struct mews_pool *pool, const char *name);

/**
 * Why the last call on this group, or on a lease of it, returned something
 * else than MEWS_OK without giving a result: a sentence; "" if none did.
 * Lives until the next such call.
 */
const char *mews_group_message(const struct mews_group *group);

/* A group as it is now: exact, this worker's share only. */
struct mews_group_stats {
	uint32_t connections; /* open, or being opened */
	uint32_t idle;	      /* ready, nothing in flight */
	uint32_t leased;
	uint32_t in_flight; /* queries sent and not ended */
	uint32_t waiting;   /* queries and leases */
	uint64_t queries;   /* ended, ever */
	uint64_t errors;    /* of these, not MEWS_OK */
	uint64_t resent;    /* reads sent once more after a lost connection */
	uint64_t opened;    /* connections ever made */
};

/**
 * Fill @stats, of @size bytes: sizeof(*stats), so that it can grow.
 *
 * Returns MEWS_OK, or MEWS_INVALID in a fork's copy: all is zero then.
 */
enum mews_status mews_group_stats(const struct mews_group *group,
    struct mews_group_stats *stats, size_t size);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif

#endif
