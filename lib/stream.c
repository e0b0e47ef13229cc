/*
 * stream.c - rows one by one: libpq's single-row mode, inside the pipeline.
 *
 * libpq takes the wish for it when a query has become current and nothing of
 * its answer was looked at: after the end of the answer before it, and before
 * PQisBusy(), which looks.
 */
#include "stream.h"

#include "copy.h"
#include "endpoint.h"
#include "lease.h"
#include "ring.h"

bool
stream_head(struct conn *conn)
{
	struct query	*query;

	if (conn->paused)
		return false;
	if (conn->head == conn->tail ||
	    ring_at(conn, conn->head)->kind != EXPECT_QUERY)
		return true;
	query = ring_at(conn, conn->head)->query;
	if (query->kind == QUERY_COPY)
		return copy_turn(conn);
	if (query->on_row != NULL && !query->streaming)
		query->streaming = PQsetSingleRowMode(conn->pg) == 1;
	return true;
}

bool
stream_flow(struct conn *conn, enum mews_flow flow)
{
	struct mews_lease	*lease = conn->lease;

	if (flow == MEWS_FLOW_PAUSE && lease != NULL && !conn->broken) {
		lease->active_us = pool_now(conn->group->pool);
		conn_pause(conn, true);
	}
	return flow == MEWS_FLOW_STOP;
}

void
stream_row(struct conn *conn, PGresult *row)
{
	struct mews_fleet	*fleet = conn->group->pool->fleet;
	struct query		*query = ring_at(conn, conn->head)->query;
	struct mews_result	 result = {
		.magic = RESULT_MAGIC,
		.pg = row,
		.endpoint = endpoint_name(fleet, conn->endpoint),
	};

	conn->head_since_us = pool_now(conn->group->pool);
	if (query->fn.query != NULL && !query->canceled && !query->stopped) {
		query->stopped = stream_flow(conn,
		    query->on_row(query->arg, &result));
		result_close(&result);
	}
	PQclear(row);
}

bool
stream_waits(const struct conn *conn)
{
	return conn->paused || (conn->copy != NULL && copy_waits(conn->copy));
}

void
stream_give_up(struct query *query)
{
	struct conn	*conn;

	if (query->lease == NULL || (conn = query->lease->conn) == NULL)
		return;
	if (query->kind == QUERY_COPY)
		copy_give_up(conn);
	if (conn->paused)
		conn_pause(conn, false);
}

void
stream_abandon(struct conn *conn)
{
	for (uint32_t i = conn->head; i != conn->tail; i++) {
		const struct expect *e = ring_at(conn, i);

		if (e->kind == EXPECT_QUERY && (e->query->on_row != NULL ||
			e->query->kind == QUERY_COPY))
			mews_query_cancel(conn->group->pool, e->query->id);
	}
	conn_break(conn, HEALTH_NOTHING,
	    "its lease ended in the middle of a stream");
}

enum mews_status
mews_lease_rows(struct mews_lease *lease, const struct mews_query_args *args,
    mews_row_fn *on_row, mews_query_fn *on_end, void *arg, mews_query_id *id)
{
	enum mews_status	status = lease_usable(lease);
	struct mews_group      *group = lease->group;
	struct query	       *query;

	if (status != MEWS_OK)
		return status;
	if (on_row == NULL || on_end == NULL)
		return group_refuse(group, MEWS_INVALID,
		    "a stream of rows needs two callbacks");
	status = lease_query(&query, lease, QUERY_ON_LEASE, args, on_end,
	    arg);
	if (status != MEWS_OK)
		return status;
	query->on_row = on_row;
	return lease_submit(lease, query, id);
}

enum mews_status
mews_lease_pause(struct mews_lease *lease)
{
	enum mews_status	status = lease_alive(lease);

	if (status != MEWS_OK)
		return status;
	if (lease->conn->streams == 0)
		return group_refuse(lease->group, MEWS_INVALID,
		    "no stream is in flight on the lease");
	stream_flow(lease->conn, MEWS_FLOW_PAUSE);
	return MEWS_OK;
}

enum mews_status
mews_lease_resume(struct mews_lease *lease)
{
	enum mews_status	status = lease_alive(lease);

	if (status == MEWS_OK && lease->conn->paused)
		conn_pause(lease->conn, false);
	return status;
}
