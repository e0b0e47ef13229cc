/*
 * passed.h - listening sockets that systemd, or another parent, passed on.
 *
 * Socket activation: LISTEN_FDS sockets, from descriptor 3 on, if LISTEN_PID is
 * our pid. Their addresses must be in `listen`; addresses that were not passed
 * are bound as usual.
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

/** Find the sockets, and clear the variables, which are for this process
 * only. */
void passed_find(struct passed *passed);

/** Take the socket of @where, made non-blocking. -1: it was not passed. */
int passed_take(struct passed *passed, const struct config_listen *where);

/** Was each socket taken? False: one sentence in @error names one that is not
 * in the configuration. */
bool passed_are_taken(const struct passed *passed, struct mews_error *error);

#endif
