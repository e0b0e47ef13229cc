/*
 * probe.h - one login to find out whether an endpoint lives.
 *
 * A process probes an endpoint only while it holds the probe lease in the
 * health word, so the fleet sends one at a time. Nobody but the prober waits
 * for it.
 */
#ifndef PROBE_H
#define PROBE_H

#include "dial.h"
#include "pool.h"

struct probe;

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
