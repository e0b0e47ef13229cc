/*
 * place.h - whose segment stands where the runtime file is.
 *
 * A successor that is apart (apart.h) has its segment, and the directory of it,
 * at FILE.PID until it serves; PID is that of the process it follows. Then it
 * exchanges both with those at FILE. Either process may die between the two
 * steps: what is right is read off the inodes.
 */
#ifndef LIB_FLEET_PLACE_H
#define LIB_FLEET_PLACE_H

#include "fleet/fleet.h"

/* "FILE.PID"; NULL: no memory. To be freed. */
char *place_beside(const char *path, pid_t pid);
/* Is that the file, or the directory? */
bool place_is(const char *path, dev_t dev, ino_t ino);
/* Remove a segment's file and directory. */
void place_remove(const char *path);

/* Put the segment of @fleet where the runtime file is, if another one may be
 * there. False: it is none of those that are apart. */
bool place_take(struct mews_fleet *fleet);

/* Remove what a fleet that is gone left beside ours. */
void place_clean(const struct fleet_line *line, const struct segment *segment);

#endif
