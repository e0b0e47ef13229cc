/*
 * failure.c - queries and leases for a request, and its answer if they fail.
 */
#include "failure.h"
#include "doing.h"
#include "reply.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#define RETRY_AFTER_S "1" /* servers and queues change within a second */

unsigned
failure_status(enum mews_status status, const char *sqlstate)
{
	if (status == MEWS_TIMEOUT)
		return 504;
	if (status == MEWS_SQL && strncmp(sqlstate, "22", 2) == 0)
		return 400;
	if (status == MEWS_SQL && strncmp(sqlstate, "23", 2) == 0)
		return 409;
	return 503;
}

/* Log a failure, except the client's own mistakes. */
static void
tell(struct mews_request *request, unsigned http, enum mews_status status,
    const char *sqlstate, const char *message)
{
	struct reply_desk *desk = request->desk;
	char	path[100], text[600];
	unsigned suppressed;

	if (!rate_take(&desk->failures, &suppressed))
		return;
	log_write(desk->log, http < 500 ? MEWS_LOG_INFO : MEWS_LOG_WARNING,
	    "request_failed", "http=%u status=%s sqlstate=%s endpoint=%s "
	    "path=%s suppressed=%u error=%s", http, mews_status_name(status),
	    sqlstate, request->endpoint.value == NULL ?
	    "" : request->endpoint.value,
	    logfmt_value(path, sizeof(path), request->path), suppressed,
	    logfmt_value(text, sizeof(text), message));
}

static void
fail(struct mews_request *request, enum mews_status status,
    const char *sqlstate, const char *message)
{
	unsigned http = failure_status(status, sqlstate);
	char	text[600];
	int	length;

	tell(request, http, status, sqlstate, message);
	/* Retry-After only if the query certainly changed nothing. */
	if (http == 503 && mews_status_undone(status))
		mews_reply_header(request, "Retry-After", RETRY_AFTER_S);
	if (!request->desk->expose_errors)
		message = "";
	length = snprintf(text, sizeof(text), "%s%s%.500s\n",
	    mews_status_name(status), message[0] == '\0' ? "" : ": ", message);
	mews_reply(request, http, "text/plain; charset=utf-8", text,
	    (size_t)length, MEWS_BODY_COPY);
}

void
mews_reply_status(struct mews_request *request, enum mews_status status,
    const char *message)
{
	fail(request, status, "", message);
}

void
mews_reply_failure(struct mews_request *request,
    const struct mews_result *result)
{
	mews_reply_endpoint(request, result);
	fail(request, mews_result_status(result),
	    mews_result_sqlstate(result), mews_result_message(result));
}

/* The group of that name; NULL: there is none, and the request is answered. */
static struct mews_group *
find_group(struct mews_request *request, const char *name)
{
	struct mews_group *group = mews_pool_group(request->desk->pool, name);

	if (group == NULL)
		mews_reply_status(request, MEWS_INVALID,
		    "no group of that name is configured");
	return group;
}

/* Answer a request whose transaction's query was not accepted. */
static void
answer_refusal(struct mews_request *request, enum mews_status status)
{
	if (status != MEWS_OK)
		mews_reply_status(request, status,
		    mews_group_message(request->group));
}

/* Send a query in the transaction of @request. */
static void
query_inside(struct mews_request *request,
    const struct mews_query_args *args, mews_query_fn *fn)
{
	assert(request->lease != NULL && "mews_request_begin() comes first");
	answer_refusal(request, mews_lease_query(request->lease, args, fn,
	    request, NULL));
}

void
mews_request_query(struct mews_request *request, const char *name,
    const struct mews_query_args *args, mews_query_fn *fn)
{
	struct mews_query_args traced = *args;
	struct mews_group *group;
	enum mews_status status;

	if (args->traceparent == NULL)
		traced.traceparent = mews_request_header(request,
		    "traceparent");
	if (args->statement != NULL)
		doing_statement(mews_statement_name(args->statement));
	else if (args->sql != NULL)
		doing_statement(args->sql);
	if (name == NULL) {
		query_inside(request, &traced, fn);
		return;
	}
	if ((group = find_group(request, name)) == NULL)
		return;
	status = mews_query_send(group, &traced, fn, request, NULL);
	if (status != MEWS_OK)
		mews_reply_status(request, status, mews_group_message(group));
}

void
mews_request_lease(struct mews_request *request, const char *name,
    mews_lease_fn *fn, void *arg)
{
	struct mews_group *group = find_group(request, name);
	enum mews_status status;

	if (group == NULL)
		return;
	status = mews_lease_begin(group, 0, fn, arg, NULL);
	if (status != MEWS_OK)
		mews_reply_status(request, status, mews_group_message(group));
}

/* A request that waits for its connection. */
struct begun {
	struct mews_request *request;
	const struct mews_transaction *options; /* NULL: none were given */
	struct mews_transaction copy;
	mews_begun_fn *fn;
};

static void
on_lease(void *arg, struct mews_lease *lease, const struct mews_result *result)
{
	struct begun *begun = arg;
	struct mews_request *request = begun->request;
	enum mews_status status;

	if (lease == NULL) {
		mews_reply_failure(request, result);
		return;
	}
	request->lease = lease;
	status = mews_lease_transaction(lease, begun->options);
	if (status == MEWS_OK)
		begun->fn(request, lease);
	else
		answer_refusal(request, status);
}

void
mews_request_begin(struct mews_request *request, const char *name,
    const struct mews_transaction *options, mews_begun_fn *fn)
{
	struct begun *begun;

	assert(request->lease == NULL && "a request has one transaction");
	if ((request->group = find_group(request, name)) == NULL)
		return;
	if ((begun = mews_request_alloc(request, sizeof(*begun))) == NULL) {
		mews_reply_status(request, MEWS_NOMEM, "out of memory");
		return;
	}
	*begun = (struct begun) { .request = request, .fn = fn };
	if (options != NULL) {
		begun->copy = *options;
		begun->options = &begun->copy;
	}
	answer_refusal(request, mews_lease_begin(request->group, 0, on_lease,
	    begun, NULL));
}

void
mews_request_commit(struct mews_request *request, mews_query_fn *fn)
{
	assert(request->lease != NULL && "mews_request_begin() comes first");
	answer_refusal(request, mews_lease_commit(request->lease, fn,
	    request));
}
