/*
 * test_reload.c - a fleet that runs gets another configuration.
 */
#include "fleet.h"
#include "load.h"
#include "unit.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

static struct fleet fleet[1];
static struct said  said;

static void
edit(const char *from, const char *to)
{
	fleet_edit(fleet, from, to);
}

static bool
is_one_of(pid_t pid, const pid_t *pids, int count)
{
	for (int i = 0; i < count; i++)
		if (pids[i] == pid)
			return true;
	return false;
}

/* Fail unless the workers are the same as before. */
static void
assert_unchanged(const pid_t *before, int count)
{
	pid_t now[FLEET_WORKERS_MAX];

	ck_assert_int_eq(fleet_workers(fleet, now), count);
	for (int i = 0; i < count; i++)
		ck_assert(is_one_of(now[i], before, count));
	ck_assert_int_eq(fleet_get(fleet, "/"), 200);
}

START_TEST(a_reload_changes_all_workers_and_what_is_configured)
{
	pid_t before[FLEET_WORKERS_MAX], now[FLEET_WORKERS_MAX];
	int   count;

	fleet_init(fleet, "");
	fleet_start(fleet);
	count = fleet_workers(fleet, before);
	edit("workers = 2", "workers = 3");
	edit("endpoint \"a\"", "endpoint \"b\" { conninfo = \"host=127.0.0.1 "
	    "port=9\" }\nendpoint \"a\"");
	mews(&said, "reload", "-c", fleet->config, NULL);
	ck_assert_msg(said.status == 0, "%s%s", said.err,
	    fleet_log_text(fleet));
	ck_assert_ptr_nonnull(strstr(said.out, "serves"));
	ck_assert_int_eq(fleet_logged(fleet, "event=reloaded generation=2 "
	    "workers=3"), 1);
	/* No two living workers have the same number. */
	ck_assert_int_eq(fleet_logged(fleet, "event=worker_started "
	    "worker=4 "), 1);
	for (int i = 0; i < count; i++)
		fleet_wait(!fleet_is_alive(before[i]));
	/* The monitor before may take a moment to end. */
	fleet_wait(fleet_workers(fleet, now) == 3);
	for (int i = 0; i < 3; i++)
		ck_assert(!is_one_of(now[i], before, count));
	ck_assert(is_one_of(fleet_get_worker(fleet), now, 3));
	ck_assert_int_eq(fleet_get_unix(fleet, "/"), 200);
	fleet_wait(fleet_logged(fleet, "event=ready monitors=1") == 1);
	mews(&said, "status", "-c", fleet->config, "--json", NULL);
	ck_assert_ptr_nonnull(strstr(said.out, "\"b\""));
	ck_assert_int_eq(fleet_end(fleet, SIGTERM), 0);
	ck_assert_int_eq(fleet_logged(fleet, "level=error"), 0);
}
END_TEST

/* By the command, which reads the file first, and by the signal alone. */
START_TEST(a_broken_configuration_changes_nothing)
{
	pid_t before[FLEET_WORKERS_MAX];
	char  text[400];
	int   count;

	fleet_init(fleet, "");
	fleet_start(fleet);
	count = fleet_workers(fleet, before);
	edit("workers = 2", "workers = many");
	edit("role = any", "role = none");
	mews(&said, "reload", "-c", fleet->config, NULL);
	ck_assert_int_eq(said.status, 1);
	snprintf(text, sizeof(text), "%s:5: ", fleet->config);
	ck_assert_ptr_nonnull(strstr(said.err, text));
	ck_assert_int_eq(fleet_logged(fleet, "event=reload"), 0);
	fleet_signal(fleet, SIGHUP);
	fleet_wait(fleet_logged(fleet, "event=reload_refused") == 1);
	ck_assert_int_eq(fleet_logged(fleet, "event=reload_mistake"), 2);
	ck_assert_int_eq(fleet_logged(fleet, text), 1);
	assert_unchanged(before, count);
	ck_assert_int_eq(fleet_end(fleet, SIGTERM), 0);
}
END_TEST

