/*
 * group.h - a named use of the pool: who waits, and which connections serve.
 *
 * The group decides who is served next; choose.c chooses the connection, and
 * wire/ does the rest.
 */
#ifndef LIB_POOL_GROUP_H
#define LIB_POOL_GROUP_H

#include "pool/offer.h"
#include "pool/pool.h"
#include "query/queue.h"
#include "wire/terms.h"
#include "base/refusal.h"
#include "fleet/route.h"

#include <assert.h>

struct mews_group {
	struct mews_pool *pool;
	const struct mews_group_config *config;
	struct account account; /* of its queries */
	struct terms terms; /* of its connections */
	struct route route;
	struct offer offer; /* what choose.c chooses from */
	struct queue queue;
	bool lanes;	   /* a connection may be kept for slow queries */
	int64_t quick_us;  /* when a quick query last came */
	struct conn *batch; /* the connection that takes this turn's queries, or
			       NULL */
	int64_t batch_us;   /* the turn of batch */
	uint32_t batch_most; /* the most in flight on batch */
	uint8_t order[MEWS_ENDPOINTS_MAX]; /* endpoints of each tier, by pass */
	/* Of the tier that begins at an index: */
	uint8_t ordered[MEWS_ENDPOINTS_MAX]; /* how many; 0: not known */
	bool bare[MEWS_ENDPOINTS_MAX]; /* an endpoint has no connection */
	uint64_t turn;	   /* the pass of the endpoint whose turn it was last */
	int64_t share_us;  /* no look at the fleet's shares before */
	int64_t move_us;   /* no connection moves before */
	struct conn *mover; /* a login that is to replace another connection, or
			       NULL */
	bool makes_room;    /* the mover was dialed for a query: see room.h */
	uint64_t hedged;
	struct figures_group *figures;
	uint64_t told_ok, told_resent, told_batches; /* in figures already */
	struct group_endpoint on[MEWS_ENDPOINTS_MAX];
	struct refusal why; /* of the last call that was refused */
};

#define GROUP_RETRY_FIRST_US 100000  /* after a failed login, then doubled */
#define GROUP_RETRY_LAST_US  5000000 /* the most, with jitter */
#define GROUP_FULL_US	     50000   /* at the fleet's cap: ask again after
					this */
#define GROUP_BURST_US	     5000    /* too many log in: ask again after this */
#define GROUP_AFTER_US	     10000   /* look for a standby that caught up */

/* Fill in @group. False: out of memory. */
bool group_open(struct mews_group *group, struct mews_pool *pool,
    uint32_t index, watch_fn *conn_ready);
/* End the queries that wait; close every connection. */
void group_close(struct mews_group *group);

/* Send @query, which is shared, or queue it; MEWS_OVERLOAD: neither. */
enum mews_status group_submit(struct mews_group *group, struct query *query);
/* Queue a wait for a lease, which the loop grants, never this call. */
enum mews_status group_enqueue(struct mews_group *group, struct query *query);
/* Serve queries that wait, as far as connections allow. */
void group_dispatch(struct mews_group *group);
/* Endpoints changed: make the route anew, and retire connections that it does
 * not want. */
void group_rethink(struct mews_group *group,
    const struct route_candidate *candidates, uint32_t count);
/* Act on deadlines, idle and old connections, and min_connections. Sets
 * pool_due(). */
void group_scan(struct mews_group *group, int64_t now_us);
/* Does a query wait while no endpoint can be used? */
bool group_panics(const struct mews_group *group);

/* The pool of a host's group. Asserts for NULL, the result of a wrong name. */
static inline struct mews_pool *
group_pool(const struct mews_group *group)
{
	assert(group != NULL &&
	    "mews: mews_pool_group() knows no group of that name");
	return group->pool;
}

#endif
