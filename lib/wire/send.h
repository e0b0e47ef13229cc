/*
 * send.h - what is sent over a connection: the pipeline.
 *
 * Private to wire/; other rooms use conn.h.
 */
#ifndef LIB_WIRE_SEND_H
#define LIB_WIRE_SEND_H

#include "wire/conn.h"
#include "query/query.h"

/* Send the statements that each session begins with, without a Sync. */
bool conn_send_setup(struct conn *conn);

/* Send the BEGIN of the lease @begin with a Sync, ahead of a COPY. NULL: none
 * is needed. */
bool send_opening(struct conn *conn, const struct mews_lease *begin);

/* Flush. Returns 0: all is gone; 1: the socket is full; -1: the connection
 * broke. */
int send_flush(struct conn *conn);

/* @query is on the ring of @conn. */
static inline void
send_count(struct conn *conn, struct query *query)
{
	conn->in_flight++;
	conn->on->sent++;
	query->state = QUERY_SENT;
	query->sent_to = (int8_t)conn->endpoint;
	query->sent_us = conn_now(conn);
}

#endif
