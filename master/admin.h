/*
 * admin.h - the process that shows the fleet over HTTP, read-only.
 */
#ifndef MASTER_ADMIN_H
#define MASTER_ADMIN_H

#include "config.h"
#include "history.h"
#include "log.h"

struct admin_args {
	const struct config *config;
	const char *segment_path;
	const int  *listeners; /* bound, of config->admin */
	size_t	    listener_count;
	struct history *history; /* shared with the next; NULL: none */
	pid_t	    master;
	bool	    keeps; /* a fleet without workers, for those who attach */
	struct log  log;
};

/**
 * Be the admin process; called in the child right after the fork, with the
 * master's signals blocked. TERM ends it, and the death of the master.
 *
 * Returns the exit status: 1, as it could not start (logged).
 */
int admin_run(const struct admin_args *args);

#endif
