/*
 * send.c - queries into the pipeline.
 *
 * A write has a Sync of its own: its transaction ends there, so the failure of
 * another query cannot undo it. A turn's packets leave together: with
 * PQsendPipelineSync where libpq has it, else the socket is corked.
 *
 * The reads of one turn share a Sync (a batch). answer.c takes the answers.
 */
#include "wire/send.h"

#include "wire/bulk.h"
#include "fleet/endpoint.h"
#include "wire/lease.h"
#include "wire/prepared.h"
#include "wire/ring.h"
#include "base/trace.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

bool
conn_send_session(struct conn *conn, const char *sql)
{
	return PQsendQueryParams(conn->pg, sql, 0, NULL, NULL, NULL, NULL,
	    0) == 1 && ring_push(conn, EXPECT_SESSION, NULL);
}

bool
conn_sync(struct conn *conn)
{
#ifdef LIBPQ_HAS_SEND_PIPELINE_SYNC
	if (PQsendPipelineSync(conn->pg) != 1)
		return false;
#else
	static const int on = 1;

	/* PQpipelineSync() flushes. The first packet of a turn goes at once; if
	 * there are more, the kernel gathers them until session_flush(). */
	if (conn->synced && !conn->corked && conn->corkable)
		conn->corked = setsockopt(conn->fd, IPPROTO_TCP, TCP_CORK,
		    &on, sizeof(on)) == 0;
	if (PQpipelineSync(conn->pg) != 1)
		return false;
#endif
	conn->terms->account->batches += conn->unsynced > 0;
	conn->unsynced = 0;
	conn->synced = true;
	conn_flush_later(conn);
	return ring_push(conn, EXPECT_SYNC, NULL);
}

int
send_flush(struct conn *conn)
{
	static const int off = 0;
	int		 left;

	if (conn->unsynced > 0 && !conn_sync(conn))
		return -1;
	left = PQflush(conn->pg);
	conn->synced = false;
	if (conn->corked) {
		setsockopt(conn->fd, IPPROTO_TCP, TCP_CORK, &off, sizeof(off));
		conn->corked = false;
	}
	return left;
}

bool
conn_send_setup(struct conn *conn)
{
	const char *sql = conn->terms->setup;

	for (; *sql != '\0'; sql += strlen(sql) + 1)
		if (!conn_send_session(conn, sql))
			return false;
	return true;
}

/*
 * DISCARD ALL must stand alone. The settings have a Sync of their own, too: in
 * one transaction with the next query they would be undone if it failed.
 */
bool
conn_send_reset(struct conn *conn)
{
	conn_become(conn, CONN_RESETTING);
	prepared_forget(conn);
	return conn_send_session(conn, "DISCARD ALL") && conn_sync(conn) &&
	    conn_send_setup(conn) && conn_sync(conn);
}

/* May DEALLOCATE be sent now? Not into a transaction that failed, or may
 * have. */
static bool
can_deallocate(const struct conn *conn, const struct query *query)
{
	PGTransactionStatusType now = PQtransactionStatus(conn->pg);

	return query->kind == QUERY_SHARED || (conn->head == conn->tail &&
	    (now == PQTRANS_IDLE || now == PQTRANS_INTRANS));
}

static bool
send_prepare(struct conn *conn, struct query *query)
{
	const struct mews_statement *statement = query->statement;
	enum prepared		     now;
	char			     name[PREPARED_NAME], sql[60];

	if (statement == NULL || query->plain)
		return true;
	if ((now = prepared_get(conn, statement)) == PREPARED_YES)
		return true;
	if (now == PREPARED_SENT) {
		/* A query on a lease cannot run again if PREPARE fails: run its
		 * SQL then. */
		query->plain = query->kind != QUERY_SHARED;
		return true;
	}
	if (now == PREPARED_STALE && !can_deallocate(conn, query)) {
		/* The old name stays until the reset after the lease. */
		conn->lease->dirty = true;
	} else if (now == PREPARED_STALE) {
		snprintf(sql, sizeof(sql), "DEALLOCATE %s",
		    prepared_name(conn, statement, name));
		if (!conn_send_session(conn, sql))
			return false;
	}
	return prepared_begin(conn, statement) &&
	    PQsendPrepare(conn->pg, prepared_name(conn, statement, name),
		statement->sql, statement->type_count, statement->types) ==
	    1 && ring_push(conn, EXPECT_PREPARE, query);
}

/*
 * BEGIN alone never fails. Its options may; in a statement of their own they
 * leave a failed transaction, so that queries in flight after them cannot run
 * outside of one.
 */
static bool
send_begin(struct conn *conn, const struct mews_lease *lease)
{
	return conn_send_session(conn, "BEGIN") &&
	    (lease->options[0] == '\0' ||
		(PQsendQueryParams(conn->pg, lease->options, 0, NULL, NULL,
		    NULL, NULL, 0) == 1 &&
		    ring_push(conn, EXPECT_AHEAD, NULL)));
}

