/*
 * answer.c - answers out of the pipeline, to those who asked.
 *
 * The answer to a write is told only when its Sync came back: a commit can
 * still fail. A read of a batch that fails gets its own error; the server
 * skips those behind it up to the Sync, and they are sent again, each alone.
 */
#include "answer.h"

#include "endpoint.h"
#include "lease.h"
#include "prepared.h"
#include "ring.h"
#include "stream.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *
sqlstate(const PGresult *answer)
{
	const char *state = PQresultErrorField(answer, PG_DIAG_SQLSTATE);

	return state == NULL ? "" : state;
}

static enum health_evidence
loss_evidence(const char *state)
{
	if (strcmp(state, "57P01") == 0 || strcmp(state, "57P02") == 0)
		return HEALTH_SHUTDOWN;
	/* Its own time limits (57P05, 25P03, 25P04) say nothing of it. */
	if (strcmp(state, "57P05") == 0 || strncmp(state, "25P", 3) == 0)
		return HEALTH_NOTHING;
	return HEALTH_LOST;
}

bool
answer_is_last(struct conn *conn, const PGresult *answer)
{
	const char	*severity;

	if (PQresultStatus(answer) != PGRES_FATAL_ERROR)
		return false;
	severity = PQresultErrorField(answer, PG_DIAG_SEVERITY_NONLOCALIZED);
	if (severity != NULL && strcmp(severity, "FATAL") != 0 &&
	    strcmp(severity, "PANIC") != 0)
		return false;
	conn_break(conn, loss_evidence(sqlstate(answer)),
	    PQresultErrorMessage(answer));
	return true;
}

/* The plan, or the name, on the server is not what we believed. */
static bool
is_stale_statement(const struct query *query, const PGresult *answer)
{
	const char *function;

	if (query->statement == NULL || query->plain)
		return false;
	if (strcmp(sqlstate(answer), "26000") == 0)
		return true;
	/* "cached plan must not change result type" has no code of its own:
	 * src/backend/utils/cache/plancache.c */
	function = PQresultErrorField(answer, PG_DIAG_SOURCE_FUNCTION);
	return strcmp(sqlstate(answer), "0A000") == 0 && function != NULL &&
	    strcmp(function, "RevalidateCachedQuery") == 0;
}

static inline bool
is_well(ExecStatusType status)
{
	return status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK ||
	    status == PGRES_EMPTY_QUERY;
}

static enum mews_status
error_status(const struct query *query, const PGresult *answer)
{
	if (strcmp(sqlstate(answer), "57014") != 0)
		return MEWS_SQL;
	/* So it says of a COPY that failed by request, too. */
	return query->kind == QUERY_COPY && query->stopped ? MEWS_CANCELED :
	    MEWS_TIMEOUT;
}

static inline const char *
name(const struct conn *conn)
{
	return endpoint_name(conn->group->pool->fleet, conn->endpoint);
}

void
answer_tell(struct conn *conn, struct query *query, PGresult *answer)
{
	enum mews_status	 status = MEWS_OK;
	const char		*message = NULL;

	if (!is_well(PQresultStatus(answer))) {
		status = error_status(query, answer);
	} else if (query->kind == QUERY_COMMIT &&
	    strcmp(PQcmdStatus(answer), "COMMIT") != 0) {
		/* COMMIT of a failed transaction is a ROLLBACK, and no error
		 * to the server. */
		status = MEWS_SQL;
		message = "a query of the transaction had failed: "
			  "everything was rolled back";
	}
	if (query->lease != NULL)
		lease_heard(query->lease, pool_now(conn->group->pool));
	query_end(query, status, answer, name(conn), message);
}

/* A shared read has nothing to commit: its answer is told at once. */
static inline bool
is_read(const struct conn *conn, const struct query *query)
{
	return conn->group->reader && query->kind == QUERY_SHARED;
}

/* The server skipped it, or never ran it: provably without effect. */
static void
send_again(struct conn *conn, struct query *query)
{
	if (query->kind == QUERY_SHARED && query->attempts <= QUERY_RESENDS &&
	    query->fn.query != NULL && !query->canceled) {
		query->alone = true;
		group_resubmit(conn->group, query, false);
		return;
	}
	if (query->lease != NULL)
		lease_heard(query->lease, pool_now(conn->group->pool));
	query_fail(query, MEWS_UNAVAILABLE,
	    "not run: the session before it could not be made ready");
}

