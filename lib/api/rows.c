/*
 * rows.c - the doors of streams: rows of a lease one by one.
 */
#include "api/borrow.h"
#include "wire/stream.h"
#include "pool/group.h"

enum mews_status
mews_lease_rows(struct mews_lease *lease, const struct mews_query_args *args,
    mews_row_fn *on_row, mews_query_fn *on_end, void *arg, mews_query_id *id)
{
	enum mews_status	status = borrow_usable(lease);
	struct mews_group      *group = lease->group;
	struct query	       *query;

	if (status != MEWS_OK)
		return status;
	if (on_row == NULL || on_end == NULL)
		return refuse(&group->why, MEWS_INVALID,
		    "a stream of rows needs two callbacks");
	status = borrow_query(&query, lease, QUERY_ON_LEASE, args, on_end,
	    arg);
	if (status != MEWS_OK)
		return status;
	query->on_row = on_row;
	query->odd = true;
	return borrow_submit(lease, query, id);
}

enum mews_status
mews_lease_pause(struct mews_lease *lease)
{
	enum mews_status	status = borrow_alive(lease);

	if (status != MEWS_OK)
		return status;
	if (lease->conn->streams == 0)
		return refuse(&lease->group->why, MEWS_INVALID,
		    "no stream is in flight on the lease");
	stream_flow(lease->conn, MEWS_FLOW_PAUSE);
	return MEWS_OK;
}

enum mews_status
mews_lease_resume(struct mews_lease *lease)
{
	enum mews_status	status = borrow_alive(lease);

	if (status == MEWS_OK && lease->conn->paused)
		conn_pause(lease->conn, CONN_PAUSE_HOST, false);
	return status;
}
