/*
 * stream.h - rows one by one, and when a connection is not read.
 *
 * A stream is a query in the ring like any other, with on_row, or a COPY (see
 * copy.h); conn->streams counts both, so that who has none pays one branch.
 */
#ifndef STREAM_H
#define STREAM_H

#include "conn.h"

#include <mews/stream.h>

/*
 * Before libpq looks at more input: make the head, if it is a stream, come as
 * one. False: it was seen to, or all is paused; libpq is not to be asked.
 */
bool stream_head(struct conn *conn);

/* A row of the head; frees it. */
void stream_row(struct conn *conn, PGresult *row);

/* Act on what a callback asked for. True: to stop. */
bool stream_flow(struct conn *conn, enum mews_flow flow);

/* Does everything wait for the host? */
bool stream_waits(const struct conn *conn);

/* Its asker gave it up: nobody will resume it, or end it. */
void stream_give_up(struct query *query);

/* Its lease ends: whatever streams ends with it, and the connection too. */
void stream_abandon(struct conn *conn);

#endif
