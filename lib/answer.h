/*
 * answer.h - what came back over a connection.
 *
 * Private to a connection; the rest of the pool uses conn.h.
 */
#ifndef ANSWER_H
#define ANSWER_H

#include "conn.h"

/* Remember why the server ends a session that has nothing in flight. */
void answer_catch_notices(struct conn *conn);

/* Take in what came, and end the queries that it answers. */
void answer_receive(struct conn *conn);

/* The same with what libpq has already, after a pause. */
void answer_go_on(struct conn *conn);

/* Did the server, or libpq, end the session with it? Then @conn is broken. */
bool answer_is_last(struct conn *conn, const PGresult *answer);

/* Tell the asker, and free the answer. */
void answer_tell(struct conn *conn, struct query *query, PGresult *answer);

/* A promotion, or default_transaction_read_only, that the server reported on
 * this session. libpq's list of reports is slow to search: not each time. */
void answer_check_role(struct conn *conn);

#define ANSWER_ROLE_US 10000 /* between two looks, while bytes come */

#endif
