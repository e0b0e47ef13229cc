/*
 * probe.c - whether an endpoint lives, in which role, and how far its WAL is:
 * log in, ask, judge. finding.c stores what the answer says.
 *
 * A frozen server still accepts connections, as its kernel does; a server that
 * answers old sessions may reject new ones. So the monitor asks over the
 * session it holds and over a new one by turns. A new one that was let in, and
 * is not answered, may wait behind a pooler whose pool is full: the session it
 * holds tells, in the other half of the time.
 */
#include "monitor/probe.h"

#include "fleet/budget.h"
#include "fleet/crowd.h"
#include "fleet/endpoint.h"
#include "monitor/finding.h"
#include "fleet/orphan.h"
#include "fleet/slots.h"
#include "monitor/pace.h"
#include "base/patience.h"
#include "wire/pooler.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One probe of this many is a login, the others ask over the session kept;
 * fewer while a query waits for a promotion. */
#define PROBE_LOGIN	 2
#define PROBE_ROLE_LOGIN 16
#define PROBE_QUEUE_LOGIN 16 /* behind a pooler whose pool is full */

/*
 * The question: is this a standby; up to which byte was WAL replayed, or
 * written; on which timeline? A primary's timeline is in the name of its WAL
 * file; a standby's is that of its last checkpoint, which may be late, but a
 * standby takes no writes. Formatted with a number for the session, see
 * wire/pooler.h.
 */
static const char ask[] =
    "SELECT " POOLER_ASK("%1$d", "r") ", "
    "(CASE WHEN r THEN pg_last_wal_replay_lsn() "
    "ELSE pg_current_wal_lsn() END - '0/0'::pg_lsn)::bigint, "
    "CASE WHEN r THEN (SELECT timeline_id FROM pg_control_checkpoint()) "
    "ELSE ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))"
    "::bit(32)::int END FROM (SELECT pg_is_in_recovery() AS r) AS s";

static const char nonsense[] = "an answer that makes no sense";

struct probe {
	struct prober *prober;
	uint32_t endpoint;
	unsigned epoch;
	struct patience patience; /* with the server, from login to answer */
	int64_t asked_us;
	int64_t half_us; /* fresh: ask over the session held then */
	bool asking;  /* logged in; the question is on its way */
	bool judged;  /* the verdict was reported; orphans remain */
	bool fresh;   /* over a new session */
	bool wished;  /* for a session that somebody gives up */
	uint32_t orphan; /* judged: the orphan that the server is asked about */
	PGresult *answer;
	struct dial dial;
};

static struct segment_endpoint *
record_of(const struct probe *probe)
{
	return endpoint_record(probe->prober->fleet, probe->endpoint);
}

static void probe_ready(void *who, int events);

static bool
probe_watch(struct probe *probe, int events)
{
	return loop_watch(probe->prober->loop, probe->dial.fd, events,
	    probe_ready, probe);
}

static void
probe_unwatch(struct probe *probe)
{
	loop_forget(probe->prober->loop, probe->dial.fd, probe);
}

/* After a failed call of libpq: if it closed the socket, give the descriptor
 * up. */
static void
probe_check_socket(struct probe *probe)
{
	loop_closed(probe->prober->loop, PQsocket(probe->dial.pg),
	    &probe->dial.fd, probe);
}

/* End the probe, without a verdict if none was reported yet. */
static void
probe_stop(struct probe *probe)
{
	probe_unwatch(probe);
	PQclear(probe->answer);
	PQfinish(probe->dial.pg);
	probe->prober->on[probe->endpoint].probe = NULL;
	free(probe);
}

/* Have workers sessions there that are answered? */
static bool
workers_have_some(const struct probe *probe)
{
	const struct segment *segment = &probe->prober->fleet->segment;

	return budget_sum(segment, probe->endpoint) >
	    crowd_count(segment, probe->endpoint);
}

/* End a probe that went well; the monitor keeps its session for the next, but
 * where it is the only one and a worker wishes for it. */
