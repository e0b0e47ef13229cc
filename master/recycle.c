/*
 * recycle.c - workers that are replaced before they fail.
 *
 * A worker's slot tells how many requests it answered, the kernel how much
 * memory it holds that it does not share with files or the segment. Each
 * worker's limit of requests is up to an eighth less, so that workers that
 * started together end apart.
 */
#include "recycle.h"

#include "places.h"
#include "proc.h"
#include "worker.h"
#include "workers.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/param.h>
#include <unistd.h>

#include <mews/view.h>

#define LOOK_MS	 100   /* between two looks */
#define RETRY_MS 10000 /* until the next try, after a successor that did not get
			  ready */

/* The private memory of a process in bytes; 0: not known. */
static uint64_t
memory_of(pid_t pid)
{
	char	      text[128];
	unsigned long resident, shared;

	if (proc_read(pid, "statm", text, sizeof(text)) <= 0 ||
	    sscanf(text, "%*u %lu %lu", &resident, &shared) != 2 ||
	    shared > resident)
		return 0;
	return (uint64_t)(resident - shared) * (uint64_t)getpagesize();
}

static uint64_t
requests_of(const struct mews_view *view, pid_t pid)
{
	struct mews_view_fleet	fleet;
	struct mews_view_worker worker;

	if (view == NULL)
		return 0;
	mews_view_fleet(view, &fleet, sizeof(fleet));
	for (uint32_t slot = 0; slot < fleet.slot_count; slot++)
		if (mews_view_worker(view, slot, &worker, sizeof(worker)) &&
		    worker.pid == pid)
			return worker.requests;
	return 0;
}

/* Has the worker reached a limit? Then plans a successor. */
static bool
check(struct workers *workers, struct process *p, const struct mews_view *view)
{
	const struct config *config = workers->config;
	uint64_t	     requests = requests_of(view, p->pid);
	uint64_t	     memory = memory_of(p->pid);
	struct process	    *successor;

	if (config->max_requests != 0 && p->max_requests == 0)
		p->max_requests = config->max_requests -
		    arc4random_uniform(config->max_requests / 8 + 1);
	if ((config->max_requests == 0 || requests < p->max_requests) &&
	    (config->max_memory == 0 || memory < config->max_memory))
		return false;
	if ((successor = places_add(workers)) == NULL)
		return false;
	workers->recycle.old = p;
	workers->recycle.successor = successor;
	log_write(workers->log, MEWS_LOG_INFO, "worker_recycled",
	    "worker=%u worker_pid=%jd requests=%ju memory_kb=%ju "
	    "successor=%u", p->number, (intmax_t)p->pid, (uintmax_t)requests,
	    (uintmax_t)memory / 1024, successor->number);
	return true;
}

static void
look(struct workers *workers)
{
	struct mews_view *view = NULL;
	struct mews_error error;
	struct process	 *p;

	if (workers->config->max_requests != 0)
		mews_view_open(&view, workers->segment_path, &error);
	TAILQ_FOREACH(p, &workers->list, entry)
		if (p->state == PROCESS_READY && check(workers, p, view))
			break;
	mews_view_close(&view);
}

/* Is there a limit, and a worker to look at? */
static bool
is_wanted(const struct workers *workers)
{
	return !TAILQ_EMPTY(&workers->list) &&
	    (workers->config->max_requests != 0 ||
	    workers->config->max_memory != 0);
}

void
recycle_watch(struct workers *workers, int64_t now)
{
	struct recycle *recycle = &workers->recycle;

	if (recycle->successor != NULL &&
	    recycle->successor->state == PROCESS_READY) {
		recycle->successor = NULL;
		places_retire(workers, recycle->old, WORKER_GIVE_WAY,
		    process_after(places_patience(workers)));
	}
	if (recycle->old != NULL || workers->stopping || now < recycle->at ||
	    !is_wanted(workers))
		return;
	recycle->at = now + LOOK_MS;
	look(workers);
}

int64_t
recycle_due(const struct workers *workers, int64_t ms)
{
	return is_wanted(workers) ? MIN(ms, LOOK_MS) : ms;
}

void
recycle_ended(struct workers *workers, struct process *p, int64_t now)
{
	struct recycle *recycle = &workers->recycle;

	if (p == recycle->old) {
		/* The successor has its place already. */
		p->retired = true;
		*recycle = (struct recycle) { .at = 0 };
	} else if (p == recycle->successor) {
		p->retired = true;
		*recycle = (struct recycle) { .at = now + RETRY_MS };
	}
}

void
recycle_cancel(struct workers *workers)
{
	struct process *successor = workers->recycle.successor;

	if (successor == NULL)
		return;
	workers->recycle = (struct recycle) { .at = 0 };
	places_retire(workers, successor, SIGTERM,
	    process_after(places_patience(workers)));
}
