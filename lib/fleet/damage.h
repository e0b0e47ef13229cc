/*
 * damage.h - a segment that was written over by accident, as by a host's
 * pointer that went astray.
 *
 * Each process knows some of what stands there: what was written before the
 * fork, and its own slot. On each beat it puts that right, and clears slots
 * that nobody holds. Probes measure the rest anew.
 */
#ifndef LIB_FLEET_DAMAGE_H
#define LIB_FLEET_DAMAGE_H

#include "fleet/fleet.h"

/* Mend what this process can; log what was found, once a minute at most. */
void damage_mend(struct mews_fleet *fleet, int64_t now_us);

#endif
