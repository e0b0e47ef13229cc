/*
 * client.h - an HTTP client that can be as rude as a test wants.
 */
#ifndef TESTS_FRONT_CLIENT_H
#define TESTS_FRONT_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CLIENT_HEAD_MAX 8192
#define CLIENT_BODY_MAX 4096 /* bytes of a body that are kept */

/* The answer of a server. */
struct answer {
	int status; /* 0: the connection was closed without an answer */
	char head[CLIENT_HEAD_MAX];  /* the head, NUL-terminated */
	char body[CLIENT_BODY_MAX + 1]; /* the first bytes of the body,
					   NUL-terminated */
	size_t length;		     /* length of the whole body */
};

int client_connect(uint16_t port);
/** Send all of @text; false: the other side closed the connection. */
bool client_send(int fd, const void *bytes, size_t length);
bool client_say(int fd, const char *text);
/**
 * Read one answer, waiting at most five seconds for each piece of it.
 *
 * @method the request's; the answer to "HEAD" has no body.
 */
void client_read(int fd, const char *method, struct answer *answer);
/** Is the connection closed within @timeout_ms? Skips what arrives before. */
bool client_sees_end(int fd, int timeout_ms);
/** Close the connection with a reset instead of a proper end. */
void client_reset(int fd);

/** The value of a header, or NULL; lives until the next call. */
const char *answer_header(const struct answer *answer, const char *name);

/** Connect, send @request, read the answer, close; returns its status. */
int client_ask(uint16_t port, const char *request, struct answer *answer);
/** Fail unless the server answers a good request. */
void client_expect_service(uint16_t port);

#endif
