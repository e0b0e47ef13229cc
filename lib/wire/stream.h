/*
 * stream.h - rows one by one, and when a connection is not read.
 *
 * A stream is a query in the ring, with on_row, or a COPY (see copy.h);
 * conn->streams counts both, so that a connection without streams costs one
 * branch.
 */
#ifndef LIB_WIRE_STREAM_H
#define LIB_WIRE_STREAM_H

#include "wire/conn.h"

#include <mews/stream.h>

/* Give a row of the head to the host, and free it. */
void stream_row(struct conn *conn, PGresult *row);

/* Act on what a callback returned. True: stop. */
bool stream_flow(struct conn *conn, enum mews_flow flow);

/* The lease of @conn ends: end its stream, and the connection. */
void stream_abandon(struct conn *conn);

#endif
