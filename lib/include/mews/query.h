/*
 * mews/query.h - statements, parameters, queries and results.
 */
#ifndef MEWS_QUERY_H
#define MEWS_QUERY_H

#include <libpq-fe.h>
#include <mews/pool.h>
#include <mews/status.h>
#include <stdint.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

struct mews_statement;
struct mews_result;

#define MEWS_PARAMS_MAX 65535 /* of one query; the protocol's own limit */

/* Flags of a statement, and of a query that brings its own SQL. */
#define MEWS_QUERY_BINARY 0x1 /* columns arrive in binary format */
/* Flag of any query. */
#define MEWS_QUERY_ALONE  0x2 /* shares no Sync: see batch in mews/config.h */
/* Flag of a query in a group of role primary, INVALID in others: take the
 * position of its commit in the WAL, for mews_result_position(). In a
 * transaction on a lease the result of mews_lease_commit(), or of a COMMIT sent
 * as SQL, has the position. Costs a second small query. INVALID on a lease
 * while a BEGIN or COMMIT sent as SQL is unanswered. */
#define MEWS_QUERY_POSITION 0x4
/* Flag of any query, which brings no parameters then: do not run it, describe
 * it. The result's PGresult has the types of its parameters, by PQnparams() and
 * PQparamtype(), and its columns, by PQnfields(), PQfname(), PQftype() and
 * PQfmod(): none if it returns no rows. */
#define MEWS_QUERY_DESCRIBE 0x8

/* One parameter. Make it with the helpers below; all zero is SQL NULL. Never
 * grows, as queries bring arrays of it. */
struct mews_param {
	const void *value; /* NULL: 1 to 27 bytes are inside */
	int32_t length;	   /* bytes, without a NUL; SQL NULL: -1, or 0 with
			      value NULL */
	Oid type;	   /* 0: as the server infers it; see mews/type.h */
	uint8_t format;	   /* 0 text, 1 binary, as in libpq */
	char inside[27];
};

/* Values as text, or untyped bytes; mews/type.h has binary numbers. */
/** An integer as text: fits every numeric type. */
struct mews_param mews_param_int_text(int64_t value);
/** A double as text, exact; fits float8 and numeric. */
struct mews_param mews_param_double_text(double value);
/** true or false. */
struct mews_param mews_param_bool(bool value);
/** A NUL-terminated string, copied by the call that gets the query, not here;
 * NULL: SQL NULL. */
struct mews_param mews_param_text(const char *value);
/** Bytes in binary format (bytea, or a type's binary form), copied likewise;
 * NULL: SQL NULL. */
struct mews_param mews_param_bytes(const void *value, int32_t length);
/** SQL NULL. */
struct mews_param mews_param_null(void);

/**
 * Register SQL to be run many times. It is prepared on each connection in the
 * same flight as its first use there.
 *
 * The same SQL with the same types is prepared once, however often it is
 * registered. Servers call it "mews_0", "mews_1", ...
 *
 * @name   for messages and figures; unique in the pool, characters and length
 *         as in an endpoint's name; copied. NULL: "mews_0", "mews_1", ...,
 *         which need not be what servers call it.
 * @sql    one statement, copied; $1, $2, ... are its parameters.
 * @flags  MEWS_QUERY_BINARY or 0.
 * @out    set on MEWS_OK, else NULL; belongs to the pool and lives as long, or
 *         until mews_statement_drop().
 *
 * Returns MEWS_OK, MEWS_INVALID (@error says why) or MEWS_NOMEM. The SQL
 * itself is judged by the server at first use.
 */
enum mews_status mews_statement_register(struct mews_statement **out,
    struct mews_pool *pool, const char *name, const char *sql, unsigned flags,
    struct mews_error *error);

/**
 * Forget a statement and set *statement to NULL; NULL *statement is a no-op.
 * Queries of it that were accepted end as they would. Servers forget it within
 * some seconds, or when a lease that ran it has ended; not while the same SQL
 * is registered a second time.
 */
void mews_statement_drop(struct mews_statement **statement);

/** The statement's name; it lives as long as the statement. */
const char *mews_statement_name(const struct mews_statement *statement);

/* A statement as this process has seen it. */
struct mews_statement_stats {
	uint64_t answers; /* answers without an error, ever */
	uint32_t mean_us; /* moving average of a run's time on the server */
};

/** Fill @stats, of @size bytes: sizeof(*stats), so that it can grow. */
void mews_statement_stats(const struct mews_statement *statement,
    struct mews_statement_stats *stats, size_t size);

/* A query. Zero means default; exactly one of statement and sql is set. */
struct mews_query_args {
	const struct mews_statement *statement; /* registered, or */
	const char *sql; /* parsed anew each time, one statement */
	const struct mews_param *params;
	int param_count;
	unsigned flags;	     /* MEWS_QUERY_ALONE, MEWS_QUERY_POSITION,
				MEWS_QUERY_DESCRIBE; with sql:
				MEWS_QUERY_BINARY */
	uint64_t after;	     /* read your writes: a position. Run on a server
				that has replayed it, or on the primary if the
				group may use it, after a wait of wait_ms at
				most. 0: anywhere. INVALID on a lease, which has
				its server: see mews_lease_begin_after() */
	uint32_t wait_ms;    /* ms to wait for a connection, each time; default
				acquire_timeout. A query on a lease never waits
				for one */
	uint32_t deadline_ms; /* ms from the call to the callback, at most;
				 default none. A query not sent by then ends as
				 if wait_ms had passed. One that was sent ends
				 MEWS_CANCELED and names the endpoint; the
				 server still finishes it */
	const char *traceparent; /* of the request that asks, as in W3C Trace
				Context: "00-<32>-<16>-<2>" in lower-case
				hex. The log of slow queries names it, and
				the server hears it where the group has
				trace_comments. NULL: none; anything else is
				ignored */
	uint64_t reserved[3]; /* zero: room for what is added later */
};

