/*
 * apart.c - a fleet that follows one whose segment it cannot read.
 */
#include "fleet/apart.h"

#include "base/status.h"
#include "fleet/budget.h"
#include "fleet/endpoint.h"
#include "fleet/place.h"
#include "fleet/record.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum mews_status
apart_make(struct mews_fleet *fleet, const struct mews_config *config,
    struct mews_error *error)
{
	struct fleet_line	*line = fleet->line;
	char			*beside;
	enum mews_status	 status;

	line->adopted = strdup(config->runtime_file);
	beside = place_beside(config->runtime_file, getppid());
	if (line->adopted == NULL || beside == NULL) {
		free(beside);
		return status_set(error, MEWS_NOMEM, "out of memory");
	}
	line->apart = true;
	/* A successor that was killed may have left it. */
	place_remove(beside);
	/* The first generation is that of the fleet before. */
	line->newest = 1;
	status = fleet_make(fleet, beside, config, error);
	if (status == MEWS_OK)
		record_set_turn(fleet->segment.header, 1);
	free(beside);
	return status;
}

bool
mews_fleet_is_apart(const struct mews_fleet *fleet)
{
	return fleet->line->apart;
}

void
mews_fleet_hand_over(struct mews_fleet *fleet)
{
	struct fleet_line	*line = fleet->line;
	char			*beside = NULL;

	if (line->path != NULL && !place_is(line->path, fleet->segment.dev,
		fleet->segment.ino))
		beside = place_beside(line->path, getpid());
	free(line->path);
	line->path = beside;
	if (beside == NULL)
		return;
	/* No process of this segment is of the generation that serves. */
	record_set_turn(fleet->segment.header, ++line->newest);
	endpoint_changed(fleet);
}

void
mews_fleet_inherit(struct mews_fleet *fleet)
{
	struct fleet_line	*line = fleet->line;

	for (uint32_t i = 0; i < fleet->segment.endpoint_space; i++)
		budget_set_other(&fleet->segment, i, BUDGET_BEFORE, 0);
	place_clean(line, &fleet->segment);
	free(line->beside);
	line->beside = NULL;
	endpoint_changed(fleet);
}

void
mews_fleet_take_back(struct mews_fleet *fleet)
{
	const struct fleet_line	*line = fleet->line;
	char			*beside = NULL;

	if (line->path != NULL && line->creator == getpid() &&
	    place_is(line->path, fleet->segment.dev, fleet->segment.ino))
		beside = place_beside(line->path, getpid());
	if (beside != NULL)
		place_remove(beside);
	free(beside);
	for (uint32_t i = 0; i < fleet->segment.endpoint_space; i++)
		budget_set_other(&fleet->segment, i, BUDGET_AFTER, 0);
	endpoint_changed(fleet);
}

uint32_t
mews_fleet_held(const struct mews_fleet *fleet)
{
	const struct segment	*segment = &fleet->segment;
	uint32_t		 held = 0;

	/* The last slot is the monitor's. */
	for (uint32_t i = 0; i + 1 < segment->slot_count; i++)
		for (uint32_t e = 0; e < segment->endpoint_space; e++)
			held += atomic_load(
			    &segment->slots[i].connections[e]);
	return held;
}
