/*
 * blocking.c - the calls that wait: each starts what its asynchronous twin
 * does, and turns the loop until that ended.
 */
#include "group.h"
#include "lease.h"
#include "pool.h"

#include <mews/stream.h>
#include <mews/transaction.h>

struct waiter {
	struct mews_group *group; /* of a lease */
	bool done;
	enum mews_status status;
	struct mews_result *result; /* NULL: no memory for it */
	struct mews_lease *lease;
};

static void
query_done(void *arg, const struct mews_result *result)
{
	struct waiter	*waiter = arg;

	/* It is on our own stack: its PGresult can be taken. */
	waiter->status = result->status;
	waiter->result = result_keep((struct mews_result *)(uintptr_t)result);
	waiter->done = true;
}

static void
lease_done(void *arg, struct mews_lease *lease,
    const struct mews_result *result)
{
	struct waiter	*waiter = arg;

	waiter->status = result->status;
	if (result->status != MEWS_OK)
		waiter->status = group_refuse(waiter->group, result->status,
		    "%s", mews_result_message(result));
	waiter->lease = lease;
	waiter->done = true;
}

/* Blocking inside a callback would wait for itself. */
static enum mews_status
may_block(struct mews_group *group)
{
	if (group_pool(group)->depth == 0)
		return MEWS_OK;
	return group_refuse(group, MEWS_INVALID, "a blocking call inside a "
	    "callback of the pool: use the asynchronous one");
}

/* Wait, and hand over what came. */
static enum mews_status
wait_result(struct mews_pool *pool, struct waiter *waiter,
    struct mews_result **out)
{
	pool_wait(pool, &waiter->done);
	*out = waiter->result;
	return waiter->result == NULL ? MEWS_NOMEM : waiter->status;
}

enum mews_status
mews_query_run(struct mews_group *group, const struct mews_query_args *args,
    struct mews_result **out)
{
	struct waiter		waiter = { 0 };
	enum mews_status	status;

	*out = NULL;
	if ((status = may_block(group)) == MEWS_OK)
		status = mews_query_send(group, args, query_done, &waiter,
		    NULL);
	if (status != MEWS_OK)
		return status;
	return wait_result(group->pool, &waiter, out);
}

enum mews_status
mews_lease_wait(struct mews_group *group, uint32_t timeout_ms,
    struct mews_lease **out)
{
	struct waiter		waiter = { .group = group };
	enum mews_status	status;

	*out = NULL;
	if ((status = may_block(group)) == MEWS_OK) {
		/* The common case: one is free, and nobody waits. */
		if ((*out = mews_lease_try(group)) != NULL)
			return MEWS_OK;
		status = mews_lease_begin(group, timeout_ms, lease_done,
		    &waiter, NULL);
	}
	if (status != MEWS_OK)
		return status;
	pool_wait(group->pool, &waiter.done);
	*out = waiter.lease;
	return waiter.status;
}

/* May it wait on @lease? */
static enum mews_status
lease_may_block(struct mews_lease *lease, struct mews_result **out)
{
	*out = NULL;
	return lease->group == NULL ? MEWS_INVALID : may_block(lease->group);
}

/* Wait, if the asynchronous call returned MEWS_OK. */
static enum mews_status
lease_wait_result(struct mews_lease *lease, enum mews_status status,
    struct waiter *waiter, struct mews_result **out)
{
	if (status != MEWS_OK)
		return status;
	return wait_result(lease->group->pool, waiter, out);
}

enum mews_status
mews_lease_query_run(struct mews_lease *lease,
    const struct mews_query_args *args, struct mews_result **out)
{
	struct waiter		waiter = { 0 };
	enum mews_status	status = lease_may_block(lease, out);

	if (status == MEWS_OK)
		status = mews_lease_query(lease, args, query_done, &waiter,
		    NULL);
	return lease_wait_result(lease, status, &waiter, out);
}

/* What takes a lease only, and what takes a savepoint's name too. */
static enum mews_status
finish_run(struct mews_lease *lease, enum mews_status (*twin)(
    struct mews_lease *, mews_query_fn *, void *), struct mews_result **out)
{
	struct waiter		waiter = { 0 };
	enum mews_status	status = lease_may_block(lease, out);

	if (status == MEWS_OK)
		status = twin(lease, query_done, &waiter);
	return lease_wait_result(lease, status, &waiter, out);
}

