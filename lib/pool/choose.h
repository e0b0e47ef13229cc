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

#define CHOOSE_QUICK_US 1000000 /* a quick query this long ago still counts */

/* Look whether @conn, which was found in an offer, serves indeed. */
static inline bool
choose_confirm(struct conn *conn)
{
	return receive_settle(conn) && receive_confirm(conn);
}

/* The connection that takes this turn's queries, while it may; else NULL. */
static inline struct conn *
choose_batch(const struct mews_group *group)
{
	struct conn	*conn = group->batch;

	return conn != NULL && group->batch_us == pool_now(group->pool) &&
	    conn->in_flight < group->batch_most && offer_is_open(conn) ?
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

/* A connection with nothing in flight for a query that is held up on @conn, to
 * no suspect, and of no lower tier; or NULL. */
struct conn *choose_pick_idle(struct mews_group *group,
    const struct conn *conn);

/* An idle connection to any endpoint, best tier first; else opens one, and
 * returns NULL. */
struct conn *choose_take_any(struct mews_group *group);

/* A connection for a lease; or NULL. */
static inline struct conn *
choose_take_idle(struct mews_group *group)
{
	struct conn	*conn;

	/* The quick way, with one endpoint in the best tier. */
	if (group->route.tier_end[0] == 1)
		TAILQ_FOREACH (conn, &group->on[group->route.endpoint[0]].conns,
		    link)
			if (offer_is_alone(conn, pool_now(group->pool)) &&
			    choose_confirm(conn))
				return conn;
	return choose_take_any(group);
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
