/*
 * supply.c - the connections of a group: which one serves, how many there are.
 *
 * First the endpoint: by tier (role and state), within a tier the better of
 * two random ones by load and latency. Then the connection on it with the
 * least in flight. A query that is known to be slow gets a connection to
 * itself, so that no quick one waits behind it.
 */
#include "supply.h"

#include "budget.h"
#include "endpoint.h"

bool
supply_is_stalled(const struct conn *conn, int64_t now_us)
{
	const struct mews_pool *pool = conn->group->pool;

	return conn->head != conn->tail && now_us - conn->head_since_us >
	    group_stall_us(conn->group, &pool->endpoints[conn->endpoint]);
}

/* The open connection to @endpoint with the least in flight, or NULL. */
static struct conn *
least_loaded(struct mews_group *group, uint32_t endpoint, bool stalled_too)
{
	const struct pool_endpoint *known = &group->pool->endpoints[endpoint];
	int64_t		 since = 0;
	struct conn	*conn, *best = NULL;
	uint32_t	 least = group->config->pipeline;

	/* Silent, and under suspicion: rather wait for the verdict. */
	if (!stalled_too || known->state == HEALTH_SUSPECT)
		since = pool_now(group->pool) - group_stall_us(group, known);
	TAILQ_FOREACH (conn, &group->on[endpoint].conns, link) {
		if (conn->in_flight >= least || !supply_is_open(conn) ||
		    (conn->head != conn->tail && conn->head_since_us < since))
			continue;
		best = conn;
		if ((least = conn->in_flight) == 0)
			break;
	}
	return best;
}

/*
 * What is remembered of a server's latency fades while it is not asked, or
 * one that was slow once would never be asked again.
 */
static float
load(const struct mews_group *group, uint32_t endpoint)
{
	const struct pool_endpoint *known = &group->pool->endpoints[endpoint];
	float	old_s = (float)(pool_now(group->pool) - known->learned_us) /
	    1e6F;

	return (float)(group->on[endpoint].in_flight + 1) *
	    known->latency_us / (1 + old_s * SUPPLY_FADE);
}

/* Slow start: taken as often as the part of its time that has passed. */
static bool
is_shunned(struct mews_group *group, uint32_t endpoint)
{
	const struct pool_endpoint *known = &group->pool->endpoints[endpoint];
	int64_t			    now = pool_now(group->pool);
	int64_t			    whole, part;

	if (now >= known->ramp_until_us)
		return false;
	whole = known->ramp_until_us - known->ramp_from_us;
	part = now - known->ramp_from_us;
	return group_roll(group, 1000) >= (uint32_t)(part * 1000 / whole);
}

/* The better of two of route.endpoint[from .. to - 1]. */
static uint32_t
choose(struct mews_group *group, uint32_t from, uint32_t to)
{
	uint32_t	count = to - from, a, b;

	if (count == 1)
		return group->route.endpoint[from];
	a = group_roll(group, count);
	b = group_roll(group, count - 1);
	if (b >= a)
		b++;
	a = group->route.endpoint[from + a];
	b = group->route.endpoint[from + b];
	if (is_shunned(group, a))
		return b;
	if (is_shunned(group, b))
		return a;
	return load(group, a) <= load(group, b) ? a : b;
}

/* Is there no point in waiting for a new connection to @endpoint? */
static bool
is_slow_to_dial(const struct mews_group *group, uint32_t endpoint)
{
	const struct group_endpoint *on = &group->on[endpoint];
	int64_t			     now = pool_now(group->pool);
	const struct conn	    *conn;

	if (now < on->not_before_us)
		return true;
	TAILQ_FOREACH (conn, &on->conns, link)
		if (conn->state != CONN_READY &&
		    now - conn->dialed_us > GROUP_SLOW_DIAL_US)
			return true;
	return false;
}

void
supply_retire(struct conn *conn)
{
	conn->retiring = true;
	if (conn_is_idle(conn) && conn->lease == NULL)
		conn_break(conn, HEALTH_NOTHING, "");
}

/*
 * The group is at its limit: let a connection to an endpoint with more than
 * its share, or of a worse tier, go, so that @endpoint gets one.
 */
