/*
 * conn.c - one connection: its states, and the lists and counts that follow.
 *
 *	NEW -> DIALING -> SETUP -> READY <-> LEASED
 *	                           READY <-> RESETTING
 *	any but NEW -> BROKEN -> CLOSED
 *
 * Login and events: session.c. Sending: send.c. Answers: receive.c, answer.c.
 * What becomes of a lost connection's queries: pool/ending.c.
 */
#include "wire/conn.h"

#include "fleet/crowd.h"
#include "fleet/endpoint.h"
#include "fleet/orphan.h"

#include <stdlib.h>
#include <sys/socket.h>

/* Count @conn in this worker's slot, see pool/share.h, and in the copy of
 * damage.h. */
static void
count_by(const struct conn *conn, int by)
{
	struct mews_fleet *fleet = conn->wire->fleet;
	uint32_t	   group = conn->terms->index;

	fleet->group_connections[group][conn->endpoint] = (uint16_t)(by +
	    fleet->group_connections[group][conn->endpoint]);
	/* Adding wraps, so that it takes away as well. */
	atomic_fetch_add(
	    &fleet->slot->group_connections[group][conn->endpoint],
	    (uint16_t)by);
}

#define MAY(state) (uint8_t)(1u << (CONN_ ## state))
#define MAY_END	   (MAY(BROKEN) | MAY(CLOSED))

/* From any state to CLOSED without BROKEN: the pool is closed. */
const uint8_t conn_next[CONN_STATES] = {
	[CONN_NEW] = MAY(DIALING),
	[CONN_DIALING] = MAY(SETUP) | MAY_END,
	[CONN_SETUP] = MAY(READY) | MAY_END,
	[CONN_READY] = MAY(LEASED) | MAY(RESETTING) | MAY_END,
	[CONN_LEASED] = MAY(READY) | MAY_END,
	[CONN_RESETTING] = MAY(READY) | MAY_END,
	[CONN_BROKEN] = MAY(CLOSED),
};

const char *
conn_state_name(enum conn_state state)
{
	static const char *const names[CONN_STATES] = {
		[CONN_NEW] = "new",
		[CONN_DIALING] = "dialing",
		[CONN_SETUP] = "setup",
		[CONN_READY] = "ready",
		[CONN_LEASED] = "leased",
		[CONN_RESETTING] = "resetting",
		[CONN_BROKEN] = "broken",
		[CONN_CLOSED] = "closed",
	};

	return names[state];
}

struct conn *
conn_new(struct terms *terms, uint32_t endpoint)
{
	struct wire    *wire = terms->wire;
	struct conn    *conn;

	if ((conn = calloc(1, sizeof(*conn))) == NULL)
		return NULL;
	conn->orphan = -1;
	conn->group = terms->account->group;
	conn->terms = terms;
	conn->wire = wire;
	conn->on = &terms->on[endpoint];
	if (conn->on->figures == NULL)
		conn->on->figures = figures_find_pair(
		    fleet_figures(wire->fleet), wire->fleet->segment.room,
		    terms->config->name,
		    endpoint_name(wire->fleet, endpoint));
	conn->on->slow_us = terms->account->slow_us;
	conn->known = &wire->known[endpoint];
	conn->endpoint = endpoint;
	conn->epoch = endpoint_health(wire->fleet, endpoint).epoch;
	conn->fd = -1;
	conn->expires_us = LOOP_NEVER;
	return conn;
}

/* Take @conn out of the fleet's counts. */
static void
uncount(struct conn *conn)
{
	if (!conn->shared)
		return;
	count_by(conn, -1);
	conn->on->shared--;
	conn->shared = false;
}

void
conn_queue(struct conn *conn)
{
	if (conn->queued)
		return;
	conn->queued = true;
	conn->on->queued++;
	crowd_join(conn->wire->fleet, conn->endpoint);
}

static void
conn_unqueue(struct conn *conn)
{
	if (!conn->queued)
		return;
	conn->queued = false;
	conn->on->queued--;
	crowd_leave(conn->wire->fleet, conn->endpoint);
}

static void
enlist(struct conn *conn)
{
	TAILQ_INSERT_TAIL(&conn->on->conns, conn, link);
	TAILQ_INSERT_TAIL(&conn->wire->conns[conn->endpoint], conn,
	    sibling_link);
	conn->on->count++;
	conn->on->dialing++;
	conn->terms->count++;
	count_by(conn, 1);
	conn->on->shared++;
	conn->shared = true;
}

