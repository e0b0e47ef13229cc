/*
 * test_offer.c - which of a group's connections is the best for a query or a
 * lease, and in which order endpoints are tried.
 */
#include "inside.h"

#include "pool/offer.h"

#define NOW_US	   1000000
#define NOBODY	   UINT32_MAX	/* whose turn it is not */
#define SERVERS	   3

/* A group that reaches a primary, 0, and two standbys, 1 and 2, in one tier. */
struct scene {
	struct mews_group_config config;
	struct route route;
	struct group_endpoint on[SERVERS];
	struct known known[SERVERS];
	struct route_candidate seen[SERVERS];
	struct segment_endpoint endpoints[SERVERS];
	struct mews_fleet fleet;
	struct conn conns[SERVERS][2];
	struct offer offer;
	struct tier tier;
};

static void
set_up(struct scene *scene)
{
	*scene = (struct scene) {
		.config = { .pipeline = 8 },
		.route = { .count = SERVERS, .endpoint = { 0, 1, 2 },
			.tier_end = { 3, 3, 3, 3, 3, 3 } },
	};
	scene->offer = (struct offer) {
		.route = &scene->route, .on = scene->on,
		.known = scene->known, .seen = scene->seen,
		.fleet = &scene->fleet, .config = &scene->config,
	};
	scene->fleet.segment.endpoints = scene->endpoints;
	for (uint32_t i = 0; i < SERVERS; i++) {
		scene->known[i].state = HEALTH_UP;
		scene->known[i].role = i == 0 ? HEALTH_ROLE_PRIMARY :
		    HEALTH_ROLE_STANDBY;
		TAILQ_INIT(&scene->on[i].conns);
		for (int k = 0; k < 2; k++) {
			struct conn *conn = &scene->conns[i][k];

			conn->endpoint = i;
			conn->state = CONN_READY;
			conn->heard_us = NOW_US;
			TAILQ_INSERT_TAIL(&scene->on[i].conns, conn, link);
		}
	}
	ck_assert(route_next_tier(&scene->route, &scene->tier));
}

/* Put @count queries on a connection, the first sent @us ago. */
static void
load(struct conn *conn, uint32_t count, int64_t us)
{
	conn->in_flight = count;
	conn->tail = conn->head + count;
	conn->head_since_us = NOW_US - us;
}

/* Which connection meets @need, as endpoint * 2 + its place; -1: none. */
static int
found(struct scene *scene, struct need need, uint32_t turn)
{
	struct conn	*conn;

	need.now_us = NOW_US;
	if (need.below == 0)
		need.below = scene->config.pipeline;
	conn = offer_find(&scene->offer, &need, scene->tier, turn);
	return conn == NULL ? -1 : (int)(conn - &scene->conns[0][0]);
}

START_TEST(tiers_are_walked_best_first_without_the_empty_ones)
{
	const struct route	route = { .count = 3,
		.tier_end = { 0, 1, 1, 3, 3, 3 } };
	struct tier		tier = { 0 };

	ck_assert(route_next_tier(&route, &tier));
	ck_assert_int_eq(tier.from * 10 + tier.to, 1);
	ck_assert(route_next_tier(&route, &tier));
	ck_assert_int_eq(tier.from * 10 + tier.to, 13);
	ck_assert(!route_next_tier(&route, &tier));
	ck_assert(!route_next_tier(&route, &tier));
}
END_TEST

START_TEST(a_walk_begins_with_the_turn_and_visits_each_once)
{
	struct scene	scene;
	struct need	need = { .now_us = NOW_US };

	set_up(&scene);
	for (uint32_t turn = 0; turn <= SERVERS; turn++) {
		struct walk walk = walk_begin(&scene.offer, &need, scene.tier,
		    turn == SERVERS ? NOBODY : turn);

		for (uint32_t i = 0; i < SERVERS; i++) {
			ck_assert(walk_next(&walk));
			ck_assert_uint_eq(walk.endpoint,
			    (turn + i) % SERVERS);
		}
		ck_assert(!walk_next(&walk));
	}
}
END_TEST

