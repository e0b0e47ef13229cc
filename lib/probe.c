/*
 * probe.c - workers probing what is not UP: the first look at a new fleet,
 * the verdict on a suspect, the way back of the dead.
 */
#include "probe.h"

#include "endpoint.h"
#include "group.h"

#include <stdlib.h>

struct probe {
	struct mews_pool *pool;
	uint32_t endpoint;
	unsigned epoch;
	int64_t until_us;
	struct dial dial;
};

void
probe_stop(struct probe *probe)
{
	if (probe == NULL)
		return;
	if (probe->dial.fd != -1)
		pool_watch(probe->pool, probe->dial.fd, 0, WATCH_PROBE,
		    probe);
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

static void
verdict(struct probe *probe, enum health_evidence evidence)
{
	struct mews_pool	*pool = probe->pool;
	uint32_t		 endpoint = probe->endpoint;
	unsigned		 epoch = probe->epoch;

	if (evidence == HEALTH_PROBE_OK) {
		endpoint_see_role(pool->fleet, endpoint, probe->dial.role,
		    epoch);
		/* A role that changed began a new epoch: the probe saw it. */
		epoch = endpoint_health(pool->fleet, endpoint).epoch;
	} else {
		fleet_log(pool->fleet, MEWS_INFO, "probe_failed",
		    "endpoint=%s evidence=%s error=\"%s\"",
		    endpoint_name(pool->fleet, endpoint),
		    health_evidence_name(evidence), probe->dial.why);
	}
	probe_stop(probe);
	/* Turned away, it lives nevertheless: that ends a death, too. */
	if (evidence == HEALTH_REJECTED || evidence == HEALTH_TOO_MANY)
		evidence = HEALTH_PROBE_OK;
	endpoint_report(pool->fleet, endpoint, evidence, epoch);
	/* When is the next one due? */
	pool_due(pool, pool_now(pool));
}

/* What the login did so far. */
static void
proceed(struct probe *probe, enum dial_state state)
{
	switch (state) {
	case DIAL_RUNS:
		if (!pool_watch(probe->pool, probe->dial.fd,
			probe->dial.events, WATCH_PROBE, probe))
			probe_stop(probe);
		break;
	case DIAL_DONE:
		verdict(probe, HEALTH_PROBE_OK);
		break;
	case DIAL_FAILED:
		verdict(probe, probe->dial.evidence);
		break;
	}
}

void
probe_ready(struct probe *probe)
{
	/* libpq may close this descriptor and open another. */
	pool_watch(probe->pool, probe->dial.fd, 0, WATCH_PROBE, probe);
	proceed(probe, dial_step(&probe->dial));
}

static void
probe_start(struct mews_pool *pool, uint32_t endpoint, int64_t now_us)
{
	struct probe	*probe;

	if ((probe = calloc(1, sizeof(*probe))) == NULL)
		return;
	probe->pool = pool;
	probe->endpoint = endpoint;
	probe->epoch = endpoint_health(pool->fleet, endpoint).epoch;
	probe->until_us = now_us + (int64_t)pool->fleet->rules.timeout * 1000;
	pool_due(pool, probe->until_us);
	pool->endpoints[endpoint].probe = probe;
	proceed(probe, dial_start(&probe->dial, pool->fleet, endpoint));
}

static bool
somebody_panics(const struct mews_pool *pool)
{
	for (uint32_t i = 0; i < pool->group_count; i++)
		if (group_panics(&pool->groups[i]))
			return true;
	return false;
}

void
probe_scan(struct mews_pool *pool, uint32_t endpoint, int64_t now_us)
{
	const struct segment_endpoint *e =
	    &pool->fleet->segment.endpoints[endpoint];
	struct probe *probe = pool->endpoints[endpoint].probe;
	uint32_t      due;
	bool	      panic;

	if (probe != NULL) {
		if (probe->until_us <= now_us)
			verdict(probe, HEALTH_PROBE_FAILED);
		else
			pool_due(pool, probe->until_us);
		return;
	}
	panic = somebody_panics(pool);
	due = health_lease_due(endpoint_health(pool->fleet, endpoint),
	    &pool->fleet->rules, segment_ms(&pool->fleet->segment, now_us),
	    panic, atomic_load(&e->probed_ms));
	if (due == 0 && endpoint_lease(pool->fleet, endpoint, panic))
		probe_start(pool, endpoint, now_us);
	else if (due != UINT32_MAX)
		/* At least a little later: somebody else may have it. */
		pool_due(pool, now_us + ((int64_t)due + 2) * 1000);
}
