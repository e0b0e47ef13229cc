/*
 * test_keep.c - `mews monitor`: segment and monitor as a service, and processes
 * that attach to it.
 *
 * All of a test runs as the service's user, as an attaching process must be of
 * the same user.
 */
#include "fleet.h"
#include "unit.h"

#include <mews.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

static struct fleet	   the_fleet;
static struct fleet *const fleet = &the_fleet;

static struct mews_fleet *guest;
static struct mews_pool	 *pool;
static struct mews_error  error;

static void
begin(const char *more)
{
	fleet_init(fleet, more);
	ck_assert_int_eq(chown(fleet->config, fleet_user(), (gid_t)-1), 0);
	ck_assert_int_eq(setuid(fleet_user()), 0);
}

/* The endpoint's line of the configuration, for the attached process. */
static void
conninfo(char *text, size_t size)
{
	char  line[512], *from;
	FILE *f = fopen(fleet->config, "re");

	ck_assert_ptr_nonnull(f);
	text[0] = '\0';
	while (fgets(line, sizeof(line), f) != NULL)
		if ((from = strstr(line, "conninfo = \"")) != NULL) {
			from += strlen("conninfo = \"");
			from[strcspn(from, "\"")] = '\0';
			snprintf(text, size, "%s", from);
		}
	fclose(f);
	ck_assert_str_ne(text, "");
}

static enum mews_status
try_attach(struct mews_fleet **out)
{
	struct mews_config *config = mews_config_new(MEWS_ABI);
	char		    text[512], path[400];
	enum mews_status    status;

	conninfo(text, sizeof(text));
	snprintf(path, sizeof(path), "%s/test.segment", fleet->runtime);
	mews_config_set(config, "instance", "test", NULL);
	mews_config_set(config, "runtime_file", path, NULL);
	mews_config_set(config, "endpoint.a.conninfo", text, NULL);
	mews_config_set(config, "group.read.role", "any", NULL);
	status = mews_fleet_attach(out, config, &error);
	mews_config_free(&config);
	return status;
}

static void
join(void)
{
	ck_assert_msg(try_attach(&guest) == MEWS_OK, "%s", error.message);
	ck_assert_msg(mews_fleet_join(guest, &error) == MEWS_OK, "%s",
	    error.message);
	ck_assert_msg(mews_pool_open(&pool, guest, NULL, NULL, &error) ==
	    MEWS_OK, "%s", error.message);
	mews_pool_turn(pool, 0);
}

static void
leave(void)
{
	mews_pool_close(&pool);
	mews_fleet_destroy(&guest);
}

static enum mews_turn
turn(void)
{
	mews_pool_turn(pool, 10);
	return mews_fleet_turn(guest);
}

/* Does status show the pid? */
static bool
shows(const char *key, pid_t pid)
{
	struct said said;
	char	    text[60];

	mews(&said, "status", "-c", fleet->config, "--json", NULL);
	snprintf(text, sizeof(text), "\"%s\":%jd", key, (intmax_t)pid);
	return said.status == 0 && strstr(said.out, text) != NULL;
}

static bool
is_replaced(pid_t before)
{
	pid_t now = fleet_monitor(fleet);

	return now != before && shows("pid", now);
}

START_TEST(processes_attach_to_a_monitor_of_its_own)
{
	pid_t workers[FLEET_WORKERS_MAX], monitor;

	begin("");
	ck_assert_int_eq(try_attach(&guest), MEWS_UNAVAILABLE);
	ck_assert_ptr_nonnull(strstr(error.message, "no fleet runs"));
	fleet_keep(fleet);
	ck_assert_int_eq(fleet_workers(fleet, workers), 0);
	ck_assert_int_eq(fleet_get(fleet, "/"), 0);
	join();
	fleet_wait(shows("pid", getpid()));
	/* A monitor has no workers, so it has none to add. */
	fleet_signal(fleet, SIGTTIN);
	fleet_wait(fleet_logged(fleet, "event=not_resized workers=0") == 1);
	/* The monitor's process is replaced, and attached processes go on. */
	monitor = fleet_monitor(fleet);
	ck_assert_int_eq(kill(monitor, SIGKILL), 0);
	fleet_wait(is_replaced(monitor));
	ck_assert_int_eq(fleet_workers(fleet, workers), 0);
	ck_assert_int_eq(turn(), MEWS_TURN_CURRENT);
	leave();
	ck_assert_int_eq(fleet_end(fleet, SIGTERM), 0);
	ck_assert_int_ne(access(fleet->runtime, F_OK), 0);
}
END_TEST

