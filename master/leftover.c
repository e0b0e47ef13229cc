/*
 * leftover.c - processes of a master that was killed.
 */
#include "leftover.h"

#include "proc.h"
#include "process.h"

#include <mews/view.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define LOOK_MS	  50   /* between two looks */
#define KILLED_MS 3000 /* from SIGKILL to the end, at most */
#define TICK_MS	  20   /* error of a start's time, at most */

/* A process of that fleet, as its slot tells of it. */
struct leftover {
	pid_t	    pid;
	const char *role; /* the beginning of its title */
	const char *state;
	int64_t	    uptime_ms;
	int64_t	    heartbeat_age_ms;
	bool	    draining;
};

/* The age of a process, and whether it was stopped; -1: there is none, or it is
 * a zombie. */
static int64_t
process_age_ms(pid_t pid, bool *stopped)
{
	unsigned long long start;
	char		   stat[1024], state;
	const char	  *rest;
	struct timespec	   now;

	if (proc_read(pid, "stat", stat, sizeof(stat)) <= 0 ||
	    (rest = strrchr(stat, ')')) == NULL ||
	    sscanf(rest, ") %c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u "
		"%*u %*d %*d %*d %*d %*d %*d %llu", &state, &start) != 2 ||
	    state == 'Z' || state == 'X')
		return -1;
	*stopped = state == 'T';
	clock_gettime(CLOCK_BOOTTIME, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000 -
	    (int64_t)(start * 1000 / (unsigned long long)sysconf(_SC_CLK_TCK));
}

/* Does the process of a slot live, and is not about to end, unless it was
 * stopped? A process that got the pid later is younger than the slot's use. */
static bool
stays(const struct leftover *one, const struct runtime *runtime,
    const struct privileges *who)
{
	bool	stopped = false;
	int64_t age_ms = process_age_ms(one->pid, &stopped);

	return (!one->draining || stopped) && age_ms >= 0 &&
	    age_ms + TICK_MS >= one->uptime_ms &&
	    proc_runs_as(one->pid, who->uid) &&
	    proc_is_called(one->pid, one->role, runtime->instance);
}

static void
end(const struct leftover *one, const struct log *log)
{
	log_write(log, MEWS_LOG_WARNING, "leftover_killed",
	    "leftover_pid=%jd state=%s heartbeat_age_ms=%jd "
	    "hint=\"its master was killed, and it did not end\"",
	    (intmax_t)one->pid, one->state, (intmax_t)one->heartbeat_age_ms);
	kill(one->pid, SIGKILL);
}

/* Read a worker's slot. False: the slot is free. */
static bool
read_worker(const struct mews_view *view, uint32_t slot, struct leftover *one)
{
	struct mews_view_worker worker;

	if (!mews_view_worker(view, slot, &worker, sizeof(worker)))
		return false;
	*one = (struct leftover) { .pid = worker.pid, .role = "worker ",
		.state = mews_worker_state_name(worker.state),
		.uptime_ms = worker.uptime_ms,
		.heartbeat_age_ms = worker.heartbeat_age_ms,
		.draining = worker.state == MEWS_WORKER_DRAINING };
	return true;
}

/* Count the leftovers; with a @log kill them. */
static unsigned
look(const struct mews_view *view, const struct runtime *runtime,
    const struct privileges *who, const struct log *log)
{
	struct mews_view_fleet fleet;
	struct leftover	       one;
	unsigned	       count = 0;

	mews_view_fleet(view, &fleet, sizeof(fleet));
	for (uint32_t slot = 0; slot <= fleet.slot_count; slot++) {
		if (slot == fleet.slot_count)
			one = (struct leftover) { .pid = fleet.monitor_pid,
				.role = "monitor", .state = "monitor",
				.uptime_ms = fleet.monitor_uptime_ms,
				.heartbeat_age_ms =
				    fleet.monitor_heartbeat_age_ms };
		else if (!read_worker(view, slot, &one))
			continue;
		if (one.pid <= 0 || !stays(&one, runtime, who))
			continue;
		count++;
		if (log != NULL)
			end(&one, log);
	}
	return count;
}

static void
wait_for_end(const struct mews_view *view, const struct runtime *runtime,
    const struct privileges *who, uint32_t patience_ms)
{
	int64_t end = process_after(patience_ms);

	while (look(view, runtime, who, NULL) > 0 && process_now() < end)
		usleep(LOOK_MS * 1000);
}

void
leftovers_end(const struct runtime *runtime, const struct privileges *who,
    uint32_t patience_ms, const struct log *log)
{
	struct mews_view *view;
	struct mews_error error;

	/* Only a readable segment tells of leftovers. */
	if (mews_view_open(&view, runtime->segment_path, &error) != MEWS_OK)
		return;
	wait_for_end(view, runtime, who, patience_ms);
	if (look(view, runtime, who, log) > 0)
		wait_for_end(view, runtime, who, KILLED_MS);
	mews_view_close(&view);
}
