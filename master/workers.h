/*
 * workers.h - the master's table of workers; the monitor has one of its own.
 *
 * One struct process per place; a place lives longer than the processes that
 * fill it. Whoever forks, buries, kills or counts workers does it in here.
 */
#ifndef MASTER_WORKERS_H
#define MASTER_WORKERS_H

#include "process.h"
#include "recycle.h"

/** The child's side of the fork; returns its exit status. */
typedef int workers_child_fn(void *arg, unsigned number);
/** Has a process elsewhere that number? */
typedef bool workers_taken_fn(const void *arg, unsigned number);

struct workers {
	const char	    *noun; /* "worker" or "monitor", for the log */
	const struct config *config;
	const struct log    *log;
	struct mews_fleet   *fleet;
	const char	    *segment_path;
	struct process_list  list;
	workers_child_fn    *child;
	void		    *child_arg;
	workers_taken_fn    *taken; /* called with child_arg; NULL: none is */
	unsigned	     count; /* processes to run; set before init */
	unsigned	     slots; /* of the segment */
	int64_t		     began;
	int64_t		     watched_at;  /* the last workers_watch() */
	int64_t		     awake_since; /* we ourselves, without a break */
	struct recycle	     recycle;
	bool		     stopping;	  /* who ends properly was told to */
	bool		     any_ready;	  /* ever */
	bool		     all_ready;	  /* the first time */
	bool		     complained;  /* told that none gets ready */
};

/** Make the places; what comes from elsewhere is set already. False: out of
 * memory. */
bool workers_init(struct workers *workers);
/** Free the table; kills nobody. */
void workers_free(struct workers *workers);

/** Fork those that are due. Returns only in the parent. */
void workers_start(struct workers *workers);
/** A process ended: plan its successor. False: it is none of these. */
bool workers_bury(struct workers *workers, pid_t pid, int wait_status);
/** See who became ready, who hangs, whose time is over. */
void workers_watch(struct workers *workers);
/** Milliseconds until one of these three has something to do. */
int workers_due(const struct workers *workers);

/** How many serve now. */
unsigned workers_serving(const struct workers *workers);

/** One place more; false if the segment has no room for it. */
bool workers_grow(struct workers *workers);
/** One place less, gracefully; false if it is the last. */
bool workers_shrink(struct workers *workers);
/** End all, by TERM or QUIT; kill who is still there in @patience_ms. */
void workers_stop(struct workers *workers, int signal, int64_t patience_ms);
/** Another generation serves: each ends by itself, and is killed if it did not
 * in its time. */
void workers_pass(struct workers *workers);
/** End each by TERM, and start it anew at once. */
void workers_renew(struct workers *workers);
/** How many processes there are. */
unsigned workers_living(const struct workers *workers);
/** True once nobody is left, or nobody who could be ended. */
bool workers_gone(const struct workers *workers);

#endif
