/*
 * mews/stream.h - what is too large for memory: rows one by one, and COPY.
 *
 * Streams run on leases, with one chunk in memory at a time, and wait for a
 * slow host or server: a paused stream does not read its socket, so that the
 * server stops sending; mews_copy_put() refuses while the socket is full.
 *
 * A stream ends as any query does, once, by its on_end. What was delivered
 * before an end that is not MEWS_OK is to be thrown away.
 *
 * Time: the server counts the whole of a stream, pauses included, as one
 * statement of the group's query_timeout; where that is too short, say "SET
 * LOCAL statement_timeout" first. A host that leaves a stream waiting for
 * longer than query_timeout has forgotten its lease, which is taken away.
 */
#ifndef MEWS_STREAM_H
#define MEWS_STREAM_H

#include <mews/lease.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/* How a stream goes on after a callback. */
enum mews_flow {
	MEWS_FLOW_GO = 0,
	MEWS_FLOW_PAUSE = 1, /* no more until mews_lease_resume() */
	MEWS_FLOW_STOP = 2   /* no more at all: the rest is thrown away */
};

/**
 * One row. Runs on the loop, as every callback; it may end the lease.
 *
 * @row  PQntuples() is 1; ends with the callback.
 */
typedef enum mews_flow mews_row_fn(void *arg, const struct mews_result *row);

/**
 * Run a query whose rows come one by one. Memory is that of a row, however
 * many there are. Else as mews_lease_query(): other queries may be in flight
 * before and behind it.
 *
 * @on_end  its result has no rows. MEWS_OK too if on_row asked to stop: the
 *          rest is read and thrown away, which takes its time; to save it, end
 *          the lease.
 * @arg     of both callbacks.
 */
enum mews_status mews_lease_rows(struct mews_lease *lease,
    const struct mews_query_args *args, mews_row_fn *on_row,
    mews_query_fn *on_end, void *arg, mews_query_id *id);

/**
 * As mews_lease_rows(), but wait for the end; as mews_lease_query_run(). Only
 * another callback of the pool can end a pause.
 *
 * @arg  of on_row.
 */
enum mews_status mews_lease_rows_run(struct mews_lease *lease,
    const struct mews_query_args *args, mews_row_fn *on_row, void *arg,
    struct mews_result **out);

/**
 * Deliver nothing more and stop reading, as by returning MEWS_FLOW_PAUSE.
 * Answers of other queries on the lease wait, too.
 *
 * Returns MEWS_OK; MEWS_INVALID: no stream is in flight; MEWS_UNAVAILABLE as
 * mews_lease_query().
 */
enum mews_status mews_lease_pause(struct mews_lease *lease);

/**
 * Go on, from the next mews_pool_tick(); a no-op where nothing is paused.
 * Returns MEWS_OK, MEWS_INVALID or MEWS_UNAVAILABLE.
 */
enum mews_status mews_lease_resume(struct mews_lease *lease);

/**
 * A piece of a COPY TO STDOUT: one row in the formats text and csv.
 *
 * @data    @length bytes, NUL-terminated behind them; ends with the callback.
 */
typedef enum mews_flow mews_copy_data_fn(void *arg, const void *data,
    size_t length);

/** There is room: mews_copy_put() may be called, until it returns
 * MEWS_OVERLOAD. */
typedef void mews_copy_room_fn(void *arg);

/**
 * COPY ... TO STDOUT. The COPY begins when everything in flight on the lease
 * has ended, and has the lease for itself until its own end: other calls on the
 * lease return MEWS_INVALID, except mews_lease_pause(), mews_lease_resume() and
 * mews_lease_end().
 *
 * @sql     copied.
 * @on_end  PQcmdTuples() of its result is the number of rows.
 * @arg     of both callbacks.
 *
 * Returns as mews_lease_query(); MEWS_INVALID also for other SQL, and for
 * anything behind its semicolon.
 */
enum mews_status mews_copy_out(struct mews_lease *lease, const char *sql,
    mews_copy_data_fn *on_data, mews_query_fn *on_end, void *arg,
    mews_query_id *id);

