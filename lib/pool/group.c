/*
 * group.c - who is served, who waits, and for how long.
 *
 * A query that finds no connection waits, first come first served, in a lane of
 * query/queue.h. choose.c chooses the connection.
 */
#include "pool/group.h"

#include "wire/answer.h"
#include "wire/bulk.h"
#include "wire/conn.h"
#include "pool/ending.h"
#include "fleet/endpoint.h"
#include "pool/excuse.h"
#include "pool/grow.h"
#include "pool/hedge.h"
#include "wire/lease.h"
#include "pool/limits.h"
#include "wire/pooler.h"
#include "wire/send.h"
#include "pool/share.h"
#include "base/status.h"
#include "pool/choose.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Append @sql and its NUL to group->terms.setup. */
static bool
add_setup(struct mews_group *group, size_t *used, const char *sql)
{
	size_t	size = strlen(sql) + 1;
	char   *more = realloc(group->terms.setup, *used + size + 1);

	if (more == NULL)
		return false;
	group->terms.setup = more;
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

	if ((group->terms.setup = calloc(1, 1)) == NULL ||
	    !add_setup(group, &used, POOLER_BEGIN))
		return false;
	snprintf(sql, sizeof(sql), "SET statement_timeout = %u",
	    config->query_timeout == MEWS_FOREVER ? 0 :
	    config->query_timeout);
	if (!add_setup(group, &used, sql))
		return false;
	if (group->terms.reader &&
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
group_open(struct mews_group *group, struct mews_pool *pool, uint32_t index,
    watch_fn *conn_ready)
{
	group->pool = pool;
	group->config = &pool->fleet->config->groups[index];
	group->figures = figures_find_group(fleet_figures(pool->fleet),
	    pool->fleet->segment.room, group->config->name);
	group->account = (struct account) {
		.group = group, .store = &pool->store,
		.config = group->config, .figures = group->figures,
		.why = &group->why,
		.slow_us = group->config->slow_query == 0 ? INT64_MAX :
		    (int64_t)group->config->slow_query * 1000,
	};
	group->terms = (struct terms) {
		.wire = &pool->wire, .account = &group->account,
		.config = group->config, .queue = &group->queue,
		.dice.x = arc4random() | 1, .conn_ready = conn_ready,
		.index = index, .on = group->on,
		.reader = group->config->role != MEWS_GROUP_PRIMARY,
	};
	group->offer = (struct offer) {
		.route = &group->route, .on = group->on,
		.known = pool->endpoints, .seen = pool->noticed.candidates,
		.fleet = pool->fleet, .config = group->config,
	};
	queue_open(&group->queue, &pool->loop, group->config,
	    &group->account.ended, &pool->store.queue_bytes);
	for (uint32_t i = 0; i < MEWS_ENDPOINTS_MAX; i++)
		TAILQ_INIT(&group->on[i].conns);
	return make_setup(group);
}

void
group_close(struct mews_group *group)
{
	struct query	*query;
	struct conn	*conn;

	for (int lane = 0; lane < QUEUE_LANES; lane++)
		while (!group->pool->loop.abandoned &&
		    (query = TAILQ_FIRST(&group->queue.lanes[lane])) != NULL) {
			queue_remove(&group->queue, query);
			query_fail(query, MEWS_CANCELED,
			    "the pool was closed");
		}
	for (uint32_t i = 0; i < MEWS_ENDPOINTS_MAX; i++)
		while ((conn = TAILQ_FIRST(&group->on[i].conns)) != NULL)
			if (group->pool->loop.abandoned)
				conn_abandon(conn);
			else
				conn_cancel(conn);
	free(group->terms.setup);
}

static void
count_all(const struct mews_group *group, struct mews_group_stats *stats)
{
	const struct conn	*conn;

	*stats = (struct mews_group_stats) {
		.connections = group->terms.count,
		.waiting = group->queue.count,
		.queries = group->account.ended,
		.errors = group->account.errors,
		.resent = group->queue.resent,
		.opened = group->terms.opened,
	};
	for (uint32_t i = 0; i < MEWS_ENDPOINTS_MAX; i++) {
		stats->in_flight += group_in_flight(&group->on[i]);
		TAILQ_FOREACH (conn, &group->on[i].conns, link) {
			if (conn->lease != NULL)
				stats->leased++;
			else if (conn_is_idle(conn))
				stats->idle++;
		}
	}
}

enum mews_status
mews_group_stats(const struct mews_group *group,
    struct mews_group_stats *stats, size_t size)
{
	struct mews_group_stats	 own = { 0 };
	bool			 ours = pool_admit(group_pool(group));

	if (ours)
		count_all(group, &own);
	status_fill(stats, size, &own, sizeof(own));
	return ours ? MEWS_OK : MEWS_INVALID;
}

/* Send @query, which is on no list. False: no connection can take it now. */
static bool
serve_query(struct mews_group *group, struct query *query)
{
	struct conn	*conn;

	/* The next tick ends what was canceled. */
	if (query->canceled)
		return false;
	if (query->kind == QUERY_LEASE) {
		conn = query->after != 0 ? choose_pick_after(group, query) :
					   choose_take_idle(group);
		if (conn != NULL)
			lease_grant(conn, query);
		return conn != NULL;
	}
	if (query->slow && bulk_end_unfit(query))
		return true;
	/* If the connection broke meanwhile the query was not sent: try
	 * another. */
	do
		conn = query->suspected > 0 ||
		    (query->slow && !queue_is_choosy(query)) ?
		    choose_take_slow(group, query) : queue_is_choosy(query) ?
		    choose_pick_after(group, query) : choose_pick(group);
	while (conn != NULL && !conn_send(conn, query, false));
	return conn != NULL;
}

/* Refuse @query, as there is no room for it to wait: MEWS_OVERLOAD. */
static enum mews_status
refuse_overload(struct mews_group *group)
{
	struct mews_group_stats stats;
	const struct mews_pool *pool = group->pool;

	count_all(group, &stats);
	if (group->queue.count < group->config->queue)
		return refuse(&group->why, MEWS_OVERLOAD, "the queries that "
		    "wait take %zu bytes, and queue_memory is %llu; of group "
		    "%s: %u connections in use, %u idle, %u waiting, limit "
		    "%u", pool->store.queue_bytes, (unsigned long long)
		    pool->fleet->config->queue_memory, group->config->name,
		    stats.connections - stats.idle, stats.idle, stats.waiting,
		    group->config->queue);
	return refuse(&group->why, MEWS_OVERLOAD, "the queue of group %s is "
	    "full: %u connections in use, %u idle, %u waiting, limit %u",
	    group->config->name, stats.connections - stats.idle, stats.idle,
	    stats.waiting, group->config->queue);
}

enum mews_status
group_enqueue(struct mews_group *group, struct query *query)
{
	struct mews_pool *pool = group->pool;

	pool_arrive(pool);
	if (!query->slow)
		group->quick_us = pool_now(pool);
	if (queue_is_full(&group->queue, query,
		pool->fleet->config->queue_memory))
		return refuse_overload(group);
	queue_put(&group->queue, query);
	return MEWS_OK;
}

enum mews_status
group_submit(struct mews_group *group, struct query *query)
{
	if (!query->slow)
		group->quick_us = pool_now(group->pool);
	if (TAILQ_EMPTY(queue_lane(&group->queue, query)) &&
	    serve_query(group, query))
		return MEWS_OK;
	return group_enqueue(group, query);
}

/* Note how long @query waited, which may be sent now. */
static void
note_wait(struct mews_group *group, struct query *query)
{
	query->waited_us = pool_now(group->pool) - query->waiting_us;
	query->odd = true;
}

/* Count the wait, since @since_us, of a query that waits no longer. */
static void
waited(struct mews_group *group, int64_t since_us)
{
	int64_t	us = pool_now(group->pool) - since_us;

	figures_time(&group->figures->wait, us > 0 ? us : 0);
}

/* Serve QUEUE_AFTER, in which no query has to wait for another. */
static void
dispatch_after(struct mews_group *group)
{
	struct query_list	*lane = &group->queue.lanes[QUEUE_AFTER];
	struct query		*query;
	uint32_t		 left = 0;
	int64_t			 waiting_us;
	bool			 hurry = false;

	TAILQ_FOREACH (query, lane, link)
		left++;
	while (left-- > 0 && (query = TAILQ_FIRST(lane)) != NULL) {
		queue_remove(&group->queue, query);
		waiting_us = query->waiting_us;
		note_wait(group, query);
		if (serve_query(group, query)) {
			waited(group, waiting_us);
			continue;
		}
		queue_restore(&group->queue, query, false);
		hurry = hurry || query->after != 0;
	}
	if (!hurry)
		return;
	atomic_fetch_add(&group->pool->fleet->segment.header->hurries, 1);
	fleet_wake_monitor(group->pool->fleet);
	pool_due(group->pool, pool_now(group->pool) + GROUP_AFTER_US);
}

/* Does a query wait for a connection to itself? */
static bool
wants_lane(const struct mews_group *group)
{
	const struct query	*query;

	TAILQ_FOREACH (query, &group->queue.lanes[QUEUE_AFTER], link)
		if (query->suspected > 0)
			return true;
	return !TAILQ_EMPTY(&group->queue.lanes[QUEUE_SLOW]);
}

void
group_dispatch(struct mews_group *group)
{
	struct query	*query;
	int64_t		 waiting_us;
	uint32_t	 left;

	/* Serve lost queries first: they came first. */
	if (!TAILQ_EMPTY(&group->queue.lanes[QUEUE_AFTER]))
		dispatch_after(group);
	/* Leave queries that callbacks add to the next turn. */
	left = group->queue.count;
	for (int i = 0; i < QUEUE_AFTER; i++)
		while (left > 0 &&
		    (query = TAILQ_FIRST(&group->queue.lanes[i])) != NULL) {
			left--;
			queue_remove(&group->queue, query);
			waiting_us = query->waiting_us;
			note_wait(group, query);
			if (!serve_query(group, query)) {
				queue_restore(&group->queue, query, true);
				break;
			}
			waited(group, waiting_us);
		}
	if (group->lanes && !wants_lane(group))
		choose_open_lanes(group);
}

bool
group_panics(const struct mews_group *group)
{
	return group->route.count == 0 && group->queue.count > 0;
}

/*
 * May the reads of @conn, which hang on a suspect that failed a probe, be sent
 * elsewhere now, before the verdict?
 */
static bool
may_leave(const struct mews_group *group, const struct conn *conn)
{
	bool	other = false;

	for (uint32_t i = 0; i < group->route.count; i++)
		other = other ||
		    group->pool->endpoints[group->route.endpoint[i]].state ==
		    HEALTH_UP;
	return other && group->terms.reader && conn_is_up(conn) &&
	    conn->state != CONN_LEASED && conn->in_flight > 0 &&
	    conn_is_stalled(conn, pool_now(group->pool));
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
				    "the server hangs, and so does a probe");
			else if (conn->state != CONN_DIALING &&
			    !grow_wants(conn))
				conn_retire(conn);
		}
	}
	share_rethink(group);
}

