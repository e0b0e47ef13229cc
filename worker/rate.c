/*
 * rate.c - log what strangers can cause, but not as often as they like.
 */
#include "rate.h"

#define LINES_PER_SECOND 5

bool
rate_allow(struct rate *rate, unsigned *suppressed)
{
	time_t now = time(NULL);

	if (now != rate->second) {
		rate->second = now;
		rate->lines = 0;
	}
	if (rate->lines == LINES_PER_SECOND) {
		rate->suppressed++;
		return false;
	}
	rate->lines++;
	*suppressed = rate->suppressed;
	rate->suppressed = 0;
	return true;
}
