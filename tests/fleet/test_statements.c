/*
 * test_statements.c - a fleet that ends leaves no statement running on a
 * server.
 *
 * From the environment: MEWS_A, the conninfo of a server; MEWS_TEST_SLEEPER,
 * the application.
 */
#include "fleet.h"
#include "unit.h"

#include <fcntl.h>
#include <libpq-fe.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

static struct fleet	   the_fleet;
static struct fleet *const fleet = &the_fleet;
static PGconn		  *session;

static void
start_with(const char *more)
{
	fleet_init(fleet, more);
	fleet_start(fleet);
	session = PQconnectdb(getenv("MEWS_A"));
	ck_assert_msg(PQstatus(session) == CONNECTION_OK, "%s",
	    PQerrorMessage(session));
}

static void
start(void)
{
	char more[600];

	setenv("MEWS_TEST_APP", getenv("MEWS_TEST_SLEEPER"), 1);
	snprintf(more, sizeof(more), "endpoint \"s\" { conninfo = \"%s\" }\n"
	    "group \"write\" { role = primary query_timeout = never "
	    "slow_query = 100ms }\n"
	    "graceful_timeout = 500ms\n", getenv("MEWS_A"));
	start_with(more);
}

/* How many statements of the application with @mark in it run on the server. */
static int
running_with(const char *mark)
{
	PGresult *result = PQexecParams(session, "select count(*) from "
	    "pg_stat_activity where state = 'active' and "
	    "query like '%' || $1 || '%' and pid <> pg_backend_pid()", 1, NULL,
	    &mark, NULL, NULL, 0);
	int	  count;

	ck_assert_msg(PQresultStatus(result) == PGRES_TUPLES_OK, "%s",
	    PQerrorMessage(session));
	count = atoi(PQgetvalue(result, 0, 0));
	PQclear(result);
	return count;
}

static int
running(void)
{
	return running_with("left behind");
}

static void
ask(const char *path)
{
	if (fork() == 0)
		_exit(fleet_get(fleet, path));
}

START_TEST(a_slow_query_names_the_request_that_asked)
{
	start();
	fleet_send(fleet, "GET /nap HTTP/1.1\r\nHost: localhost\r\n"
	    "Connection: close\r\nTraceparent: 00-4bf92f3577b34da6a3ce929d0e0e"
	    "4736-00f067aa0ba902b7-01\r\n\r\n");
	fleet_wait(fleet_logged(fleet, "event=slow_query") == 1);
	ck_assert_int_eq(fleet_logged(fleet, "statement=nap"), 1);
	ck_assert_int_eq(fleet_logged(fleet, " traceparent=00-4bf92f3577b34da6"
	    "a3ce929d0e0e4736-00f067aa0ba902b7-01"), 1);
	ck_assert_int_eq(fleet_end(fleet, SIGTERM), 0);
}
END_TEST

START_TEST(a_stop_leaves_no_statement_running)
{
	static const int signals[] = { SIGTERM, SIGQUIT, SIGTERM };

	start();
	ask("/sleep");
	ask("/lease");
	fleet_wait(running() == 2);
	/* systemd signals all processes at once; here the monitor gets it
	 * first. */
	if (_i == 2)
		ck_assert_int_eq(kill(fleet_monitor(fleet), SIGTERM), 0);
	ck_assert_int_eq(fleet_end(fleet, signals[_i]), 0);
	/* A backend needs a moment to end its statement. */
	fleet_wait(running() == 0);
	/* A statement that is slow to end is ended once more. */
	ck_assert_int_ge(fleet_logged(fleet, "event=orphan_ended"), 2);
	PQfinish(session);
}
END_TEST

/* The monitor works last of all; only its master can see that it failed. */
START_TEST(a_monitor_that_fails_at_the_end_is_followed_by_another)
{
	pid_t workers[FLEET_WORKERS_MAX], monitor;

	start();
	monitor = fleet_monitor(fleet);
	ck_assert_int_eq(fleet_workers(fleet, workers), 2);
	ask("/sleep");
	ask("/lease");
	fleet_wait(running() == 2);
	ck_assert_int_eq(kill(monitor, SIGSTOP), 0);
	fleet_signal(fleet, SIGTERM);
	fleet_wait(!fleet_is_alive(workers[0]) && !fleet_is_alive(workers[1]));
	if (_i == 1)
		ck_assert_int_eq(kill(monitor, SIGKILL), 0);
	ck_assert_int_eq(fleet_end(fleet, SIGTERM), 0);
	fleet_wait(running() == 0);
	ck_assert_int_eq(fleet_logged(fleet, "event=orphans_left"), 0);
	if (_i == 0)
		ck_assert_int_eq(fleet_logged(fleet, "event=monitor_again"), 1);
	PQfinish(session);
}
END_TEST