/* An error, or skipped for one. True: nothing more to do for it now. */
static bool
query_failed(struct conn *conn, struct query *query, PGresult **answer)
{
	if (PQresultStatus(*answer) == PGRES_PIPELINE_ABORTED) {
		PQclear(*answer);
		if ((*answer = conn->ahead_error) == NULL) {
			send_again(conn, query);
			return true;
		}
		conn->ahead_error = NULL;
	}
	if (answer_is_last(conn, *answer)) {
		/* conn_lose() decides what becomes of it. */
		conn->held = query;
		PQclear(*answer);
		return true;
	}
	if (is_stale_statement(query, *answer)) {
		prepared_set(conn, query->statement,
		    strcmp(sqlstate(*answer), "26000") == 0 ?
		    PREPARED_NOT : PREPARED_STALE);
		if (query->kind == QUERY_SHARED) {
			PQclear(*answer);
			query->plain = true;
			send_again(conn, query);
			return true;
		}
	}
	return false;
}

/* What is taken in, in one go. */
struct turn {
	int64_t now_us;
	uint32_t answers; /* to queries that the host has no part in */
	int64_t waited_us; /* for the first of them */
};

/*
 * How long it took, the server having begun with it at @since_us. What comes
 * in one turn behind another answer took no time of its own.
 */
static inline void
learn(struct conn *conn, const struct query *query, int64_t since_us,
    struct turn *turn)
{
	float	us = 0;

	/* The host has its part in the time of a stream. */
	if (query->on_row != NULL)
		return;
	if (turn->answers++ == 0)
		turn->waited_us = turn->now_us - query->sent_us;
	if (since_us < turn->now_us)
		us = (float)(turn->now_us - (since_us > query->sent_us ?
		    since_us : query->sent_us));
	if (query->statement != NULL)
		statement_learn(query->statement, us);
	else if (query->kind == QUERY_SHARED)
		text_learn(conn->group->pool, query->hash, us);
}

/* The head was a query, and its answer is whole. */
static inline void
query_answered(struct conn *conn, struct query *query, PGresult *answer,
    ExecStatusType status, int64_t since_us, struct turn *turn)
{
	conn->in_flight--;
	conn->on->in_flight--;
	if (query->on_row != NULL)
		conn->streams--;
	if (query->slow && --conn->slow == 0)
		conn->slow_lane = false;
	if (status != PGRES_PIPELINE_ABORTED)
		learn(conn, query, since_us, turn);
	if (!is_well(status) && query_failed(conn, query, &answer))
		return;
	if (is_read(conn, query)) {
		query_end(query, is_well(status) ? MEWS_OK :
		    error_status(query, answer), answer, name(conn), NULL);
		return;
	}
	assert(conn->held == NULL && "mews: one query per Sync");
	conn->held = query;
	conn->held_answer = answer;
}

/* What goes ahead of a query: its error becomes the query's. */
static void
ahead_answered(struct conn *conn, PGresult *answer)
{
	answer_is_last(conn, answer);
	if (PQresultStatus(answer) == PGRES_FATAL_ERROR) {
		PQclear(conn->ahead_error);
		conn->ahead_error = answer;
	} else {
		PQclear(answer);
	}
}

static void
prepare_answered(struct conn *conn, struct query *query, PGresult *answer)
{
	if (PQresultStatus(answer) == PGRES_COMMAND_OK) {
		PQclear(answer);
		return;
	}
	/* Late news of its absence made it twice: then it is there. */
	if (strcmp(sqlstate(answer), "42P05") == 0 &&
	    query->kind == QUERY_SHARED) {
		prepared_set(conn, query->statement, PREPARED_YES);
		query->plain = true;
		PQclear(answer);
		return;
	}
	prepared_set(conn, query->statement, PREPARED_NOT);
	ahead_answered(conn, answer);
}

static void
session_answered(struct conn *conn, PGresult *answer)
{
	ExecStatusType	status = PQresultStatus(answer);

	if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK &&
	    !answer_is_last(conn, answer))
		conn_break(conn, HEALTH_NOTHING,
		    status == PGRES_PIPELINE_ABORTED ?
		    "the session could not be made ready" :
		    PQresultErrorMessage(answer));
	PQclear(answer);
}

/* No record ends inside the header of a WAL page (XLogRecPtr, 8 kB pages,
 * 24 or 40 bytes): behind one, the insert position means the page's begin. */
