/*
 * known.h - what one worker has learned of an endpoint: how fast it answers,
 * and what was last heard of it.
 *
 * Plain memory of one thread; what the fleet shares is in segment.h.
 */
#ifndef LIB_FLEET_KNOWN_H
#define LIB_FLEET_KNOWN_H

#include "fleet/health.h"

#include <mews/settings.h>

struct known {
	float latency_us; /* moving average over its answers */
	int64_t learned_us; /* when the last answer came */
	float usual_us;	  /* latency_us over some seconds; 0: not known */
	int64_t usual_at_us; /* when usual_us was last brought up to date */
	float p99_us;	  /* running estimate */
	int64_t heard_us; /* the last byte from it */
	int64_t told_us;  /* when the fleet was told of one: crowd.h */
	/* As of the last change: */
	enum health_state state;
	enum health_role role;
	int64_t ramp_from_us;  /* slow start: its share grows from then */
	int64_t ramp_until_us; /* slow start: its end */
};

#define KNOWN_STALL_US	  20000	/* a stall is this long at least */
#define KNOWN_STALL_TIMES 4.0F	/* times the p99 learned */
#define KNOWN_LEAST_US	  500.0F /* a lower latency counts as this */
#define KNOWN_OUTLIER_TIMES 8.0F /* of the mean: no answer counts for more */
#define KNOWN_HELD_US	  2000	/* a query that takes longer holds others up */
#define KNOWN_HELD_TIMES  3.0F	/* and this many times the mean */
#define KNOWN_HEDGE_US	  2000	/* MEWS_HEDGE_AUTO: the least */
#define KNOWN_HEDGE_TIMES 3	/* MEWS_HEDGE_AUTO: times the p99 */

/*
 * Learn that @count answers came at once, and took @us. An answer far above the
 * average counts only in part, and as one: if a busy machine delays one by a
 * second, its server keeps its share of the reads, and other queries need not
 * wait.
 */
static inline void
known_learn(struct known *known, float us, uint32_t count)
{
	float	n = (float)count, step = 20 + known->p99_us * 0.1F;
	float	more = known->p99_us + step * 0.99F * n;
	float	most = (known->latency_us + KNOWN_LEAST_US) *
		KNOWN_OUTLIER_TIMES;

	known->latency_us += us <= most ?
	    (us - known->latency_us) * n / (n + 15) :
	    (most - known->latency_us) / 16;
	/* Up by 99 parts if exceeded, else down by one: the estimate settles
	 * where one answer in a hundred exceeds it. */
	if (us <= known->p99_us)
		known->p99_us -= step * 0.01F * n;
	else
		known->p99_us = more < us + step ? more : us + step;
}

/* How long a connection of a group with @config may be silent before it counts
 * as stalled. */
static inline int64_t
known_stall_us(const struct known *known,
    const struct mews_group_config *config)
{
	int64_t	us = (int64_t)(known->p99_us * KNOWN_STALL_TIMES);

	if (config->stall_after != 0)
		return (int64_t)config->stall_after * 1000;
	return us > KNOWN_STALL_US ? us : KNOWN_STALL_US;
}

/* How long one answer may take before its connection is taken to hold up what
 * is behind, and gets no more work while another connection can have it. */
static inline int64_t
known_held_us(const struct known *known,
    const struct mews_group_config *config)
{
	int64_t	us = (int64_t)(known->latency_us * KNOWN_HELD_TIMES);

	if (config->stall_after != 0)
		return (int64_t)config->stall_after * 1000;
	return us > KNOWN_HELD_US ? us : KNOWN_HELD_US;
}

/* How long a read waits for its answer before it is hedged. */
static inline int64_t
known_hedge_us(const struct known *known,
    const struct mews_group_config *config)
{
	float	us = known->p99_us * KNOWN_HEDGE_TIMES;

	if (config->hedge_after != MEWS_HEDGE_AUTO)
		return (int64_t)config->hedge_after * 1000;
	return us > KNOWN_HEDGE_US ? (int64_t)us : KNOWN_HEDGE_US;
}

#endif
