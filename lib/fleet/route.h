/*
 * route.h - which endpoints may serve a group, best first.
 *
 * Pure: made when a health changes, used for each query. Tiers are tried in
 * order; within a tier all are equally good.
 */
#ifndef LIB_FLEET_ROUTE_H
#define LIB_FLEET_ROUTE_H

#include "fleet/health.h"
#include "fleet/segment.h"

#include <mews/settings.h>

#define ROUTE_TIERS 6
#define ROUTE_NONE  UINT8_MAX

struct route {
	uint8_t count;
	uint8_t kept; /* >= count: the rest are primaries that get no work until
			 a probe has told their timeline; their connections stay
			 open */
	uint8_t outdated; /* a primary that is not used, because @newest was
			     seen on a higher timeline */
	uint8_t newest;   /* ROUTE_NONE: there is none */
	uint8_t mixed;	  /* an endpoint that is used for reads only, or not at
			     all, as it is not a single server; or ROUTE_NONE */
	uint8_t tier_end[ROUTE_TIERS]; /* one past the index of the tier's
					  last */
	uint8_t endpoint[MEWS_ENDPOINTS_MAX]; /* indices, in tiers */
};

/* A part of a route that is equally good: endpoint[from .. to - 1]. */
struct tier {
	uint8_t from, to;
	uint8_t next; /* the index of the next one */
};

/* One endpoint, as far as a route needs it. */
struct route_candidate {
	struct health health;
	uint32_t timeline; /* as last seen, in any role; 0: not known */
	uint32_t lag_ms;   /* SEGMENT_LAG_UNKNOWN */
	uint64_t lag_bytes;
	bool drained;
	bool proven; /* the timeline was measured since it became a primary */
	bool mixed;  /* see mixed.h */
};

void route_make(struct route *route, const struct mews_group_config *group,
    const struct route_candidate *candidates, uint32_t count);

/* May a group ever use an endpoint of that role? */
bool route_suits(const struct mews_group_config *group, enum health_role role);

/* Is the timeline of some living primary unknown? Then no primary is used. */
bool route_is_unproven(const struct route_candidate *candidates,
    uint32_t count);

/* Go on from @tier, at first { 0 }, to the next best one that is not empty.
 * False: there is none. */
static inline bool
route_next_tier(const struct route *route, struct tier *tier)
{
	while (tier->next < ROUTE_TIERS) {
		tier->from = tier->to;
		tier->to = route->tier_end[tier->next++];
		if (tier->from < tier->to)
			return true;
	}
	return false;
}

/* Does the route lead to @endpoint, now or once the timelines are known? */
static inline bool
route_keeps(const struct route *route, uint32_t endpoint)
{
	for (uint32_t i = 0; i < route->kept; i++)
		if (route->endpoint[i] == endpoint)
			return true;
	return false;
}

#endif
