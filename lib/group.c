/*
 * group.c - who is served, who waits, and for how long.
 *
 * Whoever finds no connection waits, first come first served; in two lanes,
 * so that slow queries wait for their own connections and not in the way of
 * the quick. Which connection serves is supply.c's business.
 */
#include "group.h"

#include "answer.h"
#include "conn.h"
#include "endpoint.h"
#include "hedge.h"
#include "lease.h"
#include "supply.h"

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

/*
 * The budget of reads sent again: a part of the traffic, saved up to what can
 * be in flight, so that the loss of all of that fails none. Without it a
 * server that dies over and over would double the load of the rest.
 */
static float
most_tokens(const struct mews_group *group)
{
	float	most = (float)group->config->connection_count *
	    (float)group->config->pipeline;

	return most > GROUP_TOKENS_LEAST ? most : GROUP_TOKENS_LEAST;
}

bool
group_may_resend(struct mews_group *group)
{
	uint64_t	came = group->ended - group->counted;
	float		most = most_tokens(group);

	if (group->config->retry_budget == MEWS_FOREVER)
		return false;
	group->tokens += (float)came * (float)group->config->retry_budget /
	    100;
	if (group->tokens > most)
		group->tokens = most;
	group->counted = group->ended;
	if (group->tokens < 1)
		return false;
	group->tokens -= 1;
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
	group->tokens = most_tokens(group);
	for (int lane = 0; lane < GROUP_LANES; lane++)
		TAILQ_INIT(&group->waiting[lane]);
	for (uint32_t i = 0; i < MEWS_ENDPOINTS_MAX; i++)
		TAILQ_INIT(&group->on[i].conns);
	return make_setup(group);
}

