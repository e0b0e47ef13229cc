/*
 * hedge.c - when a read has waited too long, and is asked of another endpoint,
 * too, by its twin.
 *
 * query/query.c makes the twin, and settles the two at the first answer;
 * choose.c chooses the other connection.
 */
#include "pool/hedge.h"

#include "fleet/endpoint.h"
#include "wire/ring.h"
#include "wire/send.h"
#include "pool/choose.h"

/* Has @conn been silent for too long, though it has work? */
static bool
is_silent(const struct conn *conn, int64_t now_us)
{
	return conn->head != conn->tail &&
	    now_us - conn->head_since_us >= HEDGE_SILENT_US &&
	    now_us - conn->heard_us >= HEDGE_SILENT_US;
}

static bool
are_others_heard(const struct mews_pool *pool, int64_t now_us)
{
	for (uint32_t i = 0; i < MEWS_ENDPOINTS_MAX; i++)
		if (pool->endpoints[i].heard_us > now_us - POOL_BEAT_US)
			return true;
	return false;
}

/* How long silence is usual for the statements in flight. */
static int64_t
usual_silence_us(const struct conn *conn)
{
	const struct known *known = conn->known;
	float	us = known->p99_us > known->latency_us ? known->p99_us :
		known->latency_us;

	return (int64_t)(us * KNOWN_HEDGE_TIMES);
}

/* May @query, which was sent, be asked a second time? Not if it may have ended
 * a session: then this was its second run. */
static bool
may_hedge(const struct query *query)
{
	return query->kind == QUERY_SHARED && !query_is_hedged(query) &&
	    query->after == 0 &&
	    query->fn.query != NULL && query->suspected == 0 &&
	    !query->describes;
}

static void
send_twin(struct query *query, struct conn *other)
{
	struct mews_group	*group = query->account->group;
	struct query		*twin;

	if (!queue_take_resend(&group->queue) ||
	    (twin = query_twin(query)) == NULL)
		return;
	if (conn_send(other, twin, false)) {
		group->hedged++;
		group->figures->hedged++;
		return;
	}
	query_part(twin);
}

/* Send twins of the reads of @conn that wait for longer than @after; @anywhere:
 * a connection to the same endpoint will do. */
static void
hedge_old(struct conn *conn, int64_t after, bool anywhere, int64_t now_us)
{
	struct mews_group *group = conn->group;
	struct conn	  *other;

	for (uint32_t i = conn->head; i != conn->tail; i++) {
		struct expect *e = ring_at(conn, i);
		struct query  *query = e->query;

		if (e->kind != EXPECT_QUERY || !may_hedge(query) ||
		    (anywhere && query->slow))
			continue;
		if (query->sent_us + after > now_us) {
			/* Later queries are due later. */
			pool_due(group->pool, query->sent_us + after);
			return;
		}
		if ((other = choose_pick_other(group, conn, anywhere)) != NULL)
			send_twin(query, other);
		else if (anywhere)
			/* Keep a connection out of the lanes for slow
			 * queries. */
			group->quick_us = now_us;
	}
}

/* No connection is heard: ask the oldest read again, over an idle one. */
static void
try_idle(struct conn *conn, int64_t now_us)
{
	struct conn	*other;

	if (now_us - conn->head_since_us < usual_silence_us(conn))
		return;
	for (uint32_t i = conn->head; i != conn->tail; i++) {
		struct expect *e = ring_at(conn, i);

		if (e->kind != EXPECT_QUERY)
			continue;
		if (e->query->twin != NULL)
			return;
		if (!may_hedge(e->query) || e->query->slow)
			continue;
		other = choose_pick_other(conn->group, conn, true);
		if (other != NULL && other->in_flight == 0)
			send_twin(e->query, other);
		return;
	}
}

/* The first entry of the ring that may be held up: not a query alone in the
 * first segment, which is the one that runs. */
static uint32_t
first_held(const struct conn *conn)
{
	uint32_t	i, queries = 0;

	for (i = conn->head; i != conn->tail &&
	    ring_at(conn, i)->kind != EXPECT_SYNC; i++)
		queries += ring_at(conn, i)->kind == EXPECT_QUERY;
	return queries < 2 ? i : conn->head;
}

/* Send twins of the reads behind a query that takes long, or in its segment. */
static void
leave_held(struct conn *conn, int64_t now_us)
{
	struct mews_group *group = conn->group;
	struct conn	  *other;
	int64_t		   due = conn->head_since_us +
			   known_held_us(conn->known, group->config);

	if (due > now_us) {
		pool_due(group->pool, due);
		return;
	}
	for (uint32_t i = first_held(conn); i != conn->tail; i++) {
		struct expect *e = ring_at(conn, i);

		if (e->kind != EXPECT_QUERY || !may_hedge(e->query) ||
		    e->query->slow)
			continue;
		if ((other = choose_pick_idle(group, conn)) == NULL) {
			/* Open one more, if the limits allow it. */
			choose_take_any(group);
			pool_due(group->pool, now_us + HEDGE_AGAIN_US);
			return;
		}
		send_twin(e->query, other);
	}
}

void
hedge_scan(struct conn *conn, int64_t now_us)
{
	const struct mews_group *group = conn->group;

	if (conn->state != CONN_READY)
		return;
	if (conn->in_flight > 1)
		leave_held(conn, now_us);
	if (group->config->hedge_after != 0)
		hedge_old(conn, known_hedge_us(conn->known, group->config),
		    false, now_us);
	else if (!is_silent(conn, now_us))
		return;
	else if (are_others_heard(group->pool, now_us))
		hedge_old(conn, HEDGE_SILENT_US, true, now_us);
	else
		try_idle(conn, now_us);
}
