/*
 * upgrade.c - the old master's side of an upgrade.
 */
#include "upgrade.h"

#include "handover.h"
#include "parts.h"
#include "places.h"
#include "room.h"
#include "signals.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/param.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define READY_MS   50000 /* from USR2 until each new worker is ready */
#define END_MS	   5000	 /* from TERM to KILL of one that is given up */
#define MONITOR_MS 5000	 /* from TERM to KILL of our monitor */
#define TELL_MS	   100	 /* between two reports to one that is apart */
#define GONE_MS	   1000	 /* until the workers of one that died are gone */

void
upgrade_init(struct upgrade *u, const char *name)
{
	size_t room = sizeof(u->binary);
	int    length;

	*u = (struct upgrade) { .channel = -1 };
	/* A link may lead to another version by then. */
	if (name[0] == '/')
		strlcpy(u->binary, name, room);
	else if (strchr(name, '/') != NULL &&
	    getcwd(u->binary, room) != NULL) {
		strlcat(u->binary, "/", room);
		strlcat(u->binary, name, room);
	} else {
		length = (int)readlink("/proc/self/exe", u->binary, room - 1);
		u->binary[length < 0 ? 0 : length] = '\0';
	}
}

/* In the child: let the next program have it. */
static void
keep(int fd)
{
	fcntl(fd, F_SETFD, 0);
}

static void
add_fds(FILE *to, const int *fds, size_t count, const char **between)
{
	for (size_t i = 0; i < count; i++)
		if (fds[i] >= 0) {
			keep(fds[i]);
			fprintf(to, "%s%d", *between, fds[i]);
			*between = ",";
		}
}

static void
add_text(FILE *to, const char *key, const char *text)
{
	fprintf(to, "%s=%s\n", key, text == NULL ? "" : text);
}

static void
add_wakes(FILE *to, const struct master *m)
{
	int	   *fds = calloc(HANDOVER_WAKES, sizeof(*fds));
	const char *between = "wakes=";

	if (fds != NULL)
		add_fds(to, fds, mews_fleet_wakes(m->now->fleet, fds,
		    HANDOVER_WAKES), &between);
	fputc('\n', to);
	free(fds);
}

/* Tell a new master that is apart what is known of each endpoint. */
static void
tell_endpoints(const struct master *m, bool lend,
    void (*tell)(void *arg, const char *line), void *arg)
{
	char line[MEWS_FLEET_TOLD];

	for (uint32_t i = 0; mews_fleet_tell(m->now->fleet, i, lend, line); i++)
		if (line[0] != '\0')
			tell(arg, line);
}

static void
add_endpoint(void *to, const char *line)
{
	add_text(to, "endpoint", line);
}

static void
send_endpoint(void *upgrade, const char *line)
{
	const struct upgrade *u = upgrade;

	handover_send(u->channel, "endpoint %s", line);
}

/* In the child: what is passed, as text. NULL: no memory. */
static char *
describe(const struct master *m, int channel)
{
	const struct generation *now = m->now;
	const char		*between = "sockets=";
	unsigned		 living;
	char			*text = NULL;
	size_t			 size;
	FILE			*to = open_memstream(&text, &size);

	if (to == NULL)
		return NULL;
	living = room_living(&m->generations) +
	    room_others(&m->generations, m->runtime.segment_path);
	keep(channel);
	keep(runtime_pid_fd(&m->runtime));
	fprintf(to, "channel=%d\npid_file=%d\n", channel,
	    runtime_pid_fd(&m->runtime));
	if (m->notify.fd != -1) {
		keep(m->notify.fd);
		fprintf(to, "notify=%d\n", m->notify.fd);
	}
	if (m->history_fd != -1) {
		keep(m->history_fd);
		fprintf(to, "history=%d\n", m->history_fd);
	}
	add_fds(to, now->listeners.fds, now->listeners.count, &between);
	add_fds(to, now->admin.fds, now->admin.count, &between);
	fputc('\n', to);
	add_wakes(to, m);
	add_text(to, "instance", m->config->fleet.instance);
	add_text(to, "runtime_dir", m->config->runtime_dir);
	add_text(to, "user", m->config->user);
	add_text(to, "group", m->config->group);
	fprintf(to, "configured=%u\nworkers=%u\nslots=%u\nliving=%u\n"
	    "generation=%u\nmade_dir=%d\n", m->config->workers,
	    now->workers.count, m->slots, living, m->number,
	    m->runtime.made_dir);
	tell_endpoints(m, false, add_endpoint, to);
	return fclose(to) == 0 ? text : NULL;
}

/* In the child. Does not return. */
static void
execute(const struct master *m, int channel)
{
	char  binary[sizeof(m->upgrade.binary)], run[] = "run", c[] = "-c";
	char  config[PATH_MAX], pid[16];
	char *arguments[] = { binary, run, c, config, NULL };
	char *text = describe(m, channel);

	strlcpy(binary, m->upgrade.binary, sizeof(binary));
	strlcpy(config, m->config->path, sizeof(config));
	snprintf(pid, sizeof(pid), "%jd", (intmax_t)getpid());
	if (getenv("WATCHDOG_PID") != NULL)
		setenv("WATCHDOG_PID", pid, 1);
	signals_reset();
	if (text != NULL && setenv("MEWS_UPGRADE", text, 1) == 0)
		execv(binary, arguments);
	handover_send(channel, "mistake mews: cannot run %s: %s", binary,
	    strerror(errno));
	_exit(127);
}

