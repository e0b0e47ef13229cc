/*
 * use.c - may this thread use a fleet, a pool or a lease now? Fleets are joined
 * and pools opened here.
 *
 * A pool is opened at its first use, and again at the first use in a child of
 * the process that opened it. Only its own thread closes it.
 */
#include "binding.h"

#include <sys/stat.h>
#include <unistd.h>

bool
fleet_join(struct fleet *fleet)
{
	struct mews_error	error;
	enum mews_status	status;

	if (fleet->handle == NULL) {
		error_raise(MEWS_INVALID, "the fleet is closed");
		return false;
	}
	if (fleet->joined == getpid())
		return true;
	status = mews_fleet_join(fleet->handle, &error);
	if (status != MEWS_OK) {
		error_raise(status, error.message);
		return false;
	}
	fleet->joined = getpid();
	mews_fleet_set_state(fleet->handle, MEWS_WORKER_READY);
	return true;
}

bool
pool_use(struct pool *pool)
{
	struct mews_error	error;
	enum mews_status	status;

	if (pool->forks != fork_count)
		pool_shut(pool);
	if (pool->handle != NULL && attach_follow(pool)) {
		pool_shut(pool);
		attach_forget(pool->fleet);
	}
	if (pool->handle != NULL) {
		if (pool->thread == PyThread_get_thread_ident())
			return true;
		error_raise(MEWS_INVALID, "this pool is another thread's: ask "
		    "fleet.pool() in the thread that uses it");
		return false;
	}
	if (pool->astray) {
		error_raise(MEWS_INVALID, "this process was forked while the "
		    "asyncio loop of this pool ran, which is the parent's: "
		    "begin another loop, asyncio.run(), and ask "
		    "fleet.async_pool() there");
		return false;
	}
	if (pool->closing || pool->fleet == NULL) {
		error_raise(MEWS_INVALID, pool->closing ?
		    "the pool is being closed" : "the worker's pool is closed");
		return false;
	}
	if (!fleet_join(pool->fleet))
		return false;
	pool->thread = PyThread_get_thread_ident();
	pool->forks = fork_count;
	pool->home = pool->fleet->handle;
	status = mews_pool_open(&pool->handle, pool->fleet->handle,
	    pool_watch, pool, &error);
	if (status != MEWS_OK) {
		error_raise(status, error.message);
		return false;
	}
	notice_begin(pool);
	return !PyErr_Occurred();
}

/* A child that was forked inside of a callback must not touch its copy of the
 * pool, except the sockets, which would keep the parent's sessions alive. */
static void
leave_behind(struct pool *pool)
{
	struct stat	about;

	for (size_t i = 0; i < pool->watch_count; i++)
		if (fstat(pool->watches[i].fd, &about) == 0 &&
		    S_ISSOCK(about.st_mode))
			close(pool->watches[i].fd);
	pool->depth = 0;
}

void
pool_left(struct pool *pool)
{
	struct inside	*inside = pool->inside;

	if (inside == NULL || inside->forks == fork_count)
		return;
	/* Python may not have been told of the fork. */
	if (pool->forks != fork_count)
		pool_shut(pool);
	longjmp(inside->out, 1);
}

void
pool_shut(struct pool *pool)
{
	bool	copied = pool->inside != NULL && pool->depth > 0 &&
		    pool->inside->forks != fork_count;

	pool->forks = fork_count;
	if (pool->handle == NULL)
		return;
	pool->closing = true;
	pool->generation++;
	pool->depth++;
	if (pool->fleet != NULL && !copied)
		mews_pool_close(&pool->handle);
	pool->handle = NULL;
	pool->depth--;
	if (copied)
		leave_behind(pool);
	pool->listeners = 0;
	pool->watch_count = 0;
	pool->plan_count = 0;
	pool->tick_soon = false;
	Py_CLEAR(pool->timer);
	Py_CLEAR(pool->endpoint);
	pool->endpoint_name = NULL;
	PyDict_Clear(pool->plans);
	behind_look(pool);
	pool->closing = false;
}

struct mews_group *
pool_group(struct pool *pool, PyObject *name)
{
	struct mews_group	*group;
	const char		*text;

	if (!PyUnicode_Check(name)) {
		PyErr_Format(PyExc_TypeError, "the group is a str, not %.100s",
		    Py_TYPE(name)->tp_name);
		return NULL;
	}
	if ((text = PyUnicode_AsUTF8(name)) == NULL)
		return NULL;
	if ((group = mews_pool_group(pool->handle, text)) == NULL)
		PyErr_Format(PyExc_KeyError, "the fleet has no group %R",
		    name);
	return group;
}

struct pool *
lease_use(struct lease *lease)
{
	struct pool	*pool = lease->pool;

	if (pool->forks != fork_count)
		pool_shut(pool);
	if (lease->handle == NULL)
		error_raise(MEWS_INVALID, "the lease has ended");
	else if (lease->generation != pool->generation)
		error_raise(MEWS_UNAVAILABLE, "the lease's pool was closed, "
		    "or belongs to the parent of this process");
	else if (pool_use(pool))
		return pool;
	return NULL;
}

/* Wait until lease_is_free(); only in calls that block. */
static bool
wait_until_free(struct lease *lease)
{
	struct behind	mine = { .lease = lease };
	bool		ended;

	if (lease_is_free(lease))
		return true;
	TAILQ_INSERT_TAIL(&lease->pool->behind, &mine, link);
	ended = pool_wait(lease->pool, &mine.free, -1);
	if (!mine.free)
		TAILQ_REMOVE(&lease->pool->behind, &mine, link);
	return ended;
}

struct pool *
lease_ask(struct lease *lease)
{
	struct pool	*pool = lease_use(lease);

	if (pool == NULL)
		return NULL;
	if (lease->stream != NULL && !lease->hurry(lease->stream)) {
		error_raise(MEWS_INVALID, "the lease is busy: a copy_in() is "
		    "waiting for its source");
		return NULL;
	}
	if ((!lease->heavy && lease->canceled == 0) || pool->asynchronous)
		return pool;
	/* A signal handler may have ended the lease meanwhile. */
	return wait_until_free(lease) ? lease_use(lease) : NULL;
}
