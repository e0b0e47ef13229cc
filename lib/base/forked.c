/*
 * forked.c - is this process a fork's copy of the one that wrote a mark?
 */
#include "base/forked.h"

#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

static size_t
page_size(void)
{
	return (size_t)sysconf(_SC_PAGESIZE);
}

const char *volatile *
forked_mark(const char *value)
{
	const char *volatile *mark = mmap(NULL, page_size(),
	    PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (mark == MAP_FAILED)
		return NULL;
	if (madvise((void *)(uintptr_t)mark, page_size(),
		MADV_WIPEONFORK) == -1) {
		forked_free(&mark);
		return NULL;
	}
	*mark = value;
	return mark;
}

void
forked_free(const char *volatile **mark)
{
	/* munmap(2) does not change errno when it succeeds. */
	if (*mark != NULL)
		munmap((void *)(uintptr_t)*mark, page_size());
	*mark = NULL;
}
