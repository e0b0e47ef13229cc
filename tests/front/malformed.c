/*
 * malformed.c - requests that are too large, and garbage.
 *
 * The worker must give the right answer, answer the next client as if nothing
 * had happened, and end properly. Requests that are only wrong: table.c.
 */
#include "client.h"
#include "server.h"
#include "unit.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define BODY_LIMIT 1000

#define HOST "Host: test\r\n"
#define GET(target) "GET " target " HTTP/1.1\r\n" HOST
#define POST(headers, body) "POST /echo HTTP/1.1\r\n" HOST headers "\r\n" body
#define CHUNKED(body) POST("Transfer-Encoding: chunked\r\n", body)

/* Requests that are too large for the table. */

static void
expect_status(uint16_t port, int fd, int status, int or_status)
{
	struct answer answer;

	client_read(fd, "POST", &answer);
	ck_assert_msg(answer.status == status || answer.status == or_status,
	    "%d instead of %d", answer.status, status);
	close(fd);
	client_expect_service(port);
}

static void
say_many(int fd, const char *text, unsigned count)
{
	for (unsigned i = 0; i < count && client_say(fd, text); i++)
		;
}

START_TEST(a_long_target_is_refused)
{
	struct server server;
	int	fd;

	server_start(&server, NULL);
	fd = client_connect(server.port);
	client_say(fd, "GET /");
	say_many(fd, "0123456789abcdef", 6000);
	expect_status(server.port, fd, 414, -1);
	server_stop(&server);
}
END_TEST

START_TEST(a_long_header_is_refused)
{
	struct server server;
	int	fd;

	server_start(&server, NULL);
	fd = client_connect(server.port);
	client_say(fd, GET("/now") "X-Test: ");
	say_many(fd, "0123456789abcdef", 6000);
	expect_status(server.port, fd, 431, -1);
	server_stop(&server);
}
END_TEST

START_TEST(many_headers_are_refused)
{
	struct server server;
	int	fd;

	server_start(&server, NULL);
	fd = client_connect(server.port);
	client_say(fd, GET("/now"));
	say_many(fd, "X-Test: a\r\n", 10000);
	expect_status(server.port, fd, 431, -1);
	server_stop(&server);
}
END_TEST

START_TEST(many_parameters_of_a_query_string_are_accepted)
{
	struct server server;
	int	fd;

	server_start(&server, NULL);
	fd = client_connect(server.port);
	client_say(fd, "GET /param?name");
	say_many(fd, "&a", 2500);
	client_say(fd, " HTTP/1.1\r\n" HOST "\r\n");
	expect_status(server.port, fd, 200, -1);
	server_stop(&server);
}
END_TEST

START_TEST(headers_of_half_the_limit_are_accepted)
{
	struct server server;
	struct answer answer;
	int	fd;

	server_start(&server, NULL);
	fd = client_connect(server.port);
	client_say(fd, GET("/header") "X-Test: yes\r\nX-Long: ");
	say_many(fd, "0123456789abcdef", 8192 / 16);
	client_say(fd, "\r\n\r\n");
	client_read(fd, "GET", &answer);
	ck_assert_int_eq(answer.status, 200);
	ck_assert_str_eq(answer.body, "yes");
	close(fd);
	server_stop(&server);
}
END_TEST

START_TEST(a_body_up_to_the_limit_is_accepted)
{
	struct server server;
	struct answer answer;
	int	fd;

	server_start(&server, NULL);
	fd = client_connect(server.port);
	client_say(fd, POST("Content-Length: 1048576\r\n", ""));
	say_many(fd, "0123456789abcdef", 1048576 / 16);
	client_read(fd, "POST", &answer);
	ck_assert_int_eq(answer.status, 200);
	ck_assert_uint_eq(answer.length, 1048576);
	ck_assert_int_eq(strncmp(answer.body, "0123456789abcdef0", 17), 0);
	close(fd);
	server_stop(&server);
}
END_TEST

START_TEST(a_long_chunked_body_is_refused)
{
	struct server_options options = {
		.http = { .max_body_size = BODY_LIMIT }
	};
	struct server server;
	int	fd;

	server_start(&server, &options);
	fd = client_connect(server.port);
	client_say(fd, CHUNKED(""));
	say_many(fd, "10\r\n0123456789abcdef\r\n", BODY_LIMIT / 16 + 1);
	client_say(fd, "0\r\n\r\n");
	expect_status(server.port, fd, 413, -1);
	server_stop(&server);
}
END_TEST

