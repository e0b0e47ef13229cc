/*
 * rate.h - limiting the rate of log lines that strangers can cause.
 *
 * One per kind of line; begins as zero.
 */
#ifndef WORKER_RATE_H
#define WORKER_RATE_H

#include <stdbool.h>
#include <time.h>

struct rate {
	time_t second;	     /* of the last call */
	unsigned lines;	     /* written, less one for each second since */
	unsigned suppressed; /* not written since the last line that was */
};

/**
 * Take the right to write one more line. Ten at once may be written, then one a
 * second. A caller bounds the length of its lines, and so the bytes of a day.
 *
 * @suppressed  set if true is returned: lines lost since the last one.
 */
bool rate_take(struct rate *rate, unsigned *suppressed);

#endif
