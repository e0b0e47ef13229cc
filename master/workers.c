/*
 * workers.c - the master's table of workers.
 *
 * A worker says that it is ready, and that it is alive, in its slot of the
 * segment; that it ended, the kernel says. A slot is cleared here, after
 * waitpid(2), and nowhere else.
 *
 * A heartbeat's age counts only as far as the master itself was awake: when
 * a terminal, a debugger or a suspend stopped all of us, nobody was silent.
 */
#include "workers.h"

#include "doing.h"
#include "places.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/param.h>
#include <sys/wait.h>
#include <unistd.h>

#include <mews/figures.h>

#define WATCH_MS	 1000 /* between two looks at the heartbeats */
#define WATCH_START_MS	 20   /* between two looks while one starts */
#define ASLEEP_MS	 3000 /* between two looks: we were not awake */
#define ANSWER_MS	 300  /* for one that hangs to say what it does */
#define RENEW_MS	 5000 /* from TERM to KILL of one that is renewed */
#define SPARE_SLOTS	 2    /* at least, beyond one for each worker */

bool
workers_init(struct workers *workers)
{
	TAILQ_INIT(&workers->list);
	workers->began = process_now();
	workers->watched_at = workers->awake_since = workers->began;
	for (unsigned i = 0; i < workers->count; i++)
		if (places_add(workers) == NULL)
			return false;
	return true;
}

void
workers_free(struct workers *workers)
{
	struct process *p, *next;

	TAILQ_FOREACH_SAFE(p, &workers->list, entry, next)
		process_remove(&workers->list, p);
}

/* One line: event NOUN_WHAT, about that process, and what @format says. */
static void
workers_log(const struct workers *workers, enum mews_log_level level,
    const struct process *p, const char *what, const char *format, ...)
    __attribute__((format(printf, 5, 6)));

static void
workers_log(const struct workers *workers, enum mews_log_level level,
    const struct process *p, const char *what, const char *format, ...)
{
	char	event[64], text[512], line[640];
	va_list ap;

	snprintf(event, sizeof(event), "%s_%s", workers->noun, what);
	va_start(ap, format);
	vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	snprintf(line, sizeof(line), "%s=%u %s_pid=%jd%s%s", workers->noun,
	    p->number, workers->noun, (intmax_t)p->pid,
	    text[0] == '\0' ? "" : " ", text);
	log_write(workers->log, level, event, "%s", line);
	if (level >= MEWS_LOG_INFO)
		mews_fleet_note(workers->fleet, level, event, line);
}

/*
 * Birth.
 */

static void
workers_fork(struct workers *workers, struct process *p)
{
	pid_t pid = fork();
	char  why[128];

	if (pid == 0)
		exit(workers->child(workers->child_arg, p->number));
	if (pid > 0) {
		process_forked(p, pid, process_now());
		workers_log(workers,
		    p->deaths > 0 ? MEWS_LOG_INFO : MEWS_LOG_DEBUG, p,
		    "started", "%s", "");
		return;
	}
	logfmt_value(why, sizeof(why), strerror(errno));
	process_ended(p, process_now());
	workers_log(workers, MEWS_LOG_ERROR, p, "fork_failed", "error=%s", why);
}

void
workers_start(struct workers *workers)
{
	struct process *p;
	int64_t		now = process_now(), at;

	while ((p = process_next(&workers->list, &at)) != NULL && at <= now)
		workers_fork(workers, p);
}

/*
 * Death.
 */

/* One that cannot start is one line; that none can is worth another. */
static void
workers_complain(struct workers *workers)
{
	struct process *p;

	if (workers->any_ready || workers->complained)
		return;
	TAILQ_FOREACH(p, &workers->list, entry)
		if (p->deaths == 0)
			return;
	workers->complained = true;
	log_write(workers->log, MEWS_LOG_ERROR, "none_starts",
	    "%ss=%u hint=\"what each of them said is above; "
	    "trying again\"", workers->noun, workers->count);
}

static enum mews_process_end
why_ended(const struct workers *workers, const struct process *p,
    int wait_status)
{
	if (p->asked_until != 0 && p->state == PROCESS_KILLED)
		return MEWS_END_HUNG;
	if (p == workers->recycle.old)
		return MEWS_END_RECYCLED;
	if (p->retired || p->renewed || workers->stopping)
		return MEWS_END_STOPPED;
	return WIFSIGNALED(wait_status) ? MEWS_END_KILLED : MEWS_END_EXITED;
}

