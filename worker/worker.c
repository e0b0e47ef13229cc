/*
 * worker.c - the worker process: one thread, one loop, one pool.
 *
 * Signals and the end of the master only set flags; turn() acts, once per
 * turn of the loop, right before it waits. In each turn
 *
 *	- the front sends the answers that came and reads new requests,
 *	- the pool sends the queries that these asked for,
 *
 * so what belongs together leaves together.
 */
#include "front.h"
#include "loop.h"

#include <ev.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/param.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

#define BEAT_MAX_S 5.	   /* between two heartbeats of an idle worker */
#define FILES_WANTED 65536 /* descriptors, where the hard limit allows it */
#define FILES_SPARE 64	   /* neither for clients nor for servers */

struct mews_worker {
	struct worker_args args;
	struct ev_loop *ev;
	struct loop *loop;
	struct mews_pool *pool;
	struct front *front;
	void *state; /* the application's */
	bool joined;
	bool started; /* the application was */
	int signals; /* signalfd(2); -1: none */

	bool stop; /* asked to end properly */
	bool quit; /* asked to end now */
	bool draining;

	ev_io signal_ready;
	ev_io channel_ready;
	ev_timer beat;
	ev_timer patience; /* runs out while draining */
	ev_prepare turn;
};

struct mews_pool *
mews_worker_pool(struct mews_worker *worker)
{
	return worker->pool;
}

unsigned
mews_worker_number(const struct mews_worker *worker)
{
	return worker->args.number;
}

/* What the master did with signals ends here. Those that end a worker are
 * read from a descriptor; those that mean something to the master only are
 * ignored, since they may be sent to the whole process group. */
static int
open_signals(void)
{
	static const int ignored[] = { SIGHUP, SIGPIPE, SIGTTIN, SIGTTOU,
		SIGUSR1, SIGUSR2 };
	struct sigaction action = { .sa_handler = SIG_IGN };
	sigset_t ours;

	for (size_t i = 0; i < sizeof(ignored) / sizeof(ignored[0]); i++)
		sigaction(ignored[i], &action, NULL);
	sigemptyset(&ours);
	sigaddset(&ours, SIGINT);
	sigaddset(&ours, SIGQUIT);
	sigaddset(&ours, SIGTERM);
	/* Blocked first, then no handler of the master's is needed: one that
	 * is pending stays so, and will be read. */
	sigprocmask(SIG_SETMASK, &ours, NULL);
	action.sa_handler = SIG_DFL;
	sigaction(SIGCHLD, &action, NULL);
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGQUIT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	return signalfd(-1, &ours, SFD_NONBLOCK | SFD_CLOEXEC);
}

/* As many descriptors as the limits on clients and connections may need. */
static void
raise_files(struct worker_args *args)
{
	const struct mews_config *fleet = &args->config->fleet;
	struct rlimit files;
	rlim_t spoken_for = FILES_SPARE;

	if (getrlimit(RLIMIT_NOFILE, &files) == -1)
		return;
	if (files.rlim_cur < FILES_WANTED) {
		files.rlim_cur = MIN(files.rlim_max, FILES_WANTED);
		setrlimit(RLIMIT_NOFILE, &files);
		getrlimit(RLIMIT_NOFILE, &files);
	}
	for (size_t i = 0; i < fleet->group_count; i++)
		spoken_for += fleet->groups[i].connection_count == 0 ?
		    MEWS_CONNECTION_COUNT_DEFAULT :
		    fleet->groups[i].connection_count;
	if (args->limits.connections == 0)
		args->limits.connections = WORKER_CONNECTIONS_DEFAULT;
	if (files.rlim_cur < spoken_for + args->limits.connections)
		args->limits.connections = files.rlim_cur <= spoken_for + 1 ?
		    1 : (uint32_t)(files.rlim_cur - spoken_for);
}

static void
on_signal(struct ev_loop *ev, ev_io *watcher, int revents)
{
	struct mews_worker *worker = watcher->data;
	struct signalfd_siginfo info;

	(void)ev;
	(void)revents;
	while (read(worker->signals, &info, sizeof(info)) == sizeof(info))
		if (info.ssi_signo == SIGQUIT)
			worker->quit = true;
		else
			worker->stop = true;
}

/* The master writes nothing to the channel; its end is all there is. */
static void
on_channel(struct ev_loop *ev, ev_io *watcher, int revents)
{
	struct mews_worker *worker = watcher->data;
	char byte;

	(void)revents;
	if (read(watcher->fd, &byte, 1) == 1)
		return;
	ev_io_stop(ev, watcher);
	log_write(&worker->args.log, MEWS_WARNING, "master_gone", "action=%s",
	    "drain");
	worker->stop = true;
}

static void
on_beat(struct ev_loop *ev, ev_timer *timer, int revents)
{
	struct mews_worker *worker = timer->data;

	(void)ev;
	(void)revents;
	mews_fleet_beat(worker->args.fleet);
}

static void
on_patience(struct ev_loop *ev, ev_timer *timer, int revents)
{
	struct mews_worker *worker = timer->data;

	(void)ev;
	(void)revents;
	log_write(&worker->args.log, MEWS_WARNING, "drain_timeout",
	    "graceful_timeout_ms=%u", worker->args.config->graceful_timeout);
	worker->quit = true;
}

