/*
 * ending.c - the ends of connections: lost, canceled with the pool, or left in
 * a fork's copy. resend.c decides what becomes of their queries.
 */
#include "pool/ending.h"

#include "wire/answer.h"
#include "wire/copy.h"
#include "fleet/endpoint.h"
#include "wire/interrupt.h"
#include "wire/lease.h"
#include "pool/resend.h"
#include "wire/siblings.h"

#include <assert.h>
#include <stdio.h>

/* A login failed: log it, and wait before the next one. */
static void
dial_failed(struct conn *conn)
{
	struct mews_group      *group = conn->group;
	struct group_endpoint  *on = conn->on;
	int64_t			wait = GROUP_RETRY_LAST_US;
	const char	       *name;
	char			quoted[FLEET_QUOTED];

	name = endpoint_name(group->pool->fleet, conn->endpoint);
	/* Have a probe find out whether all logins are rejected. */
	if (conn->loss == HEALTH_REJECTED)
		endpoint_want_login(group->pool->fleet, conn->endpoint);
	on->failures++;
	if (on->failures < 7)
		wait = (int64_t)GROUP_RETRY_FIRST_US << (on->failures - 1);
	if (wait > GROUP_RETRY_LAST_US)
		wait = GROUP_RETRY_LAST_US;
	wait = wait / 2 + dice_roll(&group->terms.dice, (uint32_t)wait / 2);
	on->not_before_us = pool_now(group->pool) + wait;
	pool_due(group->pool, on->not_before_us);
	snprintf(group->terms.failure, sizeof(group->terms.failure),
	    "%s: %s", name, conn->why);
	fleet_log(group->pool->fleet, MEWS_LOG_WARNING, "connect_failed",
	    "endpoint=%s group=%s evidence=%s sqlstate=%s retry_ms=%lld "
	    "error=%s", name, group->config->name,
	    health_evidence_name(conn->loss), conn->dial.sqlstate,
	    (long long)(wait / 1000),
	    logfmt_text(quoted, sizeof(quoted), conn->why));
}

/* Remove what points to @conn, and close it. */
static void
finish_conn(struct conn *conn)
{
	struct mews_group	*group = conn->group;

	if (group->batch == conn)
		group->batch = NULL;
	if (group->mover == conn) {
		group->mover = NULL;
		group->makes_room = false;
	}
	interrupt_forget(conn->wire, conn);
	copy_free(conn->copy);
	conn_close(conn);
}

void
conn_cancel(struct conn *conn)
{
	static const char why[] = "the pool was closed";
	struct query	 *held = conn->held;

	conn->busy = conn->head != conn->tail;
	conn->held = NULL;
	if (held != NULL && held->committed) {
		answer_tell(conn, held, conn->held_answer);
		conn->held_answer = NULL;
	} else if (held != NULL) {
		query_fail(held, MEWS_CANCELED, why);
	}
	while (conn->head != conn->tail) {
		struct expect e =
		    conn->ring[conn->head++ & (conn->ring_size - 1)];

		if (e.kind == EXPECT_QUERY)
			query_fail(e.query, MEWS_CANCELED, why);
	}
	finish_conn(conn);
}

void
conn_lose(struct conn *conn)
{
	char			 quoted[FLEET_QUOTED];
	struct mews_group	*group = conn->group;

	assert(conn_is_broken(conn) &&
	    "mews: a connection is broken, then lost");
	endpoint_report(group->pool->fleet, conn->endpoint, conn->loss,
	    conn->epoch);
	if (conn->loss == HEALTH_TOO_MANY)
		budget_lower(group->pool->fleet, conn->endpoint);
	/* A login that this process ended itself has not failed. */
	if ((conn->was == CONN_SETUP &&
		(!conn->retiring || conn->loss != HEALTH_NOTHING)) ||
	    (conn->was == CONN_DIALING && conn->loss != HEALTH_NOTHING))
		dial_failed(conn);
	else if (conn->was >= CONN_READY && conn->loss != HEALTH_NOTHING)
		fleet_log(group->pool->fleet, MEWS_LOG_WARNING,
		    "connection_lost", "endpoint=%s group=%s evidence=%s "
		    "in_flight=%u error=%s",
		    endpoint_name(group->pool->fleet, conn->endpoint),
		    group->config->name, health_evidence_name(conn->loss),
		    conn->in_flight,
		    logfmt_text(quoted, sizeof(quoted), conn->why));
	if (conn->lease != NULL)
		lease_lost(conn->lease);
	if (conn->loss == HEALTH_LOST || conn->loss == HEALTH_SHUTDOWN)
		siblings_hear(conn);
	conn->busy = conn->head != conn->tail;
	resend_all(conn);
	finish_conn(conn);
}

void
conn_abandon(struct conn *conn)
{
	copy_free(conn->copy);
	TAILQ_REMOVE(&conn->on->conns, conn, link);
	TAILQ_REMOVE(&conn->wire->conns[conn->endpoint], conn, sibling_link);
	conn_free(conn);
}
