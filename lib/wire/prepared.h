/*
 * prepared.h - which statements a connection's server knows, and by which
 * names.
 *
 * A statement that is prepared anew gets a new name, so that the server may or
 * may not know the old one.
 */
#ifndef LIB_WIRE_PREPARED_H
#define LIB_WIRE_PREPARED_H

#include "wire/conn.h"
#include "query/statement.h"

/* "mews_7_2": a statement's number, and how often it was prepared. */
#define PREPARED_NAME 32

#define PREPARED_AGAIN_US 10000000 /* between two such runs, see
				      prepared_take_again() */

struct prepared_mark {
	enum prepared is;
	uint32_t times;	  /* how often it was prepared in this session */
	int64_t again_us; /* when it last ran once more because of old types; or
			     0 */
	uint32_t found;	  /* in the ring, the first query that was in flight
			     when the statement was last found stale; found_end:
			     behind the last */
	uint32_t found_end;
};

static inline enum prepared
prepared_get(const struct conn *conn, const struct mews_statement *statement)
{
	return statement->number < conn->prepared_room ?
	    conn->prepared[statement->number].is : PREPARED_NOT;
}

/* The name by which @statement was prepared last; written to @room, if
 * needed. */
const char *prepared_name_again(const struct conn *conn,
    const struct mews_statement *statement, char room[PREPARED_NAME]);

static inline const char *
prepared_name(const struct conn *conn, const struct mews_statement *statement,
    char room[PREPARED_NAME])
{
	return conn->prepared[statement->number].times == 1 ?
	    statement->on_server : prepared_name_again(conn, statement, room);
}

/* Count that @statement is about to be prepared, by its next name. False: out
 * of memory. */
bool prepared_begin(struct conn *conn, const struct mews_statement *statement);

/* Set the state of a statement after prepared_begin(). */
void prepared_set(struct conn *conn, const struct mews_statement *statement,
    enum prepared to);

/*
 * Set the state of a statement that is stale, as the answer popped last showed.
 * A statement that was prepared anew after that query was sent keeps its state.
 */
void prepared_find(struct conn *conn, const struct mews_statement *statement,
    enum prepared to);

/* Forget all statements, after a DISCARD ALL of our own. */
void prepared_forget(struct conn *conn);

/* Doubt all statements: the host may have removed any. */
void prepared_doubt(struct conn *conn);

/*
 * Does @answer say that @statement never began to run, because the server does
 * not know it any more, or knows it with another result type?
 */
bool prepared_is_refused(const struct mews_statement *statement,
    const PGresult *answer);

/*
 * Does @answer, an error, look as if the server had planned the statement for
 * types that have changed since?
 */
bool prepared_has_old_types(const PGresult *answer);

/*
 * May @statement, whose answer was popped last, run once more because of old
 * types? All that were in flight then may; later ones not for a while.
 */
bool prepared_take_again(struct conn *conn,
    const struct mews_statement *statement);

#endif
