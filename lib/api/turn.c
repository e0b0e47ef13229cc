/*
 * turn.c - the doors of a pool: opened, turned by its host's loop, see loop.h,
 * and closed.
 */
#include "pool/forget.h"
#include "pool/pool.h"

#include "wire/conn.h"
#include "api/cancel.h"
#include "fleet/damage.h"
#include "pool/ending.h"
#include "fleet/endpoint.h"
#include "pool/group.h"
#include "pool/grow.h"
#include "pool/hedge.h"
#include "pool/news.h"
#include "wire/interrupt.h"
#include "wire/lease.h"
#include "base/memory.h"
#include "notify/notify.h"
#include "wire/session.h"
#include "pool/room.h"
#include "pool/share.h"
#include "wire/siblings.h"
#include "base/status.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void
pool_free(struct mews_pool *pool)
{
	statements_free(&pool->statements);
	lease_free_all(&pool->wire);
	free(pool->wire.lid);
	store_close(&pool->store);
	free(pool->groups);
	loop_close(&pool->loop);
	free(pool);
}

/* The login of @conn is over: the endpoint may have been drained or moved
 * meanwhile. */
static void
welcome(struct conn *conn)
{
	struct mews_group	*group = conn->group;

	if (!grow_wants(conn))
		conn_retire(conn);
	else if (group->mover == conn && group->makes_room)
		room_made(conn);
	else if (group->mover == conn)
		share_moved(conn);
}

/* Flush what was sent over @conn in this turn. */
static void
flush_conn(struct conn *conn)
{
	hedge_in_time(conn);
	session_flush(conn);
}

/* Something happened on the descriptor of a connection. */
static void
serve_conn(void *who, int events)
{
	struct conn	*conn = who;
	bool		 logs_in = conn_logs_in(conn);

	session_ready(conn, events);
	/* After the connection's evidence about its server, before another one
	 * is chosen. */
	news_look(conn->group->pool);
	if (logs_in && conn_is_up(conn))
		welcome(conn);
	if (conn->group->queue.count > 0)
		group_dispatch(conn->group);
	/* Flush a Sync at once, without waiting for other connections. */
	if (conn->synced && conn->flushing)
		flush_conn(conn);
}

static void tick(void *who);
static void woken(void *who, int events);

static enum mews_status
fill_pool(struct mews_pool *pool, mews_watch_fn *watch, void *watch_arg,
    struct mews_error *error)
{
	uint32_t count = (uint32_t)pool->fleet->config->group_count;
	enum mews_status status;

	status = loop_open(&pool->loop, watch, watch_arg, tick, pool, error);
	if (status != MEWS_OK)
		return status;
	if ((pool->groups = calloc(count + 1, sizeof(*pool->groups))) == NULL)
		return status_set(error, MEWS_NOMEM, "out of memory");
	/* One that is half open is closed with the pool. */
	while (pool->group_count < count) {
		uint32_t index = pool->group_count++;

		if (!group_open(&pool->groups[index], pool, index, serve_conn))
			return status_set(error, MEWS_NOMEM, "out of memory");
	}
	pool->wake_fd = fleet_wake_fd(pool->fleet);
	if (!loop_watch_lent(&pool->loop, pool->wake_fd, MEWS_WATCH_READ,
		woken, pool))
		return status_set(error, MEWS_NOMEM, "out of memory");
	news_act(pool);
	return MEWS_OK;
}