START_TEST(keys_that_cannot_change_are_refused_by_name)
{
	static const struct {
		const char *from, *to, *key;
	} fixed[] = {
		{ "instance = \"test\"", "instance = \"tost\"", "instance" },
		{ "workers = 2", "workers = 2\nuser = \"games\"", "user" },
	};
	pid_t before[FLEET_WORKERS_MAX];
	char  text[100];
	int   count;

	fleet_init(fleet, "");
	fleet_start(fleet);
	count = fleet_workers(fleet, before);
	edit(fixed[_i].from, fixed[_i].to);
	fleet_signal(fleet, SIGHUP);
	fleet_wait(fleet_logged(fleet, "event=reload_refused") == 1);
	snprintf(text, sizeof(text), "%s cannot change", fixed[_i].key);
	ck_assert_int_eq(fleet_logged(fleet, text), 1);
	assert_unchanged(before, count);
	ck_assert_int_eq(fleet_end(fleet, SIGTERM), 0);
}
END_TEST

START_TEST(an_application_that_cannot_be_loaded_changes_nothing)
{
	pid_t before[FLEET_WORKERS_MAX];
	int   count;

	fleet_init(fleet, "");
	fleet_start(fleet);
	count = fleet_workers(fleet, before);
	edit("app = \"", "app = \"/etc/passwd\" # \"");
	mews(&said, "reload", "-c", fleet->config, NULL);
	ck_assert_int_eq(said.status, 1);
	ck_assert_ptr_nonnull(strstr(said.err, "mews.conf:2: "));
	ck_assert_int_eq(fleet_logged(fleet, "mews.conf:2: "), 1);
	assert_unchanged(before, count);
	ck_assert_int_eq(fleet_end(fleet, SIGTERM), 0);
}
END_TEST

START_TEST(an_application_that_does_not_start_changes_nothing)
{
	pid_t before[FLEET_WORKERS_MAX];
	char  flag[300];
	int   count;

	fleet_init(fleet, "");
	strcpy(flag, fleet->dir);
	strcat(flag, "/fail");
	setenv("MEWS_TEST_FAIL", flag, 1);
	fleet_start(fleet);
	count = fleet_workers(fleet, before);
	close(open(flag, O_WRONLY | O_CREAT | O_CLOEXEC, 0644));
	mews(&said, "reload", "-c", fleet->config, NULL);
	ck_assert_int_eq(said.status, 1);
	ck_assert_ptr_nonnull(strstr(said.err, "before all were ready"));
	fleet_wait(fleet_workers(fleet, (pid_t[FLEET_WORKERS_MAX]){ 0 }) ==
	    count);
	assert_unchanged(before, count);
	unlink(flag);
	mews(&said, "reload", "-c", fleet->config, NULL);
	ck_assert_msg(said.status == 0, "%s", said.err);
	ck_assert_int_eq(fleet_end(fleet, SIGTERM), 0);
}
END_TEST

START_TEST(addresses_come_and_go)
{
	unsigned port = fleet->port;
	char	 from[400], to[400], other[340];

	fleet_init(fleet, "");
	fleet_start(fleet);
	port = fleet->port;
	snprintf(other, sizeof(other), "%s/other.sock", fleet->runtime);
	snprintf(from, sizeof(from), "\"unix:%s\"", fleet->socket);
	snprintf(to, sizeof(to), "\"unix:%s\"", other);
	edit(from, to);
	mews(&said, "reload", "-c", fleet->config, NULL);
	ck_assert_msg(said.status == 0, "%s", said.err);
	ck_assert_int_eq(access(fleet->socket, F_OK), -1);
	ck_assert_int_eq(fleet_get(fleet, "/"), 200);
	strcpy(fleet->socket, other);
	ck_assert_int_eq(fleet_get_unix(fleet, "/"), 200);
	/* An address that is taken is refused. */
	snprintf(from, sizeof(from), "\"127.0.0.1:%u\"", port);
	edit(from, "\"127.0.0.1:1\", \"unix:/nowhere/x\"");
	mews(&said, "reload", "-c", fleet->config, NULL);
	ck_assert_int_eq(said.status, 1);
	ck_assert_ptr_nonnull(strstr(said.err, "mews.conf:1: cannot listen"));
	ck_assert_int_eq(fleet_get(fleet, "/"), 200);
	ck_assert_int_eq(fleet_get_unix(fleet, "/"), 200);
	ck_assert_int_eq(fleet_end(fleet, SIGTERM), 0);
	ck_assert_int_eq(access(other, F_OK), -1);
}
END_TEST

