/*
 * test_fleet.c - the promises of mews run: a fleet starts once, heals itself,
 * ends properly and leaves nothing behind.
 *
 * No PostgreSQL is needed: the only endpoint is a closed port.
 */
#include "fleet.h"
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#define LOAD_CLIENTS 8

static struct fleet	   the_fleet;
static struct fleet *const fleet = &the_fleet;

static off_t
size_of(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 ? st.st_size : -1;
}

/* Are there two workers again, and is @old none of them? */
static bool
replaced(pid_t old)
{
	pid_t now[FLEET_WORKERS_MAX];

	if (fleet_workers(fleet, now) != 2)
		return false;
	return now[0] != old && now[1] != old;
}

/* Do both workers serve? */
static bool
both_answer(void)
{
	pid_t workers[FLEET_WORKERS_MAX], answered;
	bool  seen[2] = { false, false };

	if (fleet_workers(fleet, workers) != 2)
		return false;
	for (int i = 0; i < 200 && !(seen[0] && seen[1]); i++) {
		answered = fleet_get_worker(fleet);
		seen[0] |= answered == workers[0];
		seen[1] |= answered == workers[1];
	}
	return seen[0] && seen[1];
}

static void
assert_nothing_left(void)
{
	ck_assert_msg(access(fleet->runtime, F_OK) != 0,
	    "%s is still there", fleet->runtime);
}

START_TEST(a_fleet_that_ends_leaves_nothing_behind)
{
	pid_t workers[FLEET_WORKERS_MAX];

	fleet_init(fleet, "");
	fleet_start(fleet);
	ck_assert_int_eq(fleet_workers(fleet, workers), 2);
	ck_assert_int_eq(fleet_get(fleet, "/"), 200);
	ck_assert_int_eq(fleet_end(fleet, _i == 0 ? SIGTERM : SIGINT), 0);
	ck_assert(!fleet_is_alive(workers[0]));
	ck_assert(!fleet_is_alive(workers[1]));
	ck_assert(!fleet_is_alive(fleet_monitor(fleet)));
	ck_assert_int_eq(fleet_logged(fleet, "event=stopped"), 1);
	ck_assert_int_eq(fleet_logged(fleet, "event=worker_exited"), 2);
	ck_assert_int_eq(fleet_logged(fleet, "event=monitor_exited"), 1);
	ck_assert_int_eq(fleet_logged(fleet, " status=0 "), 3);
	assert_nothing_left();
}
END_TEST

static void
assert_title(pid_t pid, const char *title)
{
	char  path[64], line[256] = "";
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%jd/cmdline", (intmax_t)pid);
	f = fopen(path, "re");
	ck_assert_ptr_nonnull(f);
	/* The title ends there, with its NUL. */
	ck_assert_uint_eq(fread(line, 1, sizeof(line), f), strlen(title) + 1);
	ck_assert_str_eq(line, title);
	fclose(f);
}

START_TEST(a_stop_of_the_whole_group_is_no_alarm)
{
	const int signal = _i == 0 ? SIGTERM : SIGINT;
	pid_t	  workers[FLEET_WORKERS_MAX];
	char	  alarm[64];

	fleet_init(fleet, "");
	fleet_start(fleet);
	ck_assert_int_eq(fleet_workers(fleet, workers), 2);
	/* The master gets the signal last. */
	fleet_signal(fleet, SIGSTOP);
	kill(fleet_monitor(fleet), signal);
	for (int i = 0; i < 2; i++) {
		kill(workers[i], signal);
		fleet_wait(!fleet_is_alive(workers[i]));
	}
	fleet_signal(fleet, signal);
	snprintf(alarm, sizeof(alarm), "level=warning pid=%jd ",
	    (intmax_t)fleet->master);
	ck_assert_int_eq(fleet_end(fleet, SIGCONT), 0);
	ck_assert_int_eq(fleet_logged(fleet, "event=signal"), 1);
	ck_assert_int_eq(fleet_logged(fleet, alarm), 0);
	ck_assert_int_eq(fleet_logged(fleet, "event=worker_started"), 2);
	assert_nothing_left();
}
END_TEST

START_TEST(each_process_has_a_title_that_names_it)
{
	pid_t workers[FLEET_WORKERS_MAX];

	fleet_init(fleet, "");
	fleet_start(fleet);
	ck_assert_int_eq(fleet_workers(fleet, workers), 2);
	assert_title(fleet->master, "mews: master (test)");
	assert_title(workers[0], "mews: worker 0 (test)");
	assert_title(workers[1], "mews: worker 1 (test)");
	ck_assert_int_eq(fleet_end(fleet, SIGTERM), 0);
}
END_TEST

