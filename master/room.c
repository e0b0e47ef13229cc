/*
 * room.c - who has a slot of the segment, or is about to take one.
 */
#include "room.h"

#include <mews/view.h>

#define SPARE_SLOTS 64 /* to grow, and for processes that join */

unsigned
room_slots(unsigned workers)
{
	return 2 * workers + SPARE_SLOTS;
}

unsigned
room_living(const struct generation_list *all)
{
	const struct generation *g;
	unsigned		 living = 0;

	TAILQ_FOREACH(g, all, entry)
		living += workers_living(&g->workers);
	return living;
}

static bool
is_of(const struct generation_list *all, pid_t pid)
{
	const struct generation *g;

	TAILQ_FOREACH(g, all, entry)
		if (process_find(&g->workers.list, pid) != NULL)
			return true;
	return false;
}

unsigned
room_others(const struct generation_list *all, const char *segment_path)
{
	struct mews_view       *view;
	struct mews_view_fleet	fleet;
	struct mews_view_worker worker;
	struct mews_error	error;
	unsigned		others = 0;

	if (mews_view_open(&view, segment_path, &error) != MEWS_OK)
		return 0;
	mews_view_fleet(view, &fleet, sizeof(fleet));
	for (uint32_t i = 0; i < fleet.slot_count; i++)
		others += mews_view_worker(view, i, &worker, sizeof(worker)) &&
		    !is_of(all, worker.pid);
	mews_view_close(&view);
	return others;
}
