/*
 * dice.h - random numbers that are cheap, and not for secrets.
 */
#ifndef LIB_BASE_DICE_H
#define LIB_BASE_DICE_H

#include <stdint.h>

struct dice {
	uint32_t x; /* never 0 */
};

/* A number below @bound. */
static inline uint32_t
dice_roll(struct dice *dice, uint32_t bound)
{
	uint32_t	x = dice->x;

	/* xorshift32, G. Marsaglia, "Xorshift RNGs", 2003 */
	x ^= x << 13;
	x ^= x >> 17;
	x ^= x << 5;
	dice->x = x;
	return (uint32_t)((uint64_t)x * bound >> 32);
}

#endif
