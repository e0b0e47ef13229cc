/*
 * test_misuse.c - misuse by a host gets a clear status. Misuse that ends the
 * process: test_assertions.c.
 */
#include "misuse.h"

#include "host.h"

#include <assert.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* Structures of hosts keep their sizes, as in abi1.h. */
static_assert(sizeof(struct mews_error) == 504, "a host's own room");
static_assert(sizeof(void *) != 8 || sizeof(struct mews_param) == 48,
    "the stride of an array");
static_assert(sizeof(void *) != 8 || sizeof(struct mews_query_args) == 80,
    "filled by a host");
static_assert(sizeof(struct mews_transaction) == 32, "filled by a host");

static void
run_ok(void)
{
	struct mews_result	*result;

	ck_assert_msg(mews_query_run(group, &one, &result) == MEWS_OK, "%s",
	    mews_group_message(group));
	mews_result_free(&result);
}

static struct mews_lease *
borrow(void)
{
	struct mews_lease	*lease;

	ck_assert_msg(mews_lease_begin_run(transactions, 0, &lease) == MEWS_OK,
	    "%s", mews_group_message(transactions));
	return lease;
}

/*
 * --- misuse that gets a status ---
 */

/* Exit with 0 if every call of a child with its copy is refused. */
static void
use_copy(struct mews_lease *lease)
{
	struct mews_statement	*statement;
	struct mews_group_stats	 stats;
	struct mews_lease	*other;
	struct mews_result	*result;

	ck_assert_int_eq(mews_query_run(group, &one, &result), MEWS_INVALID);
	ck_assert_ptr_null(result);
	ck_assert_ptr_nonnull(strstr(mews_group_message(group),
	    "belongs to another process"));
	ck_assert_int_eq(mews_lease_begin_run(group, 0, &other), MEWS_INVALID);
	ck_assert_int_eq(mews_lease_query_run(lease, &one, &result),
	    MEWS_INVALID);
	ck_assert_int_eq(mews_lease_commit_run(lease, &result),
	    MEWS_INVALID);
	ck_assert_int_eq(mews_statement_register(
	    &statement, pool, NULL, "SELECT 1", 0, NULL),
	    MEWS_INVALID);
	ck_assert_int_eq(mews_query_cancel(pool, 1), MEWS_INVALID);
	ck_assert_int_eq(mews_pool_turn(pool, 0), MEWS_INVALID);
	ck_assert_int_eq(mews_pool_tick(pool), -1);
	stats.queries = 1;
	ck_assert_int_eq(mews_group_stats(group, &stats, sizeof(stats)),
	    MEWS_INVALID);
	ck_assert_uint_eq(stats.queries, 0);
	mews_lease_end(&lease);
	mews_pool_close(&pool);
	mews_fleet_count_requests(fleet, 1000);
	mews_fleet_leave(fleet);
}

static void
count(void *arg, const struct mews_result *result)
{
	(void)result;
	++*(int *)arg;
}

static void
wait_child(pid_t child)
{
	int	status;

	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert_int_eq(status, 0);
}

START_TEST(a_forks_copy_is_refused_and_the_parent_unharmed)
{
	struct mews_lease	*lease;
	struct mews_result	*result;
	struct mews_group_stats	 before, after;
	static int		 calls;
	pid_t			 child;

	run_ok();
	lease = borrow();
	ck_assert_int_eq(mews_lease_query_run(lease, &one, &result), MEWS_OK);
	mews_result_free(&result);
	ck_assert_int_eq(mews_query_send(group,
	    &(struct mews_query_args) { .sql = "SELECT pg_sleep(0.2)" },
	    count, &calls, NULL), MEWS_OK);
	ck_assert_int_eq(mews_pool_turn(pool, 0), MEWS_OK);
	mews_group_stats(group, &before, sizeof(before));
	if ((child = fork()) == 0) {
		use_copy(lease);
		_exit(calls);
	}
	wait_child(child);
	HOST_WAIT(mews_pool_turn(pool, 10) == MEWS_OK && calls == 1);
	ck_assert_int_eq(mews_lease_commit_run(lease, &result), MEWS_OK);
	mews_result_free(&result);
	mews_lease_end(&lease);
	mews_group_stats(group, &after, sizeof(after));
	ck_assert_uint_eq(after.errors, before.errors);
	ck_assert_ptr_null(strstr(log_text, "connection_lost"));
}
END_TEST