START_TEST(the_log_goes_elsewhere_and_comes_back)
{
	static const char *const steps[][2] = {
		{ "log_level = debug", "log_level = debug log = syslog" },
		{ "log_level = debug log = syslog", "log_level = warning" },
		{ "log_level = warning", "log_level = debug" },
	};

	fleet_init(fleet, "");
	fleet_start(fleet);
	for (int i = 0; i < 3; i++) {
		edit(steps[i][0], steps[i][1]);
		mews(&said, "reload", "-c", fleet->config, NULL);
		ck_assert_msg(said.status == 0, "%s", said.err);
	}
	/* The old log says where the log goes, if the level of that line is
	 * logged. */
	ck_assert_int_eq(fleet_logged(fleet, "event=reloaded"), 1);
	ck_assert_int_eq(fleet_logged(fleet,
	    "event=reloaded generation=4"), 1);
	ck_assert_int_eq(fleet_logged(fleet, "to=ready"), 4);
	ck_assert_int_eq(fleet_end(fleet, SIGTERM), 0);
}
END_TEST

START_TEST(a_reload_keeps_drained_servers_drained)
{
	fleet_init(fleet, "");
	fleet_start(fleet);
	mews(&said, "drain", "a", "-c", fleet->config, NULL);
	ck_assert_int_eq(said.status, 0);
	/* The server moves as well. */
	edit("host=127.0.0.1", "host=127.0.0.2");
	mews(&said, "reload", "-c", fleet->config, NULL);
	ck_assert_msg(said.status == 0, "%s", said.err);
	mews(&said, "status", "-c", fleet->config, "--json", NULL);
	ck_assert_ptr_nonnull(strstr(said.out, "\"drained\""));
	/* The monitor probes the server at its new place, and nowhere else. */
	fleet_wait(fleet_logged(fleet, "at \\\"127.0.0.2\\\"") > 0);
	ck_assert_int_eq(fleet_logged(fleet, "(null)"), 0);
	ck_assert_int_eq(fleet_end(fleet, SIGTERM), 0);
}
END_TEST

/* A stopped worker is killed after graceful_timeout; the reload does not
 * wait. */
START_TEST(a_worker_that_does_not_drain_is_killed)
{
	pid_t before[FLEET_WORKERS_MAX];

	fleet_init(fleet, "graceful_timeout = 300ms\n");
	fleet_start(fleet);
	fleet_workers(fleet, before);
	kill(before[0], SIGSTOP);
	for (int i = 0; i < 2; i++) {
		mews(&said, "reload", "-c", fleet->config, NULL);
		ck_assert_msg(said.status == 0, "%s", said.err);
	}
	ck_assert_int_eq(fleet_get(fleet, "/"), 200);
	fleet_wait(!fleet_is_alive(before[0]));
	ck_assert_int_eq(fleet_logged(fleet, "event=worker_overdue"), 1);
	ck_assert_int_eq(fleet_end(fleet, SIGTERM), 0);
}
END_TEST

