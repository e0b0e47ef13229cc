/*
 * owed.c - ending queries in flight to which no connection expects an answer: a
 * blocking call would wait for them for ever.
 */
#include "pool/owed.h"

#include "wire/conn.h"
#include "fleet/endpoint.h"
#include "wire/lease.h"
#include "wire/ring.h"
#include "pool/group.h"

static bool
is_owed(const struct query *query)
{
	const struct conn *conn;

	for (uint32_t i = 0; i < MEWS_ENDPOINTS_MAX; i++)
		TAILQ_FOREACH (conn, &query->account->group->on[i].conns, link)
			if (conn->held == query || ring_expects(conn, query))
				return true;
	return false;
}

/* Break the connections that @query may be on: they are out of step. */
static void
break_conns(struct query *query)
{
	static const char	 why[] = "an unexpected answer came";
	struct mews_group	*group = query->account->group;
	struct conn		*conn;

	if (query->lease != NULL) {
		if (query->lease->conn != NULL)
			conn_break(query->lease->conn, HEALTH_LOST, why);
	} else if (query->sent_to >= 0) {
		TAILQ_FOREACH (conn, &group->on[query->sent_to].conns, link)
			if (conn_is_up(conn))
				conn_break(conn, HEALTH_LOST, why);
	}
}

void
owed_end_lost(struct mews_pool *pool)
{
	for (uint32_t i = 0; i < pool->store.count; i++) {
		struct query *query = pool->store.queries[i];

		/* A twin has no callback: its original tells the answer. */
		if (query->state != QUERY_SENT || query->fn.query == NULL ||
		    query_is_hedged(query) || is_owed(query))
			continue;
		break_conns(query);
		if (query->lease != NULL)
			lease_heard(query->lease, pool_now(pool));
		query_fail(query, MEWS_LOST, "its answer was lost, so the "
		    "outcome is unknown");
	}
}
