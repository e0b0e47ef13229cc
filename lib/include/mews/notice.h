/*
 * mews/notice.h - what a server says beside its answers: NOTICE, WARNING and
 * the like, as far as the session's client_min_messages lets them pass.
 */
#ifndef MEWS_NOTICE_H
#define MEWS_NOTICE_H

#include <libpq-fe.h>
#include <mews/lease.h>
#include <mews/pool.h>
#include <mews/status.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/**
 * A notice came. Runs while the pool reads what a server sent, before the
 * callback of the query that the notice belongs to: must not call the pool, nor
 * end a lease.
 *
 * @lease     on whose connection the notice came; NULL: the connection is
 *            shared.
 * @endpoint  its name; lives as long as the fleet.
 * @notice    for PQresultErrorField() and PQresultErrorMessage(); ends with the
 *            callback, so copy what is wanted.
 */
typedef void mews_notice_fn(void *arg, struct mews_lease *lease,
    const char *endpoint, const PGresult *notice);

/**
 * Hear the notices of all connections of @pool, except those of leases that
 * have a callback of their own. Replaces an earlier callback.
 *
 * @fn  NULL, as at first: notices are thrown away.
 *
 * Returns MEWS_OK, or MEWS_INVALID in a fork's copy.
 */
enum mews_status mews_pool_set_notice(struct mews_pool *pool,
    mews_notice_fn *fn, void *arg);

/**
 * Hear the notices of a lease, until it ends. NULL: the pool's callback hears
 * them.
 *
 * Returns MEWS_OK, or MEWS_INVALID: its pool was closed, or in a fork's copy.
 */
enum mews_status mews_lease_set_notice(struct mews_lease *lease,
    mews_notice_fn *fn, void *arg);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif

#endif
