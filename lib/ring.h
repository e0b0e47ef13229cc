/*
 * ring.h - what the server still has to answer on a connection, in order.
 *
 * Private to a connection: flight.c and its likes push what they send and
 * pop what was answered. On the hot path, hence inline.
 */
#ifndef RING_H
#define RING_H

#include "conn.h"
#include "hedge.h"

/* Make room for one more. False: out of memory. */
bool ring_grow(struct conn *conn);

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
	if (count == 0) {
		struct mews_pool *pool = conn->group->pool;

		conn->head_since_us = pool_now(pool);
		pool_due(pool, conn->head_since_us +
		    group_stall_us(conn->group,
			&pool->endpoints[conn->endpoint]));
		if (conn->group->config->hedge_after != 0)
			pool_due(pool, conn->head_since_us +
			    hedge_after_us(conn->group, conn->endpoint));
	}
	*ring_at(conn, conn->tail++) = (struct expect) { kind, query };
	conn->sessions += kind == EXPECT_SESSION;
	return true;
}

static inline struct expect
ring_pop(struct conn *conn)
{
	struct expect	e = *ring_at(conn, conn->head++);

	conn->sessions -= e.kind == EXPECT_SESSION;
	conn->head_since_us = pool_now(conn->group->pool);
	conn->stall_said = false;
	return e;
}

#endif
