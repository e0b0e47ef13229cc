/*
 * route.c - which endpoints may serve a group, in tiers: by their role first,
 * then by their state. pool/share.c chooses within a tier.
 */
#include "fleet/route.h"

/*
 * How well a server's role suits a group's: 0 best, 1 second best, 2 not known
 * to suit, -1 never. The role of a server that answers but rejects logins stays
 * unknown: it is kept as the last resort, so that its refusal is seen.
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

bool
route_suits(const struct mews_group_config *group, enum health_role role)
{
	return suits[group->role][role] >= 0;
}

static bool
is_alive(const struct route_candidate *candidate)
{
	return candidate->health.state == HEALTH_UP ||
	    candidate->health.state == HEALTH_SUSPECT;
}

/*
 * The endpoint that was last seen on the highest timeline, in any state and
 * role; ROUTE_NONE: no timeline is known. A primary below it was replaced:
 * writes that it acknowledges will be lost when it is rewound.
 */
static uint32_t
route_newest(const struct route_candidate *candidates, uint32_t count)
{
	uint32_t	newest = ROUTE_NONE, highest = 0;

	for (uint32_t i = 0; i < count; i++)
		if (candidates[i].timeline > highest) {
			highest = candidates[i].timeline;
			newest = i;
		}
	return newest;
}

bool
route_is_unproven(const struct route_candidate *candidates, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		if (candidates[i].health.role == HEALTH_ROLE_PRIMARY &&
		    is_alive(&candidates[i]) && !candidates[i].proven)
			return true;
	return false;
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

/* The tier of @candidate; -1: not to be used. A healthy second best goes before
 * a suspect best. */
static int
tier_of(const struct mews_group_config *group,
    const struct route_candidate *candidate)
{
	int	suit = suits[group->role][candidate->health.role];

	/* A group of role standby may not use a mixed endpoint, which may be
	 * the primary. */
	if (candidate->mixed && group->role == MEWS_GROUP_STANDBY)
		return -1;
	if (suit < 0 || candidate->drained || !is_alive(candidate) ||
	    lags(group, candidate))
		return -1;
	if (candidate->health.state == HEALTH_UP)
		return suit == 2 ? 4 : suit;
	return suit == 2 ? 5 : suit + 2;
}

/* The highest timeline of a primary that is not DOWN. */
static uint32_t
living_timeline(const struct route_candidate *candidates, uint32_t count)
{
	uint32_t	highest = 0;

	for (uint32_t i = 0; i < count; i++)
		if (candidates[i].health.role == HEALTH_ROLE_PRIMARY &&
		    is_alive(&candidates[i]) && candidates[i].proven &&
		    candidates[i].timeline > highest)
			highest = candidates[i].timeline;
	return highest;
}

void
route_make(struct route *route, const struct mews_group_config *group,
    const struct route_candidate *candidates, uint32_t count)
{
	bool		writes = group->role == MEWS_GROUP_PRIMARY;
	bool		unproven = route_is_unproven(candidates, count);
	uint32_t	newest = route_newest(candidates, count);
	uint32_t	least = living_timeline(candidates, count);
	int		tiers[MEWS_ENDPOINTS_MAX];

	*route = (struct route) { .outdated = ROUTE_NONE, .mixed = ROUTE_NONE,
		.newest = (uint8_t)newest };
	/* Only writes must not reach an outdated primary: old rows are better
	 * than none. */
	if (writes && newest != ROUTE_NONE)
		least = candidates[newest].timeline;
	for (uint32_t i = 0; i < count; i++) {
		tiers[i] = tier_of(group, &candidates[i]);
		if (candidates[i].mixed && is_alive(&candidates[i]))
			route->mixed = (uint8_t)i;
		if (tiers[i] < 0 ||
		    candidates[i].health.role != HEALTH_ROLE_PRIMARY)
			continue;
		if (unproven) {
			/* The newest timeline is not known yet. */
			if (writes)
				tiers[i] = ROUTE_TIERS;
		} else if (candidates[i].timeline < least) {
			tiers[i] = -1;
			route->outdated = (uint8_t)i;
		}
	}
	for (int tier = 0; tier <= ROUTE_TIERS; tier++) {
		for (uint32_t i = 0; i < count; i++)
			if (tiers[i] == tier)
				route->endpoint[route->kept++] = (uint8_t)i;
		if (tier == ROUTE_TIERS)
			break;
		route->count = route->kept;
		route->tier_end[tier] = route->count;
	}
}
