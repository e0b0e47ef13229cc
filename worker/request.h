/*
 * request.h - one request and its answer, from its head to the last byte.
 *
 * The front makes it when a head was read. The application uses it from
 * request() to mews_reply(), the client until the answer was sent: the later of
 * the two gives it back to the store.
 */
#ifndef WORKER_REQUEST_H
#define WORKER_REQUEST_H

#include "arena.h"
#include "http/server.h"

#include <mews/app.h>
#include <stdalign.h>
#include <sys/queue.h>

struct reply_desk;

enum request_state {
	REQUEST_FREE,	 /* in the store */
	REQUEST_READING, /* its head was read, its body is being */
	REQUEST_ASKED,	 /* the application has it; an answer is due */
	REQUEST_REPLYING, /* the answer has begun */
	REQUEST_ANSWERED /* its answer was given, or will be by nobody */
};

/* A header, or a parameter. */
struct request_field {
	const char *name;
	const char *value;
};

/* The fields that an answer touches come first: a request that waited for its
 * query has left the processor's cache meanwhile. */
struct mews_request {
	alignas(max_align_t) /* as what the arena behind it hands out */
	SLIST_ENTRY(mews_request) entry; /* REQUEST_FREE only */
	enum request_state state;
	bool is_old; /* HTTP/1.0 */
	bool split;  /* the query has become params */
	bool is_due;
	struct request_store *store;
	struct reply_desk *desk;
	struct http_client *client; /* NULL: gone, or all was sent */
	double asked; /* the loop's time when its head was read */
	struct http_headers headers; /* of the answer */
	struct http_header endpoint; /* Mews-Endpoint, where value is set */
	struct arena arena;

	/* Of its transaction, where it has one; see failure.c. */
	struct mews_lease *lease;
	struct mews_group *group;

	/* Of a body, and of an answer, in pieces. */
	mews_body_fn *on_body; /* NULL: no piece is asked for */
	mews_reply_fn *on_room; /* NULL: nobody waits for room */
	void *on_body_arg;
	void *on_room_arg;
	bool streamed;
	bool handed_out; /* a body that was kept, as if in pieces */
	TAILQ_ENTRY(mews_request) due; /* where is_due */

	const char *method;
	const char *path;
	const char *query; /* not decoded; NULL: none */
	const struct request_field *params, *fields;
	unsigned param_count, field_count;

	uint64_t announced; /* bytes of the body, by Content-Length */
	char *body;
	size_t body_length;
	size_t body_room; /* bytes at body, without the one for the NUL */
	/* The arena's first bytes follow: most requests need no more. */
};

/* Requests that are over, kept for the next ones; one store per worker. */
struct request_store {
	SLIST_HEAD(, mews_request) free;
	unsigned count;
	struct keep keep;
	struct arena_store blocks;
};

void request_store_init(struct request_store *store);
/** About once a second: free what was not needed lately. */
void request_store_trim(struct request_store *store);
void request_store_free(struct request_store *store);

/** A request in state REQUEST_READING, with a copy of its head. NULL: out of
 * memory. */
struct mews_request *request_new(struct request_store *store,
    const struct http_head *head, const char *bytes);
/** End the request's transaction, if it has one: what is open is rolled
 * back. */
void request_end_lease(struct mews_request *request);
/** Give it back to its store. */
void request_free(struct mews_request *request);

/** More of the body. False: out of memory. */
bool request_add_body(struct mews_request *request, const char *bytes,
    size_t length);

#endif
