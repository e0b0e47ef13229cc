/*
 * query.h - one query, or one wait for a lease, from acceptance to its end.
 *
 * A query is in exactly one place: on its group's waiting list (WAITING, or
 * LOST), in a connection's ring (SENT, or ANSWERED), in its twin's hands
 * (ADRIFT), or free in its store. query_end() is the only way out of the first
 * three: it runs the callback, once.
 *
 * The pool uses the memory of queries and their parameters again and again;
 * only large parameters and unregistered SQL are allocated.
 */
#ifndef LIB_QUERY_QUERY_H
#define LIB_QUERY_QUERY_H

#include "query/parent.h"
#include "query/result.h"
#include "base/sql.h"
#include "query/statement.h"

#include <mews/lease.h>
#include <mews/pool.h>
#include <mews/query.h>
#include <mews/stream.h>
#include <sys/queue.h>

struct account;

enum query_kind {
	QUERY_SHARED,	/* on any connection of its group */
	QUERY_LEASE,	/* waits for a connection of its own */
	QUERY_ON_LEASE, /* on the lease's connection */
	QUERY_COPY,	/* on the lease's connection; see copy.h */
	QUERY_COMMIT,	/* on the lease's connection: COMMIT */
	QUERY_ROLLBACK,	/* on the lease's connection: ROLLBACK */
	QUERY_SAVEPOINT /* on the lease's connection: a savepoint's commands */
};

enum query_state {
	QUERY_FREE,
	QUERY_WAITING,
	QUERY_LOST,	/* waiting again: its connection was lost */
	QUERY_SENT,	/* on a connection's ring */
	QUERY_ADRIFT,	/* its connection was lost, its twin is on its way */
	QUERY_ANSWERED	/* on a ring still; of it and its twin, the other was
			   answered, and nobody waits for this one */
};

#define QUERY_INLINE_PARAMS 6
#define QUERY_INLINE_BYTES  160
#define PARAM_INSIDE	    ((int)sizeof(((struct mews_param *)0)->inside))
#define QUERY_SLACK	    PARAM_INSIDE /* short values are copied with this
					    size */
#define QUERY_TWIN_PARAMS   32 /* a query with more is not hedged */
/* The most that a server takes in one message: MaxAllocSize of PostgreSQL's
 * src/include/utils/memutils.h, less the message's own fields. */
#define QUERY_MESSAGE_MAX   ((size_t)0x3fffff00)
#define QUERY_RESENDS	    2 /* of a query that the server gave back unrun */

struct query {
	mews_query_id id; /* generation << 32 | number in its store */
	uint32_t wait_ms; /* for a connection; 0: as the group says */
	uint8_t kind;	  /* enum query_kind */
	uint8_t state;	  /* enum query_state */
	bool alone;	  /* has a Sync of its own */
	struct account *account; /* of its group */
	union {
		mews_query_fn *query;
		mews_lease_fn *lease; /* QUERY_LEASE */
	} fn;		      /* NULL: the callback has run, but the answer is
				 to come */
	void *arg;
	int64_t sent_us;

	/* Fields that are zero at first, side by side. */
	uint8_t unrun;	  /* times that the server gave it back, not run */
	uint8_t suspected; /* times that a session ended that may have run it */
	int8_t sent_to;	  /* the endpoint; -1: never sent */
	bool slow;	  /* its statement is known to take long */
	bool odd;	  /* slow, with on_row, describes, ANSWERED, or it
			     waited: its answer needs a closer look */
	bool canceled;	  /* on store->canceled; its end is CANCELED */
	bool position;	  /* wants to know where its commit is in the WAL */
	bool committed;	  /* committed; the position comes next */
	bool inside;	  /* a transaction of a lease, its end included */
	bool plain;	  /* run the statement's SQL, prepared or not */
	bool describes;	  /* asks for types and columns, and runs nothing */
	bool partly;	  /* one of its statements committed something */
	bool streaming;	  /* with on_row: libpq was told */
	bool stopped;	  /* with on_row: no more rows are wanted */
	bool outgrown;	  /* ANSWERED: the other's answer was too large */
	bool has_parent;  /* its request brought a traceparent */
	uint64_t lsn;	  /* the position, once known */
	int64_t waited_us; /* in the queue, before it was sent */
	struct query *twin;	/* its copy, hedged, on another endpoint */
	struct query *original; /* of a twin: the query that it answers for */
	struct mews_lease *lease; /* kinds from QUERY_ON_LEASE on */
	mews_row_fn *on_row; /* rows come one by one; or NULL */
	const char *sql;  /* NULL: @statement's */
	int *formats;	  /* of the parameters; NULL: all text */
	Oid *types;	  /* of the parameters of @sql; NULL: none is given */
	uint64_t after;	  /* only on a server that replayed this position; or
			     0 */
	size_t outside;	  /* bytes of @memory */
	int64_t waiting_us; /* when it entered the queue */
	int64_t wait_until_us; /* in the queue: when it is given up */
	int64_t deadline_us; /* of the whole query, if deadline_at is set */
	uint32_t deadline_at; /* its place in the heap; 0: none */

