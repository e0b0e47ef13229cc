/*
 * request.c - one HTTP request, from its first line to its answer.
 *
 * libmicrohttpd parses, and is lenient. What two parsers in a row could
 * read in two ways (a second Content-Length, a length next to a transfer
 * coding, blanks in names) is refused here, before the application sees it.
 *
 * Parameters and headers stay in libmicrohttpd's memory of the connection,
 * which may be closed before the answer: what the application asks for is
 * copied.
 */
#include "request.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#define REQUEST_SIZE 4096 /* with the arena's first bytes */
#define REQUESTS_KEPT 256
#define BODY_FIRST 2048	 /* bytes of room for a body, doubled as it grows */
#define BODY_PATIENCE 4	 /* times the limit that is read to say 413 */

/* What a method and a header's name are made of (RFC 9110, 5.6.2). */
static const bool token_char[256] = {
	['0' ... '9'] = true,
	['A' ... 'Z'] = true,
	['a' ... 'z'] = true,
	['!'] = true,
	['#' ... '\''] = true,
	['*'] = true,
	['+'] = true,
	['-'] = true,
	['.'] = true,
	['^' ... '`'] = true,
	['|'] = true,
	['~'] = true,
};

static bool
is_token(const char *text, size_t length)
{
	for (size_t i = 0; i < length; i++)
		if (!token_char[(unsigned char)text[i]])
			return false;
	return length != 0;
}

static bool
is_control(char c)
{
	return (unsigned char)c < ' ' || c == 0x7f;
}

void
request_store_init(struct request_store *store)
{
	memset(store, 0, sizeof(*store));
	SLIST_INIT(&store->free);
}

void
request_store_free(struct request_store *store)
{
	struct mews_request *request;

	while ((request = SLIST_FIRST(&store->free)) != NULL) {
		SLIST_REMOVE_HEAD(&store->free, entry);
		free(request);
	}
	store->count = 0;
	arena_store_free(&store->blocks);
}

/* May this stand in a request line? A NUL is refused in its escaped form
 * too: it would end the path early. */
static bool
target_is_sound(const char *target)
{
	for (const char *p = target; *p != '\0'; p++)
		if (is_control(*p) || *p == ' ' ||
		    (*p == '%' && p[1] == '0' && p[2] == '0'))
			return false;
	return true;
}

struct mews_request *
request_new(struct request_store *store, struct MHD_Connection *connection,
    const char *target)
{
	struct mews_request *request = SLIST_FIRST(&store->free);

	if (request != NULL) {
		assert(request->state == REQUEST_FREE &&
		    "only what is over is in the store");
		SLIST_REMOVE_HEAD(&store->free, entry);
		store->count--;
	} else if ((request = malloc(REQUEST_SIZE)) == NULL)
		return NULL;
	memset(request, 0, sizeof(*request));
	request->state = REQUEST_LINE;
	request->references = 1;
	request->store = store;
	request->connection = connection;
	request->method = "";
	request->path = "";
	request->refused = target_is_sound(target) ? 0 : MHD_HTTP_BAD_REQUEST;
	STAILQ_INIT(&request->headers);
	STAILQ_INIT(&request->params);
	STAILQ_INIT(&request->received);
	arena_open(&request->arena, &store->blocks, request + 1,
	    REQUEST_SIZE - sizeof(*request));
	return request;
}

void
request_hold(struct mews_request *request)
{
	assert(request->references > 0 && "a live request is held");
	request->references++;
}

void
request_release(void *arg)
{
	struct mews_request *request = arg;
	struct request_store *store = request->store;

	assert(request->references > 0 && "a reference is dropped once");
	if (--request->references > 0)
		return;
	arena_close(&request->arena);
	request->state = REQUEST_FREE;
	if (store->count == REQUESTS_KEPT) {
		free(request);
		return;
	}
	SLIST_INSERT_HEAD(&store->free, request, entry);
	store->count++;
}

/* What a look at all headers found. */
struct head {
	struct mews_request *request;
	size_t body_limit;
	unsigned hosts, lengths, codings;
};

static void
refuse(struct mews_request *request, unsigned status)
{
	if (request->refused == 0)
		request->refused = status;
}

