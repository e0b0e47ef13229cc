/*
 * rate.h - log what strangers can cause, but not as often as they like.
 *
 * One per kind of line. Zero is a fresh one.
 */
#ifndef RATE_H
#define RATE_H

#include <stdbool.h>
#include <time.h>

struct rate {
	time_t second;	     /* that the lines below are counted in */
	unsigned lines;	     /* let through */
	unsigned suppressed; /* not let through since the last that was */
};

/**
 * May another line be written? At most five a second may.
 *
 * @suppressed  set if true is returned: lines lost since the last one.
 */
bool rate_allow(struct rate *rate, unsigned *suppressed);

#endif
