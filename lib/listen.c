/*
 * listen.c - the connection that hears, kept alive.
 *
 *	AWAY -> DIALING -> IDLE <-> ASKING -> AWAY
 *
 * One command at a time, outside of pipeline mode: whatever is to be said,
 * all LISTEN and UNLISTEN together, or a sign of life, which finds out that a
 * firewall between us has forgotten the connection.
 */
#include "listen.h"

#include "budget.h"
#include "dial.h"
#include "endpoint.h"
#include "listener.h"

#include <stdlib.h>

#define LISTEN_PING_US	 5000000 /* between signs of life */
#define LISTEN_ANSWER_US 3000000 /* any answer is here by then */
#define LISTEN_RETRY_US	 100000  /* after a failure, doubled ... */
#define LISTEN_DOUBLINGS 5	  /* ... so often */

enum listen_state { LISTEN_AWAY, LISTEN_DIALING, LISTEN_IDLE, LISTEN_ASKING };

struct listen {
	struct mews_pool *pool;
	struct listener_list listeners;
	enum listen_state state;
	struct route route;
	uint32_t endpoint;
	unsigned epoch;
	struct dial dial;
	int events;	   /* watched for */
	bool budget_dialing;
	bool broken;	   /* to be lost in the next tick */
	bool set_up;	   /* the session was */
	enum health_evidence loss; /* with broken */
	char why[200];	   /* with broken */
	unsigned failures; /* in a row */
	int64_t until_us;  /* DIALING, ASKING: an answer is due */
	int64_t next_us;   /* AWAY: no login before; IDLE: a sign of life */
};

static struct mews_fleet *
fleet_of(const struct listen *listen)
{
	return listen->pool->fleet;
}

static bool
watch(struct listen *listen, int events)
{
	if (listen->dial.fd == -1 || listen->events == events)
		return true;
	listen->events = events;
	return pool_watch(listen->pool, listen->dial.fd, events, WATCH_LISTEN,
	    listen);
}

static void
broke(struct listen *listen, enum health_evidence evidence, const char *why)
{
	if (listen->broken || listen->state == LISTEN_AWAY)
		return;
	listen->broken = true;
	listen->loss = evidence;
	dial_message(listen->why, sizeof(listen->why), why);
	pool_due(listen->pool, pool_now(listen->pool));
}

/* The connection ends, if there is one. */
static void
hang_up(struct listen *listen)
{
	if (listen->state == LISTEN_AWAY)
		return;
	watch(listen, 0);
	PQfinish(listen->dial.pg);
	if (!listen->pool->abandoned) {
		if (listen->budget_dialing)
			budget_dialed(fleet_of(listen), listen->endpoint,
			    listen->loss == HEALTH_NOTHING);
		budget_give(fleet_of(listen), listen->endpoint);
	}
	listen->dial.pg = NULL;
	listen->dial.fd = -1;
	listen->budget_dialing = false;
	listen->broken = false;
	listen->loss = HEALTH_NOTHING;
	listen->set_up = false;
	listen->state = LISTEN_AWAY;
}

/* When to try again. */
static void
wait_a_while(struct listen *listen, int64_t wait_us)
{
	listen->next_us = pool_now(listen->pool) + wait_us / 2 +
	    arc4random_uniform((uint32_t)wait_us / 2 + 1);
	pool_due(listen->pool, listen->next_us);
}

static void
lose(struct listen *listen)
{
	char			 quoted[FLEET_QUOTED];
	bool			 listened = listen->state != LISTEN_DIALING;
	const char		*name;

	fleet_log(fleet_of(listen), MEWS_WARNING, listened ? "listen_lost" :
	    "listen_failed", "endpoint=%s evidence=%s error=%s",
	    endpoint_name(fleet_of(listen), listen->endpoint),
	    health_evidence_name(listen->loss),
	    fleet_quote(quoted, listen->why));
	endpoint_report(fleet_of(listen), listen->endpoint, listen->loss,
	    listen->epoch);
	name = endpoint_name(fleet_of(listen), listen->endpoint);
	hang_up(listen);
	listener_lost(&listen->listeners, name);
	/* One that worked is worth another try at once. */
	wait_a_while(listen, listen->failures == 0 ? 0 : LISTEN_RETRY_US <<
	    (listen->failures < LISTEN_DOUBLINGS ? listen->failures - 1 :
		LISTEN_DOUBLINGS));
	listen->failures++;
}

/* Push out what was said, and wait for the rest and the answer. */
static void
flush(struct listen *listen)
{
	int	left = PQflush(listen->dial.pg);

	if (left < 0)
		broke(listen, HEALTH_LOST, PQerrorMessage(listen->dial.pg));
	else if (!watch(listen, left > 0 ? MEWS_READ | MEWS_WRITE : MEWS_READ))
		broke(listen, HEALTH_NOTHING, "out of memory");
}

