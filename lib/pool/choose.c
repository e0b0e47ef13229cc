/*
 * choose.c - which connection of a group serves, and when to open one more.
 *
 * First the endpoint: by tier (role and state), within a tier by turns, see
 * share.h. Then the connection on it with the least in flight. A query that is
 * known to be slow gets a connection to itself, so that no quick one waits
 * behind it.
 */
#include "pool/choose.h"

#include "fleet/endpoint.h"
#include "pool/grow.h"
#include "pool/room.h"
#include "pool/share.h"

/* The open connection to @endpoint with the least in flight, other than
 * @except, which may be NULL; or NULL. */
static struct conn *
least_loaded(struct mews_group *group, uint32_t endpoint, bool held_too,
    const struct conn *except)
{
	const struct known *known = &group->pool->endpoints[endpoint];
	int64_t		 since = 0;
	struct conn	*conn, *best = NULL;
	uint32_t	 least = group->config->pipeline;

	if (!held_too)
		since = pool_now(group->pool) -
		    known_held_us(known, group->config);
	else if (known->state == HEALTH_SUSPECT)
		/* Do not choose a silent connection to a suspect: wait for the
		 * verdict. */
		since = pool_now(group->pool) -
		    known_stall_us(known, group->config);
	TAILQ_FOREACH (conn, &group->on[endpoint].conns, link) {
		if (conn->in_flight >= least || conn == except ||
		    !choose_is_open(conn) || (conn->head != conn->tail &&
			conn->head_since_us < since))
			continue;
		best = conn;
		if ((least = conn->in_flight) == 0)
			break;
	}
	return best;
}

/* Open one connection more to @endpoint, of the tier from .. to - 1, unless one
 * is being opened. */
static void
grow_on(struct mews_group *group, uint32_t endpoint, uint32_t from,
    uint32_t to)
{
	struct group_endpoint  *on = &group->on[endpoint];

	if (on->dialing > 0 || pool_now(group->pool) < on->not_before_us ||
	    on->count >= share_most(group, endpoint, from, to))
		return;
	if (group->terms.count >= group->config->connection_count)
		room_make(group, endpoint, from, to);
	else
		grow_dial(group, endpoint);
}

/* Count logins to the tier from .. to - 1 that are worth waiting for. */
static uint32_t
dialing(const struct mews_group *group, uint32_t from, uint32_t to)
{
	uint32_t	sum = 0;

	for (uint32_t i = from; i < to; i++) {
		uint32_t endpoint = group->route.endpoint[i];

		if (group->on[endpoint].dialing > 0 &&
		    !grow_is_slow_to_dial(group, endpoint))
			sum += group->on[endpoint].dialing;
	}
	return sum;
}

/* Open one connection more to the tier from .. to - 1, if limits allow and
 * fewer than @wanted are being opened. */
static bool
grow(struct mews_group *group, uint32_t from, uint32_t to, uint32_t wanted)
{
	uint32_t	endpoint;

	if (group->terms.count >= group->config->connection_count ||
	    dialing(group, from, to) >= wanted)
		return false;
	endpoint = share_place(group, from, to);
	return endpoint != SHARE_NONE && grow_dial(group, endpoint);
}

/* The connection whose turn it is in the tier from .. to - 1; if its endpoint
 * has none to use, another endpoint's, which is charged. */
static struct conn *
take_turn(struct mews_group *group, uint32_t from, uint32_t to,
    bool held_too, bool may_grow)
{
	bool		 bare = false;
	uint32_t	 turn = share_turn(group, from, to, &bare);
	struct conn	*conn = NULL;

	if (turn != SHARE_NONE)
		conn = least_loaded(group, turn, held_too, NULL);
	for (uint32_t i = from; conn == NULL && turn != SHARE_NONE && i < to;
	    i++)
		if (group->route.endpoint[i] != turn)
			conn = least_loaded(group, group->route.endpoint[i],
			    held_too, NULL);
	if (may_grow && (conn == NULL || conn->in_flight > 0 || bare) &&
	    !grow(group, from, to, to - from) && turn == SHARE_NONE)
		share_urge(group);
	return conn;
}

