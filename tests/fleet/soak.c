/*
 * soak.c - the application of tests/soak: each way to use a pool is a path,
 * and all that write leave a row by which the ledger can be checked.
 *
 *	/add?id=1	a query that commits by itself
 *	/move?id=1	a transaction on a lease, with a notification
 *	/load?id=1	COPY FROM STDIN, of ROWS rows
 *	/dump		COPY TO STDOUT, of some rows
 *	/read?id=1	a registered statement whose columns change under it
 *	/heard		how many notifications this worker heard, ever
 */
#include <mews/app.h>

#include <stdio.h>

#define ROWS 50 /* rows of a COPY */

struct app {
	struct mews_statement *read;
	struct mews_listener *listener;
	uint64_t heard;
};

struct job {
	struct mews_request *request;
	struct mews_lease *lease;
	const char *id;
	int rows; /* rows that COPY put or gave */
};

static void
hear(void *arg, const struct mews_notification *notification)
{
	struct app *app = arg;

	app->heard += notification->event == MEWS_NOTIFY_MESSAGE;
}

static enum mews_status
start(struct mews_worker *worker, void **state, struct mews_error *error)
{
	static struct app app;
	struct mews_pool *pool = mews_worker_pool(worker);
	enum mews_status status;

	*state = &app;
	status = mews_statement_register(&app.read, pool, "read",
	    "select * from ledger where id = $1", 0, error);
	if (status != MEWS_OK)
		return status;
	return mews_listen(&app.listener, pool, "soak", hear, &app, error);
}

static void
stop(void *state)
{
	struct app *app = state;

	mews_unlisten(&app->listener);
}

static void
answer(void *arg, const struct mews_result *result)
{
	struct mews_request *request = arg;

	if (mews_result_status(result) != MEWS_OK)
		mews_reply_failure(request, result);
	else
		mews_reply(request, 200, "text/plain", "ok\n", 3,
		    MEWS_BODY_STATIC);
}

static void
end(void *arg, const struct mews_result *result)
{
	struct job *job = arg;

	mews_lease_end(&job->lease);
	answer(job->request, result);
}

/* A call in the middle was refused: nothing was committed. */
static void
undone(struct job *job)
{
	mews_lease_end(&job->lease);
	mews_reply_status(job->request, MEWS_UNAVAILABLE, "undone");
}

static void
moved(void *arg, const struct mews_result *result)
{
	struct job *job = arg;

	if (mews_result_status(result) != MEWS_OK)
		end(job, result);
	else if (mews_lease_commit(job->lease, end, job) != MEWS_OK)
		undone(job);
}

static void
move(void *arg, struct mews_lease *lease, const struct mews_result *result)
{
	struct job *job = arg;
	struct mews_param id = mews_param_text(job->id);
	struct mews_query_args args = { .params = &id, .param_count = 1,
		.sql = "with moved as (update account set balance = balance +"
		    " case id when $1::bigint % 10 then -1 else 1 end where id"
		    " in ($1::bigint % 10, ($1::bigint + 1) % 10)), noted as"
		    " (select pg_notify('soak', $1::text))"
		    " insert into ledger (id, way, rows)"
		    " select $1::bigint, 'move', 1 from noted" };

	if ((job->lease = lease) == NULL)
		end(job, result);
	else if (mews_lease_transaction(lease, NULL) != MEWS_OK ||
	    mews_lease_query(lease, &args, moved, job, NULL) != MEWS_OK)
		undone(job);
}

static void
put(void *arg)
{
	struct job *job = arg;
	char	row[100];
	int	length;

	while (job->rows < ROWS) {
		length = snprintf(row, sizeof(row), "%s\t%d\n", job->id,
		    job->rows);
		if (mews_copy_put(job->lease, row, (size_t)length) != MEWS_OK)
			return;
		job->rows++;
	}
	mews_copy_end(job->lease, NULL);
}

static void
load(void *arg, struct mews_lease *lease, const struct mews_result *result)
{
	struct job *job = arg;

	if ((job->lease = lease) == NULL)
		end(job, result);
	else if (mews_copy_in(lease, "copy bulk (batch, n) from stdin", put,
	    end, job, NULL) != MEWS_OK)
		undone(job);
}

static enum mews_flow
see(void *arg, const void *data, size_t length)
{
	struct job *job = arg;

	(void)data;
	(void)length;
	job->rows++;
	return MEWS_FLOW_GO;
}

static void
dump(void *arg, struct mews_lease *lease, const struct mews_result *result)
{
	struct job *job = arg;

	if ((job->lease = lease) == NULL)
		end(job, result);
	else if (mews_copy_out(lease, "copy (select batch, n from bulk order"
	    " by batch desc limit 500) to stdout", see, end, job, NULL) !=
	    MEWS_OK)
		undone(job);
}

static void
borrow(struct mews_request *request, const char *id, const char *group,
    mews_lease_fn *fn)
{
	struct job *job = mews_request_alloc(request, sizeof(*job));

	if (job == NULL) {
		mews_reply_status(request, MEWS_NOMEM, "out of memory");
		return;
	}
	*job = (struct job) { .request = request, .id = id };
	mews_request_lease(request, group, fn, job);
}

static void
tell(struct mews_request *request, uint64_t heard)
{
	char	text[32];
	int	length = snprintf(text, sizeof(text), "%llu\n",
	    (unsigned long long)heard);

	mews_reply(request, 200, "text/plain", text, (size_t)length,
	    MEWS_BODY_COPY);
}

static void
serve(void *state, struct mews_request *request)
{
	const struct app *app = state;
	const char *path = mews_request_path(request),
	    *id = mews_request_param(request, "id");
	struct mews_param param = mews_param_text(id == NULL ? "0" : id);
	struct mews_query_args add = { .params = &param, .param_count = 1,
		.sql = "insert into ledger (id, way, rows)"
		    " values ($1::bigint, 'add', 1)" },
	    read = { .params = &param, .param_count = 1,
		.statement = app->read };

	if (strcmp(path, "/heard") == 0)
		tell(request, app->heard);
	else if (strcmp(path, "/read") == 0)
		mews_request_query(request, "read", &read, answer);
	else if (strcmp(path, "/dump") == 0)
		borrow(request, id, "read", dump);
	else if (id == NULL)
		mews_reply(request, 404, NULL, NULL, 0, MEWS_BODY_STATIC);
	else if (strcmp(path, "/add") == 0)
		mews_request_query(request, "write", &add, answer);
	else if (strcmp(path, "/move") == 0)
		borrow(request, id, "write", move);
	else if (strcmp(path, "/load") == 0)
		borrow(request, id, "write", load);
	else
		mews_reply(request, 404, NULL, NULL, 0, MEWS_BODY_STATIC);
}

const struct mews_app mews_app = {
	.abi = MEWS_APP_ABI, .name = "soak", .start = start,
	.request = serve, .stop = stop
};
