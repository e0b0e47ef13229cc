/*
 * memory.h - large blocks of memory, given back to the system.
 */
#ifndef LIB_BASE_MEMORY_H
#define LIB_BASE_MEMORY_H

#define MEMORY_LARGE (16 * 1024 * 1024) /* bytes: worth to be given back */

/*
 * A block of memory behind those of a large answer, while that is freed; NULL:
 * none. glibc gives the end of its heap back in steps of 128 kB: 400 MB take
 * half a second so, and a tenth of that in one step, by memory_trim().
 */
void *memory_lid(void);

/* Let the system have what was freed; frees @lid. */
void memory_trim(void *lid);

#endif
