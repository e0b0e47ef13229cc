/*
 * lease.h - a connection that one user holds exclusively.
 *
 * The lease belongs to the host until mews_lease_end(), even after its
 * connection was lost or its pool closed; then it is an empty shell.
 */
#ifndef LIB_WIRE_LEASE_H
#define LIB_WIRE_LEASE_H

#include "wire/conn.h"

#include <mews/lease.h>

#define LEASE_MAGIC 0x6c656173u

enum lease_state {
	LEASE_FREE,   /* on wire->free_leases, for the next one */
	LEASE_HELD,   /* by its user, and holds a connection */
	LEASE_SHELL,  /* on wire->shells: held, and its connection is gone */
	LEASE_ORPHAN, /* held, and its pool was closed */
	LEASE_STATES
};

/* Whether SQL of the user's own began or ended a transaction. */
enum lease_hand {
	LEASE_HAND_OFF = 0, /* nothing that counts now */
	LEASE_HAND_SENT,    /* began or ended one; which, libpq knows later */
	LEASE_HAND_ENDED    /* ended the last one, and no call of
			       mews_lease_transaction() came since */
};

struct mews_lease {
	uint32_t magic;		  /* LEASE_MAGIC until mews_lease_end() */
	enum lease_state state;	  /* written by lease_become() */
	struct mews_group *group; /* whose; ORPHAN: NULL */
	struct terms *terms;	  /* of that group; likewise */
	struct conn *conn;	  /* HELD; else NULL */
	uint32_t endpoint;	  /* without conn: that it was of */
	uint32_t in_flight;	  /* queries */
	bool used;		  /* something was sent */
	bool transaction;	  /* BEGIN was sent, and no end of it since */
	bool wants_transaction;	  /* the next query opens one */
	bool position;		  /* of its commit in the WAL: asked for */
	bool dirty;		  /* may have left something in the session */
	uint8_t by_hand;	  /* enum lease_hand */
	char options[96];	  /* SET TRANSACTION behind that BEGIN, or "" */
	mews_notice_fn *on_notice; /* or NULL: the pool's */
	void *notice_arg;
	int64_t active_us;	  /* last time something ended or was sent */
	LIST_ENTRY(mews_lease) link;	   /* SHELL: wire->shells */
	SLIST_ENTRY(mews_lease) free_link; /* wire->free_leases */
};

/* The one place where a lease's state changes, and its lists. */
void lease_become(struct mews_lease *lease, enum lease_state to);

/* Give @conn to the one who waits with @query, and run its callback. */
void lease_grant(struct conn *conn, struct query *query);

/* @conn is held by a new lease; NULL: out of memory. When it is forgotten the
 * pool's next scan will know, a beat from now at the latest. */
struct mews_lease *lease_hold(struct conn *conn);

/* Part lease and connection; answers to come belong to neither. */
void lease_part(struct mews_lease *lease);

/* The name of its endpoint. */
const char *lease_endpoint(const struct mews_lease *lease);

/* The connection of @lease is gone. */
void lease_lost(struct mews_lease *lease);

/* A query of it was answered. */
void lease_heard(struct mews_lease *lease, int64_t now_us);

/* @lease, which is one: anything else is a host's mistake. */
const struct mews_lease *lease_checked(const struct mews_lease *lease);

/* Must BEGIN go ahead of what is sent next? */
bool lease_begins(const struct mews_lease *lease);

/* Free the memory of those that ended. */
void lease_free_all(struct wire *wire);

/* The pool goes: what is left of its leases are shells without one. */
void lease_orphan_all(struct wire *wire);

#endif
