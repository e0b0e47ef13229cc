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

/* Put @finding, seen in @epoch, into the segment. Returns the epoch after it:
 * another one if the role changed. */
unsigned finding_publish(struct prober *prober, uint32_t endpoint,
    unsigned epoch, const struct finding *finding);

/* As finding_publish(), for role and timeline only; timeline 0: not known. */
unsigned finding_role(struct prober *prober, uint32_t endpoint,
    unsigned epoch, enum health_role role, uint32_t timeline);

/* Log a probe that failed, and @why. An outage of ten minutes has hundreds of
 * them: only the first of a kind is an event as well, as the others would drive
 * the beginning of the outage out of the ring. */
void finding_log(struct prober *prober, uint32_t endpoint,
    enum health_evidence evidence, const char *why);

/* Log once if @self and another endpoint both claim to be the primary. */
void finding_compare(struct prober *prober, uint32_t self);

#endif
