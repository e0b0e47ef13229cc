/*
 * borrow.h - what the calls on a lease have in common.
 */
#ifndef LIB_API_BORROW_H
#define LIB_API_BORROW_H

#include "wire/lease.h"

/* Why the lease cannot be used now; MEWS_OK: it can. Looks at the connection.
 * Only what goes on with a COPY asks whether the lease is alive, no more. */
enum mews_status borrow_usable(struct mews_lease *lease);
enum mews_status borrow_alive(struct mews_lease *lease);

/* A query of @kind onto its connection. */
enum mews_status borrow_send(struct mews_lease *lease, enum query_kind kind,
    const struct mews_query_args *args, mews_query_fn *fn, void *arg,
    mews_query_id *id);

/* borrow_send() in two steps. */
enum mews_status borrow_query(struct query **out, struct mews_lease *lease,
    enum query_kind kind, const struct mews_query_args *args,
    mews_query_fn *fn, void *arg);
enum mews_status borrow_submit(struct mews_lease *lease, struct query *query,
    mews_query_id *id);

/* @query was sent, behind a BEGIN if @begin. */
void borrow_sent(struct mews_lease *lease, struct query *query,
    bool begin, mews_query_id *id);

#endif
