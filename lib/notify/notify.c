/*
 * notify.c - keeping the connection that hears notifications alive.
 *
 *	AWAY -> DIALING -> IDLE <-> ASKING -> AWAY
 *
 * One command at a time, outside of pipeline mode: all LISTEN and UNLISTEN that
 * are due, together; or a sign of life, which finds out whether a firewall has
 * forgotten the connection.
 */
#include "notify/notify.h"

#include "fleet/budget.h"
#include "fleet/crowd.h"
#include "wire/dial.h"
#include "fleet/endpoint.h"
#include "notify/listener.h"
#include "base/patience.h"

#include <stdlib.h>
#include <string.h>

#define NOTIFY_PING_US	 5000000 /* between signs of life */
#define NOTIFY_ANSWER_US 3000000 /* any answer is here by then */
#define NOTIFY_RETRY_US	 100000  /* after a failure, then doubled */
#define NOTIFY_DOUBLINGS 5	  /* of NOTIFY_RETRY_US, at most */

enum notify_state { NOTIFY_AWAY, NOTIFY_DIALING, NOTIFY_IDLE, NOTIFY_ASKING };

struct notify {
	struct loop *loop;
	struct mews_fleet *fleet;
	struct listener_list listeners;
	enum notify_state state;
	struct route route;
	uint32_t endpoint;
	unsigned epoch;
	struct dial dial;
	int events;	   /* watched for */
	bool budget_dialing;
	bool broken;	   /* to be lost in the next tick */
	bool set_up;	   /* the session was set up */
	bool answered;	   /* the session answered since its login */
	bool queued;	   /* ASKING, not answered: behind a pooler, and counted
			      so */
	bool refused;	   /* the server refused the command */
	bool one;	   /* send one LISTEN at a time, as one of them is
			      refused */
	enum health_evidence loss; /* with broken */
	char why[200];	   /* with broken */
	unsigned failures; /* in a row */
	struct patience patience; /* DIALING, ASKING: how long the server may be
				     silent */
	int64_t asked_us;  /* ASKING: since then */
	int64_t wished_us; /* queued: a session was wished for */
	int64_t next_us;   /* AWAY: no login before; IDLE: the next sign of
			      life */
};

static void notify_ready(void *who, int events);

static bool
notify_watch(struct notify *notify, int events)
{
	if (notify->dial.fd == -1 || notify->events == events)
		return true;
	notify->events = events;
	return loop_watch(notify->loop, notify->dial.fd, events,
	    notify_ready, notify);
}

static void
notify_unwatch(struct notify *notify)
{
	loop_forget(notify->loop, notify->dial.fd, notify);
	notify->events = 0;
}

/* After a failed call of libpq: if it closed the socket, give the descriptor
 * up. */
static void
notify_check_socket(struct notify *notify)
{
	loop_closed(notify->loop, PQsocket(notify->dial.pg),
	    &notify->dial.fd, notify);
}

static void
broke(struct notify *notify, enum health_evidence evidence, const char *why)
{
	if (notify->broken || notify->state == NOTIFY_AWAY)
		return;
	notify_check_socket(notify);
	notify->broken = true;
	notify->loss = evidence;
	dial_message(notify->why, sizeof(notify->why), why);
	loop_due(notify->loop, loop_now(notify->loop));
}

static void
notify_unqueue(struct notify *notify)
{
	if (!notify->queued)
		return;
	notify->queued = false;
	crowd_leave(notify->fleet, notify->endpoint);
}

/* End the connection, if there is one. */
static void
hang_up(struct notify *notify)
{
	if (notify->state == NOTIFY_AWAY)
		return;
	notify_unwatch(notify);
	PQfinish(notify->dial.pg);
	if (!notify->loop->abandoned) {
		if (notify->budget_dialing)
			budget_dialed(notify->fleet, notify->endpoint,
			    notify->loss == HEALTH_NOTHING);
		notify_unqueue(notify);
		budget_give(notify->fleet, notify->endpoint);
	}
	notify->dial.pg = NULL;
	notify->dial.fd = -1;
	notify->budget_dialing = false;
	notify->broken = false;
	notify->loss = HEALTH_NOTHING;
	notify->set_up = false;
	notify->answered = false;
	notify->queued = false;
	notify->refused = false;
	notify->one = false;
	notify->state = NOTIFY_AWAY;
}

/* Try again after @wait_us, with jitter. */
static void
wait_a_while(struct notify *notify, int64_t wait_us)
{
	notify->next_us = loop_now(notify->loop) + wait_us / 2 +
	    arc4random_uniform((uint32_t)wait_us / 2 + 1);
	loop_due(notify->loop, notify->next_us);
}

