/*
 * script.c - the door of texts with several statements.
 */
#include "api/borrow.h"
#include "wire/copy.h"
#include "wire/prepared.h"
#include "pool/group.h"

enum mews_status
mews_lease_script(struct mews_lease *lease, const char *sql,
    mews_query_fn *on_result, mews_query_fn *on_end, void *arg,
    mews_query_id *id)
{
	const struct mews_query_args	args = { .sql = sql };
	enum mews_status		status = borrow_usable(lease);
	struct refusal		       *why;
	struct query		       *query;
	bool				begins;

	if (status != MEWS_OK)
		return status;
	why = &lease->group->why;
	if (on_end == NULL)
		return refuse(why, MEWS_INVALID, "a script needs a callback");
	status = borrow_query(&query, lease, QUERY_COPY, &args, on_end, arg);
	if (status != MEWS_OK)
		return status;
	begins = lease_begins(lease);
	status = copy_script(lease->conn, query, begins, on_result);
	if (status != MEWS_OK) {
		query_drop(query);
		return status == MEWS_NOMEM ?
		    refuse(why, status, "out of memory") :
		    refuse(why, status, "the lease's connection to %s broke",
			lease_endpoint(lease));
	}
	borrow_sent(lease, query, begins, id);
	/* Any statement of the script may change the session or its
	 * transaction. */
	lease->dirty = true;
	lease->by_hand = LEASE_HAND_SENT;
	query->inside = false;
	prepared_doubt(lease->conn);
	return MEWS_OK;
}
