/*
 * stream.h - rows one by one, and when a connection is not read.
 *
 * A stream is a query in the ring like any other, with on_row, or a COPY (see
 * copy.h); conn->streams counts both, so that who has none pays one branch.
 */
#ifndef LIB_WIRE_STREAM_H
#define LIB_WIRE_STREAM_H

#include "wire/conn.h"

#include <mews/stream.h>

/* A row of the head; frees it. */
void stream_row(struct conn *conn, PGresult *row);

/* Act on what a callback asked for. True: to stop. */
bool stream_flow(struct conn *conn, enum mews_flow flow);

/* The lease of @conn ends: so does a stream of it, and the connection. */
void stream_abandon(struct conn *conn);

#endif
