/*
 * endpoint.c - applying evidence to an endpoint's health: a transition is
 * stored, logged and announced to all. The rules are in health.c.
 */
#include "fleet/endpoint.h"

#include "base/clock.h"
#include "base/trace.h"

#include <stdlib.h>
#include <unistd.h>

#define ENDPOINT_PROOF_MS 5000 /* how long a good login vouches for the next */

bool
endpoint_has_address(const struct mews_fleet *fleet, uint32_t endpoint)
{
	const struct segment_endpoint *e = &fleet->segment.endpoints[endpoint];
	char	address[SEGMENT_HOSTADDR_MAX + 1];

	segment_get_address(e, address);
	return !atomic_load(&e->named) || address[0] != '\0';
}

/* Must every process act on @change? */
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
    int64_t now_ms)
{
	struct segment_endpoint *e = &fleet->segment.endpoints[endpoint];
	enum mews_log_level	 level = MEWS_LOG_INFO;

	/* 0 stands for "never". */
	atomic_store(&e->evidence, (uint32_t)evidence);
	atomic_store(&e->evidence_by, (int32_t)getpid());
	atomic_store(&e->evidence_ms, now_ms | 1);
	if (!matters(change))
		return;
	atomic_store(&e->cause, (uint32_t)evidence);
	if ((unsigned)evidence < HEALTH_EVIDENCES)
		atomic_fetch_add(&e->transitions[evidence], 1);
	atomic_store(&e->changed_ms, now_ms | 1);
	atomic_store(&e->changed_by, (int32_t)getpid());
	endpoint_changed(fleet);
	TRACE(transition, endpoint_name(fleet, endpoint),
	    health_state_name(change->from.state),
	    health_state_name(change->to.state),
	    health_evidence_name(evidence));
	/* An endpoint's first role is not logged: the change of state that
	 * comes with it was. */
	if (change->from.state == change->to.state &&
	    change->from.role == HEALTH_ROLE_UNKNOWN &&
	    change->to.role != HEALTH_ROLE_UNKNOWN)
		return;
	if (change->to.state == HEALTH_DOWN ||
	    change->to.state == HEALTH_SUSPECT)
		level = MEWS_LOG_WARNING;
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

void
endpoint_logged_in(struct mews_fleet *fleet, uint32_t endpoint)
{
	struct segment_endpoint *e = &fleet->segment.endpoints[endpoint];

	/* 0 stands for "never". */
	atomic_store(&e->login_ms,
	    segment_ms(&fleet->segment, clock_now_us()) | 1);
	atomic_store(&e->login_wanted, 0);
	segment_set_refusal(e, NULL, 0);
}

bool
endpoint_proves_login(const struct mews_fleet *fleet, uint32_t endpoint,
    int64_t since_us)
{
	const struct segment_endpoint *e = &fleet->segment.endpoints[endpoint];
	int64_t now_ms = segment_ms(&fleet->segment, clock_now_us());
	int64_t login_ms = atomic_load(&e->login_ms);

	/* Unsigned, so that garbage cannot overflow. */
	return login_ms > segment_ms(&fleet->segment, since_us) &&
	    (uint64_t)now_ms + 1 - (uint64_t)login_ms <= ENDPOINT_PROOF_MS &&
	    atomic_load(&e->rejected_ms) == 0;
}

void
endpoint_want_login(struct mews_fleet *fleet, uint32_t endpoint)
{
	atomic_store(&fleet->segment.endpoints[endpoint].login_wanted, 1);
}

/*
 * Set the limits of a return from the dead before others see it: logins come a
 * few at a time (budget.h), and the server's share grows bit by bit.
 */
static void
prepare_return(struct mews_fleet *fleet, uint32_t endpoint, int64_t now_ms)
{
	struct segment_endpoint *e = &fleet->segment.endpoints[endpoint];

	if (endpoint_health(fleet, endpoint).state != HEALTH_DOWN)
		return;
	atomic_store(&e->burst,
	    fleet->config->endpoints[endpoint].connect_burst);
	/* 0 stands for "never". */
	atomic_store(&e->up_ms, now_ms | 1);
}

void
endpoint_report(struct mews_fleet *fleet, uint32_t endpoint,
    enum health_evidence evidence, unsigned epoch)
{
	struct segment_endpoint *e = &fleet->segment.endpoints[endpoint];
	int64_t			 now;
	struct health_change	 change;

	now = segment_ms(&fleet->segment, clock_now_us());
	change = health_report(&e->health, evidence, false, epoch,
	    &fleet->rules, (uint32_t)now, arc4random());
	if (health_pack(change.from) != health_pack(change.to))
		announce(fleet, endpoint, &change, evidence, now);
}

void
endpoint_verdict(struct mews_fleet *fleet, uint32_t endpoint,
    enum health_evidence evidence, unsigned epoch)
{
	struct segment_endpoint *e = &fleet->segment.endpoints[endpoint];
	int64_t			 now;
	struct health_change	 change;

	now = segment_ms(&fleet->segment, clock_now_us());
	if (evidence == HEALTH_PROBE_OK || evidence == HEALTH_REJECTED ||
	    evidence == HEALTH_TOO_MANY)
		prepare_return(fleet, endpoint, now);
	change = health_verdict(&e->health, evidence,
	    fleet->leases[endpoint], epoch, &fleet->rules, (uint32_t)now,
	    arc4random());
	if (health_pack(change.from) != health_pack(change.to))
		announce(fleet, endpoint, &change, evidence, now);
}

/* Log once that @endpoint is not a single server, or that it is again. */
static void
say_mixed(struct mews_fleet *fleet, uint32_t endpoint, enum mixed mixed)
{
	if (mixed == MIXED_BEGAN)
		fleet_log(fleet, MEWS_LOG_ERROR, "mixed_roles",
		    "endpoint=%s writes=refused error=\"logins lead to a "
		    "primary and to a standby by turns: give each server an "
		    "endpoint of its own\"", endpoint_name(fleet, endpoint));
	else if (mixed == MIXED_ENDED)
		fleet_log(fleet, MEWS_LOG_INFO, "mixed_roles_ended",
		    "endpoint=%s", endpoint_name(fleet, endpoint));
}

/* The role to report for @endpoint if @role was seen. */
static enum health_role
judge_role(struct mews_fleet *fleet, uint32_t endpoint, enum health_role role,
    unsigned epoch, int64_t now_ms)
{
	struct segment_endpoint *e = &fleet->segment.endpoints[endpoint];

	/* A role seen in an older epoch may be from before a promotion. */
	if (role != HEALTH_ROLE_UNKNOWN &&
	    endpoint_health(fleet, endpoint).epoch == epoch)
		say_mixed(fleet, endpoint, mixed_see(&e->mixed, role, now_ms));
	return mixed_is(&e->mixed) ? HEALTH_ROLE_READONLY : role;
}

unsigned
endpoint_see_role(struct mews_fleet *fleet, uint32_t endpoint,
    enum health_role role, unsigned epoch)
{
	struct segment_endpoint *e = &fleet->segment.endpoints[endpoint];
	struct health_change	 change;
	int64_t			 now;

	now = segment_ms(&fleet->segment, clock_now_us());
	role = judge_role(fleet, endpoint, role, epoch, now);
	change = health_see_role(&e->health, role, epoch);
	if (change.from.role == change.to.role)
		return change.from.epoch == epoch ? change.to.epoch : epoch;
	if (role == HEALTH_ROLE_PRIMARY)
		segment_doubt_timeline(e,
		    change.from.role == HEALTH_ROLE_STANDBY);
	announce(fleet, endpoint, &change, HEALTH_ROLE_CHANGED, now);
	return change.to.epoch;
}

bool
endpoint_lease(struct mews_fleet *fleet, uint32_t endpoint,
    enum health_prober prober, bool panic, uint32_t probed_ms)
{
	struct segment_endpoint *e = &fleet->segment.endpoints[endpoint];
	int64_t			 now;

	now = segment_ms(&fleet->segment, clock_now_us());
	if (!health_lease(&e->health, prober, &fleet->rules, (uint32_t)now,
		panic, probed_ms))
		return false;
	fleet->leases[endpoint] = health_lease_end(&fleet->rules,
	    (uint32_t)now);
	atomic_store(&e->probed_ms, now);
	return true;
}
