/*
 * receive.c - take in what came over a connection, as far as libpq has it.
 *
 * What an answer means is told by answer.c. A stream comes row by row only if
 * libpq is told so when its query has become current and nothing of its answer
 * was looked at: after the end of the answer before it, and before PQisBusy(),
 * which looks.
 */
#include "wire/receive.h"

#include "wire/answer.h"
#include "wire/bulk.h"
#include "wire/copy.h"
#include "wire/ring.h"

#include <errno.h>
#include <sys/socket.h>

/* A call of libpq failed: for want of memory? */
static void __attribute__((noinline))
look_for_starving(struct conn *conn)
{
	if (errno == ENOMEM)
		conn->starved = true;
	errno = 0;
}

/*
 * Before libpq looks at more input: make the head, if it is a stream, come as
 * one. False: it was seen to, or all is paused; libpq is not to be asked.
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
 * One step of libpq's answers. In a pipeline a NULL ends those to one command;
 * behind an answer without an error it is there at once, and no more bytes
 * are looked at for it. False: no progress.
 */
static inline bool
step(struct conn *conn, struct answer_turn *turn)
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
 * Free the notifications of a LISTEN on a lease: nobody reads them, and libpq
 * would keep them. Not in the middle of a stream: libpq would look at the next
 * answer before it knows that its rows come one by one.
 */
static void __attribute__((noinline))
forget_notifications(struct conn *conn)
{
	PGnotify	*notify;

	while (!conn_is_broken(conn) && conn->streams == 0 &&
	    (notify = PQnotifies(conn->pg)) != NULL)
		PQfreemem(notify);
}

/* libpq gave its connection up, as it does without memory for a row; or it
 * lives, and is @silent. */
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
drain(struct conn *conn, bool alive)
{
	struct answer_turn turn = { .now_us = conn_now(conn) };
	int	       *error = &errno; /* a call, made once */
	uint32_t	head = conn->head;
	unsigned	nothing = 0;

	while (!conn_is_broken(conn) &&
	    (conn->streams == 0 || receive_head(conn)) &&
	    !PQisBusy(conn->pg) && conn->head != conn->tail && nothing < 2) {
		/* One NULL may stand alone, behind a commit that failed. */
		if (step(conn, &turn)) {
			nothing = 0;
		} else {
			look_for_starving(conn);
			nothing++;
		}
		/* Not that of a callback. */
		*error = 0;
	}
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
	/* Notifications that came with answers wait for that look. */
	if (turn.now_us - conn->role_us > ANSWER_ROLE_US) {
		answer_check_role(conn);
		forget_notifications(conn);
	} else if (conn->head == head) {
		forget_notifications(conn);
	}
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
	/* libpq closes the socket at the end of file; callbacks come next. */
	if (!alive) {
		look_for_starving(conn);
		conn_check_socket(conn);
	}
	drain(conn, alive);
	if (conn->bulky)
		bulk_taken(conn);
}

void
receive_rest(struct conn *conn)
{
	/* Without reading: what is read must not pile up. */
	if (conn_is_broken(conn) || conn->paused)
		return;
	conn->starved = false;
	errno = 0;
	drain(conn, true);
}

bool
receive_look(struct conn *conn)
{
	char		  byte;

	/* An unread message, the end of file, or the one behind the other. */
	while (!conn_is_broken(conn) &&
	    recv(conn->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) >= 0 &&
	    conn->paused == 0)
		receive_input(conn);
	conn->heard_us = conn_now(conn);
	return !conn_is_broken(conn);
}