enum mews_status
mews_pool_open(struct mews_pool **out, struct mews_fleet *fleet,
    mews_watch_fn *watch, void *watch_arg, struct mews_error *error)
{
	struct mews_pool       *pool;
	enum mews_status	status;

	STATUS_NEED_OUT(out);
	*out = NULL;
	assert(fleet != NULL &&
	    "mews: a fleet is there after mews_fleet_create()");
	if (fleet->slot == NULL || fleet->slot_pid != getpid())
		return status_set(error, MEWS_INVALID,
		    "call mews_fleet_join() first, in this process");
	if ((pool = calloc(1, sizeof(*pool))) == NULL)
		return status_set(error, MEWS_NOMEM, "out of memory");
	pool->fleet = fleet;
	pool->prober = (struct prober) { .loop = &pool->loop, .fleet = fleet };
	statements_open(&pool->statements, pool, fleet);
	wire_open(&pool->wire, &pool->loop, fleet, &pool->statements,
	    pool->endpoints);
	store_open(&pool->store, &pool->loop, fleet, &pool->statements);
	for (uint32_t i = 0; i < MEWS_ENDPOINTS_MAX; i++) {
		pool->endpoints[i].latency_us = 500;
		pool->endpoints[i].p99_us = 1000;
	}
	fleet->pools++;
	if ((status = fill_pool(pool, watch, watch_arg, error)) == MEWS_OK)
		*out = pool;
	else
		mews_pool_close(&pool);
	return status;
}

void
mews_pool_close(struct mews_pool **out)
{
	struct mews_pool	*pool;

	STATUS_NEED_OUT(out);
	pool = *out;
	*out = NULL;
	if (pool == NULL)
		return;
	assert(pool->loop.depth == 0 &&
	    "mews: the pool cannot be closed from inside its own callback");
	if (pool->loop.owner == NULL || pool_admit_given(pool))
		pool->fleet->pools--;
	loop_disown(&pool->loop);
	lease_orphan_all(&pool->wire);
	for (uint32_t i = 0; i < pool->group_count; i++)
		group_close(&pool->groups[i]);
	if (!pool->loop.abandoned)
		news_leave(pool);
	probe_stop_all(&pool->prober);
	interrupt_stop_all(&pool->wire);
	notify_close(pool->notify);
	loop_forget(&pool->loop, pool->wake_fd, pool);
	pool_free(pool);
}

struct mews_group *
mews_pool_group(struct mews_pool *pool, const char *name)
{
	/* The groups of a fork's copy are found, and refuse. */
	(void)pool_admit_given(pool);
	assert(name != NULL && "mews: a group has a name");
	for (uint32_t i = 0; i < pool->group_count; i++)
		if (strcmp(pool->groups[i].config->name, name) == 0)
			return &pool->groups[i];
	return NULL;
}

/* A query waits and no server may serve it: ask the monitor to look more often
 * for a promotion. */
static void
wish_for_role(struct mews_pool *pool, int64_t now_us)
{
	struct mews_fleet *fleet = pool->fleet;
	bool		   up = false;

	for (uint32_t i = 0; i < fleet->segment.endpoint_count; i++)
		up = up || (segment_knows(&fleet->segment, i) &&
		    pool->endpoints[i].state == HEALTH_UP);
	if (!up)
		return;
	atomic_fetch_add(&fleet->segment.header->role_wishes, 1);
	fleet_wake_monitor(fleet);
	pool_due(pool, now_us + POOL_WISH_US);
}

/* Does somebody wait while there is no endpoint to use? */
static bool
anybody_panics(const struct mews_pool *pool)
{
	for (uint32_t i = 0; i < pool->group_count; i++)
		if (group_panics(&pool->groups[i]))
			return true;
	return notify_panics(pool->notify);
}

/* The host was away. Time limits of what was not sent before begin now, but
 * only once: if the host is away in each turn, queries without an answer still
 * end. */
static void
come_back(struct mews_pool *pool)
{
	const struct loop	*loop = &pool->loop;
	struct conn		*conn;

	for (uint32_t i = 0; i < MEWS_ENDPOINTS_MAX; i++)
		for (uint32_t g = 0; g < pool->group_count; g++)
			TAILQ_FOREACH (conn, &pool->groups[g].on[i].conns,
			    link)
				if (conn_logs_in(conn))
					conn->dialed_us += loop->away_us;
				else if (conn->head_since_us >=
				    loop->before_us)
					conn->head_since_us =
					    loop->ticked_us - 1;
}

