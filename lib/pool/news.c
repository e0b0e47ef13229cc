/*
 * news.c - what a worker reads from the segment, and writes there: news of
 * endpoints, and its own figures.
 *
 * Groups act on the news by group_rethink(). api/turn.c opens, turns and closes
 * a pool.
 */
#include "pool/news.h"

#include "wire/conn.h"
#include "fleet/attach.h"
#include "fleet/damage.h"
#include "fleet/endpoint.h"
#include "pool/group.h"
#include "fleet/slots.h"
#include "notify/notify.h"
#include "wire/ring.h"

/* A server that was DOWN gets its share back bit by bit, as its caches are
 * cold. */
static void
set_ramp(struct mews_pool *pool, uint32_t endpoint)
{
	struct segment		*segment = &pool->fleet->segment;
	struct known		*known = &pool->endpoints[endpoint];
	uint32_t		 slow = pool->fleet->config->health.slow_start;
	int64_t			 up = pool->noticed.up_ms[endpoint], age;

	known->ramp_until_us = 0;
	if (up == 0 || slow == MEWS_FOREVER)
		return;
	/* Compare before subtracting: garbage may be any number. */
	age = segment_ms(segment, pool_now(pool));
	age = up < 0 ? slow : age > up ? age - up : 0;
	if (age >= slow)
		return;
	known->ramp_from_us = pool_now(pool) - age * 1000;
	known->ramp_until_us = known->ramp_from_us + (int64_t)slow * 1000;
}

/* The segment's words about endpoints changed: every group looks again. */
static void
rethink(struct mews_pool *pool)
{
	const struct route_candidate	*all = pool->noticed.candidates;
	uint32_t			 count;

	count = pool->fleet->segment.endpoint_count;
	for (uint32_t i = 0; i < count; i++) {
		pool->endpoints[i].state = all[i].health.state;
		pool->endpoints[i].role = all[i].health.role;
		set_ramp(pool, i);
	}
	for (uint32_t i = 0; i < pool->group_count; i++)
		group_rethink(&pool->groups[i], all, count);
	notify_rethink(pool->notify, all, count);
}

void
news_act(struct mews_pool *pool)
{
	pool->changes = news_changes(pool);
	notice_read(&pool->noticed, &pool->fleet->segment);
	rethink(pool);
	pool_due(pool, pool_now(pool));
}

/* Look whether an endpoint changed without a notice: the process that changed
 * it may have died before it could tell. */
void
news_compare(struct mews_pool *pool, int64_t now_us)
{
	struct notice	now = { 0 };

	if (now_us - pool->noticed.compared_us < POOL_BEAT_US)
		return;
	pool->noticed.compared_us = now_us;
	damage_mend(pool->fleet, now_us);
	attach_look(pool->fleet);
	slots_tend(pool->fleet, !fleet_has_monitor(pool->fleet));
	notice_read(&now, &pool->fleet->segment);
	if (notice_differs(&pool->noticed, &now, &pool->fleet->segment,
		pool->fleet->config))
		news_act(pool);
}

/* Plain stores: only this process writes its slot. */
void
news_publish(struct mews_pool *pool)
{
	struct segment_slot    *slot = pool->fleet->slot;
	uint64_t		queries = 0, errors = 0;
	uint32_t		waiting = 0, in_flight = 0;

	if (slot == NULL)
		return;
	for (uint32_t g = 0; g < pool->group_count; g++) {
		const struct mews_group *group = &pool->groups[g];

		queries += group->account.ended;
		errors += group->account.errors;
		waiting += group->queue.count;
		figures_store(&group->figures->waiting, group->queue.count);
		for (uint32_t i = 0; i < pool->fleet->segment.endpoint_count;
		    i++)
			in_flight += group_in_flight(&group->on[i]);
	}
	atomic_store_explicit(&slot->queries, queries, memory_order_relaxed);
	atomic_store_explicit(&slot->errors, errors, memory_order_relaxed);
	atomic_store_explicit(&slot->waiting, waiting, memory_order_relaxed);
	atomic_store_explicit(&slot->in_flight, in_flight,
	    memory_order_relaxed);
}

/* Publish how many of a group's connections to an endpoint are idle, used and
 * connecting. */
static void
tell_connections(const struct group_endpoint *on)
{
	const struct conn *conn;
	uint64_t	   idle = 0, used = 0, connecting = 0;

	if (on->figures == NULL)
		return;
	TAILQ_FOREACH (conn, &on->conns, link) {
		idle += conn_is_free(conn);
		used += conn_is_up(conn) && !conn_is_free(conn);
		connecting += conn_logs_in(conn);
	}
	figures_store(&on->figures->idle, idle);
	figures_store(&on->figures->used, used);
	figures_store(&on->figures->connecting, connecting);
}

void
news_beat(struct mews_pool *pool, int64_t late_us)
{
	if (pool->fleet->slot != NULL)
		figures_store(&fleet_figures(pool->fleet)->lag_us,
		    late_us > 0 ? (uint64_t)late_us : 0);
}

void
news_tell(struct mews_pool *pool)
{
	if (pool->fleet->slot == NULL)
		return;
	pool->told = true;
	for (uint32_t g = 0; g < pool->group_count; g++) {
		struct mews_group    *group = &pool->groups[g];
		struct figures_group *figures = group->figures;
		uint64_t	      ok = group->account.ended -
		    group->account.errors;

		figures_store(&figures->endpoints, group->route.count);
		figures->ends[MEWS_OK] += ok - group->told_ok;
		figures->resent += group->queue.resent - group->told_resent;
		figures->batches += group->account.batches -
		    group->told_batches;
		for (uint32_t i = 0; i < MEWS_ENDPOINTS_MAX; i++)
			tell_connections(&group->on[i]);
		group->told_ok = ok;
		group->told_batches = group->account.batches;
		group->told_resent = group->queue.resent;
	}
}

void
news_leave(struct mews_pool *pool)
{
	news_publish(pool);
	news_beat(pool, 0);
	news_tell(pool);
	for (uint32_t g = 0; g < pool->group_count; g++)
		figures_store(&pool->groups[g].figures->endpoints,
		    FIGURES_GONE);
}
