/*
 * head.h - the head of a request: request line, fields, empty line.
 *
 * The reader is strict (RFC 9112, RFC 9110): what two programs could read in
 * two ways is refused. It copies nothing and changes nothing: a head is
 * spans of the bytes it was read from. Rows of tests/front/table.c are its
 * contract.
 */
#ifndef WORKER_HTTP_HEAD_H
#define WORKER_HTTP_HEAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HTTP_FIELDS_MAX 100 /* of one head; more: 431 */

/* The outcome of a reader. Any other value is the status of a refusal. */
enum http_result {
	HTTP_DONE = 0,
	HTTP_MORE = 1 /* good so far, and not at its end */
};

/* Bytes of a head, by their place in it. */
struct http_span {
	uint32_t at;
	uint32_t length;
};

struct http_field {
	struct http_span name, value; /* the value without blanks around it */
};

struct http_head {
	uint32_t length; /* of all, with the empty line */
	struct http_span method;
	struct http_span path;	/* not decoded; empty: "/" */
	struct http_span query; /* behind the '?'; empty: none */
	struct http_span host;	/* of an absolute target, else of Host */
	bool absolute;		/* "http://host/path": host is the target's */
	bool is_head;		/* the method is HEAD: an answer has no body */
	bool keep_alive;	/* the client can ask again */
	bool chunked;		/* a body in chunks */
	bool expects_continue;
	unsigned minor;		 /* of HTTP/1.x; 1 for all above */
	uint64_t content_length; /* 0: none, or chunked */
	unsigned field_count;
	struct http_field fields[HTTP_FIELDS_MAX];
};

/**
 * Read a head that begins at @bytes.
 *
 * @length  of what arrived so far; the head may end before it.
 * @limit   bytes that a head may have.
 *
 * Returns HTTP_DONE, HTTP_MORE, or 400, 405, 413, 414, 417, 431, 501, 505.
 * Each answer but HTTP_MORE stays what it is when more bytes arrive. @head
 * is set with HTTP_DONE only.
 */
int http_head_read(struct http_head *head, const char *bytes, size_t length,
    size_t limit);

/** Would @length bytes more change an answer of HTTP_MORE? Only the end of a
 * line, or what is allowed nowhere, does. */
bool http_head_is_new(const char *bytes, size_t length);

/** Bytes at the begin that may stand in any line: no control but a tab. */
size_t http_text_length(const char *bytes, size_t length);

/** Are the bytes a token (RFC 9110, 5.6.2), as methods and names are? */
bool http_is_token(const char *bytes, size_t length);

/** 0 to 15, or -1. */
int http_hex(char c);

#endif