START_TEST(a_child_may_have_a_pool_of_its_own)
{
	pid_t	child;

	run_ok();
	if ((child = fork()) == 0) {
		mews_pool_close(&pool);
		open_pool();
		run_ok();
		teardown();
		_exit(0);
	}
	wait_child(child);
	mews_fleet_reap(fleet, child);
	run_ok();
}
END_TEST

START_TEST(a_lease_kept_beyond_the_pool_is_a_shell)
{
	struct mews_lease	*lease = borrow();
	struct mews_result	*result;
	int			 calls = 0;

	mews_pool_close(&pool);
	ck_assert_int_eq(mews_lease_query_run(lease, &one, &result),
	    MEWS_INVALID);
	ck_assert_ptr_null(result);
	ck_assert_int_eq(mews_lease_query(lease, &one, count, &calls, NULL),
	    MEWS_INVALID);
	ck_assert_int_eq(mews_lease_transaction(lease, NULL), MEWS_INVALID);
	ck_assert_int_eq(mews_lease_commit(lease, count, &calls),
	    MEWS_INVALID);
	ck_assert_int_eq(mews_lease_rollback_run(lease, &result),
	    MEWS_INVALID);
	ck_assert_str_eq(mews_lease_endpoint(lease), "");
	mews_lease_end(&lease);
	ck_assert_ptr_null(lease);
	mews_lease_end(&lease);
	mews_pool_close(&pool);
	ck_assert_int_eq(calls, 0);
}
END_TEST

struct nested {
	bool called;
	enum mews_status status, lease, turn;
	char message[200];
};

static void
block_inside(void *arg, const struct mews_result *result)
{
	struct nested		*nested = arg;
	struct mews_result	*other;
	struct mews_lease	*lease;

	(void)result;
	nested->called = true;
	nested->status = mews_query_run(group, &one, &other);
	snprintf(nested->message, sizeof(nested->message), "%s",
	    mews_group_message(group));
	nested->lease = mews_lease_begin_run(group, 0, &lease);
	nested->turn = mews_pool_turn(pool, 0);
}

START_TEST(a_blocking_call_inside_a_callback_is_invalid)
{
	struct nested	nested = { .called = false };

	ck_assert_int_eq(mews_query_send(group, &one, block_inside, &nested,
	    NULL), MEWS_OK);
	HOST_WAIT(mews_pool_turn(pool, 10) == MEWS_OK && nested.called);
	ck_assert_int_eq(nested.status, MEWS_INVALID);
	ck_assert_int_eq(nested.lease, MEWS_INVALID);
	ck_assert_int_eq(nested.turn, MEWS_INVALID);
	ck_assert_ptr_nonnull(strstr(nested.message,
	    "a blocking call inside a callback"));
}
END_TEST

static void
end_lease(void *lease, const struct mews_result *result)
{
	(void)result;
	mews_lease_end(lease);
}

START_TEST(a_callback_may_end_its_own_lease)
{
	struct mews_lease	*lease = borrow();

	ck_assert_int_eq(mews_lease_query(lease, &one, end_lease, &lease,
	    NULL), MEWS_OK);
	HOST_WAIT(mews_pool_turn(pool, 10) == MEWS_OK && lease == NULL);
	lease = borrow();
	mews_lease_end(&lease);
}
END_TEST

struct canceler {
	mews_query_id id;
	int calls;
	enum mews_status status;
};

static void
cancel_itself(void *arg, const struct mews_result *result)
{
	struct canceler	*canceler = arg;

	(void)result;
	canceler->calls++;
	canceler->status = mews_query_cancel(pool, canceler->id);
}

START_TEST(a_callback_cannot_cancel_its_own_query)
{
	struct canceler	canceler = { .calls = 0 };

	ck_assert_int_eq(mews_query_send(group, &one, cancel_itself,
	    &canceler, &canceler.id), MEWS_OK);
	HOST_WAIT(mews_pool_turn(pool, 10) == MEWS_OK && canceler.calls == 1);
	ck_assert_int_eq(canceler.status, MEWS_INVALID);
	ck_assert_int_eq(mews_query_cancel(pool, canceler.id), MEWS_INVALID);
	run_ok();
	ck_assert_int_eq(canceler.calls, 1);
}
END_TEST

struct last_words {
	enum mews_status status, again;
};

static void
ask_again(void *arg, const struct mews_result *result)
{
	struct last_words	*last = arg;

	last->status = mews_result_status(result);
	last->again = mews_query_send(group, &one, ask_again, arg, NULL);
}

