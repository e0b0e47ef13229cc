/*
 * reload.c - another configuration for a fleet that runs.
 *
 * The master reads the file, and no more: DNS, and the application, which is
 * code of somebody else, are tried in a child.
 */
#include "reload.h"

#include "fail.h"
#include "parts.h"
#include "room.h"
#include "trial.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/param.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define QUIT_MS	 1000  /* from QUIT to KILL */
#define TRIAL_MS 30000 /* for DNS, and until the application is loaded */

void
reload_init(struct reload *reload)
{
	*reload = (struct reload) { .answers = -1 };
}

void
reload_say(void *arg, const char *line)
{
	struct master *m = arg;
	char	       quoted[1024];

	m->reload.mistakes++;
	if (m->reload.saying != NULL)
		fprintf(m->reload.saying, "%s\n", line);
	log_write(&m->log, MEWS_LOG_ERROR, "reload_mistake", "mistake=%s",
	    logfmt_value(quoted, sizeof(quoted), line));
}

void
reload_tell(struct master *m, const char *outcome, const char *text)
{
	struct reload *r = &m->reload;
	const char    *path = m->runtime.outcome_path;
	char	       fresh[4096];
	FILE	      *file;
	bool	       told;

	if (r->saying != NULL)
		fflush(r->saying);
	snprintf(fresh, sizeof(fresh), "%s.new", path);
	unlink(fresh);
	if ((file = fopen(fresh, "wxe")) == NULL)
		told = false;
	else {
		fprintf(file, "%" PRId64 " %s %s\n%s", r->began, outcome, text,
		    r->said != NULL ? r->said : "");
		told = fclose(file) == 0 && rename(fresh, path) == 0;
	}
	if (!told)
		log_write(&m->log, MEWS_LOG_WARNING, "reload_not_told",
		    "path=%s error=\"%s\"", path, strerror(errno));
	if (r->saying != NULL)
		fclose(r->saying);
	free(r->said);
	r->saying = NULL;
	r->said = NULL;
	r->began = 0;
}

void
reload_ask(struct master *m)
{
	struct reload *r = &m->reload;

	r->began = process_now();
	r->mistakes = 0;
	r->saying = open_memstream(&r->said, &r->said_size);
}

static void
end_trial(struct reload *r)
{
	if (r->trial > 0) {
		kill(r->trial, SIGKILL);
		waitpid(r->trial, NULL, 0);
	}
	r->trial = 0;
	if (r->in != NULL)
		fclose(r->in);
	r->in = NULL;
	r->answers = -1;
}

/* Workers that serve nobody end; the rest goes with the last one. */
static void
drop(struct master *m, struct generation *g)
{
	listeners_drop(&g->listeners, &m->now->listeners);
	workers_stop(&g->workers, SIGQUIT, QUIT_MS);
}

void
reload_give_up(struct master *m, const char *outcome, const char *why)
{
	struct reload *r = &m->reload;
	char	       quoted[600];

	if (r->began == 0)
		return;
	end_trial(r);
	log_write(&m->log, MEWS_LOG_ERROR, "reload_refused",
	    "mistakes=%u why=%s serves=%s", r->mistakes,
	    logfmt_value(quoted, sizeof(quoted), why), "as_before");
	reload_tell(m, outcome, why);
	if (r->next != NULL)
		drop(m, r->next);
	r->next = NULL;
}

