/*
 * lag.h - how far a standby is behind, in bytes and in time.
 *
 * The monitor remembers where the primary's WAL ended, and when. A standby
 * that replayed up to some position is as late as that position is old.
 *
 * The newest samples are all kept. Older ones get fewer with their age, and the
 * oldest is never dropped: what is said of a standby that is late by hours is
 * too small by a tenth at most.
 */
#ifndef LIB_MONITOR_LAG_H
#define LIB_MONITOR_LAG_H

#include <stdint.h>

#define LAG_SAMPLES 256
#define LAG_MOST    (UINT32_MAX - 1) /* the next one is "not known" */

struct lag {
	uint64_t lsn[LAG_SAMPLES]; /* rising */
	int64_t when_ms[LAG_SAMPLES];
	uint32_t count; /* of those that are filled */
};

/* Note that the primary's WAL ends at @lsn. A position before the last one is
 * another primary's: begin anew. */
void lag_note(struct lag *lag, uint64_t lsn, int64_t now_ms);

/* The lag of a standby that replayed up to @lsn: milliseconds, LAG_MOST at
 * most, and bytes. Both are 0 while no primary was seen. */
uint32_t lag_ms(const struct lag *lag, uint64_t lsn, int64_t now_ms);
uint64_t lag_bytes(const struct lag *lag, uint64_t lsn);

#endif
