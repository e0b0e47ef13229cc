/*
 * receive.h - taking in what came over a connection. Private to wire/.
 */
#ifndef LIB_WIRE_RECEIVE_H
#define LIB_WIRE_RECEIVE_H

#include "wire/conn.h"

/* Take in what came, and end the queries that it answers. */
void receive_input(struct conn *conn);

/* As receive_input(), with what libpq has already, after a pause. */
void receive_rest(struct conn *conn);

/* Take in what came unasked: a message, or the end. False: @conn broke. */
bool receive_look(struct conn *conn);

/* Look at the socket of an idle connection, without a round trip, once after
 * each time that the host was away. False: @conn broke. */
static inline bool
receive_confirm(struct conn *conn)
{
	if (conn->head != conn->tail ||
	    conn->heard_us == conn_now(conn))
		return !conn_is_broken(conn);
	return receive_look(conn);
}

/* Look at the answers to a reset, once in a turn. True: @conn is READY. */
static inline bool
receive_settle(struct conn *conn)
{
	if (conn->state == CONN_RESETTING && conn->in_flight == 0 &&
	    conn->heard_us != conn_now(conn))
		receive_look(conn);
	return conn->state == CONN_READY;
}

#endif
