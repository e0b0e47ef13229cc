/*
 * lease.h - a connection that one user holds exclusively.
 *
 * The lease belongs to the host until mews_lease_end(), even after its
 * connection was lost or its pool closed; then it is an empty shell.
 */
#ifndef LEASE_H
#define LEASE_H

#include "conn.h"

#include <mews/lease.h>

#define LEASE_MAGIC 0x6c656173u

struct mews_lease {
	uint32_t magic;
	struct mews_group *group; /* NULL: the pool was closed */
	struct conn *conn;	  /* NULL: lost, or taken away */
	uint32_t endpoint;	  /* without conn: that it was of */
	uint32_t in_flight;	  /* queries */
	bool used;		  /* something was sent */
	bool transaction;	  /* BEGIN was sent, and no end of it since */
	bool wants_transaction;	  /* the next query opens one */
	bool dirty;		  /* may have left something in the session */
	char options[96];	  /* SET TRANSACTION behind that BEGIN, or "" */
	int64_t active_us;	  /* last time something ended or was sent */
	LIST_ENTRY(mews_lease) link;	   /* without conn: pool->shells */
	SLIST_ENTRY(mews_lease) free_link; /* pool->free_leases */
};

/* Give @conn to the one who waits with @query, and run its callback. */
void lease_grant(struct conn *conn, struct query *query);

/* Its connection is gone. */
void lease_lost(struct mews_lease *lease);

/* A query of it was answered. */
void lease_heard(struct mews_lease *lease, int64_t now_us);

/* Forgotten by its holder? Then it is taken away. */
void lease_scan(struct mews_lease *lease, int64_t now_us);

/* Why it cannot be used now; MEWS_OK: it can. Looks at the connection. Only
 * what goes on with a COPY asks whether the lease is alive, no more. */
enum mews_status lease_usable(struct mews_lease *lease);
enum mews_status lease_alive(struct mews_lease *lease);

/* Must BEGIN go ahead of what is sent next? */
bool lease_begins(const struct mews_lease *lease);

/* A query of @kind onto its connection. */
enum mews_status lease_send(struct mews_lease *lease, enum query_kind kind,
    const struct mews_query_args *args, mews_query_fn *fn, void *arg,
    mews_query_id *id);

/* The same in two steps. */
enum mews_status lease_query(struct query **out, struct mews_lease *lease,
    enum query_kind kind, const struct mews_query_args *args,
    mews_query_fn *fn, void *arg);
enum mews_status lease_submit(struct mews_lease *lease, struct query *query,
    mews_query_id *id);

/* @query was sent, behind a BEGIN if @begin. */
void lease_sent(struct mews_lease *lease, const struct query *query,
    bool begin, mews_query_id *id);

/* Free the memory of those that ended. */
void lease_free_all(struct mews_pool *pool);

/* The pool goes: what is left of its leases are shells without one. */
void lease_orphan_all(struct mews_pool *pool);

#endif
