/*
 * master.c - starts a fleet, keeps it running, ends it.
 *
 * The master serves no client and talks to no PostgreSQL server: it must never
 * hang and never die. Signals arrive on a signalfd, and only note what is
 * wanted; the loop acts.
 *
 * Start:  bind TCP as root, drop privileges, then all that makes files;
 *         fork last. A failure on the way takes back what was done.
 * End:    stop accepting, tell the workers, wait, kill, remove the files.
 *
 * A worker learns of the master's death by the end of file on a pipe whose
 * only writing end is the master's. Nothing is ever written to it.
 */
#include "master.h"

#include "ending.h"
#include "fail.h"
#include "handover.h"
#include "leftover.h"
#include "monitor.h"
#include "parts.h"
#include "places.h"
#include "room.h"
#include "takeover.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/param.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#define QUIT_MS	     1000 /* from QUIT to KILL */
#define INHERITED_MS 3000 /* until a killed master's workers are gone */
#define HOLD_MS	     50	  /* to wait for our own TERM after a worker's proper
			     end */

/* The wishes of signals. */
#define WANT_REAP      0x01
#define WANT_STOP      0x02
#define WANT_QUIT      0x04
#define WANT_INTERRUPT 0x08 /* stop; the second time: quit */
#define WANT_MORE      0x10
#define WANT_FEWER     0x20
#define WANT_RELOAD    0x40
#define WANT_LOGS      0x80
#define WANT_UPGRADE   0x100
#define WANT_CHANGE    (WANT_MORE | WANT_FEWER | WANT_RELOAD | WANT_UPGRADE)

static const struct master_signal {
	int	 number;
	unsigned want;
} master_signals[] = {
	{ SIGCHLD, WANT_REAP },
	{ SIGTERM, WANT_STOP },
	{ SIGQUIT, WANT_QUIT },
	{ SIGINT, WANT_INTERRUPT },
	{ SIGTTIN, WANT_MORE },
	{ SIGTTOU, WANT_FEWER },
	{ SIGHUP, WANT_RELOAD },
	{ SIGUSR1, WANT_LOGS },
	{ SIGUSR2, WANT_UPGRADE },
	{ 0, 0 },
};

/*
 * Start.
 */

/* Open the signalfd. The parent may have ignored or blocked signals. */
static bool
master_open_signals(struct master *m, struct mews_error *error)
{
	const struct master_signal *s;
	sigset_t		    mask;

	sigemptyset(&mask);
	for (s = master_signals; s->number != 0; s++) {
		signal(s->number, SIG_DFL);
		sigaddset(&mask, s->number);
	}
	sigprocmask(SIG_BLOCK, &mask, NULL);
	m->signal_fd = signalfd(-1, &mask, SFD_NONBLOCK | SFD_CLOEXEC);
	if (m->signal_fd < 0)
		return fail(error, "signalfd: %s", strerror(errno));
	if (pipe2(m->channel, O_CLOEXEC | O_NONBLOCK) != 0)
		return fail(error, "pipe: %s", strerror(errno));
	return true;
}

static bool
master_create_fleet(struct master *m, struct mews_error *error)
{
	struct mews_config fleet = m->config->fleet;

	m->start_workers = m->config->workers;
	m->slots = room_slots(m->config->workers);
	fleet.abi = MEWS_ABI;
	fleet.runtime_file = m->runtime.segment_path;
	fleet.workers = m->config->workers;
	fleet.slots = m->slots;
	if (mews_fleet_create(&m->now->fleet, &fleet, error) != MEWS_OK)
		return false;
	m->number = 1;
	mews_fleet_set_master(m->now->fleet, getpid(), m->number);
	return true;
}

