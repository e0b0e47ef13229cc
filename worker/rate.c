/*
 * rate.c - log what strangers can cause, but not as often as they like.
 */
#include "rate.h"

#include <sys/param.h>

#define LINES_AT_ONCE 10
#define LINES_PER_SECOND 1

/* A second refills a line's place: on a machine that never rests, a stranger
 * writes 86,400 lines a day, which is some 20 MB, and no more. */
bool
rate_allow(struct rate *rate, unsigned *suppressed)
{
	time_t now = time(NULL), passed = now - rate->second;

	if (passed < 0 || passed >= LINES_AT_ONCE)
		rate->lines = 0;
	else
		rate->lines -= MIN(rate->lines,
		    (unsigned)passed * LINES_PER_SECOND);
	rate->second = now;
	if (rate->lines == LINES_AT_ONCE) {
		rate->suppressed++;
		return false;
	}
	rate->lines++;
	*suppressed = rate->suppressed;
	rate->suppressed = 0;
	return true;
}
