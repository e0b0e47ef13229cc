/*
 * slots.h - slots of the dead, given back by whoever is left.
 *
 * A slot whose holder is 0 is cleared by the parent of its process, after it
 * reaped it. Any other may be cleared by each process that gets its lock, which
 * proves that the holder is dead: the lock is held meanwhile, so that one does
 * it at a time, and another goes on where that one is killed. Nobody takes a
 * slot without its lock. A parent has SLOTS_GRACE_MS for its own children.
 *
 * Exactly once: what is counted in a slot is zero behind it, and a session that
 * its server may still run is put into the list of orphans if it is not there.
 */
#ifndef LIB_FLEET_SLOTS_H
#define LIB_FLEET_SLOTS_H

#include "fleet/fleet.h"

#define SLOTS_GRACE_MS 5000 /* since the last beat */
#define SLOTS_LOOKS    16   /* slots that a worker looks at on each beat */

/* A holder as the process of @fleet writes it into the slot that it takes. */
uint64_t slots_holder(const struct mews_fleet *fleet);

/* Give back slots of the dead: some of them, on each beat; @all of them, as the
 * monitor does. */
void slots_tend(struct mews_fleet *fleet, bool all);

/* Clear a slot that was written over, with nothing of it to be believed, if its
 * lock can be had. */
bool slots_discard(struct mews_fleet *fleet, struct segment_slot *slot,
    uint64_t holder);

#endif
