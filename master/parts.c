/*
 * parts.c - a child's side of the fork.
 *
 * Signals that the master blocked stay blocked until the worker can read them,
 * so that a signal to a new worker is not lost.
 */
#include "parts.h"

#include "admin.h"
#include "handover.h"
#include "monitor.h"

#include <unistd.h>

void
master_disown(struct master *m, struct log *log, const char *process,
    int number)
{
	close(m->channel[1]);
	close(m->signal_fd);
	if (m->reload.answers != -1)
		close(m->reload.answers);
	if (m->upgrade.channel != -1)
		close(m->upgrade.channel);
	if (m->history_fd != -1)
		close(m->history_fd);
	if (m->handover != NULL) {
		if (m->handover->channel != -1)
			close(m->handover->channel);
		if (m->handover->history != -1)
			close(m->handover->history);
		/* Close them: a socket that is taken away ends with its last
		 * copy. */
		for (int i = 0; i < m->handover->sockets.count; i++)
			if (m->handover->sockets.fds[i] != -1)
				close(m->handover->sockets.fds[i]);
	}
	runtime_disown(&m->runtime);
	standard_take(&m->standard);
	notify_disown(&m->notify);
	log->process = process;
	log->number = number;
}

/* The addresses of the admin process. */
static void
disown_admin(struct master *m)
{
	struct generation *g;

	TAILQ_FOREACH(g, &m->generations, entry)
		if (g != m->now)
			listeners_disown_others(&g->admin, &m->now->admin);
	listeners_disown(&m->now->admin);
}

int
master_child(void *arg, unsigned number)
{
	struct generation *g = arg; /* our copies */
	struct master	  *m = g->master;
	struct generation *other;
	struct worker_args args = {
		.config = g->config,
		.fleet = g->fleet,
		.listeners = g->listeners.fds,
		.listener_count = g->listeners.count,
		.channel = m->channel[0],
		.number = number,
		.slots = m->slots,
		.share = g->share,
	};

	master_disown(m, &g->log, "worker", (int)number);
	TAILQ_FOREACH(other, &m->generations, entry)
		listeners_disown_others(&other->listeners, &g->listeners);
	disown_admin(m);
	args.log = g->log;
	return worker_run(&args);
}

int
master_monitor_child(void *arg, unsigned number)
{
	struct master	 *m = arg; /* our copy */
	struct generation *g, *now = m->now;

	(void)number; /* there is one */
	master_disown(m, &now->log, "monitor", -1);
	TAILQ_FOREACH(g, &m->generations, entry)
		if (g != now)
			listeners_disown_others(&g->listeners,
			    &now->listeners);
	listeners_disown(&now->listeners);
	disown_admin(m);
	return monitor_run(now->fleet, now->config->fleet.instance,
	    m->channel[0], &now->log);
}

int
master_admin_child(void *arg)
{
	struct master	 *m = arg; /* our copy */
	struct generation *g, *now = m->now;
	struct admin_args args = {
		.config = now->config,
		.segment_path = m->runtime.segment_path,
		.listeners = now->admin.fds,
		.listener_count = now->admin.count,
		.history = m->history,
		.master = m->guard.parent,
		.keeps = m->keeps,
	};

	master_disown(m, &now->log, "admin", -1);
	TAILQ_FOREACH(g, &m->generations, entry) {
		if (g != now) {
			listeners_disown_others(&g->listeners,
			    &now->listeners);
			listeners_disown_others(&g->admin, &now->admin);
		}
		/* Left is a mapping of the process itself, to read only. */
		mews_fleet_destroy(&g->fleet);
	}
	listeners_disown(&now->listeners);
	args.log = now->log;
	return admin_run(&args);
}

void
master_guard(struct master *m)
{
	m->guard.log = &m->log;
	m->guard.fleet = m->now->fleet;
	m->guard.child = master_admin_child;
	m->guard.child_arg = m;
	m->guard.wanted = m->now->admin.count > 0;
	if (m->guard.wanted && m->history == NULL)
		m->history = history_make(&m->history_fd);
}