/* The tables of the first generation; its fleet is there. */
static bool
master_make_tables(struct master *m, struct mews_error *error)
{
	struct generation *g = m->now;

	g->log = m->log;
	mews_fleet_set_log(g->fleet, log_sink, &g->log);
	mews_fleet_set_log_level(g->fleet, g->log.level);
	m->monitor = (struct workers) {
		.noun = "monitor",
		.config = m->config,
		.log = &m->log,
		.fleet = g->fleet,
		.segment_path = m->runtime.segment_path,
		.child = master_monitor_child,
		.child_arg = m,
		.count = 1,
	};
	if (!generation_make_workers(g, &m->generations, master_child,
		m->runtime.segment_path, m->keeps ? 0 : m->start_workers,
		m->slots) ||
	    !workers_init(&m->monitor))
		return fail(error, "out of memory");
	master_guard(m);
	return true;
}

static bool
master_bind(struct master *m, struct mews_error *error)
{
	const struct config *config = m->config;
	struct listeners    *listeners, *admin;
	uint32_t	     patience;

	if (!runtime_prepare(&m->runtime, config, &m->user, error) ||
	    (!m->keeps &&
		!listeners_init(&m->now->listeners, config, error)) ||
	    !listeners_init_own(&m->now->admin, &m->now->admin_config, error))
		return false;
	patience = m->runtime.inherited ? INHERITED_MS : 0;
	if (m->runtime.inherited)
		leftovers_end(&m->runtime, &m->user, patience, &m->log);
	listeners = &m->now->listeners;
	admin = &m->now->admin;
	return listeners_bind(listeners, LISTENER_TCP, patience, error) &&
	    listeners_bind(admin, LISTENER_TCP, patience, error) &&
	    privileges_drop(&m->user, error) &&
	    runtime_claim(&m->runtime, error) &&
	    listeners_bind(listeners, LISTENER_UNIX, patience, error) &&
	    listeners_bind(admin, LISTENER_UNIX, patience, error) &&
	    master_create_fleet(m, error);
}

static bool
master_open(struct master *m, struct mews_error *error)
{
	m->now = generation_new(m, m->config, NULL, &m->log);
	if (m->now == NULL)
		return fail(error, "out of memory");
	TAILQ_INSERT_TAIL(&m->generations, m->now, entry);
	return master_open_signals(m, error) &&
	    privileges_find(&m->user, m->config, error) &&
	    (m->handover != NULL ? takeover_open(m, error) :
				   master_bind(m, error)) &&
	    logs_set(m, &m->log, m->config, error) &&
	    master_make_tables(m, error);
}

/* Append @word to a list of words in @buffer. */
static void
list_add(char *buffer, size_t size, const char *word)
{
	if (buffer[0] != '\0')
		strlcat(buffer, ",", size);
	strlcat(buffer, word, size);
}

static void
master_announce(struct master *m)
{
	const struct config *config = m->config;
	char		     listen[512] = "", endpoints[1024] = "";
	char		     path[512], quoted[2][1024];

	for (size_t i = 0; i < config->listen_count && !m->keeps; i++)
		list_add(listen, sizeof(listen), config->listen[i].text);
	for (size_t i = 0; i < config->fleet.endpoint_count; i++)
		list_add(endpoints, sizeof(endpoints),
		    config->fleet.endpoints[i].name);
	log_write(&m->log, MEWS_LOG_INFO, "started",
	    "version=%s instance=%s listen=%s workers=%u endpoints=%s "
	    "user=%s config=%s", MEWS_VERSION, config->fleet.instance,
	    logfmt_value(quoted[0], sizeof(quoted[0]), listen),
	    m->keeps ? 0 : config->workers,
	    endpoints, m->user.name,
	    logfmt_value(path, sizeof(path), config->path));
}

/*
 * The loop.
 */

/* The milliseconds until something is due. */
static int
master_due(const struct master *m)
{
	const struct generation *g;
	int64_t			 reload = MIN(reload_due(m), upgrade_due(m));
	int			 due = workers_due(&m->monitor);

	TAILQ_FOREACH(g, &m->generations, entry)
		due = MIN(due, workers_due(&g->workers));
	if (takeover_until(m) != 0)
		reload = MIN(reload, takeover_until(m));
	if (reload != INT64_MAX)
		due = (int)MIN(due, MAX(reload - process_now(), 0));
	due = notify_due(&m->notify, due);
	due = guard_due(&m->guard, due);
	return m->held_until == 0 ? due : MIN(due, HOLD_MS);
}