static void
end_well(struct probe *probe)
{
	struct probe_held *held = probe->prober->held;
	struct mews_fleet *fleet = probe->prober->fleet;

	/* The probe's own wish came true. */
	if (probe->wished)
		(void)crowd_take_wish(fleet, probe->endpoint, 0);
	if (held != NULL && (workers_have_some(probe) ||
		!crowd_take_wish(fleet, probe->endpoint, CROWD_STALE_MS))) {
		PGconn **pg = &held->pg[probe->endpoint];

		probe_unwatch(probe);
		PQfinish(*pg);
		*pg = probe->dial.pg;
		held->epoch[probe->endpoint] = probe->epoch;
		probe->dial.pg = NULL;
		probe->dial.fd = -1;
	}
	probe_stop(probe);
}

static void
verdict(struct probe *probe, enum health_evidence evidence)
{
	struct mews_fleet      *fleet = probe->prober->fleet;

	finding_log(probe->prober, probe->endpoint, evidence, probe->dial.why);
	endpoint_verdict(fleet, probe->endpoint, evidence, probe->epoch);
	probe->judged = true;
	/* The next turn finds out when the next probe is due. */
	loop_due(probe->prober->loop, loop_now(probe->prober->loop));
}

static void probe_proceed(struct probe *probe, enum dial_state state);

/* The session that was held broke, which proves nothing: the server may have
 * ended it for its own time limits. Log in, within the time of this probe. */
static void
begin_afresh(struct probe *probe)
{
	probe_check_socket(probe);
	probe_unwatch(probe);
	PQfinish(probe->dial.pg);
	probe->asking = false;
	probe->fresh = true;
	probe_proceed(probe, dial_start(&probe->dial, probe->prober->fleet,
	    probe->endpoint));
}

static void
probe_fail(struct probe *probe, enum health_evidence evidence, const char *why)
{
	probe_check_socket(probe);
	dial_message(probe->dial.why, sizeof(probe->dial.why), why);
	if (!probe->judged)
		verdict(probe, evidence);
	probe_stop(probe);
}

/* The session ended while the probe used it. */
static void
session_lost(struct probe *probe, const char *why)
{
	if (probe->fresh || probe->judged)
		probe_fail(probe, HEALTH_PROBE_FAILED, why);
	else
		begin_afresh(probe);
}

/* Put the figures of @answer into the segment. */
static void
publish_answer(struct probe *probe, const PGresult *answer)
{
	struct finding	finding = {
		.lsn = strtoull(PQgetvalue(answer, 0, 1), NULL, 10),
		.timeline = (uint32_t)strtoul(PQgetvalue(answer, 0, 2), NULL,
		    10),
		.rtt_us = (uint32_t)(clock_now_us() - probe->asked_us),
	};

	if (PQgetvalue(answer, 0, 0)[0] == 't')
		probe->dial.role = HEALTH_ROLE_STANDBY;
	else if (probe->dial.role == HEALTH_ROLE_STANDBY)
		probe->dial.role = dial_role(probe->dial.pg);
	finding.role = probe->dial.role;
	probe->epoch = finding_publish(probe->prober, probe->endpoint,
	    probe->epoch, &finding);
}

static void ask_for(struct probe *probe, const char *sql);
static void send_question(struct probe *probe);

/* After the verdict end orphans, one by one; then the probe is done. Workers do
 * so only if there is no monitor. */
static void
orphans(struct probe *probe)
{
	struct mews_fleet	*fleet = probe->prober->fleet;
	char			 sql[ORPHAN_SQL_MAX];
	const char		*name;
	char			*literal;

	name = PQparameterStatus(probe->dial.pg, "application_name");
	literal = name == NULL || (probe->prober->held == NULL &&
		fleet_has_monitor(fleet)) ? NULL :
	    PQescapeLiteral(probe->dial.pg, name, strlen(name));
	if (literal != NULL && orphan_next(&fleet->segment, probe->endpoint,
		&probe->orphan, literal, segment_ms(&fleet->segment,
		    clock_now_us()), sql)) {
		PQfreemem(literal);
		ask_for(probe, sql);
		return;
	}
	PQfreemem(literal);
	end_well(probe);
}

