/*
 * damage.h - mending a segment that was overwritten by accident, for example
 * through a wild pointer of a host.
 *
 * Each process knows what was written before the fork, and its own slot. On
 * each beat it mends these, and clears slots that no process holds. Probes
 * measure the rest anew.
 */
#ifndef LIB_FLEET_DAMAGE_H
#define LIB_FLEET_DAMAGE_H

#include "fleet/fleet.h"

/* Mend what this process can; log what was found, once a minute at most. */
void damage_mend(struct mews_fleet *fleet, int64_t now_us);

#endif
