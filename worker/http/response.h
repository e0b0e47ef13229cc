/*
 * response.h - an answer as bytes: its head, and the frames of its chunks.
 *
 * The writer trusts its input: the caller checks that names, values and types
 * have no control character (http_text_length()).
 */
#ifndef WORKER_HTTP_RESPONSE_H
#define WORKER_HTTP_RESPONSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>
#include <time.h>

#define HTTP_LENGTH_UNKNOWN UINT64_MAX
#define HTTP_CHUNK_MAX 12 /* bytes of framing around a chunk below 4 GB */

struct http_header {
	STAILQ_ENTRY(http_header) entry;
	const char *name;
	const char *value;
};

STAILQ_HEAD(http_headers, http_header);

/* The head of an answer. */
struct http_response {
	unsigned status; /* 200 to 599 */
	const char *type; /* Content-Type; NULL: none */
	uint64_t length;  /* of the body, or HTTP_LENGTH_UNKNOWN */
	bool chunked;	  /* where the length is unknown: else to the end */
	bool closes;	  /* the last on its connection, unless the next request
			     has come already */
	bool keeps;	  /* say that the connection stays, as the client
			     asked */
	const struct http_headers *headers; /* NULL: no more */
};

/* Text that all answers of a worker have in common. */
struct http_writer {
	char common[64]; /* lines that are the same in each */
	size_t common_length;
	time_t second; /* the time of the date below */
	char date[48];
	size_t date_length;
};

/** @worker  the value of Mews-Worker. */
void http_writer_init(struct http_writer *writer, const char *worker);

/** Has an answer of this status a body? */
bool http_has_body(unsigned status);
/** "Not Found"; "" for a status without a name. */
const char *http_reason(unsigned status);

/** Bytes that the head has at most. */
size_t http_response_bound(const struct http_response *response);
/** Write the head; returns the end of it. */
char *http_response_write(const struct http_response *response,
    struct http_writer *writer, char *at);

/** Write the line before @length bytes of a chunk; "\r\n" comes behind them. */
char *http_chunk_write(char *at, size_t length);

#endif
