/*
 * wake.c - descriptors with which the processes of a fleet wake each other.
 */
#include "fleet/wake.h"

#include "fleet/fleet.h"
#include "fleet/hold.h"
#include "base/status.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

/* Open the FIFO of a slot; -1: errno. */
static int
open_fifo(int dir, uint32_t slot, bool make)
{
	char	name[HOLD_DIGITS + 1];

	hold_digits(name, slot);
	if (make && mkfifoat(dir, name, 0600) == -1)
		return -1;
	return openat(dir, name, O_RDWR | O_NONBLOCK | O_CLOEXEC | O_NOFOLLOW);
}

enum mews_status
wake_make(struct fleet_line *line, uint32_t count, struct mews_error *error)
{
	if ((line->wakes = malloc(count * sizeof(int))) == NULL)
		return status_set(error, MEWS_NOMEM, "out of memory");
	for (uint32_t i = 0; i < count; i++)
		line->wakes[i] = -1;
	for (uint32_t i = 0; i < count && !line->attached; i++) {
		line->wakes[i] = line->dir == -1 ?
		    eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC) :
		    open_fifo(line->dir, i, true);
		if (line->wakes[i] == -1)
			return status_set(error, MEWS_SYSTEM,
			    "cannot make %s for each of %u workers: %s",
			    line->dir == -1 ? "an eventfd" : "a FIFO",
			    count - 1, strerror(errno));
	}
	return MEWS_OK;
}

void
wake_close(struct fleet_line *line, uint32_t count)
{
	for (uint32_t i = 0; line->wakes != NULL && i < count; i++)
		if (line->wakes[i] != -1)
			close(line->wakes[i]);
	free(line->wakes);
	line->wakes = NULL;
}

bool
wake_open(struct fleet_line *line, uint32_t slot)
{
	if (line->wakes[slot] == -1)
		line->wakes[slot] = open_fifo(line->dir, slot, false);
	if (line->wakes[slot] == -1)
		return false;
	while (wake_take(line->wakes[slot]))
		;
	return true;
}

int
fleet_wake_fd(const struct mews_fleet *fleet)
{
	return fleet->line->wakes[fleet->slot - fleet->segment.slots];
}

bool
wake_take(int fd)
{
	uint64_t	counts[64];

	/* An eventfd gives one number in all, a FIFO one for each wake-up. */
	return read(fd, counts, sizeof(counts)) > 0;
}

static void
wake(const struct mews_fleet *fleet, uint32_t slot)
{
	static const uint64_t one = 1;
	int		      fd = fleet->line->wakes[slot];
	const bool	      lent = fd != -1;
	ssize_t		      done;

	if (atomic_load(&fleet->segment.slots[slot].pid) == 0)
		return;
	if (!lent && (fd = open_fifo(fleet->line->dir, slot, false)) == -1)
		return;
	/* If it is full, its process was woken already. */
	done = write(fd, &one, sizeof(one));
	(void)done;
	if (!lent)
		close(fd);
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
