/*
 * mews/transaction.h - transactions and savepoints on a lease.
 *
 * BEGIN costs no round trip of its own: it travels ahead of the first query.
 * All that is in flight on a lease stays in order.
 */
#ifndef MEWS_TRANSACTION_H
#define MEWS_TRANSACTION_H

#include <mews/config.h>
#include <mews/lease.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

#define MEWS_SAVEPOINT_MAX 63 /* bytes in a name; NAMEDATALEN - 1 */

/* Append only, never renumber. */
enum mews_isolation {
	MEWS_ISOLATION_DEFAULT = 0, /* default_transaction_isolation */
	MEWS_ISOLATION_READ_COMMITTED = 1,
	MEWS_ISOLATION_REPEATABLE_READ = 2,
	MEWS_ISOLATION_SERIALIZABLE = 3
};

/* Options of a transaction. Zero leaves them to the session's defaults. */
struct mews_transaction {
	enum mews_isolation isolation;
	enum mews_switch read_only;
	enum mews_switch deferrable; /* matters to SERIALIZABLE READ ONLY */
	uint32_t reserved[5]; /* zero: room for what is added later */
};

/**
 * Open a transaction: BEGIN is sent ahead of the lease's next query. In a
 * group with autocommit off one is open already; there this sets the options
 * of the one that the next query opens. The lease stays held.
 *
 * This holds until mews_lease_commit() or mews_lease_rollback(): if SQL ends
 * the transaction (COMMIT, ROLLBACK), the next query opens another one.
 *
 * @options  copied; for this transaction only. NULL: the session's defaults; a
 *           no-op if a transaction is open, or is to begin with options given
 *           before.
 *
 * Returns MEWS_OK; MEWS_INVALID: options for a transaction that is open
 * already, or others for one that is to begin, values that are none, or
 * MEWS_SWITCH_OFF for read_only in a group whose role is not primary;
 * MEWS_UNAVAILABLE as mews_lease_query(). What only the server can judge
 * (SERIALIZABLE on a standby) ends the first query with MEWS_SQL, and leaves a
 * failed transaction to be rolled back.
 */
enum mews_status mews_lease_transaction(struct mews_lease *lease,
    const struct mews_transaction *options);

/**
 * Commit. The callback's status is MEWS_OK only if the server committed; a
 * transaction in which a query failed ends with MEWS_SQL and is rolled back.
 * Without a transaction, open or to begin, the end is MEWS_SQL (25P01).
 * The lease stays held; in a group with autocommit off its next query opens
 * the next transaction.
 *
 * Returns as mews_lease_query().
 */
enum mews_status mews_lease_commit(struct mews_lease *lease,
    mews_query_fn *fn, void *arg);
/** As mews_lease_commit(), but wait for the end; as mews_lease_query_run(). */
enum mews_status mews_lease_commit_run(struct mews_lease *lease,
    struct mews_result **out);

/** Roll back; else as mews_lease_commit(). */
enum mews_status mews_lease_rollback(struct mews_lease *lease,
    mews_query_fn *fn, void *arg);
/** As mews_lease_rollback(), but wait for the end. */
enum mews_status mews_lease_rollback_run(struct mews_lease *lease,
    struct mews_result **out);

/**
 * Set a savepoint. Where mews_lease_transaction() was called, or the group's
 * autocommit is off, it may be the transaction's first statement; without a
 * transaction the server refuses it (MEWS_SQL, 25P01).
 *
 * @name  NUL-terminated, 1 to MEWS_SAVEPOINT_MAX bytes, of any characters:
 *        the library quotes it. Case matters. Copied.
 *
 * Returns as mews_lease_query(); MEWS_INVALID: the name's length.
 */
enum mews_status mews_lease_savepoint(struct mews_lease *lease,
    const char *name, mews_query_fn *fn, void *arg);
/** As mews_lease_savepoint(), but wait for the end. */
enum mews_status mews_lease_savepoint_run(struct mews_lease *lease,
    const char *name, struct mews_result **out);

/**
 * Undo all that was done since the savepoint, errors included: a failed
 * transaction goes on. The savepoint stays; else as mews_lease_savepoint().
 */
enum mews_status mews_lease_rollback_to(struct mews_lease *lease,
    const char *name, mews_query_fn *fn, void *arg);
/** As mews_lease_rollback_to(), but wait for the end. */
enum mews_status mews_lease_rollback_to_run(struct mews_lease *lease,
    const char *name, struct mews_result **out);

/** Forget the savepoint, keep what was done; as mews_lease_savepoint(). */
enum mews_status mews_lease_release_savepoint(struct mews_lease *lease,
    const char *name, mews_query_fn *fn, void *arg);
/** As mews_lease_release_savepoint(), but wait for the end. */
enum mews_status mews_lease_release_savepoint_run(struct mews_lease *lease,
    const char *name, struct mews_result **out);

/* A lease's transaction, as the server last told it. */
enum mews_transaction_state {
	MEWS_TRANSACTION_NONE = 0,
	MEWS_TRANSACTION_OPEN = 1,
	MEWS_TRANSACTION_FAILED = 2, /* refuses all but its end, and
					mews_lease_rollback_to() */
	MEWS_TRANSACTION_UNKNOWN = 3 /* something is in flight; or the
					connection is gone */
};

/** The state of the transaction on @lease. A transaction that was asked for
 * counts as open once its first query was answered. */
enum mews_transaction_state mews_lease_state(const struct mews_lease *lease);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif

#endif
