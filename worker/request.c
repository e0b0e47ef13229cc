/*
 * request.c - a request's text: head, parameters and body.
 *
 * The head is copied to the request's memory, since the client may leave
 * before the answer, and each text in it is given its NUL there.
 */
#include "request.h"

#include <assert.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define REQUEST_SIZE 4096 /* with the arena's first bytes */
#define REQUESTS_LEAST 64 /* that are kept, in use or not */
#define BODY_FIRST 2048 /* bytes for a body in chunks, doubled as it grows */

void
request_store_init(struct request_store *store)
{
	memset(store, 0, sizeof(*store));
	SLIST_INIT(&store->free);
}

static void
free_one(struct request_store *store)
{
	struct mews_request *request = SLIST_FIRST(&store->free);

	SLIST_REMOVE_HEAD(&store->free, entry);
	store->count--;
	free(request);
}

void
request_store_free(struct request_store *store)
{
	while (store->count > 0)
		free_one(store);
	arena_store_free(&store->blocks);
}

void
request_store_trim(struct request_store *store)
{
	unsigned kept = keep_look(&store->keep, REQUESTS_LEAST);

	while (store->count > kept)
		free_one(store);
	arena_store_trim(&store->blocks);
}

/* Decode escapes in place; @plus: a '+' is a blank. An invalid escape stands
 * for itself. */
static void
decode(char *text, bool plus)
{
	char	*to = text;

	for (; *text != '\0'; text++) {
		*to = *text;
		if (plus && *text == '+')
			*to = ' ';
		else if (*text == '%' && http_hex(text[1]) != -1 &&
		    http_hex(text[2]) != -1) {
			*to = (char)(http_hex(text[1]) << 4 |
			    http_hex(text[2]));
			text += 2;
		}
		to++;
	}
	*to = '\0';
}

/* The text of a span in the copy. The separator after it becomes a NUL. */
static char *
text_of(char *copy, struct http_span span)
{
	copy[span.at + span.length] = '\0';
	return copy + span.at;
}

/* Is it Host, which an absolute target overrules? */
static bool
is_overruled(const struct http_head *head, const char *name)
{
	return head->absolute && strcasecmp(name, "Host") == 0;
}

static bool
copy_head(struct mews_request *request, const struct http_head *head,
    const char *bytes)
{
	struct arena *arena = &request->arena;
	struct request_field *fields;
	const char *host = "";
	char	*copy, *path;

	copy = arena_alloc(arena, head->length);
	fields = arena_alloc(arena, head->field_count * sizeof(*fields));
	if (copy == NULL || fields == NULL)
		return false;
	memcpy(copy, bytes, head->length);
	if (head->absolute &&
	    (host = arena_copy(arena, bytes + head->host.at,
		head->host.length)) == NULL)
		return false;
	for (unsigned i = 0; i < head->field_count; i++) {
		fields[i].name = text_of(copy, head->fields[i].name);
		fields[i].value = is_overruled(head, fields[i].name) ?
		    host : text_of(copy, head->fields[i].value);
	}
	request->fields = fields;
	request->field_count = head->field_count;
	request->method = text_of(copy, head->method);
	request->is_old = head->minor == 0;
	request->query = head->query.length == 0 ?
	    NULL : text_of(copy, head->query);
	if (head->path.length == 0) {
		request->path = "/";
		return true;
	}
	path = text_of(copy, head->path);
	if (memchr(path, '%', head->path.length) != NULL)
		decode(path, false);
	request->path = path;
	return true;
}

struct mews_request *
request_new(struct request_store *store, const struct http_head *head,
    const char *bytes)
{
	struct mews_request *request = SLIST_FIRST(&store->free);

	if (request != NULL) {
		assert(request->state == REQUEST_FREE &&
		    "a stored request is free");
		SLIST_REMOVE_HEAD(&store->free, entry);
		store->count--;
	} else if ((request = malloc(REQUEST_SIZE)) == NULL)
		return NULL;
	keep_lend(&store->keep);
	memset(request, 0, sizeof(*request));
	request->state = REQUEST_READING;
	request->store = store;
	request->announced = head->content_length;
	STAILQ_INIT(&request->headers);
	arena_open(&request->arena, &store->blocks, request + 1,
	    REQUEST_SIZE - sizeof(*request));
	if (!copy_head(request, head, bytes)) {
		request_free(request);
		return NULL;
	}
	return request;
}

