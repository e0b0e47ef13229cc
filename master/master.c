/*
 * master.c - starts a fleet, keeps it running, ends it.
 *
 * The master serves nobody and talks to no PostgreSQL: it is the one that
 * must never hang and never die. Signals arrive on a signalfd, so nothing
 * ever happens behind its back: a signal says what is wanted, the loop acts.
 *
 * Start:  bind TCP as root, drop privileges, then all that makes files;
 *         fork last. A failure on the way takes back what was done.
 * End:    stop accepting, tell the workers, wait, kill, remove the files.
 *
 * A worker learns of the master's death by the end of file on a pipe whose
 * only writing end is the master's. Nothing is ever written to it.
 */
#include "master.h"

#include "fail.h"
#include "listener.h"
#include "monitor.h"
#include "privileges.h"
#include "runtime.h"
#include "worker.h"
#include "workers.h"

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

struct master {
	const struct config   *config;
	const struct mews_app *app;
	struct log	       log;
	struct privileges      user;
	struct runtime	       runtime;
	struct listeners       listeners;
	struct mews_fleet     *fleet;
	struct workers	       workers;
	struct workers	       monitor; /* a table of one */
	int		       signal_fd;
	int		       channel[2];
	bool		       stopping;
};

/* What signals want. */
#define WANT_REAP      0x01
#define WANT_STOP      0x02
#define WANT_QUIT      0x04
#define WANT_INTERRUPT 0x08 /* stop; the second time: quit */
#define WANT_MORE      0x10
#define WANT_FEWER     0x20

/* HUP (reload) and USR2 (a new binary) will get their meaning here. Nothing
 * is wanted by those that would end the master by default. */
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
	{ SIGHUP, 0 },
	{ SIGUSR1, 0 },
	{ SIGUSR2, 0 },
	{ 0, 0 },
};

/*
 * The child's side of the fork. What the master blocked stays blocked until
 * the worker can read it, so a signal to a worker just born is not lost.
 */

/* In a child: give up what is the master's alone. */
static void
master_disown(struct master *m, const char *process, int number)
{
	close(m->channel[1]);
	close(m->signal_fd);
	runtime_disown(&m->runtime);
	m->log.process = process;
	m->log.number = number;
}

static int
master_child(void *arg, unsigned number)
{
	struct master	  *m = arg; /* our copy */
	struct worker_args args = {
		.config = m->config,
		.fleet = m->fleet,
		.app = m->app,
		.listeners = m->listeners.fds,
		.listener_count = m->listeners.count,
		.channel = m->channel[0],
		.number = number,
	};

	master_disown(m, "worker", (int)number);
	args.log = m->log;
	return worker_run(&args);
}

static int
master_monitor_child(void *arg, unsigned number)
{
	struct master *m = arg; /* our copy */

	(void)number; /* there is one */
	master_disown(m, "monitor", -1);
	listeners_disown(&m->listeners);
	return monitor_run(m->fleet, m->config->fleet.instance,
	    m->channel[0], &m->log);
}

/*
 * Start.
 */

/* Whoever started us may have ignored or blocked some. */
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
	signal(SIGPIPE, SIG_IGN);
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

	fleet.abi = MEWS_ABI;
	fleet.runtime_file = m->runtime.segment_path;
	fleet.workers = MIN(2 * m->config->workers + 2, MEWS_WORKERS_MAX);
	if (mews_fleet_create(&m->fleet, &fleet, error) != MEWS_OK)
		return false;
	mews_fleet_set_log(m->fleet, log_sink, &m->log);
	mews_fleet_set_master(m->fleet, getpid(), 1);
	m->monitor = (struct workers) {
		.noun = "monitor",
		.config = m->config,
		.log = &m->log,
		.fleet = m->fleet,
		.segment_path = m->runtime.segment_path,
		.child = master_monitor_child,
		.child_arg = m,
		.count = 1,
	};
	m->workers = (struct workers) {
		.noun = "worker",
		.config = m->config,
		.log = &m->log,
		.fleet = m->fleet,
		.segment_path = m->runtime.segment_path,
		.child = master_child,
		.child_arg = m,
		.count = m->config->workers,
		.slots = fleet.workers,
	};
	return (workers_init(&m->workers) && workers_init(&m->monitor)) ||
	    fail(error, "out of memory");
}

static bool
master_open(struct master *m, struct mews_error *error)
{
	const struct config *config = m->config;
	uint32_t	     patience;

	if (!master_open_signals(m, error) ||
	    !privileges_find(&m->user, config, error) ||
	    !runtime_prepare(&m->runtime, config, &m->user, error) ||
	    !listeners_init(&m->listeners, config, error))
		return false;
	patience = m->runtime.inherited ? INHERITED_MS : 0;
	return listeners_bind(&m->listeners, LISTENER_TCP, patience, error) &&
	    privileges_drop(&m->user, error) &&
	    runtime_claim(&m->runtime, error) &&
	    listeners_bind(&m->listeners, LISTENER_UNIX, patience, error) &&
	    master_create_fleet(m, error);
}