START_TEST(a_reload_changes_what_is_watched)
{
	struct said said;
	pid_t	    monitor;

	begin("");
	fleet_keep(fleet);
	join();
	monitor = fleet_monitor(fleet);
	mews(&said, "drain", "a", "-c", fleet->config, NULL);
	fleet_edit(fleet, "endpoint \"a\"", "health { interval = 100ms }\n"
	    "endpoint \"z\" { conninfo = \"host=127.0.0.1 port=9\" }\n"
	    "endpoint \"a\"");
	mews(&said, "reload", "-c", fleet->config, NULL);
	ck_assert_msg(said.status == 0, "%s%s", said.err,
	    fleet_log_text(fleet));
	fleet_wait(turn() == MEWS_TURN_PAST);
	fleet_wait(is_replaced(monitor));
	/* An attached process goes on, and attaches to the next service. */
	ck_assert(shows("pid", getpid()));
	leave();
	join();
	ck_assert_int_eq(turn(), MEWS_TURN_CURRENT);
	mews(&said, "status", "-c", fleet->config, "--json", NULL);
	ck_assert_ptr_nonnull(strstr(said.out, "\"name\":\"z\""));
	ck_assert_ptr_nonnull(strstr(said.out, "\"drained\""));
	ck_assert_ptr_nonnull(strstr(said.out, "\"generation\":2"));
	leave();
	ck_assert_int_eq(fleet_end(fleet, SIGTERM), 0);
	ck_assert_int_eq(fleet_logged(fleet, "level=error"), 0);
}
END_TEST

START_TEST(changes_that_a_monitor_cannot_make_are_refused)
{
	struct said said;

	begin("");
	fleet_keep(fleet);
	join();
	fleet_edit(fleet, "instance = \"test\"", "instance = \"tost\"");
	fleet_signal(fleet, SIGHUP);
	fleet_wait(fleet_logged(fleet, "event=reload_refused") == 1);
	ck_assert_int_eq(fleet_logged(fleet,
	    "mews.conf:3: instance cannot change"), 1);
	fleet_edit(fleet, "instance = \"tost\"", "instance = \"test\"");
	fleet_edit(fleet, "role = any", "role = none");
	fleet_signal(fleet, SIGHUP);
	fleet_wait(fleet_logged(fleet, "event=reload_refused") == 2);
	ck_assert_int_eq(fleet_logged(fleet, "mews.conf:8: "), 1);
	fleet_edit(fleet, "role = none", "role = any");
	mews(&said, "upgrade", "-c", fleet->config, NULL);
	ck_assert_int_eq(said.status, 1);
	ck_assert_ptr_nonnull(strstr(said.err, "started anew instead"));
	ck_assert_int_eq(turn(), MEWS_TURN_CURRENT);
	leave();
	ck_assert_int_eq(fleet_end(fleet, SIGTERM), 0);
}
END_TEST

/* Status shows attached processes, to people and programs, with their names. */
START_TEST(status_tells_who_is_attached_from_workers)
{
	struct said said;
	char	    text[80];

	begin("");
	fleet_keep(fleet);
	mews(&said, "status", "-c", fleet->config, NULL);
	ck_assert_ptr_null(strstr(said.out, "attached"));
	join();
	fleet_wait(shows("pid", getpid()));
	mews(&said, "status", "-c", fleet->config, NULL);
	ck_assert_ptr_nonnull(strstr(said.out,
	    ", 0 workers, 0 ready, 1 attached\n"));
	ck_assert_ptr_nonnull(strstr(said.out, "heartbeat  attached\n"));
	snprintf(text, sizeof(text), "  %.15s\n",
	    program_invocation_short_name);
	ck_assert_ptr_nonnull(strstr(said.out, text));
	mews(&said, "status", "-c", fleet->config, "--json", NULL);
	snprintf(text, sizeof(text), "\"attached\":\"%.15s\"",
	    program_invocation_short_name);
	ck_assert_ptr_nonnull(strstr(said.out, text));
	leave();
	ck_assert_int_eq(fleet_end(fleet, SIGTERM), 0);
}
END_TEST

