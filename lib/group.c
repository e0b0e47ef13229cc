/*
 * group.c - who is served by which connection, and how many there are.
 *
 * First the endpoint: by tier (role and state), within a tier the better of
 * two random ones by load and latency. Then the connection on it with the
 * least in flight. Whoever finds none waits, first come first served.
 */
#include "group.h"

#include "conn.h"
#include "endpoint.h"
#include "lease.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* @sql and its NUL behind the others in group->setup. */
static bool
add_setup(struct mews_group *group, size_t *used, const char *sql)
{
	size_t	size = strlen(sql) + 1;
	char   *more = realloc(group->setup, *used + size + 1);

	if (more == NULL)
		return false;
	group->setup = more;
	memcpy(more + *used, sql, size);
	*used += size;
	more[*used] = '\0';
	return true;
}

static bool
make_setup(struct mews_group *group)
{
	const struct mews_group_config *config = group->config;
	size_t				used = 0;
	char				sql[80];

	if ((group->setup = calloc(1, 1)) == NULL)
		return false;
	snprintf(sql, sizeof(sql), "SET statement_timeout = %u",
	    config->query_timeout == MEWS_FOREVER ? 0 :
	    config->query_timeout);
	if (!add_setup(group, &used, sql))
		return false;
	if (group->reader &&
	    !add_setup(group, &used, "SET default_transaction_read_only = on"))
		return false;
	if (config->session_tmp_buffer != 0) {
		snprintf(sql, sizeof(sql), "SET temp_buffers = '%llukB'",
		    (unsigned long long)(config->session_tmp_buffer / 1024));
		if (!add_setup(group, &used, sql))
			return false;
	}
	for (size_t i = 0; i < config->init_count; i++)
		if (!add_setup(group, &used, config->init[i]))
			return false;
	return true;
}

bool
group_open(struct mews_group *group, struct mews_pool *pool, uint32_t index)
{
	group->pool = pool;
	group->index = index;
	group->config = &pool->fleet->config->groups[index];
	group->reader = group->config->role != MEWS_GROUP_PRIMARY;
	group->dice = arc4random() | 1;
	TAILQ_INIT(&group->waiting);
	for (uint32_t i = 0; i < MEWS_ENDPOINTS_MAX; i++)
		TAILQ_INIT(&group->on[i].conns);
	return make_setup(group);
}

void
group_close(struct mews_group *group)
{
	struct query	*query;
	struct conn	*conn;

	while ((query = TAILQ_FIRST(&group->waiting)) != NULL) {
		group_forget(group, query);
		query_fail(query, MEWS_CANCELED, "the pool was closed");
	}
	for (uint32_t i = 0; i < MEWS_ENDPOINTS_MAX; i++)
		while ((conn = TAILQ_FIRST(&group->on[i].conns)) != NULL)
			conn_cancel(conn);
	free(group->setup);
}

enum mews_status
group_refuse(struct mews_group *group, enum mews_status status,
    const char *format, ...)
{
	va_list	ap;

	va_start(ap, format);
	vsnprintf(group->message, sizeof(group->message), format, ap);
	va_end(ap);
	return status;
}

void
mews_group_stats(const struct mews_group *group,
    struct mews_group_stats *stats)
{
	const struct conn	*conn;

	*stats = (struct mews_group_stats) {
		.connections = group->count,
		.leased = group->leased,
		.waiting = group->waiting_count,
		.queries = group->ended,
		.errors = group->errors,
		.resent = group->resent,
		.opened = group->opened,
	};
	for (uint32_t i = 0; i < MEWS_ENDPOINTS_MAX; i++) {
		stats->in_flight += group->on[i].in_flight;
		TAILQ_FOREACH (conn, &group->on[i].conns, link)
			if (conn_is_idle(conn) && conn->lease == NULL)
				stats->idle++;
	}
}

