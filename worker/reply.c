/*
 * reply.c - answers, and what all answers of one worker share.
 *
 * An answer given while the request is being handed to the application is
 * queued at once; one that comes later when libmicrohttpd asks for it, or,
 * where its connection was suspended, by waking that. If it cannot be made
 * (no memory), the connection is closed without one.
 */
#include "reply.h"
#include "front.h"
#include "request.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#define TEXT_PLAIN "text/plain; charset=utf-8"

void
reply_desk_init(struct reply_desk *desk, struct front *front,
    const struct log *log, struct mews_pool *pool)
{
	memset(desk, 0, sizeof(*desk));
	desk->front = front;
	desk->log = log;
	desk->pool = pool;
	snprintf(desk->worker, sizeof(desk->worker), "%ld", (long)getpid());
}

void
reply_desk_free(struct reply_desk *desk)
{
	for (size_t i = 0; i < REPLY_READY; i++)
		MHD_destroy_response(desk->ready[i].response);
	memset(desk->ready, 0, sizeof(desk->ready));
}

/* The headers that each answer has. Date, Content-Length and, where it is
 * the last one, Connection come from libmicrohttpd. */
static void
add_common(const struct reply_desk *desk, struct MHD_Response *response,
    const char *type)
{
	MHD_add_response_header(response, "Server", "mews");
	MHD_add_response_header(response, "Mews-Worker", desk->worker);
	if (type != NULL)
		MHD_add_response_header(response, "Content-Type", type);
	if (desk->draining)
		MHD_add_response_header(response, "Connection", "close");
}

static void
add_date(struct MHD_Response *response, time_t second)
{
	struct tm tm;
	char date[32];

	if (gmtime_r(&second, &tm) != NULL &&
	    strftime(date, sizeof(date), "%a, %d %b %Y %T GMT", &tm) != 0)
		MHD_add_response_header(response, "Date", date);
}

/* A response to a static body: the one of this second, if there was one.
 * Adds a reference, as making a new one does. */
static struct MHD_Response *
static_response(struct reply_desk *desk, unsigned status, const char *type,
    const void *body, size_t length)
{
	struct reply_ready *ready;
	struct MHD_Response *response;
	time_t now = time(NULL);
	size_t i;

	for (i = 0; i < REPLY_READY; i++) {
		ready = &desk->ready[i];
		if (ready->response != NULL && ready->body == body &&
		    ready->length == length && ready->status == status &&
		    strcmp(ready->type, type) == 0)
			break;
	}
	if (i < REPLY_READY && ready->second == now)
		return ready->response;
	if (i == REPLY_READY) {
		ready = &desk->ready[desk->ready_next];
		desk->ready_next = (desk->ready_next + 1) % REPLY_READY;
	}
	response = MHD_create_response_from_buffer(length, (void *)body,
	    MHD_RESPMEM_PERSISTENT);
	if (response == NULL)
		return NULL;
	add_common(desk, response, type);
	add_date(response, now);
	/* Connections that still send the old one hold it themselves. */
	MHD_destroy_response(ready->response);
	*ready = (struct reply_ready){ .response = response, .second = now,
		.status = status, .body = body, .length = length };
	strlcpy(ready->type, type, sizeof(ready->type));
	return response;
}

/* A response of this request only. */
static struct MHD_Response *
own_response(struct mews_request *request, const char *type,
    const void *body, size_t length, enum mews_body owner)
{
	struct MHD_Response *response;
	struct request_header *header;

	if (owner == MEWS_BODY_COPY && length != 0) {
		body = arena_copy(&request->arena, body, length);
		if (body == NULL)
			return NULL;
	}
	if (length == 0 || owner == MEWS_BODY_STATIC)
		response = MHD_create_response_from_buffer(length,
		    (void *)body, MHD_RESPMEM_PERSISTENT);
	else
		response =
		    MHD_create_response_from_buffer_with_free_callback_cls(
			length, (void *)body, request_release, request);
	if (response == NULL)
		return NULL;
	if (length != 0 && owner != MEWS_BODY_STATIC)
		request_hold(request);
	add_common(request->desk, response, type);
	if (request->endpoint[0] != '\0')
		MHD_add_response_header(response, "Mews-Endpoint",
		    request->endpoint);
	STAILQ_FOREACH(header, &request->headers, entry)
		MHD_add_response_header(response, header->name,
		    header->value);
	return response;
}

/* May the response be shared with other requests? */
static bool
is_plain(const struct mews_request *request, const char *type)
{
	return type != NULL &&
	    strlen(type) < sizeof(((struct reply_ready *)0)->type) &&
	    STAILQ_EMPTY(&request->headers) &&
	    request->endpoint[0] == '\0' && !request->desk->draining;
}

void
reply_wait(struct mews_request *request, enum request_wait wait)
{
	request->desk->requests[request->wait]--;
	request->desk->requests[wait]++;
	request->wait = wait;
}

/* Hand it to libmicrohttpd, which takes a reference of its own. */
static bool
queue(struct mews_request *request, unsigned status,
    struct MHD_Response *response)
{
	if (response != NULL &&
	    MHD_queue_response(request->connection, status, response) ==
		MHD_YES)
		return true;
	log_write(request->desk->log, MEWS_ERROR, "reply_failed",
	    "status=%u text=\"out of memory, closed without answer\"", status);
	return false;
}

