/*
 * conn.c - the life of a connection: dial, set up, serve, end.
 *
 *	DIALING -> SETUP -> READY -> (broken or retired) -> conn_close()
 *
 * What goes over it is in flight.c, what comes back in answer.c.
 */
#include "conn.h"

#include "answer.h"
#include "copy.h"
#include "endpoint.h"
#include "flight.h"
#include "lease.h"
#include "orphan.h"
#include "supply.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

static bool
watch(struct conn *conn, int events)
{
	if (conn->fd == -1 || conn->events == events)
		return true;
	conn->events = events;
	return pool_watch(conn->group->pool, conn->fd, events, WATCH_CONN,
	    conn);
}

void
conn_break(struct conn *conn, enum health_evidence evidence, const char *why)
{
	struct mews_pool *pool = conn->group->pool;

	if (conn->broken)
		return;
	conn->broken = true;
	conn->loss = evidence;
	dial_message(conn->why, sizeof(conn->why), why);
	TAILQ_INSERT_TAIL(&pool->broken, conn, broken_link);
	pool_due(pool, pool_now(pool));
}

/* The login is over. */
static void
dialed(struct conn *conn, bool well)
{
	if (conn->budget_dialing)
		budget_dialed(conn->group->pool->fleet, conn->endpoint, well);
	conn->budget_dialing = false;
}

enum budget
conn_dial(struct mews_group *group, uint32_t endpoint)
{
	struct mews_pool	*pool = group->pool;
	struct mews_fleet	*fleet = pool->fleet;
	enum budget		 budget;
	struct conn		*conn;

	if ((conn = calloc(1, sizeof(*conn))) == NULL)
		return BUDGET_FULL;
	if ((budget = budget_take(fleet, endpoint)) != BUDGET_OK) {
		free(conn);
		return budget;
	}
	conn->budget_dialing = true;
	conn->orphan = -1;
	conn->group = group;
	conn->on = &group->on[endpoint];
	conn->known = &pool->endpoints[endpoint];
	conn->endpoint = endpoint;
	conn->epoch = endpoint_health(fleet, endpoint).epoch;
	conn->fd = -1;
	conn->expires_us = POOL_NEVER;
	conn->dialed_us = pool_now(pool);
	conn->until_us = conn->dialed_us + POOL_DIAL_US;
	pool_due(pool, conn->dialed_us + GROUP_SLOW_DIAL_US);
	TAILQ_INSERT_TAIL(&conn->on->conns, conn, link);
	conn->on->count++;
	conn->on->dialing++;
	group->count++;
	if (dial_start(&conn->dial, fleet, endpoint) == DIAL_FAILED) {
		conn_break(conn, conn->dial.evidence, conn->dial.why);
		return BUDGET_OK;
	}
	conn->fd = conn->dial.fd;
	if (!watch(conn, conn->dial.events))
		conn_break(conn, HEALTH_NOTHING, "out of memory");
	return BUDGET_OK;
}

static void
become_ready(struct conn *conn)
{
	struct mews_group      *group = conn->group;
	int64_t			now = pool_now(group->pool);
	uint32_t		life = group->config->max_lifetime;

	conn->state = CONN_READY;
	conn->on->dialing--;
	conn->on->failures = 0;
	group->opened++;
	group->failure[0] = '\0';
	conn->idle_since_us = now;
	if (life != MEWS_FOREVER) {
		/* Up to a tenth less: connections born together part. */
		conn->expires_us = now + (int64_t)life * 1000 -
		    (int64_t)group_roll(group, life / 10 + 1) * 1000;
		pool_due(group->pool, conn->expires_us);
	}
	if (group->config->idle_timeout != MEWS_FOREVER)
		pool_due(group->pool,
		    now + (int64_t)group->config->idle_timeout * 1000);
	/* It may have been drained, or moved, in the meantime. */
	pool_notice(group->pool);
	if (!group_wants(group, conn))
		supply_retire(conn);
}

