/*
 * transfer.c - the doors of COPY, to and from the host.
 */
#include "api/borrow.h"
#include "wire/copy.h"
#include "pool/group.h"

/* Is @sql one statement? The simple protocol would run all of a text. */
static bool
is_single(const struct mews_lease *lease, const char *sql)
{
	const char *setting = PQparameterStatus(lease->conn->pg,
	    "standard_conforming_strings");
	bool	standard = setting == NULL || strcmp(setting, "on") == 0;

	/* A query in flight may change the setting. */
	return sql_is_single(sql, standard) &&
	    (lease->in_flight == 0 || sql_is_single(sql, !standard));
}

/* One of @on_data and @on_room. */
static enum mews_status
begin_transfer(struct mews_lease *lease, const char *sql,
    mews_copy_data_fn *on_data,
    mews_copy_room_fn *on_room, mews_query_fn *on_end, void *arg,
    mews_query_id *id)
{
	const struct mews_query_args	args = { .sql = sql };
	struct mews_group	       *group = lease_checked(lease)->group;
	struct query		       *query;
	enum mews_status		status;
	bool				begins;

	if (sql == NULL ||
	    sql_copies(sql) != (on_data != NULL ? SQL_COPY_OUT : SQL_COPY_IN))
		return refuse(&group->why, MEWS_INVALID, on_data != NULL ?
		    "mews_copy_out() needs COPY ... TO STDOUT" :
		    "mews_copy_in() needs COPY ... FROM STDIN");
	if (!is_single(lease, sql))
		return refuse(&group->why, MEWS_INVALID,
		    "a COPY is one statement, with nothing behind it");
	status = borrow_query(&query, lease, QUERY_COPY, &args, on_end, arg);
	if (status != MEWS_OK)
		return status;
	begins = lease_begins(lease);
	status = copy_begin(lease->conn, query, begins, on_data, on_room);
	if (status != MEWS_OK) {
		query_drop(query);
		return status == MEWS_NOMEM ?
		    refuse(&group->why, status, "out of memory") :
		    refuse(&group->why, status,
			"the lease's connection to %s broke",
			lease_endpoint(lease));
	}
	borrow_sent(lease, query, begins, id);
	return MEWS_OK;
}

enum mews_status
mews_copy_out(struct mews_lease *lease, const char *sql,
    mews_copy_data_fn *on_data, mews_query_fn *on_end, void *arg,
    mews_query_id *id)
{
	enum mews_status	status = borrow_usable(lease);

	if (status != MEWS_OK)
		return status;
	if (on_data == NULL || on_end == NULL)
		return refuse(&lease->group->why, MEWS_INVALID,
		    "a COPY needs two callbacks");
	return begin_transfer(lease, sql, on_data, NULL, on_end, arg, id);
}

enum mews_status
mews_copy_in(struct mews_lease *lease, const char *sql,
    mews_copy_room_fn *on_room, mews_query_fn *on_end, void *arg,
    mews_query_id *id)
{
	enum mews_status	status = borrow_usable(lease);

	if (status != MEWS_OK)
		return status;
	if (on_room == NULL || on_end == NULL)
		return refuse(&lease->group->why, MEWS_INVALID,
		    "a COPY needs two callbacks");
	return begin_transfer(lease, sql, NULL, on_room, on_end, arg, id);
}

/* Does a COPY of @lease take data? MEWS_OK, or why not. */
static enum mews_status
find_open(struct mews_lease *lease)
{
	enum mews_status	status = borrow_alive(lease);

	if (status == MEWS_OK && !copy_is_open(lease->conn->copy))
		return refuse(&lease->group->why, MEWS_INVALID,
		    "no COPY FROM STDIN is open on the lease");
	return status;
}

enum mews_status
mews_copy_put(struct mews_lease *lease, const void *data, size_t length)
{
	enum mews_status	status = find_open(lease);
	struct refusal	       *why;

	if (status != MEWS_OK)
		return status;
	why = &lease->group->why;
	if (data == NULL && length > 0)
		return refuse(why, MEWS_INVALID,
		    "a piece of a COPY that has bytes needs a pointer to "
		    "them");
	if (length > MEWS_COPY_PIECE_MAX)
		return refuse(why, MEWS_INVALID,
		    "a piece of a COPY has 64 megabytes at most");
	if (!copy_has_room(lease->conn->copy))
		return refuse(why, MEWS_OVERLOAD,
		    "no room for data of the COPY now: on_room will run");
	switch (status = copy_put(lease->conn, data, length)) {
	case MEWS_NOMEM:
		return refuse(why, MEWS_OVERLOAD,
		    "no memory for data of the COPY now: on_room will run");
	case MEWS_UNAVAILABLE:
		return refuse(why, status, "the lease's connection to %s "
		    "broke", lease_endpoint(lease));
	default:
		return status;
	}
}

enum mews_status
mews_copy_end(struct mews_lease *lease, const char *abort)
{
	enum mews_status	status = find_open(lease);

	if (status == MEWS_OK)
		copy_end(lease->conn, abort);
	return status;
}
