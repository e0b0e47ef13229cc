/*
 * answer.h - what the answers of a connection mean.
 *
 * Private to wire/; other rooms use conn.h.
 */
#ifndef LIB_WIRE_ANSWER_H
#define LIB_WIRE_ANSWER_H

#include "wire/conn.h"

/* Remember why the server ends a session that has nothing in flight. */
void answer_catch_notices(struct conn *conn);

/* Figures that are learned and counted in one turn of taking in answers. */
struct answer_turn {
	int64_t now_us;
	uint32_t answers; /* to queries whose time does not depend on the
			     host */
	int64_t waited_us; /* for the first of these */
	/* Of answers in a row, to one statement or to none, that were asked for
	 * in one turn: what answer_count() is to put into the figures. */
	uint32_t run;
	int64_t sent_us; /* -1: none, at first */
	const struct mews_statement *statement;
	uint64_t rows;
};

/* Take a part of an answer, a Sync, or an answer out of step. */
void answer_take(struct conn *conn, PGresult *answer, ExecStatusType status,
    int64_t now_us);

/* Take the whole answer to one of our own commands (PREPARE, BEGIN, setup). */
void answer_own(struct conn *conn, struct expect e, PGresult *answer);

/* Take the whole answer to @query, which was the head. The server began with it
 * at @since_us. */
void answer_query(struct conn *conn, struct query *query, PGresult *answer,
    ExecStatusType status, int64_t since_us, struct answer_turn *turn);

/* Put the last run of a turn into the figures. */
void answer_count(const struct conn *conn, struct answer_turn *turn);

/* Did the server, or libpq, end the session with @answer? Then break @conn. */
bool answer_break_if_last(struct conn *conn, const PGresult *answer);

/* End @query with @answer, which is freed. */
void answer_tell(struct conn *conn, struct query *query, PGresult *answer);

/* Look for a promotion, or default_transaction_read_only, that the server
 * reported on this session. Not to be called for each answer: libpq's list of
 * reports is slow to search. */
void answer_check_role(struct conn *conn);

#define ANSWER_NO_MEMORY "an answer is larger than the memory there is"
#define ANSWER_ROLE_US 10000 /* between two looks, while bytes come */

#endif