/* Lists what listens and what is served, each as one word of @buffer. */
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

	for (size_t i = 0; i < config->listen_count; i++)
		list_add(listen, sizeof(listen), config->listen[i].text);
	for (size_t i = 0; i < config->fleet.endpoint_count; i++)
		list_add(endpoints, sizeof(endpoints),
		    config->fleet.endpoints[i].name);
	log_write(&m->log, MEWS_INFO, "started",
	    "version=%s instance=%s listen=%s workers=%u endpoints=%s "
	    "user=%s config=%s", MEWS_VERSION, config->fleet.instance,
	    log_quote(quoted[0], sizeof(quoted[0]), listen), config->workers,
	    endpoints, m->user.name,
	    log_quote(path, sizeof(path), config->path));
}

/*
 * The loop.
 */

/* Sleep until a signal arrives or a worker is due; return what is wanted. */
static unsigned
master_wait(struct master *m)
{
	struct pollfd pfd = { .fd = m->signal_fd, .events = POLLIN };
	const struct master_signal *s;
	struct signalfd_siginfo	    got;
	unsigned		    want = 0;

	poll(&pfd, 1,
	    MIN(workers_due(&m->workers), workers_due(&m->monitor)));
	while (read(m->signal_fd, &got, sizeof(got)) == sizeof(got)) {
		for (s = master_signals; s->number != 0; s++)
			if (s->number == (int)got.ssi_signo)
				want |= s->want;
		if (got.ssi_signo != SIGCHLD)
			log_write(&m->log, MEWS_INFO, "signal",
			    "signal=%s from_pid=%u",
			    sigabbrev_np((int)got.ssi_signo), got.ssi_pid);
	}
	return want;
}

/* First close the listeners: who comes now is refused at once, and does not
 * wait for a worker that will never take the connection. */
static void
master_stop(struct master *m, int signal, int64_t patience_ms)
{
	m->stopping = true;
	listeners_close(&m->listeners);
	workers_stop(&m->workers, signal, patience_ms);
}

static void
master_resize(struct master *m, bool more)
{
	bool done = more ? workers_grow(&m->workers) :
			   workers_shrink(&m->workers);

	log_write(&m->log, done ? MEWS_INFO : MEWS_WARNING,
	    done ? "resized" : "not_resized", "workers=%u slots=%u",
	    m->workers.count, m->workers.slots);
}

/* Wait for all that ended. */
static void
master_reap(struct master *m)
{
	pid_t pid;
	int   wait_status;

	while ((pid = waitpid(-1, &wait_status, WNOHANG)) > 0)
		if (!workers_bury(&m->workers, pid, wait_status))
			workers_bury(&m->monitor, pid, wait_status);
}

static void
master_loop(struct master *m)
{
	unsigned want;
	bool	 quit, stop;

	while (!workers_gone(&m->workers) || !workers_gone(&m->monitor)) {
		want = master_wait(m);
		quit = (want & WANT_QUIT) != 0 ||
		    ((want & WANT_INTERRUPT) != 0 && m->stopping);
		stop = (want & (WANT_STOP | WANT_INTERRUPT)) != 0;

		if (want & WANT_REAP)
			master_reap(m);
		if (quit)
			master_stop(m, SIGQUIT, QUIT_MS);
		else if (stop && !m->stopping)
			master_stop(m, SIGTERM, workers_patience(&m->workers));
		if ((want & WANT_MORE) && !m->stopping)
			master_resize(m, true);
		if ((want & WANT_FEWER) && !m->stopping)
			master_resize(m, false);
		/* It watches over the workers until the last has ended. */
		if (m->stopping && workers_gone(&m->workers) &&
		    m->monitor.count > 0)
			workers_stop(&m->monitor, SIGTERM, QUIT_MS);
		workers_watch(&m->workers);
		workers_watch(&m->monitor);
		workers_start(&m->workers);
		workers_start(&m->monitor);
	}
}

static void
master_close(struct master *m)
{
	listeners_close(&m->listeners);
	workers_free(&m->workers);
	workers_free(&m->monitor);
	mews_fleet_destroy(&m->fleet);
	runtime_release(&m->runtime);
	close(m->signal_fd);
	close(m->channel[0]);
	close(m->channel[1]);
}

bool
master_run(const struct config *config, const struct mews_app *app,
    struct mews_error *error)
{
	struct master m = {
		.config = config,
		.app = app,
		.log = { config->log, config->log_level, "master", -1 },
		.signal_fd = -1,
		.channel = { -1, -1 },
	};
	bool started;

	TAILQ_INIT(&m.workers.list);
	TAILQ_INIT(&m.monitor.list);
	if ((started = master_open(&m, error))) {
		setproctitle("master (%s)", config->fleet.instance);
		master_announce(&m);
		master_loop(&m);
		log_write(&m.log, MEWS_INFO, "stopped", "instance=%s",
		    config->fleet.instance);
	}
	master_close(&m);
	return started;
}
