/*
 * notice.c - the segment's words about endpoints as last acted upon, and
 * whether they differ now. pool/pool.c acts on it.
 */
#include "fleet/notice.h"

void
notice_read(struct notice *notice, const struct segment *segment)
{
	for (uint32_t i = 0; i < segment->endpoint_count; i++) {
		const struct segment_endpoint *e = &segment->endpoints[i];
		struct route_candidate	      *c = &notice->candidates[i];

		if (!segment_knows(segment, i)) {
			*c = (struct route_candidate) { .drained = true };
			notice->up_ms[i] = 0;
			continue;
		}
		c->health = health_get(&e->health);
		c->timeline = segment_timeline(e, &c->proven);
		c->lag_ms = atomic_load(&e->lag_ms);
		c->lag_bytes = atomic_load(&e->lag_bytes);
		c->drained = atomic_load(&e->drained) != 0;
		c->mixed = mixed_is(&e->mixed);
		notice->up_ms[i] = atomic_load(&e->up_ms);
	}
}

bool
notice_crosses_limit(const struct mews_config *config, uint32_t then_ms,
    uint32_t now_ms, uint64_t then_bytes, uint64_t now_bytes)
{
	for (size_t i = 0; i < config->group_count; i++) {
		const struct mews_group_config *g = &config->groups[i];

		if (g->max_lag != 0 &&
		    (then_ms > g->max_lag) != (now_ms > g->max_lag))
			return true;
		if (g->max_lag_bytes != 0 &&
		    (then_bytes > g->max_lag_bytes) !=
		    (now_bytes > g->max_lag_bytes))
			return true;
	}
	return false;
}

static bool
candidate_differs(const struct route_candidate *then,
    const struct route_candidate *now, const struct mews_config *config)
{
	return then->health.state != now->health.state ||
	    then->health.role != now->health.role ||
	    then->health.epoch != now->health.epoch ||
	    (now->health.state == HEALTH_SUSPECT &&
		(then->health.failures > 0) != (now->health.failures > 0)) ||
	    then->timeline != now->timeline || then->proven != now->proven ||
	    then->drained != now->drained || then->mixed != now->mixed ||
	    notice_crosses_limit(config, then->lag_ms, now->lag_ms,
		then->lag_bytes, now->lag_bytes);
}

bool
notice_differs(const struct notice *then, const struct notice *now,
    const struct segment *segment, const struct mews_config *config)
{
	for (uint32_t i = 0; i < segment->endpoint_count; i++)
		if (then->up_ms[i] != now->up_ms[i] ||
		    candidate_differs(&then->candidates[i],
			&now->candidates[i], config))
			return true;
	return false;
}
