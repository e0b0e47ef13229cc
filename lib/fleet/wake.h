/*
 * wake.h - descriptors with which the processes of a fleet wake each other.
 *
 * One descriptor for each slot, made before the fork: an eventfd, or, in a
 * fleet with a runtime file, a FIFO in FILE.d, which attached processes open by
 * its number. Each is open for reading and writing, so that there is no end of
 * file and no SIGPIPE.
 */
#ifndef LIB_FLEET_WAKE_H
#define LIB_FLEET_WAKE_H

#include <mews/fleet.h>

struct fleet_line;

/* Make the descriptors for @count slots. In an attached process none is open
 * yet. After an error some may be open: close the line. */
enum mews_status wake_make(struct fleet_line *line, uint32_t count,
    struct mews_error *error);
void wake_close(struct fleet_line *line, uint32_t count);

/* Open the descriptor of a slot that this process takes, and drop wake-ups for
 * an earlier holder; false: errno. */
bool wake_open(struct fleet_line *line, uint32_t slot);

/* The descriptor of this process' slot, readable when an endpoint changed. */
int fleet_wake_fd(const struct mews_fleet *fleet);
/* Was the descriptor written to? Clears that. */
bool wake_take(int fd);

/* Wake every process. */
void fleet_wake_all(const struct mews_fleet *fleet);
/* Wake the monitor, for fresh measurements. */
void fleet_wake_monitor(const struct mews_fleet *fleet);

#endif