void
request_end_lease(struct mews_request *request)
{
	if (request->lease != NULL)
		mews_lease_end(&request->lease);
}

void
request_free(struct mews_request *request)
{
	struct request_store *store = request->store;

	assert(request->state != REQUEST_FREE && "a request ends once");
	request_end_lease(request);
	arena_close(&request->arena);
	request->state = REQUEST_FREE;
	keep_take_back(&store->keep);
	SLIST_INSERT_HEAD(&store->free, request, entry);
	store->count++;
}

/* Make room for a body of that length. */
static bool
body_reserve(struct mews_request *request, size_t length)
{
	size_t room = request->body_room;
	char *body;

	if (length <= room)
		return true;
	if (request->announced > 0)
		room = (size_t)request->announced;
	else if (room == 0)
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
    size_t length)
{
	assert(request->state == REQUEST_READING && "a body comes before");
	if (!body_reserve(request, request->body_length + length))
		return false;
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

/* Decode the query's pairs in a copy. Without memory there are none. */
static void
split_query(struct mews_request *request)
{
	struct request_field *params;
	char	*pair, *value, *left;
	size_t	count = 1;

	request->split = true;
	for (const char *p = request->query; *p != '\0'; p++)
		count += *p == '&';
	params = arena_alloc(&request->arena, count * sizeof(*params));
	left = arena_copy(&request->arena, request->query,
	    strlen(request->query));
	if (params == NULL || left == NULL)
		return;
	request->params = params;
	while ((pair = strsep(&left, "&")) != NULL) {
		value = pair;
		strsep(&value, "=");
		decode(pair, true);
		if (value != NULL)
			decode(value, true);
		params->name = pair;
		params->value = value == NULL ? "" : value;
		params++;
		request->param_count++;
	}
}

const char *
mews_request_param(const struct mews_request *request, const char *name)
{
	/* Casts const away: parameters are split when they are first asked
	 * for. */
	struct mews_request *own = (struct mews_request *)(uintptr_t)request;

	if (own->query != NULL && !own->split)
		split_query(own);
	for (unsigned i = 0; i < own->param_count; i++)
		if (strcmp(own->params[i].name, name) == 0)
			return own->params[i].value;
	return NULL;
}

const char *
mews_request_header(const struct mews_request *request, const char *name)
{
	for (unsigned i = 0; i < request->field_count; i++)
		if (strcasecmp(request->fields[i].name, name) == 0)
			return request->fields[i].value;
	return NULL;
}

const char *
mews_request_query_string(const struct mews_request *request)
{
	return request->query == NULL ? "" : request->query;
}

const char *
mews_request_protocol(const struct mews_request *request)
{
	return request->is_old ? "HTTP/1.0" : "HTTP/1.1";
}

bool
mews_request_header_at(const struct mews_request *request, unsigned index,
    const char **name, const char **value)
{
	if (index >= request->field_count)
		return false;
	*name = request->fields[index].name;
	*value = request->fields[index].value;
	return true;
}

bool
mews_request_peer(const struct mews_request *request, char *text,
    size_t size)
{
	struct sockaddr_storage address;
	socklen_t length = sizeof(address);

	return request->client != NULL &&
	    http_client_peer(request->client, (struct sockaddr *)&address,
		&length) &&
	    (address.ss_family == AF_INET || address.ss_family == AF_INET6) &&
	    getnameinfo((struct sockaddr *)&address, length, text,
		(socklen_t)size, NULL, 0, NI_NUMERICHOST) == 0;
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

bool
mews_request_gone(const struct mews_request *request)
{
	return request->client == NULL ||
	    http_client_is_gone(request->client);
}