/* End @query, whose wait is over, with a status that tells why. */
static void
wait_over(struct mews_group *group, struct query *query)
{
	struct mews_group_stats	stats;
	enum mews_status	status = MEWS_WAITED;
	uint32_t		ready = group->terms.count;
	const char	       *unmeasured = "";
	char			why[900], excuse[400];

	excuse_say(group, query->after != 0, excuse, sizeof(excuse));
	count_all(group, &stats);
	for (uint32_t i = 0; i < MEWS_ENDPOINTS_MAX; i++)
		ready -= group->on[i].dialing;
	if (group->route.count == 0 ||
	    (ready == 0 && group->terms.failure[0] != '\0'))
		status = MEWS_UNAVAILABLE;
	if (query->after != 0 && atomic_load(
	    &group->pool->fleet->segment.header->monitor_pid) == 0)
		unmeasured = "; no monitor measures what standbys replayed";
	snprintf(why, sizeof(why), "no %s of group %s became free in time: "
	    "%s%s%u in use, %u idle, %u waiting, limit %u%s%s%s",
	    group->route.count == 0 ? "endpoint" : "connection",
	    group->config->name, excuse, excuse[0] == '\0' ? "" : "; ",
	    stats.connections - stats.idle, stats.idle, stats.waiting,
	    group->config->connection_count, unmeasured,
	    group->terms.failure[0] == '\0' ? "" : "; the last login failed: ",
	    group->terms.failure);
	queue_remove(&group->queue, query);
	waited(group, query->waiting_us);
	/* The query was sent, and lost its connection. */
	if (query->deadline_at != 0 && query->sent_to >= 0 &&
	    query->deadline_us <= pool_now(group->pool))
		status = MEWS_CANCELED;
	else if (query->suspected > 0)
		status = MEWS_LOST;
	query_fail(query, status, why);
}

