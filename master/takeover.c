/*
 * takeover.c - the new master's side of an upgrade.
 */
#include "takeover.h"

#include "fail.h"
#include "handover.h"
#include "history.h"
#include "parts.h"
#include "places.h"
#include "room.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/param.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define OLD_ENDS_MS 2000 /* for an old master, behind its workers' patience */

static bool
check_fixed(const struct master *m, struct mews_error *error)
{
	const struct handover *h = m->handover;
	const struct config   *to = m->config;
	const struct {
		const char *key, *was, *is;
	} fixed[] = {
		{ "instance", h->instance, to->fleet.instance },
		{ "runtime_dir", h->runtime_dir, to->runtime_dir },
		{ "user", h->user, to->user },
		{ "group", h->group, to->group == NULL ? "" : to->group },
	};

	for (size_t i = 0; i < sizeof(fixed) / sizeof(fixed[0]); i++)
		if (strcmp(fixed[i].was, fixed[i].is) != 0)
			return fail(error, "%s: %s cannot change while the "
			    "fleet runs: it is \"%s\"", to->path, fixed[i].key,
			    fixed[i].was);
	return true;
}

static bool
check_room(struct master *m, unsigned count, struct mews_error *error)
{
	const struct handover *h = m->handover;

	m->slots = h->slots;
	return h->living + count <= h->slots ||
	    fail(error, "%s: workers: no room for %u beside %u that live: the "
		"segment has %u slots; try again when fewer drain, or restart",
		m->config->path, count, h->living, h->slots);
}

/* The segment of the old master is of another version: what it knows has to be
 * said, before the first worker begins. */
static bool
be_told(struct master *m, unsigned slots, struct mews_error *error)
{
	const struct handover *h = m->handover;

	m->slots = slots;
	if (h->told_count == 0)
		return fail(error, "the segment is of another version of mews, "
		    "and the master that runs cannot tell what is in it: stop "
		    "the fleet, and start it");
	for (size_t i = 0; i < h->told_count; i++)
		if (mews_fleet_hear(m->now->fleet, h->told[i]) != MEWS_OK)
			return fail(error, "what the master that runs tells of "
			    "an endpoint is not understood: %.200s",
			    h->told[i]);
	handover_send(h->channel, "apart");
	return true;
}

bool
takeover_open(struct master *m, struct mews_error *error)
{
	struct handover	  *h = m->handover;
	struct generation *g = m->now;
	struct mews_config fleet = m->config->fleet;

	m->start_workers = m->config->workers == h->configured ? h->workers :
	    m->config->workers;
	if (!check_fixed(m, error) ||
	    !runtime_adopt(&m->runtime, m->config, &m->user, h->pid_file,
		h->made_dir, error) ||
	    !listeners_init_own(&g->listeners, m->config, error) ||
	    !listeners_init_own(&g->admin, &g->admin_config, error))
		return false;
	listeners_take(&g->listeners, &h->sockets);
	listeners_take(&g->admin, &h->sockets);
	fleet.abi = MEWS_ABI;
	fleet.runtime_file = m->runtime.segment_path;
	/* Where our segment is one of our own. TTIN may have added workers
	 * beyond what a configuration may name. */
	fleet.workers = MIN(m->start_workers, MEWS_WORKERS_MAX);
	fleet.slots = MIN(room_slots(m->start_workers), MEWS_SLOTS_MAX);
	if (!listeners_bind(&g->listeners, LISTENER_TCP, 0, error) ||
	    !listeners_bind(&g->admin, LISTENER_TCP, 0, error) ||
	    !privileges_drop(&m->user, error) ||
	    !listeners_bind(&g->listeners, LISTENER_UNIX, 0, error) ||
	    !listeners_bind(&g->admin, LISTENER_UNIX, 0, error) ||
	    mews_fleet_adopt(&g->fleet, &fleet, h->wakes, h->wake_count,
		error) != MEWS_OK ||
	    !(mews_fleet_is_apart(g->fleet) ? be_told(m, fleet.slots, error) :
		check_room(m, m->start_workers, error)))
		return false;
	/* The old master serves meanwhile, and has a limit for us. */
	mews_fleet_resolve(g->fleet);
	return true;
}

