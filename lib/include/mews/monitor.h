/*
 * mews/monitor.h - the process that probes endpoints, so that no user request
 * has to.
 *
 * The monitor measures round-trip time, role, timeline and lag of every
 * endpoint, at once if a worker suspects one; looks up host names; ends what
 * dead workers left running. A fleet has one monitor or none. Without one the
 * workers share the probes of endpoints that are not up, and nobody looks after
 * lag, addresses and orphans.
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
 * Be the monitor: call this in a child of its own. Blocks until @stop_fd is
 * readable or at its end of file: with a pipe the monitor also ends when the
 * parent dies.
 *
 * Reap the monitor as a worker, with mews_fleet_reap(), and start another one.
 *
 * Returns MEWS_OK when told to stop, MEWS_INVALID (there is one already),
 * MEWS_NOMEM or MEWS_SYSTEM.
 */
enum mews_status mews_monitor_run(struct mews_fleet *fleet, int stop_fd,
    struct mews_error *error);

/**
 * Drain an endpoint, or end its drain. A drained endpoint gets no new work, and
 * its connections end when they are idle. In effect everywhere within a second.
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
