/*
 * pace.c - see pace.h.
 */
#include "monitor/pace.h"

#include "fleet/endpoint.h"
#include "fleet/orphan.h"
#include "fleet/slots.h"

#define PACE_HURRY_MS 20 /* between probes while a query waits for a
			     position */
#define PACE_ROLE_MS  100 /* between questions for a promotion */
#define PACE_PROOF_MS 50 /* between probes for the timeline of a new primary */

static uint32_t
sooner(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

struct pace
pace_of(const struct prober *prober, uint32_t endpoint, bool panic,
    int64_t now_us)
{
	struct mews_fleet	      *fleet = prober->fleet;
	const struct segment_endpoint *e = &fleet->segment.endpoints[endpoint];
	struct pace		       pace = { .self = HEALTH_WORKER };
	int64_t			       now_ms;
	uint32_t		       now;
	uint32_t		       every = fleet->rules.interval;
	struct health		       health;
	bool			       proven;

	now_ms = segment_ms(&fleet->segment, now_us);
	now = (uint32_t)now_ms;
	if (prober->held != NULL)
		pace.self = HEALTH_MONITOR;
	else if (fleet_has_monitor(fleet))
		pace.self = HEALTH_STAND_BY;
	pace.probed_ms = now - fleet->rules.interval;
	/* Compare only within half the range of the health word's clock. */
	if ((uint64_t)now_ms - (uint64_t)atomic_load(&e->probed_ms) <
	    fleet->rules.interval)
		pace.probed_ms = (uint32_t)atomic_load(&e->probed_ms);
	/* The monitor probes at a steady pace, alone for the whole fleet:
	 * back-off is for workers, which are many. */
	pace.panic = panic || prober->held != NULL ||
	    atomic_load(&e->login_wanted) != 0 ||
	    atomic_load(&e->rejected_ms) != 0 ||
	    orphan_count(&fleet->segment, endpoint) > 0;
	health = endpoint_health(fleet, endpoint);
	/* A query waits for a promotion: probe sooner, except a server that is
	 * down, as this host may be one of hundreds. */
	if (prober->held != NULL && now_us < prober->held->roles_until_us &&
	    health.state == HEALTH_UP)
		every = sooner(every, PACE_ROLE_MS);
	/* Writes wait until it is known which primary is the newest. */
	segment_timeline(e, &proven);
	if (!proven && health.role == HEALTH_ROLE_PRIMARY) {
		pace.panic = true;
		every = sooner(every, PACE_PROOF_MS);
	}
	/* A query waits for a position: probe as often as PACE_HURRY_MS
	 * allows. */
	if (prober->held != NULL && now_us < prober->held->hurry_until_us) {
		pace.panic = true;
		every = sooner(every, PACE_HURRY_MS);
	}
	pace.probed_ms -= fleet->rules.interval - every;
	pace.timed = health_lease_due(health, pace.self, &fleet->rules, now,
	    pace.panic, pace.probed_ms, &pace.due_ms);
	return pace;
}