static uint64_t
record_end(uint64_t lsn)
{
	return lsn % 8192 <= 40 ? lsn - lsn % 8192 : lsn;
}

/* The answer to send_position(); without one it stays unknown. */
static void
position_answered(struct conn *conn, struct query *query, PGresult *answer)
{
	if (PQresultStatus(answer) == PGRES_TUPLES_OK)
		query->lsn = record_end(strtoull(PQgetvalue(answer, 0, 0),
		    NULL, 10));
	else
		answer_is_last(conn, answer);
	query->position = false;
	PQclear(answer);
}

/* A write on what is no primary any more? The server reports its role behind
 * the error, right before the Sync. */
static bool
is_misrouted(const struct conn *conn, const struct query *query,
    const PGresult *answer)
{
	return query->kind == QUERY_SHARED && !conn->group->reader &&
	    !is_well(PQresultStatus(answer)) &&
	    strcmp(sqlstate(answer), "25006") == 0 &&
	    dial_role(conn->pg) != HEALTH_ROLE_PRIMARY;
}

/* A Sync came back: what it covers is decided. */
static void
segment_ended(struct conn *conn)
{
	struct query	*query = conn->held;
	PGresult	*answer = conn->held_answer;

	if (conn->ahead_error != NULL) {
		PQclear(conn->ahead_error);
		conn->ahead_error = NULL;
	}
	/* Committed; but its position is asked for, and comes next. */
	if (query != NULL && query->position)
		return;
	conn->held = NULL;
	conn->held_answer = NULL;
	if (conn->head == conn->tail) {
		conn->idle_since_us = pool_now(conn->group->pool);
		if (conn->lease == NULL &&
		    PQtransactionStatus(conn->pg) != PQTRANS_IDLE)
			conn_break(conn, HEALTH_NOTHING,
			    "a query left a transaction open");
	}
	if (query == NULL)
		return;
	if (is_misrouted(conn, query, answer)) {
		/* Go and find the one that is. */
		endpoint_see_role(conn->group->pool->fleet, conn->endpoint,
		    dial_role(conn->pg), conn->epoch);
		PQclear(answer);
		send_again(conn, query);
		return;
	}
	answer_tell(conn, query, answer);
}

/* So is that to something of our own. */
static void
own_answered(struct conn *conn, struct expect e, PGresult *answer)
{
	switch (e.kind) {
	case EXPECT_PREPARE:
		prepare_answered(conn, e.query, answer);
		break;
	case EXPECT_AHEAD:
		ahead_answered(conn, answer);
		break;
	case EXPECT_POSITION:
		position_answered(conn, e.query, answer);
		break;
	default:
		session_answered(conn, answer);
	}
}

/* It is not, or this is no answer to it. */
static void
take(struct conn *conn, PGresult *answer, ExecStatusType status,
    int64_t now_us)
{
	if (status == PGRES_PIPELINE_SYNC) {
		PQclear(answer);
		if (ring_pop(conn, now_us).kind != EXPECT_SYNC)
			conn_break(conn, HEALTH_LOST,
			    "answers came in an unexpected order");
		else
			segment_ended(conn);
		return;
	}
	if (ring_at(conn, conn->head)->kind == EXPECT_SYNC) {
		/* The commit itself failed: that is the query's answer. */
		if (answer_is_last(conn, answer) || conn->held == NULL) {
			PQclear(answer);
			return;
		}
		PQclear(conn->held_answer);
		conn->held_answer = answer;
		return;
	}
	switch (status) {
	case PGRES_SINGLE_TUPLE:
		stream_row(conn, answer);
		return;
	case PGRES_COPY_IN:
	case PGRES_COPY_OUT:
	case PGRES_COPY_BOTH:
		/* libpq would say so for ever. */
		conn_break(conn, HEALTH_NOTHING,
		    "COPY from and to the client is not possible here");
		PQclear(answer);
		return;
	default:
		PQclear(conn->answer);
		conn->answer = answer;
	}
}

/* A FATAL error that answers no query arrives as a notice. */
static void
on_notice(void *arg, const PGresult *notice)
{
	struct conn	*conn = arg;
	const char	*severity;

	conn->notices++;
	severity = PQresultErrorField(notice, PG_DIAG_SEVERITY_NONLOCALIZED);
	if (severity != NULL && strcmp(severity, "FATAL") == 0)
		conn_break(conn, loss_evidence(sqlstate(notice)),
		    PQresultErrorMessage(notice));
}

