/*
 * offer.c - the connections of a group that may serve, and the best of them.
 *
 * One walk serves all needs: endpoint by endpoint of a tier, from the one whose
 * turn it is, and the connections of each.
 */
#include "pool/offer.h"

/* Has the endpoint replayed what @query waits for, as far as was measured? */
static bool
has_replayed(const struct offer *offer, uint32_t endpoint,
    const struct query *query)
{
	enum health_role role = offer->known[endpoint].role;

	if (query->after == 0)
		return true;
	/* A mixed endpoint's position may be another server's. */
	if (offer->seen[endpoint].mixed)
		return false;
	return role == HEALTH_ROLE_PRIMARY || role == HEALTH_ROLE_READONLY ||
	    atomic_load_explicit(
		&offer->fleet->segment.endpoints[endpoint].lsn,
		memory_order_relaxed) >= query->after;
}

/* Does the route lead to a standby, other than @except, which may be NULL? */
static bool
has_standby(const struct offer *offer, const struct conn *except)
{
	const struct route *route = offer->route;

	for (uint32_t i = 0; i < route->count; i++)
		if (offer->known[route->endpoint[i]].role ==
		    HEALTH_ROLE_STANDBY &&
		    (except == NULL || route->endpoint[i] != except->endpoint))
			return true;
	return false;
}

/*
 * May @query be sent to @endpoint? After a loss a suspect's other connections
 * may be dying, too. A query that may have ended a session does not go to the
 * primary while there is a standby, even one whose probe is waited for.
 */
static bool
may_run(const struct offer *offer, uint32_t endpoint,
    const struct query *query)
{
	const struct known *known = &offer->known[endpoint];

	if ((query->suspected > 0 || query->state == QUERY_LOST) &&
	    known->state == HEALTH_SUSPECT)
		return false;
	return has_replayed(offer, endpoint, query) &&
	    (query->suspected == 0 || known->role == HEALTH_ROLE_STANDBY ||
		!has_standby(offer, NULL));
}

static bool
suits(const struct walk *walk, uint32_t endpoint)
{
	const struct offer *offer = walk->offer;
	const struct need  *need = walk->need;
	const struct known *known = &offer->known[endpoint];

	if (need->query != NULL && !may_run(offer, endpoint, need->query))
		return false;
	if (need->elsewhere && (endpoint == need->except->endpoint ||
	    (known->role != HEALTH_ROLE_STANDBY &&
		has_standby(offer, need->except))))
		return false;
	return !(need->sound && known->state == HEALTH_SUSPECT) &&
	    !(need->steady && endpoint != walk->turn &&
		need->now_us < known->ramp_until_us);
}

struct walk
walk_begin(const struct offer *offer, const struct need *need,
    struct tier tier, uint32_t turn)
{
	struct walk	walk = {
		.offer = offer, .need = need, .tier = tier, .turn = turn,
		.at = tier.from, .left = (uint8_t)(tier.to - tier.from),
	};

	while (walk.at < tier.to && offer->route->endpoint[walk.at] != turn)
		walk.at++;
	if (walk.at == tier.to)
		walk.at = tier.from;
	return walk;
}

bool
walk_next(struct walk *walk)
{
	while (walk->left > 0) {
		walk->endpoint = walk->offer->route->endpoint[walk->at++];
		if (walk->at == walk->tier.to)
			walk->at = walk->tier.from;
		walk->left--;
		if (suits(walk, walk->endpoint))
			return true;
	}
	return false;
}

/* The earliest that the head of a connection to @endpoint may have begun. */
static int64_t
begun_since(const struct offer *offer, const struct need *need,
    uint32_t endpoint)
{
	const struct known *known = &offer->known[endpoint];

	if (need->pace == NEED_QUICK)
		return need->now_us - known_held_us(known, offer->config);
	if (need->pace == NEED_HELD && known->state == HEALTH_SUSPECT)
		return need->now_us - known_stall_us(known, offer->config);
	return INT64_MIN;
}

/* The first connection to @endpoint that a lease, or a slow query, may have. */
static struct conn *
alone_on(const struct offer *offer, const struct need *need,
    uint32_t endpoint)
{
	struct conn	*conn;

	TAILQ_FOREACH (conn, &offer->on[endpoint].conns, link)
		if ((need->what == NEED_ALONE || conn->slow_lane) &&
		    offer_is_alone(conn, need->now_us))
			return conn;
	return NULL;
}

struct conn *
offer_on(const struct offer *offer, const struct need *need,
    uint32_t endpoint)
{
	int64_t		 since;
	uint32_t	 least = need->below;
	struct conn	*conn, *best = NULL;

	if (need->what != NEED_SHARED)
		return alone_on(offer, need, endpoint);
	since = begun_since(offer, need, endpoint);
	TAILQ_FOREACH (conn, &offer->on[endpoint].conns, link) {
		if (conn->in_flight >= least || conn == need->except ||
		    !offer_is_open(conn) || (conn->head != conn->tail &&
			conn->head_since_us < since))
			continue;
		best = conn;
		if ((least = conn->in_flight) == 0)
			break;
	}
	return best;
}

struct conn *
offer_find(const struct offer *offer, const struct need *need,
    struct tier tier, uint32_t turn)
{
	struct walk	walk = walk_begin(offer, need, tier, turn);
	struct conn	*conn, *best = NULL;

	while ((best == NULL || (need->least && best->in_flight > 0)) &&
	    walk_next(&walk)) {
		conn = offer_on(offer, need, walk.endpoint);
		if (conn != NULL && (best == NULL ||
		    conn->in_flight < best->in_flight))
			best = conn;
	}
	return best;
}

uint32_t
offer_lanes(const struct offer *offer, const struct need *need,
    struct tier tier, uint32_t turn)
{
	struct walk		walk = walk_begin(offer, need, tier, turn);
	const struct conn	*conn;
	uint32_t		lanes = 0;

	while (walk_next(&walk))
		TAILQ_FOREACH (conn, &offer->on[walk.endpoint].conns, link)
			lanes += conn->slow_lane;
	return lanes;
}
