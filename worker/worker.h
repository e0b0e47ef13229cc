/*
 * worker.h - the worker process, as the master sees it.
 *
 * struct worker_args is all that crosses the fork. Everything in it belongs
 * to the master and outlives the worker; the worker only closes its copies
 * of the listening sockets.
 */
#ifndef WORKER_H
#define WORKER_H

#include "log.h"

#include <mews.h>
#include <mews/app.h>

/* Defaults: what a zero in struct worker_limits stands for. */
#define WORKER_HEAD_DEFAULT	   12288
#define WORKER_BODY_DEFAULT	   1048576
#define WORKER_CONNECTIONS_DEFAULT 8192
#define WORKER_IDLE_DEFAULT	   10
#define WORKER_REQUEST_DEFAULT	   30000

/* What one client, or all of them together, may ask of a worker. */
struct worker_limits {
	size_t head; /* bytes kept per connection; about half are a request's */
	size_t body;	      /* bytes of a request's body; more: 413 */
	uint32_t connections; /* HTTP connections of this worker at once */
	uint32_t idle;	  /* s in which not a byte moved: closed */
	uint32_t request; /* ms from a request's first line to its end, and
			     from the last answer to that line: closed */
};

struct worker_args {
	const struct config *config;
	struct mews_fleet *fleet;
	const struct mews_app *app;
	const int *listeners; /* bound, listening, non-blocking */
	size_t listener_count;
	int channel;	 /* end-of-file: the master is gone */
	unsigned number; /* 0, 1, ... */
	struct log log;	 /* a copy */
	struct worker_limits limits;
};

/**
 * Serve until told to stop; called in the child right after the fork,
 * privileges dropped, with signals either blocked or as fork left them: a
 * signal that came while they were blocked is not lost. TERM or INT: no new
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
