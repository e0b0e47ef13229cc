/*
 * sleeper.c - an application whose requests run long statements.
 *
 *	/sleep	an update that sleeps for ten minutes, with its locks
 *	/lease	the same in a transaction on a lease
 *	/nap	a statement of 700 ms
 *	/work	a transaction of that and a commit
 *	/rest?group=G&ms=N	a statement of N ms in the group
 *	/trade?group=G&ms=N	a transaction of that and a commit
 *	/...	answers at once
 */
#include <mews/app.h>

#include <stdlib.h>
#include <string.h>

static struct mews_group *group;
static struct mews_statement *statement;
static struct mews_statement *nap;
static struct mews_lease *held; /* by the only request for /lease */

static enum mews_status
sleeper_start(struct mews_worker *worker, void **state,
    struct mews_error *error)
{
	struct mews_pool *pool = mews_worker_pool(worker);

	*state = NULL;
	group = mews_pool_group(pool, "write");
	if (mews_statement_register(&nap, pool, "nap",
		"select pg_sleep(0.7) /* nap */", 0, error) != MEWS_OK)
		return error->status;
	return mews_statement_register(&statement, pool, "sleep",
	    "select pg_sleep(600) /* left behind */", 0, error);
}

static void
on_answer(void *arg, const struct mews_result *result)
{
	mews_reply_failure(arg, result);
}

static void
on_lease_answer(void *arg, const struct mews_result *result)
{
	mews_reply_failure(arg, result);
	mews_lease_end(&held);
}

static void
on_lease(void *arg, struct mews_lease *lease, const struct mews_result *result)
{
	struct mews_query_args args = { .statement = statement };

	held = lease;
	if (lease == NULL)
		mews_reply_failure(arg, result);
	else
		mews_lease_query(lease, &args, on_lease_answer, arg, NULL);
}

static void
reply(struct mews_request *request, const struct mews_result *result)
{
	if (mews_result_status(result) == MEWS_OK)
		mews_reply(request, 200, "text/plain", "ok\n", 3,
		    MEWS_BODY_STATIC);
	else
		mews_reply_failure(request, result);
}

static void
on_nap(void *arg, const struct mews_result *result)
{
	reply(arg, result);
}

/* A request that holds a lease. */
struct work {
	struct mews_request *request;
	struct mews_lease *lease;
};

static void
on_commit(void *arg, const struct mews_result *result)
{
	struct work *work = arg;

	reply(work->request, result);
	mews_lease_end(&work->lease);
	free(work);
}

static void
on_worked(void *arg, const struct mews_result *result)
{
	struct work *work = arg;

	if (mews_result_status(result) != MEWS_OK ||
	    mews_lease_commit(work->lease, on_commit, work) != MEWS_OK)
		on_commit(work, result);
}

static void
on_work(void *arg, struct mews_lease *lease, const struct mews_result *result)
{
	struct mews_query_args args = { .statement = nap };
	struct work *work = arg;

	work->lease = lease;
	if (lease == NULL ||
	    mews_lease_transaction(lease, NULL) != MEWS_OK ||
	    mews_lease_query(lease, &args, on_worked, work, NULL) != MEWS_OK)
		on_commit(work, result);
}

static void
begin_work(struct mews_request *request)
{
	struct work *work = malloc(sizeof(*work));

	*work = (struct work) { .request = request };
	mews_lease_begin(group, 0, on_work, work, NULL);
}

static void
query_rest(struct mews_request *request, const char *group_name)
{
	const struct mews_param ms =
	    mews_param_text(mews_request_param(request, "ms"));
	struct mews_query_args args = { .params = &ms, .param_count = 1,
		.sql = "select pg_sleep($1::float8 / 1000) /* rest */" };

	mews_request_query(request, group_name, &args, on_nap);
}

static void
on_traded(void *arg, const struct mews_result *result)
{
	if (mews_result_status(result) == MEWS_OK)
		mews_request_commit(arg, on_nap);
	else
		mews_reply_failure(arg, result);
}

static void
on_begun(struct mews_request *request, struct mews_lease *lease)
{
	const struct mews_param ms =
	    mews_param_text(mews_request_param(request, "ms"));
	struct mews_query_args args = { .params = &ms, .param_count = 1,
		.sql = "select pg_sleep($1::float8 / 1000) /* trade */" };

	(void)lease;
	mews_request_query(request, NULL, &args, on_traded);
}

static void
sleeper_request(void *state, struct mews_request *request)
{
	const char *path = mews_request_path(request);
	struct mews_query_args args = { .statement = statement };

	(void)state;
	if (strcmp(path, "/nap") == 0)
		mews_request_query(request, "write", &(struct mews_query_args) {
		    .statement = nap }, on_nap);
	else if (strcmp(path, "/rest") == 0)
		query_rest(request, mews_request_param(request, "group"));
	else if (strcmp(path, "/trade") == 0)
		mews_request_begin(request,
		    mews_request_param(request, "group"), NULL, on_begun);
	else if (strcmp(path, "/work") == 0)
		begin_work(request);
	else if (strcmp(path, "/sleep") == 0)
		mews_query_send(group, &args, on_answer, request, NULL);
	else if (strcmp(path, "/lease") == 0)
		mews_lease_begin(group, 0, on_lease, request, NULL);
	else
		mews_reply(request, 200, "text/plain", "ok\n", 3,
		    MEWS_BODY_STATIC);
}

extern const struct mews_app mews_app;
const struct mews_app mews_app = {
	.abi = MEWS_APP_ABI,
	.name = "sleeper",
	.start = sleeper_start,
	.request = sleeper_request,
};
