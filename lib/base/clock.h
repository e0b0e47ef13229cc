/*
 * clock.h - the one clock: CLOCK_MONOTONIC, in microseconds.
 *
 * The pool reads it once per turn of the loop. The time in a health word is
 * in milliseconds since the segment was made, 32 bits that wrap after 49 days:
 * compare them with clock_reached() only, within half that range.
 */
#ifndef LIB_BASE_CLOCK_H
#define LIB_BASE_CLOCK_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

static inline int64_t
clock_now_us(void)
{
	struct timespec	ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

/* Is @now at or after @when? Right while they are 24 days apart at most. */
static inline bool
clock_reached(uint32_t now, uint32_t when)
{
	return (int32_t)(now - when) >= 0;
}

#endif