static void
make_room(struct mews_group *group, uint32_t endpoint, uint32_t from,
    uint32_t to)
{
	uint32_t	 share = group->config->connection_count / (to - from);
	struct conn	*conn, *victim = NULL;

	for (uint32_t i = 0; i < group->pool->fleet->config->endpoint_count;
	    i++) {
		bool	peer = false;

		for (uint32_t k = from; k < to; k++)
			peer = peer || group->route.endpoint[k] == i;
		TAILQ_FOREACH (conn, &group->on[i].conns, link) {
			/* One at a time. */
			if (conn->retiring)
				return;
			if (i == endpoint || conn->lease != NULL ||
			    conn->broken || conn->state != CONN_READY ||
			    (peer && (group->on[i].count <= share ||
				group->on[endpoint].count >= share)))
				continue;
			if (victim == NULL ||
			    conn->in_flight < victim->in_flight)
				victim = conn;
		}
	}
	if (victim != NULL)
		supply_retire(victim);
}

/* One connection more to @endpoint, of the tier from .. to - 1, if it may be
 * and fewer than @wanted are on their way. */
static void
grow(struct mews_group *group, uint32_t endpoint, uint32_t from, uint32_t to,
    uint32_t wanted)
{
	struct group_endpoint  *on = &group->on[endpoint];
	uint32_t		most = group->config->connection_count;
	enum budget		budget;

	/* Its share of them is all it gets. */
	if (on->dialing >= wanted || on->count >= most ||
	    on->count >= (most + (to - from) - 1) / (to - from) ||
	    pool_now(group->pool) < on->not_before_us)
		return;
	if (group->count >= most) {
		make_room(group, endpoint, from, to);
		return;
	}
	budget = conn_dial(group, endpoint);
	if (budget == BUDGET_OK)
		return;
	/* Ask again, but not for each query. */
	on->not_before_us = pool_now(group->pool) +
	    (budget == BUDGET_BURST ? GROUP_BURST_US : GROUP_FULL_US);
	pool_due(group->pool, on->not_before_us);
}

/* One look at all tiers, growing as needed. NULL: nobody can take it now. */
static struct conn *
pick_once(struct mews_group *group, bool stalled_too)
{
	const struct route *route = &group->route;
	bool		    may_grow = true;

	for (uint32_t tier = 0, from = 0; tier < ROUTE_TIERS; tier++) {
		uint32_t	 to = route->tier_end[tier];
		uint32_t	 endpoint;
		struct conn	*conn;

		if (from == to)
			continue;
		endpoint = choose(group, from, to);
		conn = least_loaded(group, endpoint, stalled_too);
		if (may_grow && (conn == NULL || conn->in_flight > 0))
			grow(group, endpoint, from, to, 1);
		for (uint32_t i = from; conn == NULL && i < to; i++)
			conn = least_loaded(group, route->endpoint[i],
			    stalled_too);
		if (conn != NULL)
			return conn;
		/* Only what is open already of the next tier, unless there
		 * is no hope in this one. */
		for (uint32_t i = from; i < to; i++)
			if (!is_slow_to_dial(group, route->endpoint[i]))
				may_grow = false;
		from = to;
	}
	return NULL;
}

/*
 * Until how many are in flight @conn takes what else comes in this turn. Reads
 * share its Sync; where each has its own, as many as make @conn no busier than
 * the endpoint's connections are on average.
 */
static uint32_t
batch_most(const struct mews_group *group, const struct conn *conn)
{
	uint32_t	most = group->config->pipeline, n = conn->on->count;
	uint32_t	here = conn->in_flight, all = conn->on->in_flight;
	uint32_t	more = SUPPLY_BATCH;

	if (group->config->batch != MEWS_ON && n > 1)
		more = all > here * n ? (all - here * n) / (n - 1) : 0;
	return here + more < most ? here + more : most;
}

struct conn *
supply_pick(struct mews_group *group)
{
	struct conn	*conn;

	pool_notice(group->pool);
	if ((conn = supply_batch(group)) != NULL)
		return conn;
	do {
		if ((conn = pick_once(group, false)) == NULL)
			conn = pick_once(group, true);
	} while (conn != NULL && !conn_check(conn));
	group->batch = conn;
	if (conn != NULL) {
		group->batch_us = pool_now(group->pool);
		group->batch_most = batch_most(group, conn);
	}
	return conn;
}

/* Has it replayed what @query waits for, as far as was measured? */
static bool
has_replayed(const struct mews_pool *pool, uint32_t endpoint,
    const struct query *query)
{
	const struct segment_endpoint *e =
	    &pool->fleet->segment.endpoints[endpoint];
	enum health_role role = pool->endpoints[endpoint].role;

	return query->after == 0 || role == HEALTH_ROLE_PRIMARY ||
	    role == HEALTH_ROLE_READONLY ||
	    atomic_load_explicit(&e->lsn, memory_order_relaxed) >=
	    query->after;
}