bool
workers_bury(struct workers *workers, pid_t pid, int wait_status)
{
	struct process *p;
	int64_t		now = process_now(), ran;
	char		end[64];

	if ((p = process_find(&workers->list, pid)) == NULL)
		return false;
	/* The worker may have got ready since the last look. */
	if (p->state == PROCESS_STARTING &&
	    mews_fleet_state(workers->fleet, pid) >= MEWS_WORKER_READY)
		process_ready(p);
	mews_fleet_reap(workers->fleet, pid);
	mews_fleet_count_end(workers->fleet,
	    why_ended(workers, p, wait_status));
	process_end_text(end, sizeof(end), wait_status);
	ran = now - p->started;
	recycle_ended(workers, p, now);
	if (p->retired) {
		workers_log(workers,
		    wait_status == 0 ? MEWS_LOG_DEBUG : MEWS_LOG_WARNING, p,
		    "exited", "%s ran_ms=%jd", end, (intmax_t)ran);
		process_remove(&workers->list, p);
		return true;
	}
	process_ended(p, now);
	if (p->renewed) {
		p->renewed = false;
		p->deaths = 0;
		p->start_at = p->needed_at = now;
		return true;
	}
	p->pid = pid; /* to be named once more */
	workers_log(workers, wait_status == 0 && workers->stopping ?
	    MEWS_LOG_INFO : MEWS_LOG_WARNING, p, "exited",
	    "%s ran_ms=%jd deaths=%u restart_in_ms=%jd", end, (intmax_t)ran,
	    p->deaths, (intmax_t)(p->start_at - now));
	p->pid = 0;
	workers_complain(workers);
	return true;
}

/*
 * Life.
 */

static void
workers_note_ready(struct workers *workers, struct process *p, int64_t now)
{
	if (mews_fleet_state(workers->fleet, p->pid) < MEWS_WORKER_READY)
		return;
	process_ready(p);
	workers->any_ready = true;
	workers_log(workers, p->deaths > 0 ? MEWS_LOG_INFO : MEWS_LOG_DEBUG, p,
	    "ready", "start_ms=%jd", (intmax_t)(now - p->started));
	if (workers->all_ready)
		return;
	TAILQ_FOREACH(p, &workers->list, entry)
		if (p->state != PROCESS_READY)
			return;
	workers->all_ready = true;
	log_write(workers->log, MEWS_LOG_INFO, "ready", "%ss=%u start_ms=%jd",
	    workers->noun, workers->count, (intmax_t)(now - workers->began));
}

/* The slot of a worker, as logfmt; "" if it has none. */
static const char *
workers_slot_text(const struct workers *workers, pid_t pid, char *buffer,
    size_t size)
{
	struct mews_view       *view;
	struct mews_view_fleet	fleet;
	struct mews_view_worker worker;
	struct mews_error	error;

	buffer[0] = '\0';
	if (mews_view_open(&view, workers->segment_path, &error) != MEWS_OK)
		return buffer;
	mews_view_fleet(view, &fleet, sizeof(fleet));
	for (uint32_t slot = 0; slot < fleet.slot_count; slot++)
		if (mews_view_worker(view, slot, &worker, sizeof(worker)) &&
		    worker.pid == pid)
			snprintf(buffer, size,
			    " state=%s requests=%ju in_flight=%u waiting=%u",
			    mews_worker_state_name(worker.state),
			    (uintmax_t)worker.requests, worker.in_flight,
			    worker.waiting);
	mews_view_close(&view);
	return buffer;
}

/* How long has it given no sign of life while we would have noticed? Without
 * a slot it has not yet joined, or has left and is about to exit. */
static int64_t
workers_silence(const struct workers *workers, struct process *p, int64_t now)
{
	int64_t age = mews_fleet_beat_age(workers->fleet, p->pid);
	int64_t watched;

	if (age >= 0)
		p->seen = now;
	watched = now - MAX(p->started, workers->awake_since);
	return age >= 0 ? MIN(age, watched) : MIN(now - p->seen, watched);
}

static void
workers_check_heartbeat(struct workers *workers, struct process *p,
    int64_t now)
{
	uint32_t limit = workers->config->worker_timeout;
	int64_t	 silent = workers_silence(workers, p, now);
	char	 doing[128], slot[160];

	if (limit == MEWS_FOREVER || silent <= limit) {
		p->asked_until = 0;
		return;
	}
	if (p->asked_until != 0) {
		if (p->asked_until <= now)
			process_kill(p, now);
		return;
	}
	/* As the kernel sees it first: a question wakes whoever sleeps. */
	process_doing(doing, sizeof(doing), p->pid);
	workers_slot_text(workers, p->pid, slot, sizeof(slot));
	workers_log(workers, MEWS_LOG_ERROR, p, "hangs",
	    "silent_ms=%jd worker_timeout_ms=%u %s%s action=kill",
	    (intmax_t)silent, limit, doing, slot);
	p->asked_until = now + ANSWER_MS;
	kill(p->pid, DOING_SIGNAL);
}

