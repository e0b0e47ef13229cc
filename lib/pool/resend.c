/*
 * resend.c - which queries of a lost connection are sent again, and with what
 * status the others end.
 *
 * The queue and its retry budget are in query/queue.c; ending.c ends the
 * connection itself.
 */
#include "pool/resend.h"

#include "wire/answer.h"
#include "fleet/endpoint.h"
#include "wire/ring.h"

#include <stdio.h>

static bool
take_resend(const struct query *query)
{
	struct mews_group	*group = query->account->group;

	return group->terms.reader && query->kind == QUERY_SHARED &&
	    query->suspected <= RESEND_SUSPECTED && !query->canceled &&
	    query->fn.query != NULL &&
	    queue_take_resend(&group->queue);
}

static void
query_lost(struct conn *conn, struct query *query)
{
	char		why[300];
	const char     *name;

	name = endpoint_name(conn->group->pool->fleet, conn->endpoint);
	snprintf(why, sizeof(why), "the connection to %s was lost, so the "
	    "%s: %s", name, query->inside ? "transaction is undone" :
	    "outcome is unknown", conn->why);
	query_end(query, query->inside ? MEWS_UNDONE : MEWS_LOST, NULL, name,
	    why);
}

/* End @query, whose answer was too large to keep, and cost its connection. LOST
 * if it may have committed. */
static void
query_too_large(struct conn *conn, struct query *query)
{
	enum mews_status status = query->inside ? MEWS_UNDONE :
	    conn->terms->reader || sql_reads(query_sql(query)) ?
	    MEWS_TOO_LARGE : MEWS_LOST;
	char		 why[300];

	snprintf(why, sizeof(why), "%s%s; read such answers row by row, with "
	    "mews_lease_rows()", conn->why, status == MEWS_UNDONE ?
	    ", so the transaction is undone" : status == MEWS_LOST ?
	    ", so the outcome is unknown" : "");
	query_end(query, status, NULL, endpoint_name(
	    conn->group->pool->fleet, conn->endpoint), why);
}

/*
 * Clear query->inside, unless @query was certainly undone with its transaction.
 * @commit: a query after @query may have committed its transaction. Returns the
 * same for the queries before @query.
 */
static bool
settle_behind(struct query *query, bool commit)
{
	if (query->kind == QUERY_SHARED)
		return commit;
	if (query->kind == QUERY_COMMIT)
		query->inside = false;
	if (!query->inside)
		return true;
	if (query->kind == QUERY_ROLLBACK)
		return false;
	query->inside = !commit;
	return commit;
}

/* Queue @query again, or leave it to its twin. False: it is lost. */
static bool
save(struct query *query, bool suspect)
{
	struct query	*twin = NULL;

	if (query->original != NULL) {
		twin = query;
		query = twin->original;
	}
	query->suspected += suspect;
	if (query->twin != NULL && twin == NULL) {
		/* The twin's answer, or its loss, decides. */
		query_drift(query);
		return true;
	}
	/* The original, if it is not adrift, is in flight itself: drop the
	 * twin. */
	if ((twin != NULL && query->state != QUERY_ADRIFT) ||
	    !take_resend(query))
		return false;
	if (twin != NULL)
		query_part(twin);
	if (query->suspected > 0)
		query->slow = query->alone = query->odd = true;
	queue_put_back(&query->account->group->queue, query, true);
	return true;
}

/* The number of entries in the first unanswered segment of the ring. */
static uint32_t
first_segment(const struct conn *conn)
{
	uint32_t	i = conn->head;

	while (i != conn->tail && ring_at(conn, i)->kind != EXPECT_SYNC)
		i++;
	return i - conn->head;
}

void
resend_all(struct conn *conn)
{
	struct query   *held = conn->held;
	PGresult       *answer = conn->held_answer;
	uint32_t	first = first_segment(conn);
	bool		commit = false, too_large = conn->too_large;

	conn->held = NULL;
	conn->held_answer = NULL;
	/* Last to first, as each goes to the front of the queue. */
	for (uint32_t i = conn->tail; i-- != conn->head;) {
		struct expect  *e = ring_at(conn, i);
		bool		suspect = !conn->bystander &&
		    i - conn->head < first;

		if (e->kind != EXPECT_QUERY)
			continue;
		commit = settle_behind(e->query, commit);
		/* If a query is held without an answer, the large answer is
		 * its. */
		if (too_large && i == conn->head &&
		    (held == NULL || answer != NULL))
			continue;
		if (save(e->query, suspect))
			e->kind = EXPECT_NOTHING;
	}
	if (held != NULL) {
		settle_behind(held, commit);
		if (!held->committed && (!too_large || answer != NULL) &&
		    save(held, !conn->bystander))
			held = NULL;
	}
	/* Run callbacks only when all that is sent again is queued. */
	if (held != NULL && held->committed) {
		answer_tell(conn, held, answer);
		answer = NULL;
	} else if (held != NULL && too_large && answer == NULL) {
		query_too_large(conn, held);
		too_large = false;
	} else if (held != NULL) {
		query_lost(conn, held);
	}
	PQclear(answer);
	while (conn->head != conn->tail) {
		struct expect e = *ring_at(conn, conn->head++);

		if (e.kind == EXPECT_QUERY && too_large)
			query_too_large(conn, e.query);
		else if (e.kind == EXPECT_QUERY)
			query_lost(conn, e.query);
		too_large = false;
	}
}