/* The answer of the admin address; "" if there is none. */
static const char *
ask(const char *path)
{
	static char	   answer[262144];
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	char		   request[128];
	size_t		   length = 0;
	ssize_t		   got = -1;
	int		   fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(at.sun_path, sizeof(at.sun_path), "%.80s/admin.sock",
	    fleet->dir);
	snprintf(request, sizeof(request), "GET %s HTTP/1.0\r\n\r\n", path);
	if (connect(fd, (struct sockaddr *)&at, sizeof(at)) == 0 &&
	    send(fd, request, strlen(request), MSG_NOSIGNAL) > 0)
		while ((got = read(fd, answer + length,
		    sizeof(answer) - 1 - length)) > 0)
			length += (size_t)got;
	close(fd);
	answer[length] = '\0';
	return answer;
}

static bool
answers(const char *path, const char *text)
{
	return strstr(ask(path), text) != NULL;
}

/* As status does. A fleet without workers is no trouble by itself. */
START_TEST(the_admin_address_tells_attached_processes_from_workers)
{
	char text[120];

	begin("admin = 'unix:admin.sock'\n");
	fleet_keep(fleet);
	/* While no process is attached no group is missed. */
	fleet_wait(answers("/readyz", "\r\n\r\nok\n"));
	ck_assert(answers("/metrics", "\nmews_attached_processes 0\n"));
	join();
	fleet_wait(answers("/metrics", "\nmews_attached_processes 1\n"));
	ck_assert(answers("/metrics", "\nmews_workers{state=\"ready\"} 0\n"));
	ck_assert(!answers("/metrics", "\nmews_worker_heartbeat_age_seconds{"));
	snprintf(text, sizeof(text), ",program=\"%.15s\"} 0\n",
	    program_invocation_short_name);
	ck_assert(answers("/metrics", text));
	/* The only endpoint of its group is a closed port. */
	fleet_wait((turn(), answers("/readyz", "group read has no endpoint")));
	ck_assert(!answers("/readyz", "no worker"));
	ck_assert(answers("/metrics",
	    "\nmews_group_endpoints{group=\"read\"} 0\n"));
	leave();
	/* The group is gone with the process, but its counts stay. */
	fleet_wait(answers("/readyz", "\r\n\r\nok\n"));
	ck_assert(!answers("/metrics", "\nmews_group_endpoints{"));
	ck_assert(answers("/metrics",
	    "\nmews_query_ends_total{group=\"read\",status=\"OK\"} 0\n"));
	ck_assert_int_eq(fleet_end(fleet, SIGTERM), 0);
}
END_TEST

/* Only root can become another user. */
START_TEST(a_monitor_becomes_the_user_and_the_group_that_are_named)
{
	fleet_init(fleet, "");
	if (getuid() == 0)
		fleet_edit(fleet, "workers = 2",
		    "workers = 2\nuser = \"nobody:nogroup\"");
	fleet_keep(fleet);
	ck_assert_int_eq(fleet_end(fleet, SIGINT), 0);
}
END_TEST

/* The slot of an attached process is not free for workers of the next
 * generation. */
START_TEST(a_reload_counts_who_is_attached)
{
	begin("");
	fleet_start(fleet);
	join();
	fleet_wait(shows("pid", getpid()));
	/* The segment has 68 slots. */
	fleet_edit(fleet, "workers = 2", "workers = 66");
	fleet_signal(fleet, SIGHUP);
	fleet_wait(fleet_logged(fleet, "event=reload_refused") == 1);
	ck_assert_int_eq(fleet_logged(fleet, "mews.conf:5: workers: no room "
	    "for 66 beside 2 that live, and 1 other processes"), 1);
	leave();
	ck_assert_int_eq(fleet_end(fleet, SIGTERM), 0);
}
END_TEST

static void
be_killed(void)
{
	join();
	fleet_wait(shows("pid", getpid()));
	raise(SIGKILL);
}

