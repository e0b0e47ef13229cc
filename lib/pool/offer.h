/*
 * offer.h - the connections of a group that may serve, and the best of them.
 *
 * Pure: reads what it is given, and changes nothing. Private to pool/; choose.c
 * looks whether the server still holds a connection found here.
 */
#ifndef LIB_POOL_OFFER_H
#define LIB_POOL_OFFER_H

#include "fleet/fleet.h"
#include "fleet/known.h"
#include "fleet/route.h"
#include "query/query.h"
#include "wire/conn.h"

/* The set to choose from; fixed for the life of a group. */
struct offer {
	const struct route *route;
	const struct group_endpoint *on;    /* by endpoint, as the others */
	const struct known *known;
	const struct route_candidate *seen;
	const struct mews_fleet *fleet;	    /* for the positions in the WAL */
	const struct mews_group_config *config;
};

enum need_for {
	NEED_SHARED, /* for a query among others */
	NEED_ALONE,  /* for a lease, which wants nothing in flight. Perhaps
			RESETTING: the next look at the server tells */
	NEED_LANE    /* the same, of those kept for slow queries */
};

enum need_pace {
	NEED_QUICK, /* the head is answered as fast as is usual */
	NEED_HELD,  /* or holds others up, if it has not stalled at a suspect:
		       wait for the verdict then */
	NEED_ANY    /* or has stalled */
};

struct need {
	int64_t now_us;
	const struct query *query; /* which may not go everywhere; or NULL */
	enum need_for what;
	/* For NEED_SHARED: */
	enum need_pace pace;
	uint32_t below;	   /* fewer are in flight */
	const struct conn *except; /* not this one; or NULL */
	bool elsewhere;	   /* not at the endpoint of @except; at a primary only
			      if there is no other standby */
	bool sound;	   /* not at a suspect */
	bool steady;	   /* in a slow start only if it is its turn */
	bool least;	   /* the least of the tier, not of the first endpoint
			      that has one */
};

/* The endpoints of a tier that suit a need, each once. */
struct walk {
	const struct offer *offer;
	const struct need *need;
	struct tier tier;
	uint8_t at;	 /* the index of the next one in the route */
	uint8_t left;	 /* to be looked at */
	uint32_t turn;
	uint32_t endpoint; /* the present one, after walk_next() */
};

/* May @conn take a shared query, however much it has in flight? */
static inline bool
offer_is_open(const struct conn *conn)
{
	return conn->state == CONN_READY && !conn->retiring &&
	    !conn->slow_lane && conn->sessions == 0;
}

/* Could a lease have @conn? */
static inline bool
offer_is_alone(const struct conn *conn, int64_t now_us)
{
	return conn->in_flight == 0 && !conn->retiring &&
	    (conn->state == CONN_READY ||
		(conn->state == CONN_RESETTING && conn->heard_us != now_us));
}

/* Begin at the endpoint @turn, or at the tier's first if @turn is none of
 * it. */
struct walk walk_begin(const struct offer *offer, const struct need *need,
    struct tier tier, uint32_t turn);

/* Go on to the next endpoint. False: that was the last. */
bool walk_next(struct walk *walk);

/* The connection to @endpoint with the least in flight that meets @need; or
 * NULL. */
struct conn *offer_on(const struct offer *offer, const struct need *need,
    uint32_t endpoint);

/* The connection of @tier that meets @need, or NULL: at the first endpoint that
 * has one, from @turn on; of equals at one endpoint the first. */
struct conn *offer_find(const struct offer *offer, const struct need *need,
    struct tier tier, uint32_t turn);

/* How many connections, at the endpoints of @tier that suit @need, are kept for
 * slow queries. */
uint32_t offer_lanes(const struct offer *offer, const struct need *need,
    struct tier tier, uint32_t turn);

#endif
