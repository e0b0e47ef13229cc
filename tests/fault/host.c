/*
 * host.c - the parent of the fleet's processes; see host.h.
 */
#include "host.h"

#include "servers.h"
#include "witness.h"
#include "worker.h"

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <mews/settings.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define SETTLE_US  (30 * 1000000LL)
#define COMMAND_US (60 * 1000000LL)
#define STOP_US	   (15 * 1000000LL)
#define TICK_MS	   2
#define SERVED	   20 /* how many requests of each worker settle it */

bool host_attaches;

/* Make the fleet, or attach to it as a process without the parent's. */
static enum mews_status
make(struct mews_fleet **fleet, const struct host *host, uint32_t hedge_after,
    bool attach, struct mews_error *error)
{
	struct mews_endpoint_config endpoints[LEDGER_ENDPOINTS];
	struct mews_group_config groups[] = {
		{ .name = "read", .role = MEWS_GROUP_PREFER_STANDBY,
		    .connection_count = 4, .hedge_after = hedge_after,
		    .acquire_timeout = HOST_ACQUIRE },
		{ .name = "write", .role = MEWS_GROUP_PRIMARY,
		    .connection_count = 2, .acquire_timeout = HOST_ACQUIRE },
	};
	struct mews_config config = {
		.abi = MEWS_ABI, .instance = "fault",
		.runtime_file = host->path,
		.workers = LEDGER_WORKERS,
		.endpoints = endpoints, .endpoint_count = LEDGER_ENDPOINTS,
		.groups = groups, .group_count = 2,
		.health = { .interval = HOST_INTERVAL,
		    .timeout = HOST_TIMEOUT },
	};

	for (unsigned i = 0; i < LEDGER_ENDPOINTS; i++)
		endpoints[i] = (struct mews_endpoint_config) {
			.name = servers_name(i),
			.conninfo = servers_conninfo(i),
			.max_connections = HOST_CAP,
			.connect_burst = HOST_BURST,
		};
	return attach ? mews_fleet_attach(fleet, &config, error) :
	    mews_fleet_create(fleet, &config, error);
}

static void
make_fleet(struct host *host, uint32_t hedge_after)
{
	struct mews_error error;

	snprintf(host->path, sizeof(host->path), "%s/fault.%ld",
	    servers_dir(), (long)getpid());
	host->hedge_after = hedge_after;
	if (make(&host->fleet, host, hedge_after, false, &error) != MEWS_OK ||
	    mews_view_open(&host->view, host->path, &error) != MEWS_OK)
		errx(1, "fleet: %s", error.message);
	mews_fleet_set_log(host->fleet, witness_log, &host->log);
}

/* In a child: attach, with a fleet of its own. */
static int
work_attached(struct host *host, unsigned process)
{
	struct mews_fleet *fleet;
	struct mews_error  error;
	int		   result;

	if (make(&fleet, host, host->hedge_after, true, &error) != MEWS_OK)
		errx(1, "attach: %s", error.message);
	mews_fleet_set_log(fleet, witness_log, &host->log);
	result = worker_run(fleet, host->ledger, process,
	    host->children[process].life);
	mews_fleet_destroy(&fleet);
	return result;
}

static void
fork_child(struct host *host, unsigned process)
{
	struct child	 *child = &host->children[process];
	struct mews_error error;

	fflush(NULL);
	if ((child->pid = fork()) == -1)
		err(1, "fork");
	if (child->pid != 0)
		return;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	close(host->stop[1]);
	witness_be(host->ledger, process);
	if (process != LEDGER_MONITOR && host->attached)
		exit(work_attached(host, process));
	if (process != LEDGER_MONITOR)
		exit(worker_run(host->fleet, host->ledger, process,
		    child->life));
	if (mews_monitor_run(host->fleet, host->stop[0], &error) != MEWS_OK)
		errx(1, "monitor: %s", error.message);
	exit(0);
}

void
host_start(struct host *host, uint32_t hedge_after)
{
	char	path[300];

	memset(host, 0, sizeof(*host));
	host->ledger = ledger_map();
	host->attached = host_attaches;
	snprintf(path, sizeof(path), "%s/fault.log", servers_dir());
	host->log = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND |
	    O_CLOEXEC, 0644);
	if (host->log == -1 || pipe2(host->stop, O_CLOEXEC) == -1)
		err(1, "%s", path);
	make_fleet(host, hedge_after);
	for (unsigned i = 0; i < LEDGER_PROCESSES; i++)
		fork_child(host, i);
}

static void
buried(struct host *host, unsigned process, int status)
{
	struct child *child = &host->children[process];

	if (!child->killed && (!host->leaving || status != 0)) {
		host->deaths++;
		warnx("process %u (%s) ended by itself: status %#x", process,
		    process == LEDGER_MONITOR ? "monitor" : "worker",
		    (unsigned)status);
	}
	witness_bury(host->ledger, process);
	/* A slot of an attached worker is given back by the other processes. */
	if (process == LEDGER_MONITOR || !host->attached)
		mews_fleet_reap(host->fleet, child->pid);
	child->pid = 0;
	if (host->leaving)
		return;
	child->killed = false;
	child->life++;
	if (host->unequal_us == 0)
		host->unequal_us = ledger_now();
	fork_child(host, process);
}

