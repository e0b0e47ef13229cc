/*
 * choose.c - which connection of a group serves, and when to open one more.
 *
 * First the endpoint: by tier (role and state), within a tier by turns, see
 * share.h. Then the connection on it with the least in flight, see offer.h. A
 * query that is known to be slow gets a connection to itself, so that no quick
 * one waits behind it.
 */
#include "pool/choose.h"

#include "pool/grow.h"
#include "pool/room.h"
#include "pool/share.h"

/* As offer_find(), confirmed. */
static struct conn *
find_confirmed(const struct offer *offer, const struct need *need,
    struct tier tier, uint32_t turn)
{
	struct conn	*conn;

	do
		conn = offer_find(offer, need, tier, turn);
	while (conn != NULL && !choose_confirm(conn));
	return conn;
}

/* Is a login to an endpoint of @tier worth waiting for? */
static bool
has_hope(const struct mews_group *group, struct tier tier)
{
	for (uint32_t i = tier.from; i < tier.to; i++)
		if (!grow_is_slow_to_dial(group, group->route.endpoint[i]))
			return true;
	return false;
}

/* Open one connection more to @endpoint, of @tier, unless one is being
 * opened. */
static void
grow_on(struct mews_group *group, uint32_t endpoint, struct tier tier)
{
	struct group_endpoint  *on = &group->on[endpoint];

	if (on->dialing > 0 || pool_now(group->pool) < on->not_before_us ||
	    on->count >= share_most(group, endpoint, tier))
		return;
	if (group->terms.count >= group->config->connection_count)
		room_make(group, endpoint, tier);
	else
		grow_dial(group, endpoint);
}

/* Open one connection more to each endpoint of @tier that suits @need, and has
 * none that meets it. True: one is worth waiting for. */
static bool
grow_where_none(struct mews_group *group, const struct need *need,
    struct tier tier)
{
	struct walk	walk = walk_begin(&group->offer, need, tier,
			SHARE_NONE);
	bool		hope = false;

	while (walk_next(&walk)) {
		if (offer_on(&group->offer, need, walk.endpoint) != NULL)
			continue;
		grow_on(group, walk.endpoint, tier);
		hope = hope || !grow_is_slow_to_dial(group, walk.endpoint);
	}
	return hope;
}

/* Count logins to @tier that are worth waiting for. */
static uint32_t
dialing(const struct mews_group *group, struct tier tier)
{
	uint32_t	sum = 0;

	for (uint32_t i = tier.from; i < tier.to; i++) {
		uint32_t endpoint = group->route.endpoint[i];

		if (group->on[endpoint].dialing > 0 &&
		    !grow_is_slow_to_dial(group, endpoint))
			sum += group->on[endpoint].dialing;
	}
	return sum;
}

/* Open one connection more to @tier, if limits allow and fewer than @wanted are
 * being opened. */
static bool
grow_tier(struct mews_group *group, struct tier tier, uint32_t wanted)
{
	uint32_t	endpoint;

	if (group->terms.count >= group->config->connection_count ||
	    dialing(group, tier) >= wanted)
		return false;
	endpoint = share_place(group, tier);
	return endpoint != SHARE_NONE && grow_dial(group, endpoint);
}

/*
 * The connection whose turn it is, best tier first; if its endpoint has none to
 * use, another endpoint's, which is charged. Grows as needed. NULL: no
 * connection is free now.
 */
static struct conn *
take_by_turn(struct mews_group *group, const struct need *need)
{
	struct tier	tier = { 0 };
	bool		may_grow = true;

	while (route_next_tier(&group->route, &tier)) {
		bool		 bare = false;
		uint32_t	 turn = share_turn(group, tier, &bare);
		struct conn	*conn = NULL;

		if (turn != SHARE_NONE)
			conn = find_confirmed(&group->offer, need, tier, turn);
		if (may_grow && (conn == NULL ||
		    (need->what == NEED_SHARED &&
			(conn->in_flight > 0 || bare))) &&
		    !grow_tier(group, tier, need->what == NEED_SHARED ?
			(uint32_t)(tier.to - tier.from) :
			group->queue.count + 1) && turn == SHARE_NONE)
			share_urge(group);
		if (conn != NULL)
			return conn;
		/* Open nothing in the next tier, unless this one has no
		 * hope. */
		may_grow = may_grow && !has_hope(group, tier);
	}
	return NULL;
}

