/*
 * terms.h - what a group gives its connections: settings, queue, dice and
 * counters.
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
	uint32_t queued;	/* of these, behind a pooler: fleet/crowd.h */
	uint32_t shared;	/* of these, in the slot's count: see
				   pool/share.h */
	uint32_t sent;		/* queries, ever; wraps */
	uint32_t answered;	/* of the queries sent */
	struct figures_pair *figures; /* set by the first connection */
	int64_t slow_us;	/* the same: a query that took so long is
				   logged */
	uint32_t failures;	/* logins, in a row */
	/* Used by pool/; a login that went well clears the first: */
	bool kept_told;		/* it was logged that none may take another's
				   place */
	int64_t not_before_us;	/* no login before */
	uint32_t charged;	/* queries sent that are in @pass already */
	uint32_t stride;	/* per query; see pool/share.c */
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
	struct queue *queue; /* for queries that are sent again */
	struct dice dice;
	watch_fn *conn_ready; /* called for events on a connection */
	uint32_t index;	   /* of the group, in the slot's counts */
	bool reader;	   /* sessions are read only: queries may be resent */
	bool moved;	   /* connections came or went since this was cleared */
	uint32_t count;	   /* connections, to all endpoints */
	uint64_t opened;   /* ever */
	struct group_endpoint *on; /* by endpoint */
	char *setup;	   /* SQL of each new session: NUL-terminated texts one
			      after the other, ended by an empty one */
	char failure[300]; /* of the last login that failed, or "" */
};

#endif
