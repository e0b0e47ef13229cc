/*
 * interrupt.h - have the server cancel a query that runs.
 *
 * Another session asks for it with pg_cancel_backend(): libpq's own way blocks.
 * The server cancels whatever runs on the session by then, so only a query is
 * interrupted that nobody else's can take the place of: its connection gets no
 * other work from then on, and is closed behind it, but for a lease's. That
 * one is not read while the server is asked, so that whatever is behind the
 * query waits for the end of both.
 */
#ifndef LIB_WIRE_INTERRUPT_H
#define LIB_WIRE_INTERRUPT_H

#include "wire/conn.h"

struct interrupt;

/* End those that took too long; what is due sets loop_due(). */
void interrupt_scan(struct wire *wire, int64_t now_us);

/* Is the server being asked to cancel @query, of a lease? Whatever its lease
 * sends before the answer could be hit instead: nobody is told of its end
 * meanwhile. */
bool interrupt_holds(const struct wire *wire, const struct query *query);

/* Have the server cancel the query @id, which runs on @conn. INVALID: others
 * would be hit as well. */
enum mews_status interrupt_begin(struct conn *conn, mews_query_id id);

/* @conn ends: no query is left on it to be interrupted. */
void interrupt_forget(struct wire *wire, const struct conn *conn);

/* All of them: the pool is closed. */
void interrupt_stop_all(struct wire *wire);

#endif