/* End waits that are over; looks at the queue only when one may be. */
static void
scan_waiting(struct mews_group *group, int64_t now_us)
{
	struct query	*query, *next;
	int64_t		 due_us = LOOP_NEVER;

	if (group->queue.due_us > now_us) {
		pool_due(group->pool, group->queue.due_us);
		return;
	}
	group->queue.due_us = LOOP_NEVER;
	/* Callbacks may add to the end, never take away. */
	for (int i = 0; i < QUEUE_LANES; i++)
		TAILQ_FOREACH_SAFE (query, &group->queue.lanes[i], link, next) {
			if (query->wait_until_us <= now_us && !query->canceled)
				wait_over(group, query);
			else if (query->wait_until_us < due_us)
				due_us = query->wait_until_us;
		}
	if (due_us < group->queue.due_us)
		group->queue.due_us = due_us;
	pool_due(group->pool, group->queue.due_us);
}

void
group_scan(struct mews_group *group, int64_t now_us)
{
	const struct route	*route = &group->route;
	struct conn		*conn;

	for (uint32_t i = 0; i < MEWS_ENDPOINTS_MAX; i++)
		TAILQ_FOREACH (conn, &group->on[i].conns, link) {
			limits_scan(conn, now_us);
			if (group->terms.reader)
				hedge_scan(conn, now_us);
		}
	scan_waiting(group, now_us);
	share_scan(group, now_us);
	choose_keep(group, choose_least(group));
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
	(void)pool_admit(group_pool(group));
	return group->why.text;
}
