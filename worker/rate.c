/*
 * rate.c - limiting the rate of log lines that strangers can cause.
 */
#include "rate.h"

#include <sys/param.h>

#define LINES_AT_ONCE 10
#define LINES_PER_SECOND 1

/* Each second allows one more line: at most 86,400 lines a day, which is some
 * 20 MB. */
bool
rate_take(struct rate *rate, unsigned *suppressed)
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