static void
delist(struct conn *conn)
{
	struct wire    *wire = conn->wire;
	enum conn_state last = conn->state;

	if (last == CONN_BROKEN) {
		TAILQ_REMOVE(&wire->broken, conn, broken_link);
		last = conn->was;
	}
	if (conn->flushing)
		TAILQ_REMOVE(&wire->to_flush, conn, flush_link);
	TAILQ_REMOVE(&conn->on->conns, conn, link);
	TAILQ_REMOVE(&wire->conns[conn->endpoint], conn, sibling_link);
	/* A login that broke counts as one until its end was acted upon. */
	if (last < CONN_READY)
		conn->on->dialing--;
	conn_unqueue(conn);
	conn->on->answered += conn->in_flight;
	conn->on->count--;
	conn->terms->count--;
	uncount(conn);
}

void
conn_enter(struct conn *conn, enum conn_state to)
{
	struct wire *wire = conn->wire;

	fleet_log(wire->fleet, MEWS_LOG_DEBUG, "connection_state",
	    "endpoint=%s group=%s from=%s to=%s",
	    endpoint_name(wire->fleet, conn->endpoint),
	    conn->terms->config->name, conn_state_name(conn->state),
	    conn_state_name(to));
	switch (to) {
	case CONN_DIALING:
		enlist(conn);
		break;
	case CONN_READY:
		conn->on->dialing--;
		conn_unqueue(conn);
		break;
	case CONN_BROKEN:
		conn->was = conn->state;
		TAILQ_INSERT_TAIL(&wire->broken, conn, broken_link);
		conn_due(conn, conn_now(conn));
		return;
	case CONN_CLOSED:
		delist(conn);
		break;
	default:
		return;
	}
	conn->terms->moved = true;
}

bool
conn_watch(struct conn *conn, int events)
{
	if (conn->fd == -1 || conn->events == events)
		return true;
	conn->events = events;
	return loop_watch(conn->wire->loop, conn->fd, events,
	    conn->terms->conn_ready, conn);
}

void
conn_unwatch(struct conn *conn)
{
	conn->events = 0;
	loop_forget(conn->wire->loop, conn->fd, conn);
}

void
conn_check_socket(struct conn *conn)
{
	if (conn->pg != NULL)
		loop_closed(conn->wire->loop, PQsocket(conn->pg),
		    &conn->fd, conn);
}

void
conn_break(struct conn *conn, enum health_evidence evidence, const char *why)
{
	conn_check_socket(conn);
	if (conn_is_broken(conn))
		return;
	conn->loss = evidence;
	dial_message(conn->why, sizeof(conn->why), why);
	conn_become(conn, CONN_BROKEN);
}

void
conn_retire(struct conn *conn)
{
	conn->retiring = true;
	uncount(conn);
	conn_end_retired(conn);
}

void
conn_end_retired(struct conn *conn)
{
	if (conn->retiring && conn_is_free(conn))
		conn_break(conn, HEALTH_NOTHING, "");
}

void
conn_dialed(struct conn *conn, bool well)
{
	struct wire	*wire = conn->wire;

	if (conn->budget_dialing && well)
		budget_took(wire->fleet, conn->endpoint,
		    conn_now(conn) - conn->dialed_us);
	if (conn->budget_dialing)
		budget_dialed(wire->fleet, conn->endpoint, well);
	conn->budget_dialing = false;
}

void
conn_pause(struct conn *conn, enum conn_pause why, bool paused)
{
	unsigned	now = paused ? conn->paused | (unsigned)why :
				       conn->paused & ~(unsigned)why;

	conn->paused = (uint8_t)now;
	conn->resumed = now == 0;
	conn->head_since_us = conn_now(conn);
	/* The flush also sets the events to watch for. */
	conn_flush_later(conn);
}

bool
conn_has_bytes(const struct conn *conn)
{
	char	byte;

	return recv(conn->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) > 0;
}

void
conn_free(struct conn *conn)
{
	PQclear(conn->answer);
	PQclear(conn->ahead_error);
	PQclear(conn->held_answer);
	PQfinish(conn->pg != NULL ? conn->pg : conn->dial.pg);
	free(conn->ring);
	free(conn->prepared);
	free(conn);
}

void
conn_close(struct conn *conn)
{
	struct wire	*wire = conn->wire;

	conn_unwatch(conn);
	conn_dialed(conn, conn->loss == HEALTH_NOTHING);
	/* The server notices the end of its client only after its work. */
	if (conn->busy && conn->fd != -1 && conn->orphan == -1)
		orphan_add(&wire->fleet->segment, conn->endpoint,
		    (uint32_t)PQbackendPID(conn->pg), segment_ms(
		    &wire->fleet->segment, conn->dialed_us));
	else if (conn->busy && conn->fd != -1)
		orphan_leave(&wire->fleet->segment, wire->fleet->slot,
		    conn->orphan);
	else
		orphan_forget(wire->fleet->slot, conn->orphan);
	conn_become(conn, CONN_CLOSED);
	budget_give(wire->fleet, conn->endpoint);
	conn_free(conn);
}
