/*
 * answer.c - what an answer out of the pipeline means for its query. receive.c
 * takes it in, ending.c (in pool/) ends what was lost.
 *
 * The callback of a write runs only when its Sync came back: a commit can still
 * fail. If a read of a batch fails, it gets its error; the server skips the
 * reads after it up to the Sync, and they are sent again, each alone.
 */
#include "wire/answer.h"

#include "wire/bulk.h"
#include "fleet/endpoint.h"
#include "wire/lease.h"
#include "query/meaning.h"
#include "query/slow.h"
#include "wire/pooler.h"
#include "wire/prepared.h"
#include "wire/ring.h"
#include "wire/stream.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool
answer_break_if_last(struct conn *conn, const PGresult *answer)
{
	const char	*severity;

	if (PQresultStatus(answer) != PGRES_FATAL_ERROR)
		return false;
	if (meaning_is_libpqs(answer)) {
		if (PQstatus(conn->pg) == CONNECTION_OK)
			return false;
		if (conn->starved)
			bulk_break(conn, ANSWER_NO_MEMORY);
	}
	severity = PQresultErrorField(answer, PG_DIAG_SEVERITY_NONLOCALIZED);
	if (severity != NULL && strcmp(severity, "FATAL") != 0 &&
	    strcmp(severity, "PANIC") != 0)
		return false;
	conn_break(conn, meaning_evidence(meaning_state(answer)),
	    PQresultErrorMessage(answer));
	return true;
}

/* Has the server lost the statement, or changed its types? */
static bool
take_stale(struct conn *conn, const struct query *query,
    const PGresult *answer)
{
	if (query->statement == NULL || query->plain)
		return false;
	if (prepared_is_refused(query->statement, answer))
		return true;
	/* Most failed executions had no effect: prepare and run the query
	 * again; once only, as bad input can look the same. */
	return prepared_has_old_types(answer) &&
	    prepared_take_again(conn, query->statement);
}

static inline const char *
name(const struct conn *conn)
{
	return endpoint_name(conn->wire->fleet, conn->endpoint);
}

void
answer_tell(struct conn *conn, struct query *query, PGresult *answer)
{
	enum mews_status	 status = MEWS_OK;
	const char		*message = NULL;

	if (!meaning_is_well(PQresultStatus(answer))) {
		/* A transaction is open after the error, so it began before the
		 * query, perhaps by a BEGIN as SQL that was in flight. */
		if (PQtransactionStatus(conn->pg) == PQTRANS_INERROR)
			query->inside = true;
		status = meaning_status(query, answer);
		query->lsn = 0;
	} else if (query->kind == QUERY_COMMIT &&
	    strcmp(PQcmdStatus(answer), "ROLLBACK") == 0) {
		/* COMMIT of a failed transaction: the server answers ROLLBACK,
		 * without an error. */
		status = MEWS_SQL;
		message = "a query of the transaction had failed: "
			  "everything was rolled back";
		query->lsn = 0;
	}
	if (status == MEWS_TOO_LARGE)
		message = MEANING_TOO_LARGE;
	if (query->lease != NULL)
		lease_heard(query->lease, conn_now(conn));
	query_end(query, status, answer, name(conn), message);
}

/* Is @query a shared read? With nothing to commit its callback runs at once. */
static inline bool
is_read(const struct conn *conn, const struct query *query)
{
	return conn->terms->reader && query->kind == QUERY_SHARED;
}

static bool
may_run_again(const struct query *query)
{
	return query->kind == QUERY_SHARED && query->unrun < QUERY_RESENDS &&
	    query->fn.query != NULL && !query->canceled;
}

/*
 * Send @query again: the server skipped it, or never ran it. A twin is dropped,
 * as its original is in flight or waits; if the original's connection was lost,
 * the original is sent again, alone where it may have ended that session.
 */
static void
send_again(struct conn *conn, struct query *query)
{
	struct query	*original = query->original;
	bool		 lost = original != NULL &&
	    original->state == QUERY_ADRIFT;

	if (lost && may_run_again(original)) {
		original->plain = query->plain;
		query_part(query);
		query = original;
	}
	if (may_run_again(query)) {
		query->unrun++;
		query->alone = true;
		if (query->suspected > 0)
			query->slow = query->odd = true;
		queue_put_back(conn->terms->queue, query, lost);
		return;
	}
	if (query->lease != NULL)
		lease_heard(query->lease, conn_now(conn));
	query_fail(query, MEWS_UNAVAILABLE,
	    "not run: the session before it could not be made ready");
}

