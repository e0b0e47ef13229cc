/*
 * guard.h - the admin process, as the master sees it.
 *
 * Unlike a worker it has no slot: it only reads the segment. The master starts
 * it, starts it again when it ends, and ends it, without waiting for it.
 */
#ifndef MASTER_GUARD_H
#define MASTER_GUARD_H

#include "process.h"

#include <mews/fleet.h>

/** The child's side of the fork; returns its exit status. */
typedef int guard_child_fn(void *arg);

struct guard {
	struct process	 process;
	const struct log *log;
	struct mews_fleet *fleet; /* that counts its ends */
	guard_child_fn	*child;
	void		*child_arg;
	pid_t		 parent; /* the master's */
	bool		 wanted; /* there is an address to serve */
	bool		 told;	 /* to end */
};

/** Fork the admin process, if it is due. Returns only in the parent. */
void guard_start(struct guard *guard);
/** A child ended. False: it was another process. */
bool guard_bury(struct guard *guard, pid_t pid, int wait_status);
/** Milliseconds until guard_start() has something to do, at most @ms. */
int guard_due(const struct guard *guard, int ms);
/** End it; guard_start() starts another one, if it is wanted. */
void guard_renew(struct guard *guard);
/** End it for good, and wait for that. */
void guard_end(struct guard *guard);

#endif
