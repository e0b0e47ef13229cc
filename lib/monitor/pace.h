/*
 * pace.h - when an endpoint is asked next, and how its lease is taken.
 */
#ifndef LIB_MONITOR_PACE_H
#define LIB_MONITOR_PACE_H

#include "monitor/probe.h"

/* The arguments of endpoint_lease(), and when it may succeed. */
struct pace {
	enum health_prober self;
	bool panic;
	uint32_t probed_ms;
	bool timed;	 /* false: it succeeds only after a change */
	uint32_t due_ms; /* from now on, if timed */
};

/* The pace of @endpoint for this process; sooner if @panic: a query waits, and
 * no endpoint can be used. */
struct pace pace_of(const struct prober *prober, uint32_t endpoint,
    bool panic, int64_t now_us);

#endif
