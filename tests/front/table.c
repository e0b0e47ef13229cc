/*
 * table.c - each row of rows.c means what it says, however it is cut.
 *
 * The reader is run without a socket for each place where a row can be cut in
 * two, and byte by byte; a real worker gets each row whole, in halves and byte
 * by byte.
 */
#include "client.h"
#include "request.h"
#include "rows.h"
#include "server.h"
#include "unit.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define MEANING_MAX 8192

static void
add(char *meaning, const char *format, const char *text)
{
	size_t	length = strlen(meaning);
	int	n = snprintf(meaning + length, MEANING_MAX - length, format,
	    text);

	ck_assert_int_lt(n, (int)(MEANING_MAX - length));
}

/* Write a request, once its body is there, as in the meaning of a row. */
static void
describe(const struct mews_request *request, char *meaning)
{
	const char *body, *text;
	size_t	length;

	add(meaning, "%s ", mews_request_method(request));
	add(meaning, "%s", mews_request_path(request));
	if ((text = mews_request_param(request, "p")) != NULL)
		add(meaning, " p=%s", text);
	if ((text = mews_request_header(request, "x")) != NULL)
		add(meaning, " x=%s", text);
	if (mews_request_header(request, "show-host") != NULL)
		add(meaning, " host=%s", mews_request_header(request, "host"));
	body = mews_request_body(request, &length);
	ck_assert_uint_eq(strlen(body), length);
	if (length > 0)
		add(meaning, " [%s]", body);
}

/*
 * --- without a socket: the steps of client.c ---
 */

struct reading {
	struct request_store store;
	struct mews_request *request; /* the request whose body is read; or
					 NULL */
	struct http_head head;
	struct http_body body;
	size_t at, seen; /* bytes that were read; bytes of an incomplete head */
	bool over;	 /* refused, or the last request of its connection */
	char meaning[MEANING_MAX];
};

static void
refuse(struct reading *reading, int status)
{
	char	text[16];

	snprintf(text, sizeof(text), "%d", status);
	add(reading->meaning, "%s", text);
	reading->over = true;
}

static bool
step_head(struct reading *reading, const char *bytes, size_t length)
{
	int	result = HTTP_MORE;

	while (length > 1 && memcmp(bytes, "\r\n", 2) == 0) {
		reading->at += 2;
		bytes += 2;
		length -= 2;
	}
	if (length == 0)
		return false;
	if (reading->seen == 0 || length >= ROW_HEAD_MAX ||
	    http_head_is_new(bytes + reading->seen, length - reading->seen))
		result = http_head_read(&reading->head, bytes, length,
		    ROW_HEAD_MAX);
	if (result == HTTP_MORE) {
		reading->seen = length - (bytes[length - 1] == '\r');
		return false;
	}
	if (reading->meaning[0] != '\0')
		add(reading->meaning, "%s", " | ");
	reading->seen = 0;
	if (result != HTTP_DONE)
		refuse(reading, result);
	else if (reading->head.content_length > ROW_BODY_MAX)
		refuse(reading, 413);
	else {
		reading->at += reading->head.length;
		reading->request = request_new(&reading->store,
		    &reading->head, bytes);
		ck_assert_ptr_nonnull(reading->request);
		http_body_begin(&reading->body, &reading->head);
	}
	return !reading->over;
}

static bool
step_body(struct reading *reading, const char *bytes, size_t length)
{
	struct http_piece piece;
	size_t	used;
	int	result;

	result = http_body_read(&reading->body, bytes, length, &used, &piece);
	ck_assert_uint_le(used, length);
	reading->at += used;
	if (piece.length > 0)
		ck_assert(request_add_body(reading->request, piece.bytes,
		    piece.length));
	if (result == HTTP_MORE)
		return used > 0;
	if (result == HTTP_DONE) {
		ck_assert(http_body_is_over(&reading->body));
		describe(reading->request, reading->meaning);
		if (!reading->head.keep_alive) {
			add(reading->meaning, "%s", " close");
			reading->over = true;
		}
	} else
		refuse(reading, result);
	request_free(reading->request);
	reading->request = NULL;
	return !reading->over;
}

/* Read up to @end. */
static void
read_to(struct reading *reading, const char *bytes, size_t end)
{
	const char *at;
	bool	more = !reading->over;

	while (more) {
		at = bytes + reading->at;
		if (reading->request == NULL)
			more = step_head(reading, at, end - reading->at);
		else
			more = step_body(reading, at, end - reading->at);
	}
}

static void
expect_meaning(struct reading *reading, const struct row *row, size_t cut)
{
	bool	incomplete = !reading->over &&
	    (reading->request != NULL || reading->at < row->length);

	if (incomplete && reading->request == NULL &&
	    reading->meaning[0] != '\0')
		add(reading->meaning, "%s", " | ");
	if (incomplete)
		add(reading->meaning, "%s", "...");
	ck_assert_msg(strcmp(reading->meaning, row->meaning) == 0,
	    "%s, cut at %zu: %s instead of %s", row->name, cut,
	    reading->meaning, row->meaning);
	if (reading->request != NULL)
		request_free(reading->request);
	request_store_free(&reading->store);
}

/* The copy ends where the bytes end, so that a sanitizer sees reads beyond. */
static char *
exact_copy(const char *bytes, size_t length)
{
	char	*copy = malloc(length == 0 ? 1 : length);

	ck_assert_ptr_nonnull(copy);
	memcpy(copy, bytes, length);
	return copy;
}

