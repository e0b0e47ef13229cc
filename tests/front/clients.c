/*
 * clients.c - clients that are slow, impatient, many, or leave early.
 */
#include "client.h"
#include "server.h"
#include "unit.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define HOST "Host: test\r\n\r\n"
#define GET(target) "GET " target " HTTP/1.1\r\n" HOST
#define HEAD(target) "HEAD " target " HTTP/1.1\r\n" HOST

#define SLOW_MS 20000 /* the latest time at which a slow client must be gone */

static struct server server;

static void
start(void)
{
	server_start(&server, NULL);
}

/* The worker must still answer, and end properly. */
static void
stop(void)
{
	client_expect_service(server.port);
	server_stop(&server);
}

static void
expect(int fd, const char *method, int status, const char *body)
{
	struct answer answer;

	client_read(fd, method, &answer);
	ck_assert_msg(answer.status == status, "%d instead of %d: %s",
	    answer.status, status, answer.body);
	ck_assert_str_eq(answer.body, body);
}

START_TEST(a_connection_is_used_many_times)
{
	int	fd = client_connect(server.port);

	for (int i = 0; i < 1000; i++) {
		client_say(fd, GET("/now"));
		expect(fd, "GET", 200, "now\n");
	}
	close(fd);
}
END_TEST

START_TEST(a_connection_ends_if_the_client_says_so)
{
	struct answer answer;
	int	fd = client_connect(server.port);

	client_say(fd, "GET /now HTTP/1.1\r\nConnection: close\r\n" HOST);
	client_read(fd, "GET", &answer);
	ck_assert_str_eq(answer_header(&answer, "Connection"), "close");
	ck_assert(client_sees_end(fd, 5000));
	close(fd);

	fd = client_connect(server.port);
	client_say(fd, "GET /later HTTP/1.0\r\n\r\n");
	expect(fd, "GET", 200, "later\n");
	ck_assert(client_sees_end(fd, 5000));
	close(fd);

	fd = client_connect(server.port);
	for (int i = 0; i < 2; i++) {
		client_say(fd,
		    "GET /now HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
		expect(fd, "GET", 200, "now\n");
	}
	close(fd);
}
END_TEST

START_TEST(head_has_the_headers_of_get)
{
	static const char *const targets[] = { "/now", "/later", "/big" };
	struct answer get, head;
	char	request[100], length[32];
	int	fd = client_connect(server.port);

	for (size_t i = 0; i < sizeof(targets) / sizeof(targets[0]); i++) {
		snprintf(request, sizeof(request), "GET %s HTTP/1.1\r\n%s",
		    targets[i], HOST);
		client_say(fd, request);
		client_read(fd, "GET", &get);
		snprintf(request, sizeof(request), "HEAD %s HTTP/1.1\r\n%s",
		    targets[i], HOST);
		client_say(fd, request);
		client_read(fd, "HEAD", &head);
		ck_assert_int_eq(head.status, get.status);
		snprintf(length, sizeof(length), "%s",
		    answer_header(&get, "Content-Length"));
		ck_assert_str_eq(answer_header(&head, "Content-Length"),
		    length);
		ck_assert_str_eq(answer_header(&head, "Content-Type"),
		    "text/plain");
	}
	/* If there was a body, it would be taken for the next answer. */
	client_say(fd, GET("/now"));
	expect(fd, "GET", 200, "now\n");
	close(fd);
}
END_TEST

START_TEST(pipelined_requests_are_answered_in_order)
{
	int	fd = client_connect(server.port);

	for (int i = 0; i < 20; i++) {
		client_say(fd, GET("/now") GET("/later") GET("/param?name=a")
		    HEAD("/now") "POST /echo HTTP/1.1\r\nContent-Length: 4"
		    "\r\nHost: test\r\n\r\nechoGET /gone HTTP/1.1\r\n" HOST);
	}
	for (int i = 0; i < 20; i++) {
		expect(fd, "GET", 200, "now\n");
		expect(fd, "GET", 200, "later\n");
		expect(fd, "GET", 200, "a");
		expect(fd, "HEAD", 200, "");
		expect(fd, "POST", 200, "echo");
		expect(fd, "GET", 404, "no such page\n");
	}
	close(fd);
}
END_TEST

#define AHEAD 1000

START_TEST(a_thousand_may_be_sent_ahead)
{
	static const char *const asked[] = { GET("/now"), GET("/later") };
	static const char *const answered[] = { "now\n", "later\n" };
	int	other, fd = client_connect(server.port);

	for (int i = 0; i < AHEAD; i++)
		client_say(fd, asked[i % 100 == 50]);
	/* A client that asks for less does not wait behind the others. */
	other = client_connect(server.port);
	client_say(other, GET("/now"));
	expect(other, "GET", 200, "now\n");
	close(other);
	for (int i = 0; i < AHEAD; i++)
		expect(fd, "GET", 200, answered[i % 100 == 50]);
	close(fd);
}
END_TEST

START_TEST(a_request_may_come_in_pieces)
{
	static const char request[] = "POST /echo HTTP/1.1\r\nHost: test\r\n"
	    "Transfer-Encoding: chunked\r\n\r\n"
	    "3\r\nabc\r\n4\r\ndefg\r\n0\r\n\r\n";
	int	fd = client_connect(server.port);

	for (size_t i = 0; i < sizeof(request) - 1; i++) {
		client_send(fd, request + i, 1);
		usleep(500);
	}
	expect(fd, "POST", 200, "abcdefg");
	close(fd);
}
END_TEST

START_TEST(an_application_cannot_split_an_answer)
{
	struct answer answer;

	ck_assert_int_eq(
	    client_ask(server.port, GET("/bad-header"), &answer), 200);
	ck_assert_ptr_null(answer_header(&answer, "X-Split"));
	ck_assert_ptr_null(answer_header(&answer, "X-Smuggled"));
	ck_assert_ptr_null(answer_header(&answer, "X Blank"));
	ck_assert_str_eq(answer_header(&answer, "Server"), "mews");
	ck_assert_str_eq(answer_header(&answer, "X-Good"), "a");
	ck_assert_int_eq(
	    client_ask(server.port, GET("/bad-status"), &answer), 500);
}
END_TEST

START_TEST(each_answer_names_the_worker)
{
	struct answer answer;
	char	pid[32];

	snprintf(pid, sizeof(pid), "%ld", (long)server.pid);
	client_ask(server.port, GET("/now"), &answer);
	ck_assert_str_eq(answer_header(&answer, "Mews-Worker"), pid);
	client_ask(server.port, GET("/later"), &answer);
	ck_assert_str_eq(answer_header(&answer, "Mews-Worker"), pid);
	client_ask(server.port, "GET nonsense HTTP/1.1\r\n" HOST, &answer);
	ck_assert_str_eq(answer_header(&answer, "Mews-Worker"), pid);
}
END_TEST

#define CROWD 400

START_TEST(many_connections_are_served_at_once)
{
	int	fds[CROWD];

	for (int i = 0; i < CROWD; i++) {
		fds[i] = client_connect(server.port);
		client_say(fds[i], i % 2 == 0 ? GET("/later") : GET("/now"));
	}
	for (int i = 0; i < CROWD; i++)
		expect(fds[i], "GET", 200, i % 2 == 0 ? "later\n" : "now\n");
	for (int i = 0; i < CROWD; i++)
		close(fds[i]);
}
END_TEST

START_TEST(clients_may_leave_before_their_answer)
{
	struct answer answer;
	int	fd;

	for (int i = 0; i < 200; i++) {
		fd = client_connect(server.port);
		client_say(fd, GET("/later"));
		if (i % 2 == 0)
			client_reset(fd);
		else
			close(fd);
	}
	/* Answers are given in the order of requests: all before have been
	 * given, too. */
	client_ask(server.port, GET("/later"), &answer);
	for (int i = 0; i < 20; i++) {
		fd = client_connect(server.port);
		client_say(fd, GET("/big"));
		client_reset(fd);
	}
}
END_TEST

/* How many clients the application saw leave. */
static int
clients_left(void)
{
	struct answer answer;

	client_ask(server.port, GET("/left"), &answer);
	return atoi(answer.body);
}

START_TEST(an_application_can_see_that_a_client_left)
{
	int	fds[3], left = 0;

	/* On a busy machine an answer may be sent before its client leaves. */
	for (int tries = 0; left != 2; tries++) {
		ck_assert_int_lt(tries, 100);
		left = -clients_left();
		for (int i = 0; i < 3; i++) {
			fds[i] = client_connect(server.port);
			client_say(fds[i], GET("/watched"));
		}
		/* Once a request is answered, all that was sent before has been
		 * read. */
		client_expect_service(server.port);
		close(fds[0]);
		client_reset(fds[1]);
		expect(fds[2], "GET", 200, "later\n");
		close(fds[2]);
		left += clients_left();
	}
}
END_TEST

/* The next request reaches the same worker after the client left. */
START_TEST(a_request_outlives_its_client)
{
	struct answer answer;
	int	fd = client_connect(server.port);

	client_say(fd, "GET /kept?name=a%20b HTTP/1.1\r\nHost: test\r\n"
	    "X-Test: yes\r\n\r\n");
	client_expect_service(server.port);
	client_reset(fd);
	for (int i = 0; i < 100; i++) {
		client_ask(server.port, GET("/were-kept"), &answer);
		if (strcmp(answer.body, "1") == 0)
			return;
		usleep(50000);
	}
	ck_abort_msg("path, parameter or header has changed");
}
END_TEST

START_TEST(clients_may_leave_in_the_middle_of_a_request)
{
	static const char request[] = "POST /echo HTTP/1.1\r\nHost: test\r\n"
	    "Content-Length: 10\r\n\r\n012345678";
	int	fd;

	for (size_t length = 0; length < sizeof(request); length++) {
		fd = client_connect(server.port);
		client_send(fd, request, length);
		if (length % 2 == 0)
			client_reset(fd);
		else
			close(fd);
	}
}
END_TEST

/*
 * --- slow clients, with limits short enough for a test ---
 */

static void
start_strict(void)
{
	struct server_options options = {
		.http = { .max_connections = 8, .idle_timeout = 1000,
		    .header_timeout = 700, .request_timeout = 700 }
	};

	server_start(&server, &options);
}

/* Send a byte of @request now and then, until the server closes. */
static void
dribble(const char *request)
{
	int	fd = client_connect(server.port);
	int64_t	end = now_ms() + SLOW_MS;

	while (*request != '\0' && now_ms() < end &&
	    client_send(fd, request, 1)) {
		request++;
		usleep(100000);
	}
	ck_assert_msg(*request != '\0', "a slow client was waited for");
	close(fd);
}

START_TEST(a_slow_request_line_is_not_waited_for)
{
	dribble("GET /now?0123456789012345678901234567890123456789"
	    "0123456789012345678901234567890123456789 HTTP/1.1\r\n");
}
END_TEST

START_TEST(slow_headers_are_not_waited_for)
{
	dribble(GET("/now") "X-0123456789012345678901234567890123456789: "
	    "0123456789012345678901234567890123456789\r\n");
}
END_TEST

START_TEST(a_slow_body_is_not_waited_for)
{
	dribble("POST /echo HTTP/1.1\r\nContent-Length: 200\r\n" HOST
	    "01234567890123456789012345678901234567890123456789"
	    "01234567890123456789012345678901234567890123456789");
}
END_TEST

START_TEST(a_silent_client_is_closed)
{
	int	fd = client_connect(server.port);

	ck_assert(client_sees_end(fd, SLOW_MS));
	close(fd);
	fd = client_connect(server.port);
	client_say(fd, GET("/now"));
	expect(fd, "GET", 200, "now\n");
	ck_assert(client_sees_end(fd, SLOW_MS));
	close(fd);
}
END_TEST

START_TEST(a_client_that_only_listens_gets_its_answer)
{
	int	fd = client_connect(server.port);

	client_say(fd, GET("/now"));
	shutdown(fd, SHUT_WR);
	expect(fd, "GET", 200, "now\n");
	/* The end of the client's sending arrives together with the request. */
	ck_assert(client_sees_end(fd, SLOW_MS));
	close(fd);
}
END_TEST

START_TEST(requests_sent_before_the_end_are_all_answered)
{
	int	fd = client_connect(server.port);

	client_say(fd, GET("/later") GET("/now") GET("/later") GET("/now"));
	shutdown(fd, SHUT_WR);
	expect(fd, "GET", 200, "later\n");
	expect(fd, "GET", 200, "now\n");
	expect(fd, "GET", 200, "later\n");
	expect(fd, "GET", 200, "now\n");
	ck_assert(client_sees_end(fd, SLOW_MS));
	close(fd);
}
END_TEST

START_TEST(a_client_that_does_not_read_is_closed)
{
	char	bytes[65536];
	size_t	total = 0;
	ssize_t	n;
	int	fd = client_connect(server.port);
	int64_t	end = now_ms() + SLOW_MS;

	client_say(fd, GET("/big"));
	while (poll(&(struct pollfd){ .fd = fd }, 1, 100) == 0) {
		ck_assert_int_lt(now_ms(), end);
		client_expect_service(server.port);
	}
	/* Only the bytes that the kernel had taken arrive. */
	while ((n = recv(fd, bytes, sizeof(bytes), 0)) > 0)
		total += (size_t)n;
	ck_assert_uint_gt(total, 0);
	ck_assert_uint_lt(total, TEST_BIG);
	close(fd);
}
END_TEST

START_TEST(connections_beyond_the_limit_wait)
{
	int	fds[20];

	for (int i = 0; i < 20; i++) {
		fds[i] = client_connect(server.port);
		client_say(fds[i], GET("/now"));
	}
	/* The idle timeout makes room for clients that wait. */
	for (int i = 0; i < 20; i++) {
		expect(fds[i], "GET", 200, "now\n");
		close(fds[i]);
	}
}
END_TEST

START_TEST(an_answer_may_take_longer_than_a_client_may)
{
	int	fd = client_connect(server.port);

	for (int i = 0; i < 20; i++) {
		client_say(fd, GET("/later"));
		expect(fd, "GET", 200, "later\n");
	}
	close(fd);
}
END_TEST

static Suite *
clients_suite(void)
{
	Suite	*suite = suite_create("clients");
	TCase	*usual = unit_case(suite, "usual");
	TCase	*strict = unit_case(suite, "strict");

	tcase_set_timeout(usual, 180);
	tcase_add_checked_fixture(usual, start, stop);
	tcase_add_test(usual, a_connection_is_used_many_times);
	tcase_add_test(usual, a_connection_ends_if_the_client_says_so);
	tcase_add_test(usual, head_has_the_headers_of_get);
	tcase_add_test(usual, pipelined_requests_are_answered_in_order);
	tcase_add_test(usual, a_thousand_may_be_sent_ahead);
	tcase_add_test(usual, a_request_may_come_in_pieces);
	tcase_add_test(usual, an_application_cannot_split_an_answer);
	tcase_add_test(usual, each_answer_names_the_worker);
	tcase_add_test(usual, many_connections_are_served_at_once);
	tcase_add_test(usual, clients_may_leave_before_their_answer);
	tcase_add_test(usual, an_application_can_see_that_a_client_left);
	tcase_add_test(usual, a_request_outlives_its_client);
	tcase_add_test(usual, clients_may_leave_in_the_middle_of_a_request);

	tcase_set_timeout(strict, 180);
	tcase_add_checked_fixture(strict, start_strict, stop);
	tcase_add_test(strict, a_slow_request_line_is_not_waited_for);
	tcase_add_test(strict, slow_headers_are_not_waited_for);
	tcase_add_test(strict, a_slow_body_is_not_waited_for);
	tcase_add_test(strict, a_silent_client_is_closed);
	tcase_add_test(strict, a_client_that_only_listens_gets_its_answer);
	tcase_add_test(strict, requests_sent_before_the_end_are_all_answered);
	tcase_add_test(strict, a_client_that_does_not_read_is_closed);
	tcase_add_test(strict, connections_beyond_the_limit_wait);
	tcase_add_test(strict, an_answer_may_take_longer_than_a_client_may);
	return suite;
}

UNIT_MAIN(clients_suite)
