/*
 * endpoint.c - evidence in, one transition out: stored, logged, told to all.
 */
#include "endpoint.h"

#include "clock.h"

#include <stdlib.h>
#include <unistd.h>

/* What every process must act on; the rest is bookkeeping. */
static bool
matters(const struct health_change *change)
{
	return change->from.state != change->to.state ||
	    change->from.role != change->to.role ||
	    change->from.epoch != change->to.epoch ||
	    (change->to.state == HEALTH_SUSPECT &&
		change->from.failures == 0 && change->to.failures > 0);
}

static void
announce(struct mews_fleet *fleet, uint32_t endpoint,
    const struct health_change *change, enum health_evidence evidence,
    uint32_t now_ms)
{
	struct segment_endpoint *e = &fleet->segment.endpoints[endpoint];
	enum mews_log_level	 level = MEWS_INFO;

	atomic_store(&e->evidence, (uint32_t)evidence);
	if (!matters(change))
		return;
	/* 0 stands for "never". */
	atomic_store(&e->changed_ms, now_ms | 1);
	atomic_store(&e->changed_by, (int32_t)getpid());
	if (change->from.state == HEALTH_DOWN &&
	    change->to.state == HEALTH_UP) {
		atomic_store(&e->up_ms, now_ms | 1);
		/* Not all at once: see budget.h. */
		atomic_store(&e->burst,
		    fleet->config->endpoints[endpoint].connect_burst);
	}
	endpoint_changed(fleet);
	/* The first sight of a role comes with its own transition. */
	if (change->from.state == change->to.state &&
	    change->from.role == HEALTH_ROLE_UNKNOWN &&
	    change->to.role != HEALTH_ROLE_UNKNOWN)
		return;
	if (change->to.state == HEALTH_DOWN ||
	    change->to.state == HEALTH_SUSPECT)
		level = MEWS_WARNING;
	fleet_log(fleet, level, "endpoint",
	    "endpoint=%s from=%s to=%s role=%s evidence=%s epoch=%u "
	    "failures=%u", endpoint_name(fleet, endpoint),
	    health_state_name(change->from.state),
	    health_state_name(change->to.state),
	    health_role_name(change->to.role), health_evidence_name(evidence),
	    change->to.epoch, change->to.failures);
}

void
endpoint_changed(struct mews_fleet *fleet)
{
	atomic_fetch_add(&fleet->segment.header->changes, 1);
	fleet_wake_all(fleet);
}

static void
report(struct mews_fleet *fleet, uint32_t endpoint,
    enum health_evidence evidence, bool probe, unsigned epoch)
{
	struct segment_endpoint *e = &fleet->segment.endpoints[endpoint];
	uint32_t		 now;
	struct health_change	 change;

	now = segment_ms(&fleet->segment, clock_now_us());
	change = health_report(&e->health, evidence, probe, epoch,
	    &fleet->rules, now, arc4random());
	if (health_pack(change.from) != health_pack(change.to))
		announce(fleet, endpoint, &change, evidence, now);
}

void
endpoint_report(struct mews_fleet *fleet, uint32_t endpoint,
    enum health_evidence evidence, unsigned epoch)
{
	report(fleet, endpoint, evidence, false, epoch);
}

void
endpoint_verdict(struct mews_fleet *fleet, uint32_t endpoint,
    enum health_evidence evidence, unsigned epoch)
{
	report(fleet, endpoint, evidence, true, epoch);
}

unsigned
endpoint_see_role(struct mews_fleet *fleet, uint32_t endpoint,
    enum health_role role, unsigned epoch)
{
	struct segment_endpoint *e = &fleet->segment.endpoints[endpoint];
	struct health_change	 change;

	change = health_see_role(&e->health, role, epoch);
	if (change.from.role != change.to.role)
		announce(fleet, endpoint, &change, HEALTH_ROLE_CHANGED,
		    segment_ms(&fleet->segment, clock_now_us()));
	return change.from.epoch == epoch ? change.to.epoch : epoch;
}

bool
endpoint_lease(struct mews_fleet *fleet, uint32_t endpoint,
    enum health_prober prober, bool panic, uint32_t probed_ms)
{
	struct segment_endpoint *e = &fleet->segment.endpoints[endpoint];
	uint32_t		 now;

	now = segment_ms(&fleet->segment, clock_now_us());
	if (!health_lease(&e->health, prober, &fleet->rules, now, panic,
		probed_ms))
		return false;
	atomic_store(&e->probed_ms, now);
	return true;
}