START_TEST(the_least_in_flight_is_of_the_turn_or_of_the_tier)
{
	struct scene	scene;

	set_up(&scene);
	for (uint32_t i = 0; i < SERVERS; i++)
		for (uint32_t k = 0; k < 2; k++)
			load(&scene.conns[i][k], 6 - 2 * i - k, 0);
	ck_assert_int_eq(found(&scene, (struct need) { 0 }, 1), 3);
	ck_assert_int_eq(found(&scene, (struct need) { .least = true }, 1),
	    5);
	/* Of equals the first, from the turn on. */
	for (uint32_t i = 0; i < SERVERS; i++)
		load(&scene.conns[i][0], 1, 0);
	ck_assert_int_eq(found(&scene, (struct need) { .least = true }, 1),
	    2);
	/* Full ones, closing ones and those of slow queries are none. */
	scene.config.pipeline = 1;
	ck_assert_int_eq(found(&scene, (struct need) { 0 }, 1), -1);
	load(&scene.conns[0][0], 0, 0);
	ck_assert_int_eq(found(&scene, (struct need) { 0 }, 1), 0);
	scene.conns[0][0].slow_lane = true;
	ck_assert_int_eq(found(&scene, (struct need) { 0 }, 1), -1);
	scene.conns[0][0].slow_lane = false;
	scene.conns[0][0].retiring = true;
	ck_assert_int_eq(found(&scene, (struct need) { 0 }, 1), -1);
}
END_TEST

START_TEST(a_connection_held_up_serves_if_nothing_else_does)
{
	struct scene	scene;

	set_up(&scene);
	scene.tier.to = 1;
	load(&scene.conns[0][0], 1, KNOWN_HELD_US + 1);
	load(&scene.conns[0][1], 2, KNOWN_STALL_US + 1);
	ck_assert_int_eq(found(&scene, (struct need) { 0 }, 0), -1);
	ck_assert_int_eq(found(&scene, (struct need) { .pace = NEED_HELD },
	    0), 0);
	/* A suspect's only until it has stalled. */
	load(&scene.conns[0][0], 3, KNOWN_STALL_US - 1);
	ck_assert_int_eq(found(&scene, (struct need) { .pace = NEED_HELD },
	    0), 1);
	scene.known[0].state = HEALTH_SUSPECT;
	ck_assert_int_eq(found(&scene, (struct need) { .pace = NEED_HELD },
	    0), 0);
	ck_assert_int_eq(found(&scene, (struct need) { .pace = NEED_ANY }, 0),
	    1);
}
END_TEST

START_TEST(a_lease_gets_a_connection_with_nothing_in_flight)
{
	struct scene	scene;
	struct need	alone = { .what = NEED_ALONE };
	struct need	lane = { .what = NEED_LANE };

	set_up(&scene);
	for (uint32_t i = 0; i < SERVERS; i++)
		for (int k = 0; k < 2; k++)
			load(&scene.conns[i][k], 1, 0);
	ck_assert_int_eq(found(&scene, alone, 0), -1);
	load(&scene.conns[2][1], 0, 0);
	ck_assert_int_eq(found(&scene, alone, 0), 5);
	ck_assert_int_eq(found(&scene, lane, 0), -1);
	scene.conns[2][1].slow_lane = true;
	ck_assert_int_eq(found(&scene, lane, 0), 5);
	/* A reset may have been answered since the last look in this turn. */
	scene.conns[2][1].state = CONN_RESETTING;
	ck_assert_int_eq(found(&scene, alone, 0), -1);
	scene.conns[2][1].heard_us = NOW_US - 1;
	ck_assert_int_eq(found(&scene, alone, 0), 5);
}
END_TEST

