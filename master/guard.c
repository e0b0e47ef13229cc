/*
 * guard.c - the admin process, as the master sees it.
 */
#include "guard.h"

#include <errno.h>
#include <mews/figures.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/param.h>
#include <sys/wait.h>
#include <unistd.h>

void
guard_start(struct guard *guard)
{
	struct process *p = &guard->process;
	int64_t		now = process_now();
	char		why[128];
	pid_t		pid;

	if (!guard->wanted || p->state != PROCESS_ABSENT || p->start_at > now)
		return;
	guard->parent = getpid();
	if ((pid = fork()) == 0)
		exit(guard->child(guard->child_arg));
	if (pid > 0) {
		process_forked(p, pid, now);
		process_ready(p);
		guard->told = false;
		return;
	}
	process_ended(p, now);
	log_write(guard->log, MEWS_LOG_ERROR, "admin_fork_failed", "error=%s",
	    logfmt_value(why, sizeof(why), strerror(errno)));
}

bool
guard_bury(struct guard *guard, pid_t pid, int wait_status)
{
	struct process *p = &guard->process;
	int64_t		now = process_now();
	char		end[64];

	if (p->pid == 0 || p->pid != pid)
		return false;
	process_ended(p, now);
	if (guard->told) {
		p->deaths = 0;
		p->start_at = now;
		return true;
	}
	process_end_text(end, sizeof(end), wait_status);
	log_write(guard->log, MEWS_LOG_WARNING, "admin_exited",
	    "admin_pid=%jd %s restart_in_ms=%jd", (intmax_t)pid, end,
	    (intmax_t)(p->start_at - now));
	mews_fleet_note(guard->fleet, MEWS_LOG_WARNING, "admin_exited", end);
	return true;
}

int
guard_due(const struct guard *guard, int ms)
{
	int64_t	left = guard->process.start_at - process_now();

	if (!guard->wanted || guard->process.state != PROCESS_ABSENT)
		return ms;
	return (int)MIN(MAX(left, 0), ms);
}

void
guard_renew(struct guard *guard)
{
	if (guard->process.pid == 0)
		return;
	guard->told = true;
	kill(guard->process.pid, SIGTERM);
}

void
guard_end(struct guard *guard)
{
	guard->wanted = false;
	if (guard->process.pid == 0)
		return;
	/* Kill it at once: it holds nothing that has to be given back. */
	kill(guard->process.pid, SIGKILL);
	while (waitpid(guard->process.pid, NULL, 0) == -1 && errno == EINTR)
		;
	guard->process.pid = 0;
	guard->process.state = PROCESS_ABSENT;
}