/* The statements that each session of the group begins with. */
bool
conn_send_setup(struct conn *conn)
{
	const char *sql = conn->group->setup;

	for (; *sql != '\0'; sql += strlen(sql) + 1)
		if (!conn_send_session(conn, sql))
			return false;
	return true;
}

static void
logged_in(struct conn *conn)
{
	struct mews_fleet *fleet = conn->group->pool->fleet;
	int		   domain = AF_UNSPEC;
	socklen_t	   length = sizeof(domain);

	conn->pg = conn->dial.pg;
	conn->fd = conn->dial.fd;
	dialed(conn, true);
	conn->orphan = orphan_record(fleet->slot, conn->endpoint,
	    (uint32_t)PQbackendPID(conn->pg),
	    segment_ms(&fleet->segment, pool_now(conn->group->pool)));
	conn->epoch = endpoint_see_role(fleet, conn->endpoint,
	    conn->dial.role, conn->epoch);
	endpoint_report(fleet, conn->endpoint, HEALTH_CONNECTED, conn->epoch);
	if (conn->epoch != endpoint_health(fleet, conn->endpoint).epoch) {
		conn_break(conn, HEALTH_NOTHING, "it moved during the login");
		return;
	}
	getsockopt(conn->fd, SOL_SOCKET, SO_DOMAIN, &domain, &length);
	conn->corkable = domain == AF_INET || domain == AF_INET6;
	conn->heard_us = pool_now(conn->group->pool);
	if (PQsetnonblocking(conn->pg, 1) != 0 ||
	    PQenterPipelineMode(conn->pg) != 1 || !watch(conn, MEWS_READ)) {
		conn_break(conn, HEALTH_NOTHING, "out of memory");
		return;
	}
	answer_catch_notices(conn);
	conn->state = CONN_SETUP;
	if (conn->group->setup[0] == '\0')
		become_ready(conn);
	else if (!conn_send_setup(conn) || !conn_sync(conn))
		conn_break(conn, HEALTH_LOST, PQerrorMessage(conn->pg));
}

void
conn_ready(struct conn *conn, int events)
{
	if (conn->broken)
		return;
	if (conn->state == CONN_DIALING && conn->pg == NULL) {
		/* libpq may close this descriptor and open another. */
		watch(conn, 0);
		conn->fd = -1;
		switch (dial_step(&conn->dial)) {
		case DIAL_RUNS:
			conn->fd = conn->dial.fd;
			if (!watch(conn, conn->dial.events))
				conn_break(conn, HEALTH_NOTHING,
				    "out of memory");
			break;
		case DIAL_DONE:
			logged_in(conn);
			break;
		case DIAL_FAILED:
			conn_break(conn, conn->dial.evidence, conn->dial.why);
			break;
		}
		return;
	}
	if ((events & MEWS_WRITE) != 0)
		conn_flush(conn);
	if (conn->copy != NULL)
		copy_heard(conn);
	answer_receive(conn);
	if (conn->state == CONN_SETUP && conn->head == conn->tail &&
	    !conn->broken)
		become_ready(conn);
	if (conn->retiring && conn_is_idle(conn) && conn->lease == NULL)
		conn_break(conn, HEALTH_NOTHING, "");
}

void
conn_flush(struct conn *conn)
{
	int	left, events = conn->paused ? 0 : MEWS_READ;

	if (conn->broken)
		return;
	left = flight_flush(conn);
	if (left > 0 || (conn->copy != NULL && copy_is_full(conn->copy)))
		events |= MEWS_WRITE;
	if (left < 0)
		conn_break(conn, HEALTH_LOST, PQerrorMessage(conn->pg));
	else if (!watch(conn, events))
		conn_break(conn, HEALTH_NOTHING, "out of memory");
	if (conn->resumed) {
		conn->resumed = false;
		answer_go_on(conn);
	}
}

void
conn_pause(struct conn *conn, bool paused)
{
	conn->paused = paused;
	conn->resumed = !paused;
	conn->head_since_us = pool_now(conn->group->pool);
	/* It changes what is watched for. */
	conn_flush_later(conn);
}

bool
conn_has_bytes(const struct conn *conn)
{
	char	byte;

	return recv(conn->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) > 0;
}

