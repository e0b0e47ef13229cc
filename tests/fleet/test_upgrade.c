/*
 * test_upgrade.c - USR2 and mews upgrade: another binary takes over. Versions
 * that do not share a segment: test_apart.c.
 */
#include "fleet.h"
#include "load.h"
#include "unit.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define UPGRADES 10

static struct fleet fleet[1];
static struct said  said;
static char	    binary[300]; /* a link to the installed version */

/* Install @path from now on; NULL: mews. */
static void
install(const char *path)
{
	static char mews_path[600];

	if (mews_path[0] == '\0')
		strcpy(mews_path, getenv("MEWS"));
	unlink(binary);
	ck_assert_int_eq(symlink(path == NULL ? mews_path : path, binary), 0);
	setenv("MEWS", binary, 1);
}

/* A new master becomes this test's child when the one that forked it ends. */
static void
init(const char *more)
{
	ck_assert_int_eq(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
	fleet_init(fleet, more);
	strcpy(binary, fleet->dir);
	strcat(binary, "/mews");
	install(NULL);
}

START_TEST(another_master_takes_over)
{
	pid_t	    before[FLEET_WORKERS_MAX], now[FLEET_WORKERS_MAX];
	pid_t	    old;
	char	    path[400];
	struct stat segment, same;
	int	    count;

	init("");
	fleet_start(fleet);
	old = fleet->master;
	count = fleet_workers(fleet, before);
	strcpy(path, fleet->runtime);
	strcat(path, "/test.segment");
	ck_assert_int_eq(stat(path, &segment), 0);
	mews(&said, "drain", "a", "-c", fleet->config, NULL);
	ck_assert_int_eq(said.status, 0);
	fleet_upgrade(fleet);
	ck_assert_int_eq(fleet_logged(fleet, "event=took_over generation=2 "
	    "workers=2"), 1);
	ck_assert_int_ne(fleet_pid(fleet), old);
	fleet_follow(fleet);
	for (int i = 0; i < count; i++)
		ck_assert(!fleet_is_alive(before[i]));
	fleet_wait(fleet_logged(fleet, "event=ready monitors=1") == 2);
	ck_assert_int_eq(fleet_workers(fleet, now), 2);
	ck_assert_int_eq(fleet_get(fleet, "/"), 200);
	ck_assert_int_eq(fleet_get_unix(fleet, "/"), 200);
	ck_assert(fleet_is_alive(fleet_monitor(fleet)));

	/* The segment stays, with all that it holds. */
	ck_assert_int_eq(stat(path, &same), 0);
	ck_assert_uint_eq(same.st_ino, segment.st_ino);
	mews(&said, "status", "-c", fleet->config, "--json", NULL);
	ck_assert_int_eq(said.status, 0);
	ck_assert_ptr_nonnull(strstr(said.out, "\"drained\""));

	/* The new master does all that the old one did. */
	mews(&said, "reload", "-c", fleet->config, NULL);
	ck_assert_msg(said.status == 0, "%s", said.err);
	ck_assert_int_eq(fleet_get_unix(fleet, "/"), 200);
	ck_assert_int_eq(fleet_end(fleet, SIGTERM), 0);
	ck_assert_int_eq(access(path, F_OK), -1);
	ck_assert_int_eq(access(fleet->socket, F_OK), -1);
	ck_assert_int_eq(fleet_pid(fleet), 0);
	ck_assert_int_eq(fleet_logged(fleet, "level=error"), 0);
}
END_TEST

/* systemd kills what a main process leaves behind. A worker that does not move
 * is killed after graceful_timeout; until then the old master waits. */
START_TEST(a_stop_is_not_over_before_the_old_master_ended)
{
	pid_t	before[FLEET_WORKERS_MAX], next;
	int	status;
	bool	next_lives, old_lives;

	init("graceful_timeout = \"2s\"\n");
	fleet_start(fleet);
	ck_assert_int_eq(fleet_workers(fleet, before), 2);
	ck_assert_int_eq(kill(before[0], SIGSTOP), 0);
	fleet_upgrade(fleet);
	next = fleet_pid(fleet);
	ck_assert_int_ne(next, fleet->master);
	ck_assert_int_eq(kill(next, SIGTERM), 0);
	do {
		/* Look at the new one first: the old one has to die first. */
		next_lives = fleet_is_alive(next);
		old_lives = waitpid(fleet->master, &status, WNOHANG) == 0;
		ck_assert(next_lives || !old_lives);
	} while (old_lives);
	ck_assert(!fleet_is_alive(before[0]));
	fleet_wait(waitpid(next, &status, WNOHANG) == next);
	ck_assert_int_eq(status, 0);
	ck_assert_int_eq(fleet_pid(fleet), 0);
}
END_TEST

START_TEST(a_stop_does_not_wait_for_ever_for_an_old_master)
{
	pid_t	before[FLEET_WORKERS_MAX], next;
	int	count, status;

	fleet_ignore_leaks();
	init("graceful_timeout = \"1s\"\n");
	fleet_start(fleet);
	count = fleet_workers(fleet, before);
	ck_assert_int_eq(kill(before[0], SIGSTOP), 0);
	fleet_upgrade(fleet);
	ck_assert_int_eq(kill(fleet->master, SIGSTOP), 0);
	next = fleet_pid(fleet);
	ck_assert_int_eq(kill(next, SIGTERM), 0);
	fleet_wait(!fleet_is_alive(next));
	ck_assert_int_eq(kill(fleet->master, SIGKILL), 0);
	for (int i = 0; i < count; i++)
		kill(before[i], SIGKILL);
	fleet_wait(waitpid(next, &status, WNOHANG) == next);
	ck_assert_int_eq(status, 0);
}
END_TEST

/* Fail unless the fleet is as before, and an upgrade can still be made. */
static void
assert_goes_on(const pid_t before[FLEET_WORKERS_MAX], int count)
{
	pid_t now[FLEET_WORKERS_MAX];
	int   same = 0;

	ck_assert_int_eq(fleet_pid(fleet), fleet->master);
	fleet_wait(fleet_workers(fleet, now) == count);
	for (int i = 0; i < count; i++)
		for (int k = 0; k < count; k++)
			same += now[i] == before[k];
	ck_assert_int_eq(same, count);
	ck_assert_int_eq(fleet_get(fleet, "/"), 200);
	ck_assert_int_eq(fleet_get_unix(fleet, "/"), 200);
	fleet_upgrade(fleet);
	fleet_follow(fleet);
	ck_assert_int_eq(fleet_get(fleet, "/"), 200);
	ck_assert_int_eq(fleet_end(fleet, SIGTERM), 0);
}

START_TEST(a_binary_that_does_not_run_changes_nothing)
{
	static const struct {
		const char *path, *why;
	} binaries[] = {
		{ "/nowhere", "cannot run" },
		{ "/bin/false", "the new master ended with status=1" },
	};
	pid_t before[FLEET_WORKERS_MAX];
	int   count;

	init("");
	fleet_start(fleet);
	count = fleet_workers(fleet, before);
	install(binaries[_i].path);
	fleet_signal(fleet, SIGUSR2);
	fleet_wait(fleet_logged(fleet, "event=upgrade_refused") == 1);
	ck_assert_msg(fleet_logged(fleet, binaries[_i].why) == 1, "%s",
	    fleet_log_text(fleet));
	install(NULL);
	assert_goes_on(before, count);
}
END_TEST

/* The new binary reads the configuration, and the command prints its
 * mistakes. */
START_TEST(a_configuration_that_is_refused_changes_nothing)
{
	static const struct {
		const char *from, *to, *why;
	} edits[] = {
		{ "app = \"", "app = \"/etc/passwd\" # \"", "mews.conf:2: " },
		{ "instance = \"test\"", "user = \"games\" instance = \"test\"",
		  "user cannot change" },
		{ "127.0.0.1:", "127.0.0.1:1\", \"127.0.0.1:",
		  "mews.conf:1: cannot listen" },
	};
	pid_t before[FLEET_WORKERS_MAX];
	int   count;

	init("");
	fleet_start(fleet);
	count = fleet_workers(fleet, before);
	fleet_edit(fleet, edits[_i].from, edits[_i].to);
	mews(&said, "upgrade", "-c", fleet->config, NULL);
	ck_assert_int_eq(said.status, 1);
	ck_assert_msg(strstr(said.err, edits[_i].why) != NULL, "%s%s",
	    said.err, fleet_log_text(fleet));
	fleet_edit(fleet, edits[_i].to, edits[_i].from);
	assert_goes_on(before, count);
}
END_TEST

START_TEST(an_application_that_does_not_start_changes_nothing)
{
	pid_t before[FLEET_WORKERS_MAX];
	char  flag[300];
	int   count;

	init("");
	strcpy(flag, fleet->dir);
	strcat(flag, "/fail");
	setenv("MEWS_TEST_FAIL", flag, 1);
	fleet_start(fleet);
	count = fleet_workers(fleet, before);
	close(open(flag, O_WRONLY | O_CREAT | O_CLOEXEC, 0644));
	mews(&said, "upgrade", "-c", fleet->config, NULL);
	ck_assert_int_eq(said.status, 1);
	ck_assert_ptr_nonnull(strstr(said.err, "before all were ready"));
	unlink(flag);
	assert_goes_on(before, count);
}
END_TEST

/* An upgrade adds addresses, and removes one. */
START_TEST(the_new_master_reads_the_configuration_anew)
{
	char from[400], to[400], other[340];

	init("");
	fleet_start(fleet);
	strcpy(other, fleet->runtime);
	strcat(other, "/other.sock");
	snprintf(from, sizeof(from), "\"unix:%s\"", fleet->socket);
	snprintf(to, sizeof(to), "\"unix:%s\"", other);
	fleet_edit(fleet, from, to);
	fleet_edit(fleet, "workers = 2", "workers = 3");
	fleet_upgrade(fleet);
	ck_assert_int_eq(fleet_logged(fleet, "event=took_over generation=2 "
	    "workers=3"), 1);
	ck_assert_int_eq(access(fleet->socket, F_OK), -1);
	strcpy(fleet->socket, other);
	ck_assert_int_eq(fleet_get_unix(fleet, "/"), 200);
	fleet_follow(fleet);
	ck_assert_int_eq(fleet_get_unix(fleet, "/"), 200);
	ck_assert_int_eq(fleet_end(fleet, SIGTERM), 0);
	ck_assert_int_eq(access(other, F_OK), -1);
}
END_TEST

/* Killed at any instant: the old master goes on, or the new one has taken
 * over. */
START_TEST(a_new_master_may_be_killed_at_any_time)
{
	pid_t pids[FLEET_WORKERS_MAX];
	char  text[32], line[64];
	pid_t new = 0;
	const char *at;

	fleet_ignore_leaks();
	init("");
	fleet_start(fleet);
	fleet_signal(fleet, SIGUSR2);
	fleet_wait(fleet_logged(fleet, "event=upgrade ") == 1);
	usleep((useconds_t)_i * 10000);
	snprintf(line, sizeof(line), "/proc/%jd/task/%jd/children",
	    (intmax_t)fleet->master, (intmax_t)fleet->master);
	for (FILE *f = fopen(line, "r"); f != NULL; f = NULL) {
		/* The youngest child is the last one. */
		while (fscanf(f, "%31s", text) == 1)
			new = atoi(text);
		fclose(f);
	}
	at = strstr(fleet_log_text(fleet), "event=took_over");
	if (at != NULL || new == 0)
		return; /* the upgrade had ended */
	kill(new, SIGKILL);
	/* If the youngest child was a worker or the monitor, the upgrade goes
	 * on. */
	fleet_wait(fleet_logged(fleet, "event=upgrade_refused") == 1 ||
	    fleet_logged(fleet, "event=took_over") == 1);
	fleet_wait(fleet_get(fleet, "/") == 200 ||
	    fleet_logged(fleet, "event=took_over") == 1);
	if (fleet_logged(fleet, "event=took_over") == 0) {
		fleet_wait(fleet_workers(fleet, pids) == 2);
		ck_assert_int_eq(fleet_end(fleet, SIGTERM), 0);
	}
}
END_TEST

/* Either the reload or the upgrade succeeds, and there is one master, which
 * owns the files. */
START_TEST(a_reload_in_the_middle_leaves_one_master)
{
	char path[400];

	init("");
	fleet_start(fleet);
	strcpy(path, fleet->runtime);
	strcat(path, "/test.segment");
	for (int i = 0; i < 6; i++) {
		int refused = fleet_logged(fleet, "event=upgrade_refused");
		int took = fleet_logged(fleet, "event=took_over");
		int done = fleet_logged(fleet, "event=reloaded");

		fleet_signal(fleet, SIGUSR2);
		usleep((useconds_t)(i * 6 + _i) * 2000);
		fleet_signal(fleet, SIGHUP);
		fleet_wait(fleet_logged(fleet, "event=upgrade_refused") >
		    refused || fleet_logged(fleet, "event=took_over") > took);
		ck_assert_int_eq(fleet_logged(fleet, "event=took_over") > took,
		    fleet_logged(fleet, "event=upgrade_refused") == refused);
		if (fleet_logged(fleet, "event=took_over") > took)
			fleet_follow(fleet);
		else
			fleet_wait(fleet_logged(fleet, "event=reloaded") >
			    done);
		ck_assert_int_eq(access(path, F_OK), 0);
		ck_assert_int_eq(fleet_pid(fleet), fleet->master);
		ck_assert_int_eq(fleet_get(fleet, "/"), 200);
	}
	mews(&said, "status", "-c", fleet->config, NULL);
	ck_assert_msg(said.status == 0, "%s", said.err);
	ck_assert_int_eq(fleet_end(fleet, SIGTERM), 0);
	ck_assert_int_eq(access(path, F_OK), -1);
}
END_TEST

START_TEST(two_commands_that_ask_for_an_upgrade_hear_the_same)
{
	char   *real, script[400], begun[400];
	pid_t	first;
	FILE   *file;
	int	status;

	init("");
	ck_assert_ptr_nonnull(real = realpath(binary, NULL));
	fleet_start(fleet);
	strcpy(script, fleet->dir);
	strcat(script, "/slow");
	strcpy(begun, fleet->dir);
	strcat(begun, "/begun");
	ck_assert_int_eq(mkdir(begun, 0777), 0);
	ck_assert_int_eq(chmod(begun, 0777), 0);
	strcat(begun, "/here");
	ck_assert_ptr_nonnull(file = fopen(script, "we"));
	fprintf(file, "#!/bin/sh\n: >%s\nsleep 1\nexec %s \"$@\"\n",
	    begun, real);
	ck_assert_int_eq(fchmod(fileno(file), 0755), 0);
	fclose(file);
	install(script);
	if ((first = fork()) == 0) {
		/* Standard output belongs to the test's protocol. */
		dup2(STDERR_FILENO, STDOUT_FILENO);
		execl(real, "mews", "upgrade", "-c", fleet->config,
		    (char *)NULL);
		_exit(127);
	}
	/* Once the link was followed, it may change. */
	fleet_wait(access(begun, F_OK) == 0);
	install(NULL);
	fleet_upgrade(fleet);
	ck_assert_int_eq(waitpid(first, &status, 0), first);
	ck_assert_int_eq(status, 0);
	fleet_follow(fleet);
	ck_assert_int_eq(fleet_end(fleet, SIGTERM), 0);
	free(real);
}
END_TEST

static bool
is_refused(unsigned port)
{
	struct sockaddr_in at = { .sin_family = AF_INET,
		.sin_port = htons((in_port_t)port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int		   fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool		   refused;

	refused = connect(fd, (struct sockaddr *)&at, sizeof(at)) == -1 &&
	    errno == ECONNREFUSED;
	close(fd);
	return refused;
}

START_TEST(an_address_that_an_upgrade_takes_away_refuses_clients)
{
	unsigned port = fleet_free_port();
	char	 both[64];

	init("");
	snprintf(both, sizeof(both), "listen = {\"127.0.0.1:%u\", ", port);
	fleet_edit(fleet, "listen = {", both);
	fleet_start(fleet);
	ck_assert(!is_refused(port));
	fleet_edit(fleet, both, "listen = {");
	fleet_upgrade(fleet);
	fleet_follow(fleet);
	fleet_wait(is_refused(port));
	ck_assert_int_eq(fleet_get(fleet, "/"), 200);
	ck_assert_int_eq(fleet_end(fleet, SIGTERM), 0);
}
END_TEST

START_TEST(no_request_is_lost_in_ten_upgrades)
{
	struct load *load;
	int64_t	     took, most = 0;

	init("graceful_timeout = 20s\n");
	fleet_start(fleet);
	load = load_begin(fleet);
	for (int i = 0; i < UPGRADES; i++) {
		took = fleet_now();
		fleet_upgrade(fleet);
		took = fleet_now() - took;
		most = took > most ? took : most;
		fleet_follow(fleet);
	}
	fprintf(stderr, "# an upgrade took %jd ms at most\n", (intmax_t)most);
	load_end(fleet, load, "10 upgrades");
	ck_assert_int_eq(fleet_logged(fleet, "event=drain_timeout"), 0);
	ck_assert_int_eq(fleet_end(fleet, SIGTERM), 0);
	ck_assert_int_eq(fleet_logged(fleet, "level=error"), 0);
}
END_TEST

static Suite *
upgrade_suite(void)
{
	Suite *suite = suite_create("upgrade");
	TCase *tcase = unit_case(suite, "upgrade");

	tcase_set_timeout(tcase, 180);
	tcase_add_unchecked_fixture(tcase, fleet_make_base,
	    fleet_remove_base);
	tcase_add_test(tcase, another_master_takes_over);
	tcase_add_test(tcase, a_stop_is_not_over_before_the_old_master_ended);
	tcase_add_test(tcase,
	    a_stop_does_not_wait_for_ever_for_an_old_master);
	tcase_add_loop_test(tcase, a_binary_that_does_not_run_changes_nothing,
	    0, 2);
	tcase_add_loop_test(tcase,
	    a_configuration_that_is_refused_changes_nothing, 0, 3);
	tcase_add_test(tcase,
	    an_application_that_does_not_start_changes_nothing);
	tcase_add_test(tcase, the_new_master_reads_the_configuration_anew);
	tcase_add_loop_test(tcase, a_new_master_may_be_killed_at_any_time, 0,
	    6);
	tcase_add_loop_test(tcase, a_reload_in_the_middle_leaves_one_master, 0,
	    6);
	tcase_add_test(tcase,
	    two_commands_that_ask_for_an_upgrade_hear_the_same);
	tcase_add_test(tcase,
	    an_address_that_an_upgrade_takes_away_refuses_clients);
	tcase_add_test(tcase, no_request_is_lost_in_ten_upgrades);
	return suite;
}

UNIT_MAIN(upgrade_suite)
