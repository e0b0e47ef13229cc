/*
 * passed.h - listening sockets that systemd, or another parent, passed on.
 *
 * LISTEN_FDS of them, from descriptor 3 on, if LISTEN_PID is our pid: socket
 * activation. They are known by their addresses, which have to be those of
 * `listen`; what was not passed is bound as ever.
 */
#ifndef MASTER_PASSED_H
#define MASTER_PASSED_H

#include "config.h"

#include <mews/status.h>

#define PASSED_MAX 64

struct passed {
	int fds[PASSED_MAX]; /* -1: taken */
	int count;
};

/** Find them. The environment is for us alone, and is cleared. */
void passed_find(struct passed *passed);

/** Take the one that listens there; non-blocking. -1: it was not passed. */
int passed_take(struct passed *passed, const struct config_listen *where);

/** Was each one taken? False: one sentence in @error names one that nothing
 * in the configuration listens on. */
bool passed_are_taken(const struct passed *passed, struct mews_error *error);

#endif
