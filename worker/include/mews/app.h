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
 *
 * Standard output and error never wait for a reader, where they are a pipe, a
 * terminal or the socket of systemd's journal: what has no room fails with
 * EAGAIN, and its text is lost.
 */
#ifndef MEWS_APP_H
#define MEWS_APP_H

#include <mews.h>

#ifdef __cplusplus
extern "C" {
#endif

/* See MEWS_ABI in mews/status.h. */
#define MEWS_APP_ABI	    4
#define MEWS_APP_ABI_OLDEST 1

struct mews_worker;
struct mews_request;
struct mews_options;

struct mews_app {
	uint32_t abi;	  /* MEWS_APP_ABI */
	const char *name; /* one word, for the log */
	/* Set *state for the calls below. Anything but MEWS_OK ends the worker
	 * with @error in the log. May be NULL. */
	enum mews_status (*start)(struct mews_worker *worker, void **state,
	    struct mews_error *error);
	/* Answer, or start what will. Required. */
	void (*request)(void *state, struct mews_request *request);
	/* No request will come, and the pool is closed: what was in flight
	 * ended, leases and statements are gone. May be NULL. */
	void (*stop)(void *state);
	/* Of version 2. The head of a request was read, and a body follows:
	 * return true to be called at once, and to take the body in pieces
	 * (mews_request_read()), which may be longer than max_body_size.
	 * Otherwise request() is called with the whole body. May be NULL. */
	bool (*streams)(void *state, const struct mews_request *request);
	/* Of version 3. For mews check: would start() succeed? No server is
	 * asked. Runs in a process of its own, without privileges. May be
	 * NULL. */
	enum mews_status (*check)(const struct mews_options *options,
	    struct mews_error *error);
	/* Of version 3. The worker begins to wait for descriptors (true), or
	 * ends (false): an interpreter lets its other threads run meanwhile. An
	 * application with this function may block while it answers: for 10 s
	 * after it blocked any worker for 20 ms, a connection is closed after
	 * its answer if another worker is idle. May be NULL. */
	void (*waiting)(void *state, bool waits);
};

/* The one symbol that the shared object exports. */
extern const struct mews_app mews_app __attribute__((visibility("default")));

/* The pool is open from start() until just before stop(). */
struct mews_pool *mews_worker_pool(struct mews_worker *worker);
/* 0, 1, ...: unique among the workers that live. */
unsigned mews_worker_number(const struct mews_worker *worker);
/* Write a line into the worker's log: event=@event text=@text. */
void mews_worker_log(struct mews_worker *worker, enum mews_log_level level,
    const char *event, const char *text);
/* Bytes that a body may have, by max_body_size. A body taken in pieces may have
 * more, unless the application refuses it. */
uint64_t mews_worker_body_limit(const struct mews_worker *worker);
/* The settings of mews.conf; they live as long as the worker. */
const struct mews_options *mews_worker_options(
    const struct mews_worker *worker);
/* "python.module", "python.kind", "python.path" or "python.virtualenv", as
 * written, a path made absolute. NULL: not set, or unknown. */
const char *mews_option(const struct mews_options *options,
    const char *name);

/* A request's parts. Strings live until the reply, and are never NULL unless it
 * says so below. */
const char *mews_request_method(const struct mews_request *request);
/** Decoded, without the query string. */
const char *mews_request_path(const struct mews_request *request);
/** The text behind the '?', not decoded; "": nothing. */
const char *mews_request_query_string(const struct mews_request *request);
/** "HTTP/1.1" or "HTTP/1.0". */
const char *mews_request_protocol(const struct mews_request *request);
/**
 * Write the client's address to @text, of @size bytes; 46 are enough, with the
 * NUL. False: the client has none (a unix socket), or is gone. Asks the kernel.
 */
bool mews_request_peer(const struct mews_request *request, char *text,
    size_t size);
/** The first query parameter of that name, decoded; NULL: there is none. */
const char *mews_request_param(const struct mews_request *request,
    const char *name);
/** A header's value, the name in any case; NULL: there is none. */
const char *mews_request_header(const struct mews_request *request,
    const char *name);
/** The header at @index, from 0 on, as it was sent; false: there is none. */
bool mews_request_header_at(const struct mews_request *request, unsigned index,
    const char **name, const char **value);
/** The body; *length bytes, and a NUL behind them. */
const char *mews_request_body(const struct mews_request *request,
    size_t *length);

/**
 * A piece of a body. @status is
 *
 * MEWS_OK    @length bytes, which live until this returns; 0: that was all.
 * MEWS_LOST the rest will not come: the client left, was too slow, or sent
 *            something invalid. An answer is still due.
 */
typedef void mews_body_fn(void *arg, struct mews_request *request,
    enum mews_status status, const char *bytes, size_t length);
/**
 * Ask for the next piece of the body. If streams() returned true the body is
 * read only as far as it is asked for: the client has to wait. Any other body
 * comes as one piece, if it has any bytes, and then its end.
 *
 * @fn  runs once, on the worker's loop, never inside this call. It may ask for
 *      the next.
 * One piece at a time, and none after the end, or MEWS_LOST.
 */
void mews_request_read(struct mews_request *request, mews_body_fn *fn,
    void *arg);

/** Memory that is freed with the request. NULL: out of memory. */
void *mews_request_alloc(struct mews_request *request, size_t size);
/**
 * True once the client has closed its side: an answer is most likely in vain,
 * but still due. Asks the kernel each time.
 */
bool mews_request_gone(const struct mews_request *request);

/**
 * mews_query_send() for this request: @request is the callback's arg.
 *
 * @group  its name; of version 4: NULL, for the request's transaction.
 * If the query is not accepted the request is answered as by
 * mews_reply_status(), and @fn never runs. If @args has no traceparent the
 * request's own is sent; not so by mews_lease_query().
 */
void mews_request_query(struct mews_request *request, const char *group,
    const struct mews_query_args *args, mews_query_fn *fn);
/**
 * mews_lease_begin() for this request, with the group's acquire_timeout. If it
 * is not accepted the request is answered as by mews_reply_status(), and @fn
 * never runs.
 */
void mews_request_lease(struct mews_request *request, const char *group,
    mews_lease_fn *fn, void *arg);

/**
 * Runs on the loop with the connection of a request's transaction, for
 * savepoints and the like of mews/transaction.h; do not end it.
 */
typedef void mews_begun_fn(struct mews_request *request,
    struct mews_lease *lease);
/**
 * Begin the request's transaction: mews_lease_begin(), with the group's
 * acquire_timeout, and mews_lease_transaction(). It ends with the answer, which
 * rolls back what was not committed. Of version 4.
 *
 * @options  copied; NULL: the session's defaults.
 * @fn       runs if there is a connection; else the request is answered as by
 *           mews_reply_failure().
 */
void mews_request_begin(struct mews_request *request, const char *group,
    const struct mews_transaction *options, mews_begun_fn *fn);
/**
 * mews_lease_commit() for the request's transaction: @request is the callback's
 * arg. If it is not accepted the request is answered, and @fn never runs. Of
 * version 4.
 */
void mews_request_commit(struct mews_request *request, mews_query_fn *fn);

/* The owner of the bytes of a reply's body. */
enum mews_body {
	MEWS_BODY_COPY,	  /* copied now */
	MEWS_BODY_STATIC, /* never changes, never freed */
	MEWS_BODY_REQUEST /* from mews_request_alloc() of this request */
};

/**
 * Add a header to the coming reply. Server, Date, Content-Length, Connection
 * and Mews-Worker are the worker's own. Name and value are copied; a header
 * with an invalid name, or a control character other than a tab in its value,
 * is dropped and logged.
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

/** mews_reply() with text, which is NUL-terminated, in UTF-8 and copied. Of
 * version 4. */
void mews_reply_text(struct mews_request *request, unsigned status,
    const char *text);

#define MEWS_LENGTH_UNKNOWN UINT64_MAX

/**
 * Begin an answer in pieces; mews_reply_end() ends it, and the request.
 *
 * @length  bytes of all pieces, or MEWS_LENGTH_UNKNOWN: they are sent in
 *          chunks, or to a client of HTTP/1.0 until the connection is closed.
 * The connection is closed after an answer that was begun before the body of
 * the request was read.
 */
void mews_reply_begin(struct mews_request *request, unsigned status,
    const char *type, uint64_t length);
/**
 * Send a piece; it is copied.
 *
 * Returns how many bytes were taken, 0 to @length: little more is kept than the
 * client reads. If the client is gone, all are taken and dropped.
 */
size_t mews_reply_write(struct mews_request *request, const void *bytes,
    size_t length);
typedef void mews_reply_fn(void *arg, struct mews_request *request);
/**
 * Wait until there is room, or the client is gone.
 *
 * @fn  runs once, on the worker's loop, never inside this call.
 */
void mews_reply_wait(struct mews_request *request, mews_reply_fn *fn,
    void *arg);
/**
 * End the answer: do not touch the request, or memory from it, again. Must not
 * be called while a mews_reply_wait() is under way.
 *
 * @complete  false: break off, so that the client sees that it is not whole.
 */
void mews_reply_end(struct mews_request *request, bool complete);

/**
 * Answer for a query that was not accepted (mews_query_send(),
 * mews_group_message()). The client is told the status' name; the message,
 * which may hold rows, hosts and users, goes into the log, and to the client
 * only with expose_errors in mews.conf.
 *
 * 504 for MEWS_TIMEOUT, else 503, with Retry-After if the query certainly
 * changed nothing (mews_status_undone()).
 */
void mews_reply_status(struct mews_request *request, enum mews_status status,
    const char *message);
/**
 * As mews_reply_status(), for a query that failed, and mews_reply_endpoint().
 * 400 for a SQLSTATE of class 22, an invalid value; 409 for class 23, a
 * violated constraint.
 */
void mews_reply_failure(struct mews_request *request,
    const struct mews_result *result);

#ifdef __cplusplus
}
#endif

#endif