/* The master is killed in each state that a reload may be in. */
START_TEST(nobody_outlives_a_master_that_was_killed_in_a_reload)
{
	pid_t before[FLEET_WORKERS_MAX], now[FLEET_WORKERS_MAX];
	int   count, more;

	fleet_ignore_leaks();
	fleet_init(fleet, "");
	fleet_start(fleet);
	count = fleet_workers(fleet, before);
	fleet_signal(fleet, SIGHUP);
	usleep((useconds_t)_i * 15000);
	more = fleet_workers(fleet, now);
	fleet_signal(fleet, SIGKILL);
	waitpid(fleet->master, NULL, 0);
	for (int i = 0; i < count; i++)
		fleet_wait(!fleet_is_alive(before[i]));
	for (int i = 0; i < more; i++)
		fleet_wait(!fleet_is_alive(now[i]));
	fleet_start(fleet);
	ck_assert_int_eq(fleet_get(fleet, "/"), 200);
	ck_assert_int_eq(fleet_end(fleet, SIGTERM), 0);
}
END_TEST

START_TEST(a_stop_ends_a_reload)
{
	fleet_init(fleet, "");
	fleet_start(fleet);
	setenv("MEWS_TEST_LOAD", "hang", 1);
	for (int i = 0; i < 3; i++)
		fleet_signal(fleet, SIGHUP);
	ck_assert_int_eq(fleet_end(fleet, SIGTERM), 0);
}
END_TEST

/* How many descriptors the master has open. */
static int
descriptors(void)
{
	char path[64], name[16];
	int  count = 0;

	for (int fd = 0; fd < 1024; fd++) {
		snprintf(path, sizeof(path), "/proc/%jd/fd/%d",
		    (intmax_t)fleet->master, fd);
		count += readlink(path, name, sizeof(name)) > 0;
	}
	return count;
}

#define RELOADS 20

START_TEST(no_request_is_lost_in_twenty_reloads)
{
	struct load *load;
	int64_t	     took, most = 0;
	int	     held;

	fleet_init(fleet, "graceful_timeout = 20s\n");
	fleet_start(fleet);
	held = descriptors();
	load = load_begin(fleet);
	for (int i = 0; i < RELOADS; i++) {
		took = fleet_now();
		mews(&said, "reload", "-c", fleet->config, NULL);
		ck_assert_msg(said.status == 0, "%s", said.err);
		took = fleet_now() - took;
		most = took > most ? took : most;
	}
	fleet_wait(atomic_load(&load->closed) >= LOAD_CLIENTS);
	fprintf(stderr, "# a reload took %jd ms at most\n", (intmax_t)most);
	load_end(fleet, load, "20 reloads");
	ck_assert_int_eq(fleet_logged(fleet, "event=drain_timeout"), 0);
	fleet_wait(descriptors() == held);
	ck_assert_int_eq(fleet_end(fleet, SIGTERM), 0);
}
END_TEST

static Suite *
reload_suite(void)
{
	Suite *suite = suite_create("reload");
	TCase *tcase = unit_case(suite, "reload");

	tcase_set_timeout(tcase, 180);
	tcase_add_unchecked_fixture(tcase, fleet_make_base,
	    fleet_remove_base);
	tcase_add_test(tcase,
	    a_reload_changes_all_workers_and_what_is_configured);
	tcase_add_test(tcase, a_broken_configuration_changes_nothing);
	tcase_add_loop_test(tcase, keys_that_cannot_change_are_refused_by_name,
	    0, 2);
	tcase_add_test(tcase,
	    an_application_that_cannot_be_loaded_changes_nothing);
	tcase_add_test(tcase,
	    an_application_that_does_not_start_changes_nothing);
	tcase_add_test(tcase, addresses_come_and_go);
	tcase_add_test(tcase, the_log_goes_elsewhere_and_comes_back);
	tcase_add_test(tcase, a_reload_keeps_drained_servers_drained);
	tcase_add_test(tcase, a_worker_that_does_not_drain_is_killed);
	tcase_add_loop_test(tcase,
	    nobody_outlives_a_master_that_was_killed_in_a_reload, 0, 6);
	tcase_add_test(tcase, a_stop_ends_a_reload);
	tcase_add_test(tcase, no_request_is_lost_in_twenty_reloads);
	return suite;
}

UNIT_MAIN(reload_suite)
