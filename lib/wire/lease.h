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
	LEASE_FREE,   /* on wire->free_leases, to be used again */
	LEASE_HELD,   /* held by its user, with a connection */
	LEASE_SHELL,  /* on wire->shells: held, and its connection is gone */
	LEASE_ORPHAN, /* held, but its pool was closed */
	LEASE_STATES
};

/* Whether the user's own SQL began or ended a transaction. */
enum lease_hand {
	LEASE_HAND_OFF = 0, /* it did neither */
	LEASE_HAND_SENT,    /* it did either; libpq knows later which */
	LEASE_HAND_ENDED    /* it ended the last one, and
			       mews_lease_transaction() was not called since */
};

struct mews_lease {
	uint32_t magic;		  /* LEASE_MAGIC until mews_lease_end() */
	enum lease_state state;	  /* written by lease_become() */
	struct mews_group *group; /* opaque here; ORPHAN: NULL */
	struct terms *terms;	  /* of that group; ORPHAN: NULL */
	struct conn *conn;	  /* HELD; else NULL */
	uint32_t endpoint;	  /* of the connection, kept when that is
				     gone */
	uint32_t in_flight;	  /* queries */
	bool used;		  /* something was sent */
	bool transaction;	  /* BEGIN was sent, and no COMMIT or ROLLBACK
				     since */
	bool wants_transaction;	  /* the next query opens one */
	bool position;		  /* MEWS_QUERY_POSITION was asked for its
				     commit */
	bool dirty;		  /* something may have stayed in the session */
	uint8_t by_hand;	  /* enum lease_hand */
	char options[96];	  /* SET TRANSACTION after that BEGIN, or "" */
	mews_notice_fn *on_notice; /* NULL: the pool's */
	void *notice_arg;
	int64_t active_us;	  /* when something last ended or was sent */
	LIST_ENTRY(mews_lease) link;	   /* SHELL: wire->shells */
	SLIST_ENTRY(mews_lease) free_link; /* wire->free_leases */
};

/* Change a lease's state and its lists: the one place for it. */
void lease_become(struct mews_lease *lease, enum lease_state to);

/* Lend @conn to the user who waits with @query, and run its callback. */
void lease_grant(struct conn *conn, struct query *query);

/* Hold @conn with a new lease; NULL: out of memory. Makes the pool scan for
 * forgotten leases within a beat. */
struct mews_lease *lease_hold(struct conn *conn);

/* Part lease and connection; later answers do not belong to the lease. */
void lease_part(struct mews_lease *lease);

/* The name of the lease's endpoint. */
const char *lease_endpoint(const struct mews_lease *lease);

/* The connection of @lease is gone. */
void lease_lost(struct mews_lease *lease);

/* A query of the lease was answered. */
void lease_heard(struct mews_lease *lease, int64_t now_us);

/* @lease; an assertion fails if it is not a lease that is held. */
const struct mews_lease *lease_checked(const struct mews_lease *lease);

/* Must BEGIN be sent ahead of the next query? */
bool lease_begins(const struct mews_lease *lease);

/* Free the memory of leases that ended. */
void lease_free_all(struct wire *wire);

/* The pool is closed: make its leases that are still held ORPHAN. */
void lease_orphan_all(struct wire *wire);

#endif
