/*
 * probe.c - log in, ask, publish, judge.
 *
 * A frozen server still accepts connections (its kernel does), and one that
 * still answers old sessions may let nobody in: so the monitor asks over the
 * session it holds and over a fresh one by turns.
 */
#include "probe.h"

#include "endpoint.h"
#include "group.h"
#include "listen.h"
#include "orphan.h"

#include <stdio.h>
#include <stdlib.h>

#define PROBE_HURRY_MS 20 /* between probes that somebody waits for */

/*
 * Is it a standby; up to which byte was WAL replayed, or written; on which
 * timeline. A primary's is in the name of its WAL file; a standby's follows
 * its checkpoints, which is good enough for one that takes no writes.
 */
static const char ask[] =
    "SELECT r, (CASE WHEN r THEN pg_last_wal_replay_lsn() "
    "ELSE pg_current_wal_lsn() END - '0/0'::pg_lsn)::bigint, "
    "CASE WHEN r THEN (SELECT timeline_id FROM pg_control_checkpoint()) "
    "ELSE ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))"
    "::bit(32)::int END FROM (SELECT pg_is_in_recovery() AS r) AS s";

struct probe {
	struct mews_pool *pool;
	uint32_t endpoint;
	unsigned epoch;
	int64_t until_us;
	int64_t asked_us;
	bool asking;  /* logged in; the question is on its way */
	bool judged;  /* the verdict is out; orphans remain */
	bool fresh;   /* over a session of its own */
	PGresult *answer;
	struct dial dial;
};

static struct segment_endpoint *
record(const struct probe *probe)
{
	return &probe->pool->fleet->segment.endpoints[probe->endpoint];
}

/* Tell once that two servers take themselves for the primary: of the one that
 * is outdated, whichever is probed. */
static void
compare_primaries(struct probe *probe)
{
	struct mews_fleet *fleet = probe->pool->fleet;
	uint32_t	   self = probe->endpoint;
	uint32_t	   mine = atomic_load(&record(probe)->timeline);
	bool		   outdated = false;

	for (uint32_t i = 0; i < fleet->segment.endpoint_count; i++) {
		struct health	health = endpoint_health(fleet, i);
		uint32_t	other, loser;

		other = atomic_load(&fleet->segment.endpoints[i].timeline);
		if (i == self || health.role != HEALTH_ROLE_PRIMARY ||
		    health.state == HEALTH_DOWN || other == 0 ||
		    other == mine)
			continue;
		loser = mine < other ? self : i;
		outdated = outdated || loser == self;
		if (!probe->pool->endpoints[loser].rival_told)
			fleet_log(fleet, MEWS_ERROR, "two_primaries",
			    "endpoint=%s timeline=%u other=%s "
			    "other_timeline=%u used=%s",
			    endpoint_name(fleet, self), mine,
			    endpoint_name(fleet, i), other,
			    endpoint_name(fleet, loser == i ? self : i));
		probe->pool->endpoints[loser].rival_told = true;
	}
	if (!outdated)
		probe->pool->endpoints[self].rival_told = false;
}

static uint32_t
now_ms(const struct probe *probe)
{
	return segment_ms(&probe->pool->fleet->segment, clock_now_us());
}

static bool
watch(struct probe *probe, int events)
{
	return probe->dial.fd == -1 || pool_watch(probe->pool, probe->dial.fd,
	    events, WATCH_PROBE, probe);
}

void
probe_stop(struct probe *probe)
{
	if (probe == NULL)
		return;
	watch(probe, 0);
	PQclear(probe->answer);
	PQfinish(probe->dial.pg);
	probe->pool->endpoints[probe->endpoint].probe = NULL;
	free(probe);
}

void
probe_extend(struct probe *probe, int64_t away_us)
{
	if (probe != NULL)
		probe->until_us += away_us;
}

int
probe_fd(const struct probe *probe)
{
	return probe == NULL ? -1 : probe->dial.fd;
}

