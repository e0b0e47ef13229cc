/*
 * streams.c - bodies and answers in pieces, and clients that make them wait.
 */
#include "client.h"
#include "http/body.h"
#include "server.h"
#include "streaming.h"
#include "unit.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define HOST "Host: test\r\n\r\n"
#define GET(target) "GET " target " HTTP/1.1\r\n" HOST
#define MB  STREAMING_MB
#define BIG STREAMING_BIG

static struct server server;

static void
start(void)
{
	struct server_options options = { .app = &streaming_app,
		.http = { .max_body_size = 1000 } };

	server_start(&server, &options);
}

static void
stop(void)
{
	server_stop(&server);
}

static void
expect_answer(int fd, int status, const char *body)
{
	struct answer answer;

	client_read(fd, "POST", &answer);
	ck_assert_int_eq(answer.status, status);
	if (body != NULL)
		ck_assert_str_eq(answer.body, body);
}

static void
say_length(int fd, const char *path, size_t length)
{
	char	head[200];

	snprintf(head, sizeof(head), "POST %s HTTP/1.1\r\nContent-Length: "
	    "%zu\r\n" HOST, path, length);
	client_say(fd, head);
}

static void
send_zeros(int fd, size_t length)
{
	static const char zeros[65536];
	size_t	n;

	for (; length > 0; length -= n) {
		n = length < sizeof(zeros) ? length : sizeof(zeros);
		ck_assert(client_send(fd, zeros, n));
	}
}

START_TEST(a_body_may_be_longer_than_memory_for_it)
{
	long	before = server_resident_kb(&server);
	int	fd = client_connect(server.port);

	say_length(fd, "/count", BIG);
	send_zeros(fd, BIG);
	expect_answer(fd, 200, "67108864");
	ck_assert_int_lt(server_resident_kb(&server) - before, 8 * 1024);
	/* The connection is still good. */
	client_say(fd, "POST /count HTTP/1.1\r\nTransfer-Encoding: chunked"
	    "\r\n" HOST "3\r\nabc\r\n4\r\ndefg\r\n0\r\n\r\n");
	expect_answer(fd, 200, "7");
	client_say(fd, "POST /count HTTP/1.1\r\nExpect: 100-continue\r\n"
	    "Content-Length: 1\r\n" HOST);
	expect_answer(fd, 100, NULL);
	client_say(fd, "x");
	expect_answer(fd, 200, "1");
	say_length(fd, "/whole", 1001);
	expect_answer(fd, 413, NULL);
	close(fd);
}
END_TEST

START_TEST(a_body_that_was_kept_can_be_read_in_pieces)
{
	int	fd = client_connect(server.port);
	struct answer answer;

	client_say(fd, GET("/count"));
	expect_answer(fd, 200, "0");
	client_say(fd, "HEAD /count HTTP/1.1\r\n" HOST);
	client_read(fd, "HEAD", &answer);
	ck_assert_int_eq(answer.status, 200);
	say_length(fd, "/count", 0);
	expect_answer(fd, 200, "0");
	client_say(fd, GET("/echo"));
	expect_answer(fd, 200, "");
	close(fd);
	fd = client_connect(server.port);
	say_length(fd, "/kept", 1000);
	send_zeros(fd, 1000);
	expect_answer(fd, 200, "1000");
	say_length(fd, "/kept", 0);
	expect_answer(fd, 200, "0");
	/* A request may be answered before its body was handed out. */
	client_say(fd, GET("/sudden") GET("/sudden") GET("/count"));
	for (int i = 0; i < 3; i++)
		expect_answer(fd, 200, "0");
	close(fd);
	client_ask(server.port, GET("/lost"), &answer);
	ck_assert_str_eq(answer.body, "0");
}
END_TEST

START_TEST(a_client_that_is_not_read_must_wait)
{
	static const char zeros[65536];
	size_t	sent = 0;
	ssize_t	n;
	int	tries = 0, fd = client_connect(server.port), other;

	say_length(fd, "/hold", BIG);
	/* No more can be sent than two kernels buffer. */
	while (sent < BIG && tries < 50)
		if ((n = send(fd, zeros, BIG - sent < sizeof(zeros) ?
		    BIG - sent : sizeof(zeros), MSG_DONTWAIT)) > 0) {
			sent += (size_t)n;
			tries = 0;
		} else {
			tries++;
			usleep(10000);
		}
	ck_assert_uint_lt(sent, BIG);
	other = client_connect(server.port);
	client_say(other, GET("/go"));
	expect_answer(other, 200, "0");
	close(other);
	send_zeros(fd, BIG - sent);
	expect_answer(fd, 200, "67108864");
	close(fd);
}
END_TEST

