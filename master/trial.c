/*
 * trial.c - try what a configuration asks for before a fleet is made of it.
 *
 * The child says what is wrong through a pipe, a line each, and at its end
 * that it came so far: an application may end it while it is loaded, even
 * with status 0. It does what the master would do, in the same order: as root
 * first, then as who serves.
 */
#include "trial.h"

#include "fail.h"
#include "files.h"
#include "listener.h"
#include "logs.h"
#include "privileges.h"
#include "room.h"
#include "runtime.h"
#include "standard.h"
#include "worker.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#define CAME_SO_FAR "." /* the last line */

/* In the child: what cannot be done, a line of @to. */
static bool
say(FILE *to, bool done, const struct mews_error *error)
{
	if (!done)
		fprintf(to, "%s%s\n",
		    error->status == MEWS_INVALID ? "" : "mews: ",
		    error->message);
	return done;
}

static bool
try_application(const struct config *config, struct mews_error *error)
{
	const struct mews_app *app;

	return (application_load(config->app, &app, error) &&
	    application_check(app, config, error)) ||
	    fail_at(error, config->path, config->app_line, "%s",
		error->message);
}

static bool
try_tcp(const struct config *config, struct mews_error *error)
{
	struct listeners set;
	bool		 done;

	done = listeners_init(&set, config, error) &&
	    listeners_bind(&set, LISTENER_TCP, 0, error);
	listeners_close(&set);
	return done;
}

/* In the child, as the user who serves: warn of what goes well for a while. */
static void
warn(FILE *to, const struct config *config, const struct privileges *who)
{
	uint64_t allowed = files_allowed(false), besides, clients;

	if (access(config->path, R_OK) != 0)
		fprintf(to, "%s:%u: warning: user %s cannot read this file, "
		    "and so cannot reload it: %s\n", config->path,
		    config->user_line, who->name, strerror(errno));
	clients = config->http.max_connections;
	besides = files_besides_clients(&config->fleet,
	    room_slots(config->workers));
	if (allowed < besides + clients)
		fprintf(to, "%s:%u: warning: http: max_connections = %ju: a "
		    "worker may have %ju descriptors (nofile), and needs %ju "
		    "besides: raise ulimit -n, or LimitNOFILE= of its unit, "
		    "to %ju\n", config->path, config->http_line,
		    (uintmax_t)clients, (uintmax_t)allowed,
		    (uintmax_t)besides, (uintmax_t)(besides + clients));
}

/* In the child: be ended by ALRM if it takes longer than a worker may hang. */
static void
limit_time(const struct config *config)
{
	const struct itimerval limit = { .it_value = {
		.tv_sec = config->worker_timeout / 1000,
		.tv_usec = config->worker_timeout % 1000 * 1000 } };
	sigset_t alarm;

	if (config->worker_timeout == MEWS_FOREVER)
		return;
	sigemptyset(&alarm);
	sigaddset(&alarm, SIGALRM);
	signal(SIGALRM, SIG_DFL);
	sigprocmask(SIG_UNBLOCK, &alarm, NULL);
	setitimer(ITIMER_REAL, &limit, NULL);
}

/* In the child. Does not return. */
static void
finish(FILE *to, bool good)
{
	fprintf(to, "%s\n", CAME_SO_FAR);
	_exit(fflush(to) == 0 && good ? 0 : 1);
}

/* In the child: keep @answer alone of what the master has open. A process that
 * the application forks while it is loaded may live on, and would hold the
 * channel of an upgrade and the lock of the pid file. Returns its number. */
static int
keep_alone(int answer)
{
	const int first = STDERR_FILENO + 1;

	if (answer != first)
		answer = dup3(answer, first, O_CLOEXEC);
	closefrom(first + 1);
	return answer;
}

/* Does not return. */
static void
child(const struct config *config, const struct privileges *who, bool all,
    int answer)
{
	struct mews_error error = { .message = "" };
	FILE		 *to = fdopen(keep_alone(answer), "w");
	struct standard	  standard;
	bool		  whole, good = true;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	standard_open(&standard);
	standard_take(&standard);
	if (to == NULL)
		_exit(2);
	whole = all;
	if (all && runtime_instance_runs(config))
		all = false;
	if (all) {
		good &= say(to, runtime_check(config, who, &error), &error);
		good &= say(to, try_tcp(config, &error), &error);
	}
	if (!say(to, privileges_drop(who, &error), &error))
		finish(to, false);
	/* A change of the user took it back. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (all) {
		good &= say(to, runtime_check_rights(config, who, &error),
		    &error);
		good &= say(to, listeners_check_unix(config, &error), &error);
	}
	if (whole) {
		good &= say(to, logs_check(config, who->name, &error), &error);
		warn(to, config, who);
	}
	fflush(to);
	limit_time(config);
	good &= say(to, try_application(config, &error), &error);
	finish(to, good);
}

/* How a child ended that did not say why. */
static void
report_end(const struct config *config, int status, config_report_fn *report,
    void *arg)
{
	struct mews_error error;
	const char	 *name;

	if (WIFEXITED(status))
		fail_at(&error, config->path, config->app_line,
		    "%s: ended the process with status %d while it was "
		    "loaded", config->app, WEXITSTATUS(status));
	else if (WTERMSIG(status) == SIGALRM)
		fail_at(&error, config->path, config->app_line,
		    "%s: was not loaded within worker_timeout, %u ms",
		    config->app, config->worker_timeout);
	else {
		name = sigabbrev_np(WTERMSIG(status));
		fail_at(&error, config->path, config->app_line,
		    "%s: crashed with signal %s while it was loaded",
		    config->app, name != NULL ? name : "?");
	}
	report(arg, error.message);
}

/* Returns whether it said that it came so far. */
static bool
pass_on(int from, config_report_fn *report, void *arg)
{
	FILE	*in = fdopen(from, "r");
	char	*line = NULL;
	size_t	 size = 0;
	bool	 done = false;

	if (in == NULL) {
		close(from);
		return false;
	}
	while (!done && getline(&line, &size, in) > 0) {
		line[strcspn(line, "\n")] = '\0';
		done = strcmp(line, CAME_SO_FAR) == 0;
		if (!done)
			report(arg, line);
	}
	free(line);
	fclose(in);
	return done;
}

bool
trial_run(const struct config *config, bool all, config_report_fn *report,
    void *arg)
{
	struct privileges who;
	struct mews_error error;
	bool		  done;
	pid_t		  pid, ended;
	int		  ends[2], status;

	if (!privileges_find(&who, config, &error)) {
		report(arg, error.message);
		return false;
	}
	fflush(NULL);
	if (pipe2(ends, O_CLOEXEC) != 0) {
		fail(&error, "mews: pipe: %s", strerror(errno));
		report(arg, error.message);
		return false;
	}
	if ((pid = fork()) == 0)
		child(config, &who, all, ends[1]);
	close(ends[1]);
	if (pid == -1) {
		fail(&error, "mews: fork: %s", strerror(errno));
		close(ends[0]);
		report(arg, error.message);
		return false;
	}
	done = pass_on(ends[0], report, arg);
	do
		ended = waitpid(pid, &status, 0);
	while (ended == -1 && errno == EINTR);
	if (done && ended == pid && WIFEXITED(status))
		return WEXITSTATUS(status) == 0;
	if (!done && ended == pid)
		report_end(config, status, report, arg);
	return false;
}

static void
pass_line(void *answer, const char *line)
{
	dprintf(*(int *)answer, "%s\n", line);
}

bool
trial_report(const struct config *config, int answer)
{
	return trial_run(config, false, pass_line, &answer);
}
