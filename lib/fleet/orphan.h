/*
 * orphan.h - sessions that nobody of the fleet holds any more, and that the
 * server may not have ended.
 *
 * A worker records its backends in its slot. What a dead worker left, and what
 * a worker closed while the server was at work on it, goes to the segment's
 * list of orphans: the server notices the end of a client only when it is done
 * with the statement. They count against max_connections until a prober found
 * that they are gone; it ends those that still work, after the server
 * confirmed that they are the ones meant.
 */
#ifndef LIB_FLEET_ORPHAN_H
#define LIB_FLEET_ORPHAN_H

#include "fleet/segment.h"

/* The worker: remember, and forget, a backend. @index: where, or -1. */
int orphan_record(struct segment_slot *slot, uint32_t endpoint, uint32_t pid,
    int64_t now_ms);
void orphan_forget(struct segment_slot *slot, int index);
/* The worker closed it in the middle of its work. */
void orphan_leave(struct segment *segment, struct segment_slot *slot,
    int index);

/* A worker closed one that found no place in its slot. */
void orphan_add(struct segment *segment, uint32_t endpoint, uint32_t pid,
    int64_t since_ms);

/* The reaper: keep what @slot recorded. Async signal safe. */
void orphan_adopt(struct segment *segment, struct segment_slot *slot);

/* On @endpoint; and on any. */
uint32_t orphan_count(const struct segment *segment, uint32_t endpoint);
bool orphan_any(const struct segment *segment);

/* @endpoint will be another server: what ran on the one before is not looked
 * for any more. */
void orphan_disown(struct segment *segment, uint32_t endpoint);

#define ORPHAN_SQL_MAX 512

/*
 * The prober: SQL that ends an orphan on @endpoint, the first at or behind
 * *@at, which is set to where it is; false: there is none. No row of the
 * answer: it is gone. @name: the application_name of our sessions, as an SQL
 * literal.
 */
bool orphan_next(const struct segment *segment, uint32_t endpoint,
    uint32_t *at, const char *name, int64_t now_ms, char sql[ORPHAN_SQL_MAX]);
void orphan_gone(struct segment *segment, uint32_t at);

#endif