/* Read to the end of the connection, chunked or not; returns how many bytes. */
static size_t
read_long(int fd, bool chunked)
{
	struct http_body body;
	struct http_head head = { .chunked = true };
	struct http_piece piece;
	char	bytes[65536], wanted[65536];
	size_t	total = 0, at, used;
	ssize_t	n;
	int	result = HTTP_MORE;

	http_body_begin(&body, &head);
	while ((n = recv(fd, bytes, sizeof(bytes), 0)) > 0) {
		for (at = 0; at < (size_t)n; at += used) {
			piece.bytes = bytes;
			piece.length = used = (size_t)n;
			if (chunked) {
				ck_assert_int_eq(result, HTTP_MORE);
				result = http_body_read(&body, bytes + at,
				    (size_t)n - at, &used, &piece);
			}
			streaming_fill(wanted, total, piece.length);
			ck_assert(piece.length == 0 || memcmp(wanted,
			    piece.bytes, piece.length) == 0);
			total += piece.length;
		}
	}
	if (chunked)
		ck_assert_int_eq(result, HTTP_DONE);
	return total;
}

static size_t
ask_long(const char *request, bool chunked)
{
	struct answer answer;
	size_t	total;
	int	fd = client_connect(server.port);

	client_say(fd, request);
	/* Read the head only, as for HEAD; the body stays unread. */
	client_read(fd, "HEAD", &answer);
	ck_assert_int_eq(answer.status, 200);
	ck_assert_int_eq(answer_header(&answer, "Transfer-Encoding") != NULL,
	    chunked);
	total = read_long(fd, chunked);
	close(fd);
	return total;
}

START_TEST(an_answer_may_come_in_pieces)
{
	long	before = server_resident_kb(&server);

	ck_assert_uint_eq(ask_long("GET /long HTTP/1.1\r\n"
	    "Connection: close\r\n" HOST, true), BIG);
	ck_assert_uint_eq(ask_long("GET /known HTTP/1.1\r\n"
	    "Connection: close\r\n" HOST, false), BIG);
	ck_assert_uint_eq(ask_long("GET /long HTTP/1.0\r\n\r\n", false),
	    BIG);
	ck_assert_uint_eq(ask_long("HEAD /known HTTP/1.1\r\n"
	    "Connection: close\r\n" HOST, false), 0);
	ck_assert_int_lt(server_resident_kb(&server) - before, 8 * 1024);
}
END_TEST

START_TEST(an_answer_that_is_not_read_is_not_kept)
{
	long	before = server_resident_kb(&server);
	int	fds[20];

	for (int i = 0; i < 20; i++) {
		fds[i] = client_connect(server.port);
		client_say(fds[i], GET("/long"));
	}
	for (int i = 0; i < 20; i++) {
		int	fd = client_connect(server.port);

		client_say(fd, GET("/lost"));
		expect_answer(fd, 200, "0");
		close(fd);
	}
	ck_assert_int_lt(server_resident_kb(&server) - before, 8 * 1024);
	for (int i = 0; i < 20; i++)
		close(fds[i]);
}
END_TEST

START_TEST(an_answer_that_is_not_whole_is_broken_off)
{
	char	bytes[1000];
	size_t	total = 0;
	ssize_t	n;
	int	fd = client_connect(server.port);

	client_say(fd, GET("/broken") GET("/broken"));
	while ((n = recv(fd, bytes + total, sizeof(bytes) - total, 0)) > 0)
		total += (size_t)n;
	bytes[total < sizeof(bytes) ? total : sizeof(bytes) - 1] = '\0';
	ck_assert_ptr_null(strstr(bytes, "HTTP/1.1 200 OK\r\n\r\nhalfHTTP"));
	close(fd);
}
END_TEST

START_TEST(an_answer_begun_before_a_bad_body_is_sent)
{
	char	bytes[1000];
	size_t	total = 0;
	ssize_t	n;
	int	fd = client_connect(server.port);

	client_say(fd, "POST /echo HTTP/1.1\r\nTransfer-Encoding: chunked"
	    "\r\n" HOST "3\r\nabc\r\nZ\r\n");
	while ((n = recv(fd, bytes + total, sizeof(bytes) - 1 - total, 0)) > 0)
		total += (size_t)n;
	ck_assert_int_eq(n, 0);
	bytes[total] = '\0';
	ck_assert_ptr_eq(strstr(bytes, "HTTP/1.1 200 OK\r\n"), bytes);
	ck_assert_ptr_nonnull(strstr(bytes, "\r\nabc\r\n"));
	ck_assert_ptr_null(strstr(bytes, "\r\n0\r\n"));
	close(fd);
}
END_TEST

START_TEST(a_body_may_be_answered_while_it_comes)
{
	char	bytes[100];
	int	fd = client_connect(server.port);
	struct answer answer;

	client_say(fd, "POST /echo HTTP/1.1\r\nTransfer-Encoding: chunked"
	    "\r\n" HOST);
	for (int i = 0; i < 10; i++) {
		client_say(fd, "3\r\nabc\r\n");
		if (i == 0)
			client_read(fd, "HEAD", &answer);
		for (size_t got = 0; got < sizeof("3\r\nabc\r\n") - 1; )
			got += (size_t)recv(fd, bytes, sizeof("3\r\nabc\r\n") -
			    1 - got, 0);
	}
	client_say(fd, "0\r\n\r\n");
	ck_assert_int_eq(recv(fd, bytes, 5, MSG_WAITALL), 5);
	ck_assert_int_eq(memcmp(bytes, "0\r\n\r\n", 5), 0);
	ck_assert(client_sees_end(fd, 45000));
	close(fd);
}
END_TEST