/* Handle a @query that failed, or was skipped because another one failed. True:
 * nothing more is to be done for it now. */
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
	if (answer_break_if_last(conn, *answer)) {
		/* conn_lose() decides how the query ends. */
		conn->held = query;
		PQclear(*answer);
		return true;
	}
	if (!take_stale(conn, query, *answer))
		return false;
	prepared_find(conn, query->statement,
	    strcmp(meaning_state(*answer), "26000") == 0 ?
	    PREPARED_NOT : PREPARED_STALE);
	/* A procedure that commits may have had an effect. */
	if ((!may_run_again(query) && query->original == NULL) ||
	    (sql_commits(query_sql(query)) &&
		!prepared_is_refused(query->statement, *answer)))
		return false;
	PQclear(*answer);
	query->plain = true;
	send_again(conn, query);
	return true;
}

/*
 * Learn how long @query took; the server began with it at @since_us. Of answers
 * that come in one turn only the first counts.
 */
static inline void
learn(struct conn *conn, const struct query *query, int64_t since_us,
    struct answer_turn *turn)
{
	float	us = 0;

	if (turn->answers++ == 0)
		turn->waited_us = turn->now_us - query->sent_us;
	if (since_us < turn->now_us)
		us = (float)(turn->now_us - (since_us > query->sent_us ?
		    since_us : query->sent_us));
	if (query->statement != NULL)
		statement_learn(query->statement, us);
	else if (query->kind == QUERY_SHARED)
		text_learn(conn->wire->statements, query->hash,
		    us);
}

/* Put into the figures @count answers to @statement, or to other SQL, that took
 * @us each. */
static inline void
count_times(const struct conn *conn, const struct mews_statement *statement,
    int64_t us, uint32_t count)
{
	figures_times(&conn->on->figures->times, us, count);
	if (statement != NULL) {
		statement->figures->answers += count;
		statement->figures->sum_us += (uint64_t)us * count;
	}
}

void
answer_count(const struct conn *conn, struct answer_turn *turn)
{
	if (turn->run == 0)
		return;
	count_times(conn, turn->statement, turn->now_us - turn->sent_us,
	    turn->run);
	if (turn->statement != NULL)
		turn->statement->figures->rows += turn->rows;
	turn->run = 0;
}

/* Count one answer by itself. */
static inline void
count_one(const struct conn *conn, const struct query *query,
    const PGresult *answer, int64_t us)
{
	count_times(conn, query->statement, us, 1);
	if (query->statement != NULL)
		query->statement->figures->rows += (unsigned)PQntuples(answer);
}

static void __attribute__((noinline))
begin_run(const struct conn *conn, const struct query *query,
    struct answer_turn *turn)
{
	answer_count(conn, turn);
	turn->sent_us = query->sent_us;
	turn->statement = query->statement;
	turn->rows = 0;
}

/* Count in the figures each query that was sent and answered. Answers that come
 * together were mostly asked for together, and are counted together; one that
 * comes alone, or late, is not worth that. */
static inline void
count(const struct conn *conn, const struct query *query,
    const PGresult *answer, struct answer_turn *turn)
{
	int64_t	us;

	if (query->sent_us != turn->sent_us ||
	    query->statement != turn->statement) {
		us = turn->now_us - query->sent_us;
		if (us >= conn->on->slow_us)
			slow_log(query, answer, name(conn), us, turn->now_us);
		if (us >= conn->on->slow_us || conn->in_flight == 0) {
			count_one(conn, query, answer, us);
			return;
		}
		begin_run(conn, query, turn);
	}
	turn->run++;
	if (query->statement != NULL)
		turn->rows += (unsigned)PQntuples(answer);
}

/* As learn() and count(), for a query that is odd. */
static void __attribute__((noinline))
take_odd(struct conn *conn, const struct query *query, const PGresult *answer,
    ExecStatusType status, int64_t since_us, struct answer_turn *turn)
{
	int64_t	us = turn->now_us - query->sent_us;

	if (query->on_row != NULL)
		conn->streams--;
	if (query->slow && --conn->slow == 0)
		conn->slow_lane = false;
	if (status == PGRES_PIPELINE_ABORTED)
		return;
	/* The host is part of a stream's time; no caller waits for a query
	 * whose twin was answered. */
	if (query->on_row == NULL && query->state != QUERY_ANSWERED &&
	    !query->describes)
		learn(conn, query, since_us, turn);
	if (query->waited_us + us >= conn->on->slow_us)
		slow_log(query, answer, name(conn), us, turn->now_us);
	count_one(conn, query, answer, us);
}