/* Wait until a signal arrives or something is due; return what is wanted. */
static unsigned
master_wait(struct master *m)
{
	struct pollfd pfds[] = {
		{ .fd = m->signal_fd, .events = POLLIN },
		{ .fd = m->reload.answers, .events = POLLIN },
		{ .fd = m->upgrade.channel, .events = POLLIN },
		{ .fd = m->handover == NULL ? -1 : m->handover->channel,
		    .events = POLLIN },
	};
	const struct master_signal *s;
	struct signalfd_siginfo	    got;
	unsigned long		    lost;
	unsigned		    want = 0;

	log_tell_dropped(&m->log);
	lost = log_lost(&m->log);
	if (lost != m->lost)
		mews_fleet_count_dropped(m->now->fleet, lost - m->lost);
	m->lost = lost;
	poll(pfds, 4, master_due(m));
	while (read(m->signal_fd, &got, sizeof(got)) == sizeof(got)) {
		for (s = master_signals; s->number != 0; s++)
			if (s->number == (int)got.ssi_signo)
				want |= s->want;
		if (got.ssi_signo != SIGCHLD)
			log_write(&m->log, MEWS_LOG_INFO, "signal",
			    "signal=%s from_pid=%u",
			    sigabbrev_np((int)got.ssi_signo), got.ssi_pid);
	}
	return want;
}

/* Close the listeners first: new clients are refused at once, and do not wait
 * for a worker that will never accept them. */
static void
master_stop(struct master *m, int signal, int64_t patience_ms)
{
	struct generation *g;

	notify_stopping(&m->notify, patience_ms);
	if (upgrade_is_going(m))
		kill(m->upgrade.pid, signal);
	upgrade_give_up(m, "the fleet stops");
	reload_give_up(m, RELOAD_REFUSED, "the fleet stops");
	m->stopping = m->monitor.stopping = true;
	takeover_stop(m, signal, patience_ms);
	guard_end(&m->guard);
	TAILQ_FOREACH(g, &m->generations, entry) {
		g->workers.stopping = true;
		listeners_close(&g->listeners);
		workers_stop(&g->workers, signal, patience_ms);
	}
}

static void
master_resize(struct master *m, bool more)
{
	struct workers *workers = &m->now->workers;
	bool		done;

	if (m->keeps) {
		log_write(&m->log, MEWS_LOG_WARNING, "not_resized",
		    "workers=0 hint=\"a monitor that serves nobody has "
		    "none\"");
		return;
	}
	done = more ? workers_grow(workers) : workers_shrink(workers);
	log_write(&m->log, done ? MEWS_LOG_INFO : MEWS_LOG_WARNING,
	    done ? "resized" : "not_resized", "workers=%u slots=%u",
	    workers->count, workers->slots);
}

/* Was @pid told to end, or is it not a worker? */
static bool
master_awaits(const struct master *m, pid_t pid)
{
	const struct generation *g;
	const struct process	*p;

	TAILQ_FOREACH(g, &m->generations, entry)
		if ((p = process_find(&g->workers.list, pid)) != NULL)
			return p->retired;
	p = process_find(&m->monitor.list, pid);
	return p == NULL || p->renewed;
}

/* Hold back the replacement of a worker that ended properly, for HOLD_MS: a
 * terminal or a supervisor stops the whole process group, workers perhaps
 * first. False: nothing is held back, or no longer. */