/* libmicrohttpd took its value for a number already. */
static void
check_content_length(struct head *head, const char *value)
{
	unsigned long long length = strtoull(value, NULL, 10);

	head->lengths++;
	if (length > head->body_limit)
		refuse(head->request, MHD_HTTP_CONTENT_TOO_LARGE);
}

static enum MHD_Result
check_header(void *arg, enum MHD_ValueKind kind, const char *name,
    size_t name_length, const char *value, size_t value_length)
{
	struct head *head = arg;

	(void)kind;
	if (!is_token(name, name_length))
		refuse(head->request, MHD_HTTP_BAD_REQUEST);
	for (size_t i = 0; i < value_length; i++)
		if (is_control(value[i]) && value[i] != '\t')
			refuse(head->request, MHD_HTTP_BAD_REQUEST);
	switch (name_length) {
	case sizeof("Host") - 1:
		if (strcasecmp(name, "Host") == 0)
			head->hosts++;
		break;
	case sizeof("Content-Length") - 1:
		if (strcasecmp(name, "Content-Length") == 0)
			check_content_length(head, value);
		break;
	case sizeof("Transfer-Encoding") - 1:
		if (strcasecmp(name, "Transfer-Encoding") != 0)
			break;
		head->codings++;
		if (strcasecmp(value, "chunked") != 0)
			refuse(head->request, MHD_HTTP_NOT_IMPLEMENTED);
		break;
	}
	return MHD_YES;
}

/* The path of "http://host/path", the form that proxies are asked in. */
static const char *
path_of(const char *target)
{
	const char *path = target;

	if (strncasecmp(path, "http://", 7) == 0)
		path = strchr(path + 7, '/');
	else if (strncasecmp(path, "https://", 8) == 0)
		path = strchr(path + 8, '/');
	return path == NULL ? "/" : path;
}

void
request_head(struct mews_request *request, const char *method,
    const char *path, const char *version, size_t body_limit)
{
	struct head head = { .request = request, .body_limit = body_limit };

	assert(request->state == REQUEST_LINE && "headers are read once");
	request->state = REQUEST_BODY;
	path = path_of(path);
	request->method = arena_copy(&request->arena, method, strlen(method));
	request->path = arena_copy(&request->arena, path, strlen(path));
	if (request->method == NULL || request->path == NULL) {
		request->method = request->path = "";
		refuse(request, MHD_HTTP_SERVICE_UNAVAILABLE);
	} else if (!is_token(method, strlen(method)))
		refuse(request, MHD_HTTP_BAD_REQUEST);
	else if (strcmp(method, "CONNECT") == 0 || strcmp(method, "TRACE") == 0)
		refuse(request, MHD_HTTP_METHOD_NOT_ALLOWED);
	else if (request->path[0] != '/' &&
	    !(strcmp(request->path, "*") == 0 &&
		strcmp(method, "OPTIONS") == 0))
		refuse(request, MHD_HTTP_BAD_REQUEST);
	MHD_get_connection_values_n(request->connection, MHD_HEADER_KIND,
	    check_header, &head);
	if (head.hosts > 1 ||
	    (head.hosts == 0 && strcmp(version, "HTTP/1.0") != 0) ||
	    head.lengths + head.codings > 1)
		request->refused = MHD_HTTP_BAD_REQUEST;
}

/* Make room for a body of that length. */
static bool
body_reserve(struct mews_request *request, size_t length)
{
	size_t room = request->body_room;
	char *body;

	if (length <= room)
		return true;
	if (room == 0)
		room = BODY_FIRST;
	while (room < length)
		room *= 2;
	if ((body = arena_alloc(&request->arena, room + 1)) == NULL)
		return false;
	if (request->body_length != 0)
		memcpy(body, request->body, request->body_length);
	request->body = body;
	request->body_room = room;
	return true;
}