void
answer_query(struct conn *conn, struct query *query, PGresult *answer,
    ExecStatusType status, int64_t since_us, struct answer_turn *turn)
{
	conn->in_flight--;
	conn->on->answered++;
	if (query->odd) {
		take_odd(conn, query, answer, status, since_us, turn);
	} else if (status != PGRES_PIPELINE_ABORTED) {
		learn(conn, query, since_us, turn);
		count(conn, query, answer, turn);
	}
	if (bulk_may_be(conn) && PQresultMemorySize(answer) > BULK_LOOK) {
		answer = bulk_take(conn, answer);
		status = PQresultStatus(answer);
	}
	if (!meaning_is_well(status) && query_failed(conn, query, &answer))
		return;
	if (is_read(conn, query)) {
		enum mews_status st = meaning_is_well(status) ? MEWS_OK :
		    meaning_status(query, answer);

		query_end(query, st, answer, name(conn),
		    st == MEWS_TOO_LARGE ? MEANING_TOO_LARGE : NULL);
		return;
	}
	assert(conn->held == NULL && "mews: one query per Sync");
	conn->held = query;
	conn->held_answer = answer;
}

/* Keep the error of a command ahead of a query: it becomes the query's. */
static void
ahead_answered(struct conn *conn, PGresult *answer)
{
	answer_break_if_last(conn, answer);
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
		if (prepared_get(conn, query->statement) == PREPARED_SENT)
			prepared_set(conn, query->statement, PREPARED_YES);
		PQclear(answer);
		return;
	}
	/* 42P05: the host uses that name for a statement of its own. Prepare
	 * under the next name. */
	if (strcmp(meaning_state(answer), "42P05") == 0 &&
	    query->kind == QUERY_SHARED) {
		prepared_set(conn, query->statement, PREPARED_NOT);
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

	if (pooler_is_told(answer))
		conn_break(conn, HEALTH_REJECTED, POOLER_REASON);
	else if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK &&
	    !answer_break_if_last(conn, answer))
		conn_break(conn, HEALTH_NOTHING,
		    status == PGRES_PIPELINE_ABORTED ?
		    "the session could not be made ready" :
		    PQresultErrorMessage(answer));
	PQclear(answer);
}

/* No record ends inside the header of a WAL page (XLogRecPtr, 8 kB pages, 24 or
 * 40 bytes): an insert position just after a header stands for the begin of the
 * page. */
static uint64_t
record_end(uint64_t lsn)
{
	return lsn % 8192 <= 40 ? lsn - lsn % 8192 : lsn;
}

/* Take the answer to send_position(); without a row the position stays
 * unknown. */
static void
position_answered(struct conn *conn, struct query *query, PGresult *answer)
{
	if (PQresultStatus(answer) == PGRES_TUPLES_OK &&
	    PQntuples(answer) == 1 && PQnfields(answer) == 1)
		query->lsn = record_end(strtoull(PQgetvalue(answer, 0, 0),
		    NULL, 10));
	else
		answer_break_if_last(conn, answer);
	query->position = false;
	PQclear(answer);
}

/* Did a write reach a server that is no longer a primary? The server reports
 * its role after the error, right before the Sync. */
static bool
is_misrouted(const struct conn *conn, const struct query *query,
    const PGresult *answer)
{
	return query->kind == QUERY_SHARED && !conn->terms->reader &&
	    !meaning_is_well(PQresultStatus(answer)) &&
	    strcmp(meaning_state(answer), "25006") == 0 &&
	    dial_role(conn->pg) != HEALTH_ROLE_PRIMARY;
}

/* A Sync came back: the query that waits for it ends now. */
static void
segment_ended(struct conn *conn)
{
	struct query	*query = conn->held;
	PGresult	*answer = conn->held_answer;

	if (conn->ahead_error != NULL) {
		PQclear(conn->ahead_error);
		conn->ahead_error = NULL;
	}
	/* The query committed; its position comes next. */
	if (query != NULL && query->position) {
		query->committed = true;
		return;
	}
	conn->held = NULL;
	conn->held_answer = NULL;
	if (conn->head == conn->tail) {
		conn->idle_since_us = conn_now(conn);
		if (conn->state == CONN_RESETTING)
			conn_become(conn, CONN_READY);
		if (conn->lease == NULL &&
		    PQtransactionStatus(conn->pg) != PQTRANS_IDLE)
			conn_break(conn, HEALTH_NOTHING,
			    "a query left a transaction open");
	}
	if (query == NULL)
		return;
	if (is_misrouted(conn, query, answer)) {
		/* Another server is the primary: report the role. */
		endpoint_see_role(conn->wire->fleet, conn->endpoint,
		    dial_role(conn->pg), conn->epoch);
		PQclear(answer);
		send_again(conn, query);
		return;
	}
	answer_tell(conn, query, answer);
}

void
answer_own(struct conn *conn, struct expect e, PGresult *answer)
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

