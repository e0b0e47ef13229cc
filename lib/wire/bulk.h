/*
 * bulk.h - answers and parameters that take much memory.
 *
 * libpq keeps an answer until it is whole. An answer that grows beyond the
 * group's max_result_size, or beyond the memory there is, ends its connection,
 * as the rest of it cannot be skipped. The server is not at fault: it is not
 * suspected, the query is not sent again, and other queries on the connection
 * are bystanders, see pool/resend.h.
 */
#ifndef LIB_WIRE_BULK_H
#define LIB_WIRE_BULK_H

#include "wire/conn.h"
#include "base/memory.h"
#include "query/query.h"

#define BULK_READS 4		  /* of the socket, between two measures */
#define BULK_LOOK  (1024 * 1024)  /* bytes; less is not bulk */
#define BULK_READ  16384	  /* bytes in one read, as an estimate */
#define BULK_PARAMS 65536	  /* bytes; a smaller copy of ours is kept */
#define BULK_BYTES  MEMORY_LARGE  /* libpq's larger buffers are not kept */

#define BULK_NO_ROOM "out of memory: the query's parameters are needed twice"

/* End @query and return true, if there is no memory to send it. */
bool bulk_end_unfit(struct query *query);

/* Break @conn, because the answer to its head is too large: @why. */
void bulk_break(struct conn *conn, const char *why);

/* Measure the answer to the head of @conn so far; break @conn if it is too
 * large. */
void bulk_measure(struct conn *conn);

/* Bytes come in: measure an answer that takes many reads. */
static inline void
bulk_count(struct conn *conn)
{
	if (conn->head != conn->bulk_head) {
		conn->bulk_head = conn->head;
		conn->reads = 0;
	} else if (++conn->reads % BULK_READS == 1) {
		bulk_measure(conn);
	}
}

/* May the answer just completed be large? Not if it came with its first bytes,
 * unless libpq has a large buffer from an earlier answer. */
static inline bool
bulk_may_be(const struct conn *conn)
{
	return conn->reads > 0 || conn->widened;
}

/* Take a whole answer that may be large: remember to give its memory back.
 * Returns @answer, or an error in its place if it is larger than
 * max_result_size. */
PGresult *bulk_take(struct conn *conn, PGresult *answer);

/* The answer of bulk_take() was used: give its memory back in the next tick. */
void bulk_taken(struct conn *conn);

/* libpq has copied the parameters of @query: free our copy if it need not be
 * sent again, and mark libpq's buffer to be freed after the query. */
void bulk_sent(struct conn *conn, struct query *query);

bool bulk_fits_now(const struct query *query);

/* Is there memory for libpq's copy of the parameters of @query? To be asked
 * before anything is sent: libpq would fail in the middle of a message. */
static inline bool
bulk_fits(const struct query *query)
{
	return query->outside <= BULK_BYTES || bulk_fits_now(query);
}

#endif
