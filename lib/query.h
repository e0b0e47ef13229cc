/*
 * query.h - one query, or one wait for a lease, from acceptance to its end.
 *
 * A query is in exactly one place: on its group's waiting list (WAITING), in
 * a connection's ring (SENT), or on the pool's free list. query_end() is the
 * only way out of the first two: it runs the callback, once.
 *
 * Queries and their parameters live in memory of the pool that is used again
 * and again; only large parameters and SQL of the moment are allocated.
 */
#ifndef QUERY_H
#define QUERY_H

#include "result.h"
#include "sql.h"

#include <mews/lease.h>
#include <mews/pool.h>
#include <mews/query.h>
#include <mews/stream.h>
#include <sys/queue.h>

struct conn;

enum query_kind {
	QUERY_SHARED,	/* on any connection of its group */
	QUERY_LEASE,	/* waits for a connection of its own */
	QUERY_ON_LEASE, /* on the lease's connection */
	QUERY_COPY,	/* the same: see copy.h */
	QUERY_COMMIT,	/* the same: COMMIT */
	QUERY_ROLLBACK,	/* the same: ROLLBACK */
	QUERY_SAVEPOINT /* the same: to, or of, a savepoint */
};

enum query_state {
	QUERY_FREE,
	QUERY_WAITING,
	QUERY_LOST, /* waiting again: its connection was */
	QUERY_SENT
};

#define QUERY_INLINE_PARAMS 6
#define QUERY_INLINE_BYTES  160
#define QUERY_TWIN_PARAMS   32 /* one with more is not hedged */
#define QUERY_RESENDS	    2 /* of a read, after lost connections */

struct query {
	mews_query_id id; /* generation << 32 | number + 1 */
	uint32_t number;  /* index into pool->queries */
	uint8_t kind;	  /* enum query_kind */
	uint8_t state;	  /* enum query_state */
	uint8_t attempts; /* sent so often */
	bool canceled;	  /* on pool->canceled; its end is CANCELED */
	bool alone;	  /* has a Sync of its own */
	bool slow;	  /* its statement is known to take long */
	bool position;	  /* wants to know where its commit is in the WAL */
	bool adrift;	  /* its connection was lost, its twin is on its way */
	uint64_t after;	  /* only on a server that replayed this; or 0 */
	uint64_t lsn;	  /* the position, once known */
	struct query *twin;	/* the same, hedged, on another endpoint */
	struct query *original; /* of a twin: whose answer it brings */
	bool plain;	  /* run the statement's SQL, prepared or not */
	bool streaming;	  /* with on_row: libpq knows */
	bool stopped;	  /* with on_row: no more of them */
	struct mews_group *group;
	struct mews_lease *lease; /* ON_LEASE and below */
	const struct mews_statement *statement;
	const char *sql; /* where there is no statement */
	int format;	 /* of the columns */
	int param_count;
	const char **values; /* for libpq; what they point to is ours */
	int *lengths;
	int *formats; /* NULL: all text */
	const Oid *types; /* of the parameters; NULL: none is given */
	void *memory; /* behind them where it is not inline; or NULL */
	union {
		mews_query_fn *query;
		mews_lease_fn *lease; /* QUERY_LEASE */
	} fn;		      /* NULL: ended, but its answer is to come */
	void *arg;
	mews_row_fn *on_row; /* rows come one by one; or NULL */
	int64_t deadline_us; /* of the waiting */
	int64_t sent_us;
	TAILQ_ENTRY(query) link;     /* waiting list or free list */
	TAILQ_ENTRY(query) gone_link; /* pool->canceled */
	const char *inline_values[QUERY_INLINE_PARAMS];
	int inline_lengths[QUERY_INLINE_PARAMS];
	int inline_formats[QUERY_INLINE_PARAMS];
	Oid inline_types[QUERY_INLINE_PARAMS];
	char inline_bytes[QUERY_INLINE_BYTES];
};

TAILQ_HEAD(query_list, query);

/*
 * A query with a copy of @args; NULL: out of memory. @args may be NULL for
 * QUERY_LEASE. The state is WAITING, on no list yet.
 */
struct query *query_new(struct mews_group *group, enum query_kind kind,
    const struct mews_query_args *args, uint32_t timeout_ms);

/* A mistake in @args, as a sentence; NULL: none. */
const char *query_check(const struct mews_pool *pool,
    const struct mews_query_args *args);

/* What it may leave in its session. */
enum sql_effect query_effect(const struct query *query);

/*
 * End it: count, call back, free. @result's PGresult stays the caller's.
 * A query that was canceled before says so, whatever @result is.
 */
void query_end(struct query *query, struct mews_result *result);

/* Another query brought the answer: tell it; free it if it was adrift. */
void query_answer(struct query *query, struct mews_result *result);

/* End it with a sentence. */
void query_fail(struct query *query, enum mews_status status,
    const char *message);

/* The same query once more, for another endpoint; NULL: it is too large, or
 * out of memory. */
struct query *query_twin(struct query *query);

/* Take it back without a callback: it was never accepted. */
void query_drop(struct query *query);

/* Run the callbacks of those that were canceled since the last tick. */
void query_end_canceled(struct mews_pool *pool);

#endif
