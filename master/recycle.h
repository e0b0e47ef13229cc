/*
 * recycle.h - workers that are replaced before they fail.
 *
 * A worker that answered max_requests, or holds max_memory, gets a successor;
 * once that is ready the worker is told to end. One at a time: the next worker
 * is looked at when the last one has ended. If the successor does not get ready
 * the worker goes on.
 */
#ifndef MASTER_RECYCLE_H
#define MASTER_RECYCLE_H

#include "process.h"

struct workers;

/* The state for a table of workers; zero at first. */
struct recycle {
	struct process *old;	   /* is replaced, or ends; NULL: none */
	struct process *successor; /* of it, until it is ready */
	int64_t		at;	   /* not before */
};

/** Go on with the worker that is replaced, or look whether one is due. */
void recycle_watch(struct workers *workers, int64_t now);
/** Milliseconds until recycle_watch() has something to do, at most @ms. */
int64_t recycle_due(const struct workers *workers, int64_t ms);
/** @p ended, or leaves the table; to be called before its place is given up, or
 * filled again. */
void recycle_ended(struct workers *workers, struct process *p, int64_t now);
/** Give up replacing: the worker goes on. */
void recycle_cancel(struct workers *workers);

#endif