bool
conn_look(struct conn *conn)
{
	struct mews_pool *pool = conn->group->pool;
	char		  byte;

	/* An unread message, the end of file, or the one behind the other. */
	while (!conn->broken &&
	    recv(conn->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) >= 0)
		answer_receive(conn);
	conn->heard_us = pool_now(pool);
	return !conn->broken;
}

/* A login came to nothing: say so, and wait before the next one. */
static void
dial_failed(struct conn *conn)
{
	struct mews_group      *group = conn->group;
	struct group_endpoint  *on = conn->on;
	int64_t			wait = GROUP_RETRY_LAST_US;
	const char	       *name;
	char			quoted[FLEET_QUOTED];

	name = endpoint_name(group->pool->fleet, conn->endpoint);
	on->failures++;
	if (on->failures < 7)
		wait = (int64_t)GROUP_RETRY_FIRST_US << (on->failures - 1);
	if (wait > GROUP_RETRY_LAST_US)
		wait = GROUP_RETRY_LAST_US;
	wait = wait / 2 + group_roll(group, (uint32_t)wait / 2);
	on->not_before_us = pool_now(group->pool) + wait;
	pool_due(group->pool, on->not_before_us);
	snprintf(group->failure, sizeof(group->failure), "%s: %s", name,
	    conn->why);
	fleet_log(group->pool->fleet, MEWS_WARNING, "connect_failed",
	    "endpoint=%s group=%s evidence=%s sqlstate=%s retry_ms=%lld "
	    "error=%s", name, group->config->name,
	    health_evidence_name(conn->loss), conn->dial.sqlstate,
	    (long long)(wait / 1000), fleet_quote(quoted, conn->why));
}

/* Has it a deadline of its own that is over? */
static bool
is_late(const struct query *query)
{
	int64_t	until = query->deadline_us;

	if (query->timeout_ms == 0 || query->timeout_ms == MEWS_FOREVER)
		return false;
	if (until == 0)
		until = query->sent_us + (int64_t)query->timeout_ms * 1000;
	return pool_now(query->group->pool) >= until;
}

/* What becomes of a query whose answer will not come. */
static bool
may_resend(const struct query *query)
{
	return query->group->reader && query->kind == QUERY_SHARED &&
	    query->attempts <= QUERY_RESENDS && !query->canceled &&
	    query->fn.query != NULL && query->original == NULL &&
	    !is_late(query) && group_may_resend(query->group);
}

static void
query_lost(struct conn *conn, struct query *query)
{
	char		why[300];
	const char     *name;

	name = endpoint_name(conn->group->pool->fleet, conn->endpoint);
	snprintf(why, sizeof(why), "the connection to %s was lost, so the "
	    "outcome is unknown: %s", name, conn->why);
	query_end(query, MEWS_LOST, NULL, name, why);
}

/* Give back what is in flight: first in order what is sent again ... */
static void
give_back(struct conn *conn)
{
	struct query *held = conn->held;

	conn->held = NULL;
	PQclear(conn->held_answer);
	conn->held_answer = NULL;
	for (uint32_t i = conn->tail; i-- != conn->head;) {
		struct expect *e = &conn->ring[i & (conn->ring_size - 1)];

		if (e->kind == EXPECT_QUERY && e->query->twin != NULL) {
			/* Its twin will answer, or decide. */
			e->query->adrift = true;
			e->kind = EXPECT_SESSION;
		}
		if (e->kind == EXPECT_QUERY && may_resend(e->query)) {
			group_resubmit(conn->group, e->query, true);
			e->kind = EXPECT_SESSION;
		}
	}
	if (held != NULL && may_resend(held)) {
		group_resubmit(conn->group, held, true);
		held = NULL;
	}
	/* ... then what is lost. */
	if (held != NULL)
		query_lost(conn, held);
	while (conn->head != conn->tail) {
		struct expect e =
		    conn->ring[conn->head++ & (conn->ring_size - 1)];

		if (e.kind == EXPECT_QUERY)
			query_lost(conn, e.query);
	}
}

