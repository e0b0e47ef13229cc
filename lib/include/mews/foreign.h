/*
 * mews/foreign.h - bring your own driver: connections outside of any pool.
 *
 * A host whose driver connects by itself asks here which server to use, and
 * reports the outcome, so that it skips dead servers as a pool does:
 *
 *	mews_fleet_choose(fleet, &wanted, &choice, sizeof(choice), &error);
 *	... connect by choice.conninfo ...
 *	mews_fleet_report(fleet, choice.endpoint, MEWS_REPORT_FAILED, why);
 *
 * Neither call waits or needs a slot: any process that has the fleet may call
 * them, from any thread. Both rest on what probes found: the fleet needs a
 * monitor (mews/monitor.h), or a process with a pool.
 */
#ifndef MEWS_FOREIGN_H
#define MEWS_FOREIGN_H

#include <mews/fleet.h>
#include <mews/status.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

#define MEWS_CONNINFO_MAX 4095 /* bytes of a choice's, without the NUL */

/* Which server is wanted. Zero means: any. */
struct mews_wanted {
	const char *role; /* as a group's: "any", "primary", "standby" or
			     "prefer-standby"; NULL: any */
	uint32_t max_lag; /* ms that a standby may be behind; 0: any. One
			     whose lag is not known is used */
	uint32_t unused;  /* zero */
	uint64_t max_lag_bytes; /* of WAL; 0: any */
	uint64_t reserved[4];	/* zero: room for what is added later */
};

/* A server that is usable now. */
struct mews_choice {
	const char *endpoint; /* its name; lives as long as the fleet */
	const char *role;     /* as in struct mews_view_endpoint */
	int64_t lag_ms;	      /* -1: not known */
	char conninfo[MEWS_CONNINFO_MAX + 1]; /* for PQconnectdb() and drivers
			     of its kind: the endpoint's, as keyword='value'
			     pairs, and the hostaddr that was looked up */
};

/**
 * Choose an endpoint as a group would: of the role that is wanted, not drained,
 * not behind, not an outdated primary. A suspect server is chosen only if no
 * other is left. Equal endpoints take turns by their weights, in each process
 * and over all; one that came back gets its share bit by bit.
 *
 * @wanted  NULL: any.
 * @out     filled on MEWS_OK, else zero; @size is sizeof(*out), so that it can
 *          grow.
 *
 * Returns MEWS_OK; MEWS_UNAVAILABLE: none is usable now, and @error names the
 * state of each; MEWS_INVALID: @wanted, or a conninfo of more than
 * MEWS_CONNINFO_MAX bytes; MEWS_NOMEM.
 */
enum mews_status mews_fleet_choose(struct mews_fleet *fleet,
    const struct mews_wanted *wanted, struct mews_choice *out, size_t size,
    struct mews_error *error);

/* How a connection of a foreign driver went. */
enum mews_report {
	MEWS_REPORT_FAILED = 0, /* not made in time, or lost */
	MEWS_REPORT_WORKED = 1	/* made, just now */
};

/**
 * Report how a connection to @endpoint went. A failure makes a server that is
 * up suspect, no more: every process prefers others at once, and a probe is
 * sent now to decide. A success counts as much as a pool's own. Only failures
 * of the connection are evidence: not an SQL error, nor a password that was
 * refused.
 *
 * @message  the driver's, for the log; NULL: none.
 *
 * Returns MEWS_OK, or MEWS_INVALID: no such endpoint, or report.
 */
enum mews_status mews_fleet_report(struct mews_fleet *fleet,
    const char *endpoint, enum mews_report how, const char *message,
    struct mews_error *error);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif

#endif
