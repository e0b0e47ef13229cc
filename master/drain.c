/*
 * drain.c - mews drain, mews enable.
 *
 * The wish is written into the segment, where every process of the fleet finds
 * it within a second; no process has to answer.
 */
#include "drain.h"

#include "config.h"
#include "fail.h"
#include "instance.h"

#include <mews/monitor.h>
#include <stdlib.h>
#include <string.h>

bool
drain_endpoint(const char *runtime_dir, const char *instance,
    const char *endpoint, bool drained, struct mews_error *error)
{
	struct mews_view      *view;
	struct mews_view_fleet fleet;
	char		       name[MEWS_NAME_MAX + 1] = "", *path;
	uint32_t	       index;
	bool		       done = false;

	if (instance != NULL)
		strlcpy(name, instance, sizeof(name));
	if (!instance_open(&view, &fleet, runtime_dir, name, error))
		return false;
	done = instance_endpoint(view, endpoint, &index, error);
	mews_view_close(&view);
	if (!done || !instance_lives(&fleet, runtime_dir, error))
		return false;
	if ((path = config_segment_path(runtime_dir, name)) == NULL)
		return fail(error, "out of memory");
	done = mews_endpoint_drain(path, endpoint, drained, error) == MEWS_OK;
	free(path);
	return done;
}
