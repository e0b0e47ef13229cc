/*
 * siblings.c - connections to the same endpoint as a lost or stalled one:
 * whether they are dead, too, and whether the server hangs.
 *
 * pool/ending.c ends a lost connection.
 */
#include "wire/siblings.h"

#include "wire/copy.h"
#include "fleet/endpoint.h"
#include "wire/receive.h"
#include "wire/ring.h"

#include <sys/socket.h>

/* Read all siblings: what the server sent last comes before their end. */
void
siblings_hear(const struct conn *lost)
{
	struct conn	*conn;
	char		 byte;

	TAILQ_FOREACH (conn, &lost->wire->conns[lost->endpoint], sibling_link)
		for (int i = 0; i < 2 && conn_is_up(conn) &&
		    recv(conn->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) >= 0;
		    i++)
			receive_input(conn);
}

/* Is the answer to the head too large, as its twin's was? */
static bool
is_outgrown(const struct conn *conn)
{
	const struct expect *head = ring_at(conn, conn->head);

	return head->kind == EXPECT_QUERY && head->query->state ==
	    QUERY_ANSWERED && head->query->outgrown;
}

/* Report a stall if every connection that has work waits too long, and nothing
 * came over any other. */
void
siblings_scan_stall(struct wire *wire, uint32_t endpoint, int64_t now_us)
{
	const struct known *known = &wire->known[endpoint];
	int64_t		    limit = 0;
	unsigned	    epoch;
	bool		    news = false;
	struct conn	   *conn;

	/* Connections of an earlier epoch tell nothing about the present
	 * server. */
	epoch = endpoint_health(wire->fleet, endpoint).epoch;
	TAILQ_FOREACH (conn, &wire->conns[endpoint], sibling_link) {
		if (!conn_is_up(conn) || conn->head == conn->tail ||
		    conn->epoch != epoch || is_outgrown(conn))
			continue;
		if (copy_waits_for_host(conn))
			return;
		if (!conn_is_stalled(conn, now_us)) {
			conn_due(conn, conn_stalls_at(conn) + 1000);
			return;
		}
		limit = known_stall_us(known, conn->terms->config);
		/* Bytes wait in the socket: this process was slow, not the
		 * server. */
		if (!conn->stall_said && conn_has_bytes(conn))
			return;
		news = news || !conn->stall_said;
	}
	if (!news)
		return;
	if (now_us - known->heard_us <= limit) {
		loop_due(wire->loop, known->heard_us + limit + 1000);
		return;
	}
	TAILQ_FOREACH (conn, &wire->conns[endpoint], sibling_link)
		if (conn->head != conn->tail)
			conn->stall_said = true;
	endpoint_report(wire->fleet, endpoint, HEALTH_STALL, epoch);
}
