/*
 * orphan.h - backends that a dead worker left running a statement.
 *
 * A worker records its backends in its slot. Who reaps it moves them to the
 * segment's list of orphans; the monitor ends those that still work, after
 * the server confirmed that they are the ones meant.
 */
#ifndef ORPHAN_H
#define ORPHAN_H

#include "segment.h"

/* The worker: remember, and forget, a backend. @index: where, or -1. */
int orphan_record(struct segment_slot *slot, uint32_t endpoint, uint32_t pid,
    uint32_t now_ms);
void orphan_forget(struct segment_slot *slot, int index);

/* The reaper: keep what @slot recorded. Async signal safe. */
void orphan_adopt(struct segment *segment, const struct segment_slot *slot);

#define ORPHAN_SQL_MAX 512

/*
 * The monitor: SQL that ends the next orphan on @endpoint, taken off the
 * list; false: there is none. @name: the application_name of our sessions,
 * as an SQL literal.
 */
bool orphan_next(struct segment *segment, uint32_t endpoint,
    const char *name, uint32_t now_ms, char sql[ORPHAN_SQL_MAX]);

#endif
