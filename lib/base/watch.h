/*
 * watch.h - the descriptors that a loop waits for, and who hears of them.
 *
 * Rule: a descriptor is given up, with watch_end(), before it is closed. libpq
 * itself closes a socket at the end of file and when the server breaks the
 * protocol; its number may then at once belong to the host or to another
 * connection. Code that calls libpq therefore compares PQsocket(), by
 * watch_closed(), after each call that failed, before any callback runs and
 * before control returns to the host.
 */
#ifndef LIB_BASE_WATCH_H
#define LIB_BASE_WATCH_H

#include <mews/pool.h>
#include <mews/wait.h>
#include <poll.h>

/* Called for a descriptor of @who; @events: MEWS_WATCH_READ, _WRITE. */
typedef void watch_fn(void *who, int events);

struct watch {
	int fd;
	int events; /* MEWS_WATCH_READ | MEWS_WATCH_WRITE; 0: @who's, but not
		       waited for at present */
	bool lent;  /* somebody else's descriptor, which a fork's copy may
		       use */
	watch_fn *fn;
	void *who;
};

struct watches {
	mews_watch_fn *fn; /* the host's, or NULL */
	void *arg;
	mews_poll_fn *poll; /* the host's, or NULL: poll(2) */
	void *poll_arg;
	struct watch *all;    /* dense; by_fd tells where */
	struct pollfd *polls; /* room for as many, for watch_poll() */
	size_t count, room;
	int *by_fd; /* index into all, or -1 */
	size_t by_fd_room;
};

/* Have @fn called with @who when one of @events happens on @fd, which is
 * @who's until watch_end(). A no-op for -1. False: out of memory. */
bool watch_set(struct watches *watches, int fd, int events, watch_fn *fn,
    void *who);

/* Give up @fd; a no-op if it is not @who's (any more). */
void watch_end(struct watches *watches, int fd, const void *who);

/* Give up *@fd and set it to -1, if libpq closed it: its connection has
 * @socket now. */
void watch_closed(struct watches *watches, int socket, int *fd,
    const void *who);

/* The entry of @fd; NULL: none. Valid until the next watch_set() or
 * watch_end(). */
static inline struct watch *
watch_find(const struct watches *watches, int fd)
{
	if (fd < 0 || (size_t)fd >= watches->by_fd_room ||
	    watches->by_fd[fd] == -1)
		return NULL;
	return &watches->all[watches->by_fd[fd]];
}

/* Wait with poll(2). Returns how many entries to pass to watch_ready(), which
 * says whether each is ready; 0: none is. */
size_t watch_poll(struct watches *watches, int timeout_ms);
/* MEWS_WATCH_READ, MEWS_WATCH_WRITE, both, or 0; *@fd is set unless 0. */
static inline int
watch_ready(const struct watches *watches, size_t index, int *fd)
{
	int	revents = watches->polls[index].revents;

	if (revents == 0)
		return 0;
	*fd = watches->polls[index].fd;
	return ((revents & ~POLLOUT) != 0 ? MEWS_WATCH_READ : 0) |
	    ((revents & POLLOUT) != 0 ? MEWS_WATCH_WRITE : 0);
}

void watch_free(struct watches *watches);

#endif