/* The monitor keeps a good session for the next question. */
static void
end_well(struct probe *probe)
{
	struct monitor *monitor = probe->pool->monitor;

	if (monitor != NULL) {
		PGconn **held = &monitor->held[probe->endpoint];

		watch(probe, 0);
		PQfinish(*held);
		*held = probe->dial.pg;
		monitor->held_epoch[probe->endpoint] = probe->epoch;
		probe->dial.pg = NULL;
		probe->dial.fd = -1;
	}
	probe_stop(probe);
}

static void
verdict(struct probe *probe, enum health_evidence evidence)
{
	char			quoted[FLEET_QUOTED];
	struct mews_fleet      *fleet = probe->pool->fleet;

	if (evidence == HEALTH_PROBE_OK) {
		probe->epoch = endpoint_see_role(fleet, probe->endpoint,
		    probe->dial.role, probe->epoch);
	} else {
		fleet_log(fleet, MEWS_INFO, "probe_failed",
		    "endpoint=%s evidence=%s error=%s",
		    endpoint_name(fleet, probe->endpoint),
		    health_evidence_name(evidence),
		    fleet_quote(quoted, probe->dial.why));
	}
	/* Turned away, it lives nevertheless: that ends a death, too. */
	if (evidence == HEALTH_REJECTED || evidence == HEALTH_TOO_MANY)
		evidence = HEALTH_PROBE_OK;
	endpoint_verdict(fleet, probe->endpoint, evidence, probe->epoch);
	probe->judged = true;
	/* When is the next one due? */
	pool_due(probe->pool, pool_now(probe->pool));
}

static void
fail(struct probe *probe, enum health_evidence evidence, const char *why)
{
	struct monitor *monitor = probe->pool->monitor;

	dial_message(probe->dial.why, sizeof(probe->dial.why), why);
	if (monitor != NULL && !probe->fresh) {
		/* An old session that broke proves nothing: ask afresh. */
		PQfinish(monitor->held[probe->endpoint]);
		monitor->held[probe->endpoint] = NULL;
	}
	if (!probe->judged)
		verdict(probe, evidence);
	probe_stop(probe);
}

/* Does some group of the fleet treat these two lags differently? */
static bool
crosses_a_limit(const struct mews_fleet *fleet, uint32_t old_ms,
    uint32_t new_ms, uint64_t old_bytes, uint64_t new_bytes)
{
	for (size_t i = 0; i < fleet->config->group_count; i++) {
		const struct mews_group_config *g = &fleet->config->groups[i];

		if (g->max_lag != 0 &&
		    (old_ms > g->max_lag) != (new_ms > g->max_lag))
			return true;
		if (g->max_lag_bytes != 0 && (old_bytes > g->max_lag_bytes) !=
		    (new_bytes > g->max_lag_bytes))
			return true;
	}
	return false;
}

/* The monitor alone has seen enough of the primary to tell the lag. */
static void
publish_lag(struct probe *probe, uint64_t lsn)
{
	struct segment_endpoint *e = record(probe);
	struct lag		*lag = &probe->pool->monitor->lag;
	uint32_t		 now = now_ms(probe);
	uint32_t		 ms = 0, old_ms = atomic_load(&e->lag_ms);
	uint64_t		 bytes = 0, old_bytes;

	old_bytes = atomic_load(&e->lag_bytes);
	if (probe->dial.role == HEALTH_ROLE_STANDBY) {
		ms = lag_ms(lag, lsn, now);
		bytes = lag_bytes(lag, lsn);
	} else if (atomic_load(&e->timeline) >=
	    probe->pool->highest_timeline) {
		lag_note(lag, lsn, now);
	}
	atomic_store(&e->lag_ms, ms);
	atomic_store(&e->lag_bytes, bytes);
	if (crosses_a_limit(probe->pool->fleet, old_ms, ms, old_bytes, bytes))
		endpoint_changed(probe->pool->fleet);
}

