/*
 * blocking.c - the calls that wait: each starts what its asynchronous twin
 * does, and turns the loop until that ended.
 */
#include "pool/group.h"
#include "pool/news.h"
#include "pool/owed.h"
#include "wire/lease.h"
#include "pool/pool.h"
#include "base/status.h"

#include <assert.h>
#include <mews/stream.h>
#include <mews/transaction.h>
#include <stdlib.h>

struct waiter {
	struct mews_group *group; /* of a lease */
	bool done;
	enum mews_status status;    /* of a lease */
	struct mews_result *result; /* allocated before anything is sent, so
				       that the outcome can be told */
	struct mews_lease *lease;
};

static void
query_done(void *arg, const struct mews_result *result)
{
	struct waiter	*waiter = arg;

	/* @result is in the library's own record: its PGresult can be taken. */
	result_keep(waiter->result, (struct mews_result *)(uintptr_t)result);
	waiter->done = true;
}

static void
lease_done(void *arg, struct mews_lease *lease,
    const struct mews_result *result)
{
	struct waiter	*waiter = arg;

	waiter->status = result->status;
	if (result->status != MEWS_OK)
		waiter->status = refuse(&waiter->group->why, result->status,
		    "%s", mews_result_message(result));
	waiter->lease = lease;
	waiter->done = true;
}

/* Refuse to block inside a callback, which would wait for itself. */
static enum mews_status
begin_blocking(struct mews_group *group)
{
	if (group_pool(group)->loop.depth == 0) {
		/* Count time from the call. */
		pool_arrive(group->pool);
		return MEWS_OK;
	}
	return refuse(&group->why, MEWS_INVALID, "a blocking call inside a "
	    "callback of the pool: use the asynchronous one");
}

/* The host may not call again for long: show that nothing is in flight. */
static void
show_rest(struct mews_pool *pool)
{
	news_publish(pool);
	if (pool->told)
		news_tell(pool);
	pool->told = false;
}

/* Turns of the loop until *@done. False: the host interrupted them. */
static bool
wait_done(struct mews_pool *pool, const bool *done)
{
	int64_t	look_us = clock_now_us() + OWED_AFTER_US;

	while (!loop_wait(&pool->loop, done, look_us)) {
		if (loop_take_interrupt(&pool->loop))
			return false;
		look_us += OWED_AFTER_US;
		pool->loop.depth++; /* callbacks run in here */
		owed_end_lost(pool);
		pool->loop.depth--;
	}
	show_rest(pool);
	return true;
}

/* As begin_blocking(), and allocate the result to be filled. */
static enum mews_status
begin_waiting(struct mews_group *group, struct waiter *waiter)
{
	enum mews_status	status = begin_blocking(group);

	if (status == MEWS_OK &&
	    (waiter->result = malloc(sizeof(*waiter->result))) == NULL)
		status = refuse(&group->why, MEWS_NOMEM, "out of memory");
	return status;
}

/* Turn the loop until @waiter is done; give its query up if the host interrupts
 * the call. */
static void
wait_until_done(struct mews_pool *pool, struct waiter *waiter)
{
	while (!wait_done(pool, &waiter->done))
		for (uint32_t i = 0; i < pool->store.count; i++)
			if (pool->store.queries[i]->arg == waiter)
				mews_query_cancel(pool,
				    pool->store.queries[i]->id);
}

/* Wait, if the asynchronous call returned MEWS_OK, and hand over what came. */
static enum mews_status
wait_result(struct mews_group *group, enum mews_status status,
    struct waiter *waiter, struct mews_result **out)
{
	if (status != MEWS_OK) {
		free(waiter->result);
		return status;
	}
	wait_until_done(group->pool, waiter);
	*out = waiter->result;
	return waiter->result->status;
}

enum mews_status
mews_query_run(struct mews_group *group, const struct mews_query_args *args,
    struct mews_result **out)
{
	struct waiter		waiter = { 0 };
	enum mews_status	status;

	STATUS_NEED_OUT(out);
	*out = NULL;
	if ((status = begin_waiting(group, &waiter)) == MEWS_OK)
		status = mews_query_send(group, args, query_done, &waiter,
		    NULL);
	return wait_result(group, status, &waiter, out);
}

enum mews_status
mews_lease_begin_run(struct mews_group *group, uint32_t wait_ms,
    struct mews_lease **out)
{
	return mews_lease_begin_after_run(group, 0, wait_ms, out);
}

enum mews_status
mews_lease_begin_after_run(struct mews_group *group, uint64_t after,
    uint32_t wait_ms, struct mews_lease **out)
{
	struct waiter		waiter = { .group = group };
	enum mews_status	status;

	STATUS_NEED_OUT(out);
	*out = NULL;
	if ((status = begin_blocking(group)) == MEWS_OK) {
		/* The common case: a connection is free, and no query waits. */
		if (after == 0 && (*out = mews_lease_try(group)) != NULL)
			return MEWS_OK;
		status = mews_lease_begin_after(group, after, wait_ms,
		    lease_done, &waiter, NULL);
	}
	if (status != MEWS_OK)
		return status;
	wait_until_done(group->pool, &waiter);
	*out = waiter.lease;
	return waiter.status;
}

/* As begin_waiting(), for @lease. */
static enum mews_status
lease_begin(struct mews_lease *lease, struct waiter *waiter,
    struct mews_result **out)
{
	STATUS_NEED_OUT(out);
	*out = NULL;
	return lease_checked(lease)->group == NULL ? MEWS_INVALID :
	    begin_waiting(lease->group, waiter);
}

