/*
 * interrupt.h - have the server cancel a query that runs.
 *
 * Another session calls pg_cancel_backend(): libpq's own way blocks. The server
 * cancels whatever the session runs by then, so the query must be the last one:
 * its connection gets no new work, and is closed after it. A lease's connection
 * is kept, and not read while the server is asked, so that what follows the
 * query waits for the end of both.
 */
#ifndef LIB_WIRE_INTERRUPT_H
#define LIB_WIRE_INTERRUPT_H

#include "wire/conn.h"

struct interrupt;

/* End interrupts that took too long; sets loop_due(). */
void interrupt_scan(struct wire *wire, int64_t now_us);

/* Is the server being asked to cancel @query, of a lease? Then its callback
 * waits: what the lease sends before the answer could be canceled instead. */
bool interrupt_holds(const struct wire *wire, const struct query *query);

/* Ask the server to cancel @query, which was sent. MEWS_INVALID: no connection
 * runs it, or another query could be canceled instead. MEWS_UNAVAILABLE: no
 * room for one more session. */
enum mews_status interrupt_begin(struct wire *wire, const struct query *query);

/* @conn ends, and its queries with it: nothing is left to cancel there. */
void interrupt_forget(struct wire *wire, const struct conn *conn);

/* Stop all interrupts: the pool is closed. */
void interrupt_stop_all(struct wire *wire);

#endif