/*
 * Until how many are in flight @conn takes the other queries of this turn. If
 * there are no more queries than connections, they stay together, so that other
 * connections may idle out. More reads are dealt in parts as large as what each
 * connection to the endpoint has in flight: that is even, and costs one choice
 * for each part. If each query has its own Sync, a part makes @conn no busier
 * than the average.
 */
static uint32_t
batch_most(const struct mews_group *group, const struct conn *conn)
{
	uint32_t	most = group->config->pipeline, n = conn->on->count;
	uint32_t	here = conn->in_flight, all = group_in_flight(conn->on);
	uint32_t	more = SHARE_BATCH;

	if (group->config->batch != MEWS_SWITCH_ON && n > 1)
		more = all > here * n ? (all - here * n) / (n - 1) : 0;
	else if (group->terms.count < more && group->terms.count > 1 &&
	    (all + n) / n < more)
		more = (all + n) / n > group->terms.count ? (all + n) / n :
		    group->terms.count;
	return here + more < most ? here + more : most;
}

struct conn *
choose_pick(struct mews_group *group)
{
	struct conn	*conn;
	struct need	 need;

	if ((conn = choose_batch(group)) != NULL)
		return conn;
	need = (struct need) {
		.now_us = pool_now(group->pool),
		.below = group->config->pipeline,
	};
	if ((conn = take_by_turn(group, &need)) == NULL) {
		need.pace = NEED_HELD;
		conn = take_by_turn(group, &need);
	}
	group->batch = conn;
	if (conn != NULL) {
		group->batch_us = pool_now(group->pool);
		group->batch_most = batch_most(group, conn);
	}
	return conn;
}

/* The connection with the least in flight in the best tier that may serve the
 * query of @need. */
static struct conn *
take_least(struct mews_group *group, const struct need *need)
{
	struct tier	 tier = { 0 };
	struct conn	*conn = NULL;
	bool		 may_grow = true;

	while (conn == NULL && route_next_tier(&group->route, &tier)) {
		conn = find_confirmed(&group->offer, need, tier, SHARE_NONE);
		if (may_grow)
			may_grow = !grow_where_none(group, need, tier);
	}
	return conn;
}

struct conn *
choose_pick_after(struct mews_group *group, const struct query *query)
{
	struct need	 need = {
		.now_us = pool_now(group->pool), .query = query,
		.what = query->kind == QUERY_LEASE ? NEED_ALONE : NEED_SHARED,
		.below = group->config->pipeline, .least = true,
	};
	struct conn	*conn = take_least(group, &need);

	if (conn == NULL && need.what == NEED_SHARED) {
		need.pace = NEED_HELD;
		conn = take_least(group, &need);
	}
	return conn;
}

struct conn *
choose_pick_other(struct mews_group *group, const struct conn *conn,
    bool anywhere)
{
	struct need	 need = {
		.now_us = pool_now(group->pool), .except = conn,
		.below = group->config->pipeline, .elsewhere = true,
	};
	struct tier	 tier = { 0 };
	struct conn	*other = NULL;
	struct walk	 walk;

	while (other == NULL && route_next_tier(&group->route, &tier)) {
		other = find_confirmed(&group->offer, &need, tier, SHARE_NONE);
		walk = walk_begin(&group->offer, &need, tier, SHARE_NONE);
		while (other == NULL && tier.next == 1 && walk_next(&walk))
			if (group->on[walk.endpoint].count == 0)
				grow_on(group, walk.endpoint, tier);
	}
	if (other != NULL || !anywhere)
		return other;
	need.elsewhere = false;
	other = offer_on(&group->offer, &need, conn->endpoint);
	return other != NULL && choose_confirm(other) ? other : NULL;
}

