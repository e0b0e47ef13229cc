/*
 * prepared.h - which statements a connection's server knows, and by which
 * names.
 *
 * A statement that is prepared anew has a new name: whether the server still
 * knows the old one need not be known.
 */
#ifndef LIB_WIRE_PREPARED_H
#define LIB_WIRE_PREPARED_H

#include "wire/conn.h"
#include "query/statement.h"

/* "mews_7_2": a statement's number, and how often it was prepared. */
#define PREPARED_NAME 32

#define PREPARED_AGAIN_US 10000000 /* between two runs because of old types */

struct prepared_mark {
	enum prepared is;
	uint32_t times;	  /* prepared in this session */
	int64_t again_us; /* last run once more because of old types; or 0 */
	uint32_t found;	  /* begin in the ring of what was in flight when the
			     statement was last found stale */
	uint32_t found_end;
};

static inline enum prepared
prepared_get(const struct conn *conn, const struct mews_statement *statement)
{
	return statement->number < conn->prepared_room ?
	    conn->prepared[statement->number].is : PREPARED_NOT;
}

/* The name by which @statement was prepared last; @room: for it, if needed. */
const char *prepared_name_again(const struct conn *conn,
    const struct mews_statement *statement, char room[PREPARED_NAME]);

static inline const char *
prepared_name(const struct conn *conn, const struct mews_statement *statement,
    char room[PREPARED_NAME])
{
	return conn->prepared[statement->number].times == 1 ?
	    statement->on_server : prepared_name_again(conn, statement, room);
}

/* @statement is about to be prepared, by its next name. False: no memory. */
bool prepared_begin(struct conn *conn, const struct mews_statement *statement);

/* Set the state of a statement that was begun. */
void prepared_set(struct conn *conn, const struct mews_statement *statement,
    enum prepared to);

/*
 * Set the state of a statement that the answer popped last says is no more
 * what it was. One that was begun anew since that was sent keeps its state.
 */
void prepared_find(struct conn *conn, const struct mews_statement *statement,
    enum prepared to);

/* Forget all statements, after a DISCARD ALL of our own. */
void prepared_forget(struct conn *conn);

/* The host may have removed any of them. */
void prepared_doubt(struct conn *conn);

/*
 * Does @answer say that @statement never began to run, since the server does
 * not know it any more, or not with this result?
 */
bool prepared_is_refused(const struct mews_statement *statement,
    const PGresult *answer);

/*
 * Does @answer, an error of @statement, look as if the server had planned it
 * for types that are no more what they were?
 */
bool prepared_has_old_types(const PGresult *answer);

/*
 * May @statement, whose answer was popped last, run once more because of that?
 * Whatever was in flight with it may; later ones not for a while.
 */
bool prepared_take_again(struct conn *conn,
    const struct mews_statement *statement);

#endif
