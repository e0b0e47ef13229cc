/*
 * share.c - whose turn it is among equal endpoints, and where the next
 * connection goes.
 *
 * Reads: each endpoint has a pass, which grows with each query sent to it by
 * its stride, the inverse of its weight; the smallest pass is next (stride
 * scheduling, Waldspurger and Weihl, 1995). If workers reach only some of the
 * endpoints each, an endpoint that few workers reach weighs more in those.
 *
 * Connections: the next one goes where the fleet has the fewest for the
 * endpoint's weight. A worker that has one where the fleet has too many moves
 * it: it dials where there are too few, and then retires the old one.
 *
 * Latency counts only where it differs by a factor of two or more.
 */
#include "pool/share.h"

#include "fleet/endpoint.h"
#include "pool/grow.h"

#define WEIGHT_UNIT 4096 /* of a weight of 1 */
#define SHARE_SPARE (SHARE_BATCH * 2) /* in flight are allowed, however idle
					  others are */

/* The connections that one worker counts. */
static uint32_t
share_of(const struct mews_fleet *fleet, uint32_t slot, uint32_t group,
    uint32_t endpoint)
{
	const struct segment_slot *s = &fleet->segment.slots[slot];

	if (atomic_load_explicit(&s->groups, memory_order_relaxed) !=
	    fleet->groups)
		return 0;
	return atomic_load_explicit(&s->group_connections[group][endpoint],
	    memory_order_relaxed);
}

uint32_t
share_sum(const struct mews_fleet *fleet, uint32_t group, uint32_t endpoint)
{
	uint32_t	sum = 0;

	for (uint32_t i = 0; i < fleet->segment.slot_count; i++)
		sum += share_of(fleet, i, group, endpoint);
	return sum;
}

/* How many workers have, or want, a connection of the group to @endpoint. */
static uint32_t
reached_by(const struct mews_group *group, uint32_t endpoint)
{
	const struct mews_fleet *fleet = group->pool->fleet;
	uint32_t		 workers = 0;

	for (uint32_t i = 0; i < fleet->segment.slot_count; i++)
		workers += share_of(fleet, i, group->terms.index, endpoint) > 0;
	return workers > 0 ? workers : 1;
}

static uint32_t
configured(const struct mews_group *group, uint32_t endpoint)
{
	return group->pool->fleet->config->endpoints[endpoint].weight;
}

/* The weight of an endpoint, never 0. In a slow start it grows with time. */
static uint64_t
weight_of(const struct mews_group *group, uint32_t endpoint)
{
	const struct known *known = &group->pool->endpoints[endpoint];
	int64_t			    now = pool_now(group->pool), part = 1000;
	uint64_t		    full;

	full = (uint64_t)configured(group, endpoint) * WEIGHT_UNIT;
	if (now < known->ramp_until_us)
		part = (now - known->ramp_from_us) * 1000 /
		    (known->ramp_until_us - known->ramp_from_us);
	return full * (uint64_t)(part > 0 ? part : 1) / 1000 + 1;
}

/* The lowest latency in @tier, of endpoints asked lately, at least
 * SHARE_LEAST_US. 0: not known. */
static float
lowest_latency(const struct mews_group *group, struct tier tier)
{
	int64_t	lately = pool_now(group->pool) - SHARE_LATELY_US;
	float	lowest = 0;

	for (uint32_t i = tier.from; i < tier.to; i++) {
		const struct known *known =
		    &group->pool->endpoints[group->route.endpoint[i]];

		if (known->learned_us > lately && known->usual_us > 0 &&
		    (lowest == 0 || known->usual_us < lowest))
			lowest = known->usual_us;
	}
	return lowest > 0 && lowest < SHARE_LEAST_US ? SHARE_LEAST_US : lowest;
}

/*
 * How many times twice the lowest latency an endpoint takes. The memory fades
 * while a server is not asked; else one that was slow once would never be asked
 * again.
 */
