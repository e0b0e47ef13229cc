/*
 * copy.c - COPY to and from the host, without blocking.
 *
 *	WAITS -> ASKED -> TAKES or SENDS -> ENDS -> pipeline mode
 *
 * COPY uses the simple protocol: with the extended one libpq sends a Sync at
 * once and another after the data. If the server fails between its
 * CopyInResponse and the first piece of data, the first Sync ends the error,
 * and the second brings a ReadyForQuery that answers nothing.
 *
 * While data is sent libpq does not look at what the server sends, and would
 * show an error only at the end. The server sends only notices or an error
 * then: if bytes came and no notice appeared within COPY_SILENCE_US, the COPY
 * is ended in order to read the error.
 */
#include "wire/copy.h"

#include "wire/answer.h"
#include "fleet/endpoint.h"
#include "query/meaning.h"
#include "wire/send.h"
#include "wire/lease.h"
#include "wire/ring.h"
#include "wire/stream.h"

#include <stdlib.h>
#include <string.h>

#define COPY_SILENCE_US 100000 /* for the rest of a notice to arrive */
#define COPY_BUFFER	65536  /* bytes put until the socket is asked */

enum copy_state {
	COPY_WAITS, /* for the answers ahead of it */
	COPY_ASKED, /* sent; will the server begin a COPY? */
	COPY_TAKES, /* data comes */
	COPY_SENDS, /* data goes */
	COPY_ENDS   /* no more data; the end is to come */
};

struct copy {
	enum copy_state state;
	mews_copy_data_fn *on_data; /* NULL: data goes */
	mews_copy_room_fn *on_room;
	bool script;	  /* no COPY: several statements */
	mews_query_fn *on_result; /* for each statement; or NULL */
	PGresult *answer; /* its end, once known */
	bool stopped;	  /* the rest is thrown away */
	bool full;	  /* the socket is full; on_room is owed */
	bool ending;	  /* nothing more will be put */
	bool heard;	  /* bytes came that may be a notice */
	uint32_t notices; /* of the connection, as last looked at */
	int64_t silent_us; /* from then on the bytes count as an error; 0: none
			      came */
	size_t put;	  /* bytes, since the socket was asked */
	char why[120];	  /* why the host aborted it; or "" */
};

void
copy_free(struct copy *copy)
{
	if (copy == NULL)
		return;
	PQclear(copy->answer);
	free(copy);
}

bool
copy_waits_for_host(const struct conn *conn)
{
	return (conn->paused & CONN_PAUSE_HOST) != 0 ||
	    (conn->copy != NULL && copy_has_room(conn->copy));
}

bool
copy_is_full(const struct copy *copy)
{
	return copy->state == COPY_SENDS && copy->full;
}

static void
copy_broke(struct conn *conn)
{
	conn_break(conn, HEALTH_LOST, PQerrorMessage(conn->pg));
}

/* Everything ahead was answered: leave pipeline mode, and send the COPY. */
static void
copy_ask(struct conn *conn)
{
	struct query	*query = ring_at(conn, conn->head)->query;

	conn->copy->state = COPY_ASKED;
	if (PQexitPipelineMode(conn->pg) != 1 ||
	    PQsendQuery(conn->pg, query->sql) != 1)
		copy_broke(conn);
	conn_flush_later(conn);
}

/* End the data; @why: abort it. */
static void
end_data(struct conn *conn, const char *why)
{
	conn->copy->state = COPY_ENDS;
	conn->head_since_us = conn_now(conn);
	/* libpq may have read an error already: look again. */
	conn->resumed = true;
	if (PQputCopyEnd(conn->pg, why) != 1)
		copy_broke(conn);
	conn_flush_later(conn);
}

/* Tell the host of room, if everything that was put is on its way. */
static void
look_for_room(struct conn *conn)
{
	struct copy    *copy = conn->copy;
	struct query   *query = ring_at(conn, conn->head)->query;
	int		left = PQflush(conn->pg);

	if (left < 0)
		copy_broke(conn);
	if (left != 0)
		return;
	copy->full = false;
	conn->lease->active_us = conn_now(conn);
	if (query->fn.query != NULL && !query->canceled)
		copy->on_room(query->arg);
}

/* Did the server send something other than a notice? */
static void
look_for_error(struct conn *conn)
{
	struct copy    *copy = conn->copy;
	PGnotify       *notify;

	/* PQnotifies() makes libpq look, at notices and notifications only. */
	while ((notify = PQnotifies(conn->pg)) != NULL)
		PQfreemem(notify);
	if (copy->notices != conn->notices) {
		copy->silent_us = 0;
	} else if (copy->silent_us == 0) {
		copy->silent_us = conn_now(conn) +
		    COPY_SILENCE_US;
		conn_due(conn, copy->silent_us);
	}
	copy->notices = conn->notices;
	copy->heard = false;
}

