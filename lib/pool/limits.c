/*
 * limits.c - how long a connection may log in, work, idle, be held and live.
 */
#include "pool/limits.h"

#include "wire/answer.h"
#include "wire/copy.h"
#include "fleet/crowd.h"
#include "pool/grow.h"
#include "wire/lease.h"
#include "pool/choose.h"
#include "wire/session.h"

/* Take a lease away that its holder has forgotten. */
static void
scan_lease(struct mews_lease *lease, int64_t now_us)
{
	struct mews_group *group = lease->group;
	uint32_t	   timeout = group->config->query_timeout;
	int64_t		   until;

	if (lease->conn->copy != NULL)
		copy_scan(lease->conn, now_us);
	if (timeout == MEWS_FOREVER || (lease->in_flight > 0 &&
		!copy_waits_for_host(lease->conn)))
		return;
	until = lease->active_us + (int64_t)timeout * 1000;
	if (until > now_us) {
		pool_due(group->pool, until);
		return;
	}
	fleet_log(group->pool->fleet, MEWS_LOG_WARNING, "lease_forgotten",
	    "group=%s endpoint=%s idle_ms=%lld", group->config->name,
	    lease_endpoint(lease),
	    (long long)((now_us - lease->active_us) / 1000));
	conn_break(lease->conn, HEALTH_NOTHING, "the lease was forgotten");
}

/* Retire a connection that was idle for too long. */
static void
scan_idle(struct conn *conn, int64_t now_us)
{
	struct mews_group *group = conn->group;
	uint32_t	   idle = choose_idle_ms(group);
	int64_t		   idle_until = LOOP_NEVER;

	if (idle == MEWS_FOREVER || !conn_is_free(conn) ||
	    group->terms.count <= choose_least(group))
		return;
	idle_until = conn->idle_since_us + (int64_t)idle * 1000;
	if (idle_until > now_us)
		pool_due(group->pool, idle_until);
	else if (TAILQ_EMPTY(&group->pool->wire.broken))
		/* One per tick, as it counts until it is closed. */
		conn_retire(conn);
}

/* Is a pooler in between, whose pool is full? Then open sessions are answered,
 * and this one, which has logged in, is not. */
static bool
is_in_queue(const struct conn *conn, int64_t now_us)
{
	return conn->state == CONN_SETUP && conn->unanswered &&
	    crowd_queues(conn->wire->fleet, conn->endpoint, conn->entered_us,
		now_us);
}

/* Let @conn wait, and wish for a session where its group has none. */
static void
scan_queued(struct conn *conn, int64_t now_us)
{
	struct mews_group *group = conn->group;

	conn_queue(conn);
	if (conn->on->count > conn->on->dialing || group->queue.count == 0 ||
	    now_us - conn->wished_us < CROWD_WISH_US)
		return;
	conn->wished_us = now_us;
	crowd_wish(group->pool->fleet, conn->endpoint);
}

/* A login that takes its time. */
static void
scan_login(struct conn *conn, int64_t now_us)
{
	struct mews_group *group = conn->group;
	int64_t	silence = crowd_silence(group->pool->fleet, DIAL_US), until;
	bool	waits, over;

	/* The endpoint is another server, or another role, by now. */
	if (conn->queued && conn->retiring) {
		conn_break(conn, HEALTH_NOTHING, "it waited for what is no "
		    "longer wanted");
		return;
	}
	if (conn->queued || is_in_queue(conn, now_us))
		scan_queued(conn, now_us);
	waits = conn->queued && conn->unanswered;
	over = patience_is_over(&conn->patience, group->pool->loop.looked_us);
	if (over && !(waits && crowd_lives(group->pool->fleet, conn->endpoint,
	    now_us - silence))) {
		conn_break(conn, HEALTH_CONNECT_TIMEOUT,
		    "no answer to the login");
		return;
	}
	if (waits && now_us - conn->entered_us > CROWD_MOST_US) {
		conn_break(conn, HEALTH_NOTHING, "it waited behind a pooler "
		    "whose pool is full");
		return;
	}
	if (over)
		patience_begin(&conn->patience, silence, now_us);
	until = conn->dialed_us + SESSION_SLOW_US;
	pool_due(group->pool, until > now_us ? until :
	    patience_due(&conn->patience));
	if (conn->state == CONN_SETUP && conn->unanswered)
		pool_due(group->pool, now_us + CROWD_SLOW_US);
}

/* Somebody without a session to the endpoint waits for one: let @conn go. */
static void
scan_wish(struct conn *conn, int64_t now_us)
{
	if (conn->state == CONN_READY && !conn->retiring &&
	    now_us - conn->entered_us >= CROWD_HOLD_US &&
	    crowd_take_wish(conn->group->pool->fleet, conn->endpoint, 0))
		conn_retire(conn);
}

void
limits_scan(struct conn *conn, int64_t now_us)
{
	struct mews_group	*group = conn->group;
	uint32_t		 timeout = group->config->query_timeout;
	int64_t			 until;

	if (conn_is_broken(conn))
		return;
	if (conn_logs_in(conn)) {
		scan_login(conn, now_us);
		return;
	}
	scan_wish(conn, now_us);
	if (conn_is_broken(conn))
		return;
	answer_check_role(conn);
	if (conn->lease != NULL)
		scan_lease(conn->lease, now_us);
	if (conn->expires_us > now_us)
		pool_due(group->pool, conn->expires_us);
	else if (!conn->retiring)
		grow_replace(conn);
	if (conn->head == conn->tail) {
		if (!conn->retiring)
			scan_idle(conn, now_us);
	} else if (timeout != MEWS_FOREVER && !copy_waits_for_host(conn)) {
		until = conn->head_since_us + (int64_t)timeout * 1000 +
		    POOL_GRACE_US;
		if (until <= now_us)
			conn_break(conn, HEALTH_WATCHDOG,
			    "no answer within the query's time");
		else
			pool_due(group->pool, until);
	}
}
