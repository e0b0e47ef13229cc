/*
 * room.h - who has a slot of the segment, or is about to take one.
 */
#ifndef MASTER_ROOM_H
#define MASTER_ROOM_H

#include "generation.h"

/** How many slots a fleet of that many workers is made with: for two
 * generations, to grow, and for processes that attach. */
unsigned room_slots(unsigned workers);

/** How many workers of these generations live. */
unsigned room_living(const struct generation_list *all);

/** How many other processes have a slot of the segment at @segment_path: who
 * attached, and workers of a master that was replaced. 0 where it cannot be
 * read. */
unsigned room_others(const struct generation_list *all,
    const char *segment_path);

#endif
