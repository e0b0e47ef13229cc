/*
 * monitor.h - the process that probes the endpoints, as the master sees it.
 */
#ifndef MASTER_MONITOR_H
#define MASTER_MONITOR_H

#include "log.h"

/**
 * Be the monitor; called in the child right after the fork, with the master's
 * signals blocked. Ends on TERM or QUIT, and when the master is gone: at the
 * end of the channel.
 *
 * Returns the exit status: 0 after a proper end, 1 if it could not start
 * (logged).
 */
int monitor_run(struct mews_fleet *fleet, const char *instance, int channel,
    const struct log *log);

#endif