/**
 * How a query ended. Runs exactly once for each query that was accepted, on
 * the loop (mews_pool_ready, mews_pool_tick) or inside a blocking call, never
 * inside the call that sent it. May call the pool, but no blocking call (it
 * returns MEWS_INVALID), and neither mews_pool_tick() nor mews_pool_close() (an
 * assertion refuses them).
 *
 * @result  ends with the callback.
 */
typedef void mews_query_fn(void *arg, const struct mews_result *result);

/* Names an accepted query; never 0, never used twice. */
typedef uint64_t mews_query_id;

/**
 * Run one query, which is its own transaction, sharing a connection with
 * others. SQL that opens a transaction or changes the session (BEGIN, SET,
 * LISTEN, ...) is refused: that needs a lease. A function that does the same
 * (set_config(), pg_advisory_lock()) needs one too, but is not detected here:
 * what it changed would stay for later users of the connection.
 *
 * @args  copied, parameters included.
 * @id    may be NULL; set on MEWS_OK.
 *
 * Returns MEWS_OK: the callback will run. MEWS_OVERLOAD (queue full),
 * MEWS_INVALID (arguments, a group with autocommit off, forked copy) or
 * MEWS_NOMEM: it will not; mews_group_message() says why.
 */
enum mews_status mews_query_send(struct mews_group *group,
    const struct mews_query_args *args, mews_query_fn *fn, void *arg,
    mews_query_id *id);

/**
 * Give a query or a wait for a lease up. Its callback runs with MEWS_CANCELED
 * in the next tick. If it was sent, the result names the endpoint, and the
 * server still finishes it. After mews_query_interrupt() on a lease the
 * callback waits until the server was asked, so that what the lease sends next
 * is not canceled instead.
 *
 * Returns MEWS_OK, or MEWS_INVALID: it has ended already.
 */
enum mews_status mews_query_cancel(struct mews_pool *pool, mews_query_id id);

/**
 * Ask the server, over a session of its own, to cancel a query that runs there:
 * on a lease, as a stream, or as a shared query that is the last one on its
 * connection. The query's callback tells the outcome: MEWS_TIMEOUT with
 * SQLSTATE 57014 if the server canceled it, and nothing was committed; or its
 * usual end, if the request came too late. What a lease sends before that
 * callback may be canceled instead. A query that was not sent yet is given up,
 * as by mews_query_cancel().
 *
 * Returns MEWS_OK, MEWS_NOMEM, or MEWS_INVALID: it has ended already, or later
 * queries share its connection and could be canceled instead. MEWS_UNAVAILABLE:
 * there is no room for another session, as the endpoint is a pooler whose pool
 * is full, or this process interrupts a shared query there already.
 */
enum mews_status mews_query_interrupt(struct mews_pool *pool,
    mews_query_id id);

/**
 * Run one query and wait for its end; everything else of the pool makes
 * progress meanwhile (callbacks of other queries run in here).
 *
 * @out  the result, also of a query that failed; to be freed with
 *       mews_result_free(). NULL where the query was not accepted, and
 *       mews_group_message() says why.
 *
 * Returns the query's status, or that of mews_query_send(). MEWS_INVALID
 * inside a callback of the pool.
 */
enum mews_status mews_query_run(struct mews_group *group,
    const struct mews_query_args *args, struct mews_result **out);

/** How the query ended. */
enum mews_status mews_result_status(const struct mews_result *result);

/**
 * The server's answer, for PQntuples() and friends; NULL if there is none.
 * Belongs to @result: never PQclear() it. Not const, as PQcmdTuples() is not.
 */
PGresult *mews_result_pg(const struct mews_result *result);

/** The name of the endpoint that the query was sent to last; "": it was never
 * sent. Lives as long as the fleet. */
const char *mews_result_endpoint(const struct mews_result *result);

/** Why the query did not end with MEWS_OK, a sentence in one line; "" if it
 * did. PQresultErrorMessage() of mews_result_pg() has all lines of a server's
 * message. Lives as long as @result, as does the SQLSTATE. */
const char *mews_result_message(const struct mews_result *result);

/** The five characters of the SQLSTATE; "" where the server gave none. */
const char *mews_result_sqlstate(const struct mews_result *result);

/**
 * With MEWS_QUERY_POSITION: the position in the WAL that a server must have
 * replayed to show what this query wrote; for after of a later read, in any
 * worker. 0: not known, as the query failed or was lost.
 */
uint64_t mews_result_position(const struct mews_result *result);

/** How many rows were inserted, updated, deleted, selected or copied; -1 where
 * the command counts none, or failed. */
int64_t mews_result_affected(const struct mews_result *result);

/** Free a result of a blocking call and set *result to NULL; NULL *result is
 * a no-op. A callback's result is refused by an assertion. */
void mews_result_free(struct mews_result **result);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif

#endif
