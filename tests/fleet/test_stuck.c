/*
 * test_stuck.c - a worker that hangs says what it was doing, or else the kernel
 * says it, before the worker is killed and replaced.
 */
#include "fleet.h"
#include "unit.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define WORKERS	   4
#define TIMEOUT_MS 2000

static struct fleet	   the_fleet;
static struct fleet *const fleet = &the_fleet;
static char		   began[300]; /* gets a byte for each request */

/* Send a request that is never answered; returns when a worker has it. */
static void
get_stuck(const char *path)
{
	struct stat before, now;

	ck_assert_int_eq(stat(began, &before), 0);
	if (fork() == 0)
		_exit(fleet_get(fleet, path));
	fleet_wait(stat(began, &now) == 0 && now.st_size == before.st_size + 1);
}

/* A line of the log with all of these words; "" if there is none. */
static const char *
line_with(const char *a, const char *b)
{
	static char line[2000];
	const char *at = fleet_log_text(fleet);

	while ((at = strstr(at, a)) != NULL) {
		snprintf(line, sizeof(line), "%.*s", (int)strcspn(at, "\n"),
		    at);
		if (strstr(line, b) != NULL)
			return line;
		at++;
	}
	return "";
}

static void
assert_has(const char *line, const char *word)
{
	ck_assert_msg(strstr(line, word) != NULL,
	    "no %s in \"%.900s\": %.2500s", word, line,
	    fleet_log_text(fleet));
}

/* The line about itself of a worker at that path. */
static const char *
own_words(const char *path)
{
	char	    word[40];
	const char *line, *ms;

	snprintf(word, sizeof(word), "path=%s ", path);
	line = line_with("event=worker_stuck ", word);
	assert_has(line, "in=request ");
	assert_has(line, "method=GET ");
	ck_assert_ptr_nonnull(ms = strstr(line, "for_ms="));
	ck_assert_int_ge(atoi(ms + strlen("for_ms=")), TIMEOUT_MS / 2);
	return line;
}

START_TEST(workers_that_hang_are_described_killed_and_replaced)
{
	pid_t	    workers[FLEET_WORKERS_MAX], stopped;
	const char *line;
	char	    word[40];

	fleet_init(fleet, "worker_timeout = 2s\n");
	fleet_edit(fleet, "workers = 2", "workers = 4");
	snprintf(began, sizeof(began), "%s/began", fleet->dir);
	ck_assert_int_eq(close(open(began, O_CREAT | O_WRONLY, 0666)), 0);
	ck_assert_int_eq(chmod(began, 0666), 0);
	setenv("MEWS_TEST_BEGAN", began, 1);
	fleet_start(fleet);
	stopped = fleet_get_worker(fleet);
	ck_assert_int_eq(kill(stopped, SIGSTOP), 0);
	get_stuck("/loop");
	get_stuck("/hang");
	get_stuck("/spin");
	fleet_wait(fleet_logged(fleet, "event=worker_exited") == WORKERS);
	ck_assert_int_eq(fleet_logged(fleet, "event=worker_hangs"), WORKERS);

	/* A busy worker tells its request, statement, how long it takes, and
	 * the stack. */
	line = own_words("/loop");
	assert_has(line, "statement=\"select 1 /* never answered */\"");
	assert_has(line, "app.so+0x");
	assert_has(line, "worker_run+0x");
	/* A worker that sleeps in a system call; the kernel tells the call as
	 * well. */
	line = own_words("/hang");
	assert_has(line, "pause+0x");
	assert_has(line_with("event=worker_hangs ", "os_state=S"), "state=");
	/* A worker that is stopped, or blocks signals, says nothing; the kernel
	 * does. */
	ck_assert_int_eq(fleet_logged(fleet, "event=worker_stuck "), 2);
	snprintf(word, sizeof(word), "worker_pid=%jd ", (intmax_t)stopped);
	line = line_with("event=worker_hangs ", word);
	assert_has(line, "os_state=T");
	assert_has(line, "state=ready ");
	assert_has(line_with("event=worker_hangs ", "os_state=R"),
	    "silent_ms=");

	fleet_wait(fleet_workers(fleet, workers) == WORKERS);
	ck_assert_int_eq(fleet_get(fleet, "/"), 200);
	ck_assert_int_eq(fleet_end(fleet, SIGTERM), 0);
}
END_TEST

static Suite *
stuck_suite(void)
{
	Suite *suite = suite_create("stuck");
	TCase *tcase = unit_case(suite, "stuck");

	tcase_set_timeout(tcase, 180);
	tcase_add_unchecked_fixture(tcase, fleet_make_base,
	    fleet_remove_base);
	tcase_add_test(tcase,
	    workers_that_hang_are_described_killed_and_replaced);
	return suite;
}

UNIT_MAIN(stuck_suite)
