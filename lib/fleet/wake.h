/*
 * wake.h - eventfds with which the processes of a fleet wake each other.
 *
 * One for each slot, made before the fork: see fleet_line.
 */
#ifndef LIB_FLEET_WAKE_H
#define LIB_FLEET_WAKE_H

#include <mews/fleet.h>

struct fleet_line;

/* For so many slots. What was made before an error is there to be closed. */
enum mews_status wake_make(struct fleet_line *line, uint32_t count,
    struct mews_error *error);

/* The eventfd that is poked when an endpoint changes; of this slot. */
int fleet_wake_fd(const struct mews_fleet *fleet);

/* Poke everybody who lives. */
void fleet_wake_all(const struct mews_fleet *fleet);
/* Poke the monitor: somebody wants fresh measurements. */
void fleet_wake_monitor(const struct mews_fleet *fleet);

#endif