START_TEST(a_closing_pool_accepts_no_queries)
{
	struct last_words	last;

	ck_assert_int_eq(mews_query_send(group, &one, ask_again, &last,
	    NULL), MEWS_OK);
	mews_pool_close(&pool);
	ck_assert_int_eq(last.status, MEWS_CANCELED);
	ck_assert_int_eq(last.again, MEWS_INVALID);
}
END_TEST

START_TEST(an_abi_that_is_not_served_is_refused)
{
	const uint32_t abis[] = { MEWS_ABI + 1, MEWS_ABI_OLDEST - 1 };

	for (int i = 0; i < 2; i++) {
		struct mews_config *config = mews_config_new(abis[i]);
		struct mews_fleet  *other = fleet;
		struct mews_error   error;

		ck_assert_int_eq(mews_fleet_create(&other, config, &error),
		    MEWS_INVALID);
		ck_assert_ptr_null(other);
		ck_assert_int_eq(error.status, MEWS_INVALID);
		ck_assert_msg(strstr(error.message, "abi: ") != NULL &&
		    strstr(error.message, i == 0 ? "install a newer one" :
			"compile it again") != NULL, "%s", error.message);
		mews_config_free(&config);
	}
}
END_TEST

START_TEST(a_statement_of_another_pool_is_invalid)
{
	struct mews_pool	*other;
	struct mews_statement	*statement;
	struct mews_error	 error;
	struct mews_query_args	 args = { 0 };
	struct mews_result	*result;

	ck_assert_int_eq(mews_pool_open(&other, fleet, NULL, NULL, &error),
	    MEWS_OK);
	ck_assert_int_eq(mews_statement_register(
	    &statement, other, NULL, "SELECT 1", 0, NULL),
	    MEWS_OK);
	args.statement = statement;
	ck_assert_int_eq(mews_query_run(group, &args, &result),
	    MEWS_INVALID);
	ck_assert_ptr_nonnull(strstr(mews_group_message(group),
	    "another pool"));
	mews_pool_close(&other);
}
END_TEST

START_TEST(a_refused_statement_says_why)
{
	static const Oid type = 23;
	const struct {
		const char *name, *sql;
		unsigned flags;
		const Oid *types;
		int type_count;
		const char *why;
	} bad[] = {
		{ "a", NULL, 0, NULL, 0, "needs SQL" },
		{ "a", "", 0, NULL, 0, "needs SQL" },
		{ "a", "SELECT 1", 0x10, NULL, 0, "MEWS_QUERY_BINARY" },
		{ "a", "SELECT 1", 0, NULL, 1, "a type for each" },
		{ "a", "SELECT 1", 0, &type, -1, "0 to 65535" },
		{ "", "SELECT 1", 0, NULL, 0, "1 to 31 letters" },
		{ "a b", "SELECT 1", 0, NULL, 0, "1 to 31 letters" },
		{ "12345678901234567890123456789012", "SELECT 1", 0, NULL, 0,
		  "1 to 31 letters" },
		{ "first", "SELECT 1", 0, NULL, 0, "has that name: first" },
	};
	struct mews_statement *statement;
	struct mews_error      error;

	ck_assert_int_eq(mews_statement_register(&statement, pool, "first",
	    "SELECT 1", 0, &error), MEWS_OK);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		ck_assert_int_eq(mews_statement_register_typed(&statement,
		    pool, bad[i].name, bad[i].sql, bad[i].flags,
		    bad[i].types, bad[i].type_count, &error), MEWS_INVALID);
		ck_assert_ptr_null(statement);
		ck_assert_msg(error.status == MEWS_INVALID &&
		    strstr(error.message, bad[i].why) != NULL, "%s: %s",
		    bad[i].why, error.message);
	}
}
END_TEST

START_TEST(a_statement_has_a_name_and_figures)
{
	struct mews_statement	   *named, *unnamed;
	struct mews_statement_stats stats;
	struct mews_query_args	    args = { 0 };
	struct mews_result	   *result;

	ck_assert_int_eq(mews_statement_register(&named, pool, "one",
	    "SELECT 1", 0, NULL), MEWS_OK);
	ck_assert_int_eq(mews_statement_register(&unnamed, pool, NULL,
	    "SELECT 1", 0, NULL), MEWS_OK);
	ck_assert_str_eq(mews_statement_name(named), "one");
	ck_assert_str_eq(mews_statement_name(unnamed), "mews_1");
	args.statement = named;
	for (int i = 0; i < 3; i++) {
		ck_assert_int_eq(mews_query_run(group, &args, &result),
		    MEWS_OK);
		mews_result_free(&result);
	}
	mews_statement_stats(named, &stats, sizeof(stats));
	ck_assert_uint_eq(stats.answers, 3);
	mews_statement_stats(unnamed, &stats, sizeof(stats));
	ck_assert_uint_eq(stats.answers, 0);
}
END_TEST