/* fork(2), and the child is our parent's. The library has no call for that
 * which goes on with the same stack. */
static pid_t
fork_sibling(void)
{
	const unsigned long flags = CLONE_PARENT | SIGCHLD;

#ifdef __s390x__
	return (pid_t)syscall(SYS_clone, 0ul, flags, 0ul, 0ul, 0ul);
#else
	return (pid_t)syscall(SYS_clone, flags, 0ul, 0ul, 0ul, 0ul);
#endif
}

static void
close_channel(struct upgrade *u)
{
	if (u->channel != -1)
		close(u->channel);
	u->channel = -1;
}

/* No process of the new master lives any more. */
static void
take_back(struct master *m)
{
	m->upgrade.take_back_at = 0;
	mews_fleet_take_back(m->now->fleet);
}

static void
refuse(struct master *m, const char *why)
{
	struct reload *r = &m->reload;
	char	       quoted[600];

	log_write(&m->log, MEWS_LOG_ERROR, "upgrade_refused",
	    "mistakes=%u why=%s serves=as_before", r->mistakes,
	    logfmt_value(quoted, sizeof(quoted), why));
	reload_tell(m, RELOAD_REFUSED, why);
	notify_reloading(&m->notify, false);
}

void
upgrade_give_up(struct master *m, const char *why)
{
	struct upgrade *u = &m->upgrade;

	if (u->pid == 0 || u->given_up || u->passed)
		return;
	/* One that was told to take over may own everything by now: it is
	 * waited for, or killed, and removes no file then. */
	if (u->going && process_now() < u->due)
		return;
	u->given_up = true;
	handover_send(u->channel, "no");
	kill(u->pid, u->going ? SIGKILL : SIGTERM);
	u->due = process_after(END_MS);
	refuse(m, why);
	/* The new master may have been about to take over. */
	mews_fleet_switch(m->now->fleet);
}

void
upgrade_begin(struct master *m)
{
	struct upgrade *u = &m->upgrade;
	int		ends[2];
	char		path[512];

	if (u->pid != 0 && !u->given_up) {
		/* The outcome is that of both. */
		m->reload.began = process_now();
		log_write(&m->log, MEWS_LOG_WARNING, "upgrade_under_way",
		    "new_master_pid=%jd", (intmax_t)u->pid);
		return;
	}
	reload_give_up(m, RELOAD_REFUSED, "an upgrade began");
	reload_ask(m);
	log_write(&m->log, MEWS_LOG_INFO, "upgrade", "binary=%s",
	    logfmt_value(path, sizeof(path), u->binary));
	if (getpid() == 1) {
		refuse(m, "the master is process 1, which cannot be replaced: "
		    "start another container");
		return;
	}
	if (m->keeps) {
		refuse(m, "a monitor that serves nobody is started anew "
		    "instead: who is attached goes on, and attaches to the "
		    "next one");
		return;
	}
	if (u->pid != 0) {
		refuse(m, "the one before has not ended yet");
		return;
	}
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) {
		refuse(m, strerror(errno));
		return;
	}
	if (u->take_back_at != 0)
		take_back(m);
	u->sibling = m->notify.fd != -1;
	if ((u->pid = u->sibling ? fork_sibling() : fork()) == 0) {
		close(ends[0]);
		execute(m, ends[1]);
	}
	close(ends[1]);
	if (u->pid == -1) {
		u->pid = 0;
		close(ends[0]);
		refuse(m, strerror(errno));
		return;
	}
	u->channel = ends[0];
	u->given_up = u->going = u->apart = false;
	u->due = process_after(READY_MS);
	notify_reloading(&m->notify, true);
}

/* The new master serves: what is left is to drain. */
static void
pass(struct master *m, const char *text)
{
	struct generation *g;
	char		   said[HANDOVER_TEXT + 32];

	m->upgrade.passed = true;
	notify_pass(&m->notify, m->upgrade.pid);
	log_write(&m->log, MEWS_LOG_INFO, "upgraded",
	    "new_master_pid=%jd %s", (intmax_t)m->upgrade.pid, text);
	snprintf(said, sizeof(said), "%s ms=%jd", text,
	    (intmax_t)(process_now() - m->reload.began));
	reload_tell(m, RELOAD_READY, said);
	runtime_pass(&m->runtime, m->upgrade.apart);
	mews_fleet_hand_over(m->now->fleet);
	guard_end(&m->guard);
	TAILQ_FOREACH(g, &m->generations, entry) {
		listeners_disown(&g->listeners);
		listeners_disown(&g->admin);
		workers_pass(&g->workers);
	}
	m->upgrade.tell_at = 0;
	if (m->upgrade.apart)
		return;
	m->monitor.stopping = true;
	workers_stop(&m->monitor, SIGTERM, MONITOR_MS);
}