static bool
is_same(const char *a, const char *b)
{
	return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

/* Say by name what stays as it is while the fleet runs. */
static bool
check_fixed(struct master *m, const struct config *to)
{
	const struct config *from = m->config;
	const struct {
		const char *key, *was, *is;
		unsigned    line;
	} fixed[] = {
		{ "instance", from->fleet.instance, to->fleet.instance,
		    to->instance_line },
		{ "runtime_dir", from->runtime_dir, to->runtime_dir,
		    to->runtime_dir_line },
		{ "user", from->user, to->user, to->user_line },
		{ "group", from->group, to->group, to->user_line },
	};
	char line[1024];
	bool good = true;

	for (size_t i = 0; i < sizeof(fixed) / sizeof(fixed[0]); i++) {
		if (is_same(fixed[i].was, fixed[i].is))
			continue;
		good = false;
		snprintf(line, sizeof(line), "%s:%u: %s cannot change while "
		    "the fleet runs: it is %s%s%s", to->path, fixed[i].line,
		    fixed[i].key,
		    fixed[i].was == NULL ? "not set" : "\"",
		    fixed[i].was == NULL ? "" : fixed[i].was,
		    fixed[i].was == NULL ? "" : "\"");
		reload_say(m, line);
	}
	return good;
}

/* How many workers the next one has: signals may have changed the number. */
static unsigned
count_of(const struct master *m, const struct config *to)
{
	if (m->keeps)
		return 0;
	return to->workers == m->config->workers ? m->now->workers.count :
						   to->workers;
}

/* Each process has a slot, or is about to take one. */
static bool
check_room(struct master *m, const struct config *to)
{
	const unsigned count = count_of(m, to);
	const unsigned living = room_living(&m->generations);
	const unsigned others = room_others(&m->generations,
	    m->runtime.segment_path);
	char	       line[400];

	if (living + others + count <= m->slots)
		return true;
	snprintf(line, sizeof(line), "%s:%u: workers: no room for %u beside %u "
	    "that live, and %u other processes: the segment has %u slots; try "
	    "again when fewer drain, or restart", to->path, to->workers_line,
	    count, living, others, m->slots);
	reload_say(m, line);
	return false;
}

/* In the child: everything that may block or crash. */
static void
try(struct master *m, struct generation *g, int answer)
{
	struct log log = m->log;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	master_disown(m, &log, "trial", -1);
	mews_fleet_resolve(g->fleet);
	_exit(m->keeps || trial_report(g->config, answer) ? 0 : 1);
}

static bool
start_trial(struct master *m, struct generation *g, struct mews_error *error)
{
	struct reload *r = &m->reload;
	int	       ends[2];

	if (pipe2(ends, O_CLOEXEC) != 0)
		return fail(error, "pipe: %s", strerror(errno));
	if ((r->trial = fork()) == 0) {
		close(ends[0]);
		try(m, g, ends[1]);
	}
	close(ends[1]);
	if (r->trial == -1 || fcntl(ends[0], F_SETFL, O_NONBLOCK) == -1 ||
	    (r->in = fdopen(ends[0], "r")) == NULL) {
		fail(error, "cannot try the application: %s",
		    strerror(errno));
		close(ends[0]);
		return false;
	}
	r->answers = ends[0];
	r->due = process_after(TRIAL_MS);
	return true;
}

/* Make the next generation, up to its trial. */
static bool
prepare(struct master *m, struct config *to, struct mews_error *error)
{
	struct generation *g;
	struct mews_config fleet = to->fleet;

	if ((g = generation_new(m, to, to, &m->log)) == NULL) {
		config_free(&to);
		return fail(error, "out of memory");
	}
	/* From here on the list has it, and frees it. */
	TAILQ_INSERT_TAIL(&m->generations, g, entry);
	m->reload.next = g;
	fleet.abi = MEWS_ABI;
	if (!logs_set(m, &g->log, to, error) ||
	    (!m->keeps && !listeners_init(&g->listeners, to, error)))
		return false;
	listeners_adopt(&g->listeners, &m->now->listeners);
	if (!listeners_init_own(&g->admin, &g->admin_config, error))
		return false;
	listeners_adopt(&g->admin, &m->now->admin);
	if (!listeners_bind(&g->listeners, LISTENER_TCP, 0, error) ||
	    !listeners_bind(&g->listeners, LISTENER_UNIX, 0, error) ||
	    !listeners_bind(&g->admin, LISTENER_TCP, 0, error) ||
	    !listeners_bind(&g->admin, LISTENER_UNIX, 0, error) ||
	    mews_fleet_renew(&g->fleet, m->now->fleet, &fleet, error) !=
		MEWS_OK)
		return false;
	mews_fleet_set_log(g->fleet, log_sink, &g->log);
	mews_fleet_set_log_level(g->fleet, g->log.level);
	return start_trial(m, g, error);
}

void
reload_begin(struct master *m)
{
	struct config	 *to;
	struct mews_error error = { .message = "" };
	char		  path[512];
	bool		  good;

	reload_give_up(m, RELOAD_REPLACED, "another reload began");
	reload_ask(m);
	log_write(&m->log, MEWS_LOG_INFO, "reload", "config=%s",
	    logfmt_value(path, sizeof(path), m->config->path));
	if (!(m->keeps ? config_load_monitor : config_load)(&to,
		m->config->path, reload_say, m)) {
		reload_give_up(m, RELOAD_REFUSED, "the configuration is wrong");
		return;
	}
	for (size_t i = 0; i < to->warning_count; i++)
		log_write(&m->log, MEWS_LOG_WARNING, "reload_warning",
		    "warning=%s", logfmt_value(path, sizeof(path),
		    to->warnings[i]));
	/* Both say all that is wrong. */
	good = check_fixed(m, to);
	good &= check_room(m, to);
	if (!good) {
		config_free(&to);
		reload_give_up(m, RELOAD_REFUSED, "not while the fleet runs");
		return;
	}
	if (!prepare(m, to, &error)) {
		reload_say(m, error.message);
		reload_give_up(m, RELOAD_REFUSED, "it cannot be done");
	}
}

/* The trial went well: start the workers. */
static void
start_workers(struct master *m)
{
	struct generation *g = m->reload.next;

	if (!generation_make_workers(g, &m->generations, master_child,
		m->runtime.segment_path, count_of(m, g->config), m->slots))
		reload_give_up(m, RELOAD_REFUSED, "out of memory");
}

static void
hear_trial(struct master *m)
{
	char	*line = NULL;
	size_t	 size = 0;

	while (getline(&line, &size, m->reload.in) > 0) {
		line[strcspn(line, "\n")] = '\0';
		reload_say(m, line);
	}
	clearerr(m->reload.in);
	free(line);
}

bool
reload_bury(struct master *m, pid_t pid, int wait_status)
{
	struct reload *r = &m->reload;
	char	       end[64], why[128];

	if (r->trial == 0 || pid != r->trial)
		return false;
	r->trial = 0;
	hear_trial(m);
	end_trial(r);
	if (WIFEXITED(wait_status) && WEXITSTATUS(wait_status) == 0)
		start_workers(m);
	else if (r->mistakes > 0)
		reload_give_up(m, RELOAD_REFUSED,
		    "the application cannot be loaded");
	else {
		snprintf(why, sizeof(why), "the trial ended with %s",
		    process_end_text(end, sizeof(end), wait_status));
		reload_give_up(m, RELOAD_REFUSED, why);
	}
	return true;
}

static void
switch_over(struct master *m)
{
	struct reload	  *r = &m->reload;
	struct generation *old = m->now, *g = r->next;
	char		   text[128];

	mews_fleet_set_master(g->fleet, getpid(), ++m->number);
	mews_fleet_switch(g->fleet);
	m->now = g;
	m->config = g->config;
	m->log.where = g->log.where;
	m->log.level = g->log.level;
	m->log.output = g->log.output;
	listeners_drop(&old->listeners, &g->listeners);
	listeners_drop(&old->admin, &g->admin);
	workers_pass(&old->workers);
	m->monitor.config = g->config;
	m->monitor.fleet = g->fleet;
	workers_renew(&m->monitor);
	master_guard(m);
	guard_renew(&m->guard);
	snprintf(text, sizeof(text), "generation=%u workers=%u ms=%" PRId64,
	    m->number, g->workers.count, process_now() - r->began);
	log_write(&m->log, MEWS_LOG_INFO, "reloaded", "%s", text);
	reload_tell(m, RELOAD_READY, text);
	r->next = NULL;
}

/* Did one of them end before all were ready? */
static bool
has_failed(const struct workers *workers)
{
	const struct process *p;

	TAILQ_FOREACH(p, &workers->list, entry)
		if (p->deaths > 0)
			return true;
	return false;
}

/* Free those of which nobody is left. */
static void
free_gone(struct master *m)
{
	struct generation *g, *next;

	TAILQ_FOREACH_SAFE(g, &m->generations, entry, next)
		if (g != m->now && g != m->reload.next &&
		    workers_gone(&g->workers)) {
			TAILQ_REMOVE(&m->generations, g, entry);
			generation_free(&g);
			logs_drop_unused(m);
		}
}

void
reload_go_on(struct master *m)
{
	struct reload *r = &m->reload;

	if (r->trial > 0) {
		hear_trial(m);
		if (process_now() >= r->due)
			reload_give_up(m, RELOAD_REFUSED,
			    "the trial of the application took too long");
	} else if (r->next != NULL) {
		if (has_failed(&r->next->workers))
			reload_give_up(m, RELOAD_REFUSED, "a worker ended "
			    "before all were ready; the log says why");
		else if (m->keeps || r->next->workers.all_ready)
			switch_over(m);
	}
	free_gone(m);
}

int64_t
reload_due(const struct master *m)
{
	return m->reload.trial > 0 ? m->reload.due : INT64_MAX;
}
