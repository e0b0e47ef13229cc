/*
 * behind.c - is a lease free, and which calls wait until it is? use.c has calls
 * that block, later.c calls of an event loop.
 *
 * libmews refuses calls while a COPY or a script runs. A COPY or script that
 * was cancelled, or left, goes on for a moment, until the server said how it
 * ended. While the server is being asked to cancel a query, the request might
 * hit the next query instead.
 */
#include "binding.h"

bool
lease_is_free(struct lease *lease)
{
	/* A lease that ended or was lost counts as free, so that its user is
	 * told. */
	if (lease->handle == NULL || lease->pool->handle == NULL ||
	    lease->generation != lease->pool->generation)
		return true;
	if (lease->heavy &&
	    (mews_lease_state(lease->handle) != MEWS_TRANSACTION_UNKNOWN ||
	    mews_copy_put(lease->handle, NULL, 0) == MEWS_UNAVAILABLE))
		lease->heavy = false;
	return !lease->heavy && lease->canceled == 0;
}

void
behind_look(struct pool *pool)
{
	struct behind	*each, *next;

	for (each = TAILQ_FIRST(&pool->behind); each != NULL; each = next) {
		next = TAILQ_NEXT(each, link);
		if (!lease_is_free(each->lease))
			continue;
		TAILQ_REMOVE(&pool->behind, each, link);
		each->free = true;
		if (each->told == NULL)
			continue;
		each->told(each);
		/* The end of a lease may have told other waiters. */
		next = TAILQ_FIRST(&pool->behind);
	}
}

bool
lease_is_late(struct lease *lease)
{
	return (lease->heavy || lease->canceled > 0) &&
	    lease->pool->asynchronous &&
	    !lease_is_free(lease);
}