bool
reply_queue(struct mews_request *request)
{
	struct MHD_Response *response = request->response;
	bool queued = queue(request, request->status, response);

	request->response = NULL;
	MHD_destroy_response(response);
	return queued;
}

/* A response of this request only. Takes it over. */
static void
send_own(struct mews_request *request, unsigned status,
    struct MHD_Response *response)
{
	request->desk->answered++;
	if (request->wait == WAIT_HELD) {
		request->response = response;
		request->status = status;
	} else {
		queue(request, status, response);
		MHD_destroy_response(response);
		if (request->wait == WAIT_SUSPENDED)
			MHD_resume_connection(request->connection);
	}
	if (request->wait != WAIT_NONE)
		front_due(request->desk->front);
}

void
mews_reply(struct mews_request *request, unsigned status, const char *type,
    const void *body, size_t length, enum mews_body owner)
{
	assert(request->state == REQUEST_ASKED &&
	    "each request gets one mews_reply(), and is not touched after it");
	request->state = REQUEST_ANSWERED;
	if (status < 200 || status > 599) {
		log_write(request->desk->log, MEWS_ERROR, "reply_status",
		    "status=%u text=\"not 200 to 599, 500 sent instead\"",
		    status);
		status = MHD_HTTP_INTERNAL_SERVER_ERROR;
	}
	if (request->connection == NULL) {
		request_release(request); /* nobody is left to be answered */
		return;
	}
	if (request->inside && owner == MEWS_BODY_STATIC &&
	    is_plain(request, type)) {
		request->desk->answered++;
		queue(request, status, static_response(request->desk, status,
		    type, body, length));
	} else
		send_own(request, status, own_response(request, type, body,
		    length, owner));
	reply_wait(request, WAIT_NONE);
	request_release(request);
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
	struct request_header *header;
	char quoted[80];
	unsigned suppressed;

	assert(request->state == REQUEST_ASKED &&
	    "headers come before the answer");
	if (name[0] == '\0' || strpbrk(name, " \t\r\n:") != NULL ||
	    value[0] == '\0' || strpbrk(value, "\r\n") != NULL ||
	    is_ours(name)) {
		if (rate_allow(&request->desk->dropped, &suppressed))
			log_write(request->desk->log, MEWS_WARNING,
			    "reply_header_dropped", "name=%s suppressed=%u",
			    log_quote(quoted, sizeof(quoted), name),
			    suppressed);
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
	strlcpy(request->endpoint, mews_result_endpoint(result),
	    sizeof(request->endpoint));
}

void
mews_reply_status(struct mews_request *request, enum mews_status status,
    const char *message)
{
	static const char fallback[] = "NOMEM\n";
	const char *name = mews_status_name(status);
	size_t room = strlen(name) + strlen(message) + sizeof(": \n");
	char *body = arena_alloc(&request->arena, room);
	int length;

	if (body == NULL) {
		mews_reply(request, MHD_HTTP_SERVICE_UNAVAILABLE, TEXT_PLAIN,
		    fallback, sizeof(fallback) - 1, MEWS_BODY_STATIC);
		return;
	}
	length = snprintf(body, room, "%s%s%s\n", name,
	    message[0] == '\0' ? "" : ": ", message);
	mews_reply(request, MHD_HTTP_SERVICE_UNAVAILABLE, TEXT_PLAIN, body,
	    (size_t)length, MEWS_BODY_REQUEST);
}

void
mews_reply_failure(struct mews_request *request,
    const struct mews_result *result)
{
	mews_reply_endpoint(request, result);
	mews_reply_status(request, mews_result_status(result),
	    mews_result_message(result));
}

void
mews_request_query(struct mews_request *request, const char *name,
    const struct mews_query_args *args, mews_query_fn *fn)
{
	struct mews_group *group = mews_pool_group(request->desk->pool, name);
	enum mews_status status;

	if (group == NULL) {
		mews_reply_status(request, MEWS_INVALID,
		    "no group of that name is configured");
		return;
	}
	status = mews_query_send(group, args, fn, request, NULL);
	if (status != MEWS_OK)
		mews_reply_status(request, status, mews_group_message(group));
}

/* What the worker itself can answer. */
static const struct refusal {
	unsigned status;
	const char *body;
} refusals[] = {
	{ MHD_HTTP_BAD_REQUEST, "malformed request\n" },
	{ MHD_HTTP_METHOD_NOT_ALLOWED, "method not allowed\n" },
	{ MHD_HTTP_CONTENT_TOO_LARGE, "body too long\n" },
	{ MHD_HTTP_NOT_IMPLEMENTED, "unknown transfer coding\n" },
	{ MHD_HTTP_SERVICE_UNAVAILABLE, "closing, or out of memory\n" },
};

void
reply_refuse(struct mews_request *request)
{
	const char *body = "refused\n";

	for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++)
		if (refusals[i].status == request->refused)
			body = refusals[i].body;
	request_hold(request);	/* given up by mews_reply() */
	request->state = REQUEST_ASKED;
	request->inside = true;
	mews_reply(request, request->refused, TEXT_PLAIN, body, strlen(body),
	    MEWS_BODY_STATIC);
}
