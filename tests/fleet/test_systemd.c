/*
 * test_systemd.c - a fleet that is started and watched by systemd, or by a
 * parent like it.
 */
#include "fleet.h"
#include "unit.h"

#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

static struct fleet	   the_fleet;
static struct fleet *const fleet = &the_fleet;
static char		   heard[65536]; /* all messages, each with a newline */

/* Play systemd: listen at a socket that NOTIFY_SOCKET names. */
static int
listen_notify(bool abstract)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	socklen_t	   length = sizeof(at);
	char		   name[sizeof(fleet->dir) + 16];
	int		   fd;

	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	ck_assert_int_ge(fd, 0);
	if (abstract)
		snprintf(name, sizeof(name), "@mews-test-%d", getpid());
	else
		snprintf(name, sizeof(name), "%s/notify", fleet->dir);
	ck_assert_uint_lt(strlen(name), sizeof(at.sun_path));
	strcpy(at.sun_path, name);
	if (abstract) {
		at.sun_path[0] = '\0';
		length = (socklen_t)(sizeof(at.sun_family) + strlen(name));
	}
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&at, length), 0);
	setenv("NOTIFY_SOCKET", name, 1);
	heard[0] = '\0';
	return fd;
}

static int
hear(int fd, const char *text)
{
	size_t	    used = strlen(heard);
	ssize_t	    length;
	const char *at = heard;
	int	    count = 0;

	while ((length = recv(fd, heard + used, sizeof(heard) - used - 2,
		0)) > 0) {
		used += (size_t)length;
		strcpy(heard + used++, "\n");
	}
	for (; (at = strstr(at, text)) != NULL; at++)
		count++;
	return count;
}

START_TEST(systemd_is_told_when_it_serves_and_when_it_ends)
{
	pid_t workers[FLEET_WORKERS_MAX];
	char  pid[32];
	int   fd;

	fleet_init(fleet, "graceful_timeout = 20s\n");
	fd = listen_notify(_i == 1);
	setenv("WATCHDOG_USEC", "200000", 1);
	unsetenv("WATCHDOG_PID");
	fleet_start(fleet);
	fleet_wait(hear(fd, "STATUS=2 of 2 workers serve\n") == 1);
	ck_assert_int_eq(hear(fd, "READY=1\n"), 1);
	snprintf(pid, sizeof(pid), "MAINPID=%d\n", fleet->master);
	ck_assert_int_eq(hear(fd, pid), 1);
	fleet_wait(hear(fd, "WATCHDOG=1\n") > 5);
	ck_assert_int_eq(fleet_workers(fleet, workers), 2);
	kill(workers[0], SIGKILL);
	fleet_wait(hear(fd, "STATUS=1 of 2 workers serve\n") == 1);
	fleet_wait(hear(fd, "STATUS=2 of 2 workers serve\n") == 2);
	fleet_signal(fleet, SIGHUP);
	fleet_wait(hear(fd, "READY=1\n") == 2);
	ck_assert_int_eq(hear(fd, "RELOADING=1\nMONOTONIC_USEC="), 1);
	ck_assert_int_eq(fleet_end(fleet, SIGTERM), 0);
	ck_assert_int_eq(hear(fd, "STOPPING=1\n"), 1);
	ck_assert_int_eq(hear(fd, "EXTEND_TIMEOUT_USEC=21000000\n"), 1);
	ck_assert_int_eq(hear(fd, "READY=1\n"), 2);
	close(fd);
}
END_TEST

/* The old master names the new one, which sends messages from then on, and is
 * systemd's child as the old one was: else systemd would not wait for its
 * end. */
