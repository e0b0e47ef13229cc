/*
 * group.h - a named use of the pool: who waits, and which connections serve.
 *
 * The group decides who is served next; supply.c chooses the connection, and
 * conn.c does the talking.
 */
#ifndef GROUP_H
#define GROUP_H

#include "pool.h"
#include "route.h"

#include <assert.h>

/* The group's connections to one endpoint. */
struct group_endpoint {
	struct conn_list conns; /* by link */
	uint32_t count;		/* all of them */
	uint32_t dialing;	/* of these, not ready yet */
	uint32_t in_flight;	/* queries on all of them */
	uint32_t failures;	/* logins, in a row */
	int64_t not_before_us;	/* no login before */
};

enum group_lane {
	GROUP_QUICK,
	GROUP_SLOW,  /* for connections of their own */
	GROUP_AFTER, /* for a server that has replayed enough; and, of reads
			that were lost, for one that is no suspect */
	GROUP_LANES
};

struct mews_group {
	struct mews_pool *pool;
	const struct mews_group_config *config;
	uint32_t index;
	bool reader;	   /* sessions are read only: queries may be resent */
	uint32_t dice;	   /* of its own random numbers, never 0 */
	struct route route;
	struct query_list waiting[GROUP_LANES];
	uint32_t waiting_count; /* in all */
	bool lanes;	   /* a connection may be kept for slow queries */
	int64_t quick_us;  /* last time a quick query came */
	struct conn *batch; /* takes what comes in this turn, or NULL ... */
	int64_t batch_us;   /* ... the turn's time ... */
	uint32_t batch_most; /* ... until it has so many in flight */
	uint32_t count;	   /* connections, to all endpoints */
	uint64_t ended, errors, resent, opened, hedged;
	float tokens;	   /* reads that may be sent again now */
	uint64_t counted;  /* of ended, in tokens already */
	char *setup;	   /* SQL of each new session: NUL-terminated, one
			      after the other, an empty one ends */
	struct group_endpoint on[MEWS_ENDPOINTS_MAX];
	char failure[300]; /* of the last login that failed, or "" */
	char message[500]; /* of the last call that was refused, or "" */
};

#define GROUP_RETRY_FIRST_US 100000  /* after a failed login, doubled ... */
#define GROUP_RETRY_LAST_US  5000000 /* ... up to this, with jitter */
#define GROUP_SLOW_DIAL_US   100000  /* then try another endpoint as well */
#define GROUP_FULL_US	     50000   /* at the fleet's cap: ask again then */
#define GROUP_BURST_US	     5000    /* too many log in: ask again then */
#define GROUP_AFTER_US	     10000   /* look for a standby that caught up */
#define GROUP_TOKENS_LEAST   100     /* that the retry budget may hold */

/* False: out of memory. */
bool group_open(struct mews_group *group, struct mews_pool *pool,
    uint32_t index);
/* End what waits; close every connection. */
void group_close(struct mews_group *group);

/* Send @query, which is shared, now, or queue it; MEWS_OVERLOAD: neither. */
enum mews_status group_submit(struct mews_group *group, struct query *query);
/* Queue it; a lease is granted by the loop, never inside the call. */
enum mews_status group_enqueue(struct mews_group *group, struct query *query);
/* Put it back in front: it was sent, and will be sent again; @lost: because
 * its connection was. */
void group_resubmit(struct mews_group *group, struct query *query, bool lost);
/* Take it off the waiting list. */
void group_forget(struct mews_group *group, struct query *query);

/* Serve who waits, as far as connections allow. */
void group_dispatch(struct mews_group *group);
/* Endpoints changed: choose anew, let go of what is no longer good. */
void group_rethink(struct mews_group *group,
    const struct route_candidate *candidates, uint32_t count);
/* Does a route lead over @conn, and is it of its endpoint's epoch? */
bool group_wants(const struct mews_group *group, const struct conn *conn);
/* May one read more be sent again, or twice? Takes it off the budget. */
bool group_may_resend(struct mews_group *group);
/* Deadlines, idle and old connections, the minimum. Sets pool_due(). */
void group_scan(struct mews_group *group, int64_t now_us);
/* Is somebody waiting while no endpoint can be used? */
bool group_panics(const struct mews_group *group);

/* Longer than this without an answer, and a connection stalls. */
static inline int64_t
group_stall_us(const struct mews_group *group,
    const struct pool_endpoint *endpoint)
{
	return group->config->stall_after != 0 ?
	    (int64_t)group->config->stall_after * 1000 :
	    pool_stall_us(endpoint);
}

/* The pool of a host's group, which is NULL where a name was wrong. */
static inline struct mews_pool *
group_pool(const struct mews_group *group)
{
	assert(group != NULL &&
	    "mews: mews_pool_group() knows no group of that name");
	return group->pool;
}

/* Refuse a call: keep the sentence for mews_group_message(). */
enum mews_status group_refuse(struct mews_group *group,
    enum mews_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* The same for a pool that is not pool_ours(). */
enum mews_status group_refuse_foreign(struct mews_group *group);

/* A number below @bound, from the group's own dice: cheap, not secret. */
static inline uint32_t
group_roll(struct mews_group *group, uint32_t bound)
{
	uint32_t	x = group->dice;

	/* xorshift32, G. Marsaglia, "Xorshift RNGs", 2003 */
	x ^= x << 13;
	x ^= x >> 17;
	x ^= x << 5;
	group->dice = x;
	return (uint32_t)((uint64_t)x * bound >> 32);
}

#endif