START_TEST(an_endless_chunked_body_is_cut_off)
{
	struct server_options options = {
		.http = { .max_body_size = BODY_LIMIT }
	};
	struct server server;
	int	fd;
	bool	open = true;

	server_start(&server, &options);
	fd = client_connect(server.port);
	client_say(fd, CHUNKED(""));
	for (int i = 0; i < 1000000 && open; i++)
		open = client_say(fd, "10\r\n0123456789abcdef\r\n");
	ck_assert_msg(!open, "an endless body is read for ever");
	close(fd);
	client_expect_service(server.port);
	server_stop(&server);
}
END_TEST

START_TEST(a_client_may_ask_before_it_sends_a_body)
{
	struct server server;
	struct answer answer;
	int	fd;

	server_start(&server, NULL);
	fd = client_connect(server.port);
	client_say(fd, POST("Content-Length: 3\r\nExpect: 100-continue\r\n",
	    ""));
	client_read(fd, "POST", &answer);
	ck_assert_int_eq(answer.status, 100);
	client_say(fd, "abc");
	client_read(fd, "POST", &answer);
	ck_assert_int_eq(answer.status, 200);
	ck_assert_str_eq(answer.body, "abc");
	close(fd);

	fd = client_connect(server.port);
	client_say(fd, POST("Content-Length: 9999999\r\n"
	    "Expect: 100-continue\r\n", ""));
	expect_status(server.port, fd, 413, -1);
	server_stop(&server);
}
END_TEST

/*
 * Garbage, which is the same in each run. Half of it is random, half is a good
 * request with a few bytes changed.
 */

#define GARBAGE_ROUNDS 400
#define GARBAGE_OPEN 100 /* so many stay open to the end */

static uint32_t
next_random(uint32_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 17;
	*state ^= *state << 5;
	return *state;
}

static size_t
make_garbage(char *bytes, size_t size, uint32_t *random)
{
	static const char good[] = POST("Transfer-Encoding: chunked\r\n"
	    "X-Test: a\r\nCookie: a=b\r\n", "3\r\nabc\r\n0\r\n\r\n");
	size_t	length, changes;

	if (next_random(random) % 2 == 0) {
		length = 1 + next_random(random) % size;
		for (size_t i = 0; i < length; i++)
			bytes[i] = (char)next_random(random);
		return length;
	}
	memcpy(bytes, good, length = sizeof(good) - 1);
	changes = 1 + next_random(random) % 8;
	while (changes-- > 0)
		bytes[next_random(random) % length] =
		    (char)next_random(random);
	return length;
}

START_TEST(a_request_of_garbage_harms_no_other_client)
{
	struct server_options options = {
		.http = { .max_body_size = BODY_LIMIT }
	};
	struct server server;
	uint32_t random = 20260101;
	char	bytes[2048];
	size_t	length;
	int	fds[GARBAGE_OPEN], fd;

	server_start(&server, &options);
	for (int round = 0; round < GARBAGE_ROUNDS; round++) {
		fd = client_connect(server.port);
		length = make_garbage(bytes, sizeof(bytes), &random);
		client_send(fd, bytes, length);
		if (round < GARBAGE_OPEN)
			fds[round] = fd;
		else if (round % 2 == 0)
			client_reset(fd);
		else
			close(fd);
		if (round % 50 == 0)
			client_expect_service(server.port);
	}
	server_expect_idle(&server);
	for (int i = 0; i < GARBAGE_OPEN; i++)
		close(fds[i]);
	server_stop(&server);
}
END_TEST

static Suite *
malformed_suite(void)
{
	Suite	*suite = suite_create("malformed");
	TCase	*large = unit_case(suite, "large");

	tcase_set_timeout(large, 180);
	tcase_add_test(large, a_long_target_is_refused);
	tcase_add_test(large, a_long_header_is_refused);
	tcase_add_test(large, many_headers_are_refused);
	tcase_add_test(large, many_parameters_of_a_query_string_are_accepted);
	tcase_add_test(large, headers_of_half_the_limit_are_accepted);
	tcase_add_test(large, a_body_up_to_the_limit_is_accepted);
	tcase_add_test(large, a_long_chunked_body_is_refused);
	tcase_add_test(large, an_endless_chunked_body_is_cut_off);
	tcase_add_test(large, a_client_may_ask_before_it_sends_a_body);
	tcase_add_test(large, a_request_of_garbage_harms_no_other_client);
	return suite;
}

UNIT_MAIN(malformed_suite)
