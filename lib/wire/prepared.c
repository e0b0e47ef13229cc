/*
 * prepared.c - which statements the server of a connection knows: one mark per
 * statement and connection. send.c sends PREPARE.
 */
#include "wire/prepared.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *
prepared_name_again(const struct conn *conn,
    const struct mews_statement *statement, char room[PREPARED_NAME])
{
	snprintf(room, PREPARED_NAME, "mews_%u_%u", statement->number,
	    conn->prepared[statement->number].times);
	return room;
}

bool
prepared_begin(struct conn *conn, const struct mews_statement *statement)
{
	if (statement->number >= conn->prepared_room) {
		uint32_t	      room = (statement->number / 64 + 1) * 64;
		struct prepared_mark *more = reallocarray(conn->prepared,
		    room, sizeof(*more));

		if (more == NULL)
			return false;
		memset(more + conn->prepared_room, 0,
		    (room - conn->prepared_room) * sizeof(*more));
		conn->prepared = more;
		conn->prepared_room = room;
	}
	conn->prepared[statement->number].is = PREPARED_SENT;
	conn->prepared[statement->number].times++;
	return true;
}

void
prepared_set(struct conn *conn, const struct mews_statement *statement,
    enum prepared to)
{
	conn->prepared[statement->number].is = to;
}

/* Was the query that was popped last already in flight when its statement was
 * found stale? */
static bool
was_found(const struct conn *conn, const struct prepared_mark *mark)
{
	return conn->head - 1 - mark->found < mark->found_end - mark->found;
}

void
prepared_find(struct conn *conn, const struct mews_statement *statement,
    enum prepared to)
{
	struct prepared_mark *mark = &conn->prepared[statement->number];

	if (was_found(conn, mark)) {
		/* DEALLOCATE of a statement that is gone would fail, and end
		 * the session. */
		if (mark->is == PREPARED_STALE)
			mark->is = to;
		return;
	}
	mark->is = to;
	mark->found = conn->head;
	mark->found_end = conn->tail;
}

void
prepared_forget(struct conn *conn)
{
	if (conn->prepared != NULL)
		memset(conn->prepared, 0,
		    conn->prepared_room * sizeof(*conn->prepared));
}

void
prepared_doubt(struct conn *conn)
{
	for (uint32_t i = 0; i < conn->prepared_room; i++)
		conn->prepared[i].is = PREPARED_NOT;
}

bool
prepared_is_refused(const struct mews_statement *statement,
    const PGresult *answer)
{
	const char *state = PQresultErrorField(answer, PG_DIAG_SQLSTATE);
	const char *text = PQresultErrorField(answer,
	    PG_DIAG_MESSAGE_PRIMARY);
	const char *function = PQresultErrorField(answer,
	    PG_DIAG_SOURCE_FUNCTION);

	/* With a context the error comes from something that the statement
	 * ran. */
	if (state == NULL || text == NULL || function == NULL ||
	    PQresultErrorField(answer, PG_DIAG_CONTEXT) != NULL)
		return false;
	/* 26000 with another name: an EXECUTE in the host's own SQL. */
	if (strcmp(state, "26000") == 0)
		return strcmp(function, "FetchPreparedStatement") == 0 &&
		    strstr(text, statement->on_server) != NULL;
	/* 0A000: "cached plan must not change result type" has no code of its
	 * own: src/backend/utils/cache/plancache.c */
	return strcmp(state, "0A000") == 0 &&
	    strcmp(function, "RevalidateCachedQuery") == 0;
}

bool
prepared_has_old_types(const PGresult *answer)
{
	/*
	 * Parameters keep the types that they had when the statement was
	 * prepared: a type that was dropped (XX000, 42704), a value that does
	 * not fit the old one (22003, 22P02, 22P03, 22007, 22008, 22001), no
	 * operator or function between the old and the new (42883, 42804,
	 * 42846), a plan that cannot change (0A000).
	 */
	static const char *const states[] = { "0A000", "22001", "22003",
		"22007", "22008", "22P02", "22P03", "42704", "42804", "42846",
		"42883", "XX000" };
	const char *state = PQresultErrorField(answer, PG_DIAG_SQLSTATE);

	for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++)
		if (state != NULL && strcmp(state, states[i]) == 0)
			return true;
	return false;
}

bool
prepared_take_again(struct conn *conn, const struct mews_statement *statement)
{
	struct prepared_mark *mark = &conn->prepared[statement->number];
	int64_t		      now_us = conn_now(conn);

	if (was_found(conn, mark))
		return true;
	if (mark->is != PREPARED_YES)
		return false;
	if (mark->again_us != 0 && now_us - mark->again_us < PREPARED_AGAIN_US)
		return false;
	mark->again_us = now_us;
	return true;
}
