/*
 * memory.c - giving freed memory, which malloc() keeps, back to the system.
 */
#include "base/memory.h"

#include <malloc.h>
#include <stdlib.h>

#define MEMORY_LID (100 * 1024) /* bytes: too many for a gap in the heap, too
				   few for a mapping of their own */

void *
memory_lid(void)
{
	return malloc(MEMORY_LID);
}

void
memory_trim(void *lid)
{
	free(lid);
#ifdef __GLIBC__
	malloc_trim(0);
#endif
}