/* Of the best tier, the connection with the least in flight. */
static struct conn *
pick_after_once(struct mews_group *group, const struct query *query,
    bool stalled_too)
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

			/* Where one died the others may be dying. */
			if (!has_replayed(pool, e, query) ||
			    (query->state == QUERY_LOST &&
				pool->endpoints[e].state == HEALTH_SUSPECT))
				continue;
			conn = least_loaded(group, e, stalled_too);
			if (conn == NULL && may_grow) {
				grow(group, e, from, route->tier_end[tier], 1);
				hope = hope || !is_slow_to_dial(group, e);
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
supply_pick_after(struct mews_group *group, const struct query *query)
{
	struct conn	*conn;

	pool_notice(group->pool);
	do {
		if ((conn = pick_after_once(group, query, false)) == NULL)
			conn = pick_after_once(group, query, true);
	} while (conn != NULL && !conn_check(conn));
	return conn;
}

struct conn *
supply_pick_other(struct mews_group *group, uint32_t endpoint)
{
	const struct route *route = &group->route;
	struct conn	   *conn;

	for (uint32_t i = 0; i < route->count; i++) {
		if (route->endpoint[i] == endpoint)
			continue;
		conn = least_loaded(group, route->endpoint[i], false);
		if (conn != NULL && conn_check(conn))
			return conn;
		if (group->on[route->endpoint[i]].count == 0 &&
		    i < route->tier_end[0])
			grow(group, route->endpoint[i], 0,
			    route->tier_end[0], 1);
	}
	return NULL;
}

void
supply_keep(struct mews_group *group, uint32_t wanted)
{
	const struct route *route = &group->route;

	for (uint32_t i = 0; i < route->tier_end[0] && group->count < wanted;
	    i++)
		grow(group, route->endpoint[i], 0, route->tier_end[0],
		    wanted - group->count);
}

/* None of that tier is idle: grow there. True: there is hope in that. */
static bool
grow_idle(struct mews_group *group, uint32_t from, uint32_t to)
{
	bool	hope = false;

	for (uint32_t i = from; i < to; i++) {
		uint32_t e = group->route.endpoint[i];

		grow(group, e, from, to, group->waiting_count + 1);
		hope = hope || !is_slow_to_dial(group, e);
	}
	return hope;
}

struct conn *
supply_take_any(struct mews_group *group)
{
	const struct route *route = &group->route;
	struct conn	   *conn;
	bool		    may_grow = true;

	for (uint32_t tier = 0, from = 0; tier < ROUTE_TIERS; tier++) {
		uint32_t	to = route->tier_end[tier];
		uint32_t	count = to - from;
		uint32_t	first = count > 1 ? group_roll(group, count) :
						    0;

		for (uint32_t i = 0; i < count; i++) {
			uint32_t at = first + i < count ? first + i :
			    first + i - count;

			conn = supply_idle_on(group,
			    route->endpoint[from + at]);
			if (conn != NULL)
				return conn;
		}
		/* Of the next tier only what is open already. */
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

	if (pool_now(group->pool) - group->quick_us > SUPPLY_QUICK_US)
		return most;
	return most > 1 ? most / 2 : 1;
}

/* May @conn begin a slow query at once? */
static bool
is_free_lane(struct conn *conn)
{
	return conn->in_flight == 0 && conn->state == CONN_READY &&
	    !conn->broken && !conn->retiring && conn->lease == NULL &&
	    conn_check(conn);
}

struct conn *
supply_take_slow(struct mews_group *group)
{
	const struct route *route = &group->route;
	struct conn	   *conn, *best = NULL;
	uint32_t	    lanes = 0;

	pool_notice(group->pool);
	for (uint32_t tier = 0, i = 0; tier < ROUTE_TIERS && best == NULL;
	    tier++)
		for (; i < route->tier_end[tier]; i++)
			TAILQ_FOREACH (conn,
			    &group->on[route->endpoint[i]].conns, link) {
				if (conn->slow_lane && is_free_lane(conn))
					return conn;
				lanes += conn->slow_lane;
				if (supply_is_open(conn) && (best == NULL ||
				    conn->in_flight < best->in_flight))
					best = conn;
			}
	if (lanes >= slow_limit(group))
		return NULL;
	if (best == NULL || best->in_flight > 0)
		/* Grows, if it may. */
		conn = supply_take_idle(group);
	if (best == NULL)
		return NULL;
	/* It takes nothing new; once empty it is the slow query's. */
	best->slow_lane = true;
	group->lanes = true;
	return is_free_lane(best) ? best : NULL;
}

void
supply_open_lanes(struct mews_group *group)
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
