/*
 * leftover.c - workers of a master that was killed.
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

/* How old a process is; -1: there is none, or it is a zombie. */
static int64_t
process_age_ms(pid_t pid)
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
	clock_gettime(CLOCK_BOOTTIME, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000 -
	    (int64_t)(start * 1000 / (unsigned long long)sysconf(_SC_CLK_TCK));
}

/* The worker of a slot lives, and has not yet begun to end. A process that
 * got its pid later is younger than the slot's use. */
static bool
stays(const struct mews_view_worker *worker, const struct runtime *runtime,
    const struct privileges *who)
{
	int64_t age_ms = process_age_ms(worker->pid);

	return worker->state != MEWS_WORKER_DRAINING &&
	    age_ms >= 0 && age_ms + TICK_MS >= worker->uptime_ms &&
	    proc_runs_as(worker->pid, who->uid) &&
	    proc_is_called(worker->pid, "worker ", runtime->instance);
}

/* How many there are; with a @log they are killed. */
static unsigned
look(const struct mews_view *view, const struct runtime *runtime,
    const struct privileges *who, const struct log *log)
{
	struct mews_view_worker worker;
	struct mews_view_fleet	fleet;
	unsigned		count = 0;

	mews_view_fleet(view, &fleet, sizeof(fleet));
	for (uint32_t slot = 0; slot < fleet.slot_count; slot++) {
		if (!mews_view_worker(view, slot, &worker, sizeof(worker)) ||
		    !stays(&worker, runtime, who))
			continue;
		count++;
		if (log == NULL)
			continue;
		log_write(log, MEWS_LOG_WARNING, "leftover_killed",
		    "leftover_pid=%jd state=%s heartbeat_age_ms=%jd "
		    "hint=\"its master was killed, and it did not end\"",
		    (intmax_t)worker.pid, mews_worker_state_name(worker.state),
		    (intmax_t)worker.heartbeat_age_ms);
		kill(worker.pid, SIGKILL);
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

	/* Without a segment that can be read nothing is known of them. */
	if (mews_view_open(&view, runtime->segment_path, &error) != MEWS_OK)
		return;
	wait_for_end(view, runtime, who, patience_ms);
	if (look(view, runtime, who, log) > 0)
		wait_for_end(view, runtime, who, KILLED_MS);
	mews_view_close(&view);
}