START_TEST(a_second_start_is_refused_and_told_the_pid)
{
	struct said said;
	char	    pid[32];

	fleet_init(fleet, "");
	fleet_start(fleet);
	mews(&said, "run", "-c", fleet->config, NULL);
	ck_assert_int_eq(said.status, 1);
	snprintf(pid, sizeof(pid), "pid %jd ", (intmax_t)fleet->master);
	ck_assert_ptr_nonnull(strstr(said.err, pid));
	ck_assert_int_eq(fleet_get(fleet, "/"), 200);
	ck_assert_int_eq(fleet_get_unix(fleet, "/"), 200);
	ck_assert_int_eq(fleet_end(fleet, SIGTERM), 0);
	assert_nothing_left();
}
END_TEST

START_TEST(workers_die_with_their_master_and_the_next_one_starts)
{
	pid_t workers[FLEET_WORKERS_MAX];

	fleet_init(fleet, "");
	fleet_ignore_leaks();
	fleet_start(fleet);
	ck_assert_int_eq(fleet_workers(fleet, workers), 2);
	ck_assert_int_eq(fleet_end(fleet, SIGKILL), -SIGKILL);
	ck_assert_int_eq(access(fleet->runtime, F_OK), 0);
	fleet_start(fleet);	/* although files are left, even the socket */
	fleet_wait(!fleet_is_alive(workers[0]) && !fleet_is_alive(workers[1]));
	ck_assert_int_eq(fleet_get(fleet, "/"), 200);
	ck_assert_int_eq(fleet_get_unix(fleet, "/"), 200);
	ck_assert_int_eq(fleet_end(fleet, SIGTERM), 0);
}
END_TEST

START_TEST(a_killed_worker_is_replaced_while_the_other_serves)
{
	pid_t workers[FLEET_WORKERS_MAX];

	fleet_init(fleet, "");
	fleet_start(fleet);
	ck_assert_int_eq(fleet_workers(fleet, workers), 2);
	for (int round = 0; round < 3; round++) {
		ck_assert_int_eq(kill(workers[0], SIGKILL), 0);
		fleet_wait(!fleet_is_alive(workers[0]));
		ck_assert_int_eq(fleet_get(fleet, "/"), 200);
		fleet_wait(replaced(workers[0]));
		ck_assert_int_eq(fleet_workers(fleet, workers), 2);
	}
	fleet_wait(both_answer());
	ck_assert_int_eq(fleet_logged(fleet, "signal=KILL"), 3);
	ck_assert_int_eq(fleet_end(fleet, SIGTERM), 0);
	assert_nothing_left();
}
END_TEST

START_TEST(a_worker_that_cannot_start_is_tried_again_and_disturbs_nobody)
{
	pid_t workers[FLEET_WORKERS_MAX];
	char  fail[300];

	fleet_init(fleet, "");
	unlink(fleet_open_file(fleet, fail, sizeof(fail), "fail",
	    "MEWS_TEST_FAIL"));
	fleet_start(fleet);
	ck_assert_int_eq(fleet_workers(fleet, workers), 2);
	fleet_open_file(fleet, fail, sizeof(fail), "fail", NULL);
	kill(workers[0], SIGKILL);
	fleet_wait(fleet_logged(fleet, "deaths=4") == 1);
	for (int i = 0; i < 20; i++)
		ck_assert_int_eq(fleet_get_worker(fleet), workers[1]);
	unlink(fail);
	fleet_wait(both_answer());
	ck_assert_int_eq(fleet_end(fleet, SIGTERM), 0);
}
END_TEST

START_TEST(a_request_that_crashes_workers_does_not_empty_the_fleet)
{
	pid_t	workers[FLEET_WORKERS_MAX];
	int64_t began = fleet_now();

	fleet_init(fleet, "");
	fleet_start(fleet);
	for (int i = 0; i < 20; i++) {
		ck_assert_int_eq(fleet_get(fleet, "/crash"), 0);
		ck_assert_int_eq(fleet_get(fleet, "/"), 200);
	}
	fleet_wait(fleet_logged(fleet, "event=worker_exited") == 20);
	/* A worker is restarted once in 100 ms at most; its first death costs
	 * no time. */
	ck_assert_int_ge(fleet_now() - began, 400);
	fleet_wait(fleet_workers(fleet, workers) == 2);
	fleet_wait(both_answer());
	ck_assert_int_eq(fleet_end(fleet, SIGTERM), 0);
}
END_TEST