static float
times_slower(const struct mews_group *group, uint32_t endpoint, float lowest)
{
	const struct known *known = &group->pool->endpoints[endpoint];
	float	old_s = (float)(pool_now(group->pool) - known->learned_us) /
	    1e6F;

	return lowest == 0 ? 1 :
	    known->usual_us / (1 + old_s * SHARE_FADE) / lowest / 2;
}

static void
set_strides(struct mews_group *group, struct tier tier)
{
	float	lowest = lowest_latency(group, tier);
	float	most = 0, parts[MEWS_ENDPOINTS_MAX];

	for (uint32_t i = tier.from; i < tier.to; i++) {
		uint32_t endpoint = group->route.endpoint[i];
		float	 times = times_slower(group, endpoint, lowest);
		float	 part = (float)weight_of(group, endpoint) /
			   (float)reached_by(group, endpoint);

		/* Above a factor of two by its square, so that it takes
		 * effect. */
		if (times > 1)
			part /= times * times;
		parts[i - tier.from] = part;
		most = part > most ? part : most;
	}
	for (uint32_t i = tier.from; i < tier.to; i++) {
		struct group_endpoint *on =
		    &group->on[group->route.endpoint[i]];
		float	stride = SHARE_STRIDE * most / parts[i - tier.from];
		uint64_t ahead = on->pass > group->turn ?
			   on->pass - group->turn : 0;

		if (stride > SHARE_STRIDE * 10000)
			stride = SHARE_STRIDE * 10000;
		/* As many queries ahead as before. */
		on->pass = group->turn + (on->stride == 0 ? 0 :
		    ahead / on->stride * (uint64_t)stride);
		on->stride = (uint32_t)stride;
	}
}

/*
 * Charge the queries sent since the last look. A turn that was not used is
 * lost; queries that came by other ways, as over leases, count up to a limit.
 */
static inline void
charge(const struct mews_group *group, struct group_endpoint *on)
{
	uint32_t	count = on->sent - on->charged;

	if (on->pass < group->turn)
		on->pass = group->turn;
	if (count == 0)
		return;
	on->charged = on->sent;
	on->pass += (uint64_t)count * on->stride;
	if (on->pass > group->turn + (uint64_t)on->stride * SHARE_MEMORY)
		on->pass = group->turn + (uint64_t)on->stride * SHARE_MEMORY;
}

/* Move the first of @order, which was charged, behind lower passes. */
static inline void
sink_first(const struct mews_group *group, uint8_t *order, uint32_t count)
{
	uint8_t		first = order[0];
	uint32_t	at = count - 1;

	while (at > 0 && group->on[order[at]].pass > group->on[first].pass)
		at--;
	memmove(order, order + 1, at);
	order[at] = first;
}

/* Order the endpoints of @tier that have a connection by their pass. */
static uint32_t __attribute__((noinline))
put_in_order(struct mews_group *group, struct tier tier)
{
	uint8_t	       *order = &group->order[tier.from];
	uint32_t	count = 0, at;

	group->bare[tier.from] = false;
	for (uint32_t i = tier.from; i < tier.to; i++) {
		uint8_t		       endpoint = group->route.endpoint[i];
		struct group_endpoint *on = &group->on[endpoint];

		if (on->count == on->dialing) {
			group->bare[tier.from] |= on->count == 0;
			continue;
		}
		charge(group, on);
		for (at = count++; at > 0 &&
		    group->on[order[at - 1]].pass > on->pass; at--)
			order[at] = order[at - 1];
		order[at] = endpoint;
	}
	group->ordered[tier.from] = (uint8_t)count;
	return count;
}

/* The place in @order of the idlest endpoint, if the first has much more in
 * flight; else 0. At equal rates twice as much in flight is twice the
 * latency. */
