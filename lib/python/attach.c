/*
 * attach.c - mews.Fleet(attach=True): attach to a fleet that another process
 * made, and later to the fleet that follows it.
 *
 * A pool stays with the fleet that it was opened on while anything of the pool
 * is under way. Until then, the former fleet is kept beside the one that
 * serves.
 */
#include "binding.h"

#include "config.h"
#include "session.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#define AGAIN_S 1 /* the pause between two tries to attach */

enum mews_status
attach_make(struct mews_fleet **out, const struct config *config,
    const char *runtime_file, bool attach, struct mews_error *error)
{
	struct mews_config fleet = config->fleet;
	struct memory	  *memory = NULL;
	enum mews_status   status = MEWS_NOMEM;

	/* A fleet that is made has the file that the caller names, or none. */
	if (!attach || runtime_file != NULL)
		fleet.runtime_file = runtime_file;
	if (!session_for_python(&fleet, &memory))
		return status;
	status = attach ? mews_fleet_attach(out, &fleet, error) :
	    mews_fleet_create(out, &fleet, error);
	memory_free(&memory);
	return status;
}

/* Does no call wait for anything of that pool? */
static bool
is_idle(struct pool *pool)
{
	const struct mews_config *config = &pool->fleet->config->fleet;

	if (pool->depth > 0 || pool->listeners > 0 ||
	    pool->thread != PyThread_get_thread_ident())
		return false;
	for (size_t i = 0; i < config->group_count; i++) {
		struct mews_group	*group;
		struct mews_group_stats	 stats = { 0 };

		group = mews_pool_group(pool->handle, config->groups[i].name);
		if (group == NULL)
			continue;
		mews_group_stats(group, &stats, sizeof(stats));
		if (stats.leased + stats.in_flight + stats.waiting > 0)
			return false;
	}
	return true;
}

/* Attach to the fleet that serves now; the fleet before is kept as the past
 * one. */
static void
follow(struct fleet *fleet)
{
	struct mews_fleet *next;
	struct mews_error  error = { .message = "out of memory" };
	struct timespec	   now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	if (fleet->past != NULL || now.tv_sec < fleet->again_s)
		return;
	fleet->again_s = now.tv_sec + AGAIN_S;
	if (attach_make(&next, fleet->config, fleet->runtime_file, true,
		&error) != MEWS_OK) {
		fleet_tell(fleet, MEWS_LOG_WARNING, "attach_failed",
		    error.message);
		return;
	}
	fleet->past = fleet->handle;
	fleet->handle = next;
	fleet->joined = 0;
	fleet_listen(fleet);
}

void
attach_forget(struct fleet *fleet)
{
	struct pool	*pool;

	LIST_FOREACH (pool, &fleet->pools, link)
		if (pool->handle != NULL && pool->home == fleet->past)
			return;
	mews_fleet_destroy(&fleet->past);
}

bool
attach_follow(struct pool *pool)
{
	struct fleet	*fleet = pool->fleet;

	if (fleet == NULL || fleet->config == NULL || fleet->handle == NULL)
		return false;
	if (pool->home == fleet->handle &&
	    mews_fleet_turn(fleet->handle) == MEWS_TURN_PAST)
		follow(fleet);
	return pool->home != fleet->handle && is_idle(pool);
}

void
attach_end(struct fleet *fleet)
{
	mews_fleet_destroy(&fleet->past);
	free(fleet->runtime_file);
	fleet->runtime_file = NULL;
	config_free(&fleet->config);
}