static void
reap(struct host *host)
{
	int	status;
	pid_t	pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		if (pid == host->command) {
			host->command = 0;
			host->command_status = status;
			continue;
		}
		for (unsigned i = 0; i < LEDGER_PROCESSES; i++)
			if (host->children[i].pid == pid) {
				buried(host, i, status);
				break;
			}
	}
}

/* Do the slots add up to what the living processes count? */
static bool
sums_equal(const struct host *host)
{
	struct mews_view_endpoint	seen;

	for (uint32_t i = 0; i < LEDGER_ENDPOINTS; i++) {
		mews_view_endpoint(host->view, i, &seen, sizeof(seen));
		if ((int)seen.connections != witness_open(host->ledger, i))
			return false;
	}
	return true;
}

void
host_tick(struct host *host)
{
	int64_t	from, late;

	reap(host);
	if (host->unequal_us != 0) {
		int64_t	us = ledger_now() - host->unequal_us;

		if (us > host->unequal_most_us)
			host->unequal_most_us = us;
		if (sums_equal(host))
			host->unequal_us = 0;
	}
	from = ledger_now();
	poll(NULL, 0, TICK_MS);
	late = ledger_now() - from - TICK_MS * 1000;
	if (late > host->late_us)
		host->late_us = late;
}

void
host_run(struct host *host, int ms)
{
	int64_t	until = ledger_now() + (int64_t)ms * 1000;

	while (ledger_now() < until)
		host_tick(host);
}

static bool
is_settled(const struct host *host)
{
	const struct ledger *ledger = host->ledger;
	unsigned served[LEDGER_WORKERS] = { 0 };
	struct mews_view_endpoint seen;
	int64_t	 old_us = ledger_now() - 200000;

	for (uint32_t i = 0; i < ledger_count(ledger); i++) {
		const struct request *r = &ledger->requests[i];

		if (r->due_us == 0 || r->worker >= LEDGER_WORKERS)
			continue;
		if (atomic_load(&r->end_us) != 0)
			served[r->worker] += r->status == MEWS_OK;
		else if (r->due_us < old_us &&
		    r->life == host->children[r->worker].life)
			return false;
	}
	for (unsigned i = 0; i < LEDGER_WORKERS; i++)
		if (served[i] < SERVED)
			return false;
	for (uint32_t i = 0;
	     mews_view_endpoint(host->view, i, &seen, sizeof(seen)); i++)
		if (strcmp(seen.state, "up") != 0 || seen.rtt_us == 0)
			return false;
	return true;
}

bool
host_settle(struct host *host)
{
	int64_t	until = ledger_now() + SETTLE_US;

	while (!is_settled(host)) {
		if (ledger_now() > until)
			return false;
		host_run(host, 50);
	}
	return true;
}

void
host_kill(struct host *host, unsigned process)
{
	struct child *child = &host->children[process];

	if (child->pid == 0 || child->killed)
		return;
	child->killed = true;
	host->kills++;
	kill(child->pid, SIGKILL);
}

static bool
anybody_there(const struct host *host)
{
	for (unsigned i = 0; i < LEDGER_PROCESSES; i++)
		if (host->children[i].pid != 0)
			return true;
	return false;
}

bool
host_stop(struct host *host)
{
	int64_t	until = ledger_now() + STOP_US;

	if (host->leaving)
		return !anybody_there(host);
	host->leaving = true;
	atomic_store(&host->ledger->stop, true);
	close(host->stop[1]);
	host->stop[1] = -1;
	while (anybody_there(host) && ledger_now() < until)
		host_tick(host);
	if (!anybody_there(host))
		return true;
	for (unsigned i = 0; i < LEDGER_PROCESSES; i++)
		host_kill(host, i);
	while (anybody_there(host))
		host_tick(host);
	return false;
}

void
host_free(struct host *host)
{
	if (host->fleet == NULL)
		return;
	host_stop(host);
	mews_view_close(&host->view);
	mews_fleet_destroy(&host->fleet);
	ledger_unmap(&host->ledger);
	close(host->stop[0]);
	close(host->log);
}

void
host_servers_begin(struct host *host, const char *command, const char *names)
{
	fflush(NULL);
	host->command_status = -1;
	host->command = servers_begin(command, names);
}

bool
host_servers(struct host *host, const char *command, const char *names)
{
	int64_t	until = ledger_now() + COMMAND_US;

	host_servers_begin(host, command, names);
	while (host->command != 0) {
		if (ledger_now() > until) {
			warnx("servers %s %s: no end", command, names);
			kill(host->command, SIGKILL);
			until += COMMAND_US;
		}
		host_tick(host);
	}
	return host->command_status == 0;
}

int64_t
host_cpu_us(const struct host *host)
{
	struct timespec	used;
	clockid_t	clock;
	int64_t		sum = 0;

	for (unsigned i = 0; i < LEDGER_PROCESSES; i++)
		if (clock_getcpuclockid(host->children[i].pid, &clock) == 0 &&
		    clock_gettime(clock, &used) == 0)
			sum += used.tv_sec * 1000000LL + used.tv_nsec / 1000;
	return sum;
}

void
host_show_log(void)
{
	char	path[300], line[1200];
	FILE   *f;

	snprintf(path, sizeof(path), "%s/fault.log", servers_dir());
	if ((f = fopen(path, "re")) == NULL)
		return;
	while (fgets(line, sizeof(line), f) != NULL)
		if (strstr(line, "event=connect") == NULL)
			printf("# log %s", line);
	fclose(f);
}
