/*
 * worker.h - the worker process, as the master sees it.
 *
 * struct worker_args is all that crosses the fork. Everything in it belongs
 * to the master and outlives the worker.
 */
#ifndef WORKER_H
#define WORKER_H

#include "log.h"

#include <mews.h>
#include <mews/app.h>

struct worker_args {
	const struct config *config;
	struct mews_fleet *fleet;
	const struct mews_app *app;
	const int *listeners; /* bound, listening, non-blocking */
	size_t listener_count;
	int channel;	 /* end-of-file: the master is gone */
	unsigned number; /* 0, 1, ... */
	struct log log;	 /* a copy */
};

/**
 * Serve until told to stop; called in the child right after the fork, with
 * signals as fork left them, privileges dropped. TERM or INT: no new
 * connections, finish what is in flight (at most graceful_timeout), close
 * the pool. QUIT: end at once. End of the channel: as TERM.
 *
 * Returns the exit status: 0 after a proper end, 1 if it could not start
 * (logged).
 */
int worker_run(const struct worker_args *args);

/**
 * Load an application and check what it exports.
 *
 * @error  one sentence that names the path.
 * The object stays loaded until the process ends.
 */
bool application_load(const char *path, const struct mews_app **app,
    struct mews_error *error);

#endif
