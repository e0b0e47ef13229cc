/*
 * ask.c - mews reload and upgrade: ask a running fleet, and wait for what comes
 * of it.
 *
 * The master leaves the outcome in a file, with the time at which it began. One
 * that began before we asked is none of ours; see reload.h.
 */
#include "ask.h"

#include "fail.h"
#include "process.h"
#include "reload.h"
#include "runtime.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ASK_MS	60000 /* for an outcome */
#define LOOK_MS 20    /* between two looks */

/* The outcome of a reload that began at @asked or later. */
static bool
look(const char *path, int64_t asked, enum ask_outcome *outcome,
    config_report_fn *report, void *arg, struct mews_error *error)
{
	FILE   *in = fopen(path, "re");
	char   *line = NULL, word[16];
	size_t	size = 0;
	int64_t began;
	int	at = 0;
	bool	found;

	if (in == NULL)
		return false;
	found = getline(&line, &size, in) > 0 &&
	    sscanf(line, "%" SCNd64 " %15s %n", &began, word, &at) == 2 &&
	    began >= asked && strcmp(word, RELOAD_REPLACED) != 0;
	if (found) {
		line[strcspn(line, "\n")] = '\0';
		*outcome = strcmp(word, RELOAD_READY) == 0 ? ASK_READY :
							     ASK_REFUSED;
		fail(error, "refused: %s", line + at);
	}
	while (found && getline(&line, &size, in) > 0) {
		line[strcspn(line, "\n")] = '\0';
		report(arg, line);
	}
	free(line);
	fclose(in);
	return found;
}

static enum ask_outcome
wait_for(const char *path, pid_t master, int64_t asked,
    config_report_fn *report, void *arg, struct mews_error *error)
{
	enum ask_outcome outcome;
	bool		 ended;

	while (process_now() - asked < ASK_MS) {
		ended = kill(master, 0) != 0 && errno == ESRCH;
		/* One that was replaced may end as soon as it has told. */
		if (look(path, asked, &outcome, report, arg, error))
			return outcome;
		if (ended) {
			fail(error, "the master, pid %jd, ended",
			    (intmax_t)master);
			return ASK_NOTHING;
		}
		usleep(LOOK_MS * 1000);
	}
	fail(error, "no outcome within %d s; it may still come: see the log",
	    ASK_MS / 1000);
	return ASK_NOTHING;
}

enum ask_outcome
ask_master(const struct config *config, int signal, config_report_fn *report,
    void *arg, struct mews_error *error)
{
	const char	*instance = config->fleet.instance;
	char		*pid_path, *path;
	enum ask_outcome outcome = ASK_REFUSED;
	int64_t		 asked = process_now();
	pid_t		 master;

	pid_path = config_pid_path(config->runtime_dir, instance);
	path = runtime_outcome_path(config->runtime_dir, instance);
	if (pid_path == NULL || path == NULL)
		fail(error, "out of memory");
	else if ((master = runtime_owner(pid_path)) <= 0)
		fail(error, "instance %s does not run, says %s", instance,
		    pid_path);
	else if (kill(master, signal) != 0)
		fail(error, "instance %s: cannot signal pid %jd: %s", instance,
		    (intmax_t)master, strerror(errno));
	else
		outcome = wait_for(path, master, asked, report, arg, error);
	free(pid_path);
	free(path);
	return outcome;
}
