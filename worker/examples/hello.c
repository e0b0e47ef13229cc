/* hello.c - an application: each request runs a query and answers with it. */
#include <mews/app.h>

static void
answer(void *request, const struct mews_result *result)
{
	if (mews_result_status(result) != MEWS_OK)
		mews_reply_failure(request, result);
	else
		mews_reply_text(request, 200,
		    PQgetvalue(mews_result_pg(result), 0, 0));
}

static void
hello(void *state, struct mews_request *request)
{
	struct mews_query_args args = {
		.sql = "SELECT 'hello at ' || now() || chr(10)"
	};

	(void)state;
	mews_request_query(request, "read", &args, answer);
}

const struct mews_app mews_app = {
	.abi = MEWS_APP_ABI, .name = "hello", .request = hello
};