static bool
master_hold_back(struct master *m)
{
	siginfo_t info = { .si_pid = 0 };
	int64_t	  now = process_now();

	if (m->stopping || waitid(P_ALL, 0, &info,
		WEXITED | WNOHANG | WNOWAIT) != 0 || info.si_pid == 0 ||
	    info.si_code != CLD_EXITED || info.si_status != 0 ||
	    master_awaits(m, info.si_pid)) {
		m->held_until = 0;
		return false;
	}
	if (m->held_until == 0)
		m->held_until = now + HOLD_MS;
	else if (m->held_until <= now) {
		m->held_until = 0;
		return false;
	}
	return true;
}

/* A child ended. */
static void
master_bury(struct master *m, pid_t pid, int wait_status)
{
	const struct process *worker, *monitor;
	struct generation    *g;

	TAILQ_FOREACH(g, &m->generations, entry) {
		worker = process_find(&g->workers.list, pid);
		if (worker != NULL)
			share_table_clear(g->share, worker->number);
		if (workers_bury(&g->workers, pid, wait_status))
			return;
	}
	if (guard_bury(&m->guard, pid, wait_status) ||
	    upgrade_bury(m, pid, wait_status))
		return;
	if ((monitor = process_find(&m->monitor.list, pid)) != NULL)
		ending_bury(m, monitor->retired, wait_status);
	if (!workers_bury(&m->monitor, pid, wait_status))
		reload_bury(m, pid, wait_status);
}

/* Reap all children that ended. */
static void
master_reap(struct master *m)
{
	pid_t pid;
	int   wait_status;

	while (!master_hold_back(m) &&
	    (pid = waitpid(-1, &wait_status, WNOHANG)) > 0)
		master_bury(m, pid, wait_status);
}

static bool
master_is_empty(const struct master *m)
{
	const struct generation *g;

	TAILQ_FOREACH(g, &m->generations, entry)
		if (!workers_gone(&g->workers))
			return false;
	return true;
}

/* Is it time for the end, once the last worker is gone? A new master that is
 * apart leaves our monitor to us. */
static bool
master_is_over(const struct master *m)
{
	if (!m->upgrade.passed)
		return m->stopping;
	return m->upgrade.apart && !upgrade_holds(m);
}

/* Do all that is due, apart from signals' wishes. */
static void
master_go_on(struct master *m)
{
	struct generation *g;

	/* The monitor ends after the last worker; the monitor of another master
	 * goes on. */
	if (m->stopping && takeover_waits(m) && master_is_empty(m))
		workers_stop(&m->monitor, SIGTERM, 0);
	else if (master_is_empty(m)) {
		upgrade_emptied(m);
		if (master_is_over(m))
			ending_go_on(m);
	}
	TAILQ_FOREACH(g, &m->generations, entry)
		workers_watch(&g->workers);
	workers_watch(&m->monitor);
	reload_go_on(m);
	takeover_go_on(m);
	upgrade_go_on(m);
	TAILQ_FOREACH(g, &m->generations, entry)
		workers_start(&g->workers);
	if (takeover_lets_monitor(m))
		workers_start(&m->monitor);
	if (!takeover_waits(m))
		guard_start(&m->guard);
}

/* Act on signals that change a fleet that does not stop; return those that have
 * to wait. */
static unsigned
master_change(struct master *m, unsigned want)
{
	unsigned later = 0;

	if (want & WANT_MORE)
		master_resize(m, true);
	if (want & WANT_FEWER)
		master_resize(m, false);
	if (want & WANT_RELOAD) {
		upgrade_give_up(m, "a reload began");
		/* The end of the new master gives away what a later generation
		 * claimed. */
		if (upgrade_lives(m))
			later = WANT_RELOAD;
		else
			reload_begin(m);
	}
	if (want & WANT_UPGRADE)
		upgrade_begin(m);
	return later;
}

/* Pass signals on that came while another master took over. */
static void
pass_signals(const struct master *m, unsigned want)
{
	if (m->upgrade.pid == 0)
		return;
	for (const struct master_signal *s = master_signals; s->number != 0;
	    s++)
		if (want & s->want)
			kill(m->upgrade.pid, s->number);
}

