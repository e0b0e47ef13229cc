/*
 * test_blocked.c - neither a log that nobody reads nor a dead master leaves a
 * process behind.
 */
#include "fleet.h"
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <pty.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

static struct fleet	   the_fleet;
static struct fleet *const fleet = &the_fleet;
static pid_t workers[FLEET_WORKERS_MAX];

#define MALFORMED 200 /* requests; each makes a line, if there is room */

/* Fill the pipe, so that nothing fits into it any more. */
static void
fill(int fd)
{
	char path[40];
	int  other;

	/* Open the pipe again, as the flags of the fleet's descriptor must
	 * stay. */
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	other = open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
	ck_assert_int_ne(other, -1);
	while (write(other, "\n", 1) == 1)
		;
	ck_assert_int_eq(errno, EAGAIN);
	close(other);
}

/* Start a fleet whose stderr is a pipe of 4 kB, fill it, and go on. Returns the
 * pipe's other end. */
static int
start_blocked(void)
{
	char full[4096];
	int  ends[2], copy;

	fleet_init(fleet, "graceful_timeout = 2s\n");
	fleet_ignore_leaks();
	ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
	ck_assert_int_eq(fcntl(ends[1], F_SETPIPE_SZ, 4096), 4096);
	ck_assert_int_eq(fcntl(ends[0], F_SETFL, O_NONBLOCK), 0);
	ck_assert_int_ne(copy = fcntl(ends[1], F_DUPFD_CLOEXEC, 0), -1);
	fleet_launch_log(fleet, ends[1]);
	fleet_wait(fleet_get(fleet, "/") == 200);
	fill(copy);
	close(copy);
	for (int i = 0; i < MALFORMED; i++)
		fleet_send(fleet, "\x01 malformed\r\nx: y\r\n\r\n");
	ck_assert_int_eq(fleet_get(fleet, "/"), 200);
	ck_assert_int_gt(read(ends[0], full, sizeof(full)), 2000);
	return ends[0];
}

/* The text that was written since the last call. */
static const char *
read_log(int fd)
{
	static char text[1 << 16];
	ssize_t	    length = read(fd, text, sizeof(text) - 1);

	text[length > 0 ? length : 0] = '\0';
	return text;
}

START_TEST(a_blocked_log_stops_neither_service_nor_end)
{
	pid_t old;

	start_blocked();
	fleet_wait(fleet_workers(fleet, workers) == 3);
	old = fleet_get_worker(fleet);
	ck_assert_int_eq(kill(old, SIGKILL), 0);
	fleet_wait(!fleet_is_alive(old));
	fleet_wait(fleet_workers(fleet, workers) == 3);
	for (int i = 0; i < MALFORMED; i++)
		fleet_send(fleet, "\x01 malformed\r\nx: y\r\n\r\n");
	ck_assert_int_eq(fleet_get(fleet, "/"), 200);
	ck_assert_int_eq(fleet_end(fleet, _i == 0 ? SIGTERM : SIGQUIT), 0);
}
END_TEST

/* The sum of the lines that are said to be lost. */
static int
count_lost(const char *text)
{
	static const char told[] = "event=log_dropped lines=";
	int		  sum = 0;

	while ((text = strstr(text, told)) != NULL)
		sum += atoi(text += strlen(told));
	return sum;
}

START_TEST(lines_that_a_blocked_log_lost_are_counted_later)
{
	int	fd = start_blocked(), lost = 0;

	/* The count comes without another line of that worker, for all workers,
	 * each of which may write ten lines at once. On a busy machine it comes
	 * in parts. */
	fleet_wait((lost += count_lost(read_log(fd))) > 10);
	ck_assert_int_eq(fleet_end(fleet, SIGTERM), 0);
}
END_TEST

/* Standard output and error of the fleet are not read. */
enum { PIPE, TERMINAL, JOURNAL, PLACES };

static int
open_place(int place)
{
	struct termios raw;
	struct stat    st;
	char	       name[64];
	int	       ends[2];

	if (place == PIPE) {
		ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
		return ends[1];
	}
	if (place == TERMINAL) {
		ck_assert_int_eq(openpty(&ends[0], &ends[1], NULL, NULL,
		    NULL), 0);
		tcgetattr(ends[1], &raw);
		cfmakeraw(&raw);
		tcsetattr(ends[1], TCSANOW, &raw);
		return ends[1];
	}
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0,
	    ends), 0);
	ck_assert_int_eq(fstat(ends[1], &st), 0);
	snprintf(name, sizeof(name), "%ju:%ju", (uintmax_t)st.st_dev,
	    (uintmax_t)st.st_ino);
	setenv("JOURNAL_STREAM", name, 1);
	return ends[1];
}