static bool
is_stalled(const struct conn *conn, int64_t now_us)
{
	const struct mews_pool *pool = conn->group->pool;

	return conn->head != conn->tail && now_us - conn->head_since_us >
	    pool_stall_us(&pool->endpoints[conn->endpoint]);
}

/* May it take a shared query, but for how much it has in flight? */
static bool
is_open(const struct conn *conn)
{
	return conn->state == CONN_READY && conn->lease == NULL &&
	    !conn->retiring && !conn->broken && conn->sessions == 0 &&
	    (!conn->reset_due || conn->in_flight == 0);
}

/* The open connection to @endpoint with the least in flight, or NULL. */
static struct conn *
least_loaded(struct mews_group *group, uint32_t endpoint, bool stalled_too)
{
	int64_t		 now = pool_now(group->pool);
	struct conn	*conn, *best = NULL;
	uint32_t	 least = group->config->pipeline;

	TAILQ_FOREACH (conn, &group->on[endpoint].conns, link) {
		if (conn->in_flight >= least || !is_open(conn) ||
		    (!stalled_too && is_stalled(conn, now)))
			continue;
		best = conn;
		if ((least = conn->in_flight) == 0)
			break;
	}
	return best;
}

static float
load(const struct mews_group *group, uint32_t endpoint)
{
	return (float)(group->on[endpoint].in_flight + 1) *
	    group->pool->endpoints[endpoint].latency_us;
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

static void
retire(struct conn *conn)
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
		retire(victim);
}

/* One connection more to @endpoint, of the tier from .. to - 1, if it may be
 * and fewer than @wanted are on their way. */