static void
lose(struct notify *notify)
{
	char			 quoted[FLEET_QUOTED];
	bool			 listened = notify->set_up;
	const char		*name;

	fleet_log(notify->fleet, MEWS_LOG_WARNING, listened ? "listen_lost" :
	    "listen_failed", "endpoint=%s evidence=%s error=%s",
	    endpoint_name(notify->fleet, notify->endpoint),
	    health_evidence_name(notify->loss),
	    logfmt_text(quoted, sizeof(quoted), notify->why));
	endpoint_report(notify->fleet, notify->endpoint, notify->loss,
	    notify->epoch);
	name = endpoint_name(notify->fleet, notify->endpoint);
	hang_up(notify);
	listener_lost(&notify->listeners, name);
	/* After the loss of a connection that worked try again at once. */
	wait_a_while(notify, notify->failures == 0 ? 0 : NOTIFY_RETRY_US <<
	    (notify->failures < NOTIFY_DOUBLINGS ? notify->failures - 1 :
		NOTIFY_DOUBLINGS));
	notify->failures++;
}

/* Flush, and wait for the rest and the answer. */
static void
notify_flush(struct notify *notify)
{
	int	left = PQflush(notify->dial.pg);

	if (left < 0)
		broke(notify, HEALTH_LOST, PQerrorMessage(notify->dial.pg));
	else if (!notify_watch(notify,
	    MEWS_WATCH_READ | (left > 0 ? MEWS_WATCH_WRITE : 0)))
		broke(notify, HEALTH_NOTHING, "out of memory");
}

static void
be_patient(struct notify *notify, int64_t us)
{
	patience_begin(&notify->patience, us, loop_now(notify->loop));
	loop_due(notify->loop, patience_due(&notify->patience));
}

static void
notify_ask(struct notify *notify, const char *sql)
{
	notify->state = NOTIFY_ASKING;
	notify->asked_us = loop_now(notify->loop);
	be_patient(notify, NOTIFY_ANSWER_US);
	if (PQsendQuery(notify->dial.pg, sql) != 1)
		broke(notify, HEALTH_LOST, PQerrorMessage(notify->dial.pg));
	else
		notify_flush(notify);
}

/* IDLE: send the commands that are due, if any are. */
static void
go_on(struct notify *notify)
{
	char	*sql;

	if (notify->state != NOTIFY_IDLE || notify->broken)
		return;
	sql = listener_commands(&notify->listeners, notify->set_up ? "" :
	    "SET idle_session_timeout = 0;", notify->one);
	if (sql == NULL) {
		broke(notify, HEALTH_NOTHING, "out of memory");
		return;
	}
	if (*sql != '\0')
		notify_ask(notify, sql);
	else
		notify->one = false;
	free(sql);
}

/* The server ran the command. */
static void
done(struct notify *notify)
{
	const char	*name;
	uint32_t	 news;

	name = endpoint_name(notify->fleet, notify->endpoint);
	notify->state = NOTIFY_IDLE;
	notify->set_up = true;
	notify->failures = 0;
	notify->next_us = loop_now(notify->loop) + NOTIFY_PING_US;
	loop_due(notify->loop, notify->next_us);
	if ((news = listener_heard(&notify->listeners, name)) > 0)
		fleet_log(notify->fleet, MEWS_LOG_INFO, "listening",
		    "endpoint=%s channels=%u", name, news);
}

/* Does the error say that a channel's name, or one of several, is invalid? */
static bool
refuses_name(const PGresult *answer)
{
	const char *state = PQresultErrorField(answer, PG_DIAG_SQLSTATE);

	return state != NULL && (strncmp(state, "22", 2) == 0 ||
	    strncmp(state, "42", 2) == 0);
}

/* All was undone: find out which LISTEN is refused, one after the other. */
static void
refused(struct notify *notify)
{
	const char *name = endpoint_name(notify->fleet, notify->endpoint);

	notify->state = NOTIFY_IDLE;
	notify->refused = false;
	notify->next_us = loop_now(notify->loop) + NOTIFY_PING_US;
	loop_due(notify->loop, notify->next_us);
	if (listener_refused(&notify->listeners, notify->one, name))
		notify->one = true;
	else
		broke(notify, HEALTH_NOTHING, "the server refused UNLISTEN");
}

/* Take the answers to a command. */
static void
take_answers(struct notify *notify)
{
	PGconn		*pg = notify->dial.pg;
	PGresult	*answer;

	while (notify->state == NOTIFY_ASKING && !notify->broken &&
	    !PQisBusy(pg)) {
		if ((answer = PQgetResult(pg)) == NULL && notify->refused)
			refused(notify);
		else if (answer == NULL)
			done(notify);
		else if (dial_is_copy(answer))
			broke(notify, HEALTH_LOST, "an unexpected COPY");
		else if (PQresultStatus(answer) == PGRES_FATAL_ERROR &&
		    refuses_name(answer))
			notify->refused = true;
		else if (PQresultStatus(answer) == PGRES_FATAL_ERROR)
			broke(notify, PQstatus(pg) == CONNECTION_OK ?
			    HEALTH_NOTHING : HEALTH_LOST,
			    PQresultErrorMessage(answer));
		PQclear(answer);
	}
}

