/*
 * parts.h - what the files of the master share.
 */
#ifndef MASTER_PARTS_H
#define MASTER_PARTS_H

#include "ending.h"
#include "generation.h"
#include "guard.h"
#include "logs.h"
#include "notify.h"
#include "privileges.h"
#include "reload.h"
#include "runtime.h"
#include "standard.h"
#include "upgrade.h"

struct master {
	const struct config   *config; /* of the generation that serves */
	struct log	       log;    /* the master's own */
	struct logs	       logs;
	struct standard	       standard;
	struct notify	       notify;
	struct privileges      user;
	struct runtime	       runtime;
	struct generation_list generations; /* oldest first */
	struct generation     *now;	    /* serves */
	struct reload	       reload;
	struct upgrade	       upgrade;
	struct handover	      *handover; /* NULL: we replace nobody */
	struct {
		bool ready, go, done, monitor; /* as handover.h says */
		bool failed;		       /* a worker ended before */
		int64_t until; /* stopped: the old master is waited for */
	} takeover;
	unsigned	       start_workers; /* at a start */
	struct ending	       ending;
	unsigned	       slots; /* of the segment, for workers */
	uint32_t	       number; /* of the generation that serves */
	struct workers	       monitor; /* a table of one */
	struct guard	       guard;	/* of the admin process */
	struct history	      *history; /* its; NULL: there is none */
	int		       history_fd; /* the same; -1: none */
	int		       signal_fd;
	unsigned long	       lost; /* lines of the log, as counted */
	int		       channel[2];
	bool		       keeps; /* segment and monitor, no worker */
	bool		       stopping;
	unsigned wanted; /* by signals, while another master takes over */
	int64_t		       held_until; /* a death; 0: none is held */
};

/** In a child: close what only the master uses. @log becomes the child's
 * log. */
void master_disown(struct master *m, struct log *log, const char *process,
    int number);
/** The child's side of a worker's fork. */
int master_child(void *generation, unsigned number);
/** As master_child(), for the monitor; @master is a copy. */
int master_monitor_child(void *master, unsigned number);
/** As master_child(), for the admin process. */
int master_admin_child(void *master);

/** Start the admin process anew, if the generation that serves wants
 * another. */
void master_guard(struct master *m);

#endif
