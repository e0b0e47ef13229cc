/*
 * receive.h - what came over a connection. Private to a connection.
 */
#ifndef LIB_WIRE_RECEIVE_H
#define LIB_WIRE_RECEIVE_H

#include "wire/conn.h"

/* Take in what came, and end the queries that it answers. */
void receive_input(struct conn *conn);

/* As receive_input(), with what libpq has already, after a pause. */
void receive_rest(struct conn *conn);

/* Take in what came of itself: a message, or the end. False: it broke. */
bool receive_look(struct conn *conn);

/* Still there? A look without a round trip, for one that was idle; the clock
 * is read anew whenever the host did something else. */
static inline bool
receive_check(struct conn *conn)
{
	if (conn->head != conn->tail ||
	    conn->heard_us == conn_now(conn))
		return !conn_is_broken(conn);
	return receive_look(conn);
}

/* READY, or seen to be so now: what a lease left behind is undone? */
static inline bool
receive_check_ready(struct conn *conn)
{
	if (conn->state == CONN_RESETTING && conn->in_flight == 0 &&
	    conn->heard_us != conn_now(conn))
		receive_look(conn);
	return conn->state == CONN_READY;
}

#endif
