/*
 * prepared.c - one byte per statement and connection.
 */
#include "prepared.h"

#include <stdlib.h>
#include <string.h>

bool
prepared_set(struct conn *conn, const struct mews_statement *statement,
    enum prepared to)
{
	if (statement->number >= conn->prepared_room) {
		uint32_t	room = (statement->number / 64 + 1) * 64;
		uint8_t	       *more = realloc(conn->prepared, room);

		if (more == NULL)
			return false;
		memset(more + conn->prepared_room, PREPARED_NOT,
		    room - conn->prepared_room);
		conn->prepared = more;
		conn->prepared_room = room;
	}
	conn->prepared[statement->number] = (uint8_t)to;
	return true;
}

void
prepared_forget(struct conn *conn)
{
	if (conn->prepared != NULL)
		memset(conn->prepared, PREPARED_NOT, conn->prepared_room);
}
