/*
 * failure.c - what clients are told of queries that failed, and what they are
 * not told.
 *
 * From the environment: MEWS_A, the conninfo of a server.
 */
#include "client.h"
#include "failure.h"
#include "server.h"
#include "unit.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define GET(target) "GET " target " HTTP/1.1\r\nHost: test\r\n\r\n"
#define SECRET "secret-of-a-row"

static void
on_result(void *request, const struct mews_result *result)
{
	if (mews_result_status(result) == MEWS_OK)
		mews_reply(request, 200, "text/plain", "ok", 2,
		    MEWS_BODY_STATIC);
	else
		mews_reply_failure(request, result);
}

/* Run the SQL that was asked for, or answer with the status. */
static void
on_lease(void *arg, struct mews_lease *lease, const struct mews_result *result)
{
	if (lease == NULL)
		mews_reply_failure(arg, result);
	else
		mews_reply(arg, 200, "text/plain", "ok", 2,
		    MEWS_BODY_STATIC);
	mews_lease_end(&lease);
}

/* In the request's transaction: commit if that was asked for, else leave it
 * open. */
static void
on_run(void *request, const struct mews_result *result)
{
	if (mews_result_status(result) != MEWS_OK)
		mews_reply_failure(request, result);
	else if (mews_request_param(request, "leave") != NULL)
		mews_reply_text(request, 200, "ok");
	else
		mews_request_commit(request, on_result);
}

static void
on_begun(struct mews_request *request, struct mews_lease *lease)
{
	const struct mews_query_args args = { .sql = mews_request_param(
	    request, "sql") };

	ck_assert_ptr_nonnull(lease);
	mews_request_query(request, NULL, &args, on_run);
}

static void
run_sql(void *state, struct mews_request *request)
{
	const struct mews_transaction options = {
		.isolation = MEWS_ISOLATION_SERIALIZABLE };
	struct mews_query_args args = { .sql = mews_request_param(request,
	    "sql") };
	const char *group = mews_request_param(request, "lease");
	const char *begin = mews_request_param(request, "begin");

	(void)state;
	if (group != NULL)
		mews_request_lease(request, group, on_lease, request);
	else if (begin != NULL)
		mews_request_begin(request, begin, &options, on_begun);
	else if (args.sql == NULL)
		mews_reply_status(request, MEWS_LOST, SECRET);
	else
		mews_request_query(request, "read", &args, on_result);
}

static const struct mews_app sql_app = { .abi = MEWS_APP_ABI, .name = "sql",
	.request = run_sql };

/* Spaces are written as '+'. */
static const struct row {
	const char *target;
	int status;
	const char *name;
	bool retry;
} rows[] = {
	{ "/?sql=SELECT+1", 200, "ok", false },
	{ "/?sql=SELECT+'" SECRET "'::int", 400, "SQL", false },
	{ "/?sql=SELECT+1/0", 400, "SQL", false },
	{ "/?sql=SELECT+(-1)::information_schema.cardinal_number", 409,
	    "SQL", false },
	{ "/?sql=SELEKT+'" SECRET "'", 503, "SQL", true },
	{ "/?lease=read", 200, "ok", false },
	{ "/?lease=none", 503, "INVALID", true },
	{ "/?sql=SET+statement_timeout=1%3B", 503, "INVALID", true },
	{ "/?begin=read&sql=SELECT+1", 200, "ok", false },
	{ "/?begin=read&sql=SELECT+1&leave=open", 200, "ok", false },
	{ "/?begin=read&sql=SELECT+1/(current_setting("
	  "'transaction_isolation')='serializable')::int", 200, "ok", false },
	{ "/?begin=read&sql=SELECT+1/0", 400, "SQL", false },
	{ "/?begin=read&sql=ROLLBACK", 503, "SQL", true },
	{ "/?begin=read&sql=COPY+t+FROM+STDIN", 503, "INVALID", true },
	{ "/?begin=none&sql=SELECT+1", 503, "INVALID", true },
	{ "/", 503, "LOST", false },
};

static void
check(const struct row *row, enum mews_switch expose)
{
	struct server_options options = { .app = &sql_app,
		.conninfo = getenv("MEWS_A"),
		.http = { .expose_errors = expose } };
	struct server server;
	struct answer answer;
	char	request[300];
	int	status;

	server_start(&server, &options);
	snprintf(request, sizeof(request), "GET %s HTTP/1.1\r\nHost: test\r\n"
	    "\r\n", row->target);
	status = client_ask(server.port, request, &answer);
	ck_assert_msg(status == row->status, "%s: %d, %s", row->target, status,
	    answer.body);
	ck_assert_msg((answer_header(&answer, "Retry-After") != NULL) ==
	    row->retry, "%s: %s", row->target, answer.head);
	ck_assert_int_eq(strncmp(answer.body, row->name, strlen(row->name)),
	    0);
	if (status != 200)
		ck_assert_int_eq(answer.length > strlen(row->name) + 1,
		    expose == MEWS_SWITCH_ON);
	server_stop(&server);
}

START_TEST(clients_are_told_the_name_of_the_status_alone)
{
	check(&rows[_i], MEWS_SWITCH_OFF);
}
END_TEST

START_TEST(developers_are_told_the_reason_of_a_failure)
{
	check(&rows[_i], MEWS_SWITCH_ON);
}
END_TEST

/* There are more requests than connections, and each leaves a transaction
 * open. */
START_TEST(a_transaction_ends_with_its_answer)
{
	struct server_options options = { .app = &sql_app,
		.conninfo = getenv("MEWS_A") };
	struct server server;
	struct answer answer;

	server_start(&server, &options);
	for (int i = 0; i < 20; i++)
		ck_assert_int_eq(client_ask(server.port, i % 2 == 0 ?
		    GET("/?begin=read&sql=SELECT+1&leave=open") :
		    GET("/?begin=read&sql=SELECT+1/0"), &answer),
		    i % 2 == 0 ? 200 : 400);
	server_stop(&server);
}
END_TEST

START_TEST(each_status_has_a_status_of_http)
{
	ck_assert_uint_eq(failure_status(MEWS_SQL, "22P02"), 400);
	ck_assert_uint_eq(failure_status(MEWS_SQL, "23505"), 409);
	ck_assert_uint_eq(failure_status(MEWS_SQL, "42601"), 503);
	ck_assert_uint_eq(failure_status(MEWS_SQL, ""), 503);
	ck_assert_uint_eq(failure_status(MEWS_PARTLY, "22012"), 503);
	ck_assert_uint_eq(failure_status(MEWS_TIMEOUT, "57014"), 504);
	ck_assert_uint_eq(failure_status(MEWS_UNAVAILABLE, ""), 503);
	ck_assert_uint_eq(failure_status(MEWS_OVERLOAD, ""), 503);
	ck_assert_uint_eq(failure_status(MEWS_LOST, ""), 503);
}
END_TEST

static Suite *
failure_suite(void)
{
	Suite	*suite = suite_create("failure");
	TCase	*tcase = unit_case(suite, "failure");
	int	count = sizeof(rows) / sizeof(rows[0]);

	tcase_set_timeout(tcase, 180);
	tcase_add_loop_test(tcase,
	    clients_are_told_the_name_of_the_status_alone, 0, count);
	tcase_add_loop_test(tcase, developers_are_told_the_reason_of_a_failure,
	    0, count);
	tcase_add_test(tcase, a_transaction_ends_with_its_answer);
	tcase_add_test(tcase, each_status_has_a_status_of_http);
	return suite;
}

UNIT_MAIN(failure_suite)