/* Send by the unnamed statement, which leaves nothing behind. */
static bool __attribute__((noinline))
send_describe(struct conn *conn, const struct query *query)
{
	const struct mews_statement *statement = query->statement;

	return PQsendPrepare(conn->pg, "", query_sql(query),
	    statement == NULL ? 0 : statement->type_count,
	    statement == NULL ? NULL : statement->types) == 1 &&
	    ring_push(conn, EXPECT_AHEAD, NULL) &&
	    PQsendDescribePrepared(conn->pg, "") == 1;
}

/* Send with the request's traceparent as a comment, by the unnamed statement.
 * What is learned of its SQL is learned for the text without the comment. */
static bool __attribute__((noinline))
send_commented(struct conn *conn, const struct query *query)
{
	char	*sql = parent_comment(query->sql, query->parent);
	bool	 sent = sql != NULL && PQsendQueryParams(conn->pg, sql,
	    query->param_count, query->types, query->values, query->lengths,
	    query->formats, query->format) == 1;

	free(sql);
	return sent;
}

static inline bool
send_query(struct conn *conn, const struct query *query)
{
	const struct mews_statement *statement = query->statement;
	const char *const	    *values = query->values;
	char			     name[PREPARED_NAME];

	if (query->describes)
		return send_describe(conn, query);
	if (statement == NULL && query->has_parent &&
	    conn->terms->config->trace_comments == MEWS_SWITCH_ON &&
	    parent_is_valid(query->parent))
		return send_commented(conn, query);
	if (statement == NULL)
		return PQsendQueryParams(conn->pg, query->sql,
		    query->param_count, query->types, values, query->lengths,
		    query->formats, query->format) == 1;
	if (query->plain)
		return PQsendQueryParams(conn->pg, statement->sql,
		    query->param_count, statement->types, values,
		    query->lengths, query->formats, statement->format) == 1;
	return PQsendQueryPrepared(conn->pg,
	    prepared_name(conn, statement, name), query->param_count, values,
	    query->lengths, query->formats, statement->format) == 1;
}

/*
 * Ask for the position after a query's commit: the WAL's insert position, as
 * with synchronous_commit off the commit may not be written yet.
 */
static bool
send_position(struct conn *conn, struct query *query)
{
	return PQsendQueryParams(conn->pg, "SELECT "
	    "(pg_current_wal_insert_lsn() - '0/0'::pg_lsn)::bigint", 0, NULL,
	    NULL, NULL, NULL, 0) == 1 &&
	    ring_push(conn, EXPECT_POSITION, query) && conn_sync(conn);
}

bool
send_opening(struct conn *conn, const struct mews_lease *begin)
{
	return begin == NULL || (send_begin(conn, begin) && conn_sync(conn));
}

/* Send what @query needs ahead of it, which is rare. */
static bool __attribute__((noinline))
send_ahead(struct conn *conn, struct query *query, bool begin)
{
	bool	stale = query->statement != NULL && !query->plain &&
	    prepared_get(conn, query->statement) == PREPARED_STALE;

	/* End the batch, for a query that no other's error may skip. */
	if (conn->unsynced > 0 && (query->alone || begin || stale) &&
	    !conn_sync(conn))
		return false;
	return (!begin || send_begin(conn, query->lease)) &&
	    send_prepare(conn, query);
}

static inline bool
needs_ahead(const struct conn *conn, const struct query *query, bool begin)
{
	return begin || (query->alone && conn->unsynced > 0) ||
	    (query->statement != NULL && !query->plain &&
		prepared_get(conn, query->statement) != PREPARED_YES);
}

bool
conn_send(struct conn *conn, struct query *query, bool begin)
{
	if (conn_is_broken(conn))
		return false;
	if ((needs_ahead(conn, query, begin) &&
		!send_ahead(conn, query, begin)) ||
	    !send_query(conn, query) ||
	    !ring_push(conn, EXPECT_QUERY, query)) {
		conn_break(conn, HEALTH_LOST, PQerrorMessage(conn->pg));
		return false;
	}
	send_count(conn, query);
	conn->unsynced++;
	if (query->odd) {
		conn->slow += query->slow;
		conn->streams += query->on_row != NULL;
	}
	TRACE(query__start, query->id, conn->terms->config->name,
	    endpoint_name(conn->wire->fleet, conn->endpoint),
	    query_sql(query));
	if (query->memory != NULL)
		bulk_sent(conn, query);
	conn_flush_later(conn);
	/* The query counts as sent from here on: if its Sync fails it is
	 * LOST. */
	if ((query->alone && !conn_sync(conn)) ||
	    (query->position && !send_position(conn, query)))
		conn_break(conn, HEALTH_LOST, PQerrorMessage(conn->pg));
	return true;
}