START_TEST(a_query_goes_where_it_may_run)
{
	struct scene	scene;
	struct query	query = { .after = 100 };
	struct need	need = { .query = &query };

	/* Behind a position: the primary, and who has replayed it. */
	set_up(&scene);
	atomic_store(&scene.endpoints[1].lsn, 99);
	atomic_store(&scene.endpoints[2].lsn, 100);
	ck_assert_int_eq(found(&scene, need, 1), 4);
	ck_assert_int_eq(found(&scene, need, 0), 0);
	scene.seen[2].mixed = true;
	ck_assert_int_eq(found(&scene, need, 1), 0);

	/* Lost: no suspect. */
	query = (struct query) { .state = QUERY_LOST };
	scene.known[1].state = HEALTH_SUSPECT;
	ck_assert_int_eq(found(&scene, need, 1), 4);

	/* May have ended a session: no primary while there is a standby. */
	query = (struct query) { .suspected = 1 };
	scene.tier.to = 1;
	ck_assert_int_eq(found(&scene, need, 0), -1);
	scene.known[1].role = scene.known[2].role = HEALTH_ROLE_PRIMARY;
	ck_assert_int_eq(found(&scene, need, 0), 0);
}
END_TEST

START_TEST(a_twin_goes_elsewhere_to_a_standby_first)
{
	struct scene	scene;
	struct need	need = { .elsewhere = true };

	set_up(&scene);
	need.except = &scene.conns[1][0];
	ck_assert_int_eq(found(&scene, need, 0), 4);
	/* The only other one is the primary. */
	scene.route.count = scene.tier.to = 2;
	ck_assert_int_eq(found(&scene, need, 1), 0);
	need.elsewhere = false;
	ck_assert_int_eq(found(&scene, need, 1), 3);
}
END_TEST

START_TEST(a_need_may_leave_out_suspects_and_slow_starts)
{
	struct scene	scene;

	set_up(&scene);
	scene.known[0].state = HEALTH_SUSPECT;
	scene.known[1].ramp_until_us = NOW_US + 1;
	ck_assert_int_eq(found(&scene, (struct need) { .sound = true }, 0), 2);
	ck_assert_int_eq(found(&scene, (struct need) { .sound = true,
		.steady = true }, 0), 4);
	/* In a slow start an endpoint has its turns. */
	ck_assert_int_eq(found(&scene, (struct need) { .steady = true }, 1),
	    2);
}
END_TEST

START_TEST(lanes_are_counted_where_the_query_may_run)
{
	struct scene	scene;
	struct need	need = { .now_us = NOW_US, .sound = true };

	set_up(&scene);
	scene.conns[0][0].slow_lane = scene.conns[1][0].slow_lane =
	    scene.conns[2][1].slow_lane = true;
	scene.known[2].state = HEALTH_SUSPECT;
	ck_assert_uint_eq(offer_lanes(&scene.offer, &need, scene.tier, 1), 2);
}
END_TEST

static Suite *
offer_suite(void)
{
	Suite	*suite = suite_create("offer");
	TCase	*tcase = unit_case(suite, "offer");

	tcase_add_test(tcase,
	    tiers_are_walked_best_first_without_the_empty_ones);
	tcase_add_test(tcase,
	    a_walk_begins_with_the_turn_and_visits_each_once);
	tcase_add_test(tcase,
	    the_least_in_flight_is_of_the_turn_or_of_the_tier);
	tcase_add_test(tcase,
	    a_connection_held_up_serves_if_nothing_else_does);
	tcase_add_test(tcase,
	    a_lease_gets_a_connection_with_nothing_in_flight);
	tcase_add_test(tcase, a_query_goes_where_it_may_run);
	tcase_add_test(tcase, a_twin_goes_elsewhere_to_a_standby_first);
	tcase_add_test(tcase, a_need_may_leave_out_suspects_and_slow_starts);
	tcase_add_test(tcase, lanes_are_counted_where_the_query_may_run);
	return suite;
}

UNIT_MAIN(offer_suite)
