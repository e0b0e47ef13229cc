/*
 * request.h - one HTTP request, from its first line to its answer.
 *
 * The front makes it when libmicrohttpd has read the request line, the
 * application holds it between request() and mews_reply(), libmicrohttpd may
 * still be sending memory of it after that. Each of these is a reference;
 * the last one to go gives the structure back to the store.
 */
#ifndef REQUEST_H
#define REQUEST_H

#include "arena.h"

#include <microhttpd.h>
#include <mews/app.h>
#include <sys/queue.h>

struct reply_desk;

/* How a request waits that the application did not answer at once. */
enum request_wait {
	WAIT_NONE,	/* it does not */
	WAIT_HELD,	/* libmicrohttpd asks for its answer again and again */
	WAIT_SUSPENDED, /* its connection is suspended */
	WAIT_KINDS
};

enum request_state {
	REQUEST_FREE,	  /* in the store */
	REQUEST_LINE,	  /* its first line was read */
	REQUEST_BODY,	  /* its headers were */
	REQUEST_ASKED,	  /* whole; an answer is due */
	REQUEST_ANSWERED, /* mews_reply() was called */
	REQUEST_STATES
};

/* A header that the application added to its answer; or a name and a value
 * that came with the request. */
struct request_header {
	STAILQ_ENTRY(request_header) entry;
	const char *name;
	const char *value;
};

struct mews_request {
	SLIST_ENTRY(mews_request) entry; /* REQUEST_FREE only */
	enum request_state state;
	unsigned references;
	struct request_store *store;
	struct reply_desk *desk;
	struct MHD_Connection *connection; /* NULL: closed */
	const char *method;
	const char *path;
	unsigned refused; /* the status of an answer of our own; 0: none */
	bool inside;	  /* its answer, if it came now, could go at once */
	bool lent;	  /* the application has bytes of the connection's */
	enum request_wait wait;
	unsigned asked;	  /* WAIT_HELD: so often */
	struct MHD_Response *response; /* to be queued when asked; or NULL */
	unsigned status;	       /* of that */

	char *body;
	size_t body_length;
	size_t body_room; /* bytes at body, without those for the NUL */
	size_t body_dropped;

	STAILQ_HEAD(request_headers, request_header) headers;
	/* Copies, once the connection is closed before the answer. */
	struct request_headers params, received;
	char endpoint[MEWS_NAME_MAX + 1]; /* "": no Mews-Endpoint */

	struct arena arena;
	/* The arena's first bytes follow: most requests need no more. */
};

/* Requests that are over, kept for the next ones; one store per worker. */
struct request_store {
	SLIST_HEAD(, mews_request) free;
	unsigned count;
	struct arena_store blocks;
};

void request_store_init(struct request_store *store);
void request_store_free(struct request_store *store);

/**
 * A request in state REQUEST_LINE with one reference.
 *
 * @target  as it stands in the request line.
 * NULL: out of memory.
 */
struct mews_request *request_new(struct request_store *store,
    struct MHD_Connection *connection, const char *target);
void request_hold(struct mews_request *request);
/** Drop a reference; @request is a struct mews_request. */
void request_release(void *request);

/** The headers were read: judge them, and set refused if they are bad. */
void request_head(struct mews_request *request, const char *method,
    const char *path, const char *version, size_t body_limit);
/** The connection closes, and somebody may still ask: copy what was sent. */
void request_keep(struct mews_request *request);
/**
 * More of the body. False: it is not worth waiting for its end to say that
 * it is too long.
 */
bool request_add_body(struct mews_request *request, const char *bytes,
    size_t length, size_t body_limit);

#endif
