/*
 * route.c - role and state make the tier.
 */
#include "route.h"

/*
 * How well a server's role suits a group's: 0 best, 1 second best, 2 not
 * known to suit, -1 never. A server's role stays unknown while it answers but
 * lets nobody in: kept as the last resort, so that its refusal is seen.
 */
static const signed char suits[][HEALTH_ROLES] = {
	[MEWS_GROUP_ANY] = {
		[HEALTH_ROLE_UNKNOWN] = 2,
		[HEALTH_ROLE_PRIMARY] = 0,
		[HEALTH_ROLE_STANDBY] = 0,
		[HEALTH_ROLE_READONLY] = 0,
	},
	[MEWS_GROUP_PRIMARY] = {
		[HEALTH_ROLE_UNKNOWN] = 2,
		[HEALTH_ROLE_PRIMARY] = 0,
		[HEALTH_ROLE_STANDBY] = -1,
		[HEALTH_ROLE_READONLY] = -1,
	},
	[MEWS_GROUP_STANDBY] = {
		[HEALTH_ROLE_UNKNOWN] = 2,
		[HEALTH_ROLE_PRIMARY] = -1,
		[HEALTH_ROLE_STANDBY] = 0,
		[HEALTH_ROLE_READONLY] = 0,
	},
	[MEWS_GROUP_PREFER_STANDBY] = {
		[HEALTH_ROLE_UNKNOWN] = 2,
		[HEALTH_ROLE_PRIMARY] = 1,
		[HEALTH_ROLE_STANDBY] = 0,
		[HEALTH_ROLE_READONLY] = 0,
	},
};

static bool
is_alive(const struct route_candidate *candidate)
{
	return candidate->health.state == HEALTH_UP ||
	    candidate->health.state == HEALTH_SUSPECT;
}

uint32_t
route_timeline(const struct route_candidate *candidates, uint32_t count)
{
	uint32_t	highest = 0;

	for (uint32_t i = 0; i < count; i++)
		if (candidates[i].health.role == HEALTH_ROLE_PRIMARY &&
		    is_alive(&candidates[i]) &&
		    candidates[i].timeline > highest)
			highest = candidates[i].timeline;
	return highest;
}

static bool
lags(const struct mews_group_config *group,
    const struct route_candidate *candidate)
{
	if (candidate->health.role != HEALTH_ROLE_STANDBY ||
	    candidate->lag_ms == SEGMENT_LAG_UNKNOWN)
		return false;
	return (group->max_lag != 0 && candidate->lag_ms > group->max_lag) ||
	    (group->max_lag_bytes != 0 &&
		candidate->lag_bytes > group->max_lag_bytes);
}

/* -1: not to be used. A healthy second best goes before a suspect best. */
static int
tier_of(const struct mews_group_config *group,
    const struct route_candidate *candidate, uint32_t timeline)
{
	int	suit = suits[group->role][candidate->health.role];

	if (suit < 0 || candidate->drained || !is_alive(candidate) ||
	    lags(group, candidate))
		return -1;
	/* A primary of an older timeline was replaced, and knows not. */
	if (candidate->health.role == HEALTH_ROLE_PRIMARY &&
	    candidate->timeline < timeline)
		return -1;
	if (candidate->health.state == HEALTH_UP)
		return suit == 2 ? 4 : suit;
	return suit == 2 ? 5 : suit + 2;
}

void
route_make(struct route *route, const struct mews_group_config *group,
    const struct route_candidate *candidates, uint32_t count)
{
	uint32_t	timeline = route_timeline(candidates, count);

	route->count = 0;
	for (int tier = 0; tier < ROUTE_TIERS; tier++) {
		for (uint32_t i = 0; i < count; i++)
			if (tier_of(group, &candidates[i], timeline) == tier)
				route->endpoint[route->count++] = (uint8_t)i;
		route->tier_end[tier] = route->count;
	}
}
