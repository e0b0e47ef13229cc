/*
 * load.h - clients that ask all the time, whatever happens to the fleet.
 *
 * Each client is a process that keeps its connection, and obeys "Connection:
 * close". Each request must be answered with 200 and "ok".
 */
#ifndef TESTS_FLEET_LOAD_H
#define TESTS_FLEET_LOAD_H

#include "fleet.h"

#include <stdatomic.h>

#define LOAD_CLIENTS	 4  /* clients of load_begin() */
#define LOAD_CLIENTS_MAX 64

/* One client and its requests; the text must live as long as the load. */
struct load_client {
	const char *path;
	unsigned    every_us; /* from the beginning of a request to the next
				 one's, if its answer is there by then */
	unsigned    rest_us;  /* between an answer and the next request, at
				 least */
};

struct load {
	_Atomic bool	 over;
	_Atomic unsigned answered, failed, closed;
	int64_t		 began;
	pid_t		 clients[LOAD_CLIENTS_MAX];
	int		 count; /* how many clients */
	char		 why[200]; /* why the first failed request did */
};

/** Begin, in memory that the clients share and that is never freed. The first
 * client asks for slow answers, the last one rests between its requests. */
struct load *load_begin(const struct fleet *fleet);
/** Begin, with the caller's clients. */
struct load *load_begin_with(const struct fleet *fleet,
    const struct load_client *clients, int count);
/** End the load, print the figures as @what, and fail if a request failed. */
void load_end(const struct fleet *fleet, struct load *load, const char *what);

#endif
