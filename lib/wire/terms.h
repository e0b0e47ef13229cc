/*
 * terms.h - what a group asks of its connections: settings, queue and dice;
 * and what they count for it.
 */
#ifndef LIB_WIRE_TERMS_H
#define LIB_WIRE_TERMS_H

#include "query/account.h"
#include "base/dice.h"
#include "query/queue.h"
#include "base/watch.h"

struct conn;
struct wire;
TAILQ_HEAD(conn_list, conn);

/* The group's connections to one endpoint. */
struct group_endpoint {
	struct conn_list conns; /* by link */
	uint32_t count;		/* all of them */
	uint32_t dialing;	/* of these, not ready yet */
	uint32_t shared;	/* of these, in the slot's count: see share.h */
	uint32_t sent;		/* queries, ever; wraps */
	uint32_t answered;	/* of these; see group_in_flight() */
	struct figures_pair *figures; /* set by the first connection */
	uint32_t failures;	/* logins, in a row */
	/* The room above decides by these; a login that went well clears the
	 * first: */
	bool kept_told;		/* logged: none may take another's place */
	int64_t not_before_us;	/* no login before */
	uint32_t charged;	/* of those sent, in pass already */
	uint32_t stride;	/* per query; see share.c */
	uint64_t pass;
};

/* Queries on all connections to an endpoint. */
static inline uint32_t
group_in_flight(const struct group_endpoint *on)
{
	return on->sent - on->answered;
}

struct terms {
	struct wire *wire;
	struct account *account;
	const struct mews_group_config *config;
	struct queue *queue; /* for what is sent again */
	struct dice dice;
	watch_fn *conn_ready; /* something happened on a connection */
	uint32_t index;	   /* of the group, in the slot's counts */
	bool reader;	   /* sessions are read only: queries may be resent */
	bool moved;	   /* connections came or went, since it was cleared */
	uint32_t count;	   /* connections, to all endpoints */
	uint64_t opened;   /* ever */
	struct group_endpoint *on; /* by endpoint */
	char *setup;	   /* SQL of each new session: NUL-terminated, one
			      after the other, an empty one ends */
	char failure[300]; /* of the last login that failed, or "" */
};

#endif