/* Headers of another version know fewer members, or more. */
START_TEST(structures_are_filled_as_far_as_the_host_says)
{
	struct {
		struct mews_group_stats stats;
		uint64_t beyond[2];
	} room;

	run_ok();
	memset(&room, 0xff, sizeof(room));
	ck_assert_int_eq(mews_group_stats(group, &room.stats,
	    offsetof(struct mews_group_stats, queries)), MEWS_OK);
	ck_assert_uint_ge(room.stats.connections, 1);
	ck_assert_uint_eq(room.stats.queries, UINT64_MAX);
	ck_assert_int_eq(mews_group_stats(group, &room.stats,
	    sizeof(room.stats) + sizeof(uint64_t)), MEWS_OK);
	ck_assert_uint_eq(room.stats.queries, 1);
	ck_assert_uint_eq(room.beyond[0], 0);
	ck_assert_uint_eq(room.beyond[1], UINT64_MAX);
}
END_TEST

START_TEST(a_fleet_without_a_file_is_seen_and_drained)
{
	struct mews_view	 *view;
	struct mews_view_fleet	  seen;
	struct mews_view_endpoint endpoint;
	struct mews_error	  error;

	ck_assert_int_eq(mews_view_open_fleet(&view, fleet, &error), MEWS_OK);
	mews_view_fleet(view, &seen, sizeof(seen));
	ck_assert_str_eq(seen.instance, "misuse");
	ck_assert_uint_eq(seen.endpoint_count, 3);
	ck_assert_int_eq(mews_fleet_drain(fleet, "b", true, &error), MEWS_OK);
	ck_assert(mews_view_endpoint(view, 1, &endpoint, sizeof(endpoint)));
	ck_assert_str_eq(endpoint.name, "b");
	ck_assert(endpoint.drained);
	ck_assert_int_eq(mews_fleet_drain(fleet, "zz", true, &error),
	    MEWS_INVALID);
	ck_assert_ptr_nonnull(strstr(error.message, "zz"));
	ck_assert_int_eq(mews_fleet_drain(fleet, "b", false, NULL), MEWS_OK);
	ck_assert(mews_view_endpoint(view, 1, &endpoint, sizeof(endpoint)));
	ck_assert(!endpoint.drained);
	mews_view_close(&view);
	ck_assert_ptr_null(view);
	run_ok();
}
END_TEST

START_TEST(the_library_tells_its_version)
{
	int	major, minor, patch;

	ck_assert_int_eq(sscanf(mews_version(), "%d.%d.%d", &major, &minor,
	    &patch), 3);
}
END_TEST

START_TEST(bad_arguments_are_invalid)
{
	const struct mews_param too_short = { .value = "", .length = -2 };
	/* No pointer, and a length that does not fit inside the struct. */
	const struct mews_param nowhere = { .length = 28 };
	const struct mews_param far_away = { .length = INT32_MAX };
	const struct mews_query_args bad[] = {
		{ 0 },
		{ .sql = "SELECT 1", .param_count = -1 },
		{ .sql = "SELECT 1", .param_count = 1 },
		{ .sql = "SELECT 1", .param_count = MEWS_PARAMS_MAX + 1 },
		{ .sql = "SELECT 1", .flags = 0x10 },
		{ .sql = "SELECT 1", .reserved = { 0, 0, 1 } },
		{ .sql = "SELECT $1", .params = &too_short,
		    .param_count = 1 },
		{ .sql = "SELECT $1", .params = &nowhere, .param_count = 1 },
		{ .sql = "SELECT $1", .params = &far_away, .param_count = 1 },
		{ .sql = "BEGIN" },
		{ .sql = "SET search_path = x" },
	};
	struct mews_result *result;
	struct mews_lease *lease;
	struct mews_statement *statement;
	int	calls = 0;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		ck_assert_int_eq(mews_query_run(group, &bad[i], &result),
		    MEWS_INVALID);
		ck_assert_ptr_null(result);
		ck_assert_int_gt((int)strlen(mews_group_message(group)), 20);
	}
	ck_assert_int_eq(mews_query_send(group, NULL, count, &calls, NULL),
	    MEWS_INVALID);
	ck_assert_int_eq(mews_query_send(group, &one, NULL, NULL, NULL),
	    MEWS_INVALID);
	ck_assert_int_eq(mews_lease_begin(group, 0, NULL, NULL, NULL),
	    MEWS_INVALID);
	ck_assert_int_eq(mews_query_run(transactions, &one, &result),
	    MEWS_INVALID);
	ck_assert_ptr_nonnull(strstr(mews_group_message(transactions),
	    "lease"));
	ck_assert_int_eq(
	    mews_statement_register(&statement, pool, NULL, NULL, 0, NULL),
	    MEWS_INVALID);
	ck_assert_int_eq(mews_statement_register(
	    &statement, pool, NULL, "SELECT 1", 0x10, NULL),
	    MEWS_INVALID);
	ck_assert_ptr_null(statement);
	ck_assert_ptr_null(mews_pool_group(pool, "no such group"));
	ck_assert_int_eq(mews_query_cancel(pool, 0), MEWS_INVALID);
	ck_assert_int_eq(mews_query_cancel(pool, UINT64_MAX), MEWS_INVALID);
	lease = borrow();
	ck_assert_int_eq(mews_lease_commit(lease, NULL, NULL), MEWS_INVALID);
	mews_lease_end(&lease);
	mews_pool_ready(pool, -1, MEWS_WATCH_READ);
	mews_pool_ready(pool, 1000000, MEWS_WATCH_READ);
	mews_pool_ready(pool, STDIN_FILENO, MEWS_WATCH_READ);
	ck_assert_int_eq(calls, 0);
	run_ok();
}
END_TEST

