/*
 * malformed.c - requests that are wrong, and some that only look so.
 *
 * One row per request. Each is sent to a worker of its own, which must give
 * the right answer, answer the next client as if nothing had happened, and
 * end properly.
 */
#include "client.h"
#include "server.h"
#include "unit.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define BODY_LIMIT 1000

/* Answers besides a status. */
#define CLOSED 0	/* without a word; libmicrohttpd's way now and then */

struct row {
	const char *name;
	const char *bytes;
	size_t length; /* 0: up to the NUL */
	int status;
	int or_status;	  /* as good; -1: none */
	const char *body; /* NULL: any */
};

#define HOST "Host: test\r\n"
#define GET(target) "GET " target " HTTP/1.1\r\n" HOST
#define POST(headers, body) "POST /echo HTTP/1.1\r\n" HOST headers "\r\n" body
#define CHUNKED(body) POST("Transfer-Encoding: chunked\r\n", body)

#define TEXT(name, bytes, status) { name, bytes, 0, status, -1, NULL }
#define OR(name, bytes, status, other) { name, bytes, 0, status, other, NULL }
#define BODY(name, bytes, body) { name, bytes, 0, 200, -1, body }
/* Bytes with a NUL among them. */
#define BYTES(name, bytes, status, other) \
	{ name, bytes, sizeof(bytes) - 1, status, other, NULL }

