/*
 * hold.h - locks that prove that a process lives.
 *
 * A fleet with a runtime file has a directory beside it, FILE.d, with a FIFO
 * for each slot, which wakes its process (wake.h), a lock file for each slot
 * that is or was in use, and a lock file for the process that made the fleet.
 *
 * The locks are POSIX record locks. The kernel releases them when their process
 * ends, at any instruction, after it unmapped the segment; a forked child does
 * not inherit them. A process also loses a lock by closing any other descriptor
 * of that file, and is never refused its own lock. Each file is therefore
 * opened only between hold_begin() and hold_end(), by one thread of a process
 * at a time, and never for a slot that this process holds.
 */
#ifndef LIB_FLEET_HOLD_H
#define LIB_FLEET_HOLD_H

#include "fleet/segment.h"

#define HOLD_ATTACHED UINT64_C(1) /* in a slot's holder: an attached process */

/* A number of this process, even and not 0; a child has another. */
uint64_t hold_self(void);

/* Is that the number of this process, attached or not? */
static inline bool
hold_is_self(uint64_t holder)
{
	return (holder | HOLD_ATTACHED) == (hold_self() | HOLD_ATTACHED);
}

/* Keep other threads of this process from the lock files; false: another thread
 * uses them. @wait: wait for it, which a signal's handler may not do. */
bool hold_begin(bool wait);
void hold_end(void);

/* Write a number as it stands in a name, and return its length. Async signal
 * safe, as snprintf(3) is not. */
#define HOLD_DIGITS 10
size_t hold_digits(char *name, uint32_t number);

/*
 * Lock the file of a slot in @dir; -1: errno is EAGAIN or EACCES if another
 * process has the lock. The lock ends with the descriptor. Async signal safe.
 *
 * @make  make the file if it does not exist.
 */
int hold_lock(int dir, uint32_t number, bool make);

/* As hold_lock(), the file of the fleet's creator, which is made if it does not
 * exist. */
int hold_lock_creator(int dir);

/* Does another process have the lock of the creator? */
bool hold_has_creator(int dir);

/* Say of which segment a directory is, by its inode, and ask for it: for an
 * instant that of another one may stand beside it. False: errno. */
bool hold_mark(int dir, ino_t segment);
bool hold_is_of(int dir, ino_t segment);

/* Make the directory of the runtime file @path, in place of one that an earlier
 * fleet left behind. -1: errno. */
int hold_make_directory(const char *path);
int hold_open_directory(const char *path);
void hold_remove_directory(const char *path);

/* Give the directory and all in it to a user; -1: errno. */
int hold_chown(int dir, uid_t uid, gid_t gid);

#endif
