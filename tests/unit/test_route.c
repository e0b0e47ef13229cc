/*
 * test_route.c - which endpoints may serve a group, and in which order.
 */
#include "inside.h"

#include "fleet/route.h"

#define GROUP_ROLES 4
#define NEVER	    -1

/*
 * The tier of each server that is UP and of each that is SUSPECT, by role: a
 * known and wanted role goes before an unknown one, a healthy second best
 * before a suspect best.
 */
static const struct {
	int up, suspect;
} tiers[GROUP_ROLES][HEALTH_ROLES] = {
	[MEWS_GROUP_ANY] = {
		[HEALTH_ROLE_UNKNOWN] = { 4, 5 },
		[HEALTH_ROLE_PRIMARY] = { 0, 2 },
		[HEALTH_ROLE_STANDBY] = { 0, 2 },
		[HEALTH_ROLE_READONLY] = { 0, 2 },
	},
	[MEWS_GROUP_PRIMARY] = {
		[HEALTH_ROLE_UNKNOWN] = { 4, 5 },
		[HEALTH_ROLE_PRIMARY] = { 0, 2 },
		[HEALTH_ROLE_STANDBY] = { NEVER, NEVER },
		[HEALTH_ROLE_READONLY] = { NEVER, NEVER },
	},
	[MEWS_GROUP_STANDBY] = {
		[HEALTH_ROLE_UNKNOWN] = { 4, 5 },
		[HEALTH_ROLE_PRIMARY] = { NEVER, NEVER },
		[HEALTH_ROLE_STANDBY] = { 0, 2 },
		[HEALTH_ROLE_READONLY] = { 0, 2 },
	},
	[MEWS_GROUP_PREFER_STANDBY] = {
		[HEALTH_ROLE_UNKNOWN] = { 4, 5 },
		[HEALTH_ROLE_PRIMARY] = { 1, 3 },
		[HEALTH_ROLE_STANDBY] = { 0, 2 },
		[HEALTH_ROLE_READONLY] = { 0, 2 },
	},
};

/* The route over servers that differ in nothing but their health. */
static void
make(struct route *route, enum mews_group_role role,
    const struct health *healths, uint32_t count)
{
	const struct mews_group_config	group = { .role = role };
	struct route_candidate		all[MEWS_ENDPOINTS_MAX] = { 0 };

	for (uint32_t i = 0; i < count; i++) {
		all[i].health = healths[i];
		all[i].proven = true;
	}
	route_make(route, &group, all, count);
}

static int
wanted_tier(enum mews_group_role group, struct health health)
{
	switch (health.state) {
	case HEALTH_UP:
		return tiers[group][health.role].up;
	case HEALTH_SUSPECT:
		return tiers[group][health.role].suspect;
	default:
		return NEVER;	/* DOWN is dead, UNKNOWN is yet to be probed */
	}
}

/* The tier that @endpoint is in on @route. */
static int
tier_in(const struct route *route, int endpoint)
{
	int	tier = 0;

	for (int i = 0; i < route->count; i++) {
		while (i == route->tier_end[tier])
			tier++;
		if (route->endpoint[i] == endpoint)
			return tier;
	}
	return NEVER;
}

START_TEST(role_and_state_make_the_tier)
{
	enum mews_group_role group = (enum mews_group_role)_i;
	struct health	     health = { .failures = 1, .epoch = 2 };
	struct route	     route;

	for (int state = 0; state < HEALTH_STATES; state++)
		for (int role = 0; role < HEALTH_ROLES; role++) {
			health.state = (enum health_state)state;
			health.role = (enum health_role)role;
			make(&route, group, &health, 1);
			ck_assert_msg(tier_in(&route, 0) ==
			    wanted_tier(group, health), "%s %s for %s: %d",
			    health_state_name(health.state),
			    health_role_name(health.role),
			    mews_group_role_name(group), tier_in(&route, 0));
		}
}
END_TEST