static void
wait_for_lost(const char *number)
{
	struct answer answer;

	for (int i = 0; i < 4500; i++) {
		client_ask(server.port, GET("/lost"), &answer);
		if (strcmp(answer.body, number) == 0)
			return;
		usleep(10000);
	}
	ck_abort_msg("%s instead of %s", answer.body, number);
}

START_TEST(an_application_hears_that_a_client_left)
{
	int	fd = client_connect(server.port);

	say_length(fd, "/count", 100);
	client_say(fd, "half");
	wait_for_lost("0");
	client_reset(fd);
	wait_for_lost("1");
	fd = client_connect(server.port);
	client_say(fd, GET("/long"));
	wait_for_lost("1");
	client_reset(fd);
	wait_for_lost("2");
	/* The framing of the body is wrong. */
	fd = client_connect(server.port);
	client_say(fd, "POST /count HTTP/1.1\r\nTransfer-Encoding: chunked"
	    "\r\n" HOST "zz\r\n");
	wait_for_lost("3");
	expect_answer(fd, 200, "0");
	ck_assert(client_sees_end(fd, 45000));
	close(fd);
}
END_TEST

START_TEST(a_worker_ends_with_streams_open)
{
	struct server_options options = { .app = &streaming_app,
		.graceful_timeout = 200 };
	int	fds[3];

	server_start(&server, &options);
	for (int i = 0; i < 3; i++)
		fds[i] = client_connect(server.port);
	say_length(fds[0], "/count", BIG);
	client_say(fds[1], GET("/long"));
	client_say(fds[2], "POST /echo HTTP/1.1\r\nTransfer-Encoding: "
	    "chunked\r\n" HOST "1\r\na\r\n");
	wait_for_lost("0");
	server_stop(&server);
	for (int i = 0; i < 3; i++)
		close(fds[i]);
}
END_TEST

static bool
never_asked(void *state, const struct mews_request *request)
{
	(void)state;
	(void)request;
	ck_abort_msg("an application of version 1 has no such function");
}

START_TEST(an_older_application_has_whole_bodies)
{
	static const struct mews_app old_app = { .abi = 1, .name = "old",
		.start = streaming_start, .request = streaming_request,
		.stop = free, .streams = never_asked };
	struct server_options options = { .app = &old_app };
	int	fd;

	server_start(&server, &options);
	fd = client_connect(server.port);
	say_length(fd, "/whole", 1000);
	send_zeros(fd, 1000);
	expect_answer(fd, 200, "1000");
	close(fd);
	server_stop(&server);
}
END_TEST

START_TEST(a_body_that_trickles_is_not_waited_for)
{
	struct server_options options = { .app = &streaming_app,
		.http = { .request_timeout = 1000, .min_receive_rate = 1000 } };
	struct pollfd in = { .events = POLLIN };
	int	fd, tries = 0;

	server_start(&server, &options);
	/* A body that the application does not read yet is not late. */
	say_length(fd = client_connect(server.port), "/hold", 1000);
	in.fd = client_connect(server.port);
	say_length(in.fd, "/count", BIG);
	/* No byte is late, but all of them together are too slow. */
	for (; poll(&in, 1, 100) == 0; send_zeros(in.fd, 1))
		ck_assert_int_lt(tries++, 450);
	expect_answer(in.fd, 200, NULL);
	close(in.fd);
	client_say(in.fd = client_connect(server.port), GET("/go"));
	expect_answer(in.fd, 200, "1");
	close(in.fd);
	send_zeros(fd, 1000);
	expect_answer(fd, 200, "1000");
	close(fd);
	server_stop(&server);
}
END_TEST

static Suite *
streams_suite(void)
{
	Suite	*suite = suite_create("streams");
	TCase	*tcase = unit_case(suite, "streams");
	TCase	*own = unit_case(suite, "own");

	tcase_set_timeout(tcase, 180);
	tcase_add_checked_fixture(tcase, start, stop);
	tcase_add_test(tcase, a_body_may_be_longer_than_memory_for_it);
	tcase_add_test(tcase, a_body_that_was_kept_can_be_read_in_pieces);
	tcase_add_test(tcase, a_client_that_is_not_read_must_wait);
	tcase_add_test(tcase, an_answer_may_come_in_pieces);
	tcase_add_test(tcase, an_answer_that_is_not_read_is_not_kept);
	tcase_add_test(tcase, an_answer_that_is_not_whole_is_broken_off);
	tcase_add_test(tcase, an_answer_begun_before_a_bad_body_is_sent);
	tcase_add_test(tcase, a_body_may_be_answered_while_it_comes);
	tcase_add_test(tcase, an_application_hears_that_a_client_left);
	tcase_set_timeout(own, 180);
	tcase_add_test(own, a_worker_ends_with_streams_open);
	tcase_add_test(own, an_older_application_has_whole_bodies);
	tcase_add_test(own, a_body_that_trickles_is_not_waited_for);
	return suite;
}

UNIT_MAIN(streams_suite)
