/*
 * ring.h - what the server still has to answer on a connection, in order.
 *
 * Private to wire/: send.c pushes what it sends, receive.c pops what was
 * answered. On the hot path, hence inline.
 */
#ifndef LIB_WIRE_RING_H
#define LIB_WIRE_RING_H

#include "wire/conn.h"

/* Make room for one more entry. False: out of memory. */
bool ring_grow(struct conn *conn);

/* Is the answer to @query still to come over @conn? */
bool ring_expects(const struct conn *conn, const struct query *query);

/* An empty ring gets an entry: the server begins to work, time limits start. */
void ring_begins(struct conn *conn);

static inline struct expect *
ring_at(const struct conn *conn, uint32_t index)
{
	return &conn->ring[index & (conn->ring_size - 1)];
}

static inline bool
ring_push(struct conn *conn, enum expect_kind kind, struct query *query)
{
	uint32_t	count = conn->tail - conn->head;

	if (count == conn->ring_size && !ring_grow(conn))
		return false;
	if (count == 0)
		ring_begins(conn);
	*ring_at(conn, conn->tail++) = (struct expect) { kind, query };
	conn->sessions += kind == EXPECT_SESSION;
	return true;
}

static inline struct expect
ring_pop(struct conn *conn, int64_t now_us)
{
	struct expect	e = *ring_at(conn, conn->head++);

	conn->sessions -= e.kind == EXPECT_SESSION;
	conn->head_since_us = now_us;
	conn->stall_said = false;
	return e;
}

#endif
