/*
 * wake.c - eventfds with which the processes of a fleet wake each other.
 */
#include "fleet/wake.h"

#include "fleet/fleet.h"
#include "base/status.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum mews_status
wake_make(struct fleet_line *line, uint32_t count, struct mews_error *error)
{
	if ((line->wakes = malloc(count * sizeof(int))) == NULL)
		return status_set(error, MEWS_NOMEM, "out of memory");
	for (uint32_t i = 0; i < count; i++)
		line->wakes[i] = -1;
	for (uint32_t i = 0; i < count; i++) {
		line->wakes[i] = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
		if (line->wakes[i] == -1)
			return status_set(error, MEWS_SYSTEM,
			    "cannot make an eventfd for each of %u workers: "
			    "%s", count - 1, strerror(errno));
	}
	return MEWS_OK;
}

int
fleet_wake_fd(const struct mews_fleet *fleet)
{
	return fleet->line->wakes[fleet->slot - fleet->segment.slots];
}

static void
wake(const struct mews_fleet *fleet, uint32_t slot)
{
	static const uint64_t one = 1;

	if (atomic_load(&fleet->segment.slots[slot].pid) == 0)
		return;
	/* A full counter means that it was woken already. */
	if (write(fleet->line->wakes[slot], &one, sizeof(one)) == -1)
		return;
}

void
fleet_wake_all(const struct mews_fleet *fleet)
{
	for (uint32_t i = 0; i < fleet->segment.slot_count; i++)
		wake(fleet, i);
}

void
fleet_wake_monitor(const struct mews_fleet *fleet)
{
	wake(fleet, fleet->segment.slot_count - 1);
}
