/*
 * streams.c - bodies and answers in pieces, and clients that make them wait.
 */
#include "client.h"
#include "http/body.h"
#include "server.h"
#include "unit.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define HOST "Host: test\r\n\r\n"
#define GET(target) "GET " target " HTTP/1.1\r\n" HOST
#define MB 1048576
#define BIG (64 * MB)

/*
 * The application:
 *
 *	POST /count	the body's length, read in pieces
 *	POST /hold	the same, but nothing is read before GET /go
 *	POST /echo	the body, while it comes
 *	POST /whole	the length of a body that is kept whole
 *	POST /kept	the same, read as if in pieces
 *	POST /sudden	as /count, but answered at once
 *	GET /long	BIG bytes in chunks
 *	GET /known	BIG bytes of known length
 *	GET /broken	less than it says
 *	GET /lost	how many pieces were MEWS_LOST, and answers without
 *			a client
 */

struct stream {
	struct state *state;
	struct mews_request *request;
	size_t done;	   /* bytes read, or written */
	char piece[16384]; /* that is being written */
	size_t piece_at, piece_end;
	bool echo;
};

struct state {
	struct stream *held; /* /hold before /go */
	unsigned lost;
};

static void
reply_number(struct mews_request *request, size_t number)
{
	char	text[32];
	int	length = snprintf(text, sizeof(text), "%zu", number);

	mews_reply(request, 200, "text/plain", text, (size_t)length,
	    MEWS_BODY_COPY);
}

static void on_piece(void *arg, struct mews_request *request,
    enum mews_status status, const char *bytes, size_t length);

/* Write what is left of a piece, then ask for the next. */
static void
echo_on(void *arg, struct mews_request *request)
{
	struct stream *stream = arg;

	stream->piece_at += mews_reply_write(request,
	    stream->piece + stream->piece_at,
	    stream->piece_end - stream->piece_at);
	if (stream->piece_at < stream->piece_end)
		mews_reply_wait(request, echo_on, stream);
	else
		mews_request_read(request, on_piece, stream);
}

static void
on_piece(void *arg, struct mews_request *request, enum mews_status status,
    const char *bytes, size_t length)
{
	struct stream *stream = arg;

	ck_assert_ptr_eq(request, stream->request);
	stream->state->lost += status == MEWS_LOST;
	stream->done += length;
	if (!stream->echo && length > 0)
		mews_request_read(request, on_piece, stream);
	else if (!stream->echo)
		reply_number(request, stream->done);
	else if (length == 0)
		mews_reply_end(request, status == MEWS_OK);
	else {
		ck_assert_uint_le(length, sizeof(stream->piece));
		memcpy(stream->piece, bytes, length);
		stream->piece_at = 0;
		stream->piece_end = length;
		echo_on(stream, request);
	}
}

/* Bytes that tell where they are. */
static void
fill(char *bytes, size_t at, size_t length)
{
	for (size_t i = 0; i < length; i++)
		bytes[i] = (char)((at + i) * 7 % 251);
}

static void
write_on(void *arg, struct mews_request *request)
{
	struct stream *stream = arg;
	size_t	taken, length;

	while (stream->done < BIG) {
		length = sizeof(stream->piece);
		if (length > BIG - stream->done)
			length = BIG - stream->done;
		fill(stream->piece, stream->done, length);
		taken = mews_reply_write(request, stream->piece, length);
		stream->done += taken;
		if (taken < length) {
			mews_reply_wait(request, write_on, stream);
			return;
		}
	}
	stream->state->lost += mews_request_gone(request);
	mews_reply_end(request, true);
}

static bool
streams(void *state, const struct mews_request *request)
{
	(void)state;
	return strcmp(mews_request_path(request), "/whole") != 0 &&
	    strcmp(mews_request_path(request), "/kept") != 0;
}

static void
begin(struct stream *stream, const char *path)
{
	struct mews_request *request = stream->request;
	size_t	length;

	if (strcmp(path, "/count") == 0 || strcmp(path, "/kept") == 0)
		mews_request_read(request, on_piece, stream);
	else if (strcmp(path, "/sudden") == 0) {
		mews_request_read(request, on_piece, stream);
		reply_number(request, 0);
	}
	else if (strcmp(path, "/hold") == 0)
		stream->state->held = stream;
	else if (strcmp(path, "/echo") == 0) {
		stream->echo = true;
		mews_reply_begin(request, 200, "text/plain",
		    MEWS_LENGTH_UNKNOWN);
		mews_request_read(request, on_piece, stream);
	} else if (strcmp(path, "/whole") == 0) {
		mews_request_body(request, &length);
		reply_number(request, length);
	} else if (strcmp(path, "/long") == 0 ||
	    strcmp(path, "/known") == 0) {
		mews_reply_begin(request, 200, "text/plain",
		    path[1] == 'k' ? BIG : MEWS_LENGTH_UNKNOWN);
		write_on(stream, request);
	} else if (strcmp(path, "/broken") == 0) {
		mews_reply_begin(request, 200, "text/plain", 100);
		mews_reply_write(request, "half", 4);
		mews_reply_end(request, true);
	} else
		reply_number(request, stream->state->lost);
}