static uint32_t
find_idlest(const struct mews_group *group, const uint8_t *order,
    uint32_t count)
{
	const struct group_endpoint *first = &group->on[order[0]];
	uint64_t	load = (uint64_t)group_in_flight(first) *
	    first->stride;
	uint64_t	spare = (uint64_t)SHARE_SPARE * first->stride;
	uint64_t	idle = load;
	uint32_t	idlest = 0;

	for (uint32_t i = 1; i < count; i++) {
		const struct group_endpoint *on = &group->on[order[i]];
		uint64_t busy = (uint64_t)group_in_flight(on) * on->stride;

		if (busy < idle) {
			idle = busy;
			idlest = i;
		}
	}
	return load > idle * 2 + spare ? idlest : 0;
}

/* Forget the order: connections came or went, or strides changed. */
static void
forget_order(struct mews_group *group)
{
	memset(group->ordered, 0, sizeof(group->ordered));
	group->terms.moved = false;
}

/*
 * All endpoints are charged when the order is made anew; in between only the
 * first one is, until its queries are all charged. No pass shrinks, so its pass
 * is the smallest then.
 */
uint32_t
share_turn_of_many(struct mews_group *group, struct tier tier, bool *bare)
{
	uint8_t		      *order = &group->order[tier.from];
	uint32_t	       count, at;
	struct group_endpoint *on;

	if (group->terms.moved)
		forget_order(group);
	if ((count = group->ordered[tier.from]) == 0)
		count = put_in_order(group, tier);
	*bare = *bare || group->bare[tier.from];
	if (count == 0)
		return SHARE_NONE;
	while (on = &group->on[order[0]], on->sent != on->charged) {
		charge(group, on);
		sink_first(group, order, count);
	}
	if (on->pass < group->turn)
		on->pass = group->turn;
	if (group_in_flight(on) > SHARE_SPARE &&
	    (at = find_idlest(group, order, count)) > 0) {
		uint8_t	idlest = order[at];

		charge(group, &group->on[idlest]);
		sink_first(group, &order[at], count - at);
		group->turn = group->on[idlest].pass;
		return idlest;
	}
	group->turn = on->pass;
	return order[0];
}

uint32_t
share_most(const struct mews_group *group, uint32_t endpoint, struct tier tier)
{
	uint32_t	sum = 0;
	uint64_t	part;

	for (uint32_t i = tier.from; i < tier.to; i++)
		sum += configured(group, group->route.endpoint[i]);
	part = (uint64_t)group->config->connection_count *
	    configured(group, endpoint);
	return (uint32_t)((part + sum - 1) / sum);
}

/* The connections of a tier, over all workers, as of now. */
struct counts {
	struct tier tier;
	uint64_t sums[MEWS_ENDPOINTS_MAX]; /* by endpoint */
	uint64_t weights[MEWS_ENDPOINTS_MAX];
};

static void
add_up(struct counts *counts, const struct mews_group *group, struct tier tier)
{
	counts->tier = tier;
	for (uint32_t i = tier.from; i < tier.to; i++) {
		uint32_t endpoint = group->route.endpoint[i];

		counts->sums[endpoint] = share_sum(group->pool->fleet,
		    group->terms.index, endpoint);
		counts->weights[endpoint] = weight_of(group, endpoint);
	}
}

/* Does one more connection fit better to @a than to @b? */
static bool
fits_better(const struct counts *counts, uint32_t a, uint32_t b)
{
	return (counts->sums[a] + 1) * counts->weights[b] <
	    (counts->sums[b] + 1) * counts->weights[a];
}

/* May each worker have a connection to each endpoint of the tier? */
static bool
can_reach_all(const struct mews_group *group, struct tier tier)
{
	return group->config->connection_count >=
	    (uint32_t)(tier.to - tier.from);
}

