/*
 * stream.c - rows one by one, in libpq's single-row mode inside the pipeline,
 * which receive.c turns on.
 */
#include "wire/stream.h"

#include "fleet/endpoint.h"
#include "wire/lease.h"
#include "wire/ring.h"

bool
stream_flow(struct conn *conn, enum mews_flow flow)
{
	struct mews_lease	*lease = conn->lease;

	if (flow == MEWS_FLOW_PAUSE && lease != NULL && !conn_is_broken(conn)) {
		lease->active_us = conn_now(conn);
		conn_pause(conn, CONN_PAUSE_HOST, true);
	}
	return flow == MEWS_FLOW_STOP;
}

void
stream_row(struct conn *conn, PGresult *row)
{
	struct mews_fleet	*fleet = conn->wire->fleet;
	struct query		*query = ring_at(conn, conn->head)->query;

	conn->head_since_us = conn_now(conn);
	if (query->on_row != NULL && query->fn.query != NULL &&
	    !query->canceled && !query->stopped) {
		query->told = (struct mews_result) {
			.magic = RESULT_MAGIC,
			.pg = row,
			.endpoint = endpoint_name(fleet, conn->endpoint),
		};
		query->stopped = stream_flow(conn,
		    query->on_row(query->arg, &query->told));
		result_close(&query->told);
	}
	PQclear(row);
}

void
stream_abandon(struct conn *conn)
{
	for (uint32_t i = conn->head; i != conn->tail; i++) {
		const struct expect *e = ring_at(conn, i);

		if (e->kind == EXPECT_QUERY && (e->query->on_row != NULL ||
			e->query->kind == QUERY_COPY) &&
		    !e->query->canceled && e->query->fn.query != NULL)
			query_cancel(e->query);
	}
	conn_break(conn, HEALTH_NOTHING,
	    "its lease ended in the middle of a stream");
}