void
copy_heard(struct conn *conn)
{
	struct copy	*copy = conn->copy;

	if (copy->state == COPY_SENDS && !copy->heard)
		copy->heard = conn_has_bytes(conn);
}

void
copy_scan(struct conn *conn, int64_t now_us)
{
	struct copy	*copy = conn->copy;

	if (copy->state != COPY_SENDS || copy->silent_us == 0)
		return;
	if (copy->silent_us <= now_us)
		end_data(conn, "libmews ended this COPY in order to read "
		    "an error");
	else
		conn_due(conn, copy->silent_us);
}

/* Hand a piece of data to the host. */
static void
deliver(struct conn *conn, const char *data, int length)
{
	struct copy    *copy = conn->copy;
	struct query   *query = ring_at(conn, conn->head)->query;

	conn->head_since_us = conn_now(conn);
	if (query->fn.query != NULL && !query->canceled && !copy->stopped)
		copy->stopped = stream_flow(conn,
		    copy->on_data(query->arg, data, (size_t)length));
}

/* Take data that came. False: there is no more now. */
static bool
take_data(struct conn *conn)
{
	char   *data;
	int	length = PQgetCopyData(conn->pg, &data, 1);

	if (length > 0) {
		deliver(conn, data, length);
		PQfreemem(data);
	} else if (length == -1) {
		conn->copy->state = COPY_ENDS;
	} else if (length == -2) {
		copy_broke(conn);
	}
	return length != 0;
}

/* Did @answer end a transaction that committed? */
static bool
committed(const PGresult *answer)
{
	const char	*tag = PQcmdStatus((PGresult *)(uintptr_t)answer);

	return strncmp(tag, "COMMIT", 6) == 0 ||
	    strcmp(tag, "PREPARE TRANSACTION") == 0;
}

/* Take the answer to one statement of a script. */
static void
script_answered(struct conn *conn, PGresult *answer)
{
	struct copy    *copy = conn->copy;
	struct query   *query = ring_at(conn, conn->head)->query;

	conn->head_since_us = conn_now(conn);
	switch (PQresultStatus(answer)) {
	case PGRES_COPY_IN:
		if (PQputCopyEnd(conn->pg, "COPY FROM STDIN is not possible "
		    "in a script") != 1)
			copy_broke(conn);
		conn_flush_later(conn);
		PQclear(answer);
		return;
	case PGRES_COPY_OUT:
	case PGRES_COPY_BOTH:
		conn_break(conn, HEALTH_NOTHING,
		    "COPY TO STDOUT is not possible in a script");
		PQclear(answer);
		return;
	default:
		PQclear(copy->answer);
		copy->answer = answer;
	}
	if (!meaning_is_well(PQresultStatus(answer)))
		return;
	query->partly = query->partly || committed(answer);
	if (copy->on_result == NULL || query->fn.query == NULL ||
	    query->canceled)
		return;
	query->told = (struct mews_result) {
		.magic = RESULT_MAGIC,
		.pg = answer,
		.endpoint = endpoint_name(conn->wire->fleet,
		    conn->endpoint),
	};
	copy->on_result(query->arg, &query->told);
	result_close(&query->told);
}

static void
copy_answered(struct conn *conn, PGresult *answer)
{
	struct copy	*copy = conn->copy;
	ExecStatusType	 status = PQresultStatus(answer);

	if (copy->script) {
		script_answered(conn, answer);
		return;
	}
	if (status == PGRES_COPY_OUT && copy->state == COPY_ASKED &&
	    copy->on_data != NULL) {
		copy->state = COPY_TAKES;
	} else if (status == PGRES_COPY_IN && copy->state == COPY_ASKED &&
	    copy->on_data == NULL) {
		copy->state = COPY_SENDS;
		copy->full = true; /* on_room is owed */
		copy->notices = conn->notices;
		if (copy->ending)
			end_data(conn, copy->why[0] == '\0' ? NULL : copy->why);
	} else if (status == PGRES_COPY_IN || status == PGRES_COPY_OUT ||
	    status == PGRES_COPY_BOTH) {
		conn_break(conn, HEALTH_NOTHING,
		    "a COPY that goes another way than asked for");
	} else {
		PQclear(copy->answer);
		copy->answer = answer;
		return;
	}
	PQclear(answer);
}

