/*
 * route.h - which endpoints may serve a group, best first.
 *
 * Pure: made from the healths, looked at for each query. Tiers are tried in
 * order; within a tier all are equally welcome.
 */
#ifndef ROUTE_H
#define ROUTE_H

#include "health.h"
#include "segment.h"

#include <mews/config.h>

#define ROUTE_TIERS 6

struct route {
	uint8_t count;
	uint8_t tier_end[ROUTE_TIERS]; /* index behind the tier's last */
	uint8_t endpoint[MEWS_ENDPOINTS_MAX]; /* indices, in tiers */
};

/* What a route is made from, of one endpoint. */
struct route_candidate {
	struct health health;
	uint32_t timeline; /* 0: not known */
	uint32_t lag_ms;   /* SEGMENT_LAG_UNKNOWN */
	uint64_t lag_bytes;
	bool drained;
};

void route_make(struct route *route, const struct mews_group_config *group,
    const struct route_candidate *candidates, uint32_t count);

/* The highest timeline that a living primary claims: the others are of the
 * past. */
uint32_t route_timeline(const struct route_candidate *candidates,
    uint32_t count);

#endif
