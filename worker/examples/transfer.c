/*
 * transfer.c - a transaction: move an amount between two accounts, or nothing.
 *
 *	CREATE TABLE account (id int PRIMARY KEY,
 *	    balance bigint NOT NULL CHECK (balance >= 0));
 *	curl -X POST 'http://127.0.0.1:8080/?from=1&to=2&amount=5'
 */
#include <mews/app.h>

struct transfer {
	struct mews_request *request;
	struct mews_lease *lease; /* its end rolls back what is open */
};

static void
answer(struct transfer *t, unsigned status, const char *text)
{
	mews_lease_end(&t->lease);
	mews_reply(t->request, status, "text/plain", text, strlen(text),
	    MEWS_BODY_STATIC);
}

/* LOST: it may have been committed, so look before you try again. */
static void
ended(void *arg, const struct mews_result *result)
{
	struct transfer *t = arg;

	if (mews_result_status(result) == MEWS_OK) {
		answer(t, 200, "moved\n");
		return;
	}
	mews_lease_end(&t->lease);
	mews_reply_failure(t->request, result);
}

static void
moved(void *arg, const struct mews_result *result)
{
	struct transfer *t = arg;

	if (mews_result_status(result) != MEWS_OK)
		ended(t, result);
	else if (strcmp(PQcmdTuples(mews_result_pg(result)), "2") != 0)
		answer(t, 404, "no such accounts\n");
	else if (mews_lease_commit(t->lease, ended, t) != MEWS_OK)
		answer(t, 503, "undone: the connection was lost\n");
}

static void
leased(void *arg, struct mews_lease *lease, const struct mews_result *result)
{
	struct transfer *t = arg;
	const struct mews_request *request = t->request;
	const struct mews_param params[] = {
		mews_param_text(mews_request_param(request, "from")),
		mews_param_text(mews_request_param(request, "to")),
		mews_param_text(mews_request_param(request, "amount")),
	};
	struct mews_query_args args = { .params = params, .param_count = 3,
		.sql = "UPDATE account SET balance = balance + CASE id "
		    "WHEN $1::int THEN -$3::bigint ELSE $3::bigint END "
		    "WHERE id IN ($1::int, $2::int)" };

	if ((t->lease = lease) == NULL)
		ended(t, result);
	else if (mews_lease_transaction(lease, NULL) != MEWS_OK ||
	    mews_lease_query(lease, &args, moved, t, NULL) != MEWS_OK)
		answer(t, 503, "undone: the connection was lost\n");
}

static void
begin(void *state, struct mews_request *request)
{
	struct transfer *t = mews_request_alloc(request, sizeof(*t));

	(void)state;
	if (t == NULL) {
		mews_reply_status(request, MEWS_NOMEM, "out of memory");
		return;
	}
	t->request = request;
	mews_request_lease(request, "write", leased, t);
}

const struct mews_app mews_app = {
	.abi = MEWS_APP_ABI, .name = "transfer", .request = begin
};
