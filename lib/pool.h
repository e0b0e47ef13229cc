/*
 * pool.h - all that one worker holds: groups, connections, queries.
 *
 * One process, one thread: nothing in here is atomic. Who may free what:
 * a connection that broke is lost by the next mews_pool_tick(), and by
 * nothing before that; so code in between may hold a struct conn without
 * fear. The rest end with mews_pool_close().
 */
#ifndef POOL_H
#define POOL_H

#include "clock.h"
#include "fleet.h"
#include "query.h"
#include "statement.h"

#include <mews/pool.h>

struct conn;
struct listen;
struct monitor;
struct probe;
TAILQ_HEAD(conn_list, conn);

/* What a descriptor is to us. */
enum watch_kind { WATCH_WAKE, WATCH_CONN, WATCH_PROBE, WATCH_LISTEN,
	WATCH_STOP };

struct watch {
	int fd;
	int events; /* MEWS_READ | MEWS_WRITE */
	enum watch_kind kind;
	void *who; /* struct conn, struct probe, struct listen */
};

/* What this worker learned of an endpoint. */
struct pool_endpoint {
	float latency_us; /* moving average of its answers */
	int64_t learned_us; /* the last of them */
	float p99_us;	  /* running estimate */
	int64_t heard_us; /* the last byte from it */
	struct probe *probe; /* running, or NULL */
	uint32_t probes;     /* begun, ever */
	bool rival_told;     /* logged: another one claims to be primary */
	/* As of the last change: */
	enum health_state state;
	enum health_role role;
	int64_t ramp_from_us;  /* slow start: its share grows from then ... */
	int64_t ramp_until_us; /* ... to then */
};

struct mews_pool {
	struct mews_fleet *fleet;
	mews_watch_fn *watch_fn;
	void *watch_arg;
	const char *volatile *owner; /* &pool_thread of the thread whose it is,
					on a page that a fork finds empty */
	bool abandoned;		    /* a fork's copy, descriptors closed */
	bool closing;		    /* inside mews_pool_close() */

	int64_t now_us; /* of this turn */
	bool now_stale; /* the host waited since: read the clock */
	bool hurry;	/* somebody waits for the next tick, now */
	int64_t due_us; /* nothing has a deadline before */
	int64_t ticked_us;   /* the last tick */
	int64_t attended_us; /* until then the host looks after us */
	unsigned depth; /* > 0: inside ready, tick or a blocking call */

	struct watch *watches; /* dense; by_fd tells where */
	struct pollfd *polls;  /* room for as many, for pool_wait() */
	size_t watch_count, watch_room;
	int *by_fd; /* index into watches, or -1 */
	size_t by_fd_room;

	struct mews_group *groups;
	uint32_t group_count;
	struct pool_endpoint endpoints[MEWS_ENDPOINTS_MAX];
	int wake_fd;	  /* of our slot in the fleet */
	uint32_t changes; /* of the segment, as last acted upon */
	uint32_t highest_timeline; /* of a primary, then */
	struct monitor *monitor;   /* in the monitor's process, else NULL */
	bool stopped;		   /* the monitor was told to end */

	struct listen *listen;	   /* once somebody listens, else NULL */

	struct conn_list to_flush; /* sent something this turn */
	struct conn_list broken;   /* to be lost in the next tick */

	struct query **queries; /* by number */
	uint32_t query_count, query_room;
	struct query_stack free_queries;
	struct query_list canceled; /* by gone_link */

	float usual_us; /* a quarter of all statements takes less */
	struct slow_text slow_texts[STATEMENT_TEXTS]; /* by their hash */
	SLIST_HEAD(, mews_statement) statements;
	uint32_t statement_count;
	LIST_HEAD(, mews_lease) shells; /* leases whose connection is gone */
	SLIST_HEAD(, mews_lease) free_leases;
};

#define POOL_NEVER	INT64_MAX
#define POOL_BEAT_US	1000000	 /* at least one tick in this time */
#define POOL_STALL_US	20000	 /* a stall is this long at least */
#define POOL_STALL_P99	4.0F	 /* times the p99 learned */
#define POOL_GRACE_US	1000000	 /* of the watchdog, above query_timeout */
#define POOL_AWAY_US	5000	 /* a host later than that was away */
#define POOL_DIAL_US	3000000	 /* a login may take this long */

/* May it be used: is it this process', and not being closed? In a fork's
 * copy the descriptors are closed. */
static inline bool pool_ours(struct mews_pool *pool);

/* Nothing but an address of its own in each thread; the quickest there is. */
extern _Thread_local char pool_thread
    __attribute__((tls_model("initial-exec"), visibility("hidden")));

/* Why it is not: asserts for a thread or a NULL. */
bool pool_ours_slow(struct mews_pool *pool);

static inline bool
pool_ours(struct mews_pool *pool)
{
	return (pool != NULL && *pool->owner == &pool_thread) ||
	    pool_ours_slow(pool);
}

/* The same where a group or a lease leads to it, so that it is there. */
static inline bool
pool_is_ours(struct mews_pool *pool)
{
	return *pool->owner == &pool_thread || pool_ours_slow(pool);
}

static inline uint32_t
pool_changes(const struct mews_pool *pool)
{
	return atomic_load_explicit(&pool->fleet->segment.header->changes,
	    memory_order_relaxed);
}

void pool_notice_slow(struct mews_pool *pool);

/* Act on what other processes changed in the segment since the last time. */
static inline void
pool_notice(struct mews_pool *pool)
{
	if (pool_changes(pool) != pool->changes)
		pool_notice_slow(pool);
}

/* For blocking calls: turns of the loop until *done. */
void pool_wait(struct mews_pool *pool, const bool *done);

/* The pool of a process that has the slot already; the monitor's holds no
 * connections but probes. */
enum mews_status pool_open(struct mews_pool **out, struct mews_fleet *fleet,
    struct monitor *monitor, mews_watch_fn *watch, void *watch_arg,
    struct mews_error *error);

/* Something is due at @at_us: do not sleep beyond. */
static inline void
pool_due(struct mews_pool *pool, int64_t at_us)
{
	if (at_us < pool->due_us)
		pool->due_us = at_us;
}

int64_t pool_read_clock(struct mews_pool *pool);

/* The clock, read once per turn. */
static inline int64_t
pool_now(struct mews_pool *pool)
{
	return pool->now_stale ? pool_read_clock(pool) : pool->now_us;
}

/* Watch @fd for @events; 0 gives it up. False: out of memory. */
bool pool_watch(struct mews_pool *pool, int fd, int events,
    enum watch_kind kind, void *who);

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

#endif