static void
take_messages(struct notify *notify)
{
	PGnotify	*message;

	while ((message = PQnotifies(notify->dial.pg)) != NULL) {
		listener_message(&notify->listeners, message,
		    endpoint_name(notify->fleet, notify->endpoint));
		PQfreemem(message);
	}
}

/* Part of an answer came. */
static void
hear_answer(struct notify *notify)
{
	crowd_heard(notify->fleet, notify->endpoint);
	notify->answered = true;
	/* Served at last: what follows has the time of any command. */
	if (notify->queued) {
		be_patient(notify, NOTIFY_ANSWER_US);
		/* The wish came true. */
		(void)crowd_take_wish(notify->fleet, notify->endpoint, 0);
	}
	notify_unqueue(notify);
}

static void
receive(struct notify *notify, int events)
{
	bool	alive = PQconsumeInput(notify->dial.pg) == 1;

	/* libpq closes the socket at the end of file: give it up before any
	 * callback. */
	if (!alive)
		notify_check_socket(notify);
	else if (notify->state == NOTIFY_ASKING &&
	    (events & MEWS_WATCH_READ) != 0)
		hear_answer(notify);
	take_answers(notify);
	take_messages(notify);
	if (alive)
		notify_flush(notify);
	else
		broke(notify, HEALTH_LOST, PQerrorMessage(notify->dial.pg));
	go_on(notify);
}

static void
notify_logged_in(struct notify *notify)
{
	struct mews_fleet *fleet = notify->fleet;

	budget_dialed(fleet, notify->endpoint, true);
	notify->budget_dialing = false;
	notify->epoch = endpoint_see_role(fleet, notify->endpoint,
	    notify->dial.role, notify->epoch);
	endpoint_report(fleet, notify->endpoint, HEALTH_CONNECTED,
	    notify->epoch);
	if (notify->epoch != endpoint_health(fleet, notify->endpoint).epoch) {
		broke(notify, HEALTH_NOTHING, "the endpoint's address or role "
		    "changed during the login");
		return;
	}
	if (notify->dial.role == HEALTH_ROLE_STANDBY) {
		broke(notify, HEALTH_NOTHING, "a standby cannot LISTEN");
		return;
	}
	if (PQsetnonblocking(notify->dial.pg, 1) != 0) {
		broke(notify, HEALTH_NOTHING, "out of memory");
		return;
	}
	notify->state = NOTIFY_IDLE;
	go_on(notify);
}

/* Act on the state that the login has reached. */
static void
notify_proceed(struct notify *notify, enum dial_state state)
{
	switch (state) {
	case DIAL_RUNS:
		if (!notify_watch(notify, notify->dial.events))
			broke(notify, HEALTH_NOTHING, "out of memory");
		break;
	case DIAL_DONE:
		notify_logged_in(notify);
		break;
	case DIAL_FAILED:
		broke(notify, notify->dial.evidence, notify->dial.why);
		break;
	}
}

/* Log in to the next endpoint of the route. */
static void
notify_dial(struct notify *notify)
{
	struct mews_fleet	*fleet = notify->fleet;
	uint32_t		 endpoint;

	if (notify->route.count == 0)
		return; /* until notify_rethink() */
	/* The first failure was the loss of a connection that worked. */
	endpoint = notify->route.endpoint[notify->failures == 0 ? 0 :
	    (notify->failures - 1) % notify->route.count];
	if (budget_take(fleet, endpoint) != BUDGET_OK) {
		wait_a_while(notify, NOTIFY_RETRY_US);
		return;
	}
	notify->budget_dialing = true;
	notify->state = NOTIFY_DIALING;
	notify->endpoint = endpoint;
	notify->epoch = endpoint_health(fleet, endpoint).epoch;
	be_patient(notify, DIAL_US);
	notify_proceed(notify, dial_start(&notify->dial, fleet, endpoint));
}

static void
notify_ready(void *who, int events)
{
	struct notify *notify = who;

	if (notify->broken)
		return;
	patience_heard(&notify->patience, notify->loop->looked_us,
	    loop_now(notify->loop));
	if (notify->state != NOTIFY_DIALING) {
		receive(notify, events);
		return;
	}
	/* libpq may close this descriptor and open another. */
	notify_unwatch(notify);
	notify_proceed(notify, dial_step(&notify->dial));
}

/* A session that was let in and never answered: let it wait while others are
 * answered, as a pooler may be in between, whose pool is full. */
