/*
 * body.h - finding the data and the end of a request's body.
 */
#ifndef WORKER_HTTP_BODY_H
#define WORKER_HTTP_BODY_H

#include "head.h"

#define HTTP_OVERHEAD_MAX 16384 /* bytes of a body that are neither data nor
				   needed: extensions, trailers; more: 431 */

/* A body that is being read. Its owner copies nothing: data are pieces of
 * the bytes that arrived. */
struct http_body {
	uint64_t left; /* bytes of data before the end, or the chunk's end */
	unsigned state;
	unsigned digits; /* of a chunk's size */
	unsigned overhead;
};

struct http_piece {
	const char *bytes;
	size_t length;
};

void http_body_begin(struct http_body *body, const struct http_head *head);

/** Is the body at its end? */
bool http_body_is_over(const struct http_body *body);

/**
 * Read on, up to the end of one piece of data.
 *
 * @used   bytes that are read and need not be shown again.
 * @piece  data among them; its length may be 0.
 *
 * Returns HTTP_DONE with the last piece, HTTP_MORE, or 400, 413, 431. Call it
 * again with what was not used, as long as there is any.
 */
int http_body_read(struct http_body *body, const char *bytes, size_t length,
    size_t *used, struct http_piece *piece);

#endif
