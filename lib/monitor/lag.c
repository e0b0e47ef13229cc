/*
 * lag.c - how old the state of a standby is: from its position, and a ring of
 * the primary's positions and their times. Both are measured by probe.c.
 */
#include "monitor/lag.h"

/* The @back-th newest sample; 0 is the newest. */
static uint32_t
at(const struct lag *lag, uint32_t back)
{
	return (lag->next + LAG_SAMPLES - 1 - back) % LAG_SAMPLES;
}

void
lag_note(struct lag *lag, uint64_t lsn, int64_t now_ms)
{
	uint64_t	last = lag->count == 0 ? 0 : lag->lsn[at(lag, 0)];

	if (lsn < last)
		lag->count = 0;
	else if (lag->count > 0 && lsn == last)
		return; /* idle: keep the older samples */
	lag->lsn[lag->next] = lsn;
	lag->when_ms[lag->next] = now_ms;
	lag->next = (lag->next + 1) % LAG_SAMPLES;
	if (lag->count < LAG_SAMPLES)
		lag->count++;
}

uint32_t
lag_ms(const struct lag *lag, uint64_t lsn, int64_t now_ms)
{
	int64_t		behind = 0;

	/* Find the oldest sample that the standby has not reached. */
	for (uint32_t i = 0; i < lag->count && lag->lsn[at(lag, i)] > lsn; i++)
		behind = now_ms - lag->when_ms[at(lag, i)];
	/* May be weeks, if the primary is idle and the standby stands still. */
	return behind < LAG_MOST ? (uint32_t)behind : LAG_MOST;
}

uint64_t
lag_bytes(const struct lag *lag, uint64_t lsn)
{
	uint64_t	end = lag->count == 0 ? 0 : lag->lsn[at(lag, 0)];

	return end > lsn ? end - lsn : 0;
}
