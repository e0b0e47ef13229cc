/*
 * places.h - adding and giving up places in the table of workers.
 */
#ifndef MASTER_PLACES_H
#define MASTER_PLACES_H

#include "process.h"

struct workers;

/** Add a place, with a number that no living worker has; the wanted count of
 * workers stays. NULL: no memory. */
struct process *places_add(struct workers *workers);

/** End a worker for good: its place is not filled again. */
void places_retire(struct workers *workers, struct process *p, int signal,
    int64_t kill_at);

/** How long a worker may take to end by itself; or PROCESS_NEVER. */
int64_t places_patience(const struct workers *workers);

#endif
