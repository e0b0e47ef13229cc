/*
 * flight.h - what is sent over a connection: the pipeline.
 *
 * Private to a connection; the rest of the pool uses conn.h.
 */
#ifndef FLIGHT_H
#define FLIGHT_H

#include "conn.h"

/* The statements that each session begins with, without a Sync. */
bool conn_send_setup(struct conn *conn);

/* The reset that is due, and the BEGIN of that lease, or NULL, with a Sync:
 * ahead of what cannot be in a pipeline. */
bool flight_ahead(struct conn *conn, const struct mews_lease *begin);

/* Push out: 0 all is gone, 1 the socket is full, -1 the connection broke. */
int flight_flush(struct conn *conn);

#endif
