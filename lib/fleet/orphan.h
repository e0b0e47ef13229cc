/*
 * orphan.h - sessions that no process holds any more, and that the server may
 * still run.
 *
 * A worker records its backends in its slot. Backends that a dead worker left,
 * and those closed in the middle of a statement, go to the segment's list of
 * orphans: a server notices the end of a client only after the statement.
 * Orphans count against max_connections until a prober finds them gone; it ends
 * those that still work, once the server confirmed that they are the sessions
 * meant.
 */
#ifndef LIB_FLEET_ORPHAN_H
#define LIB_FLEET_ORPHAN_H

#include "fleet/segment.h"

/* In a worker: remember, and forget, a backend. @index: its place, or -1. */
int orphan_record(struct segment_slot *slot, uint32_t endpoint, uint32_t pid,
    int64_t now_ms);
void orphan_forget(struct segment_slot *slot, int index);
/* In a worker: it closed the backend in the middle of its work. */
void orphan_leave(struct segment *segment, struct segment_slot *slot,
    int index);

/* In a worker: it closed a backend that had no place in its slot. */
void orphan_add(struct segment *segment, uint32_t endpoint, uint32_t pid,
    int64_t since_ms);

/* In the reaper: list the backends that @slot recorded. Async signal safe. */
void orphan_adopt(struct segment *segment, struct segment_slot *slot);

/* The orphans on @endpoint; and on all endpoints. */
uint32_t orphan_count(const struct segment *segment, uint32_t endpoint);
bool orphan_any(const struct segment *segment);

/* Forget the orphans on @endpoint, which becomes another server. */
void orphan_disown(struct segment *segment, uint32_t endpoint);

#define ORPHAN_SQL_MAX 512

/*
 * In a prober: write SQL that ends the first orphan on @endpoint at or after
 * place *@at, and set *@at to its place; false: there is none. If the answer
 * has no row the orphan is gone. @name: the application_name of our sessions,
 * as an SQL literal.
 */
bool orphan_next(const struct segment *segment, uint32_t endpoint,
    uint32_t *at, const char *name, int64_t now_ms, char sql[ORPHAN_SQL_MAX]);
void orphan_gone(struct segment *segment, uint32_t at);

#endif