START_TEST(a_request_means_the_same_wherever_it_is_cut)
{
	const struct row *row = &rows[_i];
	struct reading *reading = malloc(sizeof(*reading));
	char	*first;

	for (size_t cut = 0; cut <= row->length; cut++) {
		memset(reading, 0, sizeof(*reading));
		request_store_init(&reading->store);
		first = exact_copy(row->bytes, cut);
		read_to(reading, first, cut);
		free(first);
		read_to(reading, row->bytes, row->length);
		expect_meaning(reading, row, cut);
	}
	memset(reading, 0, sizeof(*reading));
	request_store_init(&reading->store);
	for (size_t end = 1; end <= row->length; end++) {
		first = exact_copy(row->bytes, end);
		read_to(reading, first, end);
		free(first);
	}
	expect_meaning(reading, row, SIZE_MAX);
	free(reading);
}
END_TEST

/*
 * --- over a socket ---
 */

static void
describe_request(void *state, struct mews_request *request)
{
	char	meaning[MEANING_MAX] = "";

	(void)state;
	describe(request, meaning);
	mews_reply(request, 200, "text/plain", meaning, strlen(meaning),
	    MEWS_BODY_COPY);
}

/* Send the row in pieces of @size bytes; false: the worker closed. */
static bool
send_pieces(int fd, const struct row *row, size_t size)
{
	size_t	length;

	for (size_t at = 0; at < row->length; at += length) {
		length = row->length - at < size ? row->length - at : size;
		if (!client_send(fd, row->bytes + at, length))
			return false;
	}
	return true;
}

/* Read as many answers as the row has requests. */
static void
read_meaning(int fd, const struct row *row, char *meaning)
{
	struct answer answer;
	char	method[16];
	const char *next = row->meaning;

	for (; next != NULL; next = strstr(next, " | ")) {
		if (next[0] == ' ') {
			add(meaning, "%s", " | ");
			next += 3;
		}
		snprintf(method, sizeof(method), "%.*s",
		    (int)strcspn(next, " "), next);
		if (strcmp(next, "...") == 0)
			shutdown(fd, SHUT_WR);
		do
			client_read(fd, method, &answer);
		while (answer.status == 100);
		if (answer.status == 200 && strcmp(method, "HEAD") == 0)
			add(meaning, "%s", next);
		else if (answer.status == 200)
			add(meaning, "%s", answer.body);
		else
			add(meaning, "%.3s", answer.head + 9);
		if (answer.status == 200 &&
		    answer_header(&answer, "Connection") != NULL)
			add(meaning, " %s",
			    answer_header(&answer, "Connection"));
	}
}

static void
check_row(uint16_t port, const struct row *row, size_t size)
{
	char	meaning[MEANING_MAX] = "";
	size_t	length = strlen(row->meaning), end;
	int	fd = client_connect(port);

	send_pieces(fd, row, size);
	read_meaning(fd, row, meaning);
	end = strlen(meaning);
	/* A request is incomplete until the client stops sending; then it is a
	 * mistake. */
	if (length >= 3 && strcmp(row->meaning + length - 3, "...") == 0) {
		ck_assert_str_eq(meaning + end - 3, "400");
		memcpy(meaning + end - 3, "...", 3);
	}
	/* Remove "keep-alive", which the worker answers to a request of version
	 * 1.0. */
	if (strstr(row->bytes, "eep-") != NULL && strstr(meaning, " keep-"))
		memmove(strstr(meaning, " keep-"), strstr(meaning, " keep-") +
		    strlen(" keep-alive"), strlen(strstr(meaning, " keep-") +
		    strlen(" keep-alive")) + 1);
	ck_assert_msg(strcmp(meaning, row->meaning) == 0,
	    "%s, by %zu: %s instead of %s", row->name, size, meaning,
	    row->meaning);
	if (strstr(meaning, "close") != NULL || end == 3 ||
	    (end > 6 && strcmp(meaning + end - 6, " | 400") == 0))
		ck_assert_msg(client_sees_end(fd, 45000),
		    "%s: the connection stays open", row->name);
	close(fd);
}

START_TEST(a_worker_answers_each_row_of_the_table)
{
	static const struct mews_app app = { .abi = MEWS_APP_ABI,
		.name = "table", .request = describe_request };
	struct server_options options = { .app = &app,
		.http = { .max_header_size = ROW_HEAD_MAX,
		    .max_body_size = ROW_BODY_MAX } };
	struct server server;

	server_start(&server, &options);
	for (size_t i = 0; i < row_count; i++) {
		check_row(server.port, &rows[i], rows[i].length);
		check_row(server.port, &rows[i], rows[i].length / 2 + 1);
		check_row(server.port, &rows[i], 1);
	}
	server_stop(&server);
}
END_TEST

static Suite *
table_suite(void)
{
	Suite	*suite = suite_create("table");
	TCase	*direct = unit_case(suite, "direct");
	TCase	*socket = unit_case(suite, "socket");

	tcase_set_timeout(direct, 180);
	tcase_add_loop_test(direct, a_request_means_the_same_wherever_it_is_cut,
	    0, (int)row_count);
	tcase_set_timeout(socket, 240);
	tcase_add_test(socket, a_worker_answers_each_row_of_the_table);
	return suite;
}

UNIT_MAIN(table_suite)
