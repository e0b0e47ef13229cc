/*
 * pool.h - all that one worker holds: groups, connections, queries.
 *
 * One process, one thread: nothing in here is atomic. Who may free what:
 * a connection that broke is lost by the next mews_pool_tick(), and by
 * nothing before that; so code in between may hold a struct conn without
 * fear. The rest end with mews_pool_close().
 */
#ifndef LIB_POOL_POOL_H
#define LIB_POOL_POOL_H

#include "query/deadline.h"
#include "fleet/fleet.h"
#include "base/loop.h"
#include "fleet/notice.h"
#include "base/patience.h"
#include "monitor/probe.h"
#include "query/query.h"
#include "query/statement.h"

#include <mews/notice.h>
#include <mews/pool.h>

struct conn;
struct notify;
TAILQ_HEAD(conn_list, conn);

/* A worker's knowledge of an endpoint. */
struct pool_endpoint {
	float latency_us; /* moving average of its answers */
	int64_t learned_us; /* the last of them */
	float usual_us;	  /* latency_us over some seconds; 0: not known */
	int64_t usual_at_us; /* the last look at it */
	float p99_us;	  /* running estimate */
	int64_t heard_us; /* the last byte from it */
	/* As of the last change: */
	enum health_state state;
	enum health_role role;
	int64_t ramp_from_us;  /* slow start: its share grows from then */
	int64_t ramp_until_us; /* slow start: its end */
};

struct mews_pool {
	struct loop loop; /* first: looked at by each call */
	struct mews_fleet *fleet;
	bool trim;	/* much memory was freed: give it to the system */
	void *lid;	/* with trim: memory_lid(), or NULL */

	struct mews_group *groups;
	uint32_t group_count;
	struct pool_endpoint endpoints[MEWS_ENDPOINTS_MAX];
	int wake_fd;	  /* of our slot in the fleet */
	uint32_t changes; /* of the segment, as last acted upon */
	struct notice noticed; /* then */
	struct prober prober;

	struct notify *notify;	   /* once somebody listens, else NULL */

	LIST_HEAD(, interrupt) interrupts; /* under way */

	struct conn_list to_flush; /* sent something this turn */
	struct conn_list broken;   /* to be lost in the next tick */

	struct query **queries; /* by number */
	uint32_t query_count, query_room;
	struct query_stack free_queries;
	struct query_list canceled; /* by gone_link */
	struct deadlines deadlines;
	size_t queue_bytes; /* of the queries that wait, in all groups */

	mews_notice_fn *on_notice; /* of all connections; or NULL */
	void *notice_arg;

	struct statements statements;
	LIST_HEAD(, mews_lease) shells; /* leases whose connection is gone */
	SLIST_HEAD(, mews_lease) free_leases;
};

#define POOL_NEVER	LOOP_NEVER
#define POOL_BEAT_US	1000000	 /* at least one tick in this time */
#define POOL_YIELD_MS	100	 /* idle, where the next generation serves */
#define POOL_STALL_US	20000	 /* a stall is this long at least */
#define POOL_STALL_P99	4.0F	 /* times the p99 learned */
#define POOL_HELD_US	2000	/* a query holds others up after that */
#define POOL_HELD_TIMES 3.0F	/* and so many times the mean */
#define POOL_GRACE_US	1000000	 /* of the watchdog, above query_timeout */

/* May @pool, which may be NULL, be used: is it this thread's, and not being
 * closed? In a fork's copy the descriptors are made dead. */
static inline bool
pool_ours(struct mews_pool *pool)
{
	return (pool != NULL && *pool->loop.owner == &loop_thread) ||
	    loop_ours_slow(pool == NULL ? NULL : &pool->loop);
}

/* As pool_ours(), where a group or a lease leads to it: never NULL. */
static inline bool
pool_is_ours(struct mews_pool *pool)
{
	return loop_ours(&pool->loop);
}

static inline uint32_t
pool_changes(const struct mews_pool *pool)
{
	return atomic_load_explicit(&pool->fleet->segment.header->changes,
	    memory_order_acquire);
}

void pool_notice_slow(struct mews_pool *pool);

/* Act on what other processes changed in the segment since the last time. */
static inline void
pool_notice(struct mews_pool *pool)
{
	if (pool_changes(pool) != pool->changes)
		pool_notice_slow(pool);
}

/* Look whether an endpoint changed without a notice. */
void pool_compare(struct mews_pool *pool, int64_t now_us);

/* Report @endpoint if all that wait for it do so too long. Sets pool_due(). */
void pool_scan_stall(struct mews_pool *pool, uint32_t endpoint,
    int64_t now_us);

/* Does somebody wait while there is no endpoint to use? */
bool pool_panics(const struct mews_pool *pool);

/* Show figures in the slot of this process: those that change all the time. */
void pool_publish(struct mews_pool *pool);
/* Likewise those that need not be of this moment; @late_us: as the beat was. */
void pool_tell(struct mews_pool *pool, int64_t late_us);

/* The host was away: what was not sent before begins now. */
void pool_come_back(struct mews_pool *pool);

/* For blocking calls: turns of the loop until *done; false: the host
 * interrupted them. */
bool pool_wait(struct mews_pool *pool, const bool *done);

/* Something is due at @at_us: do not sleep beyond. */
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

/* @count answers of @endpoint came at once, and took @us. */
static inline void
pool_learn(struct pool_endpoint *endpoint, float us, uint32_t count)
{
	float	n = (float)count, step = 20 + endpoint->p99_us * 0.1F;
	float	more = endpoint->p99_us + step * 0.99F * n;

	endpoint->latency_us += (us - endpoint->latency_us) * n / (n + 15);
	/* Up by 99 parts when exceeded, down by one when not: it rests where
	 * one in a hundred exceeds it. */
	if (us <= endpoint->p99_us)
		endpoint->p99_us -= step * 0.01F * n;
	else
		endpoint->p99_us = more < us + step ? more : us + step;
}

/* Longer than this, and a connection to it stalls. */
static inline int64_t
pool_stall_us(const struct pool_endpoint *endpoint)
{
	int64_t	us = (int64_t)(endpoint->p99_us * POOL_STALL_P99);

	return us > POOL_STALL_US ? us : POOL_STALL_US;
}

/* Longer than this, and what is behind it waits notably. */
static inline int64_t
pool_held_us(const struct pool_endpoint *endpoint)
{
	int64_t	us = (int64_t)(endpoint->latency_us * POOL_HELD_TIMES);

	return us > POOL_HELD_US ? us : POOL_HELD_US;
}

#endif