/* Do all that is due, and set when the next is. */
static void
scan_pool(struct mews_pool *pool, int64_t now_us)
{
	struct segment_slot *slot = pool->fleet->slot;
	bool		     panic;

	news_beat(pool, now_us - pool->loop.due_us);
	news_tell(pool);
	pool->loop.due_us = now_us + (fleet_is_past(pool->fleet) ?
	    POOL_YIELD_MS * 1000 : POOL_BEAT_US);
	news_compare(pool, now_us);
	if (slot != NULL)
		atomic_store_explicit(&slot->beat_ms,
		    segment_ms(&pool->fleet->segment, now_us),
		    memory_order_relaxed);
	for (uint32_t i = 0; i < pool->fleet->segment.endpoint_count; i++)
		share_learn(&pool->endpoints[i], now_us);
	for (uint32_t i = 0; i < pool->group_count; i++)
		group_scan(&pool->groups[i], now_us);
	cancel_scan(pool, now_us);
	notify_scan(pool->notify, now_us);
	interrupt_scan(&pool->wire, now_us);
	forget_scan(pool);
	panic = anybody_panics(pool);
	if (panic)
		wish_for_role(pool, now_us);
	for (uint32_t i = 0; i < pool->fleet->segment.endpoint_count; i++) {
		if (!segment_knows(&pool->fleet->segment, i))
			continue;
		siblings_scan_stall(&pool->wire, i, now_us);
		probe_scan(&pool->prober, i, panic, now_us);
	}
}

static void
bury_broken(struct mews_pool *pool)
{
	struct conn	*conn;

	while ((conn = TAILQ_FIRST(&pool->wire.broken)) != NULL)
		conn_lose(conn);
}

static void
tick(void *who)
{
	struct mews_pool	*pool = who;
	struct loop		*loop = &pool->loop;
	struct conn		*conn;

	if (loop->away_us > 0)
		come_back(pool);
	news_look(pool);
	bury_broken(pool);
	cancel_run(pool);
	if (loop->due_us <= pool_now(pool))
		scan_pool(pool, pool_now(pool));
	if (pool->wire.trim) {
		pool->wire.trim = false;
		memory_trim(pool->wire.lid);
		pool->wire.lid = NULL;
	}
	loop->hurry = false;
	/* Act on the evidence of connections that were just lost. */
	news_look(pool);
	for (uint32_t i = 0; i < pool->group_count; i++)
		if (pool->groups[i].queue.count > 0)
			group_dispatch(&pool->groups[i]);
	while ((conn = TAILQ_FIRST(&pool->wire.to_flush)) != NULL)
		flush_conn(conn);
	news_publish(pool);
	if (!TAILQ_EMPTY(&pool->wire.broken) ||
	    (!TAILQ_EMPTY(&pool->store.canceled) && cancel_is_due(pool)))
		loop->hurry = true;
}

/* Another process woke this one. */
static void
woken(void *who, int events)
{
	struct mews_pool	*pool = who;

	(void)events;
	if (wake_take(pool->wake_fd))
		news_look(pool);
	pool_due(pool, pool_now(pool));
}

int
mews_pool_tick(struct mews_pool *pool)
{
	return pool_admit_given(pool) ? loop_tick(&pool->loop) : -1;
}

void
mews_pool_ready(struct mews_pool *pool, int fd, int events)
{
	if (pool_admit_given(pool))
		loop_ready(&pool->loop, fd, events);
}

enum mews_status
mews_pool_turn(struct mews_pool *pool, int timeout_ms)
{
	if (!pool_admit_given(pool) || pool->loop.depth > 0)
		return MEWS_INVALID;
	loop_turn(&pool->loop, timeout_ms);
	return loop_take_interrupt(&pool->loop) ? MEWS_CANCELED : MEWS_OK;
}