static void
ask(struct listen *listen, const char *sql)
{
	listen->state = LISTEN_ASKING;
	listen->until_us = pool_now(listen->pool) + LISTEN_ANSWER_US;
	pool_due(listen->pool, listen->until_us);
	if (PQsendQuery(listen->dial.pg, sql) != 1)
		broke(listen, HEALTH_LOST, PQerrorMessage(listen->dial.pg));
	else
		flush(listen);
}

/* IDLE: say what is to be said, if anything is. */
static void
go_on(struct listen *listen)
{
	char	*sql;

	if (listen->state != LISTEN_IDLE || listen->broken)
		return;
	sql = listener_commands(&listen->listeners, listen->set_up ? "" :
	    "SET idle_session_timeout = 0;");
	if (sql == NULL) {
		broke(listen, HEALTH_NOTHING, "out of memory");
		return;
	}
	if (*sql != '\0')
		ask(listen, sql);
	free(sql);
}

/* The server did as it was asked. */
static void
done(struct listen *listen)
{
	const char	*name;
	uint32_t	 news;

	name = endpoint_name(fleet_of(listen), listen->endpoint);
	listen->state = LISTEN_IDLE;
	listen->set_up = true;
	listen->failures = 0;
	listen->next_us = pool_now(listen->pool) + LISTEN_PING_US;
	pool_due(listen->pool, listen->next_us);
	if ((news = listener_heard(&listen->listeners, name)) > 0)
		fleet_log(fleet_of(listen), MEWS_INFO, "listening",
		    "endpoint=%s channels=%u", name, news);
}

/* Answers to what was asked. */
static void
take_answers(struct listen *listen)
{
	PGconn		*pg = listen->dial.pg;
	PGresult	*answer;

	while (listen->state == LISTEN_ASKING && !listen->broken &&
	    !PQisBusy(pg)) {
		if ((answer = PQgetResult(pg)) == NULL)
			done(listen);
		else if (PQresultStatus(answer) == PGRES_FATAL_ERROR)
			broke(listen, PQstatus(pg) == CONNECTION_OK ?
			    HEALTH_NOTHING : HEALTH_LOST,
			    PQresultErrorMessage(answer));
		PQclear(answer);
	}
}

static void
take_messages(struct listen *listen)
{
	PGnotify	*message;

	while ((message = PQnotifies(listen->dial.pg)) != NULL) {
		listener_message(&listen->listeners, message,
		    endpoint_name(fleet_of(listen), listen->endpoint));
		PQfreemem(message);
	}
}

static void
receive(struct listen *listen)
{
	bool	alive = PQconsumeInput(listen->dial.pg) == 1;

	take_answers(listen);
	take_messages(listen);
	if (alive)
		flush(listen);
	else
		broke(listen, HEALTH_LOST, PQerrorMessage(listen->dial.pg));
	go_on(listen);
}

static void
logged_in(struct listen *listen)
{
	struct mews_fleet *fleet = fleet_of(listen);

	budget_dialed(fleet, listen->endpoint, true);
	listen->budget_dialing = false;
	listen->epoch = endpoint_see_role(fleet, listen->endpoint,
	    listen->dial.role, listen->epoch);
	endpoint_report(fleet, listen->endpoint, HEALTH_CONNECTED,
	    listen->epoch);
	if (listen->epoch != endpoint_health(fleet, listen->endpoint).epoch) {
		broke(listen, HEALTH_NOTHING, "it moved during the login");
		return;
	}
	if (listen->dial.role == HEALTH_ROLE_STANDBY) {
		broke(listen, HEALTH_NOTHING, "a standby cannot LISTEN");
		return;
	}
	if (PQsetnonblocking(listen->dial.pg, 1) != 0) {
		broke(listen, HEALTH_NOTHING, "out of memory");
		return;
	}
	listen->state = LISTEN_IDLE;
	go_on(listen);
}

/* What the login did so far. */
static void
proceed(struct listen *listen, enum dial_state state)
{
	switch (state) {
	case DIAL_RUNS:
		if (!watch(listen, listen->dial.events))
			broke(listen, HEALTH_NOTHING, "out of memory");
		break;
	case DIAL_DONE:
		logged_in(listen);
		break;
	case DIAL_FAILED:
		broke(listen, listen->dial.evidence, listen->dial.why);
		break;
	}
}