static void
drain(struct mews_worker *worker)
{
	uint32_t timeout_ms = worker->args.config->graceful_timeout;

	worker->draining = true;
	mews_fleet_set_state(worker->args.fleet, MEWS_WORKER_DRAINING);
	log_write(&worker->args.log, MEWS_INFO, "worker_state",
	    "to=draining graceful_timeout_ms=%u", timeout_ms);
	front_drain(worker->front);
	if (timeout_ms != MEWS_FOREVER) {
		ev_timer_set(&worker->patience, timeout_ms / 1000., 0.);
		ev_timer_start(worker->ev, &worker->patience);
	}
}

/* Clients have their answers; but an application may have answered before
 * its last query ended. */
static bool
is_drained(const struct mews_worker *worker)
{
	const struct mews_config *fleet = &worker->args.config->fleet;
	struct mews_group_stats stats;
	struct mews_group *group;

	if (!front_is_empty(worker->front))
		return false;
	for (size_t i = 0; i < fleet->group_count; i++) {
		group = mews_pool_group(worker->pool, fleet->groups[i].name);
		if (group == NULL)
			continue;
		mews_group_stats(group, &stats);
		if (stats.in_flight != 0 || stats.waiting != 0)
			return false;
	}
	return true;
}

static void
on_turn(struct ev_loop *ev, ev_prepare *prepare, int revents)
{
	struct mews_worker *worker = prepare->data;

	(void)revents;
	if (worker->stop && !worker->draining)
		drain(worker);
	front_turn(worker->front);
	loop_turn(worker->loop);
	if (worker->quit || (worker->draining && is_drained(worker)))
		ev_break(ev, EVBREAK_ALL);
}

static void
watch(struct mews_worker *worker)
{
	double beat_s = worker->args.config->worker_timeout / 4000.;

	ev_io_init(&worker->signal_ready, on_signal, worker->signals, EV_READ);
	worker->signal_ready.data = worker;
	ev_io_start(worker->ev, &worker->signal_ready);
	ev_io_init(&worker->channel_ready, on_channel, worker->args.channel,
	    EV_READ);
	worker->channel_ready.data = worker;
	ev_io_start(worker->ev, &worker->channel_ready);
	if (beat_s <= 0. || beat_s > BEAT_MAX_S)
		beat_s = BEAT_MAX_S;
	ev_timer_init(&worker->beat, on_beat, beat_s, beat_s);
	worker->beat.data = worker;
	ev_timer_start(worker->ev, &worker->beat);
	ev_init(&worker->patience, on_patience);
	worker->patience.data = worker;
	ev_prepare_init(&worker->turn, on_turn);
	worker->turn.data = worker;
	ev_prepare_start(worker->ev, &worker->turn);
}

static bool
fail(struct mews_worker *worker, const char *what,
    const struct mews_error *error)
{
	char quoted[600];

	log_write(&worker->args.log, MEWS_ERROR, "worker_start_failed",
	    "step=%s status=%s error=%s", what, mews_status_name(error->status),
	    log_quote(quoted, sizeof(quoted), error->message));
	return false;
}

static bool
start(struct mews_worker *worker)
{
	const struct mews_app *app = worker->args.app;
	struct mews_error error = { .status = MEWS_SYSTEM,
		.message = "out of memory or descriptors" };

	worker->signals = open_signals();
	if (worker->signals == -1 ||
	    (worker->ev = ev_loop_new(EVFLAG_AUTO)) == NULL ||
	    (worker->loop = loop_open(worker->ev)) == NULL)
		return fail(worker, "loop", &error);
	if (mews_fleet_join(worker->args.fleet, &error) != MEWS_OK)
		return fail(worker, "join", &error);
	worker->joined = true;
	if (mews_pool_open(&worker->pool, worker->args.fleet, loop_watch,
		worker->loop, &error) != MEWS_OK)
		return fail(worker, "pool", &error);
	loop_set_pool(worker->loop, worker->pool);
	error = (struct mews_error){ .message = "" };
	if (app->start != NULL)
		error.status = app->start(worker, &worker->state, &error);
	if (error.status != MEWS_OK)
		return fail(worker, "application", &error);
	worker->started = true;
	if (front_open(&worker->front, worker->ev, &worker->args,
		worker->pool, worker->state, &error) != MEWS_OK)
		return fail(worker, "http", &error);
	return true;
}

/* From the inside out: whoever holds something of a neighbour goes first.
 * Closing the pool ends the queries in flight, so the application gives its
 * last answers in there. */
static void
finish(struct mews_worker *worker)
{
	if (worker->front != NULL)
		front_stop(worker->front);
	if (worker->pool != NULL) {
		mews_pool_close(&worker->pool);
		loop_set_pool(worker->loop, NULL);
	}
	if (worker->started && worker->args.app->stop != NULL)
		worker->args.app->stop(worker->state);
	front_close(&worker->front);
	if (worker->joined)
		mews_fleet_leave(worker->args.fleet);
	loop_close(&worker->loop);
	if (worker->ev != NULL)
		ev_loop_destroy(worker->ev);
	if (worker->signals != -1)
		close(worker->signals);
}

int
worker_run(const struct worker_args *args)
{
	struct mews_worker worker = { .args = *args, .signals = -1 };
	bool started;

	/* Should the master die before this line, the channel tells. */
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	setproctitle("-mews: worker %u (%s)", args->number,
	    args->config->fleet.instance);
	raise_files(&worker.args);
	if ((started = start(&worker))) {
		watch(&worker);
		mews_fleet_set_state(args->fleet, MEWS_WORKER_READY);
		log_write(&args->log, MEWS_INFO, "worker_state",
		    "to=ready app=%s", args->app->name);
		ev_run(worker.ev, 0);
		log_write(&args->log, MEWS_INFO, "worker_state", "to=ended");
	}
	finish(&worker);
	return started ? 0 : 1;
}