START_TEST(a_route_lists_each_server_once_best_first)
{
	struct health	healths[MEWS_ENDPOINTS_MAX];
	struct route	route;
	uint64_t	seed = 20;

	for (int round = 0; round < 5000; round++) {
		enum mews_group_role group =
		    (enum mews_group_role)(dice(&seed) % GROUP_ROLES);
		uint32_t count = (uint32_t)
		    (dice(&seed) % (MEWS_ENDPOINTS_MAX + 1));
		int	 usable = 0;

		for (uint32_t i = 0; i < count; i++)
			healths[i] = health_unpack(dice(&seed));
		memset(&route, 0xa5, sizeof(route));
		make(&route, group, healths, count);
		for (uint32_t i = 0; i < count; i++) {
			int tier = wanted_tier(group, healths[i]);

			REQUIRE(tier_in(&route, (int)i) == tier);
			usable += tier != NEVER;
		}
		REQUIRE(route.count == usable);
		REQUIRE(route.tier_end[ROUTE_TIERS - 1] == usable);
		for (int i = 1; i < ROUTE_TIERS; i++)
			REQUIRE(route.tier_end[i - 1] <= route.tier_end[i]);
	}
}
END_TEST

/* A server that is UP and has this role is kept out for the reason @out. */
#define STANDBY { .state = HEALTH_UP, .role = HEALTH_ROLE_STANDBY }
#define PRIMARY { .state = HEALTH_UP, .role = HEALTH_ROLE_PRIMARY }

static const struct {
	struct mews_group_config group;
	struct route_candidate candidate;
	bool out;
} rejections[] = {
	{ { 0 }, { STANDBY, 0, 0, 0, true }, true },
	{ { 0 }, { PRIMARY, 0, 0, 0, true }, true },
	{ { 0 }, { PRIMARY, 0, 0, 0, false }, false },
	{ { 0 }, { STANDBY, 0, 99999, UINT64_MAX, false }, false },
	{ { .max_lag = 100 }, { STANDBY, 0, 100, 0, false }, false },
	{ { .max_lag = 100 }, { STANDBY, 0, 101, 0, false }, true },
	{ { .max_lag = 100 }, { STANDBY, 0, 0, 999, false }, false },
	{ { .max_lag_bytes = 100 }, { STANDBY, 0, 0, 100, false }, false },
	{ { .max_lag_bytes = 100 }, { STANDBY, 0, 0, 101, false }, true },
	{ { .max_lag_bytes = 100 }, { STANDBY, 0, 999, 0, false }, false },
	{ { .max_lag = 1, .max_lag_bytes = 1 }, { STANDBY, 0, 2, 0, false },
	  true },
	/* A lag that is not measured counts as none; a primary is never
	 * late. */
	{ { .max_lag = 1, .max_lag_bytes = 1 }, { STANDBY, 0,
	    SEGMENT_LAG_UNKNOWN, 999, false }, false },
	{ { .max_lag = 1, .max_lag_bytes = 1 }, { PRIMARY, 0, 999, 999,
	    false }, false },
};

START_TEST(drained_and_late_servers_are_left_out_of_a_route)
{
	struct route	route;

	route_make(&route, &rejections[_i].group, &rejections[_i].candidate,
	    1);
	ck_assert_uint_eq(route.count, rejections[_i].out ? 0 : 1);
}
END_TEST

/* A login to such an endpoint may lead to a server of either role, so it serves
 * only groups that take any. */
START_TEST(a_mixed_endpoint_serves_no_group_with_a_role)
{
	static const bool	serves[] = {
		[MEWS_GROUP_ANY] = true,
		[MEWS_GROUP_PRIMARY] = false,
		[MEWS_GROUP_STANDBY] = false,
		[MEWS_GROUP_PREFER_STANDBY] = true,
	};
	struct route_candidate	mixed = { .mixed = true, .health = {
		.state = HEALTH_UP, .role = HEALTH_ROLE_READONLY } };

	for (int role = 0; role < COUNT(serves); role++) {
		struct mews_group_config group = {
			.role = (enum mews_group_role)role };
		struct route		 route;

		route_make(&route, &group, &mixed, 1);
		ck_assert_uint_eq(route.count, serves[role]);
		ck_assert_uint_eq(route.mixed, 0);
	}
}
END_TEST

