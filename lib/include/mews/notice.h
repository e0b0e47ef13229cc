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
 * A notice came. Runs in the middle of reading what a server sent, in front of
 * the answer of the query that it belongs to: must not call the pool, nor end a
 * lease. Copy what is wanted.
 *
 * @lease     on whose connection it came; NULL: on one that is shared.
 * @endpoint  its name; lives as long as the fleet.
 * @notice    for PQresultErrorField() and PQresultErrorMessage(); ends with the
 *            callback.
 */
typedef void mews_notice_fn(void *arg, struct mews_lease *lease,
    const char *endpoint, const PGresult *notice);

/**
 * Hear the notices of all connections of @pool, but for those of leases that
 * have a callback of their own. Replaces the callback before it.
 *
 * @fn  NULL: they are thrown away, as at first.
 *
 * Returns MEWS_OK, or MEWS_INVALID in a fork's copy.
 */
enum mews_status mews_pool_set_notice(struct mews_pool *pool,
    mews_notice_fn *fn, void *arg);

/**
 * Hear those of a lease, until it ends; NULL: its pool's callback does.
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