static void
publish(struct probe *probe, const PGresult *answer)
{
	struct segment_endpoint *e = record(probe);
	struct mews_fleet	*fleet = probe->pool->fleet;
	uint64_t		 lsn;
	uint32_t		 timeline;

	lsn = strtoull(PQgetvalue(answer, 0, 1), NULL, 10);
	timeline = (uint32_t)strtoul(PQgetvalue(answer, 0, 2), NULL, 10);
	if (PQgetvalue(answer, 0, 0)[0] == 't')
		probe->dial.role = HEALTH_ROLE_STANDBY;
	else if (probe->dial.role == HEALTH_ROLE_STANDBY)
		probe->dial.role = dial_role(probe->dial.pg);
	atomic_store(&e->rtt_us,
	    (uint32_t)(clock_now_us() - probe->asked_us));
	atomic_store(&e->lsn, lsn);
	if (atomic_exchange(&e->timeline, timeline) != timeline)
		endpoint_changed(fleet);
	if (probe->pool->monitor != NULL)
		publish_lag(probe, lsn);
	atomic_store(&e->measured_ms, now_ms(probe) | 1);
}

static void send(struct probe *probe, const char *sql);

/* With the verdict out, clean up after dead workers; then done. */
static void
orphans(struct probe *probe)
{
	struct mews_fleet	*fleet = probe->pool->fleet;
	char			 sql[ORPHAN_SQL_MAX];
	const char		*name;
	char			*literal;

	name = PQparameterStatus(probe->dial.pg, "application_name");
	literal = name == NULL || probe->pool->monitor == NULL ? NULL :
	    PQescapeLiteral(probe->dial.pg, name, strlen(name));
	if (literal != NULL && orphan_next(&fleet->segment, probe->endpoint,
		literal, now_ms(probe), sql)) {
		PQfreemem(literal);
		send(probe, sql);
		return;
	}
	PQfreemem(literal);
	end_well(probe);
}

/* The whole answer to the question, or to the end of an orphan. */
static void
answered(struct probe *probe)
{
	PGresult	*answer = probe->answer;

	probe->answer = NULL;
	if (PQresultStatus(answer) != PGRES_TUPLES_OK) {
		dial_message(probe->dial.why, sizeof(probe->dial.why),
		    PQresultErrorMessage(answer));
		PQclear(answer);
		fail(probe, PQstatus(probe->dial.pg) == CONNECTION_OK ?
		    HEALTH_REJECTED : HEALTH_PROBE_FAILED, probe->dial.why);
		return;
	}
	if (probe->judged) {
		if (PQntuples(answer) > 0)
			fleet_log(probe->pool->fleet, MEWS_INFO,
			    "orphan_ended", "endpoint=%s",
			    endpoint_name(probe->pool->fleet,
				probe->endpoint));
	} else if (PQntuples(answer) == 1 && PQnfields(answer) == 3) {
		publish(probe, answer);
		verdict(probe, HEALTH_PROBE_OK);
		if (probe->dial.role == HEALTH_ROLE_PRIMARY)
			compare_primaries(probe);
		else
			probe->pool->endpoints[probe->endpoint].rival_told =
			    false;
	}
	PQclear(answer);
	orphans(probe);
}

static void
send(struct probe *probe, const char *sql)
{
	probe->asking = true;
	probe->asked_us = clock_now_us();
	if (PQsendQuery(probe->dial.pg, sql) != 1)
		fail(probe, HEALTH_PROBE_FAILED,
		    PQerrorMessage(probe->dial.pg));
	else if (!watch(probe, MEWS_READ))
		probe_stop(probe);
}

/* Bytes of an answer came. */
static void
listen_to(struct probe *probe)
{
	PGresult	*part;

	if (PQconsumeInput(probe->dial.pg) != 1) {
		fail(probe, HEALTH_PROBE_FAILED,
		    PQerrorMessage(probe->dial.pg));
		return;
	}
	while (!PQisBusy(probe->dial.pg)) {
		if ((part = PQgetResult(probe->dial.pg)) == NULL) {
			answered(probe);
			return;
		}
		PQclear(probe->answer);
		probe->answer = part;
	}
}