uint32_t
share_place(const struct mews_group *group, struct tier tier)
{
	bool		reach = can_reach_all(group, tier);
	uint32_t	best = SHARE_NONE, first;
	uint32_t	n = (uint32_t)(tier.to - tier.from);
	struct counts	counts;

	/* Sums cost time: find out first whether there is a choice. */
	for (uint32_t i = tier.from; i < tier.to && best == SHARE_NONE; i++)
		if (!grow_is_slow_to_dial(group, group->route.endpoint[i]))
			best = group->route.endpoint[i];
	if (n <= 1 || best == SHARE_NONE)
		return best;
	best = SHARE_NONE;
	add_up(&counts, group, tier);
	/* Workers that begin together begin with different ones. */
	first = (uint32_t)(group->pool->fleet->slot -
	    group->pool->fleet->segment.slots);
	for (uint32_t i = 0; i < n; i++) {
		uint32_t endpoint =
		    group->route.endpoint[tier.from + (first + i) % n];
		uint32_t own = group->on[endpoint].count;
		bool	 better;

		if (own >= share_most(group, endpoint, tier) ||
		    grow_is_slow_to_dial(group, endpoint))
			continue;
		if (best == SHARE_NONE)
			better = true;
		else if (reach && (own == 0) != (group->on[best].count == 0))
			better = own == 0;
		else if (fits_better(&counts, endpoint, best))
			better = true;
		else
			better = !fits_better(&counts, best, endpoint) &&
			    own < group->on[best].count;
		if (better)
			best = endpoint;
	}
	return best;
}

/* A connection to @endpoint that may be retired: with the least in flight. */
static struct conn *
leaver(const struct mews_group *group, uint32_t endpoint)
{
	struct conn	*conn, *best = NULL;

	TAILQ_FOREACH (conn, &group->on[endpoint].conns, link)
		if (conn->state == CONN_READY && !conn->retiring &&
		    (best == NULL || conn->in_flight < best->in_flight))
			best = conn;
	return best;
}

/* Is @endpoint one of the tier? */
static bool
is_in_tier(const struct counts *counts, const struct mews_group *group,
    uint32_t endpoint)
{
	for (uint32_t i = counts->tier.from; i < counts->tier.to; i++)
		if (group->route.endpoint[i] == endpoint)
			return true;
	return false;
}

/* A connection to an endpoint outside of the tier; a suspect's only as a last
 * resort. */
static struct conn *
find_stray(const struct mews_group *group, const struct counts *counts)
{
	bool		 bare = true;
	struct conn	*conn;

	for (uint32_t i = counts->tier.from; i < counts->tier.to; i++) {
		const struct group_endpoint *on =
		    &group->on[group->route.endpoint[i]];

		bare = bare && on->count == on->dialing;
	}
	for (uint32_t i = 0; i < group->pool->fleet->segment.endpoint_count;
	    i++)
		if (!is_in_tier(counts, group, i) && (bare ||
		    group->pool->endpoints[i].state != HEALTH_SUSPECT) &&
		    (conn = leaver(group, i)) != NULL)
			return conn;
	return NULL;
}

/* Is a connection better moved from @from to @to? */
static bool
is_better_moved(const struct mews_group *group, const struct counts *counts,
    uint32_t from, uint32_t to)
{
	const uint64_t	*sums = counts->sums, *weights = counts->weights;
	const struct conn *mover = group->mover;
	uint32_t	 own = group->on[to].count;
	bool		 reach;

	if (mover != NULL && mover->endpoint == to)
		own--;
	reach = can_reach_all(group, counts->tier);
	/* This worker keeps its last connection. */
	if (reach && group->on[from].shared < 2)
		return false;
	if (sums[from] * weights[to] > (sums[to] + 1) * weights[from])
		return true;
	return reach && own == 0 && !share_ramps(group, to) &&
	    sums[from] * weights[to] >= sums[to] * weights[from];
}

/* The connection to move to @to; NULL: none. */
static struct conn *
find_to_move(const struct mews_group *group, const struct counts *counts,
    uint32_t to)
{
	struct conn	*conn = find_stray(group, counts), *best = NULL;
	uint32_t	 at = 0;

	if (conn != NULL)
		return conn;
	for (uint32_t i = counts->tier.from; i < counts->tier.to; i++) {
		uint32_t endpoint = group->route.endpoint[i];

		if (endpoint == to ||
		    !is_better_moved(group, counts, endpoint, to) ||
		    (best != NULL && counts->sums[endpoint] *
			counts->weights[at] <= counts->sums[at] *
			counts->weights[endpoint]) ||
		    (conn = leaver(group, endpoint)) == NULL)
			continue;
		best = conn;
		at = endpoint;
	}
	return best;
}

