/*
 * flight.h - what travels over a connection: the pipeline and its answers.
 *
 * Private to a connection; the rest of the pool uses conn.h.
 */
#ifndef FLIGHT_H
#define FLIGHT_H

#include "conn.h"

/* The statements that each session begins with, without a Sync. */
bool conn_send_setup(struct conn *conn);

/* Remember why the server ends a session that has nothing in flight. */
void flight_catch_notices(struct conn *conn);

/* Take in what came, and end the queries that it answers. */
void flight_receive(struct conn *conn);

/* A promotion, or default_transaction_read_only, that the server reported on
 * this session. libpq's list of reports is slow to search: not each time. */
void flight_check_role(struct conn *conn);

#define FLIGHT_ROLE_US 10000 /* between two looks, while bytes come */

/* Push out: 0 all is gone, 1 the socket is full, -1 the connection broke. */
int flight_flush(struct conn *conn);

#endif
