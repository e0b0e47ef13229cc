/*
 * ending.c - the end of a fleet.
 *
 * What workers left running on servers is in the segment, as orphans, which the
 * monitor ends. The monitor may be killed or stopped at any instant, so the
 * master checks that the work was done.
 */
#include "ending.h"

#include "parts.h"
#include "places.h"

#include <mews/view.h>

#include <signal.h>

#define MONITOR_MS 5000 /* from TERM to KILL */
#define AGAIN_MAX  2	/* monitors, after the first */
#define TRIED_MS   1500 /* the least time of a monitor that tried; it takes up
			   to 2 s */

static uint32_t
count_orphans(const struct master *m)
{
	struct mews_view_fleet fleet = { .orphans = 0 };
	struct mews_view      *view;
	struct mews_error      error;

	if (mews_view_open_fleet(&view, m->now->fleet, &error) != MEWS_OK)
		return 0;
	mews_view_fleet(view, &fleet, sizeof(fleet));
	mews_view_close(&view);
	return fleet.orphans;
}

static void
tell_monitor(struct master *m)
{
	m->ending.told_at = process_now();
	workers_stop(&m->monitor, SIGTERM, MONITOR_MS);
}

static void
start_again(struct master *m)
{
	m->ending.again++;
	log_write(&m->log, MEWS_LOG_WARNING, "monitor_again",
	    "orphans=%u hint=\"the monitor did not end what workers left "
	    "running on servers\"", m->ending.orphans);
	if (places_add(&m->monitor) == NULL)
		return;
	m->monitor.count = 1;
	workers_start(&m->monitor);
	notify_stopping(&m->notify, MONITOR_MS);
}

void
ending_go_on(struct master *m)
{
	if (m->monitor.count > 0)
		tell_monitor(m);
	if (!workers_gone(&m->monitor) ||
	    (m->ending.orphans = count_orphans(m)) == 0)
		return;
	if (!m->ending.done && m->ending.again < AGAIN_MAX) {
		start_again(m);
		if (m->monitor.count > 0)
			tell_monitor(m);
		return;
	}
	log_write(&m->log,
	    m->ending.done ? MEWS_LOG_WARNING : MEWS_LOG_ERROR,
	    "orphans_left", "orphans=%u hint=\"%s\"", m->ending.orphans,
	    m->ending.done ? "their servers did not answer" :
			     "each monitor was killed before it ended them");
}

/* Supervisors stop all processes of a service at once: the monitor may have
 * begun to end before the last worker left something behind. */
void
ending_bury(struct master *m, bool retired, int wait_status)
{
	m->ending.done = retired && wait_status == 0 &&
	    process_now() - m->ending.told_at >= TRIED_MS;
}
