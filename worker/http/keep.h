/*
 * keep.h - how many of what is lent are worth keeping while nobody has them.
 *
 * As many as were lent at once lately, so that the next requests allocate
 * nothing; the busiest second is not the worker's size for ever.
 */
#ifndef WORKER_HTTP_KEEP_H
#define WORKER_HTTP_KEEP_H

#include <sys/param.h>

struct keep {
	unsigned lent;	 /* now */
	unsigned most;	 /* lent at once, since the last look */
	unsigned before; /* the same between the two looks before */
};

static inline void
keep_lend(struct keep *keep)
{
	if (++keep->lent > keep->most)
		keep->most = keep->lent;
}

static inline void
keep_take_back(struct keep *keep)
{
	keep->lent--;
}

/** How many of those that nobody has are to be kept, at @least so many with
 * those lent. Each call is a look. */
static inline unsigned
keep_look(struct keep *keep, unsigned least)
{
	unsigned all = MAX(least, MAX(keep->most, keep->before));

	keep->before = keep->most;
	keep->most = keep->lent;
	return all - keep->lent;
}

#endif