static void
master_loop(struct master *m)
{
	const struct workers *serve;
	unsigned	      want;
	bool		      quit, stop;

	while (!master_is_empty(m) || !workers_gone(&m->monitor) ||
	    upgrade_lives(m) || takeover_until(m) != 0) {
		want = master_wait(m);
		quit = (want & WANT_QUIT) != 0 ||
		    ((want & WANT_INTERRUPT) != 0 && m->stopping);
		stop = (want & (WANT_STOP | WANT_INTERRUPT)) != 0;

		/* Look at stops before deaths: workers that ended may have been
		 * told to. */
		if (quit)
			master_stop(m, SIGQUIT, QUIT_MS);
		else if (stop && !m->stopping)
			master_stop(m, SIGTERM,
			    places_patience(&m->now->workers));
		if ((want & WANT_REAP) || m->held_until != 0)
			master_reap(m);
		if (want & WANT_LOGS)
			logs_renew(m);
		m->wanted |= want & WANT_CHANGE;
		if (!upgrade_is_going(m)) {
			want = m->wanted;
			m->wanted = 0;
			if (m->upgrade.passed)
				pass_signals(m, want);
			else if (!m->stopping && !takeover_waits(m))
				m->wanted = master_change(m, want);
		}
		master_go_on(m);
		if (takeover_waits(m))
			continue;
		notify_reloading(&m->notify, m->reload.next != NULL ||
		    (m->upgrade.pid != 0 && !m->upgrade.given_up));
		serve = m->keeps ? &m->monitor : &m->now->workers;
		notify_serving(&m->notify, serve->noun, workers_serving(serve),
		    serve->count);
	}
}

static void
master_close(struct master *m)
{
	struct generation *g;

	while ((g = TAILQ_FIRST(&m->generations)) != NULL) {
		TAILQ_REMOVE(&m->generations, g, entry);
		generation_free(&g);
	}
	workers_free(&m->monitor);
	runtime_release(&m->runtime);
	if (m->history_fd != -1)
		close(m->history_fd);
	close(m->signal_fd);
	close(m->channel[0]);
	close(m->channel[1]);
}

static bool
master_live(const struct config *config, const char *name,
    struct handover *handover, bool keeps, struct mews_error *error)
{
	struct master m = {
		.config = config,
		.handover = handover,
		.keeps = keeps,
		.log = { config->log, config->log_level, "master", -1 },
		.history_fd = -1,
		.signal_fd = -1,
		.channel = { -1, -1 },
	};
	bool opened, ended = false;

	reload_init(&m.reload);
	upgrade_init(&m.upgrade, name);
	TAILQ_INIT(&m.generations);
	TAILQ_INIT(&m.monitor.list);
	/* Open the log first of all: a later user might not be allowed to. */
	opened = logs_begin(&m, error);
	standard_open(&m.standard);
	if (handover != NULL)
		notify_adopt(&m.notify, handover->notify);
	else
		notify_open(&m.notify);
	if (opened && master_open(&m, error)) {
		setproctitle("master (%s)", config->fleet.instance);
		master_announce(&m);
		master_loop(&m);
		ended = m.ending.orphans == 0 || m.ending.done ||
		    fail(error, "instance %s: stopped, but statements of its "
			"workers may still run; see the log for orphans_left",
			config->fleet.instance);
		if (m.takeover.failed)
			ended = fail(error, "a worker of the new master ended "
			    "before all were ready; the log says why");
		log_write(&m.log, MEWS_LOG_INFO,
		    m.upgrade.passed ? "replaced" : "stopped", "instance=%s",
		    config->fleet.instance);
	}
	master_close(&m);
	standard_close(&m.standard);
	notify_close(&m.notify);
	logs_end(&m);
	return ended;
}

bool
master_run(const struct config *config, const char *name,
    struct handover *handover, struct mews_error *error)
{
	return master_live(config, name, handover, false, error);
}

bool
master_keep(const struct config *config, struct mews_error *error)
{
	return master_live(config, "", NULL, true, error);
}