static void
stream_request(void *arg, struct mews_request *request)
{
	struct state *state = arg;
	struct stream *stream = mews_request_alloc(request, sizeof(*stream));
	const char *path = mews_request_path(request);

	ck_assert_ptr_nonnull(stream);
	memset(stream, 0, sizeof(*stream));
	stream->state = state;
	stream->request = request;
	if (strcmp(path, "/go") == 0 && state->held != NULL) {
		mews_request_read(state->held->request, on_piece,
		    state->held);
		state->held = NULL;
	}
	begin(stream, path);
}

static enum mews_status
stream_start(struct mews_worker *worker, void **out, struct mews_error *error)
{
	(void)worker;
	(void)error;
	*out = calloc(1, sizeof(struct state));
	return *out == NULL ? MEWS_NOMEM : MEWS_OK;
}

static const struct mews_app stream_app = { .abi = MEWS_APP_ABI,
	.name = "stream", .start = stream_start, .request = stream_request,
	.stop = free, .streams = streams };

static struct server server;

static void
start(void)
{
	struct server_options options = { .app = &stream_app,
		.http = { .max_body_size = 1000 } };

	server_start(&server, &options);
}

static void
stop(void)
{
	server_stop(&server);
}

static long
resident_kb(void)
{
	char	path[64];
	long	pages;
	FILE	*file;

	snprintf(path, sizeof(path), "/proc/%ld/statm", (long)server.pid);
	ck_assert_ptr_nonnull(file = fopen(path, "r"));
	ck_assert_int_eq(fscanf(file, "%*d %ld", &pages), 1);
	fclose(file);
	return pages * (sysconf(_SC_PAGESIZE) / 1024);
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
	long	before = resident_kb();
	int	fd = client_connect(server.port);

	say_length(fd, "/count", BIG);
	send_zeros(fd, BIG);
	expect_answer(fd, 200, "67108864");
	ck_assert_int_lt(resident_kb() - before, 8 * 1024);
	/* The connection goes on. */
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

START_TEST(who_is_not_read_must_wait)
{
	static const char zeros[65536];
	size_t	sent = 0;
	ssize_t	n;
	int	tries = 0, fd = client_connect(server.port), other;

	say_length(fd, "/hold", BIG);
	/* Bytes that two kernels keep are all that go. */
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

/* Read to the end of the connection, as it is or in chunks. */
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
			fill(wanted, total, piece.length);
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
	/* As for HEAD: what follows is not taken. */
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
	long	before = resident_kb();

	ck_assert_uint_eq(ask_long("GET /long HTTP/1.1\r\n"
	    "Connection: close\r\n" HOST, true), BIG);
	ck_assert_uint_eq(ask_long("GET /known HTTP/1.1\r\n"
	    "Connection: close\r\n" HOST, false), BIG);
	ck_assert_uint_eq(ask_long("GET /long HTTP/1.0\r\n\r\n", false),
	    BIG);
	ck_assert_uint_eq(ask_long("HEAD /known HTTP/1.1\r\n"
	    "Connection: close\r\n" HOST, false), 0);
	ck_assert_int_lt(resident_kb() - before, 8 * 1024);
}
END_TEST

START_TEST(what_is_not_read_is_not_kept)
{
	long	before = resident_kb();
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
	ck_assert_int_lt(resident_kb() - before, 8 * 1024);
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

START_TEST(what_was_written_before_a_bad_body_is_sent)
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
	/* Bad framing. */
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
	struct server_options options = { .app = &stream_app,
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
		.start = stream_start, .request = stream_request,
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
	struct server_options options = { .app = &stream_app,
		.http = { .request_timeout = 1000, .min_receive_rate = 1000 } };
	struct pollfd in = { .events = POLLIN };
	int	fd, tries = 0;

	server_start(&server, &options);
	/* A body that nobody asked for is not late. */
	say_length(fd = client_connect(server.port), "/hold", 1000);
	in.fd = client_connect(server.port);
	say_length(in.fd, "/count", BIG);
	/* Each byte is in time; all of them are too slow. */
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
	tcase_add_test(tcase, who_is_not_read_must_wait);
	tcase_add_test(tcase, an_answer_may_come_in_pieces);
	tcase_add_test(tcase, what_is_not_read_is_not_kept);
	tcase_add_test(tcase, an_answer_that_is_not_whole_is_broken_off);
	tcase_add_test(tcase, what_was_written_before_a_bad_body_is_sent);
	tcase_add_test(tcase, a_body_may_be_answered_while_it_comes);
	tcase_add_test(tcase, an_application_hears_that_a_client_left);
	tcase_set_timeout(own, 180);
	tcase_add_test(own, a_worker_ends_with_streams_open);
	tcase_add_test(own, an_older_application_has_whole_bodies);
	tcase_add_test(own, a_body_that_trickles_is_not_waited_for);
	return suite;
}

UNIT_MAIN(streams_suite)