bool
request_add_body(struct mews_request *request, const char *bytes,
    size_t length, size_t body_limit)
{
	assert(request->state == REQUEST_BODY && "headers come first");
	if (length > body_limit - request->body_length)
		refuse(request, MHD_HTTP_CONTENT_TOO_LARGE);
	else if (request->refused == 0 &&
	    !body_reserve(request, request->body_length + length))
		refuse(request, MHD_HTTP_SERVICE_UNAVAILABLE);
	if (request->refused != 0) {
		request->body_dropped += length;
		return request->body_dropped / BODY_PATIENCE <= body_limit;
	}
	memcpy(request->body + request->body_length, bytes, length);
	request->body_length += length;
	request->body[request->body_length] = '\0';
	return true;
}

const char *
mews_request_method(const struct mews_request *request)
{
	return request->method;
}

const char *
mews_request_path(const struct mews_request *request)
{
	return request->path;
}

static enum MHD_Result
keep_value(void *arg, enum MHD_ValueKind kind, const char *name,
    const char *value)
{
	struct mews_request *request = arg;
	struct arena *arena = &request->arena;
	struct request_header *copy = arena_alloc(arena, sizeof(*copy));

	if (value == NULL)
		value = "";
	if (copy == NULL ||
	    (copy->name = arena_copy(arena, name, strlen(name))) == NULL ||
	    (copy->value = arena_copy(arena, value, strlen(value))) == NULL)
		return MHD_NO;
	if (kind == MHD_HEADER_KIND)
		STAILQ_INSERT_TAIL(&request->received, copy, entry);
	else
		STAILQ_INSERT_TAIL(&request->params, copy, entry);
	return MHD_YES;
}

void
request_keep(struct mews_request *request)
{
	MHD_get_connection_values(request->connection,
	    MHD_GET_ARGUMENT_KIND, keep_value, request);
	MHD_get_connection_values(request->connection, MHD_HEADER_KIND,
	    keep_value, request);
}

/* A value of the connection's, for an application that keeps it. */
static const char *
lend(const struct mews_request *request, const char *value)
{
	/* The application only reads the request, we do not. */
	struct mews_request *own = (struct mews_request *)(uintptr_t)request;
	const char *copy;

	if (value == NULL || value[0] == '\0')
		return value;
	if ((copy = arena_copy(&own->arena, value, strlen(value))) != NULL)
		return copy;
	own->lent = true;
	return value;
}

struct param {
	const char *name;
	const char *value;
};

static enum MHD_Result
find_param(void *arg, enum MHD_ValueKind kind, const char *name,
    const char *value)
{
	struct param *param = arg;

	(void)kind;
	if (strcmp(name, param->name) != 0)
		return MHD_YES;
	param->value = value == NULL ? "" : value;
	return MHD_NO;
}

const char *
mews_request_param(const struct mews_request *request, const char *name)
{
	const struct request_header *kept;
	struct param param = { .name = name };

	if (request->connection != NULL) {
		MHD_get_connection_values(request->connection,
		    MHD_GET_ARGUMENT_KIND, find_param, &param);
		return lend(request, param.value);
	}
	STAILQ_FOREACH(kept, &request->params, entry)
		if (strcmp(kept->name, name) == 0)
			return kept->value;
	return NULL;
}

const char *
mews_request_header(const struct mews_request *request, const char *name)
{
	const struct request_header *kept;

	if (request->connection != NULL)
		return lend(request, MHD_lookup_connection_value(
		    request->connection, MHD_HEADER_KIND, name));
	STAILQ_FOREACH(kept, &request->received, entry)
		if (strcasecmp(kept->name, name) == 0)
			return kept->value;
	return NULL;
}

const char *
mews_request_body(const struct mews_request *request, size_t *length)
{
	*length = request->body_length;
	return request->body == NULL ? "" : request->body;
}

void *
mews_request_alloc(struct mews_request *request, size_t size)
{
	return arena_alloc(&request->arena, size);
}

/* libmicrohttpd looks at no socket while an answer is due, so look here. */
bool
mews_request_gone(const struct mews_request *request)
{
	const union MHD_ConnectionInfo *info;
	char byte;
	ssize_t n;

	if (request->connection == NULL)
		return true;
	info = MHD_get_connection_info(request->connection,
	    MHD_CONNECTION_INFO_CONNECTION_FD);
	n = recv(info->connect_fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
	return n == 0 || (n == -1 && errno != EAGAIN && errno != EINTR);
}
