/*
 * monitor.c - a loop of probes, and all that one process does for the fleet.
 *
 * Host names are looked up by short-lived children, one for each, because DNS
 * blocks and no name must wait for another; they write the addresses into the
 * segment themselves.
 */
#include <mews/monitor.h>

#include "base/clock.h"
#include "fleet/damage.h"
#include "fleet/endpoint.h"
#include "fleet/orphan.h"
#include "monitor/probe.h"
#include "fleet/record.h"
#include "fleet/resolve.h"
#include "fleet/slots.h"
#include "base/status.h"

#include <assert.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define MONITOR_BEAT_US    1000000  /* at least one turn in this time */
#define MONITOR_ROLES_US   250000   /* a wish for a role lasts so long */
#define MONITOR_HURRY_US   50000    /* a wish for fresh figures lasts so long */
#define MONITOR_RESOLVE_US 10000000 /* a look-up may take so long */
#define MONITOR_END_US     2000000  /* from the word to stop to the end */
#define MONITOR_END_BEAT_US 10000   /* between two looks until the end */

/* The look-up of one endpoint's name. */
struct lookup {
	pid_t helper; /* the child that runs; 0: none */
	int64_t since_us;
	int64_t due_us; /* the next */
};

/* The state of one run of the monitor. */
struct run {
	struct loop loop;
	struct mews_fleet *fleet;
	struct prober prober;
	struct probe_held held;
	struct lookup lookups[MEWS_ENDPOINTS_MAX];
	bool drained[MEWS_ENDPOINTS_MAX]; /* as it was logged */
	uint32_t hurries; /* of the segment, as last acted upon */
	uint32_t role_wishes;
	int wake_fd, stop_fd;
	int64_t end_us; /* when to stop, whatever remains; 0: not yet told */
	bool stopped;	/* told to end */
	bool ended;
};

/* Look up a name, in the child. */
static void
look_up(struct mews_fleet *fleet, uint32_t endpoint)
{
	struct segment_endpoint *e = &fleet->segment.endpoints[endpoint];
	uint32_t		 now;

	resolve_endpoint(e, fleet->config->endpoints[endpoint].conninfo,
	    endpoint_health(fleet, endpoint).state == HEALTH_DOWN);
	/* Report in the present epoch: a later one begins with the new
	 * address. */
	now = atomic_load(&e->address);
	if (now == atomic_load(&e->moved))
		return;
	endpoint_report(fleet, endpoint, HEALTH_MOVED,
	    endpoint_health(fleet, endpoint).epoch);
	/* Last: a helper that dies before this leaves the rest to the next
	 * one. */
	atomic_store(&e->moved, now);
}

static pid_t
start_helper(struct mews_fleet *fleet, uint32_t endpoint)
{
	pid_t	parent = getpid(), pid = fork();

	if (pid != 0)
		return pid > 0 ? pid : 0;
	/* Two helpers must never write one address: this one ends with its
	 * parent. */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 && getppid() == parent)
		look_up(fleet, endpoint);
	_exit(0);
}

static void
scan_lookup(struct run *run, uint32_t endpoint, int64_t now_us)
{
	struct lookup *lookup = &run->lookups[endpoint];
	uint32_t       every = run->fleet->config->health.resolve;

	if (!segment_knows(&run->fleet->segment, endpoint) ||
	    !atomic_load(&run->fleet->segment.endpoints[endpoint].named))
		return;
	if (lookup->helper > 0 &&
	    now_us - lookup->since_us > MONITOR_RESOLVE_US)
		kill(lookup->helper, SIGKILL);
	if (lookup->helper > 0 &&
	    waitpid(lookup->helper, NULL, WNOHANG) != 0)
		lookup->helper = 0;
	if (lookup->helper == 0 && now_us >= lookup->due_us) {
		lookup->due_us = now_us + (int64_t)every * 1000;
		lookup->since_us = now_us;
		lookup->helper = start_helper(run->fleet, endpoint);
	}
	/* Each beat looks after a helper that takes longer. */
	if (lookup->due_us > now_us)
		loop_due(&run->loop, lookup->due_us);
}