START_TEST(a_fleet_of_which_nobody_starts_says_so_and_keeps_trying)
{
	char	fail[300];
	int64_t began = fleet_now();

	fleet_init(fleet, "");
	fleet_open_file(fleet, fail, sizeof(fail), "fail", "MEWS_TEST_FAIL");
	fleet_launch(fleet);
	fleet_wait(fleet_logged(fleet, "deaths=5") > 0);
	/* Restarts are 0, 100, 200 and 400 ms apart at least. */
	ck_assert_int_ge(fleet_now() - began, 700);
	ck_assert_int_eq(fleet_logged(fleet, "event=none_starts workers="), 1);
	ck_assert_int_eq(fleet_logged(fleet, "event=ready workers="), 0);
	unlink(fail);
	fleet_wait(fleet_logged(fleet, "event=ready workers=") == 1);
	ck_assert_int_eq(fleet_get(fleet, "/"), 200);
	ck_assert_int_eq(fleet_end(fleet, SIGTERM), 0);
	assert_nothing_left();
}
END_TEST

START_TEST(workers_are_not_blamed_for_a_stop_of_everybody)
{
	pid_t workers[FLEET_WORKERS_MAX];
	int64_t until;

	fleet_init(fleet, "worker_timeout = 2s\n");
	fleet_start(fleet);
	ck_assert_int_eq(fleet_workers(fleet, workers), 2);
	fleet_signal(fleet, SIGSTOP);
	kill(workers[0], SIGSTOP);
	kill(workers[1], SIGSTOP);
	for (until = fleet_now() + 4000; fleet_now() < until;)
		usleep(10000);
	fleet_signal(fleet, SIGCONT);
	for (until = fleet_now() + 200; fleet_now() < until;)
		usleep(10000);
	kill(workers[0], SIGCONT);
	kill(workers[1], SIGCONT);
	fleet_wait(both_answer());
	ck_assert_int_eq(fleet_logged(fleet, "event=worker_hangs"), 0);
	ck_assert_int_eq(fleet_end(fleet, SIGTERM), 0);
}
END_TEST

START_TEST(an_old_worker_that_takes_a_while_to_exit_does_not_hang)
{
	int64_t until;

	setenv("MEWS_TEST_LINGER", "900", 1);
	fleet_init(fleet, "worker_timeout = 2s\n");
	fleet_start(fleet);
	for (until = fleet_now() + 2500; fleet_now() < until;)
		usleep(10000);
	ck_assert_int_eq(fleet_end(fleet, SIGTERM), 0);
	ck_assert_int_eq(fleet_logged(fleet, "event=worker_hangs"), 0);
	ck_assert_int_eq(fleet_logged(fleet, "signal=KILL"), 0);
	assert_nothing_left();
}
END_TEST

START_TEST(a_worker_that_does_not_exit_hangs)
{
	setenv("MEWS_TEST_LINGER", "60000", 1);
	fleet_init(fleet, "worker_timeout = 1s\ngraceful_timeout = never\n");
	fleet_start(fleet);
	ck_assert_int_eq(fleet_end(fleet, SIGTERM), 0);
	ck_assert_int_eq(fleet_logged(fleet, "event=worker_hangs"), 2);
	assert_nothing_left();
}
END_TEST

START_TEST(a_second_interrupt_does_not_wait_for_a_hanging_worker)
{
	int64_t start;
	char	began[300];

	fleet_init(fleet, "graceful_timeout = 60s\nworker_timeout = 60s\n");
	fleet_open_file(fleet, began, sizeof(began), "began",
	    "MEWS_TEST_BEGAN");
	fleet_start(fleet);
	if (fork() == 0)
		_exit(fleet_get(fleet, "/hang"));
	fleet_wait(size_of(began) == 1);
	start = fleet_now();
	fleet_signal(fleet, SIGINT);
	fleet_wait(fleet_logged(fleet, "signal=INT") == 1);
	ck_assert_int_eq(fleet_end(fleet, SIGINT), 0);
	ck_assert_int_lt(fleet_now() - start, 30000);
	assert_nothing_left();
}
END_TEST

START_TEST(a_worker_may_take_no_longer_than_graceful_timeout_to_end)
{
	char began[300];

	fleet_init(fleet, "graceful_timeout = 1s\nworker_timeout = 60s\n");
	fleet_open_file(fleet, began, sizeof(began), "began",
	    "MEWS_TEST_BEGAN");
	fleet_start(fleet);
	if (fork() == 0)
		_exit(fleet_get(fleet, "/hang"));
	fleet_wait(size_of(began) == 1);
	ck_assert_int_eq(fleet_end(fleet, SIGTERM), 0);
	ck_assert_int_eq(fleet_logged(fleet, "event=worker_overdue"), 1);
	assert_nothing_left();
}
END_TEST