void
answer_take(struct conn *conn, PGresult *answer, ExecStatusType status,
    int64_t now_us)
{
	enum expect_kind	kind = ring_at(conn, conn->head)->kind;

	if (status == PGRES_PIPELINE_SYNC && kind == EXPECT_SYNC) {
		PQclear(answer);
		ring_pop(conn, now_us);
		segment_ended(conn);
		return;
	}
	/*
	 * Out of step. The ring keeps what is expected, so that its queries end
	 * as lost with the connection.
	 */
	if (status == PGRES_PIPELINE_SYNC ||
	    (kind == EXPECT_SYNC && status != PGRES_FATAL_ERROR)) {
		PQclear(answer);
		conn_break(conn, HEALTH_LOST,
		    "answers came in an unexpected order");
		return;
	}
	if (kind == EXPECT_SYNC) {
		/* The commit itself failed: its error is the query's answer. */
		if (answer_break_if_last(conn, answer) || conn->held == NULL) {
			if (conn->state == CONN_RESETTING ||
			    conn->state == CONN_SETUP)
				conn_break(conn, HEALTH_NOTHING,
				    PQresultErrorMessage(answer));
			PQclear(answer);
			return;
		}
		PQclear(conn->held_answer);
		conn->held_answer = answer;
		return;
	}
	switch (status) {
	case PGRES_SINGLE_TUPLE:
		if (kind == EXPECT_QUERY) {
			stream_row(conn, answer);
			return;
		}
		PQclear(answer);
		conn_break(conn, HEALTH_LOST, "an unexpected row");
		return;
	case PGRES_COPY_IN:
	case PGRES_COPY_OUT:
	case PGRES_COPY_BOTH:
		/* PQgetResult() would return this for ever. */
		conn_break(conn, HEALTH_NOTHING,
		    "COPY from and to the client is not possible here");
		PQclear(answer);
		return;
	default:
		PQclear(conn->answer);
		conn->answer = answer;
	}
}

/* Tell the host of a notice. */
static void
tell_notice(const struct conn *conn, const PGresult *notice)
{
	const struct wire	*wire = conn->wire;
	struct mews_lease	*lease = conn->lease;

	if (!conn_is_up(conn))
		return;
	if (lease != NULL && lease->on_notice != NULL)
		lease->on_notice(lease->notice_arg, lease, name(conn),
		    notice);
	else if (wire->on_notice != NULL)
		wire->on_notice(wire->notice_arg, lease, name(conn), notice);
}

/*
 * A FATAL error that answers no query arrives as a notice. 57P02 (another
 * backend crashed) and 57P01 (immediate shutdown) come with severity WARNING:
 * quickdie() in src/backend/tcop/postgres.c.
 */
static void
on_notice(void *arg, const PGresult *notice)
{
	struct conn	*conn = arg;
	const char	*severity, *function;

	conn->notices++;
	severity = PQresultErrorField(notice, PG_DIAG_SEVERITY_NONLOCALIZED);
	function = PQresultErrorField(notice, PG_DIAG_SOURCE_FUNCTION);
	if (function != NULL && strcmp(function, "quickdie") == 0)
		conn->bystander = true;
	if (conn->bystander ||
	    (severity != NULL && strcmp(severity, "FATAL") == 0))
		conn_break(conn, meaning_evidence(meaning_state(notice)),
		    PQresultErrorMessage(notice));
	else
		tell_notice(conn, notice);
}

void
answer_catch_notices(struct conn *conn)
{
	PQsetNoticeReceiver(conn->pg, on_notice, conn);
}

void
answer_check_role(struct conn *conn)
{
	struct mews_fleet	*fleet = conn->wire->fleet;
	enum health_role	 role = dial_role(conn->pg);

	conn->role_us = conn_now(conn);
	/* Our own read-only setting hides the server's. */
	if (conn->terms->reader && role == HEALTH_ROLE_READONLY)
		role = HEALTH_ROLE_PRIMARY;
	if (conn->terms->reader && role == HEALTH_ROLE_PRIMARY &&
	    conn->dial.role == HEALTH_ROLE_READONLY)
		role = HEALTH_ROLE_READONLY;
	if (role == conn->dial.role || role == HEALTH_ROLE_UNKNOWN)
		return;
	/* A lease may have set its session to read-only. */
	if (role != HEALTH_ROLE_STANDBY &&
	    conn->dial.role != HEALTH_ROLE_STANDBY &&
	    (conn->lease != NULL || conn->state == CONN_RESETTING ||
		conn->sessions > 0))
		return;
	conn->dial.role = role;
	endpoint_see_role(fleet, conn->endpoint, role, conn->epoch);
}
