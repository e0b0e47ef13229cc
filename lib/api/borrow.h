/*
 * borrow.h - what the calls on a lease have in common.
 */
#ifndef LIB_API_BORROW_H
#define LIB_API_BORROW_H

#include "wire/lease.h"

/* May the lease be used now? MEWS_OK, or why not; looks at the connection.
 * Calls that go on with a COPY ask only whether the lease is alive:
 * borrow_alive(). */
enum mews_status borrow_usable(struct mews_lease *lease);
enum mews_status borrow_alive(struct mews_lease *lease);

/* Send a query of @kind over the lease's connection. */
enum mews_status borrow_send(struct mews_lease *lease, enum query_kind kind,
    const struct mews_query_args *args, mews_query_fn *fn, void *arg,
    mews_query_id *id);

/* borrow_send() in two steps. */
enum mews_status borrow_query(struct query **out, struct mews_lease *lease,
    enum query_kind kind, const struct mews_query_args *args,
    mews_query_fn *fn, void *arg);
enum mews_status borrow_submit(struct mews_lease *lease, struct query *query,
    mews_query_id *id);

/* Note that @query was sent, after a BEGIN if @begin. */
void borrow_sent(struct mews_lease *lease, struct query *query,
    bool begin, mews_query_id *id);

#endif
