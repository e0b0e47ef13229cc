/*
 * send.h - what is sent over a connection: the pipeline.
 *
 * A query that is put into the pipeline leaves in the next tick.
 */
#ifndef LIB_WIRE_SEND_H
#define LIB_WIRE_SEND_H

#include "wire/conn.h"
#include "query/query.h"

/*
 * Put a query into the pipeline, to be flushed in this turn's tick, with the
 * BEGIN of its lease ahead of it if @begin. False: the query was not sent and
 * the connection is broken.
 */
bool conn_send(struct conn *conn, struct query *query, bool begin);

/* Send SQL of our own; its failure breaks the connection. */
bool conn_send_session(struct conn *conn, const char *sql);

/* Send a Sync: the server commits there, or skips to there after an error. */
bool conn_sync(struct conn *conn);

/* Undo what a lease left behind, and make the group's settings again. */
bool conn_send_reset(struct conn *conn);

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
