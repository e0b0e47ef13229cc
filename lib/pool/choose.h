/*
 * choose.h - which connection of a group serves, and when to open one more.
 *
 * Private to pool/. A connection that one of these returns was checked and can
 * be sent to at once.
 */
#ifndef LIB_POOL_CHOOSE_H
#define LIB_POOL_CHOOSE_H

#include "wire/conn.h"
#include "pool/group.h"
#include "wire/receive.h"
#include "wire/send.h"

#define CHOOSE_BATCH	16	/* queries in a row to one connection */
#define CHOOSE_QUICK_US 1000000 /* a quick query this long ago still counts */

/* May @conn take a shared query, however much it has in flight? */
static inline bool
choose_is_open(const struct conn *conn)
{
	return conn->state == CONN_READY && !conn->retiring &&
	    !conn->slow_lane && conn->sessions == 0;
}

/* The connection that takes this turn's queries, while it may; else NULL. */
static inline struct conn *
choose_batch(const struct mews_group *group)
{
	struct conn	*conn = group->batch;

	return conn != NULL && group->batch_us == pool_now(group->pool) &&
	    conn->in_flight < group->batch_most && choose_is_open(conn) ?
	    conn : NULL;
}

/* The quick way: send @query where others of this turn went. */
static inline bool
choose_joined(struct mews_group *group, struct query *query)
{
	struct conn	*conn;

	return !query->slow && query->after == 0 &&
	    TAILQ_EMPTY(&group->queue.lanes[QUEUE_QUICK]) &&
	    (conn = choose_batch(group)) != NULL &&
	    conn_send(conn, query, false);
}

/* A connection for a shared query; NULL: none can take it now. */
struct conn *choose_pick(struct mews_group *group);

/* A connection for a query of the lane QUEUE_AFTER; or NULL. */
struct conn *choose_pick_after(struct mews_group *group,
    const struct query *query);

/* An open connection to another endpoint than @conn's, to a primary only if
 * there is no standby; @anywhere: or else to the same endpoint. NULL: there is
 * none. */
struct conn *choose_pick_other(struct mews_group *group,
    const struct conn *conn, bool anywhere);

/* An idle connection to @endpoint; or NULL. */
static inline struct conn *
choose_idle_on(const struct mews_group *group, uint32_t endpoint)
{
	struct conn	*conn;

	TAILQ_FOREACH (conn, &group->on[endpoint].conns, link)
		if (conn->in_flight == 0 && !conn->retiring &&
		    receive_check_ready(conn) && receive_check(conn))
			return conn;
	return NULL;
}

/* An idle connection to any endpoint, best tier first; else opens one, and
 * returns NULL. */
struct conn *choose_take_any(struct mews_group *group);

/* A connection for a lease; or NULL. */
static inline struct conn *
choose_take_idle(struct mews_group *group)
{
	struct conn	*conn = NULL;

	/* The quick way, with one endpoint in the best tier. */
	if (group->route.tier_end[0] == 1)
		conn = choose_idle_on(group, group->route.endpoint[0]);
	return conn != NULL ? conn : choose_take_any(group);
}

/* A connection for a query that needs one to itself, as it is known to be slow
 * or may have ended a session; or NULL. */
struct conn *choose_take_slow(struct mews_group *group,
    const struct query *query);

/* No slow query waits: connections kept free for them serve all again. */
void choose_open_lanes(struct mews_group *group);

/* How long a connection may idle before it is closed, and how many stay open:
 * none once the next generation of the fleet serves. */
uint32_t choose_idle_ms(const struct mews_group *group);
uint32_t choose_least(const struct mews_group *group);

/* Keep @wanted connections open to the best endpoints, if possible. */
void choose_keep(struct mews_group *group, uint32_t wanted);

#endif
