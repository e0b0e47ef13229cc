/*
 * streaming.h - an application that reads bodies, and answers, in pieces.
 *
 *	POST /count	the body's length, read in pieces
 *	POST /hold	the same, but nothing is read before GET /go
 *	POST /echo	the body, while it comes
 *	POST /whole	the length of a body that is kept whole
 *	POST /kept	the same, read as if in pieces
 *	POST /sudden	as /count, but answered at once
 *	GET /long	STREAMING_BIG bytes in chunks
 *	GET /known	STREAMING_BIG bytes of known length
 *	GET /broken	less than it says
 *	GET /lost	how many pieces were MEWS_LOST, and answers without
 *			a client
 */
#ifndef TESTS_FRONT_STREAMING_H
#define TESTS_FRONT_STREAMING_H

#include <mews/app.h>

#define STREAMING_MB  1048576
#define STREAMING_BIG (64 * STREAMING_MB)

extern const struct mews_app streaming_app;

/* Functions of the application, for applications that differ in others. */
enum mews_status streaming_start(struct mews_worker *worker, void **out,
    struct mews_error *error);
void streaming_request(void *arg, struct mews_request *request);

/* Fill @bytes so that each shows its place in the answer. */
void streaming_fill(char *bytes, size_t at, size_t length);

#endif
