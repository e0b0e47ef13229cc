/*
 * prepared.h - which statements a connection's server knows.
 */
#ifndef PREPARED_H
#define PREPARED_H

#include "conn.h"
#include "statement.h"

static inline enum prepared
prepared_get(const struct conn *conn, const struct mews_statement *statement)
{
	return statement->number < conn->prepared_room ?
	    (enum prepared)conn->prepared[statement->number] : PREPARED_NOT;
}

/* False: out of memory. */
bool prepared_set(struct conn *conn, const struct mews_statement *statement,
    enum prepared to);

/* None of them, after a DISCARD ALL. */
void prepared_forget(struct conn *conn);

#endif
