/*
 * interrupt.c - have the server cancel a query that runs.
 */
#include "wire/interrupt.h"

#include "fleet/crowd.h"
#include "query/query.h"
#include "wire/ring.h"
#include "base/status.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define INTERRUPT_US 10000000 /* login and answer, at most */
#define ANSWER_US    2000000  /* the answer alone */

struct interrupt {
	LIST_ENTRY(interrupt) link;
	struct wire *wire;
	struct conn *conn; /* NULL: the connection has ended */
	mews_query_id id; /* of the query: its record may be another's later */
	int64_t until_us;
	bool asking; /* logged in; the request is on its way */
	struct dial dial;
};

static void interrupt_ready(void *who, int events);

static bool
interrupt_watch(struct interrupt *interrupt, int events)
{
	return loop_watch(interrupt->wire->loop, interrupt->dial.fd, events,
	    interrupt_ready, interrupt);
}

static void
interrupt_unwatch(struct interrupt *interrupt)
{
	loop_forget(interrupt->wire->loop, interrupt->dial.fd, interrupt);
}

/* Let the connection be read again, unless another interrupt asks: @interrupt
 * has had its effect, if any. */
static void
release(const struct interrupt *interrupt)
{
	const struct wire	*wire = interrupt->wire;
	const struct interrupt	*other;

	/* A closing pool has no connections any more. */
	if (!interrupt->asking || interrupt->conn == NULL ||
	    wire->loop->closing)
		return;
	LIST_FOREACH (other, &wire->interrupts, link)
		if (other != interrupt && other->asking &&
		    other->conn == interrupt->conn)
			return;
	conn_pause(interrupt->conn, CONN_PAUSE_INTERRUPT, false);
}

static void
stop(struct interrupt *interrupt)
{
	release(interrupt);
	interrupt_unwatch(interrupt);
	PQfinish(interrupt->dial.pg);
	LIST_REMOVE(interrupt, link);
	free(interrupt);
}

/* Give @interrupt up: a call of libpq failed, or time is over. */
static void
give_interrupt_up(struct interrupt *interrupt, const char *why)
{
	struct mews_fleet *fleet = interrupt->wire->fleet;
	char		   line[256], quoted[FLEET_QUOTED];

	loop_closed(interrupt->wire->loop, PQsocket(interrupt->dial.pg),
	    &interrupt->dial.fd, interrupt);
	dial_message(line, sizeof(line), why);
	fleet_log(fleet, MEWS_LOG_WARNING, "interrupt_failed", "error=%s",
	    logfmt_text(quoted, sizeof(quoted), line));
	/* The server may still cancel what runs. */
	if (interrupt->asking && interrupt->conn != NULL &&
	    !interrupt->conn->retiring)
		conn_retire(interrupt->conn);
	stop(interrupt);
}

/* Does the server work on @id, with nothing in flight after it but queries of
 * the same lease? */
static bool
runs_alone(const struct conn *conn, mews_query_id id)
{
	bool found = false;

	for (uint32_t i = conn->head; i != conn->tail; i++) {
		const struct expect *e = ring_at(conn, i);

		if (e->kind != EXPECT_QUERY)
			continue;
		if (!found && e->query->id != id)
			return false;
		if (found && conn->lease == NULL)
			return false;
		found = true;
	}
	return found && !conn_is_broken(conn);
}

static void
interrupt_ask(struct interrupt *interrupt)
{
	struct conn *conn = interrupt->conn;
	char	     sql[80];

	/* The query may have ended during the login. */
	if (conn == NULL || !runs_alone(conn, interrupt->id)) {
		stop(interrupt);
		return;
	}
	snprintf(sql, sizeof(sql), "SELECT pg_cancel_backend(%d)",
	    PQbackendPID(conn->pg));
	interrupt->asking = true;
	/* Behind a full pooler there is none. */
	interrupt->until_us = conn_now(conn) + ANSWER_US;
	loop_due(interrupt->wire->loop, interrupt->until_us);
	/* The query may end by itself meanwhile: do not read its end before the
	 * answer, so that nothing else is sent that could be canceled. */
	conn_pause(conn, CONN_PAUSE_INTERRUPT, true);
	if (PQsendQuery(interrupt->dial.pg, sql) != 1)
		give_interrupt_up(interrupt,
		    PQerrorMessage(interrupt->dial.pg));
	else if (!interrupt_watch(interrupt, MEWS_WATCH_READ))
		give_interrupt_up(interrupt, "out of memory");
}

static void
interrupt_proceed(struct interrupt *interrupt, enum dial_state state)
{
	switch (state) {
	case DIAL_RUNS:
		if (!interrupt_watch(interrupt, interrupt->dial.events))
			stop(interrupt);
		break;
	case DIAL_DONE:
		interrupt_ask(interrupt);
		break;
	case DIAL_FAILED:
		give_interrupt_up(interrupt, interrupt->dial.why);
		break;
	}
}

