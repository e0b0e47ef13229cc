/*
 * share.h - which worker takes the next client.
 *
 * All workers wait on the same sockets, and the quickest takes the next client,
 * so that a few would carry the load of all. Each worker therefore publishes in
 * shared memory how many clients stay with it; a worker that has more than
 * another leaves the next client to the others, for 5 ms at most. No client is
 * refused.
 *
 * Writers: each worker its own place, the master the place of one that ended.
 * The numbers are hints: a stuck worker looks emptiest, and counts as absent
 * for a while once it left a client waiting.
 */
#ifndef WORKER_SHARE_H
#define WORKER_SHARE_H

#include <ev.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct share_table; /* in memory that the fleet shares */
struct share;	    /* a worker's view of it */

/* The master, before it forks: places for workers 0 to @places - 1. NULL: no
 * memory. */
struct share_table *share_table_make(unsigned places);
/* Free it, once its workers have ended. Sets *table to NULL; NULL *table is a
 * no-op. */
void share_table_free(struct share_table **table);
/* The worker with this number ended; NULL @table is a no-op. */
void share_table_clear(struct share_table *table, unsigned number);

/*
 * A worker joins in, and accepts from now on.
 *
 * @table      NULL: there are no others; so is a @number without a place.
 * @listeners  on which clients wait; must stay open until share_close().
 * @resume     called on the loop when accepting may go on after share_takes()
 *             returned false.
 * NULL: no memory.
 */
struct share *share_open(struct share_table *table, unsigned number,
    struct ev_loop *ev, const int *listeners, size_t listener_count,
    void (*resume)(void *arg), void *arg);
/* Accept no more. Sets *share to NULL; NULL *share is a no-op. */
void share_close(struct share **share);

/* The clients of a worker. */
struct share_clients {
	uint32_t settled; /* stay */
	uint32_t young;	  /* may stay: it is too soon to tell */
	uint64_t passed;  /* have left while they were young, in all; and */
	uint64_t passed_us; /* for how long these were connected, in all */
	bool room;	  /* for more */
};

/* Publish which clients are connected. NULL @share is a no-op. */
void share_tell(struct share *share, const struct share_clients *clients);

/* A client waits: may it be taken? False: stop accepting until @resume. */
bool share_takes(struct share *share);
/* Is it between a false of share_takes() and @resume? Not with a NULL
 * @share. */
bool share_waits(const struct share *share);

/*
 * For an application that blocks, as an interpreter does: publish whether this
 * worker is idle and would serve a client at once. NULL @share is a no-op.
 */
void share_idle(struct share *share, bool idle);
/* Is a client of this worker better served by another, idle one? Only within 10
 * s after an application blocked a worker for 20 ms; not with a NULL @share. */
bool share_hands_over(const struct share *share);

#endif
