/*
 * patience.h - how long the other side may still be silent.
 *
 * The slowness of our own process is no evidence against a server. Silence
 * counts only up to the last look at the descriptor that found nothing: the
 * last turn of the host's loop, loop->looked_us. If a host turns its loop once
 * in ten seconds, it sees each answer late, and no server is blamed for it.
 */
#ifndef LIB_BASE_PATIENCE_H
#define LIB_BASE_PATIENCE_H

#include <stdbool.h>
#include <stdint.h>

#define PATIENCE_HEARD 300 /* times; an honest login speaks ten */

struct patience {
	int64_t left_us;  /* of silence, in all */
	int64_t since_us; /* since then the other side is expected to speak */
	unsigned heard;	  /* times the other side spoke; too many count as no
			     answer */
};

/* Expect the other side to speak, from @now_us on. */
static inline void
patience_begin(struct patience *patience, int64_t us, int64_t now_us)
{
	*patience = (struct patience) { us, now_us, 0 };
}

/* Take note that something came at @now_us; at @looked_us there was nothing
 * yet. */
static inline void
patience_heard(struct patience *patience, int64_t looked_us, int64_t now_us)
{
	if (looked_us > patience->since_us)
		patience->left_us -= looked_us - patience->since_us;
	patience->since_us = now_us;
	if (++patience->heard >= PATIENCE_HEARD)
		patience->left_us = INT64_MIN / 2;
}

/* Is patience over, if nothing had come by @looked_us? */
static inline bool
patience_is_over(const struct patience *patience, int64_t looked_us)
{
	return looked_us - patience->since_us >= patience->left_us;
}

/* When to look again. */
static inline int64_t
patience_due(const struct patience *patience)
{
	return patience->since_us + patience->left_us;
}

#endif
