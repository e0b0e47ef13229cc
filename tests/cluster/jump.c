/*
 * jump.c - a clock that a test can put forward; see jump.h.
 */
#include "jump.h"

#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static int64_t shift_ms;

void
clock_shift(int64_t ms)
{
	shift_ms += ms;
}

int
clock_gettime(clockid_t id, struct timespec *ts)
{
	long	result = syscall(SYS_clock_gettime, id, ts);

	if (result == 0 && id == CLOCK_MONOTONIC) {
		ts->tv_sec += (time_t)(shift_ms / 1000);
		ts->tv_nsec += (long)(shift_ms % 1000) * 1000000;
		if (ts->tv_nsec >= 1000000000) {
			ts->tv_sec++;
			ts->tv_nsec -= 1000000000;
		}
	}
	return (int)result;
}
