/*
 * grow.c - opening connections of a group, and replacing old ones.
 */
#include "pool/grow.h"

#include "fleet/budget.h"
#include "fleet/endpoint.h"
#include "wire/session.h"

bool
grow_wants(const struct conn *conn)
{
	return route_keeps(&conn->group->route, conn->endpoint) &&
	    conn->epoch == endpoint_health(conn->group->pool->fleet,
		conn->endpoint).epoch;
}

bool
grow_is_slow_to_dial(const struct mews_group *group, uint32_t endpoint)
{
	const struct group_endpoint *on = &group->on[endpoint];
	int64_t			     now = pool_now(group->pool);
	const struct conn	    *conn;

	if (now < on->not_before_us)
		return true;
	TAILQ_FOREACH (conn, &on->conns, link)
		if (conn_logs_in(conn) &&
		    now - conn->dialed_us > SESSION_SLOW_US)
			return true;
	return false;
}

/*
 * The fleet is at its cap, so @conn has to end before its successor logs in:
 * but only after another login went well since its lifetime ended. One at a
 * time.
 */
static void
give_place(struct conn *conn)
{
	struct mews_group *group = conn->group;
	struct mews_fleet *fleet = group->pool->fleet;
	char		   why[SEGMENT_REFUSAL_MAX + 1], quoted[FLEET_QUOTED];
	struct conn	  *other;

	conn->on->not_before_us = pool_now(group->pool) + GROUP_FULL_US;
	pool_due(group->pool, conn->on->not_before_us);
	TAILQ_FOREACH (other, &conn->on->conns, link)
		if (other->retiring)
			return;
	if (endpoint_proves_login(fleet, conn->endpoint, conn->expires_us)) {
		conn_retire(conn);
		return;
	}
	endpoint_want_login(fleet, conn->endpoint);
	if (conn->on->kept_told || segment_get_refusal(
	    &fleet->segment.endpoints[conn->endpoint], why) == 0)
		return;
	conn->on->kept_told = true;
	fleet_log(fleet, MEWS_LOG_WARNING, "connection_kept",
	    "endpoint=%s group=%s error=%s", endpoint_name(fleet,
		conn->endpoint), group->config->name,
	    logfmt_text(quoted, sizeof(quoted), why));
}

void
grow_replace(struct conn *conn)
{
	struct mews_group *group = conn->group;
	int64_t		   now = pool_now(group->pool);
	struct conn	  *other;

	if (!grow_wants(conn)) {
		conn_retire(conn);
		return;
	}
	TAILQ_FOREACH (other, &conn->on->conns, link) {
		if (other == conn || conn_is_broken(other) || other->replaces ||
		    other->dialed_us < conn->expires_us)
			continue;
		/* Behind a pooler the place of @conn is its successor's. */
		if (conn_logs_in(other) && !other->queued)
			return;
		other->replaces = true;
		conn_retire(conn);
		return;
	}
	/* A lease may last: until its end there is no second connection. */
	if (conn->lease != NULL)
		return;
	if (now < conn->on->not_before_us) {
		pool_due(group->pool, conn->on->not_before_us);
		return;
	}
	switch (session_dial(&group->terms, conn->endpoint)) {
	case BUDGET_OK:
		break;
	case BUDGET_BURST:
		conn->on->not_before_us = now + GROUP_BURST_US;
		pool_due(group->pool, conn->on->not_before_us);
		break;
	case BUDGET_FULL:
		give_place(conn);
		break;
	}
}

bool
grow_dial(struct mews_group *group, uint32_t endpoint)
{
	struct group_endpoint  *on = &group->on[endpoint];
	enum budget		budget = BUDGET_FULL;

	/* Behind a pooler one more would wait as well. */
	if (on->queued == 0)
		budget = session_dial(&group->terms, endpoint);
	if (budget == BUDGET_OK)
		return true;
	/* Ask again after a while, not for each query. */
	on->not_before_us = pool_now(group->pool) +
	    (budget == BUDGET_BURST ? GROUP_BURST_US : GROUP_FULL_US);
	pool_due(group->pool, on->not_before_us);
	return false;
}
