/*
 * watch.c - a dense array of descriptors, and an index by number.
 */
#include "base/watch.h"

#include <stdlib.h>

/* Make room for the number @fd in by_fd. */
static bool
number_watch(struct watches *watches, size_t fd)
{
	size_t	room = fd + 64;
	int    *more;

	if (fd < watches->by_fd_room)
		return true;
	if ((more = reallocarray(watches->by_fd, room, sizeof(int))) == NULL)
		return false;
	for (size_t i = watches->by_fd_room; i < room; i++)
		more[i] = -1;
	watches->by_fd = more;
	watches->by_fd_room = room;
	return true;
}

/* Make room for one more entry in watches->all. */
static bool
grow_watches(struct watches *watches)
{
	size_t		room = watches->room * 2 + 16;
	struct watch   *more;
	struct pollfd  *polls;

	if (watches->count < watches->room)
		return true;
	more = reallocarray(watches->all, room, sizeof(*more));
	if (more == NULL)
		return false;
	watches->all = more;
	polls = reallocarray(watches->polls, room, sizeof(*polls));
	if (polls == NULL)
		return false;
	watches->polls = polls;
	watches->room = room;
	return true;
}

bool
watch_set(struct watches *watches, int fd, int events, watch_fn *fn, void *who)
{
	int    *index, before = 0;

	if (fd < 0)
		return true;
	if (!number_watch(watches, (size_t)fd))
		return false;
	index = &watches->by_fd[fd];
	if (*index != -1) {
		before = watches->all[*index].events;
	} else {
		if (!grow_watches(watches))
			return false;
		*index = (int)watches->count++;
	}
	watches->all[*index] = (struct watch) {
		.fd = fd, .events = events, .fn = fn, .who = who,
	};
	if (watches->fn != NULL && (events != 0 || before != 0))
		watches->fn(watches->arg, fd, events);
	return true;
}

void
watch_end(struct watches *watches, int fd, const void *who)
{
	struct watch   *watch = watch_find(watches, fd);
	int		before;

	if (watch == NULL || watch->who != who)
		return;
	before = watch->events;
	*watch = watches->all[--watches->count];
	watches->by_fd[watch->fd] = (int)(watch - watches->all);
	watches->by_fd[fd] = -1;
	if (watches->fn != NULL && before != 0)
		watches->fn(watches->arg, fd, 0);
}

void
watch_closed(struct watches *watches, int socket, int *fd, const void *who)
{
	if (*fd == -1 || socket == *fd)
		return;
	watch_end(watches, *fd, who);
	*fd = -1;
}

static int
poll_events(int events)
{
	return ((events & MEWS_WATCH_READ) != 0 ? POLLIN : 0) |
	    ((events & MEWS_WATCH_WRITE) != 0 ? POLLOUT : 0);
}

size_t
watch_poll(struct watches *watches, int timeout_ms)
{
	size_t	count = watches->count;
	int	found;

	for (size_t i = 0; i < count; i++)
		watches->polls[i] = (struct pollfd) {
			/* poll(2) reports an error even if no event is asked
			 * for: leave out those that wait for none. */
			.fd = watches->all[i].events == 0 ? -1 :
			    watches->all[i].fd,
			.events = (short)poll_events(watches->all[i].events),
		};
	if (watches->poll == NULL)
		found = poll(watches->polls, (nfds_t)count, timeout_ms);
	else
		found = watches->poll(watches->poll_arg, watches->polls,
		    (nfds_t)count, timeout_ms);
	return found <= 0 ? 0 : count;
}

void
watch_free(struct watches *watches)
{
	free(watches->all);
	free(watches->polls);
	free(watches->by_fd);
	*watches = (struct watches) { 0 };
}
