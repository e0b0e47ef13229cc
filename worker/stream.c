/*
 * stream.c - bodies of requests, and answers, in pieces: what an application
 * asks for. await.c tells it.
 */
#include "await.h"
#include "reply.h"

#include <assert.h>

void
mews_request_read(struct mews_request *request, mews_body_fn *fn, void *arg)
{
	assert((request->state == REQUEST_ASKED ||
	    request->state == REQUEST_REPLYING) && "it was not answered");
	assert(request->on_body == NULL && "one piece at a time");
	request->on_body = fn;
	request->on_body_arg = arg;
	if (request->client == NULL || !request->streamed)
		await_due(request);
	else
		http_client_want(request->client);
}

void
mews_reply_begin(struct mews_request *request, unsigned status,
    const char *type, uint64_t length)
{
	struct http_response response = { .status = status, .type = type,
		.length = length };

	assert(request->state == REQUEST_ASKED && "an answer begins once");
	request->state = REQUEST_REPLYING;
	if (request->client == NULL)
		return;
	reply_complete(request, &response);
	http_client_begin(request->client, &response);
}

size_t
mews_reply_write(struct mews_request *request, const void *bytes,
    size_t length)
{
	assert(request->state == REQUEST_REPLYING && "the answer has begun");
	if (request->client == NULL)
		return length;
	return http_client_write(request->client, bytes, length);
}

void
mews_reply_wait(struct mews_request *request, mews_reply_fn *fn, void *arg)
{
	assert(request->state == REQUEST_REPLYING && "the answer has begun");
	assert(request->on_room == NULL && "one waits at a time");
	request->on_room = fn;
	request->on_room_arg = arg;
	if (request->client == NULL)
		await_due(request);
	else
		http_client_wait(request->client);
}

void
mews_reply_end(struct mews_request *request, bool complete)
{
	assert(request->state == REQUEST_REPLYING && "the answer has begun");
	assert(request->on_body == NULL && request->on_room == NULL &&
	    "nothing is waited for");
	request->state = REQUEST_ANSWERED;
	request_end_lease(request);
	if (request->client == NULL)
		request_free(request);
	else
		http_client_end(request->client, complete);
}
