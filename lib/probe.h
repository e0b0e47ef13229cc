/*
 * probe.h - one question to an endpoint: are you there, and what are you?
 *
 * A process probes an endpoint only while it holds the probe lease in the
 * health word, so the fleet asks one at a time. The monitor probes all of
 * them, all the time; workers probe what is not UP while there is none.
 */
#ifndef PROBE_H
#define PROBE_H

#include "dial.h"
#include "lag.h"
#include "pool.h"

struct probe;

/* What the monitor keeps besides: sessions to ask over, the primary's WAL. */
struct monitor {
	PGconn *held[MEWS_ENDPOINTS_MAX]; /* idle, or NULL */
	unsigned held_epoch[MEWS_ENDPOINTS_MAX]; /* when it was kept */
	struct lag lag;
	uint32_t hurries; /* of the segment, as last acted upon */
	int64_t hurry_until_us; /* somebody waits for a measurement */
};

/* Take the lease if a probe is due, and begin. Sets pool_due(). */
void probe_scan(struct mews_pool *pool, uint32_t endpoint, int64_t now_us);

/* Something happened on its descriptor. */
void probe_ready(struct probe *probe);

/* Nobody looked at it for so long: that does not count. NULL is a no-op. */
void probe_extend(struct probe *probe, int64_t away_us);

/* Give it up without a verdict. NULL is a no-op. */
void probe_stop(struct probe *probe);

/* Its descriptor, for a fork's copy; -1: none. */
int probe_fd(const struct probe *probe);

#endif