/* Look at all tiers, and grow as needed. NULL: no connection is free now. */
static struct conn *
pick_once(struct mews_group *group, bool held_too)
{
	const struct route *route = &group->route;
	bool		    may_grow = true;

	for (uint32_t tier = 0, from = 0; tier < ROUTE_TIERS; tier++) {
		uint32_t	 to = route->tier_end[tier];
		struct conn	*conn;

		if (from == to)
			continue;
		conn = take_turn(group, from, to, held_too, may_grow);
		if (conn != NULL)
			return conn;
		/* Open nothing in the next tier, unless this one has no
		 * hope. */
		for (uint32_t i = from; i < to; i++)
			if (!grow_is_slow_to_dial(group, route->endpoint[i]))
				may_grow = false;
		from = to;
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
	uint32_t	more = CHOOSE_BATCH;

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

	if ((conn = choose_batch(group)) != NULL)
		return conn;
	do {
		if ((conn = pick_once(group, false)) == NULL)
			conn = pick_once(group, true);
	} while (conn != NULL && !receive_check(conn));
	group->batch = conn;
	if (conn != NULL) {
		group->batch_us = pool_now(group->pool);
		group->batch_most = batch_most(group, conn);
	}
	return conn;
}

/* Has the endpoint replayed what @query waits for, as far as was measured? */
static bool
has_replayed(const struct mews_pool *pool, uint32_t endpoint,
    const struct query *query)
{
	const struct segment_endpoint *e =
	    &pool->fleet->segment.endpoints[endpoint];
	enum health_role role = pool->endpoints[endpoint].role;

	/* A mixed endpoint's position may be another server's. */
	if (query->after != 0 && pool->noticed.candidates[endpoint].mixed)
		return false;
	return query->after == 0 || role == HEALTH_ROLE_PRIMARY ||
	    role == HEALTH_ROLE_READONLY ||
	    atomic_load_explicit(&e->lsn, memory_order_relaxed) >=
	    query->after;
}

/* The connection with the least in flight in the best tier that may serve
 * @query. */
static struct conn *
pick_after_once(struct mews_group *group, const struct query *query,
    bool held_too)
{
	const struct mews_pool *pool = group->pool;
	const struct route     *route = &group->route;
	struct conn	       *conn, *best = NULL;
	bool			may_grow = true;

	for (uint32_t tier = 0, i = 0; tier < ROUTE_TIERS && best == NULL;
	    tier++) {
		uint32_t	from = i;
		bool		hope = false;

		for (; i < route->tier_end[tier]; i++) {
			uint32_t e = route->endpoint[i];

			/* After a loss a suspect's other connections may be
			 * dying, too. */
			if (!has_replayed(pool, e, query) ||
			    (query->state == QUERY_LOST &&
				pool->endpoints[e].state == HEALTH_SUSPECT))
				continue;
			conn = query->kind == QUERY_LEASE ?
			    choose_idle_on(group, e) :
			    least_loaded(group, e, held_too, NULL);
			if (conn == NULL && may_grow) {
				grow_on(group, e, from,
				    route->tier_end[tier]);
				hope = hope ||
				    !grow_is_slow_to_dial(group, e);
			}
			if (conn != NULL && (best == NULL ||
				conn->in_flight < best->in_flight))
				best = conn;
		}
		may_grow = may_grow && !hope;
	}
	return best;
}

struct conn *
choose_pick_after(struct mews_group *group, const struct query *query)
{
	struct conn	*conn;

	do {
		if ((conn = pick_after_once(group, query, false)) == NULL)
			conn = pick_after_once(group, query, true);
	} while (conn != NULL && !receive_check(conn));
	return conn;
}

/* A connection to @endpoint, checked, other than @conn; or NULL. */
static struct conn *
other_on(struct mews_group *group, uint32_t endpoint, const struct conn *conn)
{
	struct conn	*other = least_loaded(group, endpoint, false, conn);

	return other != NULL && receive_check(other) ? other : NULL;
}

struct conn *
choose_pick_other(struct mews_group *group, const struct conn *conn,
    bool anywhere)
{
	const struct known *known = group->pool->endpoints;
	const struct route	   *route = &group->route;
	struct conn		   *other;
	bool			    standby = false;

	for (uint32_t i = 0; i < route->count; i++)
		standby = standby || (route->endpoint[i] != conn->endpoint &&
		    known[route->endpoint[i]].role == HEALTH_ROLE_STANDBY);
	for (uint32_t i = 0; i < route->count; i++) {
		uint32_t	e = route->endpoint[i];

		if (e == conn->endpoint ||
		    (standby && known[e].role != HEALTH_ROLE_STANDBY))
			continue;
		if ((other = other_on(group, e, conn)) != NULL)
			return other;
		if (group->on[e].count == 0 && i < route->tier_end[0])
			grow_on(group, e, 0, route->tier_end[0]);
	}
	return anywhere ? other_on(group, conn->endpoint, conn) : NULL;
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
	while (group->terms.count < wanted &&
	    grow(group, 0, group->route.tier_end[0], UINT32_MAX))
		;
}

/* Take an idle connection, by turns of the endpoints. */
static struct conn *
take_turn_idle(struct mews_group *group, uint32_t from, uint32_t to)
{
	bool		 bare = false;
	uint32_t	 turn = share_turn(group, from, to, &bare);
	struct conn	*conn = NULL;

	if (turn == SHARE_NONE)
		return NULL;
	conn = choose_idle_on(group, turn);
	for (uint32_t i = from; conn == NULL && i < to; i++)
		if (group->route.endpoint[i] != turn)
			conn = choose_idle_on(group, group->route.endpoint[i]);
	/* Charge now, as several may be taken before one is used. */
	if (conn != NULL)
		conn->on->charged--;
	return conn;
}

/* No connection of that tier is idle: open one. True: it is worth waiting
 * for. */
static bool
grow_idle(struct mews_group *group, uint32_t from, uint32_t to)
{
	bool	hope = false, bare = true;

	for (uint32_t i = from; i < to; i++) {
		const struct group_endpoint *on =
		    &group->on[group->route.endpoint[i]];

		bare = bare && on->count == on->dialing;
		hope = hope || !grow_is_slow_to_dial(group,
		    group->route.endpoint[i]);
	}
	if (!grow(group, from, to, group->queue.count + 1) && bare)
		share_urge(group);
	return hope;
}

struct conn *
choose_take_any(struct mews_group *group)
{
	const struct route *route = &group->route;
	struct conn	   *conn;
	bool		    may_grow = true;

	for (uint32_t tier = 0, from = 0; tier < ROUTE_TIERS; tier++) {
		uint32_t	to = route->tier_end[tier];

		if (from == to)
			continue;
		if ((conn = take_turn_idle(group, from, to)) != NULL)
			return conn;
		/* Open nothing in the next tier. */
		if (may_grow && grow_idle(group, from, to))
			may_grow = false;
		from = to;
	}
	return NULL;
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

/* May @conn begin a slow query at once? */
static bool
check_lane(struct conn *conn)
{
	return conn->in_flight == 0 && !conn->retiring &&
	    receive_check_ready(conn) && receive_check(conn);
}

/*
 * May @endpoint run @query, which has a connection to itself? A query that may
 * have ended a session does not go to the primary while there is a standby,
 * even one whose probe is waited for, and not to a suspect.
 */
static bool
may_run(const struct mews_group *group, uint32_t endpoint,
    const struct query *query)
{
	const struct known *known = group->pool->endpoints;
	const struct route	   *route = &group->route;

	if (query->suspected == 0)
		return true;
	if (known[endpoint].state == HEALTH_SUSPECT ||
	    !has_replayed(group->pool, endpoint, query))
		return false;
	if (known[endpoint].role == HEALTH_ROLE_STANDBY)
		return true;
	for (uint32_t i = 0; i < route->count; i++)
		if (known[route->endpoint[i]].role == HEALTH_ROLE_STANDBY)
			return false;
	return true;
}

/* Open one connection more to an endpoint that may run @query. */
static void
grow_lane(struct mews_group *group, const struct query *query)
{
	const struct route *route = &group->route;

	if (query->suspected == 0) {
		choose_take_idle(group);
		return;
	}
	for (uint32_t tier = 0, from = 0; tier < ROUTE_TIERS; tier++) {
		uint32_t	to = route->tier_end[tier];

		for (uint32_t i = from; i < to; i++)
			if (may_run(group, route->endpoint[i], query))
				grow_on(group, route->endpoint[i], from, to);
		from = to;
	}
}

/*
 * Look in the tier from .. to - 1 for a free lane, count the lanes, and find
 * the connection with the least in flight. Among equals prefer the endpoint
 * whose turn it is; skip others in their slow start.
 */
static struct conn *
find_lane(struct mews_group *group, const struct query *query, uint32_t from,
    uint32_t to, uint32_t *lanes, struct conn **best)
{
	uint32_t	 n = to - from, first = 0, turn;
	bool		 bare = false;
	struct conn	*conn;

	turn = share_turn(group, from, to, &bare);
	while (first < n && group->route.endpoint[from + first] != turn)
		first++;
	for (uint32_t i = 0; i < n; i++) {
		uint32_t endpoint =
		    group->route.endpoint[from + (first + i) % n];

		if (!may_run(group, endpoint, query) ||
		    (endpoint != turn && share_ramps(group, endpoint)))
			continue;
		TAILQ_FOREACH (conn, &group->on[endpoint].conns, link) {
			if (conn->slow_lane && check_lane(conn))
				return conn;
			*lanes += conn->slow_lane;
			if (choose_is_open(conn) && (*best == NULL ||
			    conn->in_flight < (*best)->in_flight))
				*best = conn;
		}
	}
	/* The endpoint pays for the turn that it could not use. */
	if (turn != SHARE_NONE)
		group->on[turn].charged--;
	return NULL;
}

struct conn *
choose_take_slow(struct mews_group *group, const struct query *query)
{
	const struct route *route = &group->route;
	struct conn	   *conn, *best = NULL;
	uint32_t	    lanes = 0, from = 0;

	for (uint32_t tier = 0; tier < ROUTE_TIERS && best == NULL; tier++) {
		uint32_t to = route->tier_end[tier];

		if (from < to && (conn = find_lane(group, query, from, to,
		    &lanes, &best)) != NULL)
			return conn;
		from = to;
	}
	if (lanes >= slow_limit(group))
		return NULL;
	if (best == NULL || best->in_flight > 0)
		grow_lane(group, query);
	if (best == NULL)
		return NULL;
	/* Keep it free of new queries: once empty it serves the slow one. */
	best->slow_lane = true;
	group->lanes = true;
	return check_lane(best) ? best : NULL;
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