	uint64_t hash;	  /* of @sql; QUERY_SHARED */
	void *memory;	  /* of the parameters that are not inline; or NULL */
	const struct mews_statement *statement;
	const char **values; /* for libpq; they point into memory of ours */
	int *lengths;
	int param_count;
	int format;	  /* of the columns of the SQL */
	TAILQ_ENTRY(query) link;      /* waiting list */
	TAILQ_ENTRY(query) gone_link; /* store->canceled */
	SLIST_ENTRY(query) free_link; /* store->free */
	struct mews_result told; /* the result for its callback */
	const char *inline_values[QUERY_INLINE_PARAMS];
	int inline_lengths[QUERY_INLINE_PARAMS];
	int inline_formats[QUERY_INLINE_PARAMS];
	Oid inline_types[QUERY_INLINE_PARAMS];
	char inline_bytes[QUERY_INLINE_BYTES + QUERY_SLACK];
	char parent[PARENT_LENGTH + 1]; /* if has_parent; not checked */
};

TAILQ_HEAD(query_list, query);
SLIST_HEAD(query_stack, query);

/* Why MEWS_QUERY_POSITION is refused in a group that only reads. */
#define QUERY_NO_POSITION "MEWS_QUERY_POSITION is for groups of role " \
			  "primary: a read has no position"

/* A query of @kind with a copy of @args, WAITING, on no list yet. If it fails,
 * @account->why has the reason. */
enum mews_status query_new(struct query **out, struct account *account,
    enum query_kind kind, const struct mews_query_args *args);

/* A wait for a lease; NULL: out of memory. */
struct query *query_new_wait(struct account *account, uint32_t wait_ms);

/* Is @query in the queue? Else it was sent. */
static inline bool
query_is_queued(const struct query *query)
{
	return query->state == QUERY_WAITING || query->state == QUERY_LOST;
}

/* Has @query a twin that will answer it, or is it one? */
static inline bool
query_is_hedged(const struct query *query)
{
	return query->twin != NULL || query->original != NULL;
}

/* The SQL of @query, or of its statement. */
static inline const char *
query_sql(const struct query *query)
{
	return query->statement != NULL ? query->statement->sql : query->sql;
}

/* Does @query copy from, or to, the client? */
static inline enum sql_copy
query_copies(const struct query *query)
{
	return query->statement != NULL ? query->statement->copies :
	    sql_copies(query->sql);
}

/* Is it known which request @query belongs to? */
static inline bool
query_is_traced(const struct query *query)
{
	return query->has_parent && parent_is_valid(query->parent);
}

/* The effect that @query may leave in its session. */
enum sql_effect query_effect(const struct query *query);

/*
 * End @query: count it, run its callback, free it; clear @answer, which may be
 * NULL. A query that was canceled ends as CANCELED, whatever @status is.
 */
void query_end(struct query *query, enum mews_status status,
    PGresult *answer, const char *endpoint, const char *message);

/* End @query with a sentence, and with the endpoint that it was sent to last,
 * unless @status says that it never ran. */
void query_fail(struct query *query, enum mews_status status,
    const char *message);

/* A copy of @query for another endpoint; NULL: too large, or out of memory. */
struct query *query_twin(struct query *query);

/* Free @query without a callback: it was never accepted. */
void query_drop(struct query *query);

/* Leave @query, whose connection was lost, to its twin. */
void query_drift(struct query *query);

/* Free @twin, which brings no answer, and part its original from it, which is
 * sent again by itself. */
void query_part(struct query *twin);

#define QUERY_GIVEN_UP "given up by the caller"

/* Cancel @query: its callback runs in the next tick. */
void query_cancel(struct query *query);

/* Run the callback of @query, if it has not run yet; @query was sent, and its
 * answer is still to come. */
void query_give_up(struct query *query, const char *why);

#endif
