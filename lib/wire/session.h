/*
 * session.h - a connection's login and setup, and its descriptor's events.
 */
#ifndef LIB_WIRE_SESSION_H
#define LIB_WIRE_SESSION_H

#include "wire/conn.h"

#define SESSION_SLOW_US 100000 /* a login that takes longer: try another
				  endpoint as well */

/* Begin a login to @endpoint on @terms, if the fleet's budget allows it;
 * returns the budget's answer. */
enum budget session_dial(struct terms *terms, uint32_t endpoint);

/* Something happened on the descriptor of @conn. */
void session_ready(struct conn *conn, int events);

/* Push out what was sent over @conn in this turn. */
void session_flush(struct conn *conn);

#endif
