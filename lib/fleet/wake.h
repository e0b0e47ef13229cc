/*
 * wake.h - descriptors with which the processes of a fleet wake each other.
 *
 * One for each slot, made before the fork: an eventfd, or, in a fleet with a
 * runtime file, a FIFO in FILE.d that processes which attach find by its
 * number. Each is open for reading and writing: nobody is told of its end, and
 * nobody gets a SIGPIPE.
 */
#ifndef LIB_FLEET_WAKE_H
#define LIB_FLEET_WAKE_H

#include <mews/fleet.h>

struct fleet_line;

/* For so many slots; none is open where the line has a directory and was not
 * made by this process. What was made before an error is there to be closed. */
enum mews_status wake_make(struct fleet_line *line, uint32_t count,
    struct mews_error *error);
void wake_close(struct fleet_line *line, uint32_t count);

/* Open that of a slot which this process takes, and forget what was told to
 * whoever had it before; false: errno. */
bool wake_open(struct fleet_line *line, uint32_t slot);

/* The descriptor that is poked when an endpoint changes; of this slot. */
int fleet_wake_fd(const struct mews_fleet *fleet);
/* Was it poked? It is not, any more. */
bool wake_take(int fd);

/* Poke everybody who lives. */
void fleet_wake_all(const struct mews_fleet *fleet);
/* Poke the monitor: somebody wants fresh measurements. */
void fleet_wake_monitor(const struct mews_fleet *fleet);

#endif
