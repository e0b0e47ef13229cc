/*
 * streaming.c - an application that reads and answers in pieces; see
 * streaming.h.
 */
#include "streaming.h"

#include "unit.h"

#include <stdio.h>
#include <string.h>

struct stream {
	struct state *state;
	struct mews_request *request;
	size_t done;	   /* bytes that were read, or written */
	char piece[16384]; /* the piece that is being written */
	size_t piece_at, piece_end;
	bool echo;
};

struct state {
	struct stream *held; /* a request for /hold before /go */
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

/* Write the rest of a piece, then ask to be called for the next. */
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

void
streaming_fill(char *bytes, size_t at, size_t length)
{
	for (size_t i = 0; i < length; i++)
		bytes[i] = (char)((at + i) * 7 % 251);
}

static void
write_on(void *arg, struct mews_request *request)
{
	struct stream *stream = arg;
	size_t	taken, length;

	while (stream->done < STREAMING_BIG) {
		length = sizeof(stream->piece);
		if (length > STREAMING_BIG - stream->done)
			length = STREAMING_BIG - stream->done;
		streaming_fill(stream->piece, stream->done, length);
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
		    path[1] == 'k' ? STREAMING_BIG : MEWS_LENGTH_UNKNOWN);
		write_on(stream, request);
	} else if (strcmp(path, "/broken") == 0) {
		mews_reply_begin(request, 200, "text/plain", 100);
		mews_reply_write(request, "half", 4);
		mews_reply_end(request, true);
	} else
		reply_number(request, stream->state->lost);
}

void
streaming_request(void *arg, struct mews_request *request)
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

enum mews_status
streaming_start(struct mews_worker *worker, void **out,
    struct mews_error *error)
{
	(void)worker;
	(void)error;
	*out = calloc(1, sizeof(struct state));
	return *out == NULL ? MEWS_NOMEM : MEWS_OK;
}

const struct mews_app streaming_app = { .abi = MEWS_APP_ABI,
	.name = "stream", .start = streaming_start,
	.request = streaming_request, .stop = free, .streams = streams };
