/*
 * session.c - a connection's login and setup, and its descriptor's events.
 *
 * Lists and counts are in conn.c, what goes over it in send.c, what comes
 * back in answer.c.
 */
#include "wire/session.h"

#include "wire/answer.h"
#include "wire/copy.h"
#include "fleet/endpoint.h"
#include "wire/send.h"
#include "fleet/orphan.h"
#include "wire/receive.h"
#include "base/trace.h"

#include <stdlib.h>
#include <sys/socket.h>

enum budget
session_dial(struct terms *terms, uint32_t endpoint)
{
	struct mews_fleet	*fleet = terms->wire->fleet;
	enum budget		 budget;
	struct conn		*conn;

	if ((conn = conn_new(terms, endpoint)) == NULL)
		return BUDGET_FULL;
	if ((budget = budget_take(fleet, endpoint)) != BUDGET_OK) {
		free(conn);
		return budget;
	}
	conn->budget_dialing = true;
	conn->dialed_us = conn_now(conn);
	patience_begin(&conn->patience, DIAL_US, conn->dialed_us);
	conn_due(conn, conn->dialed_us + SESSION_SLOW_US);
	conn_become(conn, CONN_DIALING);
	if (dial_start(&conn->dial, fleet, endpoint) == DIAL_FAILED) {
		conn_break(conn, conn->dial.evidence, conn->dial.why);
		return BUDGET_OK;
	}
	conn->fd = conn->dial.fd;
	if (!conn_watch(conn, conn->dial.events))
		conn_break(conn, HEALTH_NOTHING, "out of memory");
	return BUDGET_OK;
}

static void
become_ready(struct conn *conn)
{
	struct terms   *terms = conn->terms;
	int64_t		now = conn_now(conn);
	uint32_t	life = terms->config->max_lifetime;

	conn_become(conn, CONN_READY);
	conn->on->failures = 0;
	conn->entered_us = now;
	conn->on->kept_told = false;
	terms->opened++;
	terms->account->figures->opened++;
	terms->failure[0] = '\0';
	conn->idle_since_us = now;
	TRACE(connected, terms->config->name,
	    endpoint_name(conn->wire->fleet, conn->endpoint),
	    now - conn->dialed_us);
	if (life != MEWS_FOREVER) {
		/* Up to a tenth less, so that connections made together end
		 * apart. */
		conn->expires_us = now + (int64_t)life * 1000 -
		    (int64_t)dice_roll(&terms->dice, life / 10 + 1) * 1000;
		conn_due(conn, conn->expires_us);
	}
	if (terms->config->idle_timeout != MEWS_FOREVER)
		conn_due(conn,
		    now + (int64_t)terms->config->idle_timeout * 1000);
}

static void
session_logged_in(struct conn *conn)
{
	struct mews_fleet *fleet = conn->wire->fleet;
	int		   domain = AF_UNSPEC;
	socklen_t	   length = sizeof(domain);

	conn->pg = conn->dial.pg;
	conn->fd = conn->dial.fd;
	conn_dialed(conn, true);
	conn->orphan = orphan_record(fleet->slot, conn->endpoint,
	    (uint32_t)PQbackendPID(conn->pg),
	    segment_ms(&fleet->segment, conn_now(conn)));
	endpoint_logged_in(fleet, conn->endpoint);
	conn->epoch = endpoint_see_role(fleet, conn->endpoint,
	    conn->dial.role, conn->epoch);
	endpoint_report(fleet, conn->endpoint, HEALTH_CONNECTED, conn->epoch);
	if (conn->epoch != endpoint_health(fleet, conn->endpoint).epoch) {
		conn_break(conn, HEALTH_NOTHING, "the endpoint's address or "
		    "role changed during the login");
		return;
	}
	getsockopt(conn->fd, SOL_SOCKET, SO_DOMAIN, &domain, &length);
	conn->corkable = domain == AF_INET || domain == AF_INET6;
	conn->heard_us = conn_now(conn);
	if (PQsetnonblocking(conn->pg, 1) != 0 ||
	    PQenterPipelineMode(conn->pg) != 1 ||
	    !conn_watch(conn, MEWS_WATCH_READ)) {
		conn_break(conn, HEALTH_NOTHING, "out of memory");
		return;
	}
	answer_catch_notices(conn);
	conn_become(conn, CONN_SETUP);
	conn->entered_us = conn_now(conn);
	conn->unanswered = true;
	if (conn->terms->setup[0] == '\0')
		become_ready(conn);
	else if (!conn_send_setup(conn) || !conn_sync(conn))
		conn_break(conn, HEALTH_LOST, PQerrorMessage(conn->pg));
}

void
session_ready(struct conn *conn, int events)
{
	if (conn_is_broken(conn))
		return;
	if (conn_logs_in(conn))
		patience_heard(&conn->patience,
		    conn->wire->loop->looked_us,
		    conn_now(conn));
	/* Served at last: what follows has the time of a login. */
	if (conn->unanswered && conn->state == CONN_SETUP &&
	    (events & MEWS_WATCH_READ) != 0) {
		conn->unanswered = false;
		if (conn->queued)
			patience_begin(&conn->patience, DIAL_US,
			    conn_now(conn));
	}
	if (conn->state == CONN_DIALING && conn->pg == NULL) {
		/* libpq may close this descriptor and open another. */
		conn_unwatch(conn);
		conn->fd = -1;
		switch (dial_step(&conn->dial)) {
		case DIAL_RUNS:
			conn->fd = conn->dial.fd;
			if (!conn_watch(conn, conn->dial.events))
				conn_break(conn, HEALTH_NOTHING,
				    "out of memory");
			break;
		case DIAL_DONE:
			session_logged_in(conn);
			break;
		case DIAL_FAILED:
			conn_break(conn, conn->dial.evidence, conn->dial.why);
			break;
		}
		return;
	}
	if ((events & MEWS_WATCH_WRITE) != 0)
		session_flush(conn);
	if (conn->copy != NULL)
		copy_heard(conn);
	receive_input(conn);
	if (conn->state == CONN_SETUP && conn->head == conn->tail)
		become_ready(conn);
	conn_end_retired(conn);
}

void
session_flush(struct conn *conn)
{
	int	left, events = conn->paused ? 0 : MEWS_WATCH_READ;

	if (conn->flushing)
		TAILQ_REMOVE(&conn->wire->to_flush, conn, flush_link);
	conn->flushing = false;
	if (conn_is_broken(conn))
		return;
	left = send_flush(conn);
	if (left > 0 || (conn->copy != NULL && copy_is_full(conn->copy)))
		events |= MEWS_WATCH_WRITE;
	if (left < 0)
		conn_break(conn, HEALTH_LOST, PQerrorMessage(conn->pg));
	else if (!conn_watch(conn, events))
		conn_break(conn, HEALTH_NOTHING, "out of memory");
	if (conn->resumed) {
		conn->resumed = false;
		receive_rest(conn);
	}
}
