/*
 * finding.h - what the answer to a probe says of an endpoint.
 */
#ifndef LIB_MONITOR_FINDING_H
#define LIB_MONITOR_FINDING_H

#include "monitor/probe.h"

struct finding {
	enum health_role role;
	uint32_t timeline;
	uint64_t lsn;	 /* replayed, or written by a primary */
	uint32_t rtt_us; /* from the question to its answer */
};

/* Put @finding into the segment, seen in @epoch. Returns the epoch behind
 * it: another one where the role changed. */
unsigned finding_publish(struct prober *prober, uint32_t endpoint,
    unsigned epoch, const struct finding *finding);

/* As finding_publish(), of role and timeline only; 0: the timeline is not
 * known. */
unsigned finding_role(struct prober *prober, uint32_t endpoint,
    unsigned epoch, enum health_role role, uint32_t timeline);

/* Log once what is wrong with two endpoints that claim to be the primary, of
 * which @self is one. */
void finding_compare(struct prober *prober, uint32_t self);

#endif
