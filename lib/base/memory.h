/*
 * memory.h - large blocks of memory, given back to the system.
 */
#ifndef LIB_BASE_MEMORY_H
#define LIB_BASE_MEMORY_H

#define MEMORY_LARGE (16 * 1024 * 1024) /* bytes: worth giving back */

/*
 * A block at the end of the heap, to be held while a large answer before it is
 * freed; NULL: none. Without it glibc gives the heap's end back in steps of 128
 * kB, which takes half a second for 400 MB; one step by memory_trim() takes a
 * tenth of that.
 */
void *memory_lid(void);

/* Free @lid, and give the system what was freed. */
void memory_trim(void *lid);

#endif