/* Why the server did not cancel, from its answer; NULL: it did. */
static const char *
why_not_canceled(const PGresult *answer)
{
	const char *error = PQresultErrorMessage(answer);

	if (*error != '\0')
		return error;
	return PQntuples(answer) == 1 && *PQgetvalue(answer, 0, 0) == 't' ?
	    NULL : "the server canceled nothing";
}

/* Read the answer. */
static void
interrupt_read(struct interrupt *interrupt)
{
	PGconn	   *pg = interrupt->dial.pg;
	PGresult   *answer;
	const char *why;

	if (PQconsumeInput(pg) != 1) {
		give_interrupt_up(interrupt, PQerrorMessage(pg));
		return;
	}
	if (PQisBusy(pg))
		return;
	answer = PQgetResult(pg);
	if ((why = why_not_canceled(answer)) != NULL)
		give_interrupt_up(interrupt, why);
	else
		stop(interrupt);
	PQclear(answer);
}

static void
interrupt_ready(void *who, int events)
{
	struct interrupt *interrupt = who;

	(void)events;
	if (interrupt->asking) {
		interrupt_read(interrupt);
		return;
	}
	/* libpq may close this descriptor and open another. */
	interrupt_unwatch(interrupt);
	interrupt_proceed(interrupt, dial_step(&interrupt->dial));
}

void
interrupt_scan(struct wire *wire, int64_t now_us)
{
	struct interrupt *interrupt, *next;

	for (interrupt = LIST_FIRST(&wire->interrupts); interrupt != NULL;
	    interrupt = next) {
		next = LIST_NEXT(interrupt, link);
		if (interrupt->until_us <= now_us)
			give_interrupt_up(interrupt, "no answer in time");
		else
			loop_due(wire->loop, interrupt->until_us);
	}
}

bool
interrupt_holds(const struct wire *wire, const struct query *query)
{
	const struct interrupt *interrupt;

	LIST_FOREACH (interrupt, &wire->interrupts, link)
		if (interrupt->id == query->id && interrupt->conn != NULL &&
		    query->lease != NULL)
			return true;
	return false;
}

void
interrupt_forget(struct wire *wire, const struct conn *conn)
{
	struct interrupt *interrupt;

	LIST_FOREACH (interrupt, &wire->interrupts, link)
		if (interrupt->conn == conn)
			interrupt->conn = NULL;
}

void
interrupt_stop_all(struct wire *wire)
{
	struct interrupt *interrupt;

	while ((interrupt = LIST_FIRST(&wire->interrupts)) != NULL)
		stop(interrupt);
}

/* The connection that expects the answer to @query; NULL: none does. */
static struct conn *
find_conn(const struct wire *wire, const struct query *query)
{
	struct conn *conn;

	TAILQ_FOREACH (conn, &wire->conns[query->sent_to], sibling_link)
		if (ring_expects(conn, query))
			return conn;
	return NULL;
}

/* May another session be opened to interrupt what @conn does? It counts in no
 * cap: one at a time for shared connections of an endpoint, none to a pooler
 * that is full. */
static bool
may_open_session(const struct wire *wire, const struct conn *conn)
{
	const struct interrupt *other;

	if (crowd_count(&wire->fleet->segment, conn->endpoint) > 0)
		return false;
	if (conn->lease != NULL)
		return true;
	LIST_FOREACH (other, &wire->interrupts, link)
		if (other->conn != NULL && other->conn->lease == NULL &&
		    other->conn->endpoint == conn->endpoint)
			return false;
	return true;
}

enum mews_status
interrupt_begin(struct wire *wire, const struct query *query)
{
	struct conn	 *conn = find_conn(wire, query);
	struct interrupt *interrupt;

	if (conn == NULL || !runs_alone(conn, query->id))
		return MEWS_INVALID;
	if (!may_open_session(wire, conn))
		return MEWS_UNAVAILABLE;
	if ((interrupt = calloc(1, sizeof(*interrupt))) == NULL)
		return MEWS_NOMEM;
	interrupt->wire = wire;
	interrupt->conn = conn;
	interrupt->id = query->id;
	interrupt->until_us = conn_now(conn) + INTERRUPT_US;
	interrupt->dial.fd = -1;
	LIST_INSERT_HEAD(&wire->interrupts, interrupt, link);
	loop_due(wire->loop, interrupt->until_us);
	if (conn->lease == NULL && !conn->retiring)
		conn_retire(conn);
	interrupt_proceed(interrupt, dial_start(&interrupt->dial, wire->fleet,
	    conn->endpoint));
	return MEWS_OK;
}