START_TEST(the_monitor_gives_back_the_slots_of_the_dead)
{
	pid_t child;
	int   status;

	begin("");
	fleet_keep(fleet);
	if ((child = fork()) == 0)
		be_killed();
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert(WIFSIGNALED(status));
	fleet_wait(fleet_logged(fleet, "event=slot_given_back") == 1);
	ck_assert(!shows("pid", child));
	ck_assert_int_eq(fleet_end(fleet, SIGINT), 0);
}
END_TEST

/* Ways in which a monitor's service ends while a process is attached. */
static const int ends[] = { SIGTERM, SIGKILL };

START_TEST(the_next_service_is_attached_to_again)
{
	fleet_ignore_leaks();
	begin("");
	fleet_keep(fleet);
	join();
	fleet_end(fleet, ends[_i]);
	for (int i = 0; i < 20; i++)
		ck_assert_int_eq(turn(), MEWS_TURN_CURRENT);
	fleet_keep(fleet);
	fleet_wait(turn() == MEWS_TURN_PAST);
	leave();
	join();
	fleet_wait(shows("pid", getpid()));
	ck_assert_int_eq(turn(), MEWS_TURN_CURRENT);
	leave();
	ck_assert_int_eq(fleet_end(fleet, SIGTERM), 0);
}
END_TEST

START_TEST(one_instance_has_one_service)
{
	struct said said;

	begin("");
	fleet_keep(fleet);
	mews(&said, "monitor", "-c", fleet->config, NULL);
	ck_assert_int_eq(said.status, 1);
	ck_assert_ptr_nonnull(strstr(said.err, "is running already"));
	ck_assert_int_eq(fleet_end(fleet, SIGTERM), 0);
	mews(&said, "monitor", NULL);
	ck_assert_int_eq(said.status, 2);
	ck_assert_ptr_nonnull(strstr(said.err, "-c FILE is missing"));
}
END_TEST

START_TEST(systemd_is_told_when_the_monitor_is_ready)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	int		   fd = socket(AF_UNIX, SOCK_DGRAM, 0);
	char		   told[512] = "";
	size_t		   used = 0;
	ssize_t		   got;

	begin("");
	snprintf(at.sun_path, sizeof(at.sun_path), "%.90s/notify", fleet->dir);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	setenv("NOTIFY_SOCKET", at.sun_path, 1);
	fleet_keep(fleet);
	while (strstr(told, "monitors serve") == NULL) {
		got = recv(fd, told + used, sizeof(told) - used - 1, 0);
		ck_assert_int_gt(got, 0);
		used += (size_t)got;
	}
	ck_assert_ptr_nonnull(strstr(told, "READY=1"));
	ck_assert_ptr_nonnull(strstr(told, "STATUS=1 of 1 monitors serve"));
	ck_assert_int_eq(fleet_end(fleet, SIGTERM), 0);
	close(fd);
}
END_TEST

static Suite *
keep_suite(void)
{
	Suite *suite = suite_create("keep");
	TCase *tcase = unit_case(suite, "keep");

	tcase_set_timeout(tcase, 180);
	tcase_add_unchecked_fixture(tcase, fleet_make_base,
	    fleet_remove_base);
	tcase_add_test(tcase, processes_attach_to_a_monitor_of_its_own);
	tcase_add_test(tcase, a_reload_changes_what_is_watched);
	tcase_add_test(tcase, changes_that_a_monitor_cannot_make_are_refused);
	tcase_add_test(tcase, status_tells_who_is_attached_from_workers);
	tcase_add_test(tcase,
	    the_admin_address_tells_attached_processes_from_workers);
	tcase_add_test(tcase,
	    a_monitor_becomes_the_user_and_the_group_that_are_named);
	tcase_add_test(tcase, a_reload_counts_who_is_attached);
	tcase_add_test(tcase, the_monitor_gives_back_the_slots_of_the_dead);
	tcase_add_loop_test(tcase, the_next_service_is_attached_to_again, 0,
	    sizeof(ends) / sizeof(ends[0]));
	tcase_add_test(tcase, one_instance_has_one_service);
	tcase_add_test(tcase, systemd_is_told_when_the_monitor_is_ready);
	return suite;
}

UNIT_MAIN(keep_suite)
