/*
 * forget.c - DEALLOCATE on each connection that has prepared what was dropped.
 *
 * A leased connection keeps the statement until the lease has ended: its
 * transaction may have failed, and refuse everything.
 */
#include "pool/forget.h"

#include "pool/group.h"
#include "wire/prepared.h"
#include "wire/send.h"

#include <stdio.h>

/* Mark dropped statements that have queries in flight. */
static void
mark_busy(struct mews_pool *pool)
{
	struct mews_statement	*statement;

	SLIST_FOREACH (statement, &pool->statements.dropped, link)
		statement->busy = false;
	for (uint32_t i = 0; i < pool->store.count; i++) {
		const struct query *query = pool->store.queries[i];

		if (query->state != QUERY_FREE && query->kind != QUERY_LEASE &&
		    query->statement != NULL && query->statement->dropped)
			((struct mews_statement *)(uintptr_t)
			    query->statement)->busy = true;
	}
}

/* Send DEALLOCATE with a Sync of its own, so that no other error skips it. */
static bool
send_deallocate(struct conn *conn, const struct mews_statement *statement)
{
	char	name[PREPARED_NAME], sql[60];

	snprintf(sql, sizeof(sql), "DEALLOCATE %s",
	    prepared_name(conn, statement, name));
	return (conn->unsynced == 0 || conn_sync(conn)) &&
	    conn_send_session(conn, sql) && conn_sync(conn);
}

/* True: @conn does not know @statement any more. */
static bool
forget_on(struct conn *conn, const struct mews_statement *statement)
{
	if (conn->state == CONN_BROKEN ||
	    prepared_get(conn, statement) == PREPARED_NOT)
		return true;
	if (conn->state != CONN_READY)
		return false;
	if (!send_deallocate(conn, statement)) {
		conn_break(conn, HEALTH_LOST, PQerrorMessage(conn->pg));
		return true;
	}
	prepared_set(conn, statement, PREPARED_NOT);
	conn->group->pool->loop.hurry = true;
	return true;
}

static bool
forget_everywhere(struct mews_pool *pool,
    const struct mews_statement *statement)
{
	struct conn	*conn;
	bool		 all = true;

	for (uint32_t g = 0; g < pool->group_count; g++)
		for (uint32_t i = 0; i < MEWS_ENDPOINTS_MAX; i++)
			TAILQ_FOREACH (conn, &pool->groups[g].on[i].conns,
			    link)
				all = forget_on(conn, statement) && all;
	return all;
}

void
forget_scan(struct mews_pool *pool)
{
	struct statements	*statements = &pool->statements;
	struct mews_statement	*statement, *next;

	if (SLIST_EMPTY(&statements->dropped))
		return;
	mark_busy(pool);
	for (statement = SLIST_FIRST(&statements->dropped); statement != NULL;
	    statement = next) {
		next = SLIST_NEXT(statement, link);
		if (statement->busy)
			continue;
		if (statement_is_shared(statements, statement))
			statement_free(statements, statement, false);
		else if (forget_everywhere(pool, statement))
			statement_free(statements, statement, true);
	}
}
