/*
 * mews/view.h - look at a fleet: mews status, metrics.
 *
 * A view maps the fleet's runtime file read-only, so it works while the fleet
 * hangs. Other processes write there without a lock: each number is true by
 * itself, not together with its neighbours, and is checked before it is shown.
 */
#ifndef MEWS_VIEW_H
#define MEWS_VIEW_H

#include <mews/config.h>
#include <mews/fleet.h>
#include <mews/status.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

struct mews_view;

struct mews_view_fleet {
	char instance[MEWS_NAME_MAX + 1];
	pid_t master_pid; /* 0: a fleet without a master */
	int64_t uptime_ms;
	uint32_t generation;
	uint32_t endpoint_count;
	uint32_t slot_count;
	pid_t monitor_pid; /* 0: none */
	int64_t monitor_uptime_ms;
	int64_t monitor_heartbeat_age_ms;
	uint32_t orphans; /* sessions that no process holds any more, in which a
			     server may still work */
	int64_t damaged_ms; /* since damage to the shared memory was last found,
			       and mended as far as possible; -1: never */
};

struct mews_view_endpoint {
	char name[MEWS_NAME_MAX + 1];
	const char *state; /* "unknown", "up", "suspect", "down" */
	const char *role;  /* "unknown", "primary", "standby", "readonly",
			      "mixed": no single server, see mews(1) */
	const char *reason; /* last evidence, such as "probe_ok", "refused" */
	uint32_t epoch;
	uint32_t failures;
	uint32_t retry_in_ms; /* 0: none is due, or due now */
	uint32_t connections; /* of all workers */
	uint32_t max_connections; /* 0: no cap */
	int64_t changed_ms;	  /* since the last change; -1: never */
	pid_t changed_by;	  /* the process that saw it; 0: none */
	bool drained;		  /* by mews drain */
	bool outdated;		  /* a primary, below the timeline that
				     another endpoint was last seen on */
	uint32_t cap;		  /* max_connections as it is now: lowered
				     for a while when the server refused */
	uint32_t rtt_us;	  /* of the last probe; 0: not measured */
	uint32_t timeline;	  /* 0: not known */
	uint64_t lsn;		  /* written (primary) or replayed */
	int64_t lag_ms;		  /* -1: not known, or it is down */
	uint64_t lag_bytes;
	const char *cause;	  /* evidence of the last change */
	int64_t evidence_ms;	  /* since the last evidence; -1: none */
	pid_t evidence_by;	  /* the process that saw it; 0: none */
	uint32_t successes;	  /* good probes while it is down */
	int64_t probed_ms;	  /* since the last probe began; -1: never */
	bool probing;		  /* a probe is on its way */
	bool proven;		  /* the timeline was measured since this became
				     a primary */
	int64_t returned_ms;	  /* since it came back from down; -1: it never
				     was down */
	uint32_t lowered_ms;	  /* for how long cap stays lowered; 0: it is
				     not lowered */
	int64_t rejected_ms;	  /* since when logins are rejected; -1: they
				     are not */
	char refusal[128];	  /* why logins are rejected: the server's
				     message, cut */
	uint32_t queued;	  /* of the connections, logins that wait behind
				     a pooler whose pool is full */
};

struct mews_view_worker {
	pid_t pid;
	enum mews_worker_state state;
	int64_t uptime_ms;
	uint64_t requests;
	uint64_t queries;
	uint64_t errors;
	uint32_t waiting;
	uint32_t in_flight;
	int64_t heartbeat_age_ms;
	uint32_t connections[MEWS_ENDPOINTS_MAX]; /* by endpoint */
	uint64_t lag_us; /* how late the last beat of its loop was */
	bool attached;	 /* no worker: it joined by mews_fleet_attach() */
};

/**
 * Open the runtime file of a fleet.
 *
 * Returns MEWS_OK, MEWS_SYSTEM (no such file, no permission) or MEWS_INVALID
 * (not a segment, or of another ABI); @error names path and reason.
 */
enum mews_status mews_view_open(struct mews_view **out, const char *path,
    struct mews_error *error);
/**
 * As mews_view_open(), in a process that has the fleet, with or without a
 * runtime file: its creator, and processes forked from it. Close it before the
 * fleet is destroyed.
 *
 * Returns MEWS_OK or MEWS_NOMEM.
 */
enum mews_status mews_view_open_fleet(struct mews_view **out,
    const struct mews_fleet *fleet, struct mews_error *error);

/** Unmap the view and set *view to NULL; NULL *view is a no-op. */
void mews_view_close(struct mews_view **view);

/* In the functions below @size is sizeof(*out), so that structures can grow. */

/** The fleet as a whole. */
void mews_view_fleet(const struct mews_view *view,
    struct mews_view_fleet *out, size_t size);
/** One endpoint; false if @index is out of range. */
bool mews_view_endpoint(const struct mews_view *view, uint32_t index,
    struct mews_view_endpoint *out, size_t size);
/**
 * How often evidence of kind @evidence, from 0 on, changed an endpoint's state,
 * role or epoch.
 *
 * @name  set to the kind's name, "refused".
 *
 * Returns false if there is no such endpoint, or no such kind.
 */
bool mews_view_transitions(const struct mews_view *view, uint32_t index,
    uint32_t evidence, const char **name, uint32_t *count);
/** One slot, of a worker or of a process that attached; false if @slot is out
 * of range or free. */
bool mews_view_worker(const struct mews_view *view, uint32_t slot,
    struct mews_view_worker *out, size_t size);
/** "starting", "ready", "draining", "free". */
const char *mews_worker_state_name(enum mews_worker_state state);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif

#endif
