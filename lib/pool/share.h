/*
 * share.h - each server's share of a group's reads and connections.
 *
 * The servers of one tier share the fleet's reads in proportion to their
 * weights. Each worker counts its connections of a group to an endpoint in its
 * slot; the sums over the slots tell where the fleet has too many or too few.
 */
#ifndef LIB_POOL_SHARE_H
#define LIB_POOL_SHARE_H

#include "wire/conn.h"
#include "pool/group.h"

#define SHARE_NONE   UINT32_MAX
#define SHARE_BATCH  16	/* queries in a row to one connection */
#define SHARE_STRIDE 1024	/* of a query to the endpoint of most weight */
#define SHARE_BEAT_US 1000000	/* between looks at the fleet */
#define SHARE_RAMP_US 50000	/* between looks in a slow start */
#define SHARE_MOVE_US 100000	/* between two moves, in a worker with few
				   connections */
#define SHARE_LEAST_US 500	/* a lower latency counts as this */
#define SHARE_LATELY_US 5000000	/* how long a latency is compared after its last
				   answer */
#define SHARE_FADE   4		/* a latency counts for a fifth after 1 s */
#define SHARE_MEMORY 32		/* queries that a turn may come late */

/* Connections of a group to an endpoint, over all workers with the same groups;
 * workers of another generation may have others. */
uint32_t share_sum(const struct mews_fleet *fleet, uint32_t group,
    uint32_t endpoint);

/* As share_turn(), for more than one endpoint. */
uint32_t share_turn_of_many(struct mews_group *group, struct tier tier,
    bool *bare);

/*
 * The endpoint of @tier whose turn it is, among those with a connection of the
 * group. SHARE_NONE: there is none. *@bare is set if one of them has no
 * connection.
 */
static inline uint32_t
share_turn(struct mews_group *group, struct tier tier, bool *bare)
{
	const struct group_endpoint *on;
	uint32_t		     endpoint;

	if (tier.to - tier.from > 1)
		return share_turn_of_many(group, tier, bare);
	endpoint = group->route.endpoint[tier.from];
	on = &group->on[endpoint];
	*bare = on->count == 0;
	return on->count == on->dialing ? SHARE_NONE : endpoint;
}

/* Does the endpoint's slow start go on? */
static inline bool
share_ramps(const struct mews_group *group, uint32_t endpoint)
{
	return pool_now(group->pool) <
	    group->pool->endpoints[endpoint].ramp_until_us;
}

/*
 * The endpoint of @tier for the group's next connection: where the fleet has
 * the fewest for its weight. SHARE_NONE: none, now.
 */
uint32_t share_place(const struct mews_group *group, struct tier tier);

/* The most connections of the group that go to @endpoint, of @tier. */
uint32_t share_most(const struct mews_group *group, uint32_t endpoint,
    struct tier tier);

/* The tier has no connection, and there may be no more: move one to it. */
void share_urge(struct mews_group *group);

/* @conn, dialed in order to move another one, is ready: retire that one. */
void share_moved(struct conn *conn);

/* Learn which latency is usual, once a beat, while the endpoint is asked. */
void share_learn(struct known *known, int64_t now_us);

/* Begin anew: routes changed. */
void share_rethink(struct mews_group *group);

/* Look at the fleet's connections, and move one if needed. Sets pool_due(). */
void share_scan(struct mews_group *group, int64_t now_us);

#endif