START_TEST(systemd_is_told_which_process_an_upgrade_made_the_master)
{
	struct said said;
	char	    pid[32], *end;
	int	    fd, status;

	fleet_init(fleet, "");
	fd = listen_notify(false);
	fleet_start(fleet);
	fleet_wait(hear(fd, "READY=1\n") == 1);
	mews(&said, "upgrade", "-c", fleet->config, NULL);
	ck_assert_msg(said.status == 0, "%s", said.err);
	fleet_wait(hear(fd, "READY=1\n") == 2);
	ck_assert_int_eq(hear(fd, "RELOADING=1\nMONOTONIC_USEC="), 1);
	ck_assert_int_eq(waitpid(fleet->master, &status, 0), fleet->master);
	/* Both the old master and the new one named it. */
	end = strstr(fleet_log_text(fleet), "new_master_pid=");
	ck_assert_ptr_nonnull(end);
	fleet->master = atoi(end + strlen("new_master_pid="));
	snprintf(pid, sizeof(pid), "MAINPID=%d\n", fleet->master);
	ck_assert_int_eq(hear(fd, pid), 2);
	ck_assert_int_eq(hear(fd, "STOPPING=1"), 0);
	ck_assert_int_eq(fleet_end(fleet, SIGTERM), 0);
	ck_assert_int_eq(hear(fd, "STOPPING=1"), 1);
	close(fd);
}
END_TEST

START_TEST(systemd_does_not_take_a_new_master_that_ends_for_the_master)
{
	struct said said;
	char	    pid[32];
	int	    fd;

	fleet_init(fleet, "");
	fd = listen_notify(false);
	fleet_start(fleet);
	fleet_wait(hear(fd, "READY=1\n") == 1);
	fleet_edit(fleet, "instance = \"test\"",
	    "user = \"games\" instance = \"test\"");
	mews(&said, "upgrade", "-c", fleet->config, NULL);
	ck_assert_int_eq(said.status, 1);
	ck_assert_msg(strstr(said.err, "user cannot change") != NULL, "%s%s",
	    said.err, fleet_log_text(fleet));
	fleet_wait(hear(fd, "READY=1\n") == 2);
	ck_assert_int_gt(waitpid(-1, NULL, 0), 0);
	fleet_edit(fleet, "user = \"games\" instance = \"test\"",
	    "instance = \"test\"");
	fleet_upgrade(fleet);
	fleet_follow(fleet);
	fleet_wait(hear(fd, "READY=1\n") == 3);
	snprintf(pid, sizeof(pid), "MAINPID=%d\n", fleet->master);
	ck_assert_int_eq(hear(fd, pid), 2);
	ck_assert_int_eq(hear(fd, "MAINPID="), 3);
	ck_assert_int_eq(fleet_end(fleet, SIGTERM), 0);
	close(fd);
}
END_TEST

START_TEST(a_watchdog_of_another_process_gets_no_sign)
{
	int fd;

	fleet_init(fleet, "");
	fd = listen_notify(false);
	setenv("WATCHDOG_USEC", "10000", 1);
	setenv("WATCHDOG_PID", "1", 1);
	fleet_start(fleet);
	fleet_wait(hear(fd, "READY=1\n") == 1);
	ck_assert_int_eq(fleet_end(fleet, SIGTERM), 0);
	ck_assert_int_eq(hear(fd, "WATCHDOG=1\n"), 0);
	close(fd);
}
END_TEST

START_TEST(a_notify_socket_that_is_not_read_stops_no_fleet)
{
	fleet_init(fleet, "");
	setenv("NOTIFY_SOCKET", _i == 0 ? "/nonexistent/notify" : "bogus", 1);
	setenv("LISTEN_FDS", "3", 1);
	setenv("LISTEN_PID", "1", 1);
	fleet_start(fleet);
	ck_assert_int_eq(fleet_end(fleet, SIGTERM), 0);
}
END_TEST

/* Start mews with @fd as descriptor 3, passed as systemd passes sockets. */
static void
launch_with(int fd)
{
	char log[320], script[800];

	snprintf(log, sizeof(log), "%s", fleet->log);
	snprintf(script, sizeof(script),
	    "exec 3<&%d; LISTEN_FDS=1 LISTEN_PID=$$ exec %s run -c %s "
	    ">%s 2>&1", fd, getenv("MEWS"), fleet->config, log);
	if ((fleet->master = fork()) == 0) {
		execl("/bin/sh", "sh", "-c", script, NULL);
		_exit(127);
	}
	ck_assert_int_gt(fleet->master, 0);
}