/* Everything was answered: go back to pipeline mode, and end the query. */
static void
ended(struct conn *conn)
{
	struct copy    *copy = conn->copy;
	PGresult       *answer = copy->answer;
	struct query   *query;

	if (answer == NULL || PQenterPipelineMode(conn->pg) != 1) {
		copy_broke(conn);
		return;
	}
	if (answer_break_if_last(conn, answer))
		return;
	query = ring_pop(conn, conn_now(conn)).query;
	/* Remember that the host aborted it. */
	query->stopped = copy->why[0] != '\0';
	copy->answer = NULL;
	copy_free(copy);
	conn->copy = NULL;
	conn->streams--;
	conn->in_flight--;
	conn->on->answered++;
	conn->idle_since_us = conn_now(conn);
	answer_tell(conn, query, answer);
}

bool
copy_turn(struct conn *conn)
{
	struct copy	*copy = conn->copy;
	PGresult	*answer;

	while (!conn_is_broken(conn) && !conn->paused) {
		switch (copy->state) {
		case COPY_WAITS:
			copy_ask(conn);
			return false;
		case COPY_TAKES:
			if (!take_data(conn))
				return false;
			break;
		case COPY_SENDS:
			if (copy->heard)
				look_for_error(conn);
			if (copy->full)
				look_for_room(conn);
			if (copy->state == COPY_SENDS)
				return false;
			break;
		case COPY_ASKED:
		case COPY_ENDS:
			if (PQisBusy(conn->pg))
				return false;
			if ((answer = PQgetResult(conn->pg)) == NULL) {
				ended(conn);
				return true;
			}
			copy_answered(conn, answer);
			break;
		}
	}
	return false;
}

void
copy_give_up(struct conn *conn)
{
	struct copy	*copy = conn->copy;

	if (copy == NULL || copy->ending || copy->on_data != NULL ||
	    copy->script)
		return;
	copy->ending = true;
	strcpy(copy->why, "given up by the client");
	if (copy->state == COPY_SENDS)
		end_data(conn, copy->why);
}

/* Put @query into the ring; send it at once if nothing is ahead. */
static bool
enqueue(struct conn *conn, struct query *query, bool begin)
{
	if (!send_opening(conn, begin ? query->lease : NULL) ||
	    !ring_push(conn, EXPECT_QUERY, query)) {
		copy_broke(conn);
		return false;
	}
	conn->streams++;
	send_count(conn, query);
	if (conn->head + 1 == conn->tail)
		copy_ask(conn);
	return true;
}

/* Give @conn a COPY, or a script, that begins as @as. */
static enum mews_status
begin_as(struct conn *conn, struct query *query, bool begin,
    const struct copy *as)
{
	if ((conn->copy = malloc(sizeof(*as))) == NULL)
		return MEWS_NOMEM;
	*conn->copy = *as;
	return enqueue(conn, query, begin) ? MEWS_OK : MEWS_UNAVAILABLE;
}

enum mews_status
copy_begin(struct conn *conn, struct query *query, bool begin,
    mews_copy_data_fn *on_data, mews_copy_room_fn *on_room)
{
	return begin_as(conn, query, begin, &(struct copy) {
		.on_data = on_data, .on_room = on_room });
}

enum mews_status
copy_script(struct conn *conn, struct query *query, bool begin,
    mews_query_fn *on_result)
{
	return begin_as(conn, query, begin, &(struct copy) {
		.script = true, .on_result = on_result });
}

bool
copy_is_open(const struct copy *copy)
{
	return copy != NULL && copy->on_data == NULL && !copy->script &&
	    !copy->ending && copy->state != COPY_ENDS;
}

bool
copy_has_room(const struct copy *copy)
{
	return copy->state == COPY_SENDS && !copy->full;
}

enum mews_status
copy_put(struct conn *conn, const void *data, size_t length)
{
	struct copy	*copy = conn->copy;
	int		 left;

	/* The lease is not idle: from here on the server works. */
	conn->lease->active_us = conn_now(conn);
	conn->head_since_us = conn->lease->active_us;
	conn_flush_later(conn);
	switch (PQputCopyData(conn->pg, data, (int)length)) {
	case 1:
		copy->put += length;
		if (copy->put < COPY_BUFFER)
			return MEWS_OK;
		copy->put = 0;
		left = PQflush(conn->pg);
		copy->full = left > 0;
		if (left >= 0)
			return MEWS_OK;
		break;
	case 0:
		copy->full = true;
		return MEWS_NOMEM;
	}
	copy_broke(conn);
	return MEWS_UNAVAILABLE;
}

void
copy_end(struct conn *conn, const char *abort)
{
	struct copy	*copy = conn->copy;

	copy->ending = true;
	if (abort != NULL) {
		dial_message(copy->why, sizeof(copy->why), abort);
		if (copy->why[0] == '\0')
			strcpy(copy->why, "aborted");
	}
	if (copy->state == COPY_SENDS)
		end_data(conn, abort == NULL ? NULL : copy->why);
}