/* When to move the next one: all of a worker's in about a second. */
static int64_t
pause_us(struct mews_group *group)
{
	uint32_t	us = SHARE_MOVE_US * 10 / (group->terms.count + 10);

	return us + dice_roll(&group->terms.dice, us);
}

/* Dial the successor of a connection that should be elsewhere. True: it was
 * dialed. */
static bool
move_one(struct mews_group *group)
{
	uint32_t	target;
	struct tier	best = { 0 };
	struct counts	counts;

	if (group->mover != NULL ||
	    group->terms.count > group->config->connection_count ||
	    !route_next_tier(&group->route, &best))
		return false;
	target = share_place(group, best);
	if (target == SHARE_NONE)
		return false;
	add_up(&counts, group, best);
	if (find_to_move(group, &counts, target) == NULL ||
	    !grow_dial(group, target))
		return false;
	group->mover = TAILQ_LAST(&group->on[target].conns, conn_list);
	return true;
}

void
share_urge(struct mews_group *group)
{
	int64_t	now = pool_now(group->pool);

	if (group->terms.count < group->config->connection_count ||
	    now < group->move_us)
		return;
	group->move_us = now + pause_us(group);
	move_one(group);
}

void
share_moved(struct conn *conn)
{
	struct mews_group	*group = conn->group;
	struct conn		*leaves;
	struct tier		 best = { 0 };
	struct counts		 counts;

	if (route_next_tier(&group->route, &best)) {
		add_up(&counts, group, best);
		/* Judge without @conn, as others may have moved theirs. */
		counts.sums[conn->endpoint]--;
		leaves = find_to_move(group, &counts, conn->endpoint);
		conn_retire(leaves != NULL ? leaves : conn);
	}
	group->mover = NULL;
	/* There may be more to move. */
	if (group->move_us < group->share_us)
		group->share_us = group->move_us;
	pool_due(group->pool, group->share_us);
}

/* Set the strides of all tiers. True: a slow start goes on. */
static bool
measure(struct mews_group *group)
{
	const struct route *route = &group->route;
	struct tier	    tier = { 0 };
	bool		    ramps = false;

	while (route_next_tier(route, &tier))
		set_strides(group, tier);
	forget_order(group);
	for (uint32_t i = 0; i < route->count; i++)
		ramps = ramps || share_ramps(group, route->endpoint[i]);
	return ramps;
}

void
share_rethink(struct mews_group *group)
{
	measure(group);
	/* Spread this: all workers see a change at once. */
	group->share_us = pool_now(group->pool) +
	    dice_roll(&group->terms.dice, SHARE_MOVE_US);
	pool_due(group->pool, group->share_us);
}

void
share_learn(struct known *known, int64_t now_us)
{
	if (known->learned_us <= known->usual_at_us ||
	    now_us - known->usual_at_us < SHARE_BEAT_US / 2)
		return;
	/* Do not take the first answers of new sessions for usual. */
	if (known->usual_us == 0 && known->usual_at_us > 0)
		known->usual_us = known->latency_us;
	else if (known->usual_us > 0)
		known->usual_us += (known->latency_us - known->usual_us) / 8;
	known->usual_at_us = now_us;
}

void
share_scan(struct mews_group *group, int64_t now_us)
{
	if (now_us >= group->share_us) {
		group->share_us = now_us +
		    (measure(group) ? SHARE_RAMP_US : SHARE_BEAT_US);
		if (now_us >= group->move_us && move_one(group))
			group->move_us = now_us + pause_us(group);
	}
	pool_due(group->pool, group->share_us);
}
