/*
 * pool.h - all that one worker holds: groups, connections, queries.
 *
 * One process, one thread: nothing in here is atomic. A connection that broke
 * is lost, and freed, only by the next mews_pool_tick(): code before that may
 * keep a struct conn. All else is freed by mews_pool_close().
 */
#ifndef LIB_POOL_POOL_H
#define LIB_POOL_POOL_H

#include "fleet/fleet.h"
#include "fleet/known.h"
#include "base/loop.h"
#include "fleet/notice.h"
#include "base/patience.h"
#include "monitor/probe.h"
#include "query/statement.h"
#include "query/store.h"
#include "wire/wire.h"

#include <mews/notice.h>
#include <mews/pool.h>

struct notify;

struct mews_pool {
	struct loop loop; /* first: looked at by each call */
	struct mews_fleet *fleet;
	bool told; /* news_tell() ran since the last blocking call ended */

	struct mews_group *groups;
	uint32_t group_count;
	struct known endpoints[MEWS_ENDPOINTS_MAX];
	int wake_fd;	  /* of this process' slot */
	uint32_t changes; /* of the segment, as last acted upon */
	struct notice noticed; /* the words acted upon */
	struct prober prober;

	struct notify *notify;	   /* from the first mews_listen() on, else
				      NULL */

	struct wire wire; /* of its connections */
	struct query_store store; /* of its queries */

	struct statements statements;
};

#define POOL_WISH_US	100000	 /* between wishes for a role */
#define POOL_BEAT_US	1000000	 /* at least one tick in this time */
#define POOL_YIELD_MS	100	 /* idle time, once the next generation
				    serves */
#define POOL_GRACE_US	1000000	 /* the watchdog's, above query_timeout */

/* Admit this thread to @pool, which a host gave and which may be NULL, if it is
 * the thread's and not being closed. Else replaces the descriptors of a fork's
 * copy by dead ones. */
static inline bool
pool_admit_given(struct mews_pool *pool)
{
	return (pool != NULL && *pool->loop.owner == &loop_thread) ||
	    loop_refuse(pool == NULL ? NULL : &pool->loop);
}

/* As pool_admit_given(), for a group's pool or a lease's, which is there. */
static inline bool
pool_admit(struct mews_pool *pool)
{
	return loop_admit(&pool->loop);
}

/* Something is due at @at_us: do not wait beyond it. */
static inline void
pool_due(struct mews_pool *pool, int64_t at_us)
{
	loop_due(&pool->loop, at_us);
}

/* The clock, read once per turn. */
static inline int64_t
pool_now(struct mews_pool *pool)
{
	return loop_now(&pool->loop);
}

/* See loop_arrive(). */
static inline void
pool_arrive(struct mews_pool *pool)
{
	loop_arrive(&pool->loop);
}

#endif
