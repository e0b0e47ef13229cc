/*
 * transfer.c - a transaction: move an amount between two accounts, or nothing.
 *
 *	CREATE TABLE account (id int PRIMARY KEY,
 *	    balance bigint NOT NULL CHECK (balance >= 0));
 *	curl -X POST 'http://127.0.0.1:8080/?from=1&to=2&amount=5'
 */
#include <mews/app.h>

/* LOST: it may have been committed, so look before you try again. */
static void
committed(void *request, const struct mews_result *result)
{
	if (mews_result_status(result) != MEWS_OK)
		mews_reply_failure(request, result);
	else
		mews_reply_text(request, 200, "moved\n");
}

/* An answer without a commit rolls back. */
static void
moved(void *request, const struct mews_result *result)
{
	if (mews_result_status(result) != MEWS_OK)
		mews_reply_failure(request, result);
	else if (mews_result_affected(result) != 2)
		mews_reply_text(request, 404, "no such accounts\n");
	else
		mews_request_commit(request, committed);
}

static void
move(struct mews_request *request, struct mews_lease *lease)
{
	const struct mews_param params[] = {
		mews_param_text(mews_request_param(request, "from")),
		mews_param_text(mews_request_param(request, "to")),
		mews_param_text(mews_request_param(request, "amount")),
	};
	struct mews_query_args args = { .params = params, .param_count = 3,
		.sql = "UPDATE account SET balance = balance + CASE id "
		    "WHEN $1::int THEN -$3::bigint ELSE $3::bigint END "
		    "WHERE id IN ($1::int, $2::int)" };

	(void)lease;
	mews_request_query(request, NULL, &args, moved);
}

static void
transfer(void *state, struct mews_request *request)
{
	(void)state;
	mews_request_begin(request, "write", NULL, move);
}

const struct mews_app mews_app = {
	.abi = MEWS_APP_ABI, .name = "transfer", .request = transfer
};
