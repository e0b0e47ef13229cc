/*
 * application.c - the application that the worker under test serves.
 *
 *	/now			"now\n", at once
 *	/later			"later\n", after 100 ms
 *	/watched		the same, and counts the clients that left
 *	/left			their number
 *	/kept?name=V		as /watched, and looks whether path, V and
 *				X-Test are still what they were
 *	/were-kept		how often, of clients that left
 *	/never			is not answered before the worker gives it up
 *	/method			the method
 *	/param?name=V		V, or 404 without it
 *	/header			the value of X-Test, or 404 without it
 *	/echo			the body
 *	/big			TEST_BIG bytes
 *	/bad-header		tries to set headers that are not allowed
 *	/bad-status		tries to answer with status 42
 *	/twice			answers twice: a mistake that ends the worker
 */
#include "server.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The application's state, which the worker keeps. */
struct test_state {
	struct mews_pool *pool;
	unsigned left; /* how many clients left before /watched was answered */
	unsigned kept; /* how many requests of /kept were kept when their
			  clients left */
};

/* A request of /watched or /kept. */
struct watched {
	struct test_state *state;
	struct mews_request *request;
	const char *path, *name; /* copies to compare with; NULL: not
				    compared */
};

static void
reply_text(struct mews_request *request, unsigned status, const char *text)
{
	mews_reply(request, status, "text/plain", text, strlen(text),
	    MEWS_BODY_COPY);
}

static void
on_later(void *request, const struct mews_result *result)
{
	/* The time that the request asked for has passed: no connection, or no
	 * endpoint, was there. */
	if (mews_result_status(result) == MEWS_WAITED ||
	    mews_result_status(result) == MEWS_UNAVAILABLE)
		reply_text(request, 200, "later\n");
	else
		mews_reply_failure(request, result);
}

static void
answer_after(struct mews_request *request, uint32_t ms)
{
	struct mews_query_args args = { .sql = "SELECT 1",
		.wait_ms = ms };

	mews_request_query(request, "read", &args, on_later);
}

static bool
was_kept(const struct watched *watched)
{
	const struct mews_request *request = watched->request;
	const char *name = mews_request_param(request, "name");
	const char *test = mews_request_header(request, "x-test");

	return watched->path != NULL && name != NULL && test != NULL &&
	    strcmp(watched->path, "/kept") == 0 &&
	    strcmp(mews_request_path(request), "/kept") == 0 &&
	    strcmp(mews_request_method(request), "GET") == 0 &&
	    strcmp(watched->name, "a b") == 0 && strcmp(name, "a b") == 0 &&
	    strcmp(test, "yes") == 0 &&
	    mews_request_param(request, "other") == NULL;
}

static void
on_watched(void *arg, const struct mews_result *result)
{
	struct watched *watched = arg;

	if (mews_request_gone(watched->request)) {
		watched->state->left++;
		watched->state->kept += was_kept(watched);
	}
	on_later(watched->request, result);
}

static void
answer_watched(struct test_state *state, struct mews_request *request)
{
	struct mews_query_args args = { .sql = "SELECT 1", .wait_ms = 100 };
	struct watched *watched = mews_request_alloc(request,
	    sizeof(*watched));

	*watched = (struct watched){ .state = state, .request = request,
		.path = mews_request_path(request),
		.name = mews_request_param(request, "name") };
	if (mews_query_send(mews_pool_group(state->pool, "read"), &args,
		on_watched, watched, NULL) != MEWS_OK)
		reply_text(request, 503, "not sent\n");
}

static void
answer_number(struct mews_request *request, unsigned number)
{
	char	text[16];

	snprintf(text, sizeof(text), "%u", number);
	reply_text(request, 200, text);
}

static void
answer_big(struct mews_request *request)
{
	char	*body = mews_request_alloc(request, TEST_BIG);

	memset(body, 'x', TEST_BIG);
	mews_reply(request, 200, "text/plain", body, TEST_BIG,
	    MEWS_BODY_REQUEST);
}

static void
answer_or_404(struct mews_request *request, const char *text)
{
	if (text == NULL)
		reply_text(request, 404, "none\n");
	else
		reply_text(request, 200, text);
}

static void
answer_bad_header(struct mews_request *request)
{
	mews_reply_header(request, "X-Split", "a\r\nX-Smuggled: b");
	mews_reply_header(request, "X Blank", "a");
	mews_reply_header(request, "Server", "other");
	mews_reply_header(request, "X-Good", "a");
	reply_text(request, 200, "header\n");
}

static void
test_request(void *state, struct mews_request *request)
{
	static const char now[] = "now\n";
	const struct test_state *test = state;
	const char *path = mews_request_path(request);
	const char *method = mews_request_method(request);
	const char *body;
	size_t	length;

	if (strcmp(path, "/method") == 0)
		reply_text(request, 200, method);
	else if (strcmp(path, "/echo") == 0) {
		body = mews_request_body(request, &length);
		mews_reply(request, 200, "text/plain", body, length,
		    MEWS_BODY_REQUEST);
	} else if (strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0)
		reply_text(request, 405, "GET or HEAD\n");
	else if (strcmp(path, "/now") == 0)
		mews_reply(request, 200, "text/plain", now, sizeof(now) - 1,
		    MEWS_BODY_STATIC);
	else if (strcmp(path, "/later") == 0)
		answer_after(request, 100);
	else if (strcmp(path, "/watched") == 0 || strcmp(path, "/kept") == 0)
		answer_watched(state, request);
	else if (strcmp(path, "/left") == 0)
		answer_number(request, test->left);
	else if (strcmp(path, "/were-kept") == 0)
		answer_number(request, test->kept);
	else if (strcmp(path, "/never") == 0)
		answer_after(request, 3600000);
	else if (strcmp(path, "/param") == 0)
		answer_or_404(request, mews_request_param(request, "name"));
	else if (strcmp(path, "/header") == 0)
		answer_or_404(request, mews_request_header(request, "x-test"));
	else if (strcmp(path, "/big") == 0)
		answer_big(request);
	else if (strcmp(path, "/bad-header") == 0)
		answer_bad_header(request);
	else if (strcmp(path, "/bad-status") == 0)
		reply_text(request, 42, "");
	else {
		if (strcmp(path, "/twice") == 0)
			reply_text(request, 200, "once\n");
		reply_text(request, 404, "no such page\n");
	}
}

static enum mews_status
test_start(struct mews_worker *worker, void **out, struct mews_error *error)
{
	struct test_state *state = calloc(1, sizeof(*state));

	(void)error;
	if (state == NULL)
		return MEWS_NOMEM;
	state->pool = mews_worker_pool(worker);
	*out = state;
	return MEWS_OK;
}

const struct mews_app test_app = {
	.abi = MEWS_APP_ABI, .name = "test",
	.start = test_start, .request = test_request, .stop = free
};
