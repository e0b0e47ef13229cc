/*
 * load.h - clients that ask all the time, whatever happens to the fleet.
 *
 * Each is a process that keeps its connection, and hears a last answer's
 * "Connection: close". Each request has to be answered with 200. The first asks
 * for slow ones, the last rests between its requests.
 */
#ifndef TESTS_FLEET_LOAD_H
#define TESTS_FLEET_LOAD_H

#include "fleet.h"

#include <stdatomic.h>

#define LOAD_CLIENTS 4

struct load {
	_Atomic bool	 over;
	_Atomic unsigned answered, failed, closed;
	int64_t		 began;
	pid_t		 clients[LOAD_CLIENTS];
	char		 why[200]; /* of the first that failed */
};

/** In memory that the clients share, never freed. */
struct load *load_begin(const struct fleet *fleet);
/** End it, print the figures as @what, and fail if a request failed. */
void load_end(const struct fleet *fleet, struct load *load, const char *what);

#endif
