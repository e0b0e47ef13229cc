/*
 * hedge.c - twins.
 */
#include "hedge.h"

#include "endpoint.h"
#include "supply.h"

int64_t
hedge_after_us(const struct mews_group *group, uint32_t endpoint)
{
	float	us;

	if (group->config->hedge_after != MEWS_HEDGE_AUTO)
		return (int64_t)group->config->hedge_after * 1000;
	us = group->pool->endpoints[endpoint].p99_us * HEDGE_AUTO_TIMES;
	return us > HEDGE_AUTO_US ? (int64_t)us : HEDGE_AUTO_US;
}

static void
hedge(struct conn *conn, struct query *query)
{
	struct mews_group	*group = conn->group;
	struct conn		*other;
	struct query		*twin;

	if ((other = supply_pick_other(group, conn->endpoint)) == NULL ||
	    !group_may_resend(group) || (twin = query_twin(query)) == NULL)
		return;
	if (conn_send(other, twin, false)) {
		group->hedged++;
		return;
	}
	query->twin = NULL;
	query_drop(twin);
}

void
hedge_scan(struct conn *conn, int64_t now_us)
{
	int64_t	after;

	if (conn->state != CONN_READY || conn->broken ||
	    conn->lease != NULL || !conn->group->reader)
		return;
	after = hedge_after_us(conn->group, conn->endpoint);
	for (uint32_t i = conn->head; i != conn->tail; i++) {
		struct expect *e = &conn->ring[i & (conn->ring_size - 1)];
		struct query  *query = e->query;

		if (e->kind != EXPECT_QUERY || query->kind != QUERY_SHARED ||
		    query->twin != NULL || query->original != NULL ||
		    query->after != 0 || query->fn.query == NULL)
			continue;
		if (query->sent_us + after > now_us) {
			/* Those behind it were sent later. */
			pool_due(conn->group->pool, query->sent_us + after);
			return;
		}
		hedge(conn, query);
	}
}

/* Did the server answer, be it with an error? */
static bool
is_answer(enum mews_status status)
{
	return status == MEWS_OK || status == MEWS_SQL ||
	    status == MEWS_TIMEOUT;
}

bool
hedge_ended(struct query *query, struct mews_result *result)
{
	struct query	*original = query->original;

	if (original == NULL) {
		/* The original: its twin brings nothing any more. */
		query->twin->original = NULL;
		query->twin = NULL;
		return false;
	}
	query->original = NULL;
	original->twin = NULL;
	if (is_answer(result->status) || original->adrift)
		query_answer(original, result);
	return true;
}
