/*
 * receive.c - take in what came over a connection, as far as libpq has it.
 *
 * answer.c tells what an answer means. A stream comes row by row only if libpq
 * is told so at the right time: after the end of the answer before it, when its
 * query has become current, and before PQisBusy(), which looks at the next
 * answer.
 */
#include "wire/receive.h"

#include "wire/answer.h"
#include "wire/bulk.h"
#include "wire/copy.h"
#include "fleet/crowd.h"
#include "wire/ring.h"

#include <errno.h>
#include <sys/socket.h>

/* Remember whether a failed call of libpq ran out of memory. */
static void __attribute__((noinline))
look_for_starving(struct conn *conn)
{
	if (errno == ENOMEM)
		conn->starved = true;
	errno = 0;
}

/*
 * To be called before libpq looks at more input: make the head, if it is a
 * stream, come row by row. False: do not ask libpq, as the head is a COPY or
 * the connection is paused.
 */
static bool
receive_head(struct conn *conn)
{
	struct query	*query;

	if (conn->paused)
		return false;
	if (conn->head == conn->tail ||
	    ring_at(conn, conn->head)->kind != EXPECT_QUERY)
		return true;
	query = ring_at(conn, conn->head)->query;
	if (query->kind == QUERY_COPY)
		return copy_turn(conn);
	if (query->on_row != NULL && !query->streaming)
		query->streaming = PQsetSingleRowMode(conn->pg) == 1;
	return true;
}

/*
 * Take one answer from libpq. In a pipeline a NULL ends the answers to one
 * command; after an answer without an error it is there at once, without a look
 * at more bytes. False: no progress.
 */
static inline bool
receive_step(struct conn *conn, struct answer_turn *turn)
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
	if (status == PGRES_FATAL_ERROR) {
		look_for_starving(conn);
		conn_check_socket(conn);
	}
	if (!whole) {
		answer_take(conn, answer, status, turn->now_us);
		return true;
	}
	conn->answer = NULL;
	e = ring_pop(conn, turn->now_us);
	if (e.kind != EXPECT_QUERY)
		answer_own(conn, e, answer);
	else
		answer_query(conn, e.query, answer, status, since_us, turn);
	return true;
}

/*
 * Free the notifications of a LISTEN on a lease, which libpq would keep for
 * ever. Not in the middle of a stream: libpq would look at the next answer
 * before it was told that its rows come one by one.
 */
static void __attribute__((noinline))
forget_notifications(struct conn *conn)
{
	PGnotify	*notify;

	while (!conn_is_broken(conn) && conn->streams == 0 &&
	    (notify = PQnotifies(conn->pg)) != NULL)
		PQfreemem(notify);
}

/* libpq gave its connection up, as it does without memory for a row; or the
 * connection lives, but libpq is @silent. */
static void __attribute__((noinline))
end_at_failure(struct conn *conn, bool silent)
{
	look_for_starving(conn);
	if (conn->starved)
		bulk_break(conn, ANSWER_NO_MEMORY);
	else if (!silent || PQstatus(conn->pg) == CONNECTION_BAD)
		conn_break(conn, HEALTH_LOST, PQerrorMessage(conn->pg));
	else
		conn_break(conn, HEALTH_LOST,
		    "libpq expects no answer where one is due");
}

/* Take in all that libpq has; @alive: more may come later. */
static void
receive_all(struct conn *conn, bool alive)
{
	struct answer_turn turn = { .now_us = conn_now(conn),
		.sent_us = -1 };
	int	       *error = &errno; /* errno is a function call: make it
					   once */
	uint32_t	head = conn->head;
	unsigned	nothing = 0;

	while (!conn_is_broken(conn) &&
	    (conn->streams == 0 || receive_head(conn)) &&
	    !PQisBusy(conn->pg) && conn->head != conn->tail && nothing < 2) {
		/* A NULL may stand alone, after a commit that failed. */
		if (receive_step(conn, &turn)) {
			nothing = 0;
		} else {
			look_for_starving(conn);
			nothing++;
		}
		/* Do not see a callback's error. */
		*error = 0;
	}
	answer_count(conn, &turn);
	if (turn.answers > 0) {
		known_learn(conn->known, (float)turn.waited_us, turn.answers);
		conn->known->learned_us = turn.now_us;
	}
	if (!alive || PQstatus(conn->pg) == CONNECTION_BAD || nothing == 2) {
		end_at_failure(conn, alive && nothing == 2);
		return;
	}
	if (conn_is_broken(conn))
		return;
	/* Notifications that came with answers may wait for a look at the
	 * role. */
	if (turn.now_us - conn->role_us > ANSWER_ROLE_US) {
		answer_check_role(conn);
		forget_notifications(conn);
	} else if (conn->head == head) {
		forget_notifications(conn);
	}
}

/* An end is no sign that the server answers. */
static void
tell_heard(struct conn *conn, bool alive)
{
	if (!alive || conn_is_broken(conn) || !conn_is_up(conn) ||
	    conn->heard_us - conn->known->told_us <= CROWD_HEARD_US)
		return;
	conn->known->told_us = conn->heard_us;
	crowd_heard(conn->wire->fleet, conn->endpoint);
}

void
receive_input(struct conn *conn)
{
	bool			 alive;

	if (conn_is_broken(conn) || conn->paused || conn->pg == NULL)
		return;
	bulk_count(conn);
	if (conn_is_broken(conn))
		return;
	conn->starved = false;
	errno = 0;
	conn->heard_us = conn_now(conn);
	conn->known->heard_us = conn->heard_us;
	alive = PQconsumeInput(conn->pg) == 1;
	/* libpq closes the socket at the end of file: give it up before any
	 * callback. */
	if (!alive) {
		look_for_starving(conn);
		conn_check_socket(conn);
	}
	receive_all(conn, alive);
	tell_heard(conn, alive);
	if (conn->bulky)
		bulk_taken(conn);
}

void
receive_rest(struct conn *conn)
{
	/* Take only what libpq has, without reading: bytes must not pile up. */
	if (conn_is_broken(conn) || conn->paused)
		return;
	conn->starved = false;
	errno = 0;
	receive_all(conn, true);
}

bool
receive_look(struct conn *conn)
{
	char		  byte;

	/* There is a message, the end of file, or both. */
	while (!conn_is_broken(conn) &&
	    recv(conn->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) >= 0 &&
	    conn->paused == 0)
		receive_input(conn);
	conn->heard_us = conn_now(conn);
	return !conn_is_broken(conn);
}
