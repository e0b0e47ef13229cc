/*
 * monitor.c - a pool without groups: nothing but probes, and what only one
 * process of the fleet should do.
 *
 * Host names are looked up by a short-lived child, because DNS blocks and
 * probes must not wait; it writes the addresses into the segment itself.
 */
#include <mews/monitor.h>

#include "endpoint.h"
#include "monitor.h"
#include "resolve.h"
#include "status.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define MONITOR_HURRY_US   50000    /* a wish for fresh figures lasts so long */
#define MONITOR_RESOLVE_US 10000000 /* a look-up may take so long */

/* All that one run of the monitor holds. */
struct run {
	struct monitor monitor; /* first: the pool points to it */
	pid_t helper;		/* looking up names; 0: none */
	int64_t helper_since_us;
	int64_t resolve_us;	/* the next look-up */
	bool drained[MEWS_ENDPOINTS_MAX]; /* as it was logged */
};

/* In the child: look up every name, and say what moved. */
static void
resolve_all(struct mews_fleet *fleet)
{
	for (uint32_t i = 0; i < fleet->segment.endpoint_count; i++) {
		struct segment_endpoint *e = &fleet->segment.endpoints[i];
		uint32_t		 before = atomic_load(&e->address);
		struct health		 health = endpoint_health(fleet, i);

		if (!e->named)
			continue;
		resolve_endpoint(e, fleet->config->endpoints[i].conninfo);
		if (atomic_load(&e->address) != before)
			endpoint_report(fleet, i, HEALTH_MOVED, health.epoch);
	}
}

static void
scan_helper(struct mews_pool *pool, struct run *run, int64_t now_us)
{
	uint32_t every = pool->fleet->config->health.resolve;

	if (run->helper > 0 &&
	    now_us - run->helper_since_us > MONITOR_RESOLVE_US)
		kill(run->helper, SIGKILL);
	if (run->helper > 0 && waitpid(run->helper, NULL, WNOHANG) != 0)
		run->helper = 0;
	if (run->helper == 0 && now_us >= run->resolve_us) {
		run->resolve_us = now_us + (int64_t)every * 1000;
		run->helper_since_us = now_us;
		if ((run->helper = fork()) == 0) {
			resolve_all(pool->fleet);
			_exit(0);
		}
	}
	pool_due(pool, run->resolve_us);
}

/* The operator's word is logged by us: who gave it has no log. */
static void
scan_drained(struct mews_fleet *fleet, struct run *run)
{
	for (uint32_t i = 0; i < fleet->segment.endpoint_count; i++) {
		bool	now;

		now = atomic_load(&fleet->segment.endpoints[i].drained) != 0;
		if (now == run->drained[i])
			continue;
		run->drained[i] = now;
		fleet_log(fleet, MEWS_INFO, "endpoint_admin",
		    "endpoint=%s to=%s", endpoint_name(fleet, i),
		    now ? "drained" : "enabled");
	}
}

void
monitor_scan(struct mews_pool *pool, int64_t now_us)
{
	struct monitor *monitor = pool->monitor;
	struct run     *run = (struct run *)monitor;
	uint32_t	hurries;

	hurries = atomic_load(&pool->fleet->segment.header->hurries);
	if (hurries != monitor->hurries) {
		monitor->hurries = hurries;
		monitor->hurry_until_us = now_us + MONITOR_HURRY_US;
	}
	if (pool->fleet->named)
		scan_helper(pool, run, now_us);
	scan_drained(pool->fleet, run);
}

enum mews_status
mews_monitor_run(struct mews_fleet *fleet, int stop_fd,
    struct mews_error *error)
{
	struct run		run = { 0 };
	struct mews_pool       *pool;
	enum mews_status	status;

	if ((status = fleet_join_monitor(fleet, error)) != MEWS_OK)
		return status;
	run.resolve_us = clock_now_us() +
	    (int64_t)fleet->config->health.resolve * 1000;
	for (uint32_t i = 0; i < fleet->segment.endpoint_count; i++)
		run.drained[i] =
		    atomic_load(&fleet->segment.endpoints[i].drained) != 0;
	status = pool_open(&pool, fleet, &run.monitor, NULL, NULL, error);
	if (status == MEWS_OK &&
	    !pool_watch(pool, stop_fd, MEWS_READ, WATCH_STOP, NULL))
		status = status_set(error, MEWS_NOMEM, "out of memory");
	if (status == MEWS_OK) {
		mews_fleet_set_state(fleet, MEWS_WORKER_READY);
		pool_wait(pool, &pool->stopped);
	}
	if (run.helper > 0) {
		kill(run.helper, SIGKILL);
		waitpid(run.helper, NULL, 0);
	}
	for (uint32_t i = 0; i < MEWS_ENDPOINTS_MAX; i++)
		PQfinish(run.monitor.held[i]);
	mews_pool_close(&pool);
	mews_fleet_leave(fleet);
	return status;
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
	status = status_set(error, MEWS_INVALID,
	    "%s: no endpoint of that name: %.100s", path, endpoint);
	for (uint32_t i = 0; i < segment.endpoint_count; i++)
		if (strncmp(segment.endpoints[i].name, endpoint,
			MEWS_NAME_MAX + 1) == 0) {
			atomic_store(&segment.endpoints[i].drained, drained);
			/* Each process looks at this once a second at least;
			 * a busy one for each query. */
			atomic_fetch_add(&segment.header->changes, 1);
			status = status_set(error, MEWS_OK, "%s", "");
		}
	segment_close(&segment);
	return status;
}