/* What the login did so far. */
static void
proceed(struct probe *probe, enum dial_state state)
{
	switch (state) {
	case DIAL_RUNS:
		if (!watch(probe, probe->dial.events))
			probe_stop(probe);
		break;
	case DIAL_DONE:
		send(probe, ask);
		break;
	case DIAL_FAILED:
		verdict(probe, probe->dial.evidence);
		probe_stop(probe);
		break;
	}
}

void
probe_ready(struct probe *probe)
{
	if (probe->asking) {
		listen_to(probe);
		return;
	}
	/* libpq may close this descriptor and open another. */
	watch(probe, 0);
	proceed(probe, dial_step(&probe->dial));
}

static void
start(struct mews_pool *pool, uint32_t endpoint, int64_t now_us)
{
	struct monitor	*monitor = pool->monitor;
	struct probe	*probe;

	if ((probe = calloc(1, sizeof(*probe))) == NULL)
		return;
	probe->pool = pool;
	probe->endpoint = endpoint;
	probe->epoch = endpoint_health(pool->fleet, endpoint).epoch;
	probe->until_us = now_us + (int64_t)pool->fleet->rules.timeout * 1000;
	probe->dial.fd = -1;
	pool_due(pool, probe->until_us);
	pool->endpoints[endpoint].probe = probe;
	pool->endpoints[endpoint].probes++;
	/* A session from before says nothing of who is there now: the name
	 * may lead to another address, or the server may have died. */
	if (monitor != NULL && monitor->held_epoch[endpoint] != probe->epoch) {
		PQfinish(monitor->held[endpoint]);
		monitor->held[endpoint] = NULL;
	}
	/* A login and the session that is held, by turns. */
	if (monitor == NULL || monitor->held[endpoint] == NULL ||
	    (now_us >= monitor->hurry_until_us &&
		pool->endpoints[endpoint].probes % 2 == 0)) {
		probe->fresh = true;
		proceed(probe, dial_start(&probe->dial, pool->fleet,
		    endpoint));
		return;
	}
	probe->dial.pg = monitor->held[endpoint];
	monitor->held[endpoint] = NULL;
	probe->dial.fd = PQsocket(probe->dial.pg);
	probe->dial.role = dial_role(probe->dial.pg);
	send(probe, ask);
}

static bool
somebody_panics(const struct mews_pool *pool)
{
	for (uint32_t i = 0; i < pool->group_count; i++)
		if (group_panics(&pool->groups[i]))
			return true;
	return listen_panics(pool->listen);
}

void
probe_scan(struct mews_pool *pool, uint32_t endpoint, int64_t now_us)
{
	struct mews_fleet	      *fleet = pool->fleet;
	const struct segment_endpoint *e = &fleet->segment.endpoints[endpoint];
	struct probe		      *probe = pool->endpoints[endpoint].probe;
	enum health_prober	       prober = HEALTH_WORKER;
	uint32_t		       due, now, probed;
	bool			       panic;

	if (probe != NULL) {
		if (probe->until_us <= now_us)
			fail(probe, HEALTH_PROBE_FAILED, "no answer in time");
		else
			pool_due(pool, probe->until_us);
		return;
	}
	if (pool->monitor != NULL)
		prober = HEALTH_MONITOR;
	else if (fleet_has_monitor(fleet))
		prober = HEALTH_STAND_BY;
	now = segment_ms(&fleet->segment, now_us);
	probed = atomic_load(&e->probed_ms);
	/* The monitor's steady look is one for the whole fleet: back-off is
	 * for workers, who would come in numbers. */
	panic = pool->monitor != NULL || somebody_panics(pool);
	/* Somebody waits for a position: as often as is decent. */
	if (pool->monitor != NULL && now_us < pool->monitor->hurry_until_us) {
		panic = true;
		probed -= fleet->rules.interval - PROBE_HURRY_MS;
	}
	due = health_lease_due(endpoint_health(fleet, endpoint), prober,
	    &fleet->rules, now, panic, probed);
	if (due == 0 && endpoint_lease(fleet, endpoint, prober, panic, probed))
		start(pool, endpoint, now_us);
	else if (due != UINT32_MAX)
		/* A little later: somebody else may have it. */
		pool_due(pool, now_us + ((int64_t)due + 2) * 1000);
}
