/*
 * rate.h - log what strangers can cause, but not as often as they like.
 *
 * One per kind of line. Zero is a fresh one.
 */
#ifndef WORKER_RATE_H
#define WORKER_RATE_H

#include <stdbool.h>
#include <time.h>

struct rate {
	time_t second;	     /* of the last call */
	unsigned lines;	     /* let through, less one for each second since */
	unsigned suppressed; /* not let through since the last that was */
};

/**
 * May another line be written? Ten at once may, then one a second. A caller
 * bounds the length of its lines, and so the bytes of a day.
 *
 * @suppressed  set if true is returned: lines lost since the last one.
 */
bool rate_allow(struct rate *rate, unsigned *suppressed);

#endif
