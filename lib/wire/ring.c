/*
 * ring.c - growing the ring, and starting time limits when it fills.
 */
#include "wire/ring.h"

#include <stdlib.h>

#define RING_FIRST 64

bool
ring_grow(struct conn *conn)
{
	uint32_t	count = conn->tail - conn->head;
	uint32_t	size = count == 0 ? RING_FIRST : count * 2;
	struct expect  *ring = calloc(size, sizeof(*ring));

	if (ring == NULL)
		return false;
	for (uint32_t i = 0; i < count; i++)
		ring[i] = *ring_at(conn, conn->head + i);
	free(conn->ring);
	conn->ring = ring;
	conn->ring_size = size;
	conn->head = 0;
	conn->tail = count;
	return true;
}

bool
ring_expects(const struct conn *conn, const struct query *query)
{
	for (uint32_t i = conn->head; i != conn->tail; i++)
		if (ring_at(conn, i)->kind == EXPECT_QUERY &&
		    ring_at(conn, i)->query == query)
			return true;
	return false;
}

void
ring_begins(struct conn *conn)
{
	const struct mews_group_config *config = conn->terms->config;

	conn->head_since_us = conn_now(conn);
	conn_due(conn, conn_stalls_at(conn));
	if (config->hedge_after != 0)
		conn_due(conn, conn->head_since_us +
		    known_hedge_us(conn->known, config));
}