START_TEST(an_application_that_shouts_stops_no_worker)
{
	fleet_init(fleet, "");
	fleet_ignore_leaks();
	fleet_launch_log(fleet, open_place(_i));
	fleet_wait(fleet_get(fleet, "/") == 200);
	ck_assert_int_eq(fleet_get(fleet, "/shout"), 200);
	ck_assert_int_eq(fleet_get(fleet, "/shout"), 200);
	ck_assert_int_eq(fleet_end(fleet, SIGTERM), 0);
}
END_TEST

START_TEST(no_process_outlives_a_killed_master_with_a_blocked_log)
{
	pid_t all[FLEET_WORKERS_MAX];
	int   count;

	start_blocked();
	count = fleet_workers(fleet, all);
	ck_assert_int_eq(count, 3);
	ck_assert_int_eq(fleet_end(fleet, SIGKILL), -SIGKILL);
	for (int i = 0; i < count; i++)
		fleet_wait(!fleet_is_alive(all[i]));
}
END_TEST

/* Start a fleet, one worker of which never returns from a request to @path. */
static void
start_hanging(const char *path, const char *more)
{
	char	    began[300];
	struct stat st;

	fleet_init(fleet, more);
	fleet_ignore_leaks();
	snprintf(began, sizeof(began), "%s/began", fleet->dir);
	ck_assert_int_eq(close(open(began, O_CREAT | O_WRONLY, 0666)), 0);
	ck_assert_int_eq(chmod(began, 0666), 0);
	setenv("MEWS_TEST_BEGAN", began, 1);
	fleet_start(fleet);
	ck_assert_int_eq(fleet_workers(fleet, workers), 2);
	if (fork() == 0)
		_exit(fleet_get(fleet, path));
	fleet_wait(stat(began, &st) == 0 && st.st_size == 1);
}

START_TEST(a_worker_that_hangs_does_not_outlive_a_killed_master)
{
	start_hanging("/hang", "worker_timeout = 2s\n");
	ck_assert_int_eq(fleet_end(fleet, SIGKILL), -SIGKILL);
	fleet_wait(!fleet_is_alive(workers[0]) && !fleet_is_alive(workers[1]));
}
END_TEST

START_TEST(a_worker_that_was_stopped_does_not_outlive_a_killed_master)
{
	fleet_init(fleet, "");
	fleet_ignore_leaks();
	fleet_start(fleet);
	ck_assert_int_eq(fleet_workers(fleet, workers), 2);
	ck_assert_int_eq(kill(workers[0], SIGSTOP), 0);
	ck_assert_int_eq(fleet_end(fleet, SIGKILL), -SIGKILL);
	fleet_wait(!fleet_is_alive(workers[0]) && !fleet_is_alive(workers[1]));
}
END_TEST

START_TEST(the_next_master_ends_who_did_not_end)
{
	static const char *const paths[] = { "/hang", "/spin" };

	start_hanging(paths[_i], "worker_timeout = never\n");
	ck_assert_int_eq(fleet_end(fleet, SIGKILL), -SIGKILL);
	fleet_start(fleet);
	ck_assert_int_eq(fleet_logged(fleet, "event=leftover_killed"), 1);
	fleet_wait(!fleet_is_alive(workers[0]) && !fleet_is_alive(workers[1]));
	ck_assert_int_eq(fleet_get(fleet, "/"), 200);
	ck_assert_int_eq(fleet_end(fleet, SIGTERM), 0);
}
END_TEST

/* A full pipe that nobody reads. */
static int
open_full(void)
{
	int ends[2];

	ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
	ck_assert_int_eq(fcntl(ends[1], F_SETPIPE_SZ, 4096), 4096);
	fill(ends[1]);
	return ends[1];
}

START_TEST(a_start_that_fails_with_a_blocked_log_ends)
{
	int taken, status;

	fleet_init(fleet, "");
	taken = fleet_take_port(fleet);
	fleet_launch_log(fleet, open_full());
	fleet_wait(waitpid(fleet->master, &status, WNOHANG) == fleet->master);
	ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 1);
	close(taken);
}
END_TEST

/* The warning of a password is written before there is a log. */
START_TEST(a_start_with_a_blocked_stderr_serves)
{
	fleet_init(fleet, "endpoint b { conninfo = 'host=b password=x' }\n");
	fleet_ignore_leaks();
	fleet_launch_log(fleet, open_full());
	fleet_wait(fleet_get(fleet, "/") == 200);
	ck_assert_int_eq(fleet_end(fleet, SIGTERM), 0);
}
END_TEST

