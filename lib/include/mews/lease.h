/*
 * mews/lease.h - one connection held exclusively: a transaction, session
 * state, anything that must not be shared. What can be done with one is also
 * in mews/transaction.h.
 *
 * What a lease leaves behind does not reach the next user of its connection:
 * when the lease ends an open transaction is rolled back, session state is
 * reset, and the group's settings are made again, before anybody else is
 * served on that connection. A statement whose text only reads or writes rows
 * causes no reset: what a function behind its view, trigger or operator does to
 * the session stays.
 *
 * A lease with nothing in flight for longer than its group's query_timeout
 * counts as forgotten: up to a second later it is rolled back and taken away,
 * with a warning in the log.
 */
#ifndef MEWS_LEASE_H
#define MEWS_LEASE_H

#include <mews/pool.h>
#include <mews/query.h>
#include <mews/status.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

struct mews_lease;

/**
 * Runs exactly once for each accepted mews_lease_begin(), on the loop.
 *
 * @lease   end it with mews_lease_end(). NULL: there was none, and @result says
 *          why (its status is MEWS_OK otherwise).
 */
typedef void mews_lease_fn(void *arg, struct mews_lease *lease,
    const struct mews_result *result);

/**
 * Borrow a connection. In a group with autocommit off a transaction is open
 * on it: BEGIN travels ahead of the first query.
 *
 * @wait_ms  ms for a connection, at most; 0: the group's acquire_timeout.
 * @id       for mews_query_cancel() while it waits; may be NULL.
 *
 * Returns MEWS_OK, MEWS_OVERLOAD, MEWS_INVALID or MEWS_NOMEM, as
 * mews_query_send() does.
 */
enum mews_status mews_lease_begin(struct mews_group *group,
    uint32_t wait_ms, mews_lease_fn *fn, void *arg, mews_query_id *id);

/**
 * As mews_lease_begin(), on a server that has replayed the WAL up to @after, or
 * on the primary where the group may use it: what the lease reads includes that
 * write.
 *
 * @after  a mews_result_position(), of any worker; 0: on any server. Without a
 *         monitor it is not known what a standby has replayed: if the group may
 *         not use a primary, the wait ends with MEWS_WAITED, whose message says
 *         so.
 */
enum mews_status mews_lease_begin_after(struct mews_group *group,
    uint64_t after, uint32_t wait_ms, mews_lease_fn *fn, void *arg,
    mews_query_id *id);

/**
 * Borrow a connection that is free at this moment, if no query waits for one:
 * the quickest way, also from inside a callback. NULL: there is none;
 * mews_lease_begin() waits.
 */
struct mews_lease *mews_lease_try(struct mews_group *group);

/**
 * Borrow a connection, waiting for it. *out is set on MEWS_OK, else NULL.
 *
 * Returns what mews_lease_begin() does, or how the wait ended: MEWS_WAITED or
 * MEWS_UNAVAILABLE; mews_group_message() says why.
 */
enum mews_status mews_lease_begin_run(struct mews_group *group,
    uint32_t wait_ms, struct mews_lease **out);

/** As mews_lease_begin_run(), with @after as in mews_lease_begin_after(). */
enum mews_status mews_lease_begin_after_run(struct mews_group *group,
    uint64_t after, uint32_t wait_ms, struct mews_lease **out);

/**
 * Run one query on the lease; several may be in flight, in order. In an open
 * transaction what the query did counts only if the transaction commits. A
 * COMMIT sent as SQL ends with MEWS_SQL, as mews_lease_commit() does, if the
 * server answers it with ROLLBACK because a query of the transaction had
 * failed.
 *
 * Returns MEWS_OK, MEWS_UNAVAILABLE (the connection was lost, or taken away,
 * since: everything of the open transaction is undone), MEWS_INVALID (also
 * where its pool was closed) or MEWS_NOMEM.
 */
enum mews_status mews_lease_query(struct mews_lease *lease,
    const struct mews_query_args *args, mews_query_fn *fn, void *arg,
    mews_query_id *id);

/** As mews_lease_query(), but wait for the end; as mews_query_run(). */
enum mews_status mews_lease_query_run(struct mews_lease *lease,
    const struct mews_query_args *args, struct mews_result **out);

/** The endpoint's name; "" where its pool was closed. */
const char *mews_lease_endpoint(const struct mews_lease *lease);

/**
 * Give the connection back and set *lease to NULL; NULL *lease is a no-op.
 * What is in flight still ends by its callbacks; a transaction that is open
 * after that is rolled back. In the middle of a stream (mews/stream.h) the
 * connection is closed instead, and the stream ends with MEWS_CANCELED.
 */
void mews_lease_end(struct mews_lease **lease);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif

#endif
