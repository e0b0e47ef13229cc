/*
 * worker.h - the worker process, as the master sees it.
 *
 * struct worker_args is all that crosses the fork. Everything in it belongs
 * to the master and outlives the worker; the worker only closes its copies
 * of the listening sockets.
 */
#ifndef WORKER_WORKER_H
#define WORKER_WORKER_H

#include "log.h"
#include "share.h"

#include <mews.h>
#include <signal.h>
#include <mews/app.h>

/* Sent by the master to a worker whose successor is ready: as TERM, but an idle
 * client may ask once more. */
#define WORKER_GIVE_WAY (SIGRTMIN + 4)

struct worker_args {
	const struct config *config;
	struct mews_fleet *fleet;
	const struct mews_app *app; /* NULL: loaded from config->app */
	const int *listeners; /* bound, listening, non-blocking */
	size_t listener_count;
	int channel;	 /* end-of-file: the master is gone */
	unsigned number; /* from 0 on */
	unsigned slots;	 /* of the segment: a descriptor for each */
	struct share_table *share; /* NULL: there are no other workers */
	struct log log;	 /* a copy */
};

/**
 * Serve until told to stop; called in the child right after the fork,
 * privileges dropped, with signals either blocked or as fork left them: a
 * signal that came while they were blocked is not lost. TERM or INT: no new
 * connections, finish what is in flight (at most graceful_timeout), close
 * the pool. QUIT: end at once. End of the channel: as TERM.
 *
 * The worker gets ready and connects, but accepts no client before the turn of
 * @args->fleet. When the turn passes on: as TERM, but an idle client may ask
 * once more.
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
/** Ask an application whether it could start, for mews check; @error: why
 * not. */
bool application_check(const struct mews_app *app,
    const struct config *config, struct mews_error *error);

#endif
