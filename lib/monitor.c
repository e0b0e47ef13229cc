/*
 * monitor.c - a pool without groups: nothing but probes, and what only one
 * process of the fleet should do.
 *
 * Host names are looked up by short-lived children, one for each, because DNS
 * blocks and nobody must wait for another's; they write the addresses into
 * the segment themselves.
 */
#include <mews/monitor.h>

#include "endpoint.h"
#include "monitor.h"
#include "resolve.h"
#include "status.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define MONITOR_HURRY_US   50000    /* a wish for fresh figures lasts so long */
#define MONITOR_RESOLVE_US 10000000 /* a look-up may take so long */

/* Of one endpoint's name. */
struct lookup {
	pid_t helper; /* at it now; 0: nobody */
	int64_t since_us;
	int64_t due_us; /* the next */
};

/* All that one run of the monitor holds. */
struct run {
	struct monitor monitor; /* first: the pool points to it */
	struct lookup lookups[MEWS_ENDPOINTS_MAX];
	bool drained[MEWS_ENDPOINTS_MAX]; /* as it was logged */
};

/* In the child. */
static void
look_up(struct mews_fleet *fleet, uint32_t endpoint)
{
	struct segment_endpoint *e = &fleet->segment.endpoints[endpoint];
	uint32_t		 before = atomic_load(&e->address);

	resolve_endpoint(e, fleet->config->endpoints[endpoint].conninfo,
	    endpoint_health(fleet, endpoint).state == HEALTH_DOWN);
	/* In the epoch of now, however long that took: a later one began with
	 * the new address. */
	if (atomic_load(&e->address) != before)
		endpoint_report(fleet, endpoint, HEALTH_MOVED,
		    endpoint_health(fleet, endpoint).epoch);
}

static pid_t
start_helper(struct mews_fleet *fleet, uint32_t endpoint)
{
	pid_t	parent = getpid(), pid = fork();

	if (pid != 0)
		return pid > 0 ? pid : 0;
	/* Two must never write one address. */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 && getppid() == parent)
		look_up(fleet, endpoint);
	_exit(0);
}

static void
scan_lookup(struct mews_pool *pool, uint32_t endpoint, struct lookup *lookup,
    int64_t now_us)
{
	uint32_t every = pool->fleet->config->health.resolve;

	if (!pool->fleet->segment.endpoints[endpoint].named)
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
		lookup->helper = start_helper(pool->fleet, endpoint);
	}
	/* One that takes longer is looked after with every beat. */
	if (lookup->due_us > now_us)
		pool_due(pool, lookup->due_us);
}

static void
end_lookup(struct lookup *lookup)
{
	if (lookup->helper == 0)
		return;
	kill(lookup->helper, SIGKILL);
	waitpid(lookup->helper, NULL, 0);
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
	for (uint32_t i = 0; i < pool->fleet->segment.endpoint_count; i++)
		scan_lookup(pool, i, &run->lookups[i], now_us);
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
	for (uint32_t i = 0; i < fleet->segment.endpoint_count; i++) {
		run.lookups[i].due_us = clock_now_us() +
		    (int64_t)fleet->config->health.resolve * 1000;
		run.drained[i] =
		    atomic_load(&fleet->segment.endpoints[i].drained) != 0;
	}
	status = pool_open(&pool, fleet, &run.monitor, NULL, NULL, error);
	if (status == MEWS_OK &&
	    !pool_watch(pool, stop_fd, MEWS_READ, WATCH_STOP, NULL))
		status = status_set(error, MEWS_NOMEM, "out of memory");
	if (status == MEWS_OK) {
		mews_fleet_set_state(fleet, MEWS_WORKER_READY);
		pool_wait(pool, &pool->stopped);
	}
	for (uint32_t i = 0; i < MEWS_ENDPOINTS_MAX; i++) {
		end_lookup(&run.lookups[i]);
		PQfinish(run.monitor.held[i]);
	}
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