static void
conn_free(struct conn *conn)
{
	PQclear(conn->answer);
	PQclear(conn->ahead_error);
	PQclear(conn->held_answer);
	copy_free(conn->copy);
	PQfinish(conn->pg != NULL ? conn->pg : conn->dial.pg);
	free(conn->ring);
	free(conn->prepared);
	free(conn);
}

/* The one place where a connection ends. Nothing is in flight any more. */
static void
conn_close(struct conn *conn)
{
	struct mews_group	*group = conn->group;
	struct mews_pool	*pool = group->pool;
	struct group_endpoint	*on = conn->on;

	watch(conn, 0);
	if (conn->broken)
		TAILQ_REMOVE(&pool->broken, conn, broken_link);
	if (conn->flushing)
		TAILQ_REMOVE(&pool->to_flush, conn, flush_link);
	if (conn->state != CONN_READY)
		on->dialing--;
	dialed(conn, conn->loss == HEALTH_NOTHING);
	orphan_forget(pool->fleet->slot, conn->orphan);
	on->in_flight -= conn->in_flight;
	if (group->batch == conn)
		group->batch = NULL;
	on->count--;
	group->count--;
	TAILQ_REMOVE(&on->conns, conn, link);
	budget_give(pool->fleet, conn->endpoint);
	conn_free(conn);
}

void
conn_cancel(struct conn *conn)
{
	static const char why[] = "the pool was closed";

	if (conn->held != NULL)
		query_fail(conn->held, MEWS_CANCELED, why);
	conn->held = NULL;
	while (conn->head != conn->tail) {
		struct expect e =
		    conn->ring[conn->head++ & (conn->ring_size - 1)];

		if (e.kind == EXPECT_QUERY)
			query_fail(e.query, MEWS_CANCELED, why);
	}
	conn_close(conn);
}

/*
 * One was lost, and nobody shall send to others that are dead as well: has
 * their end come, too? It stands behind what the server said last.
 */
static void
hear_siblings(const struct conn *lost)
{
	struct mews_pool *pool = lost->group->pool;
	struct conn	 *conn;
	char		  byte;

	for (uint32_t g = 0; g < pool->group_count; g++)
		TAILQ_FOREACH (conn, &pool->groups[g].on[lost->endpoint].conns,
		    link)
			for (int i = 0; i < 2 && !conn->broken &&
			    conn->state == CONN_READY && recv(conn->fd, &byte,
				1, MSG_PEEK | MSG_DONTWAIT) >= 0; i++)
				answer_receive(conn);
}

void
conn_lose(struct conn *conn)
{
	char			 quoted[FLEET_QUOTED];
	struct mews_group	*group = conn->group;

	assert(conn->broken && "mews: a connection is broken, then lost");
	endpoint_report(group->pool->fleet, conn->endpoint, conn->loss,
	    conn->epoch);
	if (conn->loss == HEALTH_TOO_MANY)
		budget_lower(group->pool->fleet, conn->endpoint);
	/* A login that we ended ourselves has not failed. */
	if (conn->state == CONN_SETUP ||
	    (conn->state == CONN_DIALING && conn->loss != HEALTH_NOTHING))
		dial_failed(conn);
	else if (conn->state == CONN_READY && conn->loss != HEALTH_NOTHING)
		fleet_log(group->pool->fleet, MEWS_WARNING, "connection_lost",
		    "endpoint=%s group=%s evidence=%s in_flight=%u "
		    "error=%s",
		    endpoint_name(group->pool->fleet, conn->endpoint),
		    group->config->name, health_evidence_name(conn->loss),
		    conn->in_flight, fleet_quote(quoted, conn->why));
	if (conn->lease != NULL)
		lease_lost(conn->lease);
	if (conn->loss == HEALTH_LOST || conn->loss == HEALTH_SHUTDOWN)
		hear_siblings(conn);
	give_back(conn);
	conn_close(conn);
}

void
conn_abandon(struct conn *conn)
{
	TAILQ_REMOVE(&conn->on->conns, conn, link);
	conn_free(conn);
}