static void
servers(const char *what)
{
	char command[600];

	snprintf(command, sizeof(command), "%s %s %s a",
	    getenv("MEWS_SERVERS"), what, getenv("MEWS_SERVERS_DIR"));
	ck_assert_int_eq(system(command), 0);
}

START_TEST(statements_that_could_not_be_ended_are_logged)
{
	start();
	ask("/sleep");
	fleet_wait(running() == 1);
	servers("freeze");
	ck_assert_int_eq(fleet_end(fleet, SIGTERM), 0);
	servers("thaw");
	ck_assert_int_eq(fleet_logged(fleet, "event=orphans_left orphans=1 "
	    "hint=\"their servers did not answer\""), 1);
	PQfinish(session);
}
END_TEST

START_TEST(a_stop_with_nothing_left_waits_for_nobody)
{
	start();
	ck_assert_int_eq(fleet_get(fleet, "/"), 200);
	ck_assert_int_eq(fleet_end(fleet, SIGTERM), 0);
	ck_assert_int_eq(fleet_logged(fleet, "event=orphan_ended"), 0);
	ck_assert_int_eq(fleet_logged(fleet, "event=monitor_overdue"), 0);
	PQfinish(session);
}
END_TEST

/* Slow statements and transactions, each on a connection of its own, one after
 * the other. */
static pid_t
ask_again(const char *path, const int *over)
{
	pid_t	client = fork();
	char	byte;

	if (client != 0)
		return client;
	close(over[1]);
	while (read(over[0], &byte, 1) == -1)
		if (fleet_get(fleet, path) != 200)
			_exit(1);
	_exit(0);
}

/* The endpoint's cap is what one generation may need: the next one gets the
 * connections that the one before closes. */
START_TEST(a_reload_lets_statements_and_transactions_end)
{
	pid_t	    clients[8];
	struct said said;
	char	    more[700];
	int	    over[2], status;

	setenv("MEWS_TEST_APP", getenv("MEWS_TEST_SLEEPER"), 1);
	snprintf(more, sizeof(more), "endpoint \"s\" { conninfo = \"%s\" "
	    "max_connections = 24 }\ngroup \"write\" { role = primary "
	    "connection_count = 8 min_connections = 4 }\n",
	    getenv("MEWS_A"));
	start_with(more);
	ck_assert_int_eq(pipe2(over, O_NONBLOCK | O_CLOEXEC), 0);
	for (int i = 0; i < 8; i++)
		clients[i] = ask_again(i % 2 == 0 ? "/nap" : "/work", over);
	for (int i = 0; i < 6; i++) {
		fleet_wait(running_with("nap") >= 4);
		mews(&said, "reload", "-c", fleet->config, NULL);
		ck_assert_msg(said.status == 0, "%s", said.err);
	}
	close(over[1]);
	for (int i = 0; i < 8; i++) {
		waitpid(clients[i], &status, 0);
		ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0,
		    "%d: %d; %.3000s", i, status, fleet_log_text(fleet));
	}
	ck_assert_int_eq(fleet_end(fleet, SIGTERM), 0);
	ck_assert_int_eq(fleet_logged(fleet, "event=orphan_ended"), 0);
	PQfinish(session);
}
END_TEST

static Suite *
statements_suite(void)
{
	Suite *suite = suite_create("statements");
	TCase *tcase = unit_case(suite, "statements");

	tcase_set_timeout(tcase, 180);
	tcase_add_unchecked_fixture(tcase, fleet_make_base,
	    fleet_remove_base);
	tcase_add_test(tcase, a_slow_query_names_the_request_that_asked);
	tcase_add_loop_test(tcase, a_stop_leaves_no_statement_running, 0, 3);
	tcase_add_loop_test(tcase,
	    a_monitor_that_fails_at_the_end_is_followed_by_another, 0, 2);
	tcase_add_test(tcase, statements_that_could_not_be_ended_are_logged);
	tcase_add_test(tcase, a_stop_with_nothing_left_waits_for_nobody);
	tcase_add_test(tcase, a_reload_lets_statements_and_transactions_end);
	return suite;
}

UNIT_MAIN(statements_suite)