/* Take the server's answer about an orphan; no row: it is gone. The next probe
 * asks again about one that was just ended. */
static void
orphan_answered(struct probe *probe, const PGresult *answer)
{
	struct mews_fleet	*fleet = probe->prober->fleet;

	if (PQresultStatus(answer) != PGRES_TUPLES_OK ||
	    PQntuples(answer) == 0)
		orphan_gone(&fleet->segment, probe->orphan);
	else
		fleet_log(fleet, MEWS_LOG_INFO, "orphan_ended", "endpoint=%s",
		    endpoint_name(fleet, probe->endpoint));
	probe->orphan++;
}

/* Report a pooler as a failed probe, not as a rejected login: open sessions
 * must not go on either. The session is closed, as it would find its own
 * mark. */
static void
refuse_pooler(struct probe *probe)
{
	struct probe_held *held = probe->prober->held;

	if (held != NULL) {
		PQfinish(held->pg[probe->endpoint]);
		held->pg[probe->endpoint] = NULL;
	}
	segment_set_refusal(record_of(probe), POOLER_REASON,
	    segment_ms(&probe->prober->fleet->segment, clock_now_us()));
	probe_fail(probe, HEALTH_PROBE_FAILED, POOLER_REASON);
}

/* Take the whole answer to the question, or about an orphan. */
static void
take_answer(struct probe *probe)
{
	PGresult	*answer = probe->answer;
	const char	*sqlstate;
	char		 state[6];

	probe->answer = NULL;
	if (probe->judged)
		orphan_answered(probe, answer);
	if (PQresultStatus(answer) != PGRES_TUPLES_OK) {
		probe_check_socket(probe);
		if (!probe->judged && pooler_is_told(answer)) {
			PQclear(answer);
			refuse_pooler(probe);
			return;
		}
		sqlstate = PQresultErrorField(answer, PG_DIAG_SQLSTATE);
		dial_message(probe->dial.why, sizeof(probe->dial.why),
		    PQresultErrorMessage(answer));
		snprintf(state, sizeof(state), "%s", sqlstate == NULL ? "" :
		    sqlstate);
		PQclear(answer);
		if (PQstatus(probe->dial.pg) != CONNECTION_OK) {
			session_lost(probe, probe->dial.why);
			return;
		}
		if (state[0] == '\0') {
			probe_fail(probe, HEALTH_PROBE_FAILED, nonsense);
			return;
		}
		/* The question failed: the server lives, without a
		 * measurement. */
		if (!probe->judged)
			probe->epoch = finding_role(probe->prober,
			    probe->endpoint, probe->epoch,
			    probe->dial.role, 0);
		probe_fail(probe, HEALTH_REJECTED, probe->dial.why);
		return;
	}
	if (!probe->judged && (PQntuples(answer) != 1 ||
		PQnfields(answer) != 3 || PQgetisnull(answer, 0, 0))) {
		PQclear(answer);
		probe_fail(probe, HEALTH_PROBE_FAILED, nonsense);
		return;
	}
	if (!probe->judged) {
		if (probe->fresh)
			probe->prober->on[probe->endpoint].queues = false;
		crowd_heard(probe->prober->fleet, probe->endpoint);
		publish_answer(probe, answer);
		verdict(probe, HEALTH_PROBE_OK);
		if (probe->dial.role == HEALTH_ROLE_PRIMARY &&
		    !mixed_is(&record_of(probe)->mixed))
			finding_compare(probe->prober, probe->endpoint);
		else
			probe->prober->on[probe->endpoint].rival_told =
			    false;
	}
	PQclear(answer);
	orphans(probe);
}

static void
ask_for(struct probe *probe, const char *sql)
{
	probe->asking = true;
	probe->asked_us = clock_now_us();
	if (PQsendQuery(probe->dial.pg, sql) != 1)
		session_lost(probe, PQerrorMessage(probe->dial.pg));
	else if (!probe_watch(probe, MEWS_WATCH_READ))
		probe_stop(probe);
}

