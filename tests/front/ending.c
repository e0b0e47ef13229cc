/*
 * ending.c - how a worker ends, and how it fails to start.
 */
#include "client.h"
#include "server.h"
#include "unit.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define GET(target) "GET " target " HTTP/1.1\r\nHost: test\r\n\r\n"

static void
expect_last(int fd, int status, const char *body)
{
	struct answer answer;

	client_read(fd, "GET", &answer);
	ck_assert_msg(answer.status == status, "%d instead of %d: %s",
	    answer.status, status, answer.body);
	ck_assert_int_eq(strncmp(answer.body, body, strlen(body)), 0);
	ck_assert_str_eq(answer_header(&answer, "Connection"), "close");
	ck_assert(client_sees_end(fd, 5000));
	close(fd);
}

/* Once a request is answered, all that was sent before has been accepted and
 * read. */
static void
wait_until_asked(const struct server *server)
{
	client_expect_service(server->port);
}

static void
finishes_what_is_in_flight(int signal)
{
	struct server server;
	int64_t	start;
	int	idle, busy;

	server_start(&server, NULL);
	idle = client_connect(server.port);
	busy = client_connect(server.port);
	client_say(busy, GET("/later"));
	wait_until_asked(&server);
	start = now_ms();
	if (signal == 0) {
		close(server.channel);
		server.channel = -1;
	} else
		kill(server.pid, signal);
	ck_assert_msg(client_sees_end(idle, 5000),
	    "an idle connection is kept open");
	close(idle);
	expect_last(busy, 200, "later\n");
	ck_assert_int_eq(server_wait(&server), 0);
	ck_assert_int_lt(now_ms() - start, 5000);
}

START_TEST(sigterm_finishes_requests_in_flight)
{
	finishes_what_is_in_flight(SIGTERM);
}
END_TEST

START_TEST(sigint_finishes_requests_in_flight)
{
	finishes_what_is_in_flight(SIGINT);
}
END_TEST

START_TEST(the_end_of_the_master_finishes_requests_in_flight)
{
	finishes_what_is_in_flight(0);
}
END_TEST

START_TEST(a_request_that_arrived_is_answered)
{
	struct server server;
	int	fd;

	server_start(&server, NULL);
	fd = client_connect(server.port);
	wait_until_asked(&server);
	/* The request and the signal both are there when the worker goes on. */
	server_freeze(&server);
	client_say(fd, GET("/now"));
	kill(server.pid, SIGTERM);
	server_thaw(&server);
	expect_last(fd, 200, "now\n");
	ck_assert_int_eq(server_wait(&server), 0);
}
END_TEST

START_TEST(connections_not_yet_accepted_are_left_to_others)
{
	struct server server;
	int	fd;

	server_start(&server, NULL);
	server_freeze(&server);
	kill(server.pid, SIGTERM);
	fd = client_connect(server.port);
	server_thaw(&server);
	client_say(fd, GET("/now"));
	/* Accepted or not, the connection is not lost: this test holds the
	 * listening socket. */
	ck_assert_int_eq(kill(server.pid, 0), 0);
	if (!client_sees_end(fd, 500))
		ck_assert_int_ge(
		    accept(server.listener, NULL, NULL), 0);
	close(fd);
	ck_assert_int_eq(server_wait(&server), 0);
}
END_TEST

START_TEST(a_drain_ends_after_graceful_timeout)
{
	struct server_options options = { .graceful_timeout = 300 };
	struct server server;
	int64_t	start;
	int	fd;

	server_start(&server, &options);
	fd = client_connect(server.port);
	client_say(fd, GET("/never"));
	wait_until_asked(&server);
	start = now_ms();
	kill(server.pid, SIGTERM);
	expect_last(fd, 503, "CANCELED");
	ck_assert_int_eq(server_wait(&server), 0);
	ck_assert_int_ge(now_ms() - start, 250);
	ck_assert_int_lt(now_ms() - start, 5000);
}
END_TEST

START_TEST(sigquit_ends_a_worker_at_once)
{
	struct server server;
	int64_t	start;
	int	fd, half;

	server_start(&server, NULL);
	half = client_connect(server.port);
	client_say(half, "GET /now HTTP/1.1\r\nHo");
	fd = client_connect(server.port);
	client_say(fd, GET("/never"));
	wait_until_asked(&server);
	start = now_ms();
	kill(server.pid, SIGQUIT);
	expect_last(fd, 503, "CANCELED");
	ck_assert(client_sees_end(half, 5000));
	close(half);
	ck_assert_int_eq(server_wait(&server), 0);
	ck_assert_int_lt(now_ms() - start, 5000);
}
END_TEST

