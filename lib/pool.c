/*
 * pool.c - a worker's pool in its host's loop: watch, ready, tick, and the
 * blocking calls that turn the loop themselves.
 */
#include "pool.h"

#include "conn.h"
#include "endpoint.h"
#include "group.h"
#include "lease.h"
#include "listen.h"
#include "monitor.h"
#include "probe.h"
#include "status.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

bool
pool_watch(struct mews_pool *pool, int fd, int events, enum watch_kind kind,
    void *who)
{
	size_t	at = (size_t)fd;
	int    *index;

	if (at >= pool->by_fd_room) {
		size_t	room = at + 64;
		int    *more = reallocarray(pool->by_fd, room, sizeof(int));

		if (more == NULL)
			return false;
		for (size_t i = pool->by_fd_room; i < room; i++)
			more[i] = -1;
		pool->by_fd = more;
		pool->by_fd_room = room;
	}
	index = &pool->by_fd[at];
	if (events == 0) {
		if (*index == -1)
			return true;
		pool->watches[*index] = pool->watches[--pool->watch_count];
		pool->by_fd[pool->watches[*index].fd] = *index;
		*index = -1;
	} else {
		if (*index == -1) {
			if (pool->watch_count == pool->watch_room) {
				size_t room = pool->watch_room * 2 + 16;
				struct watch *more = reallocarray(
				    pool->watches, room, sizeof(*more));
				struct pollfd *polls;

				if (more == NULL)
					return false;
				pool->watches = more;
				polls = reallocarray(pool->polls, room,
				    sizeof(*polls));
				if (polls == NULL)
					return false;
				pool->polls = polls;
				pool->watch_room = room;
			}
			*index = (int)pool->watch_count++;
		}
		pool->watches[*index] =
		    (struct watch) { fd, events, kind, who };
	}
	if (pool->watch_fn != NULL)
		pool->watch_fn(pool->watch_arg, fd, events);
	return true;
}

/*
 * A fork's copy shares its descriptors with the parent: a word on them, a
 * Terminate even, would be said in the parent's name. Put something dead in
 * their place.
 */
static void
abandon_fd(int null, int fd)
{
	if (fd == -1)
		return;
	if (null != -1)
		dup3(null, fd, O_CLOEXEC);
	else
		close(fd);
}

static void
abandon(struct mews_pool *pool)
{
	struct conn	*conn;
	int		 null = open("/dev/null", O_RDWR | O_CLOEXEC);

	pool->abandoned = true;
	for (uint32_t g = 0; g < pool->group_count; g++)
		for (uint32_t i = 0; i < MEWS_ENDPOINTS_MAX; i++)
			TAILQ_FOREACH (conn, &pool->groups[g].on[i].conns,
			    link)
				abandon_fd(null, conn->fd);
	for (uint32_t i = 0; i < MEWS_ENDPOINTS_MAX; i++)
		abandon_fd(null, probe_fd(pool->endpoints[i].probe));
	abandon_fd(null, listen_fd(pool->listen));
	if (null != -1)
		close(null);
}

_Thread_local char pool_thread;

bool
pool_ours_slow(struct mews_pool *pool)
{
	assert(pool != NULL && "mews: a pool is there after mews_pool_open() "
	    "and until mews_pool_close()");
	assert((*pool->owner == NULL || pool->closing ||
	    *pool->owner == &pool_thread) &&
	    "mews: a pool is used by the thread that opened it only");
	if (*pool->owner == NULL && !pool->abandoned)
		abandon(pool);
	return false;
}

/* A page that the kernel empties in a forked child: cheaper to look at than
 * a process id. */