/* A client that asks again and again, each time on a new connection, until the
 * port is closed; the answers go to @answers as bytes. */
static void
load_client(const char *answers)
{
	int fd = open(answers, O_WRONLY | O_APPEND | O_CLOEXEC);

	for (int missed = 0; missed < 50;)
		if (fleet_get(fleet, "/slow") != 200) {
			missed++;
			usleep(2000);
		} else if (write(fd, ".", 1) != 1)
			_exit(1);
	_exit(0);
}

START_TEST(every_request_that_was_begun_is_answered_before_the_end)
{
	char began[300], answers[300];

	fleet_init(fleet, "graceful_timeout = 20s\n");
	fleet_open_file(fleet, began, sizeof(began), "began",
	    "MEWS_TEST_BEGAN");
	fleet_open_file(fleet, answers, sizeof(answers), "answers", NULL);
	fleet_start(fleet);
	for (int i = 0; i < LOAD_CLIENTS; i++)
		if (fork() == 0)
			load_client(answers);
	fleet_wait(size_of(answers) >= 4);
	ck_assert_int_eq(fleet_end(fleet, SIGTERM), 0);
	while (wait(NULL) > 0)
		;
	ck_assert_int_eq(size_of(answers), size_of(began));
	assert_nothing_left();
}
END_TEST

START_TEST(ttin_and_ttou_change_the_number_of_workers)
{
	pid_t workers[FLEET_WORKERS_MAX];

	fleet_init(fleet, "");
	fleet_start(fleet);
	fleet_signal(fleet, SIGTTIN);
	fleet_wait(fleet_workers(fleet, workers) == 3);
	fleet_signal(fleet, SIGTTOU);
	fleet_wait(fleet_workers(fleet, workers) == 2);
	fleet_signal(fleet, SIGTTOU);
	fleet_wait(fleet_workers(fleet, workers) == 1);
	fleet_signal(fleet, SIGTTOU);	/* the last worker stays */
	fleet_wait(fleet_logged(fleet, "event=not_resized") == 1);
	ck_assert_int_eq(fleet_get(fleet, "/"), 200);
	ck_assert_int_eq(fleet_workers(fleet, workers), 1);
	ck_assert_int_eq(fleet_end(fleet, SIGTERM), 0);
}
END_TEST

/* The line of /proc/PID/status that begins with @key, without the key. */
static void
status_line(pid_t pid, const char *key, char *value, size_t size)
{
	char  path[64], line[256];
	FILE *f;

	value[0] = '\0';
	snprintf(path, sizeof(path), "/proc/%jd/status", (intmax_t)pid);
	f = fopen(path, "re");
	ck_assert_ptr_nonnull(f);
	while (fgets(line, sizeof(line), f) != NULL)
		if (strncmp(line, key, strlen(key)) == 0)
			snprintf(value, size, "%s", line + strlen(key));
	fclose(f);
}

START_TEST(root_becomes_nobody_without_a_way_back)
{
	const struct passwd *nobody = getpwnam("nobody");
	pid_t		     workers[FLEET_WORKERS_MAX], who;
	unsigned	     id[4], group;
	char		     line[256], left;

	if (getuid() != 0)
		return;
	ck_assert_ptr_nonnull(nobody);
	fleet_init(fleet, "");
	fleet_start(fleet);
	ck_assert_int_eq(fleet_workers(fleet, workers), 2);
	for (int i = 0; i < 3; i++) {
		who = i < 2 ? workers[i] : fleet->master;
		status_line(who, "Uid:", line, sizeof(line));
		ck_assert_int_eq(sscanf(line, "%u%u%u%u", &id[0], &id[1],
		    &id[2], &id[3]), 4);
		for (int j = 0; j < 4; j++)
			ck_assert_uint_eq(id[j], nobody->pw_uid);
		status_line(who, "Gid:", line, sizeof(line));
		ck_assert_int_eq(sscanf(line, "%u%u%u%u", &id[0], &id[1],
		    &id[2], &id[3]), 4);
		for (int j = 0; j < 4; j++)
			ck_assert_uint_eq(id[j], nobody->pw_gid);
		status_line(who, "Groups:", line, sizeof(line));
		if (sscanf(line, "%u %c", &group, &left) > 0)
			ck_assert_uint_eq(group, nobody->pw_gid);
		ck_assert_int_lt(sscanf(line, "%u %c", &group, &left), 2);
		status_line(who, "NoNewPrivs:", line, sizeof(line));
		ck_assert_int_eq(atoi(line), 1);
		status_line(who, "CapEff:", line, sizeof(line));
		ck_assert_ptr_nonnull(strstr(line, "0000000000000000"));
	}
	ck_assert_int_eq(fleet_end(fleet, SIGTERM), 0);
	assert_nothing_left();
}
END_TEST

