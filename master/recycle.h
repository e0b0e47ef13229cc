/*
 * recycle.h - workers that are replaced before they fail.
 *
 * A worker that answered max_requests, or holds max_memory, gets a successor;
 * once that one is ready the worker is told to end. One at a time: the next is
 * looked for when the last one is gone. A successor that does not get ready
 * leaves the worker as it was.
 */
#ifndef MASTER_RECYCLE_H
#define MASTER_RECYCLE_H

#include "process.h"

struct workers;

/* Of a table of workers; zero at first. */
struct recycle {
	struct process *old;	   /* is replaced, or ends; NULL: none */
	struct process *successor; /* of it, until it is ready */
	int64_t		at;	   /* not before */
};

/** Look whether one is due, and see the one that is replaced through. */
void recycle_watch(struct workers *workers, int64_t now);
/** Milliseconds until it has something to look at, at most @ms. */
int64_t recycle_due(const struct workers *workers, int64_t ms);
/** @p ended, or leaves the table: before its place is given up, or filled
 * again. */
void recycle_ended(struct workers *workers, struct process *p, int64_t now);
/** Leave the worker as it was. */
void recycle_cancel(struct workers *workers);

#endif
