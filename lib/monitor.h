/*
 * monitor.h - the part of the pool that only the monitor's process has.
 */
#ifndef MONITOR_H
#define MONITOR_H

#include "probe.h"

/* Was it asked to hurry; is the helper that resolves names due? */
void monitor_scan(struct mews_pool *pool, int64_t now_us);

#endif