static void
end_lookup(struct lookup *lookup)
{
	if (lookup->helper == 0)
		return;
	kill(lookup->helper, SIGKILL);
	waitpid(lookup->helper, NULL, 0);
}

/* Log each drain and its end: the command that caused it has no log. */
static void
scan_drained(struct mews_fleet *fleet, struct run *run)
{
	for (uint32_t i = 0; i < fleet->segment.endpoint_count; i++) {
		bool	now;

		now = atomic_load(&fleet->segment.endpoints[i].drained) != 0;
		if (now == run->drained[i] ||
		    !segment_knows(&fleet->segment, i))
			continue;
		run->drained[i] = now;
		fleet_log(fleet, MEWS_LOG_INFO, "endpoint_admin",
		    "endpoint=%s to=%s", endpoint_name(fleet, i),
		    now ? "drained" : "enabled");
	}
}

/*
 * Told to stop: the workers are gone, but servers may still run what they left.
 * Probe these servers at once, and end when no orphan remains, without waiting
 * for a server that does not answer.
 */
static void
scan_end(struct run *run, int64_t now_us)
{
	const bool	orphans = orphan_any(&run->fleet->segment);

	if (run->end_us == 0) {
		/* Stop watching the descriptor, which stays readable. */
		loop_forget(&run->loop, run->stop_fd, run);
		run->ended = !orphans;
		run->end_us = now_us + MONITOR_END_US;
		run->held.hurry_until_us = run->end_us;
	} else
		run->ended = now_us >= run->end_us ||
		    (!orphans && !probe_any(&run->prober));
	loop_due(&run->loop, now_us + MONITOR_END_BEAT_US);
}

/* Do all that is due, and set when the next is. */
static void
scan_run(struct run *run, int64_t now_us)
{
	const struct segment	*segment = &run->fleet->segment;
	uint32_t		 hurries, wishes;

	run->loop.due_us = now_us + MONITOR_BEAT_US;
	atomic_store_explicit(&run->fleet->slot->beat_ms,
	    segment_ms(segment, now_us), memory_order_relaxed);
	damage_mend(run->fleet, now_us);
	slots_tend(run->fleet, true);
	hurries = atomic_load(&segment->header->hurries);
	if (hurries != run->hurries) {
		run->hurries = hurries;
		run->held.hurry_until_us = now_us + MONITOR_HURRY_US;
	}
	wishes = atomic_load(&segment->header->role_wishes);
	if (wishes != run->role_wishes) {
		run->role_wishes = wishes;
		run->held.roles_until_us = now_us + MONITOR_ROLES_US;
	}
	for (uint32_t i = 0; i < segment->endpoint_count; i++)
		scan_lookup(run, i, now_us);
	scan_drained(run->fleet, run);
	if (run->stopped)
		scan_end(run, now_us);
	for (uint32_t i = 0; i < segment->endpoint_count; i++)
		if (segment_knows(segment, i))
			probe_scan(&run->prober, i, false, now_us);
}

static void
monitor_tick(void *who)
{
	struct run	*run = who;

	if (run->loop.due_us <= loop_now(&run->loop))
		scan_run(run, loop_now(&run->loop));
}

/* Another process changed an endpoint, or wants fresh measurements. */
static void
monitor_woken(void *who, int events)
{
	struct run	*run = who;

	(void)events;
	if (wake_take(run->wake_fd))
		loop_due(&run->loop, loop_now(&run->loop));
}

static void
monitor_stop(void *who, int events)
{
	struct run	*run = who;

	(void)events;
	run->stopped = true;
	loop_due(&run->loop, loop_now(&run->loop));
}

static enum mews_status
run_open(struct run *run, struct mews_fleet *fleet, int stop_fd,
    struct mews_error *error)
{
	enum mews_status	status;