struct conn *
choose_pick_idle(struct mews_group *group, const struct conn *conn)
{
	struct need	 need = {
		.now_us = pool_now(group->pool), .below = 1, .sound = true,
	};
	struct tier	 tier = { 0 };
	struct conn	*other = NULL;
	bool		 found = false;

	while (other == NULL && !found &&
	    route_next_tier(&group->route, &tier)) {
		other = find_confirmed(&group->offer, &need, tier, SHARE_NONE);
		for (uint32_t i = tier.from; i < tier.to; i++)
			found = found ||
			    group->route.endpoint[i] == conn->endpoint;
	}
	return other;
}

uint32_t
choose_idle_ms(const struct mews_group *group)
{
	return fleet_is_past(group->pool->fleet) ? POOL_YIELD_MS :
	    group->config->idle_timeout;
}

uint32_t
choose_least(const struct mews_group *group)
{
	return fleet_is_past(group->pool->fleet) ? 0 :
	    group->config->min_connections;
}

void
choose_keep(struct mews_group *group, uint32_t wanted)
{
	struct tier	best = { .to = group->route.tier_end[0] };

	while (group->terms.count < wanted && grow_tier(group, best,
	    UINT32_MAX))
		;
}

struct conn *
choose_take_any(struct mews_group *group)
{
	struct need	 need = {
		.now_us = pool_now(group->pool), .what = NEED_ALONE,
	};
	struct conn	*conn;

	conn = take_by_turn(group, &need);
	/* Charge now, as several may be taken before one is used. */
	if (conn != NULL)
		conn->on->charged--;
	return conn;
}

/* How many connections slow queries may have: half while there are others. */
static uint32_t
slow_limit(const struct mews_group *group)
{
	uint32_t	most = group->config->connection_count;

	if (pool_now(group->pool) - group->quick_us > CHOOSE_QUICK_US)
		return most;
	return most > 1 ? most / 2 : 1;
}

/* Open one connection more to an endpoint that may run the query of @need. */
static void
grow_lane(struct mews_group *group, const struct need *need)
{
	struct tier	tier = { 0 };

	if (need->query->suspected == 0) {
		choose_take_idle(group);
		return;
	}
	while (route_next_tier(&group->route, &tier)) {
		struct walk walk = walk_begin(&group->offer, need, tier,
		    SHARE_NONE);

		while (walk_next(&walk))
			grow_on(group, walk.endpoint, tier);
	}
}

/*
 * Among equals the endpoint whose turn it is comes first, and pays for the turn
 * even if it could not use it.
 */
struct conn *
choose_take_slow(struct mews_group *group, const struct query *query)
{
	struct need	 lane = {
		.now_us = pool_now(group->pool), .query = query,
		.what = NEED_LANE, .steady = true,
	};
	struct need	 need = {
		.now_us = lane.now_us, .query = query, .below = UINT32_MAX,
		.pace = NEED_ANY, .steady = true, .least = true,
	};
	struct tier	 tier = { 0 };
	struct conn	*conn, *best = NULL;
	uint32_t	 lanes = 0;

	while (best == NULL && route_next_tier(&group->route, &tier)) {
		bool		bare = false;
		uint32_t	turn = share_turn(group, tier, &bare);

		conn = find_confirmed(&group->offer, &lane, tier, turn);
		if (conn != NULL)
			return conn;
		lanes += offer_lanes(&group->offer, &need, tier, turn);
		best = offer_find(&group->offer, &need, tier, turn);
		if (turn != SHARE_NONE)
			group->on[turn].charged--;
	}
	if (lanes >= slow_limit(group))
		return NULL;
	need.steady = false;
	if (best == NULL || best->in_flight > 0)
		grow_lane(group, &need);
	if (best == NULL)
		return NULL;
	/* Keep it free of new queries: once empty it serves the slow one. */
	best->slow_lane = true;
	group->lanes = true;
	return best->in_flight == 0 && choose_confirm(best) ? best : NULL;
}

void
choose_open_lanes(struct mews_group *group)
{
	struct conn	*conn;

	group->lanes = false;
	for (uint32_t i = 0; i < MEWS_ENDPOINTS_MAX; i++)
		TAILQ_FOREACH (conn, &group->on[i].conns, link) {
			if (conn->slow == 0)
				conn->slow_lane = false;
			else
				group->lanes = true;
		}
}
