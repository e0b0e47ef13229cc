/*
 * supply.h - the connections of a group: which one serves, how many there are.
 *
 * Private to a group. A connection that one of these returns was checked and
 * can be sent to at once.
 */
#ifndef SUPPLY_H
#define SUPPLY_H

#include "conn.h"

#define SUPPLY_BATCH	16	/* queries in a row to one connection */
#define SUPPLY_QUICK_US 1000000 /* a quick query this long ago still counts */
#define SUPPLY_FADE	4	/* a latency counts for a fifth after 1 s */

/* May it take a shared query, but for how much it has in flight? */
static inline bool
supply_is_open(const struct conn *conn)
{
	return conn->state == CONN_READY && conn->lease == NULL &&
	    !conn->retiring && !conn->broken && !conn->slow_lane &&
	    conn->sessions == 0 && (!conn->reset_due || conn->in_flight == 0);
}

/* The one that takes what comes in this turn, while it does; else NULL. */
static inline struct conn *
supply_batch(const struct mews_group *group)
{
	struct conn	*conn = group->batch;

	return conn != NULL && group->batch_us == pool_now(group->pool) &&
	    conn->in_flight < group->batch_most && supply_is_open(conn) ?
	    conn : NULL;
}

/* The quick way of most: @query goes where others of this turn went. */
static inline bool
supply_joined(struct mews_group *group, struct query *query)
{
	struct conn	*conn;

	return !query->slow && query->after == 0 &&
	    pool_changes(group->pool) == group->pool->changes &&
	    TAILQ_EMPTY(&group->waiting[GROUP_QUICK]) &&
	    (conn = supply_batch(group)) != NULL &&
	    conn_send(conn, query, false);
}

/* For a query that shares; NULL: nobody can take it now. */
struct conn *supply_pick(struct mews_group *group);

/* For one that waits for a server of its liking, see GROUP_AFTER. */
struct conn *supply_pick_after(struct mews_group *group,
    const struct query *query);

/* Open already, on another endpoint than that; or NULL. */
struct conn *supply_pick_other(struct mews_group *group, uint32_t endpoint);

/* With nothing in flight, to @endpoint; or NULL. */
static inline struct conn *
supply_idle_on(const struct mews_group *group, uint32_t endpoint)
{
	struct conn	*conn;

	TAILQ_FOREACH (conn, &group->on[endpoint].conns, link)
		if (conn->lease == NULL && conn->in_flight == 0 &&
		    conn->state == CONN_READY && !conn->broken &&
		    !conn->retiring && conn_check(conn))
			return conn;
	return NULL;
}

/* The same, a tier at a time, to any of its endpoints; grows. */
struct conn *supply_take_any(struct mews_group *group);

/* For a lease; or NULL. */
static inline struct conn *
supply_take_idle(struct mews_group *group)
{
	struct conn	*conn = NULL;

	pool_notice(group->pool);
	/* There is one primary. */
	if (group->route.tier_end[0] == 1)
		conn = supply_idle_on(group, group->route.endpoint[0]);
	return conn != NULL ? conn : supply_take_any(group);
}

/* For a query that is known to be slow; or NULL. */
struct conn *supply_take_slow(struct mews_group *group);

/* No slow query waits: what was kept free for one serves all again. */
void supply_open_lanes(struct mews_group *group);

/* Keep @wanted connections open to the best endpoints, if possible. */
void supply_keep(struct mews_group *group, uint32_t wanted);

/* Has its oldest query waited too long? */
bool supply_is_stalled(const struct conn *conn, int64_t now_us);

/* No new work for it; it is closed when nothing is in flight. */
void supply_retire(struct conn *conn);

#endif