START_TEST(sigquit_ends_a_drain)
{
	struct server server;
	int	fd;

	server_start(&server, NULL);
	fd = client_connect(server.port);
	client_say(fd, GET("/never"));
	wait_until_asked(&server);
	kill(server.pid, SIGTERM);
	while (mews_fleet_state(server.fleet, server.pid) !=
	    MEWS_WORKER_DRAINING)
		usleep(1000);
	kill(server.pid, SIGQUIT);
	expect_last(fd, 503, "CANCELED");
	ck_assert_int_eq(server_wait(&server), 0);
}
END_TEST

START_TEST(signals_for_the_master_do_nothing)
{
	static const int signals[] = { SIGHUP, SIGPIPE, SIGTTIN, SIGTTOU,
		SIGUSR1, SIGUSR2 };
	struct server server;

	server_start(&server, NULL);
	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		kill(server.pid, signals[i]);
	client_expect_service(server.port);
	server_stop(&server);
}
END_TEST

START_TEST(a_second_answer_ends_the_worker)
{
	struct server server;
	int	fd;

	server_start(&server, NULL);
	fd = client_connect(server.port);
	client_say(fd, GET("/twice"));
	ck_assert_int_eq(server_wait(&server), -SIGABRT);
	close(fd);
}
END_TEST

static enum mews_status
start_fails(struct mews_worker *worker, void **state, struct mews_error *error)
{
	(void)state;
	ck_assert_ptr_nonnull(mews_worker_pool(worker));
	ck_assert_uint_eq(mews_worker_number(worker), 0);
	snprintf(error->message, sizeof(error->message),
	    "expected by the test");
	return MEWS_INVALID;
}

static void
never_called(void *state, struct mews_request *request)
{
	(void)state;
	(void)request;
	ck_abort_msg("asked without being started");
}

START_TEST(an_application_that_cannot_start_ends_the_worker)
{
	static const struct mews_app app = { .abi = MEWS_APP_ABI,
		.name = "broken", .start = start_fails,
		.request = never_called };
	struct server_options options = { .app = &app };
	struct server server;

	server_fork(&server, &options);
	ck_assert_int_eq(server_wait(&server), 1);
}
END_TEST

START_TEST(an_application_is_checked_when_it_is_loaded)
{
	const struct mews_app *app;
	struct mews_error error;

	ck_assert(!application_load("/nonexistent.so", &app, &error));
	ck_assert_ptr_nonnull(strstr(error.message, "/nonexistent.so"));
	ck_assert_ptr_null(app);
	/* A shared object, but no application. */
	ck_assert(!application_load("libm.so.6", &app, &error));
	ck_assert_ptr_nonnull(strstr(error.message, "libm.so.6"));
	ck_assert_ptr_nonnull(strstr(error.message, "mews_app"));
}
END_TEST

static Suite *
ending_suite(void)
{
	Suite	*suite = suite_create("ending");
	TCase	*ending = unit_case(suite, "ending");
	TCase	*failing = unit_case(suite, "failing");

	tcase_set_timeout(ending, 180);
	tcase_add_test(ending, sigterm_finishes_requests_in_flight);
	tcase_add_test(ending, sigint_finishes_requests_in_flight);
	tcase_add_test(ending,
	    the_end_of_the_master_finishes_requests_in_flight);
	tcase_add_test(ending, a_request_that_arrived_is_answered);
	tcase_add_test(ending, connections_not_yet_accepted_are_left_to_others);
	tcase_add_test(ending, a_drain_ends_after_graceful_timeout);
	tcase_add_test(ending, sigquit_ends_a_worker_at_once);
	tcase_add_test(ending, sigquit_ends_a_drain);
	tcase_add_test(ending, signals_for_the_master_do_nothing);
	tcase_set_timeout(failing, 180);
	tcase_add_test(failing, a_second_answer_ends_the_worker);
	tcase_add_test(failing,
	    an_application_that_cannot_start_ends_the_worker);
	tcase_add_test(failing, an_application_is_checked_when_it_is_loaded);
	return suite;
}

UNIT_MAIN(ending_suite)
