/*
 * mews/monitor.h - the process that probes endpoints, so that no user request
 * has to.
 *
 * It measures round-trip time, role, timeline and lag of every endpoint, at
 * once when a worker suspects one; looks up host names; ends what dead
 * workers left running. A fleet has one, or none: then the workers probe what
 * is not UP among themselves, and lag, addresses and orphans are not looked
 * after.
 */
#ifndef MEWS_MONITOR_H
#define MEWS_MONITOR_H

#include <mews/fleet.h>
#include <mews/status.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/**
 * Be the monitor: call it in a child of its own. Blocks until @stop_fd is
 * readable or at its end-of-file (a pipe from the parent does both jobs).
 *
 * Reap it as a worker, with mews_fleet_reap(), and start another one.
 *
 * Returns MEWS_OK when told to stop, MEWS_INVALID (there is one already),
 * MEWS_NOMEM or MEWS_SYSTEM.
 */
enum mews_status mews_monitor_run(struct mews_fleet *fleet, int stop_fd,
    struct mews_error *error);

/**
 * The operator's word on an endpoint: drained, it gets no new work, and its
 * connections end when they are idle. In effect everywhere within a second.
 *
 * @path  the fleet's runtime file.
 *
 * Returns MEWS_OK, MEWS_INVALID (no such endpoint, not a segment) or
 * MEWS_SYSTEM; @error names path and reason.
 */
enum mews_status mews_endpoint_drain(const char *path, const char *endpoint,
    bool drained, struct mews_error *error);

/**
 * As mews_endpoint_drain(), in a process that has the fleet, with or without a
 * runtime file. Returns MEWS_OK or MEWS_INVALID.
 */
enum mews_status mews_fleet_drain(struct mews_fleet *fleet,
    const char *endpoint, bool drained, struct mews_error *error);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif

#endif
