/*
 * answer.h - what the answers that came over a connection mean.
 *
 * Private to a connection; the rest of the pool uses conn.h.
 */
#ifndef LIB_WIRE_ANSWER_H
#define LIB_WIRE_ANSWER_H

#include "wire/conn.h"

/* Remember why the server ends a session that has nothing in flight. */
void answer_catch_notices(struct conn *conn);

/* Figures of what is taken in at once. */
struct answer_turn {
	int64_t now_us;
	uint32_t answers; /* to queries that the host has no part in */
	int64_t waited_us; /* for the first of them */
};

/* A part of an answer, a Sync, or an answer out of step. */
void answer_take(struct conn *conn, PGresult *answer, ExecStatusType status,
    int64_t now_us);

/* The whole answer to one of our own commands (PREPARE, BEGIN, setup). */
void answer_own(struct conn *conn, struct expect e, PGresult *answer);

/* The head was @query, and its answer is whole. The server began with it at
 * @since_us. */
void answer_query(struct conn *conn, struct query *query, PGresult *answer,
    ExecStatusType status, int64_t since_us, struct answer_turn *turn);

/* Did the server, or libpq, end the session with it? Then @conn is broken. */
bool answer_is_last(struct conn *conn, const PGresult *answer);

/* Tell the asker, and free the answer. */
void answer_tell(struct conn *conn, struct query *query, PGresult *answer);

/* A promotion, or default_transaction_read_only, that the server reported on
 * this session. libpq's list of reports is slow to search: not each time. */
void answer_check_role(struct conn *conn);

#define ANSWER_NO_MEMORY "an answer is larger than the memory there is"
#define ANSWER_ROLE_US 10000 /* between two looks, while bytes come */

#endif