void
group_close(struct mews_group *group)
{
	struct query	*query;
	struct conn	*conn;

	for (int lane = 0; lane < GROUP_LANES; lane++)
		while (!group->pool->abandoned &&
		    (query = TAILQ_FIRST(&group->waiting[lane])) != NULL) {
			group_forget(group, query);
			query_fail(query, MEWS_CANCELED,
			    "the pool was closed");
		}
	for (uint32_t i = 0; i < MEWS_ENDPOINTS_MAX; i++)
		while ((conn = TAILQ_FIRST(&group->on[i].conns)) != NULL)
			if (group->pool->abandoned)
				conn_abandon(conn);
			else
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

enum mews_status
group_refuse_foreign(struct mews_group *group)
{
	return group_refuse(group, MEWS_INVALID, "the pool belongs to another "
	    "process or thread, or is closing");
}

void
mews_group_stats(const struct mews_group *group,
    struct mews_group_stats *stats)
{
	const struct conn	*conn;

	*stats = (struct mews_group_stats) {
		.connections = group->count,
		.waiting = group->waiting_count,
		.queries = group->ended,
		.errors = group->errors,
		.resent = group->resent,
		.opened = group->opened,
	};
	for (uint32_t i = 0; i < MEWS_ENDPOINTS_MAX; i++) {
		stats->in_flight += group->on[i].in_flight;
		TAILQ_FOREACH (conn, &group->on[i].conns, link) {
			if (conn->lease != NULL)
				stats->leased++;
			else if (conn_is_idle(conn))
				stats->idle++;
		}
	}
}

static bool
is_choosy(const struct query *query)
{
	return query->after != 0 || query->state == QUERY_LOST;
}

static struct query_list *
lane(struct mews_group *group, const struct query *query)
{
	return &group->waiting[is_choosy(query) ? GROUP_AFTER :
	    query->slow ? GROUP_SLOW : GROUP_QUICK];
}

static void
wait_in_front(struct mews_group *group, struct query *query)
{
	TAILQ_INSERT_HEAD(lane(group, query), query, link);
	group->waiting_count++;
}

/* Hand it, which is on no list, to a connection. False: nobody can take it
 * now. */
static bool
serve(struct mews_group *group, struct query *query)
{
	struct conn	*conn;

	if (query->kind == QUERY_LEASE) {
		if ((conn = supply_take_idle(group)) == NULL)
			return false;
		lease_grant(conn, query);
		return true;
	}
	/* A connection that broke while it was sent to did not send it. */
	do
		conn = is_choosy(query) ?
		    supply_pick_after(group, query) :
		    query->slow ? supply_take_slow(group) :
		    supply_pick(group);
	while (conn != NULL && !conn_send(conn, query, false));
	return conn != NULL;
}

/* A query's own deadline counts from @since_us, when it came; the group's
 * patience begins anew each time that it has to wait. */
static void
set_deadline(struct mews_group *group, struct query *query, int64_t since_us)
{
	uint32_t	timeout_ms = query->timeout_ms;

	if (timeout_ms != 0 && query->deadline_us != 0)
		return;
	if (timeout_ms == 0) {
		timeout_ms = group->config->acquire_timeout;
		since_us = pool_now(group->pool);
	}
	query->deadline_us = timeout_ms == MEWS_FOREVER ? POOL_NEVER :
	    since_us + (int64_t)timeout_ms * 1000;
}

enum mews_status
group_enqueue(struct mews_group *group, struct query *query)
{
	uint32_t	queue = group->config->queue;

	if (!query->slow)
		group->quick_us = pool_now(group->pool);
	if (group->waiting_count >= queue) {
		struct mews_group_stats stats;

		mews_group_stats(group, &stats);
		return group_refuse(group, MEWS_OVERLOAD, "the queue of group "
		    "%s is full: %u connections in use, %u idle, %u waiting, "
		    "limit %u", group->config->name,
		    stats.connections - stats.idle, stats.idle, stats.waiting,
		    queue);
	}
	set_deadline(group, query, pool_now(group->pool));
	TAILQ_INSERT_TAIL(lane(group, query), query, link);
	group->waiting_count++;
	/* Served by the next tick: if that runs just now, by one more. */
	group->pool->hurry = true;
	pool_due(group->pool, query->deadline_us);
	return MEWS_OK;
}

enum mews_status
group_submit(struct mews_group *group, struct query *query)
{
	pool_notice(group->pool);
	if (!query->slow)
		group->quick_us = pool_now(group->pool);
	if (TAILQ_EMPTY(lane(group, query)) && serve(group, query))
		return MEWS_OK;
	return group_enqueue(group, query);
}

void
group_resubmit(struct mews_group *group, struct query *query, bool lost)
{
	query->state = lost ? QUERY_LOST : QUERY_WAITING;
	set_deadline(group, query, query->sent_us);
	group->resent++;
	wait_in_front(group, query);
	group->pool->hurry = true;
}

void
group_forget(struct mews_group *group, struct query *query)
{
	TAILQ_REMOVE(lane(group, query), query, link);
	group->waiting_count--;
}

/* Each of these waits for something else: none stands in another's way. */
static void
dispatch_after(struct mews_group *group)
{
	struct query_list	 waited = TAILQ_HEAD_INITIALIZER(waited);
	struct query		*query;
	bool			 hurry = false;

	TAILQ_CONCAT(&waited, &group->waiting[GROUP_AFTER], link);
	while ((query = TAILQ_FIRST(&waited)) != NULL) {
		TAILQ_REMOVE(&waited, query, link);
		group->waiting_count--;
		if (serve(group, query))
			continue;
		TAILQ_INSERT_TAIL(&group->waiting[GROUP_AFTER], query, link);
		group->waiting_count++;
		hurry = hurry || query->after != 0;
	}
	if (!hurry)
		return;
	atomic_fetch_add(&group->pool->fleet->segment.header->hurries, 1);
	fleet_wake_monitor(group->pool->fleet);
	pool_due(group->pool, pool_now(group->pool) + GROUP_AFTER_US);
}

void
group_dispatch(struct mews_group *group)
{
	struct query	*query;

	/* Who was lost came first. */
	if (!TAILQ_EMPTY(&group->waiting[GROUP_AFTER]))
		dispatch_after(group);
	for (int i = 0; i < GROUP_AFTER; i++)
		while ((query = TAILQ_FIRST(&group->waiting[i])) != NULL) {
			group_forget(group, query);
			if (!serve(group, query)) {
				wait_in_front(group, query);
				break;
			}
		}
	if (group->lanes && TAILQ_EMPTY(&group->waiting[GROUP_SLOW]))
		supply_open_lanes(group);
}

bool
group_panics(const struct mews_group *group)
{
	return group->route.count == 0 && group->waiting_count > 0;
}

/*
 * Reads that hang on a suspect which failed a probe: rather ask another
 * server now than wait for the verdict.
 */
static bool
may_leave(const struct mews_group *group, const struct conn *conn)
{
	bool	other = false;

	for (uint32_t i = 0; i < group->route.count; i++)
		other = other ||
		    group->pool->endpoints[group->route.endpoint[i]].state ==
		    HEALTH_UP;
	return other && group->reader && conn->lease == NULL &&
	    conn->state == CONN_READY && conn->in_flight > 0 &&
	    supply_is_stalled(conn, pool_now(group->pool));
}

bool
group_wants(const struct mews_group *group, const struct conn *conn)
{
	const struct mews_fleet *fleet = group->pool->fleet;
	const struct route	*route = &group->route;

	for (uint32_t i = 0; i < route->count; i++)
		if (route->endpoint[i] == conn->endpoint)
			return conn->epoch ==
			    endpoint_health(fleet, conn->endpoint).epoch;
	return false;
}

void
group_rethink(struct mews_group *group,
    const struct route_candidate *candidates, uint32_t count)
{
	struct conn	*conn;

	route_make(&group->route, group->config, candidates, count);
	for (uint32_t i = 0; i < count; i++) {
		struct health	health = candidates[i].health;

		TAILQ_FOREACH (conn, &group->on[i].conns, link) {
			if (health.state == HEALTH_DOWN)
				conn_break(conn, HEALTH_NOTHING,
				    "the endpoint was found down");
			else if (health.state == HEALTH_SUSPECT &&
			    health.failures > 0 && may_leave(group, conn))
				conn_break(conn, HEALTH_NOTHING,
				    "it hangs, and so does a probe");
			else if (conn->state != CONN_DIALING &&
			    !group_wants(group, conn))
				supply_retire(conn);
		}
	}
}

/* Its time is over: which way depends on why nobody served it. */
static void
wait_over(struct mews_group *group, struct query *query)
{
	struct mews_group_stats	stats;
	enum mews_status	status = MEWS_WAITED;
	uint32_t		ready = group->count;
	char			why[600];

	mews_group_stats(group, &stats);
	for (uint32_t i = 0; i < MEWS_ENDPOINTS_MAX; i++)
		ready -= group->on[i].dialing;
	if (group->route.count == 0 ||
	    (ready == 0 && group->failure[0] != '\0'))
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
	for (int i = 0; i < GROUP_LANES; i++)
		TAILQ_FOREACH_SAFE (query, &group->waiting[i], link, next) {
			if (query->deadline_us <= now_us && !query->canceled)
				wait_over(group, query);
			else
				pool_due(group->pool, query->deadline_us);
		}
}

/* Idle for too long? */
static void
scan_idle(struct conn *conn, int64_t now_us)
{
	struct mews_group *group = conn->group;
	uint32_t	   idle = group->config->idle_timeout;
	int64_t		   idle_until = POOL_NEVER;

	if (idle == MEWS_FOREVER || !conn_is_idle(conn) ||
	    conn->lease != NULL ||
	    group->count <= group->config->min_connections)
		return;
	idle_until = conn->idle_since_us + (int64_t)idle * 1000;
	if (idle_until > now_us)
		pool_due(group->pool, idle_until);
	else if (TAILQ_EMPTY(&group->pool->broken))
		/* One per tick: until it is closed it counts. */
		supply_retire(conn);
}

static void
scan_conn(struct conn *conn, int64_t now_us)
{
	struct mews_group	*group = conn->group;
	uint32_t		 timeout = group->config->query_timeout;
	int64_t			 until;

	if (conn->broken)
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
	answer_check_role(conn);
	if (conn->lease != NULL)
		lease_scan(conn->lease, now_us);
	if (conn->expires_us > now_us)
		pool_due(group->pool, conn->expires_us);
	else if (!conn->retiring)
		supply_retire(conn);
	if (conn->head == conn->tail) {
		if (!conn->retiring)
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
		TAILQ_FOREACH (conn, &group->on[i].conns, link) {
			scan_conn(conn, now_us);
			if (group->config->hedge_after != 0)
				hedge_scan(conn, now_us);
		}
	scan_waiting(group, now_us);
	supply_keep(group, group->config->min_connections);
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
