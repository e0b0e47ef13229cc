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

/* -1: not to be used. A healthy second best goes before a suspect best. */
static int
tier_of(enum mews_group_role role, struct health health)
{
	int	suit = suits[role][health.role];

	if (suit < 0)
		return -1;
	if (health.state == HEALTH_UP)
		return suit == 2 ? 4 : suit;
	if (health.state == HEALTH_SUSPECT)
		return suit == 2 ? 5 : suit + 2;
	return -1;
}

void
route_make(struct route *route, enum mews_group_role role,
    const struct health *healths, uint32_t count)
{
	route->count = 0;
	for (int tier = 0; tier < ROUTE_TIERS; tier++) {
		for (uint32_t i = 0; i < count; i++)
			if (tier_of(role, healths[i]) == tier)
				route->endpoint[route->count++] = (uint8_t)i;
		route->tier_end[tier] = route->count;
	}
}