START_TEST(a_taken_address_is_named_and_nothing_stays)
{
	struct said said;
	char	    where[320];
	int	    fd;

	fleet_init(fleet, "");
	fd = fleet_take_port(fleet);
	snprintf(where, sizeof(where), "%s:1: ", fleet->config);
	mews(&said, "run", "-c", fleet->config, NULL);
	close(fd);
	ck_assert_int_eq(said.status, 1);
	ck_assert_ptr_eq(strstr(said.err, where), said.err);
	ck_assert_ptr_eq(strchr(said.err, '\n'),
	    said.err + strlen(said.err) - 1);
	assert_nothing_left();
}
END_TEST

START_TEST(a_file_in_the_place_of_a_unix_socket_is_not_removed)
{
	struct said said;
	char	    path[300];

	fleet_init(fleet, "");
	ck_assert_int_eq(mkdir(fleet->runtime, 0777), 0);
	ck_assert_int_eq(chmod(fleet->runtime, 0755), 0);
	if (getuid() == 0)
		ck_assert_int_eq(chown(fleet->runtime,
		    getpwnam("nobody")->pw_uid, (gid_t)-1), 0);
	fleet_open_file(fleet, path, sizeof(path), "run/http.sock", NULL);
	mews(&said, "run", "-c", fleet->config, NULL);
	ck_assert_int_eq(said.status, 1);
	ck_assert_ptr_nonnull(strstr(said.err, "http.sock"));
	ck_assert_int_eq(unlink(path), 0);
	ck_assert_int_eq(rmdir(fleet->runtime), 0);
}
END_TEST

static Suite *
fleet_suite(void)
{
	Suite *suite = suite_create("fleet");
	TCase *tcase;

	tcase = unit_case(suite, "life");
	tcase_set_timeout(tcase, 180);
	tcase_add_unchecked_fixture(tcase, fleet_make_base,
	    fleet_remove_base);
	tcase_add_loop_test(tcase, a_fleet_that_ends_leaves_nothing_behind, 0,
	    2);
	tcase_add_loop_test(tcase, a_stop_of_the_whole_group_is_no_alarm, 0, 2);
	tcase_add_test(tcase, each_process_has_a_title_that_names_it);
	tcase_add_test(tcase, a_second_start_is_refused_and_told_the_pid);
	tcase_add_test(tcase,
	    workers_die_with_their_master_and_the_next_one_starts);
	tcase_add_test(tcase,
	    a_killed_worker_is_replaced_while_the_other_serves);
	tcase_add_test(tcase,
	    a_worker_that_cannot_start_is_tried_again_and_disturbs_nobody);
	tcase_add_test(tcase,
	    a_request_that_crashes_workers_does_not_empty_the_fleet);
	tcase_add_test(tcase,
	    a_fleet_of_which_nobody_starts_says_so_and_keeps_trying);
	tcase_add_test(tcase, workers_are_not_blamed_for_a_stop_of_everybody);
	tcase_add_test(tcase,
	    an_old_worker_that_takes_a_while_to_exit_does_not_hang);
	tcase_add_test(tcase, a_worker_that_does_not_exit_hangs);
	tcase_add_test(tcase,
	    a_second_interrupt_does_not_wait_for_a_hanging_worker);
	tcase_add_test(tcase,
	    a_worker_may_take_no_longer_than_graceful_timeout_to_end);
	tcase_add_test(tcase,
	    every_request_that_was_begun_is_answered_before_the_end);
	tcase_add_test(tcase, ttin_and_ttou_change_the_number_of_workers);

	tcase = unit_case(suite, "rights");
	tcase_set_timeout(tcase, 180);
	tcase_add_unchecked_fixture(tcase, fleet_make_base,
	    fleet_remove_base);
	tcase_add_test(tcase, root_becomes_nobody_without_a_way_back);
	tcase_add_test(tcase, a_taken_address_is_named_and_nothing_stays);
	tcase_add_test(tcase,
	    a_file_in_the_place_of_a_unix_socket_is_not_removed);
	return suite;
}

UNIT_MAIN(fleet_suite)