static void
send_question(struct probe *probe)
{
	char	sql[sizeof(ask) + 32];

	/* Behind a pooler this pid belongs to the client's session with the
	 * pooler. */
	snprintf(sql, sizeof(sql), ask, PQbackendPID(probe->dial.pg));
	ask_for(probe, sql);
}

/* Ask over the session that the monitor holds. */
static void
ask_held(struct probe *probe)
{
	struct probe_held *held = probe->prober->held;

	probe->fresh = false;
	probe->dial.pg = held->pg[probe->endpoint];
	held->pg[probe->endpoint] = NULL;
	probe->dial.fd = PQsocket(probe->dial.pg);
	probe->dial.role = dial_role(probe->dial.pg);
	send_question(probe);
}

/* Has the monitor a session of the epoch of @probe? */
static bool
is_held(const struct probe *probe)
{
	const struct probe_held *held = probe->prober->held;

	return held != NULL && held->pg[probe->endpoint] != NULL &&
	    held->epoch[probe->endpoint] == probe->epoch;
}

/* Half the time is over for a fresh session that was let in and is not
 * answered. */
static void
look_at_half(struct probe *probe)
{
	int64_t	looked_us = probe->prober->loop->looked_us;

	if (!probe->fresh || !probe->asking || probe->judged)
		return;
	if (looked_us < probe->half_us) {
		loop_due(probe->prober->loop, probe->half_us);
		return;
	}
	if (is_held(probe)) {
		probe->prober->on[probe->endpoint].queues = true;
		probe_unwatch(probe);
		PQfinish(probe->dial.pg);
		ask_held(probe);
	} else if (crowd_lives(probe->prober->fleet, probe->endpoint,
	    probe->asked_us) ||
	    (probe->prober->held != NULL && workers_have_some(probe))) {
		crowd_wish(probe->prober->fleet, probe->endpoint);
		probe->wished = true;
		probe->half_us += CROWD_WISH_US;
	}
}

/* No answer within the time of @probe. Where other sessions had theirs since
 * it asked, the server lives, and has no room for this one. */
static void
time_out(struct probe *probe)
{
	if (probe->fresh && probe->asking && !probe->judged &&
	    crowd_lives(probe->prober->fleet, probe->endpoint,
		probe->asked_us))
		probe_fail(probe, HEALTH_TOO_MANY,
		    "it waits behind a pooler whose pool is full");
	else
		probe_fail(probe, HEALTH_PROBE_FAILED, "no answer in time");
}

/* Read an answer. */
static void
probe_read(struct probe *probe)
{
	PGresult	*part;

	if (PQconsumeInput(probe->dial.pg) != 1) {
		session_lost(probe, PQerrorMessage(probe->dial.pg));
		return;
	}
	while (!PQisBusy(probe->dial.pg)) {
		if ((part = PQgetResult(probe->dial.pg)) == NULL) {
			take_answer(probe);
			return;
		}
		PQclear(probe->answer);
		probe->answer = part;
		if (dial_is_copy(part)) {
			probe_fail(probe, HEALTH_PROBE_FAILED, nonsense);
			return;
		}
	}
}

/* Publish whether logins are rejected, apart from the probes' verdicts: held
 * sessions go on when every login is rejected. A dead or full server does not
 * count as rejecting. */
static void
publish_refusal(struct probe *probe)
{
	const struct dial *dial = &probe->dial;
	const char	  *message = NULL;

	/* Leave out libpq's words on where the server is. */
	if (dial->evidence == HEALTH_REJECTED &&
	    (dial->sqlstate[0] == '\0' ||
		(message = strstr(dial->why, dial->sqlstate)) == NULL))
		message = dial->why;
	atomic_store(&record_of(probe)->login_wanted, 0);
	segment_set_refusal(record_of(probe), message,
	    segment_ms(&probe->prober->fleet->segment, clock_now_us()));
}

