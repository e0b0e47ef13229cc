/*
 * finding.c - what a probe found goes into the segment: the role first, then
 * the timeline, the position and the lag; and what two primaries mean.
 *
 * probe.c decides whether the endpoint lives.
 */
#include "monitor/finding.h"

#include "base/clock.h"
#include "fleet/endpoint.h"
#include "fleet/fleet_log.h"
#include "fleet/notice.h"

static bool
is_living_primary(const struct mews_fleet *fleet, uint32_t endpoint)
{
	struct health	health = endpoint_health(fleet, endpoint);

	return health.role == HEALTH_ROLE_PRIMARY &&
	    (health.state == HEALTH_UP || health.state == HEALTH_SUSPECT);
}

/*
 * Log once that a primary is below the timeline that another endpoint was last
 * seen on: two_primaries, whichever of them is probed, while the other one is a
 * primary as well; outdated_primary if the other one is no longer up.
 */
void
finding_compare(struct prober *prober, uint32_t self)
{
	struct mews_fleet *fleet = prober->fleet;
	bool		   proven, rival = false, outdated = false;
	uint32_t	   mine;

	mine = segment_timeline(endpoint_record(prober->fleet, self), &proven);
	for (uint32_t i = 0; i < fleet->segment.endpoint_count; i++) {
		uint32_t	other, loser;

		other = segment_timeline(&fleet->segment.endpoints[i],
		    &proven);
		if (!segment_knows(&fleet->segment, i) || i == self ||
		    other == 0 || other == mine)
			continue;
		if (!is_living_primary(fleet, i)) {
			if (mine > other)
				continue;
			outdated = true;
			if (!prober->on[self].outdated_told)
				fleet_log(fleet, MEWS_LOG_ERROR,
				    "outdated_primary", "endpoint=%s "
				    "timeline=%u newest=%s newest_timeline=%u "
				    "writes=refused",
				    endpoint_name(fleet, self), mine,
				    endpoint_name(fleet, i), other);
			prober->on[self].outdated_told = true;
			continue;
		}
		loser = mine < other ? self : i;
		rival = rival || loser == self;
		if (!prober->on[loser].rival_told)
			fleet_log(fleet, MEWS_LOG_ERROR, "two_primaries",
			    "endpoint=%s timeline=%u other=%s "
			    "other_timeline=%u used=%s",
			    endpoint_name(fleet, self), mine,
			    endpoint_name(fleet, i), other,
			    endpoint_name(fleet, loser == i ? self : i));
		prober->on[loser].rival_told = true;
	}
	prober->on[self].rival_told = prober->on[self].rival_told && rival;
	prober->on[self].outdated_told = outdated;
}

/* The highest timeline that any endpoint was last seen on. */
static uint32_t
highest_timeline(const struct segment *segment)
{
	uint32_t	highest = 0;
	bool		proven;

	for (uint32_t i = 0; i < segment->endpoint_count; i++) {
		uint32_t	timeline;

		timeline = segment_timeline(&segment->endpoints[i], &proven);
		if (segment_knows(segment, i) && timeline > highest)
			highest = timeline;
	}
	return highest;
}

/* Publish the lag, in the monitor only: workers do not follow the primary. */
static void
publish_lag(struct prober *prober, struct segment_endpoint *e,
    const struct finding *finding)
{
	struct lag		*lag = &prober->held->lag;
	uint64_t		 lsn = finding->lsn;
	int64_t			 now;
	uint32_t		 ms = 0, old_ms = atomic_load(&e->lag_ms);
	uint64_t		 bytes = 0, old_bytes;
	bool			 proven;

	now = segment_ms(&prober->fleet->segment, clock_now_us());
	old_bytes = atomic_load(&e->lag_bytes);
	if (finding->role == HEALTH_ROLE_STANDBY) {
		ms = lag_ms(lag, lsn, now);
		bytes = lag_bytes(lag, lsn);
	} else if (segment_timeline(e, &proven) >=
	    highest_timeline(&prober->fleet->segment)) {
		lag_note(lag, lsn, now);
	}
	atomic_store(&e->lag_ms, ms);
	atomic_store(&e->lag_bytes, bytes);
	if (notice_crosses_limit(prober->fleet->config, old_ms, ms,
		old_bytes, bytes))
		endpoint_changed(prober->fleet);
}

/* The role first: a change of it makes the timeline doubtful. */
unsigned
finding_role(struct prober *prober, uint32_t endpoint, unsigned epoch,
    enum health_role role, uint32_t timeline)
{
	struct segment_endpoint *e = endpoint_record(prober->fleet, endpoint);
	uint32_t		 old_timeline;
	bool			 old_proven, proven;

	epoch = endpoint_see_role(prober->fleet, endpoint, role, epoch);
	/* A mixed endpoint's timeline proves nothing. */
	proven = role != HEALTH_ROLE_STANDBY || mixed_is(&e->mixed);
	old_timeline = segment_timeline(e, &old_proven);
	segment_set_timeline(e, timeline, proven);
	if (old_timeline != timeline || old_proven != proven)
		endpoint_changed(prober->fleet);
	return epoch;
}

unsigned
finding_publish(struct prober *prober, uint32_t endpoint, unsigned epoch,
    const struct finding *finding)
{
	struct segment_endpoint *e = endpoint_record(prober->fleet, endpoint);

	atomic_store(&e->rtt_us, finding->rtt_us);
	atomic_store(&e->lsn, finding->lsn);
	epoch = finding_role(prober, endpoint, epoch, finding->role,
	    finding->timeline);
	if (prober->held != NULL)
		publish_lag(prober, e, finding);
	atomic_store(&e->measured_ms, segment_ms(&prober->fleet->segment,
	    clock_now_us()) | 1);
	return epoch;
}

void
finding_log(struct prober *prober, uint32_t endpoint,
    enum health_evidence evidence, const char *why)
{
	struct health	health = endpoint_health(prober->fleet, endpoint);
	char		quoted[FLEET_QUOTED];
	uint8_t	       *failing = &prober->on[endpoint].failing;

	if (evidence == HEALTH_PROBE_OK) {
		*failing = 0;
		return;
	}
	/* Another process may have found that an earlier outage is over. */
	if (health.state == HEALTH_UP)
		*failing = 0;
	(*failing == evidence ? fleet_say : fleet_log)(prober->fleet,
	    MEWS_LOG_INFO, "probe_failed", "endpoint=%s evidence=%s error=%s",
	    endpoint_name(prober->fleet, endpoint),
	    health_evidence_name(evidence),
	    logfmt_text(quoted, sizeof(quoted), why));
	*failing = (uint8_t)evidence;
}