static enum mews_status
savepoint_run(struct mews_lease *lease, enum mews_status (*twin)(
    struct mews_lease *, const char *, mews_query_fn *, void *),
    const char *name, struct mews_result **out)
{
	struct waiter		waiter = { 0 };
	enum mews_status	status = lease_may_block(lease, out);

	if (status == MEWS_OK)
		status = twin(lease, name, query_done, &waiter);
	return lease_wait_result(lease, status, &waiter, out);
}

enum mews_status
mews_lease_commit_run(struct mews_lease *lease, struct mews_result **out)
{
	return finish_run(lease, mews_lease_commit, out);
}

enum mews_status
mews_lease_rollback_run(struct mews_lease *lease, struct mews_result **out)
{
	return finish_run(lease, mews_lease_rollback, out);
}

enum mews_status
mews_lease_savepoint_run(struct mews_lease *lease, const char *name,
    struct mews_result **out)
{
	return savepoint_run(lease, mews_lease_savepoint, name, out);
}

enum mews_status
mews_lease_rollback_to_run(struct mews_lease *lease, const char *name,
    struct mews_result **out)
{
	return savepoint_run(lease, mews_lease_rollback_to, name, out);
}

enum mews_status
mews_lease_release_run(struct mews_lease *lease, const char *name,
    struct mews_result **out)
{
	return savepoint_run(lease, mews_lease_release, name, out);
}

/* Streams: the asynchronous twins, and a callback of the host's in between. */

struct stream_waiter {
	struct waiter waiter; /* first: query_done() is given this */
	struct mews_lease *lease;
	mews_row_fn *on_row;
	mews_copy_data_fn *on_data;
	mews_copy_source_fn *source;
	void *arg; /* of these */
	size_t held; /* bytes of buffer that were refused */
	char buffer[32768];
};

static enum mews_flow
on_row(void *arg, const struct mews_result *row)
{
	struct stream_waiter	*stream = arg;

	return stream->on_row(stream->arg, row);
}

static enum mews_flow
on_data(void *arg, const void *data, size_t length)
{
	struct stream_waiter	*stream = arg;

	return stream->on_data(stream->arg, data, length);
}

static void
on_room(void *arg)
{
	struct stream_waiter   *stream = arg;
	enum mews_status	status = MEWS_OK;

	while (status == MEWS_OK) {
		int	length = (int)stream->held;

		if (length == 0)
			length = stream->source(stream->arg, stream->buffer,
			    sizeof(stream->buffer));
		if (length <= 0) {
			mews_copy_end(stream->lease, length == 0 ? NULL :
			    "the source of the data failed");
			return;
		}
		stream->held = (size_t)length;
		status = mews_copy_put(stream->lease, stream->buffer,
		    stream->held);
		if (status == MEWS_OK)
			stream->held = 0;
	}
}

enum mews_status
mews_lease_rows_run(struct mews_lease *lease,
    const struct mews_query_args *args, mews_row_fn *fn, void *arg,
    struct mews_result **out)
{
	struct stream_waiter	stream = { .on_row = fn, .arg = arg };
	enum mews_status	status = lease_may_block(lease, out);

	if (status == MEWS_OK)
		status = mews_lease_rows(lease, args,
		    fn == NULL ? NULL : on_row, query_done, &stream, NULL);
	return lease_wait_result(lease, status, &stream.waiter, out);
}

enum mews_status
mews_copy_out_run(struct mews_lease *lease, const char *sql,
    mews_copy_data_fn *fn, void *arg, struct mews_result **out)
{
	struct stream_waiter	stream = { .on_data = fn, .arg = arg };
	enum mews_status	status = lease_may_block(lease, out);

	if (status == MEWS_OK)
		status = mews_copy_out(lease, sql, fn == NULL ? NULL : on_data,
		    query_done, &stream, NULL);
	return lease_wait_result(lease, status, &stream.waiter, out);
}

enum mews_status
mews_copy_in_run(struct mews_lease *lease, const char *sql,
    mews_copy_source_fn *source, void *arg, struct mews_result **out)
{
	struct stream_waiter	stream = {
		.lease = lease, .source = source, .arg = arg,
	};
	enum mews_status	status = lease_may_block(lease, out);

	if (status == MEWS_OK)
		status = mews_copy_in(lease, sql,
		    source == NULL ? NULL : on_room, query_done, &stream,
		    NULL);
	return lease_wait_result(lease, status, &stream.waiter, out);
}