/* Act on the state that the login has reached. */
static void
probe_proceed(struct probe *probe, enum dial_state state)
{
	switch (state) {
	case DIAL_RUNS:
		if (!probe_watch(probe, probe->dial.events))
			probe_stop(probe);
		break;
	case DIAL_DONE:
		endpoint_logged_in(probe->prober->fleet, probe->endpoint);
		probe->half_us = loop_now(probe->prober->loop) +
		    (patience_due(&probe->patience) -
			loop_now(probe->prober->loop)) / 2;
		loop_due(probe->prober->loop, probe->half_us);
		send_question(probe);
		break;
	case DIAL_FAILED:
		publish_refusal(probe);
		verdict(probe, probe->dial.evidence);
		probe_stop(probe);
		break;
	}
}

static void
probe_ready(void *who, int events)
{
	struct probe *probe = who;

	(void)events;
	patience_heard(&probe->patience, probe->prober->loop->looked_us,
	    loop_now(probe->prober->loop));
	if (probe->asking) {
		probe_read(probe);
		return;
	}
	/* libpq may close this descriptor and open another. */
	probe_unwatch(probe);
	probe_proceed(probe, dial_step(&probe->dial));
}

static void
start_probe(struct prober *prober, uint32_t endpoint, int64_t now_us)
{
	struct probe_held	*held = prober->held;
	struct probe		*probe;
	uint32_t		 every;

	if ((probe = calloc(1, sizeof(*probe))) == NULL)
		return;
	probe->prober = prober;
	probe->endpoint = endpoint;
	probe->epoch = endpoint_health(prober->fleet, endpoint).epoch;
	patience_begin(&probe->patience,
	    (int64_t)prober->fleet->rules.timeout * 1000, now_us);
	probe->dial.fd = -1;
	loop_due(prober->loop, patience_due(&probe->patience));
	prober->on[endpoint].probe = probe;
	prober->on[endpoint].begun++;
	/* A session of an earlier epoch proves nothing: the name may lead to
	 * another address now, or the server may have died. */
	if (held != NULL && held->epoch[endpoint] != probe->epoch) {
		PQfinish(held->pg[endpoint]);
		held->pg[endpoint] = NULL;
	}
	/* Log in, or use the session that is held, by turns. */
	every = held != NULL && now_us < held->roles_until_us ?
	    PROBE_ROLE_LOGIN : PROBE_LOGIN;
	if (prober->on[endpoint].queues)
		every = PROBE_QUEUE_LOGIN;
	if (held == NULL || held->pg[endpoint] == NULL ||
	    atomic_load(&prober->fleet->segment.endpoints[endpoint]
		.login_wanted) != 0 ||
	    (now_us >= held->hurry_until_us &&
		prober->on[endpoint].begun % every == 0)) {
		probe->fresh = true;
		probe_proceed(probe, dial_start(&probe->dial, prober->fleet,
		    endpoint));
		return;
	}
	ask_held(probe);
}

void
probe_scan(struct prober *prober, uint32_t endpoint, bool panic,
    int64_t now_us)
{
	struct probe	*probe = prober->on[endpoint].probe;
	struct pace	 pace;

	if (probe != NULL) {
		if (patience_is_over(&probe->patience,
			prober->loop->looked_us)) {
			time_out(probe);
		} else {
			loop_due(prober->loop, patience_due(&probe->patience));
			look_at_half(probe);
		}
		return;
	}
	pace = pace_of(prober, endpoint, panic, now_us);
	if (!pace.timed)
		return;
	if (pace.due_ms == 0 && endpoint_lease(prober->fleet, endpoint,
		pace.self, pace.panic, pace.probed_ms))
		start_probe(prober, endpoint, now_us);
	else
		/* A little later, as another process may take the lease
		 * first. */
		loop_due(prober->loop,
		    now_us + ((int64_t)pace.due_ms + 2) * 1000);
}

bool
probe_any(const struct prober *prober)
{
	for (uint32_t i = 0; i < MEWS_ENDPOINTS_MAX; i++)
		if (prober->on[i].probe != NULL)
			return true;
	return false;
}

void
probe_stop_all(struct prober *prober)
{
	for (uint32_t i = 0; i < MEWS_ENDPOINTS_MAX; i++)
		if (prober->on[i].probe != NULL)
			probe_stop(prober->on[i].probe);
}
