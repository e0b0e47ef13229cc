/*
 * slots.h - taking a slot, and giving back the slots of dead processes.
 *
 * A slot whose holder is 0 is cleared by the process' parent, after it reaped
 * it. Any other slot may be cleared by each process that gets its lock, which
 * proves that the holder is dead. The lock is held meanwhile, so that one
 * process clears at a time; if that one is killed, another goes on. No process
 * takes a slot without its lock. Children are left to their parent for
 * SLOTS_GRACE_MS.
 *
 * Clearing twice does no harm: afterwards the slot's counts are zero, and
 * sessions that a server may still run are in the list of orphans once.
 */
#ifndef LIB_FLEET_SLOTS_H
#define LIB_FLEET_SLOTS_H

#include "fleet/fleet.h"

#define SLOTS_GRACE_MS 5000 /* since the last beat */
#define SLOTS_LOOKS    16   /* slots that a worker looks at on each beat */

/* The holder that this process writes into the slot that it takes. */
uint64_t slots_holder(const struct mews_fleet *fleet);

/* The slot of this process, or NULL: a child does not inherit one. */
struct segment_slot *fleet_slot(const struct mews_fleet *fleet);

/* Remember which endpoints have a host name, once all were looked up. */
void fleet_learn_names(struct mews_fleet *fleet);

/* Take the slot that is kept for the monitor. */
enum mews_status fleet_join_monitor(struct mews_fleet *fleet,
    struct mews_error *error);

/* Does a monitor live, as far as is known? */
bool fleet_has_monitor(const struct mews_fleet *fleet);

/* Give back slots of dead processes: look at a few on each beat, or at @all, as
 * the monitor does. */
void slots_tend(struct mews_fleet *fleet, bool all);

/* Clear a damaged slot, believing nothing in it, if its lock is free. */
bool slots_discard(struct mews_fleet *fleet, struct segment_slot *slot,
    uint64_t holder);

#endif