/* A listening socket at the address of the fleet. */
static int
listen_for(bool local)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	int		   fd;

	if (!local)
		return fleet_take_port(fleet);
	ck_assert_int_eq(mkdir(fleet->runtime, 0755), 0);
	ck_assert_int_eq(chown(fleet->runtime, fleet_user(), (gid_t)-1), 0);
	strcpy(at.sun_path, fleet->socket);
	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	ck_assert_int_eq(listen(fd, 8), 0);
	return fd;
}

START_TEST(a_socket_that_was_passed_is_served_and_stays)
{
	const bool local = _i == 1;
	int	   fd;

	fleet_init(fleet, "");
	fd = dup(listen_for(local));	/* inherited, and another number than
					   3 */
	for (int round = 0; round < 2; round++) {
		launch_with(fd);
		fleet_wait(fleet_logged(fleet, "event=ready workers=") == 1);
		ck_assert_int_eq(fleet_get(fleet, "/"), 200);
		ck_assert_int_eq(fleet_get_unix(fleet, "/"), 200);
		ck_assert_int_eq(fleet_end(fleet, SIGTERM), 0);
		/* Clients of the next master wait instead of being refused. */
		ck_assert_int_eq(access(fleet->socket, F_OK),
		    local ? 0 : -1);
		unlink(fleet->log);
	}
	close(fd);
}
END_TEST

START_TEST(a_socket_that_nothing_names_is_a_mistake)
{
	struct sockaddr_in at = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int		   status, fd;

	fleet_init(fleet, "");
	fd = socket(AF_INET, SOCK_STREAM, 0);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	if (_i == 0)
		ck_assert_int_eq(listen(fd, 8), 0);
	launch_with(fd);
	ck_assert_int_eq(waitpid(fleet->master, &status, 0), fleet->master);
	ck_assert_int_eq(status, 1 << 8);
	ck_assert_int_eq(fleet_logged(fleet, _i == 0 ?
	    "which listen does not name" : "is no listening socket"), 1);
	close(fd);
}
END_TEST

/* RuntimeDirectory= belongs to the user that systemd starts the service as:
 * root. */
START_TEST(a_runtime_directory_of_systemd_is_given_to_who_serves)
{
	struct stat st;

	fleet_init(fleet, "");
	ck_assert_int_eq(mkdir(fleet->runtime, 0755), 0);
	setenv("RUNTIME_DIRECTORY", fleet->runtime, 1);
	fleet_start(fleet);
	ck_assert_int_eq(stat(fleet->runtime, &st), 0);
	ck_assert_uint_eq(st.st_uid, fleet_user());
	ck_assert_int_eq(fleet_get_unix(fleet, "/"), 200);
	ck_assert_int_eq(fleet_end(fleet, SIGTERM), 0);
	ck_assert_int_eq(access(fleet->runtime, F_OK), 0);
}
END_TEST

static Suite *
systemd_suite(void)
{
	Suite *suite = suite_create("systemd");
	TCase *tcase = unit_case(suite, "systemd");

	tcase_set_timeout(tcase, 180);
	tcase_add_unchecked_fixture(tcase, fleet_make_base,
	    fleet_remove_base);
	tcase_add_loop_test(tcase,
	    systemd_is_told_when_it_serves_and_when_it_ends, 0, 2);
	tcase_add_test(tcase,
	    systemd_is_told_which_process_an_upgrade_made_the_master);
	tcase_add_test(tcase,
	    systemd_does_not_take_a_new_master_that_ends_for_the_master);
	tcase_add_test(tcase, a_watchdog_of_another_process_gets_no_sign);
	tcase_add_loop_test(tcase,
	    a_notify_socket_that_is_not_read_stops_no_fleet, 0, 2);
	tcase_add_loop_test(tcase, a_socket_that_was_passed_is_served_and_stays,
	    0, 2);
	tcase_add_test(tcase,
	    a_runtime_directory_of_systemd_is_given_to_who_serves);
	tcase_add_loop_test(tcase, a_socket_that_nothing_names_is_a_mistake, 0,
	    2);
	return suite;
}

UNIT_MAIN(systemd_suite)
