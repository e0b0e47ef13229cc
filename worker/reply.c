/*
 * reply.c - answers, and what all requests of one worker share.
 */
#include "reply.h"
#include "await.h"
#include "share.h"

#include <assert.h>
#include <mews/figures.h>
#include <string.h>
#include <strings.h>

void
reply_desk_init(struct reply_desk *desk, struct front *front,
    const struct log *log, struct mews_pool *pool)
{
	memset(desk, 0, sizeof(*desk));
	desk->front = front;
	TAILQ_INIT(&desk->due);
	desk->log = log;
	desk->pool = pool;
}

void
reply_over(struct mews_request *request)
{
	request->client = NULL;
	if (request->state == REQUEST_ASKED ||
	    request->state == REQUEST_REPLYING)
		await_due(request);
	else {
		await_forget(request);
		request_free(request);
	}
}

static bool
is_text(const char *text)
{
	size_t	length = strlen(text);

	return http_text_length(text, length) == length;
}

/* Drop and log an invalid header of the application. */
static void
drop_header(struct mews_request *request, const char *name)
{
	char	quoted[80];
	unsigned suppressed;

	if (rate_take(&request->desk->dropped, &suppressed))
		log_write(request->desk->log, MEWS_LOG_WARNING,
		    "reply_header_dropped", "name=%s suppressed=%u",
		    logfmt_value(quoted, sizeof(quoted), name), suppressed);
}

void
reply_complete(struct mews_request *request, struct http_response *response)
{
	unsigned suppressed;

	if (response->status < 200 || response->status > 599) {
		if (rate_take(&request->desk->invalid, &suppressed))
			log_write(request->desk->log, MEWS_LOG_ERROR,
			    "reply_status", "status=%u suppressed=%u "
			    "text=\"not 200 to 599, 500 sent instead\"",
			    response->status, suppressed);
		response->status = 500;
	}
	if (response->type != NULL && !is_text(response->type)) {
		drop_header(request, "Content-Type");
		response->type = NULL;
	}
	if (request->endpoint.value != NULL)
		STAILQ_INSERT_TAIL(&request->headers, &request->endpoint,
		    entry);
	response->headers = &request->headers;
	response->closes = share_hands_over(request->desk->blocks);
	request->desk->answered++;
	mews_fleet_count_time(request->desk->fleet,
	    (int64_t)((ev_now(request->desk->ev) - request->asked) * 1e6));
}

void
mews_reply(struct mews_request *request, unsigned status, const char *type,
    const void *body, size_t length, enum mews_body owner)
{
	struct http_response response = { .status = status, .type = type,
		.length = length };
	unsigned suppressed;

	assert(request->state == REQUEST_ASKED &&
	    "each request gets one mews_reply(), and is not touched after it");
	request->state = REQUEST_ANSWERED;
	await_forget(request);
	if (request->client == NULL) {
		request_free(request); /* the client is gone */
		return;
	}
	if (owner == MEWS_BODY_COPY && length > 0 &&
	    (body = arena_copy(&request->arena, body, length)) == NULL) {
		if (rate_take(&request->desk->failed, &suppressed))
			log_write(request->desk->log, MEWS_LOG_ERROR,
			    "reply_failed", "status=%u suppressed=%u "
			    "text=\"no memory for a copy of the body\"",
			    status, suppressed);
		http_client_refuse(request->client, 503);
		return;
	}
	/* Not earlier: the body may belong to a query's result. */
	request_end_lease(request);
	reply_complete(request, &response);
	http_client_answer(request->client, &response, body);
}

void
mews_reply_text(struct mews_request *request, unsigned status,
    const char *text)
{
	mews_reply(request, status, "text/plain; charset=utf-8", text,
	    strlen(text), MEWS_BODY_COPY);
}

/* The worker's own headers, which an application cannot set. */
static bool
is_ours(const char *name)
{
	static const char *const ours[] = { "Connection", "Content-Length",
		"Date", "Mews-Endpoint", "Mews-Worker", "Server",
		"Transfer-Encoding" };

	for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]); i++)
		if (strcasecmp(name, ours[i]) == 0)
			return true;
	return false;
}

void
mews_reply_header(struct mews_request *request, const char *name,
    const char *value)
{
	struct http_header *header;

	assert(request->state == REQUEST_ASKED &&
	    "headers come before the answer");
	if (!http_is_token(name, strlen(name)) || value[0] == '\0' ||
	    !is_text(value) || is_ours(name)) {
		drop_header(request, name);
		return;
	}
	header = arena_alloc(&request->arena, sizeof(*header));
	if (header == NULL)
		return;
	header->name = arena_copy(&request->arena, name, strlen(name));
	header->value = arena_copy(&request->arena, value, strlen(value));
	if (header->name != NULL && header->value != NULL)
		STAILQ_INSERT_TAIL(&request->headers, header, entry);
}

void
mews_reply_endpoint(struct mews_request *request,
    const struct mews_result *result)
{
	const char *name = mews_result_endpoint(result);

	/* The name lives as long as the fleet, which outlives the front. */
	request->endpoint.name = "Mews-Endpoint";
	request->endpoint.value = name[0] == '\0' ? NULL : name;
}
