/*
 * wait.c - a host's control of blocking calls: ending them, waiting by its own
 * poll(2), and asking whose pool it is.
 */
#include <mews/wait.h>

#include "pool/pool.h"
#include "base/status.h"

#include <assert.h>
#include <errno.h>
#include <unistd.h>

void
mews_pool_interrupt(struct mews_pool *pool)
{
	const uint64_t	one = 1;
	int		before = errno;

	assert(pool != NULL && "mews: a pool is there after mews_pool_open()");
	/* A fork's copy would end a call of its parent's. */
	if (*pool->loop.owner == NULL)
		return;
	atomic_store(&pool->loop.interrupted, true);
	/* Wake poll(2), in case the loop has just looked at the flag. A full
	 * eventfd is readable, too. */
	if (write(pool->wake_fd, &one, sizeof(one)) == -1)
		errno = before;
}

enum mews_status
mews_pool_set_poll(struct mews_pool *pool, mews_poll_fn *fn, void *arg)
{
	if (!pool_admit_given(pool))
		return MEWS_INVALID;
	pool->loop.watches.poll = fn;
	pool->loop.watches.poll_arg = arg;
	return MEWS_OK;
}

enum mews_status
mews_pool_check(const struct mews_pool *pool, struct mews_error *error)
{
	if (pool == NULL)
		return status_set(error, MEWS_INVALID, "there is no pool");
	if (*pool->loop.owner == NULL)
		return status_set(error, MEWS_INVALID, "the pool was opened "
		    "by a process that forked this one");
	if (pool->loop.closing)
		return status_set(error, MEWS_INVALID,
		    "the pool is being closed");
	if (*pool->loop.owner != &loop_thread)
		return status_set(error, MEWS_INVALID,
		    "the pool belongs to another thread");
	return MEWS_OK;
}
