/*
 * client.c - an HTTP client that can be as rude as a test wants.
 */
#include "client.h"
#include "server.h"

#include <arpa/inet.h>
#include <check.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#define PATIENCE_MS 45000

int
client_connect(uint16_t port)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
		.sin_port = htons(port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	ck_assert_int_ne(fd, -1);
	ck_assert_int_eq(
	    connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

bool
client_send(int fd, const void *bytes, size_t length)
{
	const char *at = bytes;
	ssize_t	n;

	while (length > 0) {
		n = send(fd, at, length, MSG_NOSIGNAL);
		if (n == -1) {
			ck_assert(errno == EPIPE || errno == ECONNRESET);
			return false;
		}
		at += n;
		length -= (size_t)n;
	}
	return true;
}

bool
client_say(int fd, const char *text)
{
	return client_send(fd, text, strlen(text));
}

/* Read up to @size bytes; 0 at the end of the connection. */
static size_t
receive(int fd, void *bytes, size_t size)
{
	struct pollfd ready = { .fd = fd, .events = POLLIN };
	ssize_t	n;

	ck_assert_msg(poll(&ready, 1, PATIENCE_MS) == 1,
	    "the server says nothing");
	n = recv(fd, bytes, size, 0);
	if (n == -1)
		ck_assert_int_eq(errno, ECONNRESET);
	return n == -1 ? 0 : (size_t)n;
}

static void
read_body(int fd, struct answer *answer, size_t length)
{
	char	bytes[CLIENT_BODY_MAX];
	size_t	n, kept = 0;

	while (answer->length < length) {
		n = length - answer->length;
		if (n > sizeof(bytes))
			n = sizeof(bytes);
		if ((n = receive(fd, bytes, n)) == 0)
			break;
		if (kept + n <= CLIENT_BODY_MAX) {
			memcpy(answer->body + kept, bytes, n);
			kept += n;
		}
		answer->length += n;
	}
	ck_assert_uint_eq(answer->length, length);
}

void
client_read(int fd, const char *method, struct answer *answer)
{
	const char *value;
	size_t	used = 0;

	memset(answer, 0, sizeof(*answer));
	/* Read byte by byte, so that nothing of the next answer is taken. */
	while (strstr(answer->head, "\r\n\r\n") == NULL) {
		ck_assert_uint_lt(used, CLIENT_HEAD_MAX - 1);
		if (receive(fd, answer->head + used, 1) == 0) {
			ck_assert_msg(used == 0, "a part of an answer: %s",
			    answer->head);
			return;
		}
		used++;
	}
	ck_assert_msg(strncmp(answer->head, "HTTP/1.1 ", 9) == 0, "%s",
	    answer->head);
	answer->status = atoi(answer->head + 9);
	ck_assert_int_ge(answer->status, 100);
	if (answer->status == 100 || strcmp(method, "HEAD") == 0)
		return;
	if ((value = answer_header(answer, "Content-Length")) != NULL)
		read_body(fd, answer, strtoul(value, NULL, 10));
}

bool
client_sees_end(int fd, int timeout_ms)
{
	struct pollfd ready = { .fd = fd, .events = POLLIN };
	int64_t	end = now_ms() + timeout_ms, left;
	char	bytes[4096];

	while ((left = end - now_ms()) > 0) {
		if (poll(&ready, 1, (int)left) == 1 &&
		    recv(fd, bytes, sizeof(bytes), 0) <= 0)
			return true;
	}
	return false;
}

void
client_reset(int fd)
{
	struct linger linger = { .l_onoff = 1, .l_linger = 0 };

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	close(fd);
}

const char *
answer_header(const struct answer *answer, const char *name)
{
	static char value[1024];
	size_t	length = strlen(name), end;
	const char *line = answer->head;

	while ((line = strstr(line, "\r\n")) != NULL) {
		line += 2;
		if (strncasecmp(line, name, length) != 0 ||
		    line[length] != ':')
			continue;
		line += length + 1;
		line += strspn(line, " \t");
		end = strcspn(line, "\r");
		ck_assert_uint_lt(end, sizeof(value));
		memcpy(value, line, end);
		value[end] = '\0';
		return value;
	}
	return NULL;
}

int
client_ask(uint16_t port, const char *request, struct answer *answer)
{
	int	fd = client_connect(port);
	char	method[16] = "";

	strncpy(method, request, strcspn(request, " "));
	client_say(fd, request);
	client_read(fd, method, answer);
	close(fd);
	return answer->status;
}

void
client_expect_service(uint16_t port)
{
	struct answer answer;

	ck_assert_int_eq(client_ask(port,
	    "GET /now HTTP/1.1\r\nHost: test\r\n\r\n", &answer), 200);
	ck_assert_str_eq(answer.body, "now\n");
	ck_assert_str_eq(answer_header(&answer, "Server"), "mews");
	ck_assert_ptr_nonnull(answer_header(&answer, "Date"));
	ck_assert_ptr_nonnull(answer_header(&answer, "Mews-Worker"));
}