	run->fleet = fleet;
	run->wake_fd = fleet_wake_fd(fleet);
	run->stop_fd = stop_fd;
	run->prober = (struct prober) {
		.loop = &run->loop, .fleet = fleet, .held = &run->held,
	};
	for (uint32_t i = 0; i < fleet->segment.endpoint_count; i++) {
		if (endpoint_has_address(fleet, i))
			run->lookups[i].due_us = clock_now_us() +
			    (int64_t)fleet->config->health.resolve * 1000;
		run->drained[i] =
		    atomic_load(&fleet->segment.endpoints[i].drained) != 0;
	}
	status = loop_open(&run->loop, NULL, NULL, monitor_tick, run, error);
	if (status != MEWS_OK)
		return status;
	if (!loop_watch_lent(&run->loop, run->wake_fd, MEWS_WATCH_READ,
		monitor_woken, run) ||
	    !loop_watch_lent(&run->loop, stop_fd, MEWS_WATCH_READ,
		monitor_stop, run))
		return status_set(error, MEWS_NOMEM, "out of memory");
	return MEWS_OK;
}

static void
run_close(struct run *run)
{
	for (uint32_t i = 0; i < MEWS_ENDPOINTS_MAX; i++) {
		end_lookup(&run->lookups[i]);
		PQfinish(run->held.pg[i]);
	}
	probe_stop_all(&run->prober);
	loop_disown(&run->loop);
	loop_close(&run->loop);
}

enum mews_status
mews_monitor_run(struct mews_fleet *fleet, int stop_fd,
    struct mews_error *error)
{
	struct run		run = { 0 };
	enum mews_status	status;

	assert(fleet != NULL &&
	    "mews: a fleet is there after mews_fleet_create()");
	if ((status = fleet_join_monitor(fleet, error)) != MEWS_OK)
		return status;
	if ((status = run_open(&run, fleet, stop_fd, error)) == MEWS_OK) {
		mews_fleet_set_state(fleet, MEWS_WORKER_READY);
		loop_wait(&run.loop, &run.ended, LOOP_NEVER);
	}
	run_close(&run);
	mews_fleet_leave(fleet);
	return status;
}

static enum mews_status
mark_drained(const struct segment *segment, const char *where,
    const char *endpoint, bool drained, struct mews_error *error)
{
	bool	found = false;

	if (endpoint == NULL)
		return status_set(error, MEWS_INVALID,
		    "%s: the name of an endpoint is missing", where);
	/* Set it on the records of earlier generations as well. */
	for (uint32_t i = 0; i < segment->endpoint_space; i++)
		if (record_has_name(&segment->endpoints[i], endpoint)) {
			atomic_store(&segment->endpoints[i].drained, drained);
			found = true;
		}
	if (!found)
		return status_set(error, MEWS_INVALID,
		    "%s: no endpoint of that name: %.100s", where, endpoint);
	/* Each process looks at the counter once a second at least; a busy one
	 * for each query. */
	atomic_fetch_add(&segment->header->changes, 1);
	return status_set(error, MEWS_OK, "%s", "");
}

enum mews_status
mews_endpoint_drain(const char *path, const char *endpoint, bool drained,
    struct mews_error *error)
{
	struct segment		segment;
	enum mews_status	status;

	status = segment_open(&segment, path, true, error);
	if (status != MEWS_OK)
		return status;
	status = mark_drained(&segment, path, endpoint, drained, error);
	segment_close(&segment);
	return status;
}

enum mews_status
mews_fleet_drain(struct mews_fleet *fleet, const char *endpoint, bool drained,
    struct mews_error *error)
{
	enum mews_status	status;

	assert(fleet != NULL &&
	    "mews: a fleet is there after mews_fleet_create()");
	status = mark_drained(&fleet->segment, fleet->config->instance,
	    endpoint, drained, error);
	if (status == MEWS_OK)
		fleet_wake_all(fleet);
	return status;
}