/* Returns false if there is nothing left to do about it. */
static bool
workers_check_deadline(struct workers *workers, struct process *p,
    int64_t now)
{
	if (process_due(p) > now)
		return true;
	workers_log(workers, MEWS_LOG_WARNING, p,
	    p->state == PROCESS_KILLED ? "stuck" : "overdue", "action=%s",
	    p->state == PROCESS_KILLED ? "none" : "kill");
	if (p->state == PROCESS_STOPPING) {
		process_kill(p, now);
		return true;
	}
	p->kill_at = PROCESS_NEVER;
	return !p->retired;
}

void
workers_watch(struct workers *workers)
{
	struct process *p, *next;
	int64_t		now = process_now();

	if (now - workers->watched_at > ASLEEP_MS)
		workers->awake_since = now;
	workers->watched_at = now;
	TAILQ_FOREACH_SAFE(p, &workers->list, entry, next) {
		if (p->state == PROCESS_STARTING)
			workers_note_ready(workers, p, now);
		if (p->pid != 0 && p->state != PROCESS_KILLED)
			workers_check_heartbeat(workers, p, now);
		if (!workers_check_deadline(workers, p, now)) {
			recycle_ended(workers, p, now);
			process_remove(&workers->list, p);
		}
	}
	recycle_watch(workers, now);
}

int
workers_due(const struct workers *workers)
{
	const struct process *p;
	int64_t		      now = process_now(), due;

	process_next(&workers->list, &due);
	due = MIN(due, now + recycle_due(workers, WATCH_MS));
	TAILQ_FOREACH(p, &workers->list, entry) {
		due = MIN(due, process_due(p));
		if (p->asked_until != 0 && p->state != PROCESS_KILLED)
			due = MIN(due, p->asked_until);
		if (p->state == PROCESS_STARTING)
			due = MIN(due, now + WATCH_START_MS);
	}
	return (int)MAX(due - now, 0);
}

/*
 * How many.
 */

/* Slots stay free for successors, who start before the one whom they replace
 * has ended. */
bool
workers_grow(struct workers *workers)
{
	if (workers->count + 1 + SPARE_SLOTS > workers->slots ||
	    places_add(workers) == NULL)
		return false;
	workers->count++;
	return true;
}

bool
workers_shrink(struct workers *workers)
{
	int64_t		patience = places_patience(workers);
	struct process *p;

	if (workers->count <= 1)
		return false;
	workers->count--;
	recycle_cancel(workers);
	TAILQ_FOREACH_REVERSE(p, &workers->list, process_list, entry)
		if (!p->retired)
			break;
	places_retire(workers, p, SIGTERM, process_after(patience));
	return true;
}

void
workers_stop(struct workers *workers, int signal, int64_t patience_ms)
{
	int64_t		kill_at = process_after(patience_ms);
	struct process *p, *next;

	workers->count = 0;
	recycle_cancel(workers);
	TAILQ_FOREACH_SAFE(p, &workers->list, entry, next)
		places_retire(workers, p, signal, kill_at);
}

void
workers_pass(struct workers *workers)
{
	/* Not even a signal: the fleet tells them. */
	workers_stop(workers, 0, places_patience(workers));
}

void
workers_renew(struct workers *workers)
{
	struct process *p;

	TAILQ_FOREACH(p, &workers->list, entry) {
		if (p->state == PROCESS_ABSENT)
			continue;
		p->renewed = true;
		process_stop(p, SIGTERM, process_after(RENEW_MS));
	}
}

unsigned
workers_living(const struct workers *workers)
{
	const struct process *p;
	unsigned	      living = 0;

	TAILQ_FOREACH(p, &workers->list, entry)
		living += p->pid != 0;
	return living;
}

unsigned
workers_serving(const struct workers *workers)
{
	const struct process *p;
	unsigned	      count = 0;

	TAILQ_FOREACH(p, &workers->list, entry)
		count += p->state == PROCESS_READY;
	return count;
}

bool
workers_gone(const struct workers *workers)
{
	return TAILQ_EMPTY(&workers->list);
}