/** As mews_copy_out(), but wait for the end. @arg: of on_data. */
enum mews_status mews_copy_out_run(struct mews_lease *lease, const char *sql,
    mews_copy_data_fn *on_data, void *arg, struct mews_result **out);

/**
 * COPY ... FROM STDIN; as mews_copy_out().
 *
 * @on_room  runs when the server is ready for data, and whenever there is
 *           room again after mews_copy_put() refused.
 * @on_end   a mistake in the data may end it before mews_copy_end(): with
 *           MEWS_SQL, usually a fraction of a second after that data was
 *           sent, and at mews_copy_end() at the latest.
 */
enum mews_status mews_copy_in(struct mews_lease *lease, const char *sql,
    mews_copy_room_fn *on_room, mews_query_fn *on_end, void *arg,
    mews_query_id *id);

#define MEWS_COPY_PIECE_MAX (64 * 1024 * 1024) /* bytes in one put */

/**
 * Send a piece; its ends need not be those of rows.
 *
 * @data    copied; 0 to MEWS_COPY_PIECE_MAX bytes, all of which wait in memory
 *          where the socket is full.
 *
 * Returns MEWS_OK: taken. MEWS_OVERLOAD: nothing of it was taken; on_room
 * will run. MEWS_INVALID: no COPY IN is open on the lease (any more).
 * MEWS_UNAVAILABLE: the connection is gone.
 */
enum mews_status mews_copy_put(struct mews_lease *lease, const void *data,
    size_t length);

/**
 * End the COPY. on_end will tell what came of it.
 *
 * @abort  NULL: that was all. Else a reason, for the server's log: nothing is
 *         stored, and the end is MEWS_CANCELED.
 *
 * Returns MEWS_OK, MEWS_INVALID or MEWS_UNAVAILABLE, as mews_copy_put().
 */
enum mews_status mews_copy_end(struct mews_lease *lease, const char *abort);

/**
 * Where a blocking COPY takes its data from: fill @buffer with up to @size
 * bytes. Returns how many; 0: that was all; below 0: abort the COPY, which ends
 * with MEWS_CANCELED. More than @size is a mistake, which aborts it with
 * MEWS_INVALID.
 */
typedef int mews_copy_source_fn(void *arg, void *buffer, size_t size);

/** COPY ... FROM STDIN, waiting for its end. @arg: of source. */
enum mews_status mews_copy_in_run(struct mews_lease *lease, const char *sql,
    mews_copy_source_fn *source, void *arg, struct mews_result **out);

/**
 * Run a text of several statements by the simple protocol: a migration, a
 * dump. Outside of a transaction the server runs the text as one, unless the
 * text begins and ends its own; it stops at the first error. Nothing else is
 * accepted on the lease meanwhile. The text may leave a transaction open on the
 * lease. When the lease ends its session is reset.
 *
 * @sql        NUL-terminated, copied; without parameters and without COPY: COPY
 *             FROM STDIN fails, COPY TO STDOUT ends the connection.
 * @on_result  runs for each statement that went well, in order, with its
 *             answer; may be NULL. It may call the pool, but no blocking call.
 * @on_end     runs once, with the last statement's answer, or the error that
 *             ended it: MEWS_SQL, MEWS_TIMEOUT: all that was not committed is
 *             undone; MEWS_PARTLY: a statement before it committed; MEWS_LOST:
 *             unknown, even inside of a transaction.
 *
 * Returns as mews_lease_query().
 */
enum mews_status mews_lease_script(struct mews_lease *lease, const char *sql,
    mews_query_fn *on_result, mews_query_fn *on_end, void *arg,
    mews_query_id *id);
/** As mews_lease_script(), but wait for the end; as mews_lease_query_run().
 * @arg is on_result's. */
enum mews_status mews_lease_script_run(struct mews_lease *lease,
    const char *sql, mews_query_fn *on_result, void *arg,
    struct mews_result **out);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif

#endif
