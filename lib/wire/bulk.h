/*
 * bulk.h - answers and parameters that take much memory.
 *
 * libpq keeps an answer until it is whole. One that grows beyond the group's
 * max_result_size, or beyond the memory there is, ends its connection, for
 * what is on its way cannot be skipped. That is no fault of the server: it is
 * not suspected, the query is not sent again, and what shared the connection
 * is a bystander, see resend.h.
 */
#ifndef LIB_WIRE_BULK_H
#define LIB_WIRE_BULK_H

#include "wire/conn.h"
#include "base/memory.h"
#include "query/query.h"

#define BULK_READS 4		  /* of the socket, between two measures */
#define BULK_LOOK  (1024 * 1024)  /* bytes; what takes less is not bulk */
#define BULK_READ  16384	  /* bytes in one, where the kernel does not
				     count them */
#define BULK_PARAMS 65536	  /* our copy of less is kept */
#define BULK_BYTES  MEMORY_LARGE  /* libpq's buffers are not kept above */

#define BULK_NO_ROOM "out of memory: the query's parameters are needed twice"

/* End @query, by its callback, if it does not fit. False: it does. */
bool bulk_refuses(struct query *query);

/* The answer to the head of @conn is too large: @why. */
void bulk_break(struct conn *conn, const char *why);

/* How large is the answer to the head of @conn by now? */
void bulk_measure(struct conn *conn);

/* Bytes come in: measure an answer that takes many of them. */
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

/* May an answer be large that was completed just now? One that came with its
 * first bytes is not, unless libpq has a large buffer from an earlier one. */
static inline bool
bulk_may_be(const struct conn *conn)
{
	return conn->reads > 0 || conn->widened;
}

/* A whole answer of more than BULK_LOOK: remember to give its memory back;
 * above max_result_size an error stands in its place. */
PGresult *bulk_take(struct conn *conn, PGresult *answer);

/* The answer of bulk_take() was told: free its memory in the next tick. */
void bulk_taken(struct conn *conn);

/* libpq has the parameters of @query: of ours, free what cannot be sent again,
 * and the connection's buffer once the query is done. */
void bulk_sent(struct conn *conn, struct query *query);

bool bulk_fits_now(const struct query *query);

/* Is there memory for libpq's copy of the parameters of @query? Asked before
 * anything is sent: libpq would find out in the middle of a message. */
static inline bool
bulk_fits(const struct query *query)
{
	return query->outside <= BULK_BYTES || bulk_fits_now(query);
}

#endif