/* Sockets that were passed, and that our configuration does not name. */
static void
drop_others(struct handover *h)
{
	struct sockaddr_un at;
	socklen_t	   length;

	for (int i = 0; i < h->sockets.count; i++) {
		if (h->sockets.fds[i] == -1)
			continue;
		memset(&at, 0, sizeof(at));
		length = sizeof(at) - 1;
		if (getsockname(h->sockets.fds[i], (struct sockaddr *)&at,
			&length) == 0 && at.sun_family == AF_UNIX)
			unlink(at.sun_path);
		close(h->sockets.fds[i]);
		h->sockets.fds[i] = -1;
	}
}

/* Take over what the page remembers: the old admin process ends soon, and ours
 * has not begun. */
static void
take_history(struct master *m)
{
	int fd = m->handover->history;

	if (m->history != NULL && fd != -1 &&
	    !history_take(m->history, fd, (uint32_t)(process_now() / 1000)))
		log_write(&m->log, MEWS_LOG_INFO, "history_not_taken_over",
		    "hint=\"another version of mews wrote it\"");
}

static void
commit(struct master *m)
{
	struct generation *g = m->now;

	m->number = m->handover->number + 1;
	mews_fleet_set_master(g->fleet, getpid(), m->number);
	mews_fleet_switch(g->fleet);
	/* An old master that died removes nothing. */
	if (m->handover->channel == -1)
		mews_fleet_inherit(g->fleet);
	runtime_own(&m->runtime);
	listeners_own(&g->listeners);
	listeners_own(&g->admin);
	drop_others(m->handover);
	take_history(m);
	m->takeover.done = true;
	log_write(&m->log, MEWS_LOG_INFO, "took_over",
	    "generation=%u workers=%u", m->number, g->workers.count);
	handover_send(m->handover->channel, "serves generation=%u workers=%u",
	    m->number, g->workers.count);
}

static void
hear(struct master *m)
{
	struct handover *h = m->handover;
	char		 text[HANDOVER_TEXT];
	int		 got;

	while (h->channel != -1 &&
	    (got = handover_receive(h->channel, text)) != 0)
		if (got == -1) {
			close(h->channel);
			h->channel = -1;
			/* The lock of the fleet's maker is free. */
			if (m->takeover.done && !m->upgrade.passed)
				mews_fleet_set_master(m->now->fleet, getpid(),
				    m->number);
			mews_fleet_inherit(m->now->fleet);
		} else if (strcmp(text, "go") == 0)
			m->takeover.go = true;
		else if (strcmp(text, "no") == 0)
			m->takeover.failed = true;
		else if (strcmp(text, "monitor") == 0)
			m->takeover.monitor = true;
		else if (strncmp(text, "endpoint ", 9) == 0)
			/* A line that makes no sense changes nothing. */
			mews_fleet_hear(m->now->fleet, text + 9);
}

void
takeover_go_on(struct master *m)
{
	const struct process *p;

	if (m->handover == NULL)
		return;
	hear(m);
	if (m->takeover.done || m->takeover.failed || m->stopping)
		return;
	TAILQ_FOREACH(p, &m->now->workers.list, entry)
		if (p->deaths > 0) {
			m->takeover.failed = true;
			kill(getpid(), SIGTERM);
			return;
		}
	if (!m->now->workers.all_ready)
		return;
	if (!m->takeover.ready)
		handover_send(m->handover->channel, "ready");
	m->takeover.ready = true;
	/* The old master may have died meanwhile. */
	if (m->takeover.go || m->handover->channel == -1)
		commit(m);
}

/* Is the old master still there, after we took over? */
static bool
drains(const struct master *m)
{
	return m->handover != NULL && m->takeover.done &&
	    m->handover->channel != -1;
}

void
takeover_stop(struct master *m, int signal, int64_t patience_ms)
{
	if (!drains(m))
		return;
	handover_send(m->handover->channel, "%s",
	    signal == SIGQUIT ? "quit" : "stop");
	m->takeover.until = process_after(patience_ms == PROCESS_NEVER ?
	    PROCESS_NEVER : patience_ms + OLD_ENDS_MS);
}

int64_t
takeover_until(const struct master *m)
{
	return m->stopping && drains(m) && process_now() < m->takeover.until ?
	    m->takeover.until : 0;
}

bool
takeover_waits(const struct master *m)
{
	return m->handover != NULL && !m->takeover.done;
}

bool
takeover_lets_monitor(const struct master *m)
{
	return m->handover == NULL || (m->takeover.done &&
	    (m->takeover.monitor || m->handover->channel == -1));
}