void
answer_catch_notices(struct conn *conn)
{
	PQsetNoticeReceiver(conn->pg, on_notice, conn);
}

void
answer_check_role(struct conn *conn)
{
	struct mews_fleet	*fleet = conn->group->pool->fleet;
	enum health_role	 role = dial_role(conn->pg);

	conn->role_us = pool_now(conn->group->pool);
	/* Our own setting hides that of the server. */
	if (conn->group->reader && role == HEALTH_ROLE_READONLY)
		role = HEALTH_ROLE_PRIMARY;
	if (conn->group->reader && role == HEALTH_ROLE_PRIMARY &&
	    conn->dial.role == HEALTH_ROLE_READONLY)
		role = HEALTH_ROLE_READONLY;
	if (role == conn->dial.role || role == HEALTH_ROLE_UNKNOWN)
		return;
	/* What a lease set for its own session is not the server's. */
	if (role != HEALTH_ROLE_STANDBY &&
	    conn->dial.role != HEALTH_ROLE_STANDBY &&
	    (conn->lease != NULL || conn->reset_due || conn->sessions > 0))
		return;
	conn->dial.role = role;
	endpoint_see_role(fleet, conn->endpoint, role, conn->epoch);
}

/*
 * One step of libpq's answers. In a pipeline a NULL ends those to one command;
 * behind an answer without an error it is there at once, and no more bytes
 * are looked at for it. False: no progress.
 */
static inline bool
step(struct conn *conn, struct turn *turn)
{
	PGresult	*answer = PQgetResult(conn->pg), *next;
	bool		 whole = answer == NULL;
	int64_t		 since_us = conn->head_since_us;
	ExecStatusType	 status;
	struct expect	 e;

	if (whole && (answer = conn->answer) == NULL)
		return false;
	status = PQresultStatus(answer);
	if (!whole &&
	    (status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK) &&
	    conn->streams == 0 && conn->answer == NULL &&
	    ring_at(conn, conn->head)->kind != EXPECT_SYNC) {
		next = PQgetResult(conn->pg);
		if (!(whole = next == NULL)) {
			conn->answer = answer;
			answer = next;
			status = PQresultStatus(answer);
		}
	}
	if (!whole) {
		take(conn, answer, status, turn->now_us);
		return true;
	}
	conn->answer = NULL;
	e = ring_pop(conn, turn->now_us);
	if (e.kind != EXPECT_QUERY)
		own_answered(conn, e, answer);
	else
		query_answered(conn, e.query, answer, status, since_us, turn);
	return true;
}

/* What libpq has; @alive: and may have more of, later. */
static void
drain(struct conn *conn, bool alive)
{
	struct turn	turn = { .now_us = pool_now(conn->group->pool) };
	unsigned	nothing = 0;

	while (!conn->broken &&
	    (conn->streams == 0 || stream_head(conn)) &&
	    !PQisBusy(conn->pg) && conn->head != conn->tail && nothing < 2) {
		/* One NULL may stand alone, behind a commit that failed. */
		if (step(conn, &turn))
			nothing = 0;
		else
			nothing++;
	}
	if (turn.answers > 0) {
		pool_learn(conn->known, (float)turn.waited_us, turn.answers);
		conn->known->learned_us = turn.now_us;
	}
	if (!alive || PQstatus(conn->pg) == CONNECTION_BAD)
		conn_break(conn, HEALTH_LOST, PQerrorMessage(conn->pg));
	else if (nothing == 2)
		conn_break(conn, HEALTH_LOST,
		    "libpq expects no answer where one is due");
	else if (!conn->broken && turn.now_us - conn->role_us > ANSWER_ROLE_US)
		answer_check_role(conn);
}

void
answer_receive(struct conn *conn)
{
	struct mews_pool	*pool = conn->group->pool;

	if (conn->broken || conn->paused || conn->pg == NULL)
		return;
	conn->heard_us = pool_now(pool);
	pool->endpoints[conn->endpoint].heard_us = conn->heard_us;
	drain(conn, PQconsumeInput(conn->pg) == 1);
}

void
answer_go_on(struct conn *conn)
{
	/* Without reading: what is read must not pile up. */
	if (!conn->broken && !conn->paused)
		drain(conn, true);
}
