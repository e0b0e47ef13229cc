/*
 * adopt.c - a fleet that goes from one process to its successor.
 */
#include "fleet/fleet.h"

#include "fleet/apart.h"
#include "fleet/hold.h"
#include "base/status.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Open the segment and the line of @fleet, which belong to another process so
 * far. */
static enum mews_status
adopt_line(struct mews_fleet *fleet, const struct mews_config *config,
    const int *wakes, size_t wake_count, struct mews_error *error)
{
	enum mews_status status;

	status = segment_open(&fleet->segment, config->runtime_file, true,
	    error);
	if (status != MEWS_OK)
		return status;
	if (wake_count != fleet->segment.slot_count ||
	    strncmp(fleet->segment.header->instance, config->instance,
		sizeof(fleet->segment.header->instance)) != 0)
		return status_set(error, MEWS_INVALID, "%s: is another fleet's",
		    config->runtime_file);
	fleet->line->adopted = strdup(config->runtime_file);
	fleet->line->wakes = malloc(wake_count * sizeof(int));
	if (fleet->line->adopted == NULL || fleet->line->wakes == NULL)
		return status_set(error, MEWS_NOMEM, "out of memory");
	memcpy(fleet->line->wakes, wakes, wake_count * sizeof(int));
	fleet->line->dir = hold_open_directory(config->runtime_file);
	if (fleet->line->dir == -1)
		return status_set(error, MEWS_SYSTEM, "%s.d: %s",
		    config->runtime_file, strerror(errno));
	return MEWS_OK;
}

/* Close descriptors that wake processes of another segment. */
static void
close_all(const int *fds, size_t count)
{
	for (size_t i = 0; i < count; i++)
		close(fds[i]);
}

enum mews_status
mews_fleet_adopt(struct mews_fleet **out, const struct mews_config *config,
    const int *wakes, size_t wake_count, struct mews_error *error)
{
	struct mews_fleet *fleet;
	enum mews_status   status;

	STATUS_NEED_OUT(out);
	*out = NULL;
	assert(config != NULL && config->runtime_file != NULL &&
	    "mews: a configuration and its runtime file are there");
	if ((status = fleet_check(config, error)) != MEWS_OK)
		return status;
	if ((fleet = fleet_new(error)) == NULL)
		return MEWS_NOMEM;
	fleet->line->creator = getpid();
	if (segment_is_foreign(config->runtime_file)) {
		close_all(wakes, wake_count);
		status = apart_make(fleet, config, error);
	} else if ((status = adopt_line(fleet, config, wakes, wake_count,
		    error)) == MEWS_OK)
		status = fleet_claim(fleet, config, error);
	if (status == MEWS_OK)
		fleet_learn(fleet);
	return fleet_give(out, fleet, status, error);
}

size_t
mews_fleet_wakes(const struct mews_fleet *fleet, int *fds, size_t room)
{
	if (room < fleet->segment.slot_count)
		return 0;
	memcpy(fds, fleet->line->wakes,
	    fleet->segment.slot_count * sizeof(*fds));
	return fleet->segment.slot_count;
}
