/*
 * query.h - one query, or one wait for a lease, from acceptance to its end.
 *
 * A query is in exactly one place: on its group's waiting list (WAITING, or
 * LOST), in a connection's ring (SENT), or on the pool's free list. query_end()
 * is the only way out of the first two: it runs the callback, once.
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
#define QUERY_SLACK	    sizeof(((struct mews_param *)0)->inside)
#define QUERY_TWIN_PARAMS   32 /* one with more is not hedged */
#define QUERY_RESENDS	    2 /* of a read, after lost connections */

struct query {
	mews_query_id id; /* generation << 32 | index into pool->queries + 1 */
	uint32_t timeout_ms; /* of the waiting; 0: the group's */
	uint8_t kind;	  /* enum query_kind */
	uint8_t state;	  /* enum query_state */
	bool alone;	  /* has a Sync of its own */
	struct mews_group *group;
	union {
		mews_query_fn *query;
		mews_lease_fn *lease; /* QUERY_LEASE */
	} fn;		      /* NULL: ended, but its answer is to come */
	void *arg;
	int64_t sent_us;

	/* What is zero at first, side by side. */
	uint8_t attempts; /* sent so often */
	bool slow;	  /* its statement is known to take long */
	bool canceled;	  /* on pool->canceled; its end is CANCELED */
	bool position;	  /* wants to know where its commit is in the WAL */
	bool adrift;	  /* its connection was lost, its twin is on its way */
	bool plain;	  /* run the statement's SQL, prepared or not */
	bool streaming;	  /* with on_row: libpq knows */
	bool stopped;	  /* with on_row: no more of them */
	uint64_t lsn;	  /* the position, once known */
	struct query *twin;	/* the same, hedged, on another endpoint */
	struct query *original; /* of a twin: whose answer it brings */
	struct mews_lease *lease; /* ON_LEASE and below */
	mews_row_fn *on_row; /* rows come one by one; or NULL */
	const char *sql;  /* where there is no statement ... */
	int *formats;	  /* of the parameters; NULL: all text */
	Oid *types;	  /* of the SQL's parameters; NULL: none is given */
	uint64_t after;	  /* only on a server that replayed this; or 0 */
	int64_t deadline_us; /* of the waiting; 0: it did not wait yet */

	uint64_t hash;	  /* ... and what it is known by; QUERY_SHARED */
	void *memory;	  /* of the parameters that are not inline; or NULL */
	const struct mews_statement *statement;
	const char **values; /* for libpq; what they point to is ours */
	int *lengths;
	int param_count;
	int format;	  /* of the columns of the SQL */
	TAILQ_ENTRY(query) link;      /* waiting list */
	TAILQ_ENTRY(query) gone_link; /* pool->canceled */
	SLIST_ENTRY(query) free_link; /* pool->free_queries */
	const char *inline_values[QUERY_INLINE_PARAMS];
	int inline_lengths[QUERY_INLINE_PARAMS];
	int inline_formats[QUERY_INLINE_PARAMS];
	Oid inline_types[QUERY_INLINE_PARAMS];
	char inline_bytes[QUERY_INLINE_BYTES + QUERY_SLACK];
};

TAILQ_HEAD(query_list, query);
SLIST_HEAD(query_stack, query);

/* A query of @kind with a copy of @args, WAITING, on no list yet. Else the
 * group was told why not. */
enum mews_status query_new(struct query **out, struct mews_group *group,
    enum query_kind kind, const struct mews_query_args *args);

/* A wait for a lease; NULL: out of memory. */
struct query *query_new_wait(struct mews_group *group, uint32_t timeout_ms);

/* What it may leave in its session. */
enum sql_effect query_effect(const struct query *query);

/*
 * End it: count, call back, free, clear @answer, which may be NULL. A query
 * that was canceled before says so, whatever became of it.
 */
void query_end(struct query *query, enum mews_status status,
    PGresult *answer, const char *endpoint, const char *message);

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
