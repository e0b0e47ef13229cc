/*
 * cancel.c - the doors by which a query is given up, and what then ends it.
 */
#include "api/cancel.h"

#include "wire/copy.h"
#include "pool/group.h"
#include "wire/interrupt.h"
#include "wire/lease.h"

/* End the stream of @query, which was given up: its host will not resume or end
 * it. */
static void
end_stream(struct query *query)
{
	struct conn	*conn;

	if (query->lease == NULL || (conn = query->lease->conn) == NULL)
		return;
	if (query->kind == QUERY_COPY)
		copy_give_up(conn);
	if (conn->paused)
		conn_pause(conn, CONN_PAUSE_HOST, false);
}

/* Run the callback of @query, which was sent; the ring still expects its
 * answer. */
static void
give_query_up(struct query *query, const char *why)
{
	bool	streams = query->fn.query != NULL &&
	    (query->on_row != NULL || query->kind == QUERY_COPY);

	query_give_up(query, why);
	if (streams)
		end_stream(query);
}

void
cancel_run(struct mews_pool *pool)
{
	struct query_list	*canceled = &pool->store.canceled;
	struct query		*query;
	size_t			 left = 0;

	/* Leave queries that callbacks cancel to the next turn. */
	TAILQ_FOREACH (query, canceled, gone_link)
		left++;
	while (left-- > 0 && (query = TAILQ_FIRST(canceled)) != NULL) {
		if (interrupt_holds(&pool->wire, query)) {
			TAILQ_REMOVE(canceled, query, gone_link);
			TAILQ_INSERT_TAIL(canceled, query, gone_link);
			continue;
		}
		if (query_is_queued(query)) {
			queue_remove(&query->account->group->queue, query);
			query_fail(query, MEWS_CANCELED, QUERY_GIVEN_UP);
			continue;
		}
		give_query_up(query, QUERY_GIVEN_UP);
	}
}

bool
cancel_is_due(const struct mews_pool *pool)
{
	const struct query	*query;

	TAILQ_FOREACH (query, &pool->store.canceled, gone_link)
		if (!interrupt_holds(&pool->wire, query))
			return true;
	return false;
}

void
cancel_scan(struct mews_pool *pool, int64_t now_us)
{
	struct deadlines	*deadlines = &pool->store.deadlines;
	struct query		*query;

	while ((query = deadline_take(deadlines, now_us)) != NULL) {
		/* The group gives up a query that waits. */
		if (query_is_queued(query))
			continue;
		if (!interrupt_holds(&pool->wire, query))
			give_query_up(query, "the query's deadline passed");
		else if (!query->canceled && query->fn.query != NULL)
			query_cancel(query);
	}
	pool_due(pool, deadline_next(deadlines));
}

/* The query of @id that has not ended, or NULL. */
static struct query *
find_query(struct mews_pool *pool, mews_query_id id)
{
	return pool_admit_given(pool) ? store_find(&pool->store, id) : NULL;
}

enum mews_status
mews_query_cancel(struct mews_pool *pool, mews_query_id id)
{
	struct query	*query = find_query(pool, id);

	if (query == NULL)
		return MEWS_INVALID;
	query_cancel(query);
	return MEWS_OK;
}

enum mews_status
mews_query_interrupt(struct mews_pool *pool, mews_query_id id)
{
	struct query	*query = find_query(pool, id);

	if (query == NULL)
		return MEWS_INVALID;
	if (query_is_queued(query)) {
		query_cancel(query);
		return MEWS_OK;
	}
	return interrupt_begin(&pool->wire, query);
}