static void
grow(struct mews_group *group, uint32_t endpoint, uint32_t from, uint32_t to,
    uint32_t wanted)
{
	struct group_endpoint  *on = &group->on[endpoint];
	uint32_t		most = group->config->connection_count;
	uint32_t		share = (most + (to - from) - 1) / (to - from);

	if (on->dialing >= wanted || on->count >= share ||
	    pool_now(group->pool) < on->not_before_us)
		return;
	if (group->count >= most) {
		make_room(group, endpoint, from, to);
		return;
	}
	if (conn_dial(group, endpoint) == NULL) {
		/* At the cap of the fleet: ask again, not for each query. */
		on->not_before_us = pool_now(group->pool) +
		    GROUP_RETRY_FIRST_US / 2;
		pool_due(group->pool, on->not_before_us);
	}
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

static struct conn *
pick(struct mews_group *group)
{
	struct conn	*conn;

	pool_notice(group->pool);
	do {
		if ((conn = pick_once(group, false)) == NULL)
			conn = pick_once(group, true);
	} while (conn != NULL && !conn_check(conn));
	return conn;
}

struct conn *
group_take_idle(struct mews_group *group)
{
	const struct route *route = &group->route;
	struct conn	   *conn;
	bool		    may_grow = true;

	pool_notice(group->pool);
	for (uint32_t tier = 0, from = 0; tier < ROUTE_TIERS; tier++) {
		uint32_t	to = route->tier_end[tier];
		uint32_t	first;

		if (from == to)
			continue;
		first = group_roll(group, to - from);
		for (uint32_t i = 0; i < to - from; i++) {
			uint32_t e = route->endpoint[from +
			    (first + i) % (to - from)];

			TAILQ_FOREACH (conn, &group->on[e].conns, link)
				if (conn->in_flight == 0 &&
				    conn->state == CONN_READY &&
				    conn->lease == NULL && !conn->retiring &&
				    conn_check(conn))
					return conn;
		}
		for (uint32_t i = from; may_grow && i < to; i++)
			grow(group, route->endpoint[i], from, to,
			    group->waiting_count);
		for (uint32_t i = from; i < to; i++)
			if (!is_slow_to_dial(group, route->endpoint[i]))
				may_grow = false;
		from = to;
	}
	return NULL;
}

/* Hand it to a connection. False: nobody can take it now. */
static bool
serve(struct mews_group *group, struct query *query)
{
	struct conn	*conn;

	if (query->kind == QUERY_LEASE) {
		if ((conn = group_take_idle(group)) == NULL)
			return false;
		group_forget(group, query);
		lease_grant(conn, query);
		return true;
	}
	while ((conn = pick(group)) != NULL) {
		bool	waited = query->state == QUERY_WAITING &&
		    TAILQ_FIRST(&group->waiting) == query;

		if (waited)
			group_forget(group, query);
		if (conn_send(conn, query, false))
			return true;
		/* Not sent: that one is broken; back to its place. */
		if (waited) {
			TAILQ_INSERT_HEAD(&group->waiting, query, link);
			group->waiting_count++;
		}
	}
	return false;
}

enum mews_status
group_submit(struct mews_group *group, struct query *query)
{
	uint32_t	queue = group->config->queue;

	/* A lease is granted by the loop, never inside the call. */
	if (query->kind != QUERY_LEASE && TAILQ_EMPTY(&group->waiting) &&
	    serve(group, query))
		return MEWS_OK;
	if (group->waiting_count >= queue) {
		struct mews_group_stats stats;

		mews_group_stats(group, &stats);
		return group_refuse(group, MEWS_OVERLOAD, "the queue of group "
		    "%s is full: %u connections in use, %u idle, %u waiting, "
		    "limit %u", group->config->name,
		    stats.connections - stats.idle, stats.idle, stats.waiting,
		    queue);
	}
	TAILQ_INSERT_TAIL(&group->waiting, query, link);
	group->waiting_count++;
	if (query->kind == QUERY_LEASE)
		pool_due(group->pool, pool_now(group->pool));
	pool_due(group->pool, query->deadline_us);
	return MEWS_OK;
}

void
group_resubmit(struct mews_group *group, struct query *query)
{
	int64_t	wait = group->config->acquire_timeout == MEWS_FOREVER ?
	    POOL_NEVER / 2 : (int64_t)group->config->acquire_timeout * 1000;

	query->state = QUERY_WAITING;
	query->deadline_us = pool_now(group->pool) + wait;
	group->resent++;
	TAILQ_INSERT_HEAD(&group->waiting, query, link);
	group->waiting_count++;
	pool_due(group->pool, pool_now(group->pool));
}

void
group_forget(struct mews_group *group, struct query *query)
{
	TAILQ_REMOVE(&group->waiting, query, link);
	group->waiting_count--;
}

void
group_dispatch(struct mews_group *group)
{
	struct query	*query;

	while ((query = TAILQ_FIRST(&group->waiting)) != NULL)
		if (!serve(group, query))
			return;
}

bool
group_panics(const struct mews_group *group)
{
	return group->route.count == 0 && !TAILQ_EMPTY(&group->waiting);
}

void
group_rethink(struct mews_group *group)
{
	const struct mews_fleet	*fleet = group->pool->fleet;
	uint32_t		 count = fleet->segment.endpoint_count;
	struct health		 healths[MEWS_ENDPOINTS_MAX] = { 0 };
	struct conn		*conn;

	for (uint32_t i = 0; i < count; i++)
		healths[i] = endpoint_health(fleet, i);
	route_make(&group->route, group->config->role, healths, count);
	for (uint32_t i = 0; i < count; i++) {
		bool	routed = false;

		for (uint32_t k = 0; k < group->route.count; k++)
			routed = routed || group->route.endpoint[k] == i;
		TAILQ_FOREACH (conn, &group->on[i].conns, link) {
			if (healths[i].state == HEALTH_DOWN)
				conn_break(conn, HEALTH_NOTHING,
				    "the endpoint was found down");
			else if (conn->state != CONN_DIALING &&
			    (!routed || conn->epoch != healths[i].epoch))
				retire(conn);
		}
	}
}

/* Its time is over: which way depends on why nobody served it. */
static void
wait_over(struct mews_group *group, struct query *query)
{
	struct mews_group_stats	stats;
	enum mews_status	status = MEWS_WAITED;
	char			why[600];

	mews_group_stats(group, &stats);
	if (group->route.count == 0 ||
	    (stats.connections == stats.idle && group->failure[0] != '\0'))
		status = MEWS_UNAVAILABLE;
	snprintf(why, sizeof(why), "%s of group %s came free in time: "
	    "%u in use, %u idle, %u waiting, limit %u%s%s",
	    group->route.count == 0 ? "no endpoint" : "no connection",
	    group->config->name, stats.connections - stats.idle, stats.idle,
	    stats.waiting, group->config->connection_count,
	    group->failure[0] == '\0' ? "" : "; the last login failed: ",
	    group->failure);
	group_forget(group, query);
	query_fail(query, status, why);
}

static void
scan_waiting(struct mews_group *group, int64_t now_us)
{
	struct query	*query, *next;

	/* Callbacks may add to the end, never take away. */
	TAILQ_FOREACH_SAFE (query, &group->waiting, link, next) {
		if (query->deadline_us <= now_us && !query->canceled)
			wait_over(group, query);
		else
			pool_due(group->pool, query->deadline_us);
	}
}

/* Too old, or idle for too long? */
static void
scan_idle(struct conn *conn, int64_t now_us)
{
	struct mews_group *group = conn->group;
	uint32_t	   idle = group->config->idle_timeout;
	int64_t		   idle_until = POOL_NEVER;

	if (conn->expires_us <= now_us) {
		retire(conn);
		return;
	}
	pool_due(group->pool, conn->expires_us);
	if (idle == MEWS_FOREVER || !conn_is_idle(conn) ||
	    conn->lease != NULL ||
	    group->count <= group->config->min_connections)
		return;
	idle_until = conn->idle_since_us + (int64_t)idle * 1000;
	if (idle_until <= now_us)
		retire(conn);
	else
		pool_due(group->pool, idle_until);
}

static void
scan_conn(struct conn *conn, int64_t now_us)
{
	struct mews_group	*group = conn->group;
	uint32_t		 timeout = group->config->query_timeout;
	int64_t			 until;

	if (conn->broken || conn->retiring)
		return;
	if (conn->state != CONN_READY) {
		if (conn->until_us <= now_us) {
			conn_break(conn, HEALTH_CONNECT_TIMEOUT,
			    "no answer to the login");
			return;
		}
		until = conn->dialed_us + GROUP_SLOW_DIAL_US;
		pool_due(group->pool,
		    until > now_us ? until : conn->until_us);
		return;
	}
	if (conn->lease != NULL)
		lease_scan(conn->lease, now_us);
	if (conn->head == conn->tail) {
		scan_idle(conn, now_us);
	} else if (timeout != MEWS_FOREVER) {
		until = conn->head_since_us + (int64_t)timeout * 1000 +
		    POOL_GRACE_US;
		if (until <= now_us)
			conn_break(conn, HEALTH_WATCHDOG,
			    "no answer within the query's time");
		else
			pool_due(group->pool, until);
	}
}

void
group_scan(struct mews_group *group, int64_t now_us)
{
	const struct route	*route = &group->route;
	struct conn		*conn;

	for (uint32_t i = 0; i < MEWS_ENDPOINTS_MAX; i++)
		TAILQ_FOREACH (conn, &group->on[i].conns, link)
			scan_conn(conn, now_us);
	scan_waiting(group, now_us);
	for (uint32_t i = 0; i < route->tier_end[0] &&
	    group->count < group->config->min_connections; i++)
		grow(group, route->endpoint[i], 0, route->tier_end[0],
		    group->config->min_connections - group->count);
	for (uint32_t i = 0; i < route->count; i++) {
		int64_t	not_before = group->on[route->endpoint[i]]
				     .not_before_us;

		if (not_before > now_us)
			pool_due(group->pool, not_before);
	}
}

const char *
mews_group_message(const struct mews_group *group)
{
	return group->message;
}