static const struct row rows[] = {
	BODY("good", GET("/now") "\r\n", "now\n"),

	/* The request line. */
	TEXT("no version", "GET /now\r\n" HOST "\r\n", 400),
	OR("method only", "GET\r\n" HOST "\r\n", CLOSED, 400),
	OR("one word", "hello\r\n\r\n", CLOSED, 400),
	OR("blanks only", "   \r\n\r\n", CLOSED, 400),
	BODY("empty lines before", "\r\n\r\n" GET("/now") "\r\n", "now\n"),
	BODY("bare line feeds", "GET /now HTTP/1.1\nHost: a\n\n", "now\n"),
	/* libmicrohttpd 1 sends who meant an escape there. */
	OR("blank in target", GET("/n ow") "\r\n", 400, 301),
	OR("tab in target", GET("/n\tow") "\r\n", 400, 301),
	TEXT("control in target", GET("/n\001ow") "\r\n", 400),
	TEXT("delete in target", GET("/n\177ow") "\r\n", 400),
	TEXT("escaped NUL in target", GET("/n%00ow") "\r\n", 400),
	TEXT("escaped NUL in query", GET("/param?name=a%00b") "\r\n", 400),
	TEXT("no slash", GET("now") "\r\n", 400),
	TEXT("asterisk", GET("*") "\r\n", 400),
	TEXT("empty target", "GET  HTTP/1.1\r\n" HOST "\r\n", 400),
	BODY("absolute target", GET("http://test/now") "\r\n", "now\n"),
	TEXT("absolute without path", GET("http://test") "\r\n", 404),
	BODY("escaped path", GET("/%6eow") "\r\n", "now\n"),
	TEXT("half an escape", GET("/now%6") "\r\n", 404),
	TEXT("bad escape", GET("/now%zz") "\r\n", 404),
	TEXT("dots", GET("/../../etc/passwd") "\r\n", 404),
	TEXT("control in method", "G\001T /now HTTP/1.1\r\n" HOST "\r\n", 400),
	TEXT("unknown method", "BREW /now HTTP/1.1\r\n" HOST "\r\n", 405),
	TEXT("lower case method", "get /now HTTP/1.1\r\n" HOST "\r\n", 405),
	TEXT("connect", "CONNECT a:80 HTTP/1.1\r\n" HOST "\r\n", 405),
	TEXT("trace", "TRACE /now HTTP/1.1\r\n" HOST "\r\n", 405),
	TEXT("options for all", "OPTIONS * HTTP/1.1\r\n" HOST "\r\n", 405),
	TEXT("version 0.9", "GET /now HTTP/0.9\r\n" HOST "\r\n", 505),
	TEXT("version 2.0", "GET /now HTTP/2.0\r\n" HOST "\r\n", 505),
	TEXT("version 1.x", "GET /now HTTP/1.x\r\n" HOST "\r\n", 400),
	TEXT("version 11.1", "GET /now HTTP/11.1\r\n" HOST "\r\n", 400),
	TEXT("version in lower case", "GET /now http/1.1\r\n" HOST "\r\n", 400),
	TEXT("another protocol", "GET /now FTP/1.1\r\n" HOST "\r\n", 400),
	OR("TLS", "\026\003\001\002\n\r\n\r\n", CLOSED, 400),
	OR("HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505, -1),
	BODY("version 1.0 without host", "GET /now HTTP/1.0\r\n\r\n", "now\n"),

	/* Headers. */
	TEXT("no host", "GET /now HTTP/1.1\r\n\r\n", 400),
	TEXT("two hosts", GET("/now") HOST "\r\n", 400),
	TEXT("no colon", GET("/now") "Nonsense\r\n\r\n", 400),
	/* libmicrohttpd takes it for the end of the headers. */
	OR("no name", GET("/now") ": a\r\n\r\n", 400, 200),
	TEXT("blank before colon", GET("/now") "X-Test : a\r\n\r\n", 400),
	TEXT("blank in name", GET("/now") "X Test: a\r\n\r\n", 400),
	TEXT("control in name", GET("/now") "X\001Test: a\r\n\r\n", 400),
	TEXT("control in value", GET("/now") "X-Test: a\001b\r\n\r\n", 400),
	TEXT("bare CR in value", GET("/now") "X-Test: a\rb\r\n\r\n", 400),
	TEXT("first line indented", "GET /now HTTP/1.1\r\n X: a\r\n\r\n", 400),
	BODY("value", GET("/header") "X-Test: a b\r\n\r\n", "a b"),
	BODY("name in capitals", GET("/header") "X-TEST: a\r\n\r\n", "a"),
	BODY("bytes above 127", GET("/header") "X-Test: \303\251\r\n\r\n",
	    "\303\251"),
	TEXT("header missing", GET("/header") "\r\n", 404),
	TEXT("cookies", GET("/now") "Cookie: a=b; =c; d; ;;=,\"\r\n\r\n", 200),

	/* Parameters. */
	BODY("parameter", GET("/param?name=a") "\r\n", "a"),
	BODY("first of two", GET("/param?x=y&name=a&name=b") "\r\n", "a"),
	BODY("escaped", GET("/param?n%61me=%41+b%2B%26") "\r\n", "A b+&"),
	BODY("no value", GET("/param?name") "\r\n", ""),
	BODY("empty value", GET("/param?name=&a") "\r\n", ""),
	TEXT("name in capitals", GET("/param?NAME=a") "\r\n", 404),
	TEXT("no parameters", GET("/param?") "\r\n", 404),
	TEXT("separators only", GET("/param?&&==&=&") "\r\n", 404),

	/* NUL bytes: what follows one in a path or value is not seen. */
	BYTES("NUL in method", "G\0T /now HTTP/1.1\r\n" HOST "\r\n", 405,
	    CLOSED),
	BYTES("NUL in target", "GET /n\0w HTTP/1.1\r\n" HOST "\r\n", 404,
	    CLOSED),
	BYTES("NUL in version", GET("/now") "\r\n\0", 200, 400),
	BYTES("NUL in name", GET("/now") "X\0Y: a\r\n\r\n", 400, -1),
	BYTES("NUL in value", GET("/now") "X: a\0b\r\n\r\n", 200, 400),

	/* Bodies with a length. */
	BODY("body", POST("Content-Length: 3\r\n", "abc"), "abc"),
	BODY("no body", POST("Content-Length: 0\r\n", ""), ""),
	BODY("no length", POST("", ""), ""),
	TEXT("negative length", POST("Content-Length: -1\r\n", ""), 400),
	TEXT("signed length", POST("Content-Length: +3\r\n", "abc"), 400),
	TEXT("no number", POST("Content-Length: abc\r\n", "abc"), 400),
	TEXT("empty length", POST("Content-Length:\r\n", "abc"), 400),
	TEXT("number and more", POST("Content-Length: 3x\r\n", "abc"), 400),
	TEXT("hexadecimal", POST("Content-Length: 0x3\r\n", "abc"), 400),
	TEXT("exponent", POST("Content-Length: 1e3\r\n", "abc"), 400),
	TEXT("list of lengths", POST("Content-Length: 3, 3\r\n", "abc"), 400),
	TEXT("two lengths", POST("Content-Length: 3\r\nContent-Length: 3\r\n",
	    "abc"), 400),
	TEXT("two other lengths", POST("Content-Length: 3\r\n"
	    "Content-Length: 4\r\n", "abcd"), 400),
	TEXT("one too long", POST("Content-Length: 1001\r\n", ""), 413),
	TEXT("huge", POST("Content-Length: 18446744073709551615\r\n", ""), 413),
	TEXT("beyond 64 bits", POST("Content-Length: 99999999999999999999\r\n",
	    ""), 413),

	/* Bodies in chunks. */
	BODY("chunks", CHUNKED("3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"), "abcde"),
	BODY("no chunk", CHUNKED("0\r\n\r\n"), ""),
	/* libmicrohttpd 1 refuses some. */
	{ "extension", CHUNKED("3;a=b\r\nabc\r\n0;c\r\n\r\n"), 0, 200, 400,
	    "abc" },
	BODY("trailer", CHUNKED("1\r\na\r\n0\r\nX-Test: a\r\n\r\n"), "a"),
	BODY("hexadecimal size", CHUNKED("00A\r\n0123456789\r\n0\r\n\r\n"),
	    "0123456789"),
	TEXT("no size", CHUNKED("\r\nabc\r\n0\r\n\r\n"), 400),
	TEXT("size no number", CHUNKED("zz\r\nabc\r\n0\r\n\r\n"), 400),
	TEXT("negative size", CHUNKED("-3\r\nabc\r\n0\r\n\r\n"), 400),
	TEXT("prefixed size", CHUNKED("0x3\r\nabc\r\n0\r\n\r\n"), 400),
	TEXT("size beyond 64 bits", CHUNKED("fffffffffffffffff\r\n"), 413),
	TEXT("longer than its size", CHUNKED("3\r\nabcd\r\n0\r\n\r\n"), 400),
	TEXT("bad trailer", CHUNKED("1\r\na\r\n0\r\nNonsense\r\n\r\n"), 400),
	TEXT("length and chunks", POST("Content-Length: 3\r\n"
	    "Transfer-Encoding: chunked\r\n", "0\r\n\r\n"), 400),
	TEXT("chunks and length", POST("Transfer-Encoding: chunked\r\n"
	    "Content-Length: 3\r\n", "0\r\n\r\n"), 400),
	TEXT("chunked twice", POST("Transfer-Encoding: chunked\r\n"
	    "Transfer-Encoding: chunked\r\n", "0\r\n\r\n"), 400),
	OR("unknown coding", POST("Transfer-Encoding: gzip\r\n", ""), 501,
	    400),
	OR("list of codings", POST("Transfer-Encoding: gzip, chunked\r\n",
	    "0\r\n\r\n"), 501, 400),
};

static void
check_row(const struct row *row)
{
	struct server_options options = { .limits = { .body = BODY_LIMIT } };
	struct server server;
	struct answer answer;
	char	method[16] = "";
	int	fd;

	server_start(&server, &options);
	fd = client_connect(server.port);
	strncpy(method, row->bytes, strcspn(row->bytes, " "));
	client_send(fd, row->bytes,
	    row->length == 0 ? strlen(row->bytes) : row->length);
	client_read(fd, method, &answer);
	ck_assert_msg(answer.status == row->status ||
	    answer.status == row->or_status, "%s: %d instead of %d\n%s",
	    row->name, answer.status, row->status, answer.head);
	if (row->body != NULL && answer.status == row->status)
		ck_assert_str_eq(answer.body, row->body);
	if (answer.status == 400 || answer.status == 413)
		ck_assert_msg(client_sees_end(fd, 5000),
		    "%s: the connection stays open", row->name);
	close(fd);
	client_expect_service(server.port);
	server_stop(&server);
}

START_TEST(a_request_gets_the_right_answer)
{
	check_row(&rows[_i]);
}
END_TEST

/* Requests too large for a table. */

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

START_TEST(many_parameters_are_refused)
{
	struct server server;
	int	fd;

	server_start(&server, NULL);
	fd = client_connect(server.port);
	client_say(fd, "GET /param?a");
	say_many(fd, "&a", 2500);
	client_say(fd, " HTTP/1.1\r\n" HOST "\r\n");
	expect_status(server.port, fd, 431, CLOSED);
	server_stop(&server);
}
END_TEST

START_TEST(headers_of_half_the_limit_are_taken)
{
	struct server server;
	struct answer answer;
	int	fd;

	server_start(&server, NULL);
	fd = client_connect(server.port);
	client_say(fd, GET("/header") "X-Test: yes\r\nX-Long: ");
	say_many(fd, "0123456789abcdef", WORKER_HEAD_DEFAULT / 2 / 16);
	client_say(fd, "\r\n\r\n");
	client_read(fd, "GET", &answer);
	ck_assert_int_eq(answer.status, 200);
	ck_assert_str_eq(answer.body, "yes");
	close(fd);
	server_stop(&server);
}
END_TEST

START_TEST(a_body_up_to_the_limit_is_taken)
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
	struct server_options options = { .limits = { .body = BODY_LIMIT } };
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
	struct server_options options = { .limits = { .body = BODY_LIMIT } };
	struct server server;
	int	fd;
	bool	open = true;

	server_start(&server, &options);
	fd = client_connect(server.port);
	client_say(fd, CHUNKED(""));
	for (int i = 0; i < 1000000 && open; i++)
		open = client_say(fd, "10\r\n0123456789abcdef\r\n");
	ck_assert_msg(!open, "it is read for ever");
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
 * Garbage: the same in each run. Half of it is random, half is a good
 * request with a few bytes changed.
 */

#define GARBAGE_ROUNDS 400
#define GARBAGE_OPEN 100 /* of these are not closed before the end */

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

START_TEST(garbage_does_no_harm)
{
	struct server_options options = { .limits = { .body = BODY_LIMIT } };
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
	TCase	*table = unit_case(suite, "table");
	TCase	*large = unit_case(suite, "large");

	tcase_set_timeout(table, 30);
	tcase_add_loop_test(table, a_request_gets_the_right_answer, 0,
	    sizeof(rows) / sizeof(rows[0]));
	tcase_set_timeout(large, 60);
	tcase_add_test(large, a_long_target_is_refused);
	tcase_add_test(large, a_long_header_is_refused);
	tcase_add_test(large, many_headers_are_refused);
	tcase_add_test(large, many_parameters_are_refused);
	tcase_add_test(large, headers_of_half_the_limit_are_taken);
	tcase_add_test(large, a_body_up_to_the_limit_is_taken);
	tcase_add_test(large, a_long_chunked_body_is_refused);
	tcase_add_test(large, an_endless_chunked_body_is_cut_off);
	tcase_add_test(large, a_client_may_ask_before_it_sends_a_body);
	tcase_add_test(large, garbage_does_no_harm);
	return suite;
}

UNIT_MAIN(malformed_suite)