#define DEAD { .state = HEALTH_DOWN, .role = HEALTH_ROLE_PRIMARY }

#define ENDPOINTS 3

static const struct {
	const char *why;
	struct route_candidate all[ENDPOINTS];
	int writes, reads; /* the primary that gets the writes, or NEVER */
	bool kept;	   /* NEVER, but its connections are kept */
} timelines[] = {
	{ "the newer one", { { PRIMARY, 3, 0, 0, false, true },
	    { PRIMARY, 5, 0, 0, false, true } }, 1, 1, false },
	{ "the newer one died", { { PRIMARY, 3, 0, 0, false, true },
	    { DEAD, 5, 0, 0, false, true } }, NEVER, 0, false },
	{ "a standby follows a newer one", { { PRIMARY, 3, 0, 0, false, true },
	    { STANDBY, 5, 0, 0, false, false } }, NEVER, 0, false },
	{ "the other was rewound", { { PRIMARY, 3, 0, 0, false, true },
	    { STANDBY, 3, 0, 0, false, false } }, 0, 0, false },
	{ "just promoted", { { PRIMARY, 3, 0, 0, false, false },
	    { STANDBY, 2, 0, 0, false, false } }, NEVER, 0, true },
	{ "promoted beside the old one", { { PRIMARY, 2, 0, 0, false, true },
	    { STANDBY, 2, 0, 0, false, false },
	    { PRIMARY, 3, 0, 0, false, false } }, NEVER, 0, true },
	{ "promoted, and died unseen", { { PRIMARY, 3, 0, 0, false, true },
	    { DEAD, 0, 0, 0, false, false } }, 0, 0, false },
	{ "none can be told", { { PRIMARY, 0, 0, 0, false, true },
	    { STANDBY, 0, 0, 0, false, false } }, 0, 0, false },
};

START_TEST(writes_go_to_the_newest_timeline_ever_seen_or_nowhere)
{
	static const struct mews_group_config writer = {
		.role = MEWS_GROUP_PRIMARY }, reader = { 0 };
	struct route	writes, reads;
	int		primary;

	route_make(&writes, &writer, timelines[_i].all, ENDPOINTS);
	ck_assert_int_eq(writes.count, timelines[_i].writes == NEVER ? 0 : 1);
	if (writes.count == 1)
		ck_assert_int_eq(writes.endpoint[0], timelines[_i].writes);
	primary = timelines[_i].writes == NEVER ? 0 : timelines[_i].writes;
	ck_assert(route_keeps(&writes, (uint32_t)primary) ==
	    (writes.count == 1 || timelines[_i].kept));
	ck_assert((writes.outdated != ROUTE_NONE) ==
	    (timelines[_i].writes == 1 ||
		(writes.count == 0 && !timelines[_i].kept)));
	route_make(&reads, &reader, timelines[_i].all, ENDPOINTS);
	ck_assert_int_eq(tier_in(&reads, timelines[_i].reads), 0);
}
END_TEST

static Suite *
route_suite(void)
{
	Suite	*suite = suite_create("route");
	TCase	*tcase = unit_case(suite, "tiers");

	tcase_add_loop_test(tcase, role_and_state_make_the_tier, 0,
	    GROUP_ROLES);
	tcase_add_loop_test(tcase,
	    drained_and_late_servers_are_left_out_of_a_route, 0,
	    COUNT(rejections));
	tcase_add_loop_test(tcase,
	    writes_go_to_the_newest_timeline_ever_seen_or_nowhere, 0,
	    COUNT(timelines));
	tcase_add_test(tcase, a_mixed_endpoint_serves_no_group_with_a_role);
	tcase_add_test(tcase, a_route_lists_each_server_once_best_first);
	return suite;
}

UNIT_MAIN(route_suite)
