/*
 * lag.c - how old the state of a standby is: from its position, and samples of
 * the primary's positions and their times. Both are measured by probe.c.
 */
#include "monitor/lag.h"

#include <string.h>

/* Drop the sample that is missed least: the gap that it leaves is the smallest
 * in proportion to its age. The oldest and the newest stay. */
static void
drop_one(struct lag *lag, int64_t now_ms)
{
	const int64_t *when = lag->when_ms;
	uint32_t       least = 1, behind;
	double	       least_part = 0, part;

	for (uint32_t i = 1; i + 1 < lag->count; i++) {
		part = (double)(when[i + 1] - when[i - 1]) /
		    (double)(now_ms - when[i] + 1);
		if (i == 1 || part < least_part) {
			least = i;
			least_part = part;
		}
	}
	behind = --lag->count - least;
	memmove(&lag->lsn[least], &lag->lsn[least + 1],
	    behind * sizeof(lag->lsn[0]));
	memmove(&lag->when_ms[least], &lag->when_ms[least + 1],
	    behind * sizeof(lag->when_ms[0]));
}

void
lag_note(struct lag *lag, uint64_t lsn, int64_t now_ms)
{
	uint64_t	last = lag->count == 0 ? 0 : lag->lsn[lag->count - 1];

	if (lsn < last)
		lag->count = 0;
	else if (lag->count > 0 && lsn == last)
		return; /* idle: keep the older samples */
	if (lag->count == LAG_SAMPLES)
		drop_one(lag, now_ms);
	lag->lsn[lag->count] = lsn;
	lag->when_ms[lag->count++] = now_ms;
}

uint32_t
lag_ms(const struct lag *lag, uint64_t lsn, int64_t now_ms)
{
	int64_t		behind = 0;

	/* Find the oldest sample that the standby has not reached. */
	for (uint32_t i = lag->count; i > 0 && lag->lsn[i - 1] > lsn; i--)
		behind = now_ms - lag->when_ms[i - 1];
	/* May be weeks, if the primary is idle and the standby stands still. */
	return behind < LAG_MOST ? (uint32_t)behind : LAG_MOST;
}

uint64_t
lag_bytes(const struct lag *lag, uint64_t lsn)
{
	uint64_t	end = lag->count == 0 ? 0 : lag->lsn[lag->count - 1];

	return end > lsn ? end - lsn : 0;
}
