/*
 * test_memory.c - refused memory is told, costs other queries nothing, and the
 * next act succeeds.
 *
 * The linker puts the functions below in front of those of the C library, for
 * lib/ and for libcheck: nothing is checked while memory is refused. libpq gets
 * all memory that it asks for.
 */
#include "cluster.h"
#include "unit.h"

#include <dirent.h>
#include <errno.h>
#include <mews/listen.h>
#include <mews/quote.h>
#include <mews/stream.h>
#include <mews/transaction.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const struct mews_group_config groups[] = {
	{ .name = "g", .role = MEWS_GROUP_PRIMARY, .connection_count = 1,
	  .query_timeout = 20000 },
};

/* Counts allocations down; the one that makes it 0 is refused. */
static long countdown;

static bool
refused(void)
{
	if (countdown == 0 || --countdown > 0)
		return false;
	errno = ENOMEM;
	return true;
}

/* The original functions, by the names that ld(1) gives them. */
void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);
void *__real_reallocarray(void *old, size_t count, size_t size);
char *__real_strdup(const char *text);

void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *old, size_t size);
void *__wrap_reallocarray(void *old, size_t count, size_t size);
char *__wrap_strdup(const char *text);
int __wrap_asprintf(char **out, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

void *
__wrap_malloc(size_t size)
{
	return refused() ? NULL : __real_malloc(size);
}

void *
__wrap_calloc(size_t count, size_t size)
{
	return refused() ? NULL : __real_calloc(count, size);
}

void *
__wrap_realloc(void *old, size_t size)
{
	return refused() ? NULL : __real_realloc(old, size);
}

void *
__wrap_reallocarray(void *old, size_t count, size_t size)
{
	return refused() ? NULL : __real_reallocarray(old, count, size);
}

char *
__wrap_strdup(const char *text)
{
	return refused() ? NULL : __real_strdup(text);
}

int
__wrap_asprintf(char **out, const char *format, ...)
{
	va_list	args;
	int	length;

	if (refused())
		return -1;
	va_start(args, format);
	length = vasprintf(out, format, args);
	va_end(args);
	return length;
}

static int
descriptors(void)
{
	DIR	*dir = opendir("/proc/self/fd");
	int	 count = 0;

	ck_assert_ptr_nonnull(dir);
	while (readdir(dir) != NULL)
		count++;
	closedir(dir);
	return count;
}

/* Why the last act was refused, or how it ended. */
static struct mews_error why;

static struct mews_group *
group(void)
{
	return mews_pool_group(cluster.pool, "g");
}

/* Keep the sentence of a blocking call that ended. */
static enum mews_status
ended(enum mews_status status, struct mews_result *result)
{
	snprintf(why.message, sizeof(why.message), "%s", result == NULL ?
	    mews_group_message(group()) : mews_result_message(result));
	mews_result_free(&result);
	return status;
}

static enum mews_status
run_sql(void)
{
	char	text[3000];
	struct mews_param	params[] = { mews_param_int_text(7),
		mews_param_text(text), mews_param_null() };
	const struct mews_query_args args = {
		.sql = "select $1::int, $2::text, $3::text",
		.params = params, .param_count = CLUSTER_COUNT(params) };
	struct mews_result     *result;
	enum mews_status	status;

	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	status = mews_query_run(group(), &args, &result);
	return ended(status, result);
}

static enum mews_status
run_statement(void)
{
	struct mews_query_args	args = { 0 };
	struct mews_statement  *statement;
	struct mews_result     *result;
	enum mews_status	status;

	if ((status = mews_statement_register(&statement, cluster.pool,
		    "memory", "select 7", 0, &why)) != MEWS_OK)
		return status;
	args.statement = statement;
	status = mews_query_run(group(), &args, &result);
	status = ended(status, result);
	mews_statement_drop(&statement);
	return status;
}

#define MANY 300

/* Run so many queries that the tables of queries grow. */
static enum mews_status
run_many(void)
{
	const struct mews_query_args args = { .sql = "select 7" };
	static struct asked	asked[MANY];
	enum mews_status	worst = MEWS_OK, status;
	int			ended = 0, sent = 0;

	memset(asked, 0, sizeof(asked));
	for (int i = 0; i < MANY; i++) {
		status = mews_query_send(group(), &args, cluster_note,
		    &asked[i], NULL);
		sent += status == MEWS_OK;
		if (status == MEWS_OK)
			continue;
		worst = status;
		snprintf(why.message, sizeof(why.message), "%s",
		    mews_group_message(group()));
	}
	while (ended < sent) {
		mews_pool_turn(cluster.pool, 100);
		ended = 0;
		for (int i = 0; i < MANY; i++)
			ended += asked[i].calls;
	}
	for (int i = 0; i < MANY; i++) {
		if (asked[i].calls == 0 || asked[i].status == MEWS_OK)
			continue;
		worst = asked[i].status;
		snprintf(why.message, sizeof(why.message), "%s",
		    asked[i].message);
	}
	return ended > sent ? MEWS_INVALID : worst;
}

static int
some_rows(void *arg, void *buffer, size_t size)
{
	int	*left = arg;

	return *left == 0 ? 0 : snprintf(buffer, size, "%d\n", (*left)--);
}

static enum mews_flow
go_on(void *arg, const void *data, size_t length)
{
	(void)arg;
	(void)data;
	(void)length;
	return MEWS_FLOW_GO;
}

static void
on_each(void *arg, const struct mews_result *result)
{
	(void)arg;
	(void)result;
}

static enum mews_status
run_transaction(struct mews_lease *lease)
{
	struct mews_result     *result;
	enum mews_status	status;

	if ((status = mews_lease_transaction(lease, NULL)) != MEWS_OK)
		return status;
	status = mews_lease_savepoint_run(lease, "s", &result);
	if (ended(status, result) != MEWS_OK)
		return status;
	status = mews_lease_commit_run(lease, &result);
	return ended(status, result);
}

enum act { ACT_SQL, ACT_STATEMENT, ACT_MANY, ACT_LEASE, ACT_TRANSACTION,
	ACT_ROWS, ACT_COPY_IN, ACT_COPY_OUT, ACT_SCRIPT, ACT_QUOTE,
	ACT_LISTEN, ACTS };

static enum mews_status
run_on(struct mews_lease *lease, enum act act)
{
	const struct mews_query_args args = { .sql = "select 7" };
	struct mews_result     *result = NULL;
	enum mews_status	status;
	char		       *text;
	int			rows = 3;

	switch (act) {
	case ACT_TRANSACTION:
		return run_transaction(lease);
	case ACT_ROWS:
		status = mews_lease_rows_run(lease, &args, cluster_go_on,
		    NULL, &result);
		break;
	case ACT_COPY_IN:
		status = mews_copy_in_run(lease, "copy memory from stdin",
		    some_rows, &rows, &result);
		break;
	case ACT_COPY_OUT:
		status = mews_copy_out_run(lease, "copy (select 7) to stdout",
		    go_on, NULL, &result);
		break;
	case ACT_SCRIPT:
		status = mews_lease_script_run(lease, "select 1; select 2",
		    on_each, NULL, &result);
		break;
	case ACT_QUOTE:
		status = mews_quote_literal(lease, "it's", 4, &text);
		mews_quote_free(&text);
		break;
	default:
		status = mews_lease_query_run(lease, &args, &result);
	}
	return ended(status, result);
}

static enum mews_status
run_lease(enum act act)
{
	struct mews_lease      *lease;
	enum mews_status	status;

	if ((status = mews_lease_begin_run(group(), 0, &lease)) != MEWS_OK)
		return ended(status, NULL);
	status = run_on(lease, act);
	mews_lease_end(&lease);
	return status;
}

static void
hear(void *arg, const struct mews_notification *notification)
{
	*(int *)arg += notification->event == MEWS_NOTIFY_MESSAGE;
}

static enum mews_status
run_listen(void)
{
	const struct mews_query_args args = { .sql = "notify memory" };
	struct mews_listener   *listener;
	struct mews_result     *result;
	enum mews_status	status;
	int			heard = 0;
	int64_t			end;

	if ((status = mews_listen(&listener, cluster.pool, "memory", hear,
		    &heard, &why)) != MEWS_OK)
		return status;
	end = cluster_now() + CLUSTER_PATIENCE;
	while (heard == 0 && cluster_now() < end) {
		if (mews_query_run(group(), &args, &result) == MEWS_OK)
			mews_pool_turn(cluster.pool, 20);
		mews_result_free(&result);
	}
	mews_unlisten(&listener);
	return heard > 0 ? MEWS_OK : MEWS_INVALID;
}

static enum mews_status
run(enum act act)
{
	switch (act) {
	case ACT_SQL:
		return run_sql();
	case ACT_STATEMENT:
		return run_statement();
	case ACT_MANY:
		return run_many();
	case ACT_LISTEN:
		return run_listen();
	default:
		return run_lease(act);
	}
}

/* An act that was refused memory ended with NOMEM, or by the loss of its
 * connection. */
static void
assert_told(enum mews_status status, long nth)
{
	switch (status) {
	case MEWS_OK:
	case MEWS_LOST:
	case MEWS_UNAVAILABLE:
		break;
	default:
		ck_assert_msg(status == MEWS_NOMEM &&
		    strstr(why.message, "memory") != NULL, "%ld: %s: %s", nth,
		    mews_status_name(status), why.message);
	}
}

#define ALLOCATIONS_MAX 2000 /* more than any act makes */

/* Acts on a pool that was just opened. */
static const enum act first_acts[] = { ACT_SQL, ACT_LEASE, ACT_LISTEN };

/* Refuse each allocation of an act, one after the other: of a pool at work, or
 * of a new one. */
START_TEST(each_refused_allocation_is_told)
{
	bool	 new = _i >= ACTS, done = false;
	enum act act = new ? first_acts[_i - ACTS] : (enum act)_i;

	cluster_open(groups, CLUSTER_COUNT(groups));
	cluster_ask("a", "set client_min_messages = warning; "
	    "drop table if exists memory; create table memory (id int)");
	for (long nth = 1; !done; nth++) {
		enum mews_status status;

		ck_assert_int_lt(nth, ALLOCATIONS_MAX);
		if (new) {
			mews_pool_close(&cluster.pool);
			ck_assert_int_eq(mews_pool_open(&cluster.pool,
			    cluster.fleet, NULL, NULL, NULL), MEWS_OK);
		}
		why.message[0] = '\0';
		countdown = nth;
		status = run(act);
		done = countdown > 0;
		countdown = 0;
		assert_told(status, nth);
		ck_assert(!done || status == MEWS_OK);
		ck_assert_str_eq(cluster_value(group(), "select 7"), "7");
		ck_assert_uint_eq(cluster_stats("g").in_flight, 0);
		ck_assert_uint_eq(cluster_stats("g").waiting, 0);
	}
}
END_TEST

/* x */
START_TEST(a_fleet_is_made_as_a_whole_or_not_at_all)
{
	enum mews_status status;
	bool		 done = false;
	int		 fds;

	cluster_prepare(groups, CLUSTER_COUNT(groups));
	fds = descriptors();
	for (long nth = 1; !done; nth++) {
		ck_assert_int_lt(nth, ALLOCATIONS_MAX);
		countdown = nth;
		status = mews_fleet_create(&cluster.fleet, &cluster.config,
		    &why);
		if (status == MEWS_OK)
			status = mews_fleet_join(cluster.fleet, &why);
		if (status == MEWS_OK)
			status = mews_view_open(&cluster.view,
			    cluster.config.runtime_file, &why);
		if (status == MEWS_OK)
			status = mews_pool_open(&cluster.pool, cluster.fleet,
			    NULL, NULL, &why);
		done = countdown > 0;
		countdown = 0;
		if (status == MEWS_OK) {
			ck_assert_str_eq(cluster_value(group(), "select 7"),
			    "7");
		} else {
			/* Memory may be refused inside a system call's
			 * wrapper. */
			ck_assert(!done && (status == MEWS_NOMEM ||
			    status == MEWS_SYSTEM));
			ck_assert_ptr_nonnull(strstr(why.message, "memory"));
			ck_assert_ptr_null(cluster.pool);
		}
		cluster_close();
		ck_assert_int_eq(access(cluster.config.runtime_file, F_OK),
		    -1);
		ck_assert_int_eq(descriptors(), fds);
	}
}
END_TEST

static Suite *
memory_suite(void)
{
	Suite	*suite = suite_create("memory");
	TCase	*tcase = unit_case(suite, "memory");

	tcase_add_checked_fixture(tcase, cluster_repair, cluster_close);
	tcase_add_loop_test(tcase, each_refused_allocation_is_told, 0,
	    ACTS + CLUSTER_COUNT(first_acts));
	tcase_add_test(tcase, a_fleet_is_made_as_a_whole_or_not_at_all);
	return suite;
}

UNIT_MAIN(memory_suite)