/* The new master does not read our segment, so it is told. */
static void
tell_on(struct master *m)
{
	struct upgrade *u = &m->upgrade;

	if (!u->apart || u->given_up || process_now() < u->tell_at)
		return;
	u->tell_at = process_after(TELL_MS);
	if (handover_is_idle(u->channel))
		tell_endpoints(m, true, send_endpoint, u);
}

static void bury(struct master *m, const char *how);

static void
hear(struct master *m)
{
	struct upgrade *u = &m->upgrade;
	char		text[HANDOVER_TEXT];
	int		got;

	while (u->channel != -1 &&
	    (got = handover_receive(u->channel, text)) != 0)
		if (got == -1) {
			close_channel(u);
			/* A stop of the new master means us as well. */
			if (u->passed && !m->stopping)
				kill(getpid(), SIGTERM);
			/* The end of a child is told by the system. */
			if (u->sibling && u->pid != 0)
				bury(m, "");
		} else if (strncmp(text, "mistake ", 8) == 0)
			reload_say(m, text + 8);
		else if (strcmp(text, "apart") == 0)
			u->apart = !u->given_up && !u->going;
		else if (strcmp(text, "ready") == 0 && !u->given_up) {
			u->going = true;
			handover_send(u->channel, "go");
		} else if (strncmp(text, "serves ", 7) == 0 && !u->given_up)
			pass(m, text + 7);
		else if (strcmp(text, "logs") == 0)
			logs_renew(m);
		else if (strcmp(text, "stop") == 0 && u->passed)
			kill(getpid(), SIGTERM);
		else if (strcmp(text, "quit") == 0 && u->passed)
			kill(getpid(), SIGQUIT);
}

void
upgrade_go_on(struct master *m)
{
	struct upgrade *u = &m->upgrade;

	hear(m);
	tell_on(m);
	if (u->take_back_at != 0 && process_now() >= u->take_back_at)
		take_back(m);
	if (u->passed && !u->told && (u->apart || workers_gone(&m->monitor))) {
		handover_send(u->channel, "monitor");
		u->told = true;
	}
	if (u->pid == 0 || u->passed || process_now() < u->due)
		return;
	if (u->given_up) {
		kill(u->pid, SIGKILL);
		u->due = process_after(END_MS);
		/* Another process may soon have the number of a sibling, whose
		 * end is not ours to wait for. */
		if (u->sibling) {
			close_channel(u);
			bury(m, "");
		}
	} else
		upgrade_give_up(m, "the new master was not ready in time");
}

bool
upgrade_lives(const struct master *m)
{
	return m->upgrade.pid != 0 && !m->upgrade.passed;
}

bool
upgrade_is_going(const struct master *m)
{
	return m->upgrade.going && !m->upgrade.given_up && !m->upgrade.passed;
}

/* The new master is gone, @how: " with ..."; "": nobody knows. */
static void
bury(struct master *m, const char *how)
{
	struct upgrade *u = &m->upgrade;
	char		why[128];

	if (!u->passed && !u->given_up) {
		snprintf(why, sizeof(why), "the new master ended%s%s", how,
		    m->reload.mistakes > 0 ? "" : "; the log says why");
		refuse(m, why);
	}
	if (!u->passed) {
		/* A new master may have died while it took over. */
		if (u->going) {
			mews_fleet_set_master(m->now->fleet, getpid(),
			    m->number);
			runtime_own(&m->runtime);
		}
		mews_fleet_switch(m->now->fleet);
		u->take_back_at = process_after(GONE_MS);
		u->apart = false;
	}
	u->pid = 0;
	u->going = false;
}

bool
upgrade_bury(struct master *m, pid_t pid, int wait_status)
{
	struct upgrade *u = &m->upgrade;
	char		end[64], how[80];

	if (u->pid == 0 || pid != u->pid)
		return false;
	hear(m); /* its last words */
	close_channel(u);
	snprintf(how, sizeof(how), " with %s",
	    process_end_text(end, sizeof(end), wait_status));
	bury(m, how);
	return true;
}

void
upgrade_emptied(struct master *m)
{
	struct upgrade *u = &m->upgrade;

	if (u->passed && u->apart && u->alone_since == 0)
		u->alone_since = process_now();
}

bool
upgrade_holds(const struct master *m)
{
	const struct upgrade *u = &m->upgrade;

	return !m->stopping && u->channel != -1 &&
	    mews_fleet_held(m->now->fleet) > 0 &&
	    process_now() - u->alone_since <
	    places_patience(&m->now->workers);
}

int64_t
upgrade_due(const struct master *m)
{
	const struct upgrade *u = &m->upgrade;
	int64_t		      due;

	due = u->pid == 0 || u->passed ? INT64_MAX : u->due;
	if (u->apart && !u->given_up && u->channel != -1)
		due = MIN(due, u->tell_at);
	if (u->take_back_at != 0)
		due = MIN(due, u->take_back_at);
	return due;
}
