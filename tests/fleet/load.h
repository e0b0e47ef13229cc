/*
 * load.h - clients that ask all the time, whatever happens to the fleet.
 *
 * Each is a process that keeps its connection, and hears a last answer's
 * "Connection: close". Each request has to be answered with 200 and "ok".
 */
#ifndef TESTS_FLEET_LOAD_H
#define TESTS_FLEET_LOAD_H

#include "fleet.h"

#include <stdatomic.h>

#define LOAD_CLIENTS	 4  /* of load_begin() */
#define LOAD_CLIENTS_MAX 64

/* One client, and its requests; the text lives as long as the load. */
struct load_client {
	const char *path;
	unsigned    every_us; /* from the beginning of one request to that of
				 the next, if it is answered by then */
	unsigned    rest_us;  /* at least, between an answer and the next */
};

struct load {
	_Atomic bool	 over;
	_Atomic unsigned answered, failed, closed;
	int64_t		 began;
	pid_t		 clients[LOAD_CLIENTS_MAX];
	int		 count; /* of them */
	char		 why[200]; /* of the first that failed */
};

/** Begin, in memory that the clients share, and that is never freed. The first
 * client asks for slow ones, the last rests between its requests. */
struct load *load_begin(const struct fleet *fleet);
/** Begin with clients of the caller. */
struct load *load_begin_with(const struct fleet *fleet,
    const struct load_client *clients, int count);
/** End it, print the figures as @what, and fail if a request failed. */
void load_end(const struct fleet *fleet, struct load *load, const char *what);

#endif