/* A host computes between its queries: the host is silent then, not the
 * servers. */
START_TEST(a_host_that_was_away_accuses_nobody)
{
	for (int i = 0; i < 5; i++) {
		run_ok();
		poll(NULL, 0, PATIENCE_MS + 100);
	}
	ck_assert_msg(strstr(log_text, "to=suspect") == NULL &&
	    strstr(log_text, "to=down") == NULL, "%s", log_text);
	ck_assert_ptr_nonnull(strstr(log_text, "to=up"));
}
END_TEST

/* The host waits between sending and its loop. */
START_TEST(a_host_that_dawdles_before_its_loop_accuses_nobody)
{
	int	calls = 0;

	run_ok();
	for (int i = 1; i <= 5; i++) {
		ck_assert_int_eq(mews_query_send(group, &one, count, &calls,
		    NULL), MEWS_OK);
		poll(NULL, 0, PATIENCE_MS + 100);
		HOST_WAIT(mews_pool_turn(pool, 10) == MEWS_OK && calls == i);
	}
	ck_assert_msg(strstr(log_text, "to=suspect") == NULL &&
	    strstr(log_text, "to=down") == NULL, "%s", log_text);
}
END_TEST

static Suite *
misuse_suite(void)
{
	Suite  *suite = suite_create("misuse");
	TCase  *statuses = unit_case(suite, "statuses");

	tcase_add_checked_fixture(statuses, setup, teardown);
	tcase_set_timeout(statuses, 180);
	tcase_add_test(statuses,
	    a_forks_copy_is_refused_and_the_parent_unharmed);
	tcase_add_test(statuses, a_child_may_have_a_pool_of_its_own);
	tcase_add_test(statuses, a_lease_kept_beyond_the_pool_is_a_shell);
	tcase_add_test(statuses, a_blocking_call_inside_a_callback_is_invalid);
	tcase_add_test(statuses, a_callback_may_end_its_own_lease);
	tcase_add_test(statuses, a_callback_cannot_cancel_its_own_query);
	tcase_add_test(statuses, a_closing_pool_accepts_no_queries);
	tcase_add_test(statuses, an_abi_that_is_not_served_is_refused);
	tcase_add_test(statuses, a_statement_of_another_pool_is_invalid);
	tcase_add_test(statuses, a_refused_statement_says_why);
	tcase_add_test(statuses, a_statement_has_a_name_and_figures);
	tcase_add_test(statuses, structures_are_filled_as_far_as_the_host_says);
	tcase_add_test(statuses, a_fleet_without_a_file_is_seen_and_drained);
	tcase_add_test(statuses, the_library_tells_its_version);
	tcase_add_test(statuses, bad_arguments_are_invalid);
	tcase_add_test(statuses, a_host_that_was_away_accuses_nobody);
	tcase_add_test(statuses,
	    a_host_that_dawdles_before_its_loop_accuses_nobody);
	return suite;
}

UNIT_MAIN(misuse_suite)