/* Log in to the next of those that will do. */
static void
dial(struct listen *listen)
{
	struct mews_fleet	*fleet = fleet_of(listen);
	uint32_t		 endpoint;

	if (listen->route.count == 0)
		return; /* listen_rethink() tells */
	/* The first failure was the loss of one that worked. */
	endpoint = listen->route.endpoint[listen->failures == 0 ? 0 :
	    (listen->failures - 1) % listen->route.count];
	if (budget_take(fleet, endpoint) != BUDGET_OK) {
		wait_a_while(listen, LISTEN_RETRY_US);
		return;
	}
	listen->budget_dialing = true;
	listen->state = LISTEN_DIALING;
	listen->endpoint = endpoint;
	listen->epoch = endpoint_health(fleet, endpoint).epoch;
	listen->until_us = pool_now(listen->pool) + POOL_DIAL_US;
	pool_due(listen->pool, listen->until_us);
	proceed(listen, dial_start(&listen->dial, fleet, endpoint));
}

void
listen_ready(struct listen *listen)
{
	if (listen->broken)
		return;
	if (listen->state != LISTEN_DIALING) {
		receive(listen);
		return;
	}
	/* libpq may close this descriptor and open another. */
	watch(listen, 0);
	proceed(listen, dial_step(&listen->dial));
}

/* Is it time to doubt the connection? */
static void
look_at_time(struct listen *listen, int64_t now_us)
{
	switch (listen->state) {
	case LISTEN_AWAY:
		if (listen->next_us > now_us)
			pool_due(listen->pool, listen->next_us);
		else if (!TAILQ_EMPTY(&listen->listeners))
			dial(listen);
		break;
	case LISTEN_IDLE:
		if (dial_role(listen->dial.pg) == HEALTH_ROLE_STANDBY)
			broke(listen, HEALTH_NOTHING, "it became a standby");
		else if (listen->next_us > now_us)
			pool_due(listen->pool, listen->next_us);
		else
			ask(listen, "");
		break;
	case LISTEN_ASKING:
		/* It may be we who were slow. */
		if (listen->until_us <= now_us)
			receive(listen);
		/* FALLTHROUGH */
	case LISTEN_DIALING:
		if (listen->state == LISTEN_IDLE || listen->broken)
			break;
		if (listen->until_us > now_us)
			pool_due(listen->pool, listen->until_us);
		else
			broke(listen, listen->state == LISTEN_DIALING ?
			    HEALTH_CONNECT_TIMEOUT : HEALTH_WATCHDOG,
			    "no answer in time");
		break;
	}
}

void
listen_scan(struct listen *listen, int64_t now_us)
{
	if (listen == NULL)
		return;
	listener_sweep(&listen->listeners);
	go_on(listen);
	if (!listen->broken)
		look_at_time(listen, now_us);
	if (listen->broken)
		lose(listen);
	/* Nobody is left: neither is the connection. */
	if (TAILQ_EMPTY(&listen->listeners))
		hang_up(listen);
}

void
listen_rethink(struct listen *listen,
    const struct route_candidate *candidates, uint32_t count)
{
	static const struct mews_group_config	primary = {
		.role = MEWS_GROUP_PRIMARY,
	};
	const struct health			*health;
	bool					 routed = false;

	if (listen == NULL)
		return;
	route_make(&listen->route, &primary, candidates, count);
	if (listen->state == LISTEN_AWAY) {
		/* What failed before may be another matter now. */
		listen->failures = 0;
		if (listen->next_us > pool_now(listen->pool) + LISTEN_RETRY_US)
			wait_a_while(listen, LISTEN_RETRY_US);
		return;
	}
	health = &candidates[listen->endpoint].health;
	for (uint32_t i = 0; i < listen->route.count; i++)
		routed = routed || listen->route.endpoint[i] ==
		    listen->endpoint;
	if (health->state == HEALTH_DOWN)
		broke(listen, HEALTH_NOTHING, "the endpoint was found down");
	else if (listen->state != LISTEN_DIALING &&
	    (!routed || listen->epoch != health->epoch))
		broke(listen, HEALTH_NOTHING, "it is not the primary any more");
}

bool
listen_panics(const struct listen *listen)
{
	return listen != NULL && listen->route.count == 0 &&
	    !TAILQ_EMPTY(&listen->listeners);
}

void
listen_extend(struct listen *listen, int64_t away_us)
{
	if (listen != NULL)
		listen->until_us += away_us;
}

int
listen_fd(const struct listen *listen)
{
	return listen == NULL ? -1 : listen->dial.fd;
}

void
listen_close(struct listen *listen)
{
	if (listen == NULL)
		return;
	hang_up(listen);
	listener_orphan(&listen->listeners);
	free(listen);
}

struct listener_list *
listen_begin(struct mews_pool *pool)
{
	struct listen	*listen = pool->listen;

	if (listen == NULL) {
		if ((listen = calloc(1, sizeof(*listen))) == NULL)
			return NULL;
		listen->pool = pool;
		listen->dial.fd = -1;
		TAILQ_INIT(&listen->listeners);
		pool->listen = listen;
		/* Unlike the segment's: the next tick makes a route. */
		pool->changes--;
	}
	pool_due(pool, pool_now(pool));
	return &listen->listeners;
}