static void
wait_in_queue(struct notify *notify, int64_t now_us)
{
	struct mews_fleet *fleet = notify->fleet;
	int64_t		   silence = crowd_silence(fleet, NOTIFY_ANSWER_US);
	bool		   over;

	if (!notify->queued && crowd_queues(fleet, notify->endpoint,
	    notify->asked_us, now_us)) {
		notify->queued = true;
		crowd_join(fleet, notify->endpoint);
	}
	loop_due(notify->loop, now_us + CROWD_SLOW_US);
	if (!notify->queued)
		return;
	if (now_us - notify->wished_us >= CROWD_WISH_US) {
		notify->wished_us = now_us;
		crowd_wish(fleet, notify->endpoint);
	}
	over = patience_is_over(&notify->patience, notify->loop->looked_us);
	if (over && !crowd_lives(fleet, notify->endpoint, now_us - silence))
		return;
	if (now_us - notify->asked_us > CROWD_MOST_US)
		broke(notify, HEALTH_NOTHING, "it waited behind a pooler "
		    "whose pool is full");
	else if (over)
		be_patient(notify, silence);
}

/* Act on the connection's time limits. */
static void
look_at_time(struct notify *notify, int64_t now_us)
{
	switch (notify->state) {
	case NOTIFY_AWAY:
		if (notify->next_us > now_us)
			loop_due(notify->loop, notify->next_us);
		else if (!TAILQ_EMPTY(&notify->listeners))
			notify_dial(notify);
		break;
	case NOTIFY_IDLE:
		if (dial_role(notify->dial.pg) == HEALTH_ROLE_STANDBY)
			broke(notify, HEALTH_NOTHING, "the server became "
			    "a standby");
		else if (notify->next_us > now_us)
			loop_due(notify->loop, notify->next_us);
		else
			notify_ask(notify, "");
		break;
	case NOTIFY_ASKING:
	case NOTIFY_DIALING:
		if (notify->state == NOTIFY_ASKING && !notify->answered)
			wait_in_queue(notify, now_us);
		if (!patience_is_over(&notify->patience,
			notify->loop->looked_us))
			loop_due(notify->loop,
			    patience_due(&notify->patience));
		else
			broke(notify, notify->state == NOTIFY_DIALING ?
			    HEALTH_CONNECT_TIMEOUT : HEALTH_WATCHDOG,
			    "no answer in time");
		break;
	}
}

void
notify_scan(struct notify *notify, int64_t now_us)
{
	if (notify == NULL)
		return;
	listener_sweep(&notify->listeners);
	go_on(notify);
	if (!notify->broken)
		look_at_time(notify, now_us);
	if (notify->broken)
		lose(notify);
	/* Without listeners the connection ends, too. The next listener waits
	 * for nothing but a login. */
	if (TAILQ_EMPTY(&notify->listeners) &&
	    notify->state != NOTIFY_AWAY) {
		hang_up(notify);
		notify->next_us = now_us;
	}
}

void
notify_rethink(struct notify *notify,
    const struct route_candidate *candidates, uint32_t count)
{
	static const struct mews_group_config	primary = {
		.role = MEWS_GROUP_PRIMARY,
	};
	const struct health			*health;

	if (notify == NULL)
		return;
	route_make(&notify->route, &primary, candidates, count);
	if (notify->state == NOTIFY_AWAY) {
		/* A login may succeed now: begin with the first endpoint
		 * again. */
		notify->failures = 0;
		if (notify->next_us > loop_now(notify->loop) + NOTIFY_RETRY_US)
			wait_a_while(notify, NOTIFY_RETRY_US);
		return;
	}
	health = &candidates[notify->endpoint].health;
	if (health->state == HEALTH_DOWN)
		broke(notify, HEALTH_NOTHING, "the endpoint was found down");
	else if (notify->state != NOTIFY_DIALING &&
	    (!route_keeps(&notify->route, notify->endpoint) ||
		notify->epoch != health->epoch))
		broke(notify, HEALTH_NOTHING, "the endpoint is not the primary "
		    "any more");
}

bool
notify_panics(const struct notify *notify)
{
	return notify != NULL && notify->route.count == 0 &&
	    !TAILQ_EMPTY(&notify->listeners);
}

void
notify_close(struct notify *notify)
{
	if (notify == NULL)
		return;
	hang_up(notify);
	listener_orphan(&notify->listeners);
	free(notify);
}

struct notify *
notify_open(struct loop *loop, struct mews_fleet *fleet)
{
	struct notify	*notify = calloc(1, sizeof(*notify));

	if (notify == NULL)
		return NULL;
	notify->loop = loop;
	notify->fleet = fleet;
	notify->dial.fd = -1;
	TAILQ_INIT(&notify->listeners);
	return notify;
}

void
notify_add(struct notify *notify, struct mews_listener *listener)
{
	TAILQ_INSERT_TAIL(&notify->listeners, listener, link);
	loop_due(notify->loop, loop_now(notify->loop));
}