/* Run a command whose stderr is not read; its exit status. */
static int
run_blocked(const char *command, const char *config)
{
	const int full = open_full();
	pid_t	  child = fork();
	int	  status;

	if (child == 0) {
		dup2(full, STDERR_FILENO);
		execl(getenv("MEWS"), "mews", command, "-c", config, NULL);
		_exit(127);
	}
	close(full);
	fleet_wait(waitpid(child, &status, WNOHANG) == child);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

START_TEST(no_command_waits_for_a_reader_of_its_mistakes)
{
	static const char *const all[] = { "run", "check", "reload", "status",
		"explain", "nonsense" };
	FILE *f;

	fleet_init(fleet, "");
	ck_assert_int_eq(run_blocked("reload", fleet->config), 1);
	ck_assert_int_eq(run_blocked("status", fleet->config), 1);
	ck_assert_ptr_nonnull(f = fopen(fleet->config, "a"));
	for (int i = 0; i < 1000; i++)
		fprintf(f, "mistake_%d = 1\n", i);
	fclose(f);
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		ck_assert_int_eq(run_blocked(all[i], fleet->config),
		    i == 5 ? 2 : 1);
	ck_assert_int_eq(run_blocked("check", "/no/such/file"), 1);
}
END_TEST

/* A slow reader, like a pager. */
START_TEST(a_reader_that_is_slow_gets_all_of_it)
{
	char  byte[512];
	int   ends[2], status, lines = 0;
	pid_t child;
	FILE *f;

	fleet_init(fleet, "");
	ck_assert_ptr_nonnull(f = fopen(fleet->config, "a"));
	for (int i = 0; i < 900; i++)
		fprintf(f, "mistake_%d = 1\n", i);
	fclose(f);
	ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
	ck_assert_int_eq(fcntl(ends[1], F_SETPIPE_SZ, 4096), 4096);
	if ((child = fork()) == 0) {
		dup2(ends[1], STDERR_FILENO);
		execl(getenv("MEWS"), "mews", "check", "-c", fleet->config,
		    NULL);
		_exit(127);
	}
	close(ends[1]);
	for (ssize_t n; (n = read(ends[0], byte, sizeof(byte))) > 0;)
		for (ssize_t i = 0; i < n; i++)
			lines += byte[i] == '\n';
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert_int_eq(WEXITSTATUS(status), 1);
	ck_assert_int_eq(lines, 900);
	close(ends[0]);
}
END_TEST

/* Stop the monitor and then end the master. The parent's death must not wake
 * the monitor, which is held until that is over. */
static void
leave_stopped_monitor(pid_t monitor)
{
	ck_assert_int_eq(ptrace(PTRACE_SEIZE, monitor, NULL, NULL), 0);
	ck_assert_int_eq(ptrace(PTRACE_INTERRUPT, monitor, NULL, NULL), 0);
	ck_assert_int_eq(waitpid(monitor, NULL, __WALL), monitor);
	ck_assert_int_eq(fleet_end(fleet, SIGKILL), -SIGKILL);
	ck_assert_int_eq(kill(monitor, SIGSTOP), 0);
	ck_assert_int_eq(ptrace(PTRACE_DETACH, monitor, NULL, NULL), 0);
}

START_TEST(the_next_master_ends_a_monitor_that_was_stopped)
{
	pid_t monitor;

	fleet_init(fleet, "");
	fleet_ignore_leaks();
	fleet_start(fleet);
	monitor = fleet_monitor(fleet);
	leave_stopped_monitor(monitor);
	ck_assert(fleet_is_alive(monitor));
	fleet_start(fleet);
	ck_assert_int_eq(fleet_logged(fleet, "event=leftover_killed"), 1);
	fleet_wait(!fleet_is_alive(monitor));
	ck_assert_int_eq(fleet_end(fleet, SIGTERM), 0);
}
END_TEST

static Suite *
blocked_suite(void)
{
	Suite *suite = suite_create("blocked");
	TCase *tcase;

	tcase = unit_case(suite, "log");
	tcase_set_timeout(tcase, 180);
	tcase_add_unchecked_fixture(tcase, fleet_make_base,
	    fleet_remove_base);
	tcase_add_loop_test(tcase, a_blocked_log_stops_neither_service_nor_end,
	    0, 2);
	tcase_add_test(tcase, lines_that_a_blocked_log_lost_are_counted_later);
	tcase_add_loop_test(tcase, an_application_that_shouts_stops_no_worker,
	    0, PLACES);
	tcase_add_test(tcase,
	    no_process_outlives_a_killed_master_with_a_blocked_log);
	tcase_add_test(tcase, a_start_that_fails_with_a_blocked_log_ends);
	tcase_add_test(tcase, a_start_with_a_blocked_stderr_serves);
	tcase_add_test(tcase, no_command_waits_for_a_reader_of_its_mistakes);
	tcase_add_test(tcase, a_reader_that_is_slow_gets_all_of_it);

	tcase = unit_case(suite, "master");
	tcase_set_timeout(tcase, 180);
	tcase_add_unchecked_fixture(tcase, fleet_make_base,
	    fleet_remove_base);
	tcase_add_test(tcase,
	    a_worker_that_hangs_does_not_outlive_a_killed_master);
	tcase_add_test(tcase,
	    a_worker_that_was_stopped_does_not_outlive_a_killed_master);
	tcase_add_loop_test(tcase, the_next_master_ends_who_did_not_end, 0, 2);
	tcase_add_test(tcase, the_next_master_ends_a_monitor_that_was_stopped);
	return suite;
}

UNIT_MAIN(blocked_suite)
