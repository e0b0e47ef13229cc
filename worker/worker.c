/*
 * worker.c - the worker process: one thread, one loop, one pool.
 *
 * Signals and the end of the master only set flags; turn() acts, once per
 * turn of the loop, right before it waits. In each turn
 *
 *	- the front sends the answers that came and reads new requests,
 *	- the pool sends the queries that these asked for,
 *
 * so that each leave together.
 */
#include "doing.h"
#include "files.h"
#include "front.h"
#include "loop.h"
#include "watchdog.h"

#include <ev.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/param.h>
#include <sys/signalfd.h>
#include <unistd.h>

#define LAST_S .1	   /* for idle clients, at the end of
			      graceful_timeout */
#define BEAT_MAX_S 5.	   /* between two heartbeats of an idle worker */

struct mews_worker {
	struct worker_args args;
	struct config_http http; /* with what the kernel allows */
	struct ev_loop *ev;
	struct loop *loop;
	struct mews_pool *pool;
	struct front *front;
	void *state; /* the application's */
	bool joined;
	bool started; /* the application was */
	int signals; /* signalfd(2); -1: none */

	bool stop; /* asked to end properly */
	bool gives_way; /* asked to, to its successor */
	bool quit; /* asked to end now */
	bool draining;
	bool patient; /* draining, for the next generation serves */
	bool listening;

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

void
mews_worker_log(struct mews_worker *worker, enum mews_log_level level,
    const char *event, const char *text)
{
	char	quoted[1024];

	log_write(&worker->args.log, level, event, "text=%s",
	    logfmt_value(quoted, sizeof(quoted), text));
}

uint64_t
mews_worker_body_limit(const struct mews_worker *worker)
{
	return worker->http.max_body_size;
}

const struct mews_options *
mews_worker_options(const struct mews_worker *worker)
{
	return (const void *)worker->args.config;
}

/* Replace the master's signal settings. Signals that end a worker are read from
 * a descriptor. Signals for the master are ignored, as they may be sent to the
 * whole process group; so are others that would end a process; an application
 * may use them. */
static int
open_signals(void)
{
	static const int ignored[] = { SIGALRM, SIGHUP, SIGIO, SIGPIPE,
		SIGPROF, SIGPWR, SIGSTKFLT, SIGTTIN, SIGTTOU, SIGUSR1,
		SIGUSR2, SIGVTALRM, SIGXCPU, SIGXFSZ };
	struct sigaction action = { .sa_handler = SIG_IGN };
	sigset_t ours;

	for (size_t i = 0; i < sizeof(ignored) / sizeof(ignored[0]); i++)
		sigaction(ignored[i], &action, NULL);
	sigemptyset(&ours);
	sigaddset(&ours, SIGINT);
	sigaddset(&ours, SIGQUIT);
	sigaddset(&ours, SIGTERM);
	sigaddset(&ours, WORKER_GIVE_WAY);
	/* Block first: a signal that is pending stays so, and will be read. */
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
raise_files(const struct mews_config *fleet, unsigned slots,
    struct config_http *http)
{
	uint64_t besides = files_besides_clients(fleet, slots);
	uint64_t allowed = files_allowed(true);

	if (allowed < besides + http->max_connections)
		http->max_connections = allowed <= besides + 1 ? 1 :
		    (uint32_t)(allowed - besides);
}

static void
drain(struct mews_worker *worker, bool patient)
{
	uint32_t timeout_ms = worker->args.config->graceful_timeout;

	worker->draining = true;
	worker->patient = patient;
	mews_fleet_set_state(worker->args.fleet, MEWS_WORKER_DRAINING);
	log_write(&worker->args.log, MEWS_LOG_INFO, "worker_state",
	    "to=draining graceful_timeout_ms=%u", timeout_ms);
	front_drain(worker->front, patient);
	if (timeout_ms != MEWS_FOREVER) {
		ev_timer_set(&worker->patience, timeout_ms / 1000., 0.);
		ev_timer_start(worker->ev, &worker->patience);
	}
}

/* Do what a signal, or the turn of the fleet's generations, asks for. */
static void
follow(struct mews_worker *worker)
{
	enum mews_turn turn = MEWS_TURN_CURRENT;

	if (!worker->listening || !worker->draining)
		turn = mews_fleet_turn(worker->args.fleet);
	if (turn == MEWS_TURN_CURRENT && !worker->listening) {
		worker->listening = true;
		front_listen(worker->front);
	}
	if (worker->stop && worker->patient) {
		worker->patient = false;
		front_drain(worker->front, false);
	}
	if (!worker->draining && (worker->stop || worker->gives_way ||
	    turn == MEWS_TURN_PAST))
		drain(worker, !worker->stop);
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
		else if (info.ssi_signo != (uint32_t)WORKER_GIVE_WAY)
			worker->stop = true;
		else if (info.ssi_pid == (uint32_t)getppid())
			worker->gives_way = true;
	follow(worker);
}

/* The channel is at its end, as the master, which never writes, is gone. */
static void
on_channel(struct ev_loop *ev, ev_io *watcher, int revents)
{
	struct mews_worker *worker = watcher->data;
	char byte;

	(void)revents;
	if (read(watcher->fd, &byte, 1) == 1)
		return;
	ev_io_stop(ev, watcher);
	watchdog_beat();
	log_write(&worker->args.log, MEWS_LOG_WARNING, "master_gone",
	    "action=%s", "drain");
	worker->stop = true;
}

static void
on_beat(struct ev_loop *ev, ev_timer *timer, int revents)
{
	struct mews_worker *worker = timer->data;

	(void)ev;
	(void)revents;
	mews_fleet_beat(worker->args.fleet);
	watchdog_beat();
	log_tell_dropped(&worker->args.log);
}

static void
on_patience(struct ev_loop *ev, ev_timer *timer, int revents)
{
	struct mews_worker *worker = timer->data;

	(void)revents;
	/* Idle clients are no reason for a warning. */
	if (worker->patient) {
		worker->patient = false;
		front_drain(worker->front, false);
		ev_timer_set(timer, LAST_S, 0.);
		ev_timer_start(ev, timer);
		return;
	}
	log_write(&worker->args.log, MEWS_LOG_WARNING, "drain_timeout",
	    "graceful_timeout_ms=%u", worker->args.config->graceful_timeout);
	worker->quit = true;
}

/* Is all done? Clients may have their answers before the application's last
 * query has ended. */
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
		mews_group_stats(group, &stats, sizeof(stats));
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
	follow(worker);
	doing_call(NULL);
	front_turn(worker->front);
	loop_turn(worker->loop);
	/* After the queries, so that servers work while answers are sent. */
	front_send(worker->front);
	if (worker->quit || (worker->draining && is_drained(worker)))
		ev_break(ev, EVBREAK_ALL);
}

/* libev calls these right before and after it waits. */
static void
wait_begins(struct ev_loop *ev)
{
	struct mews_worker *worker = ev_userdata(ev);

	front_waiting(worker->front, true);
	worker->args.app->waiting(worker->state, true);
}

static void
wait_ends(struct ev_loop *ev)
{
	struct mews_worker *worker = ev_userdata(ev);

	worker->args.app->waiting(worker->state, false);
	front_waiting(worker->front, false);
}

static void
watch(struct mews_worker *worker)
{
	double beat_s = worker->args.config->worker_timeout / 4000.;

	/* Before the clients, so that this turn's answers say that they are the
	 * last. */
	ev_io_init(&worker->signal_ready, on_signal, worker->signals, EV_READ);
	ev_set_priority(&worker->signal_ready, EV_MAXPRI);
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
	if (worker->args.app->abi >= 3 && worker->args.app->waiting != NULL) {
		ev_set_userdata(worker->ev, worker);
		ev_set_loop_release_cb(worker->ev, wait_begins, wait_ends);
	}
}

static bool
fail(struct mews_worker *worker, const char *what,
    const struct mews_error *error)
{
	char quoted[600];

	log_write(&worker->args.log, MEWS_LOG_ERROR, "worker_start_failed",
	    "step=%s status=%s error=%s", what, mews_status_name(error->status),
	    logfmt_value(quoted, sizeof(quoted), error->message));
	return false;
}

static enum mews_status
start_application(struct mews_worker *worker, struct mews_error *error)
{
	enum mews_status status;

	doing_call("start");
	status = worker->args.app->start(worker, &worker->state, error);
	doing_call(NULL);
	return status;
}

static bool
start(struct mews_worker *worker)
{
	struct worker_args *args = &worker->args;
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
	if (args->app == NULL &&
	    !application_load(args->config->app, &args->app, &error))
		return fail(worker, "load", &error);
	error = (struct mews_error){ .message = "" };
	if (args->app->start != NULL)
		error.status = start_application(worker, &error);
	if (error.status != MEWS_OK)
		return fail(worker, "application", &error);
	worker->started = true;
	if (front_open(&worker->front, worker->ev, &worker->args,
		&worker->http, worker->pool, worker->state, &error) != MEWS_OK)
		return fail(worker, "http", &error);
	return true;
}

/* Close all, users before what they use. Closing the pool ends the queries in
 * flight, in whose callbacks the application gives its last answers. A worker
 * that could not wait keeps its slot, which lists what still runs at the
 * servers: the master, when it reaps the process, leaves that to the monitor to
 * end. */
static void
finish(struct mews_worker *worker)
{
	if (worker->front != NULL)
		front_stop(worker->front);
	if (worker->pool != NULL) {
		mews_pool_close(&worker->pool);
		loop_set_pool(worker->loop, NULL);
	}
	if (worker->started && worker->args.app->stop != NULL) {
		doing_call("stop");
		worker->args.app->stop(worker->state);
		doing_call(NULL);
	}
	front_close(&worker->front);
	if (worker->joined && !worker->quit)
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
	struct mews_worker worker = { .args = *args,
		.http = args->config->http, .signals = -1 };
	bool started;

	watchdog_start(args->config->worker_timeout);
	doing_start(&worker.args.log);
	setproctitle("-mews: worker %u (%s)", args->number,
	    args->config->fleet.instance);
	raise_files(&args->config->fleet, args->slots, &worker.http);
	if ((started = start(&worker))) {
		watch(&worker);
		follow(&worker);
		mews_fleet_set_state(args->fleet, MEWS_WORKER_READY);
		log_write(&args->log, MEWS_LOG_INFO, "worker_state",
		    "to=ready app=%s", worker.args.app->name);
		ev_run(worker.ev, 0);
		log_write(&args->log, MEWS_LOG_INFO, "worker_state",
		    "to=ended");
	}
	finish(&worker);
	return started ? 0 : 1;
}