enum mews_status
mews_lease_query_run(struct mews_lease *lease,
    const struct mews_query_args *args, struct mews_result **out)
{
	struct waiter		waiter = { 0 };
	enum mews_status	status = lease_begin(lease, &waiter, out);

	if (status == MEWS_OK)
		status = mews_lease_query(lease, args, query_done, &waiter,
		    NULL);
	return wait_result(lease->group, status, &waiter, out);
}

/* Wait for the end of @twin, an asynchronous call that takes only a lease. */
static enum mews_status
finish_run(struct mews_lease *lease, enum mews_status (*twin)(
    struct mews_lease *, mews_query_fn *, void *), struct mews_result **out)
{
	struct waiter		waiter = { 0 };
	enum mews_status	status = lease_begin(lease, &waiter, out);

	if (status == MEWS_OK)
		status = twin(lease, query_done, &waiter);
	return wait_result(lease->group, status, &waiter, out);
}

static enum mews_status
savepoint_run(struct mews_lease *lease, enum mews_status (*twin)(
    struct mews_lease *, const char *, mews_query_fn *, void *),
    const char *name, struct mews_result **out)
{
	struct waiter		waiter = { 0 };
	enum mews_status	status = lease_begin(lease, &waiter, out);

	if (status == MEWS_OK)
		status = twin(lease, name, query_done, &waiter);
	return wait_result(lease->group, status, &waiter, out);
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
mews_lease_release_savepoint_run(struct mews_lease *lease, const char *name,
    struct mews_result **out)
{
	return savepoint_run(lease, mews_lease_release_savepoint, name, out);
}

/* Streams: the asynchronous twins, and a callback of the host's in between. */

struct stream_waiter {
	struct waiter waiter; /* first: query_done() is given this */
	struct mews_lease *lease;
	mews_row_fn *on_row;
	mews_copy_data_fn *on_data;
	mews_copy_source_fn *source;
	mews_query_fn *on_result;
	void *arg; /* of these callbacks */
	size_t held; /* bytes of buffer that were refused */
	bool overran; /* the source claims more bytes than it was given room */
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
on_copy_room(void *arg)
{
	struct stream_waiter   *stream = arg;
	struct loop	       *loop = &stream->lease->group->pool->loop;
	enum mews_status	status = MEWS_OK;

	/* There may always be room, if the server is quick: look for
	 * interrupts. */
	while (status == MEWS_OK && !atomic_load_explicit(&loop->interrupted,
	    memory_order_relaxed)) {
		int	length = (int)stream->held;

		if (length == 0)
			length = stream->source(stream->arg, stream->buffer,
			    sizeof(stream->buffer));
		stream->overran = length > (int)sizeof(stream->buffer);
		if (length <= 0 || stream->overran) {
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

static void
on_result(void *arg, const struct mews_result *result)
{
	struct stream_waiter	*stream = arg;

	stream->on_result(stream->arg, result);
}

enum mews_status
mews_lease_script_run(struct mews_lease *lease, const char *sql,
    mews_query_fn *fn, void *arg, struct mews_result **out)
{
	struct stream_waiter	stream = { .on_result = fn, .arg = arg };
	enum mews_status	status = lease_begin(lease, &stream.waiter,
	    out);

	if (status == MEWS_OK)
		status = mews_lease_script(lease, sql,
		    fn == NULL ? NULL : on_result, query_done, &stream, NULL);
	return wait_result(lease->group, status, &stream.waiter, out);
}

enum mews_status
mews_lease_rows_run(struct mews_lease *lease,
    const struct mews_query_args *args, mews_row_fn *fn, void *arg,
    struct mews_result **out)
{
	struct stream_waiter	stream = { .on_row = fn, .arg = arg };
	enum mews_status	status = lease_begin(lease, &stream.waiter,
	    out);

	if (status == MEWS_OK)
		status = mews_lease_rows(lease, args,
		    fn == NULL ? NULL : on_row, query_done, &stream, NULL);
	return wait_result(lease->group, status, &stream.waiter, out);
}

enum mews_status
mews_copy_out_run(struct mews_lease *lease, const char *sql,
    mews_copy_data_fn *fn, void *arg, struct mews_result **out)
{
	struct stream_waiter	stream = { .on_data = fn, .arg = arg };
	enum mews_status	status = lease_begin(lease, &stream.waiter,
	    out);

	if (status == MEWS_OK)
		status = mews_copy_out(lease, sql, fn == NULL ? NULL : on_data,
		    query_done, &stream, NULL);
	return wait_result(lease->group, status, &stream.waiter, out);
}

enum mews_status
mews_copy_in_run(struct mews_lease *lease, const char *sql,
    mews_copy_source_fn *source, void *arg, struct mews_result **out)
{
	struct stream_waiter	stream = {
		.lease = lease, .source = source, .arg = arg,
	};
	enum mews_status	status = lease_begin(lease, &stream.waiter,
	    out);

	if (status == MEWS_OK)
		status = mews_copy_in(lease, sql,
		    source == NULL ? NULL : on_copy_room, query_done, &stream,
		    NULL);
	status = wait_result(lease->group, status, &stream.waiter, out);
	if (*out == NULL || !stream.overran)
		return status;
	(*out)->status = MEWS_INVALID;
	(*out)->message = "the source of the COPY returned more bytes than it "
	    "was given room for: nothing was stored";
	return MEWS_INVALID;
}