static const char *volatile *
owner_page(void)
{
	size_t		      size = (size_t)sysconf(_SC_PAGESIZE);
	const char *volatile *page = mmap(NULL, size, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (page == MAP_FAILED)
		return NULL;
	if (madvise((void *)(uintptr_t)page, size, MADV_WIPEONFORK) == -1) {
		munmap((void *)(uintptr_t)page, size);
		return NULL;
	}
	*page = &pool_thread;
	return page;
}

static void
pool_free(struct mews_pool *pool)
{
	struct mews_statement	*statement;

	while ((statement = SLIST_FIRST(&pool->statements)) != NULL) {
		SLIST_REMOVE_HEAD(&pool->statements, link);
		free(statement);
	}
	lease_free_all(pool);
	for (uint32_t i = 0; i < pool->query_count; i++) {
		free(pool->queries[i]->memory);
		free(pool->queries[i]);
	}
	if (pool->owner != NULL)
		munmap((void *)(uintptr_t)pool->owner,
		    (size_t)sysconf(_SC_PAGESIZE));
	free(pool->queries);
	free(pool->groups);
	free(pool->watches);
	free(pool->polls);
	free(pool->by_fd);
	free(pool);
}

static enum mews_status
fill(struct mews_pool *pool, struct mews_error *error)
{
	uint32_t	count = pool->monitor != NULL ? 0 :
	    (uint32_t)pool->fleet->config->group_count;

	if ((pool->owner = owner_page()) == NULL)
		return status_set(error, MEWS_SYSTEM,
		    "cannot map a page that forks find empty: %s",
		    strerror(errno));
	if ((pool->groups = calloc(count + 1, sizeof(*pool->groups))) == NULL)
		return status_set(error, MEWS_NOMEM, "out of memory");
	for (; pool->group_count < count; pool->group_count++)
		if (!group_open(&pool->groups[pool->group_count], pool,
			pool->group_count))
			return status_set(error, MEWS_NOMEM, "out of memory");
	pool->wake_fd = fleet_wake_fd(pool->fleet);
	if (!pool_watch(pool, pool->wake_fd, MEWS_READ, WATCH_WAKE, NULL))
		return status_set(error, MEWS_NOMEM, "out of memory");
	return MEWS_OK;
}

enum mews_status
mews_pool_open(struct mews_pool **out, struct mews_fleet *fleet,
    mews_watch_fn *watch, void *watch_arg, struct mews_error *error)
{
	return pool_open(out, fleet, NULL, watch, watch_arg, error);
}

enum mews_status
pool_open(struct mews_pool **out, struct mews_fleet *fleet,
    struct monitor *monitor, mews_watch_fn *watch, void *watch_arg,
    struct mews_error *error)
{
	struct mews_pool       *pool;
	enum mews_status	status;

	*out = NULL;
	if (fleet->slot == NULL || fleet->slot_pid != getpid())
		return status_set(error, MEWS_INVALID,
		    "call mews_fleet_join() first, in this process");
	if ((pool = calloc(1, sizeof(*pool))) == NULL)
		return status_set(error, MEWS_NOMEM, "out of memory");
	pool->fleet = fleet;
	pool->monitor = monitor;
	pool->watch_fn = watch;
	pool->watch_arg = watch_arg;
	pool->now_us = clock_now_us();
	/* Now, for the first look at every endpoint. */
	pool->due_us = pool->now_us;
	pool->attended_us = pool->now_us;
	/* Unlike the segment's: the first tick acts on what is there. */
	pool->changes =
	    atomic_load(&fleet->segment.header->changes) - 1;
	TAILQ_INIT(&pool->to_flush);
	TAILQ_INIT(&pool->broken);
	SLIST_INIT(&pool->free_queries);
	TAILQ_INIT(&pool->canceled);
	SLIST_INIT(&pool->statements);
	LIST_INIT(&pool->shells);
	SLIST_INIT(&pool->free_leases);
	for (uint32_t i = 0; i < MEWS_ENDPOINTS_MAX; i++) {
		pool->endpoints[i].latency_us = 500;
		pool->endpoints[i].p99_us = 1000;
	}
	fleet->pools++;
	if ((status = fill(pool, error)) == MEWS_OK)
		*out = pool;
	else
		mews_pool_close(&pool);
	return status;
}

void
mews_pool_close(struct mews_pool **out)
{
	struct mews_pool	*pool = *out;

	*out = NULL;
	if (pool == NULL)
		return;
	assert(pool->depth == 0 &&
	    "mews: the pool cannot be closed from inside its own callback");
	if (pool->owner != NULL && !pool_ours(pool)) {
		pool->watch_fn = NULL; /* the parent's loop, not ours */
	} else {
		pool->fleet->pools--;
		/* Nobody's from now on, not even ours. */
		if (pool->owner != NULL)
			*pool->owner = (const char *)pool;
	}
	pool->closing = true;
	pool->depth++; /* callbacks run in here */
	lease_orphan_all(pool);
	for (uint32_t i = 0; i < pool->group_count; i++)
		group_close(&pool->groups[i]);
	for (uint32_t i = 0; i < MEWS_ENDPOINTS_MAX; i++)
		probe_stop(pool->endpoints[i].probe);
	listen_close(pool->listen);
	if (pool->watch_count > 0)
		pool_watch(pool, pool->wake_fd, 0, WATCH_WAKE, NULL);
	pool_free(pool);
}

struct mews_group *
mews_pool_group(struct mews_pool *pool, const char *name)
{
	for (uint32_t i = 0; i < pool->group_count; i++)
		if (strcmp(pool->groups[i].config->name, name) == 0)
			return &pool->groups[i];
	return NULL;
}

int64_t
pool_read_clock(struct mews_pool *pool)
{
	pool->now_us = clock_now_us();
	pool->now_stale = false;
	return pool->now_us;
}

/* A server that was dead gets its share back bit by bit: cold caches. */
static void
set_ramp(struct mews_pool *pool, uint32_t endpoint)
{
	struct segment		*segment = &pool->fleet->segment;
	struct pool_endpoint	*known = &pool->endpoints[endpoint];
	uint32_t		 slow = pool->fleet->config->health.slow_start;
	uint32_t		 up, age;

	up = atomic_load(&segment->endpoints[endpoint].up_ms);
	known->ramp_until_us = 0;
	if (up == 0 || slow == MEWS_FOREVER)
		return;
	age = segment_ms(segment, pool_now(pool)) - up;
	if ((int32_t)age < 0)
		age = 0;
	if (age >= slow)
		return;
	known->ramp_from_us = pool_now(pool) - (int64_t)age * 1000;
	known->ramp_until_us = known->ramp_from_us + (int64_t)slow * 1000;
}

/* What is known of the endpoints changed: every group looks again. */
static void
rethink(struct mews_pool *pool)
{
	const struct segment	*segment = &pool->fleet->segment;
	struct route_candidate	 all[MEWS_ENDPOINTS_MAX] = { 0 };
	uint32_t		 count = segment->endpoint_count;

	for (uint32_t i = 0; i < count; i++) {
		const struct segment_endpoint *e = &segment->endpoints[i];

		all[i] = (struct route_candidate) {
			.health = endpoint_health(pool->fleet, i),
			.timeline = atomic_load(&e->timeline),
			.lag_ms = atomic_load(&e->lag_ms),
			.lag_bytes = atomic_load(&e->lag_bytes),
			.drained = atomic_load(&e->drained) != 0,
		};
		pool->endpoints[i].state = all[i].health.state;
		pool->endpoints[i].role = all[i].health.role;
		set_ramp(pool, i);
	}
	pool->highest_timeline = route_timeline(all, count);
	for (uint32_t i = 0; i < pool->group_count; i++)
		group_rethink(&pool->groups[i], all, count);
	listen_rethink(pool->listen, all, count);
}

void
pool_notice_slow(struct mews_pool *pool)
{
	pool->changes = pool_changes(pool);
	rethink(pool);
	pool_due(pool, pool_now(pool));
}

/*
 * Does every connection to @endpoint that has work wait too long, and nothing
 * else came from there? Once for each query that hangs.
 */
static void
scan_stall(struct mews_pool *pool, uint32_t endpoint, int64_t now_us)
{
	struct pool_endpoint	*known = &pool->endpoints[endpoint];
	int64_t			 limit = 0;
	unsigned		 epoch;
	bool			 news = false;
	struct conn		*conn;

	/* What is left from before says nothing of who is there now. */
	epoch = endpoint_health(pool->fleet, endpoint).epoch;
	for (uint32_t g = 0; g < pool->group_count; g++)
		TAILQ_FOREACH (conn, &pool->groups[g].on[endpoint].conns,
		    link) {
			if (conn->state != CONN_READY || conn->broken ||
			    conn->head == conn->tail || conn->epoch != epoch)
				continue;
			limit = group_stall_us(conn->group, known);
			if (now_us - conn->head_since_us <= limit) {
				pool_due(pool, conn->head_since_us + limit +
				    1000);
				return;
			}
			/* It may be we who were slow. */
			if (!conn->stall_said && conn_has_bytes(conn))
				return;
			news = news || !conn->stall_said;
		}
	if (!news)
		return;
	if (now_us - known->heard_us <= limit) {
		pool_due(pool, known->heard_us + limit + 1000);
		return;
	}
	for (uint32_t g = 0; g < pool->group_count; g++)
		TAILQ_FOREACH (conn, &pool->groups[g].on[endpoint].conns,
		    link)
			if (conn->head != conn->tail)
				conn->stall_said = true;
	endpoint_report(pool->fleet, endpoint, HEALTH_STALL, epoch);
}

/* Everything that has a time, and when the next of it comes. */
static void
scan(struct mews_pool *pool, int64_t now_us)
{
	struct segment_slot *slot = pool->fleet->slot;

	pool->due_us = now_us + POOL_BEAT_US;
	if (slot != NULL)
		atomic_store_explicit(&slot->beat_ms,
		    segment_ms(&pool->fleet->segment, now_us),
		    memory_order_relaxed);
	for (uint32_t i = 0; i < pool->group_count; i++)
		group_scan(&pool->groups[i], now_us);
	listen_scan(pool->listen, now_us);
	if (pool->monitor != NULL)
		monitor_scan(pool, now_us);
	for (uint32_t i = 0; i < pool->fleet->segment.endpoint_count; i++) {
		scan_stall(pool, i, now_us);
		probe_scan(pool, i, now_us);
	}
}

/* Plain stores into a slot that only we write. */
static void
publish(struct mews_pool *pool)
{
	struct segment_slot    *slot = pool->fleet->slot;
	uint64_t		queries = 0, errors = 0;
	uint32_t		waiting = 0, in_flight = 0;

	if (slot == NULL)
		return;
	for (uint32_t g = 0; g < pool->group_count; g++) {
		const struct mews_group *group = &pool->groups[g];

		queries += group->ended;
		errors += group->errors;
		waiting += group->waiting_count;
		for (uint32_t i = 0; i < pool->fleet->segment.endpoint_count;
		    i++)
			in_flight += group->on[i].in_flight;
	}
	atomic_store_explicit(&slot->queries, queries, memory_order_relaxed);
	atomic_store_explicit(&slot->errors, errors, memory_order_relaxed);
	atomic_store_explicit(&slot->waiting, waiting, memory_order_relaxed);
	atomic_store_explicit(&slot->in_flight, in_flight,
	    memory_order_relaxed);
}

static void
bury_broken(struct mews_pool *pool)
{
	struct conn	*conn;

	while ((conn = TAILQ_FIRST(&pool->broken)) != NULL)
		conn_lose(conn);
}

static int
poll_events(int events)
{
	return ((events & MEWS_READ) != 0 ? POLLIN : 0) |
	    ((events & MEWS_WRITE) != 0 ? POLLOUT : 0);
}

/* poll(2), and what became ready. */
static void
wait_ready(struct mews_pool *pool, int timeout_ms)
{
	size_t	count = pool->watch_count;

	for (size_t i = 0; i < count; i++)
		pool->polls[i] = (struct pollfd) {
			.fd = pool->watches[i].fd,
			.events = (short)poll_events(pool->watches[i].events),
		};
	if (poll(pool->polls, (nfds_t)count, timeout_ms) <= 0)
		return;
	for (size_t i = 0; i < count; i++) {
		const struct pollfd p = pool->polls[i];

		if (p.revents != 0)
			mews_pool_ready(pool, p.fd,
			    ((p.revents & ~POLLOUT) != 0 ? MEWS_READ : 0) |
			    ((p.revents & POLLOUT) != 0 ? MEWS_WRITE : 0));
	}
}

/*
 * The host did something else meanwhile. That is no reason to accuse a server
 * of having been silent: hear first what it said. Logins, which go to and
 * fro, have as much more time; what was not even sent begins now.
 */
static void
come_back(struct mews_pool *pool, int64_t away_us)
{
	struct conn	*conn;

	wait_ready(pool, 0);
	listen_extend(pool->listen, away_us);
	for (uint32_t i = 0; i < MEWS_ENDPOINTS_MAX; i++) {
		probe_extend(pool->endpoints[i].probe, away_us);
		for (uint32_t g = 0; g < pool->group_count; g++)
			TAILQ_FOREACH (conn, &pool->groups[g].on[i].conns,
			    link)
				if (conn->state != CONN_READY) {
					conn->dialed_us += away_us;
					conn->until_us += away_us;
				} else if (conn->head_since_us >=
				    pool->ticked_us) {
					conn->head_since_us = pool_now(pool);
				}
	}
}

static void
flush(struct mews_pool *pool, struct conn *conn)
{
	TAILQ_REMOVE(&pool->to_flush, conn, flush_link);
	conn->flushing = false;
	conn_flush(conn);
}

int
mews_pool_tick(struct mews_pool *pool)
{
	struct conn	*conn;
	int64_t		 left, away_us;

	if (!pool_ours(pool))
		return -1;
	assert(pool->depth == 0 &&
	    "mews: a callback of the pool cannot turn its loop");
	pool->depth++;
	away_us = pool_now(pool) - pool->attended_us;
	if (away_us > POOL_AWAY_US)
		come_back(pool, away_us);
	pool->ticked_us = pool_now(pool);
	pool_notice(pool);
	bury_broken(pool);
	query_end_canceled(pool);
	if (pool->due_us <= pool_now(pool))
		scan(pool, pool_now(pool));
	pool->hurry = false;
	for (uint32_t i = 0; i < pool->group_count; i++)
		if (pool->groups[i].waiting_count > 0)
			group_dispatch(&pool->groups[i]);
	while ((conn = TAILQ_FIRST(&pool->to_flush)) != NULL)
		flush(pool, conn);
	publish(pool);
	pool->depth--;
	pool->now_stale = true;
	pool->attended_us = pool->due_us;
	left = pool->due_us - pool->now_us;
	if (left <= 0 || pool->hurry || !TAILQ_EMPTY(&pool->broken))
		return 0;
	return (int)((left + 999) / 1000);
}

void
mews_pool_ready(struct mews_pool *pool, int fd, int events)
{
	struct watch	watch;
	uint64_t	count;

	if (!pool_ours(pool) || fd < 0 || (size_t)fd >= pool->by_fd_room ||
	    pool->by_fd[fd] == -1)
		return;
	watch = pool->watches[pool->by_fd[fd]];
	pool->depth++;
	switch (watch.kind) {
	case WATCH_WAKE:
		if (read(fd, &count, sizeof(count)) == sizeof(count))
			pool_notice(pool);
		/* The monitor may be wanted for more than a change. */
		pool_due(pool, pool_now(pool));
		break;
	case WATCH_PROBE:
		probe_ready(watch.who);
		break;
	case WATCH_LISTEN:
		listen_ready(watch.who);
		break;
	case WATCH_STOP:
		pool->stopped = true;
		break;
	case WATCH_CONN: {
		struct conn *conn = watch.who;

		conn_ready(conn, events);
		if (conn->group->waiting_count > 0)
			group_dispatch(conn->group);
		/* What has its Sync need not wait for other connections. */
		if (conn->synced && conn->flushing)
			flush(pool, conn);
		break;
	}
	}
	/* What the host does next may take its time. */
	if (--pool->depth == 0)
		pool->now_stale = true;
}

/* A host without a loop looks after nothing until it calls again. */
static void
leave(struct mews_pool *pool)
{
	pool->now_stale = true;
	if (pool->watch_fn == NULL)
		pool->attended_us = clock_now_us();
}

enum mews_status
mews_pool_turn(struct mews_pool *pool, int timeout_ms)
{
	int	due;

	if (!pool_ours(pool) || pool->depth > 0)
		return MEWS_INVALID;
	due = mews_pool_tick(pool);
	if (timeout_ms >= 0 && timeout_ms < due)
		due = timeout_ms;
	wait_ready(pool, due);
	leave(pool);
	return MEWS_OK;
}

void
pool_wait(struct mews_pool *pool, const bool *done)
{
	while (!*done) {
		int	due = mews_pool_tick(pool);

		if (!*done)
			wait_ready(pool, due);
	}
	leave(pool);
}
