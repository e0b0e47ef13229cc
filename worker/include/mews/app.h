/*
 * mews/app.h - the application that mews run serves.
 *
 * An application is a shared object that exports one object:
 *
 *	const struct mews_app mews_app = {
 *		.abi = MEWS_APP_ABI, .name = "hello",
 *		.start = hello_start, .request = hello_request,
 *	};
 *
 * Everything runs on the worker's one thread: start() once in each worker
 * before its first request, request() for each, stop() once at the end. An
 * answer may be given inside request() or later, from a query's callback;
 * each request needs exactly one mews_reply().
 */
#ifndef MEWS_APP_H
#define MEWS_APP_H

#include <mews.h>

#ifdef __cplusplus
extern "C" {
#endif

#define MEWS_APP_ABI 1

struct mews_worker;
struct mews_request;

struct mews_app {
	uint32_t abi;	  /* MEWS_APP_ABI */
	const char *name; /* one word, for the log */
	/* Set *state for the calls below. Anything but MEWS_OK ends the
	 * worker with @error in the log. May be NULL. */
	enum mews_status (*start)(struct mews_worker *worker, void **state,
	    struct mews_error *error);
	/* Answer, or start what will. Required. */
	void (*request)(void *state, struct mews_request *request);
	/* No request will come, and the pool is closed: what was in flight
	 * ended, leases and statements are gone. May be NULL. */
	void (*stop)(void *state);
};

/* What the shared object exports, whatever else it hides. */
extern const struct mews_app mews_app __attribute__((visibility("default")));

/* The pool is open from start() until just before stop(). */
struct mews_pool *mews_worker_pool(struct mews_worker *worker);
/* 0, 1, ...: unique among the workers that live. */
unsigned mews_worker_number(const struct mews_worker *worker);

/* What was asked. Strings live until the reply, and are never NULL but where
 * it says so. */
const char *mews_request_method(const struct mews_request *request);
/** Decoded, without the query string. */
const char *mews_request_path(const struct mews_request *request);
/** The first query parameter of that name, decoded; NULL: there is none. */
const char *mews_request_param(const struct mews_request *request,
    const char *name);
/** A header's value, the name in any case; NULL: there is none. */
const char *mews_request_header(const struct mews_request *request,
    const char *name);
/** The body; *length bytes, and a NUL behind them. */
const char *mews_request_body(const struct mews_request *request,
    size_t *length);
/** Memory that is freed with the request. NULL: out of memory. */
void *mews_request_alloc(struct mews_request *request, size_t size);
/**
 * True once the client has closed its side, so an answer is most likely in
 * vain; it is still due. Asks the kernel each time.
 */
bool mews_request_gone(const struct mews_request *request);

/**
 * mews_query_send() for this request: @request is the callback's arg.
 *
 * @group  its name.
 * If the query is not accepted the request is answered as by
 * mews_reply_status(), and @fn never runs.
 */
void mews_request_query(struct mews_request *request, const char *group,
    const struct mews_query_args *args, mews_query_fn *fn);

/* Who owns the bytes of a reply's body. */
enum mews_body {
	MEWS_BODY_COPY,	  /* copied now */
	MEWS_BODY_STATIC, /* never changes, never freed */
	MEWS_BODY_REQUEST /* from mews_request_alloc() of this request */
};

/**
 * Add a header to the coming reply. Server, Date, Content-Length, Connection
 * and Mews-Worker are the worker's own. Name and value are copied; a value
 * with a CR or LF is dropped and logged.
 */
void mews_reply_header(struct mews_request *request, const char *name,
    const char *value);

/** Name in Mews-Endpoint the server that answered @result. */
void mews_reply_endpoint(struct mews_request *request,
    const struct mews_result *result);

/**
 * Answer. The request ends: do not touch it, or memory from it, again.
 *
 * @status  200 to 599, as in HTTP.
 * @type    Content-Type; NULL where there is no body.
 */
void mews_reply(struct mews_request *request, unsigned status,
    const char *type, const void *body, size_t length, enum mews_body owner);

/**
 * Answer 503 with the status' name and the message as the body: for a query
 * that was not accepted (mews_query_send(), mews_group_message()).
 */
void mews_reply_status(struct mews_request *request, enum mews_status status,
    const char *message);
/** The same for a query that failed, and mews_reply_endpoint(). */
void mews_reply_failure(struct mews_request *request,
    const struct mews_result *result);

#ifdef __cplusplus
}
#endif

#endif
