/*
 * send.h - what is sent over a connection: the pipeline.
 *
 * Private to a connection; the rest of the pool uses conn.h.
 */
#ifndef LIB_WIRE_SEND_H
#define LIB_WIRE_SEND_H

#include "wire/conn.h"

/* The statements that each session begins with, without a Sync. */
bool conn_send_setup(struct conn *conn);

/* The BEGIN of that lease with its Sync, ahead of what cannot be in a
 * pipeline. NULL: none is needed. */
bool send_opening(struct conn *conn, const struct mews_lease *begin);

/* Push out: 0 all is gone, 1 the socket is full, -1 the connection broke. */
int send_flush(struct conn *conn);

#endif
