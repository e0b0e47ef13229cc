/*
 * process.c - one place in the fleet, and the process that fills it.
 *
 * Without forks and logs, so that the rules can be read and tested alone.
 */
#include "process.h"

#include "proc.h"

#include <ctype.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/param.h>
#include <sys/wait.h>
#include <time.h>

#define RESPAWN_FIRST_MS 200   /* the second start in a row; jitter halves it */
#define RESPAWN_MAX_MS	 10000
#define CRASHED_MAX_MS	 1000  /* RESPAWN_MAX_MS, if it got ready */
#define SERVED_WELL_MS	 1000  /* earlier deaths are forgotten after this */
#define CRASHED_SOON_MS	 100   /* a life that ends before is a crash at once */
#define NEEDED_CRASHED_MS 100  /* the wait after that, if no other worker
				  serves */
#define NEEDED_FAILED_MS 1000  /* the wait if it did not get ready */
#define BURY_MS		 5000  /* from SIGKILL to the end, at most */

int64_t
process_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

int64_t
process_after(int64_t ms)
{
	return ms == PROCESS_NEVER ? PROCESS_NEVER : process_now() + ms;
}

unsigned
process_number(const struct process_list *list, unsigned first)
{
	const struct process *p;

	TAILQ_FOREACH(p, list, entry)
		if (p->number == first)
			first++;
	return first;
}

struct process *
process_add_as(struct process_list *list, unsigned number)
{
	struct process *process, *after = NULL, *p;

	if ((process = calloc(1, sizeof(*process))) == NULL)
		return NULL;
	TAILQ_FOREACH(p, list, entry)
		if (p->number < number)
			after = p;
	process->number = number;
	if (after != NULL)
		TAILQ_INSERT_AFTER(list, after, process, entry);
	else
		TAILQ_INSERT_HEAD(list, process, entry);
	return process;
}

struct process *
process_add(struct process_list *list)
{
	return process_add_as(list, process_number(list, 0));
}

void
process_remove(struct process_list *list, struct process *process)
{
	TAILQ_REMOVE(list, process, entry);
	free(process);
}

struct process *
process_find(const struct process_list *list, pid_t pid)
{
	struct process *process;

	TAILQ_FOREACH(process, list, entry)
		if (process->pid == pid)
			return process;
	return NULL;
}

void
process_forked(struct process *process, pid_t pid, int64_t now)
{
	process->state = PROCESS_STARTING;
	process->pid = pid;
	process->started = now;
	process->seen = 0;
	process->max_requests = 0;
	process->asked_until = 0;
}

void
process_ready(struct process *process)
{
	process->state = PROCESS_READY;
}

/* The time between starts; half of it is chance, so that workers that died
 * together start apart. */
static int64_t
respawn_delay(unsigned deaths, uint32_t most)
{
	uint32_t spacing = RESPAWN_FIRST_MS;

	if (deaths <= 1)
		return 0;
	while (--deaths > 1 && spacing < most)
		spacing *= 2;
	spacing = MIN(spacing, most);
	return spacing / 2 + arc4random_uniform(spacing / 2 + 1);
}

void
process_ended(struct process *process, int64_t now)
{
	int64_t lived = now - process->started, needed = NEEDED_FAILED_MS;
	bool	ready = process->state >= PROCESS_READY;

	if (ready && lived >= SERVED_WELL_MS)
		process->deaths = 0;
	if (ready)
		needed = lived >= CRASHED_SOON_MS ? 0 : NEEDED_CRASHED_MS;
	process->deaths++;
	process->state = PROCESS_ABSENT;
	process->pid = 0;
	process->start_at = now + respawn_delay(process->deaths,
	    ready ? CRASHED_MAX_MS : RESPAWN_MAX_MS);
	process->needed_at = MIN(process->start_at, now + needed);
}

struct process *
process_next(const struct process_list *list, int64_t *at)
{
	struct process *process, *next = NULL, *needed = NULL;
	bool		serves = false;

	TAILQ_FOREACH(process, list, entry) {
		serves |= process->state == PROCESS_STARTING ||
		    process->state == PROCESS_READY;
		if (process->state != PROCESS_ABSENT)
			continue;
		if (next == NULL || process->start_at < next->start_at)
			next = process;
		if (needed == NULL || process->needed_at < needed->needed_at)
			needed = process;
	}
	if (next == NULL || (!serves && needed->needed_at < next->start_at)) {
		*at = needed == NULL ? PROCESS_NEVER : needed->needed_at;
		return needed;
	}
	*at = next->start_at;
	return next;
}

void
process_stop(struct process *process, int signal, int64_t kill_at)
{
	if (process->pid == 0 || process->state == PROCESS_KILLED)
		return;
	kill(process->pid, signal);
	process->state = PROCESS_STOPPING;
	process->kill_at = kill_at;
}

void
process_kill(struct process *process, int64_t now)
{
	kill(process->pid, SIGKILL);
	process->state = PROCESS_KILLED;
	process->kill_at = now + BURY_MS;
}

int64_t
process_due(const struct process *process)
{
	switch (process->state) {
	case PROCESS_STOPPING:
	case PROCESS_KILLED:
		return process->kill_at;
	default:
		return PROCESS_NEVER;
	}
}

const char *
process_end_text(char *buffer, size_t size, int wait_status)
{
	const char *name;

	if (WIFEXITED(wait_status))
		snprintf(buffer, size, "status=%d", WEXITSTATUS(wait_status));
	else if ((name = sigabbrev_np(WTERMSIG(wait_status))) != NULL)
		snprintf(buffer, size, "signal=%s%s", name,
		    WCOREDUMP(wait_status) ? " core=yes" : "");
	else
		snprintf(buffer, size, "signal=%d", WTERMSIG(wait_status));
	return buffer;
}

const char *
process_doing(char *buffer, size_t size, pid_t pid)
{
	char	    stat[512], wchan[64], call[128];
	const char *state;
	size_t	    used;

	strlcpy(buffer, "os_state=?", size);
	/* The state follows the name, which may contain a ")". */
	if (proc_read(pid, "stat", stat, sizeof(stat)) > 0 &&
	    (state = strrchr(stat, ')')) != NULL && strlen(state) > 2)
		snprintf(buffer, size, "os_state=%c", state[2]);
	/* "0": it runs, or this user may not know. */
	if (proc_read(pid, "wchan", wchan, sizeof(wchan)) > 0 &&
	    isalpha((unsigned char)wchan[0])) {
		strlcat(buffer, " wchan=", size);
		strlcat(buffer, wchan, size);
	}
	/* "running", or a number and its arguments; often only for root. */
	used = strlen(buffer);
	if (proc_read(pid, "syscall", call, sizeof(call)) > 0 &&
	    isdigit((unsigned char)call[0]))
		snprintf(buffer + used, size - used, " syscall=%d",
		    atoi(call));
	return buffer;
}
