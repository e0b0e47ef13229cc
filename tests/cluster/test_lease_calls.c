/*
 * test_lease_calls.c - each argument of a lease's calls is obeyed, or refused
 * with a reason; none is ignored.
 */
#include "copy.h"

#include <string.h>
#include <unistd.h>

static const struct mews_group_config groups[] = {
	{ .name = "auto", .role = MEWS_GROUP_PRIMARY, .connection_count = 1,
	  .acquire_timeout = 3000, .query_timeout = 4000 },
	{ .name = "standby", .role = MEWS_GROUP_STANDBY },
	{ .name = "any", .role = MEWS_GROUP_ANY },
	{ .name = "manual", .role = MEWS_GROUP_PRIMARY, .connection_count = 1,
	  .autocommit = MEWS_SWITCH_OFF },
};

static void
made(void)
{
	cluster_ask("a", "set client_min_messages = warning;"
	    "drop table if exists called; create table called (x int)");
	cluster_open(groups, CLUSTER_COUNT(groups));
}

/* --- the end of a transaction --- */

START_TEST(the_end_of_no_transaction_is_an_error)
{
	struct mews_lease	*lease = cluster_lease(cluster_group("auto"));
	struct asked		 asked;

	cluster_on_lease(lease, "set client_min_messages = error");
	cluster_on_lease(lease, "insert into called values (1)");
	asked = _i == 0 ? cluster_commit(lease) : cluster_rollback(lease);
	ck_assert_int_eq(asked.status, MEWS_SQL);
	ck_assert_str_eq(asked.sqlstate, "25P01");
	ck_assert_str_eq(cluster_ask("a", "select count(*) from called"), "1");
	/* A transaction that was asked for counts, even if it is empty. */
	ck_assert_int_eq(mews_lease_transaction(lease, NULL), MEWS_OK);
	asked = _i == 0 ? cluster_commit(lease) : cluster_rollback(lease);
	ck_assert_str_eq(asked.message, "");
	ck_assert_int_eq(asked.status, MEWS_OK);
	/* A transaction that was begun by hand has an end. */
	for (int again = 0; again < 2; again++) {
		cluster_on_lease(lease, "begin");
		cluster_on_lease(lease, "insert into called values (2)");
		asked = _i == 0 ? cluster_commit(lease) :
		    cluster_rollback(lease);
		ck_assert_int_eq(asked.status, MEWS_OK);
	}
	ck_assert_str_eq(cluster_ask("a", "select count(*) from called"),
	    _i == 0 ? "3" : "1");
	mews_lease_end(&lease);
	lease = cluster_lease(cluster_group("manual"));
	asked = _i == 0 ? cluster_commit(lease) : cluster_rollback(lease);
	ck_assert_int_eq(asked.status, MEWS_OK);
	mews_lease_end(&lease);
}
END_TEST

START_TEST(options_of_a_leases_transaction_last_until_its_end)
{
	static const struct mews_transaction strict = {
		.isolation = MEWS_ISOLATION_SERIALIZABLE,
		.read_only = MEWS_SWITCH_ON,
	}, other = { .isolation = MEWS_ISOLATION_REPEATABLE_READ };
	struct mews_lease *lease = cluster_lease(cluster_group(
	    _i == 0 ? "auto" : "manual"));

	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(mews_lease_transaction(lease, &strict),
		    MEWS_OK);
		ck_assert_int_eq(mews_lease_transaction(lease, NULL), MEWS_OK);
		ck_assert_int_eq(mews_lease_transaction(lease, &strict),
		    MEWS_OK);
		ck_assert_int_eq(mews_lease_transaction(lease, &other),
		    MEWS_INVALID);
		ck_assert_str_eq(cluster_on_lease(lease, "select concat_ws("
		    "' ', current_setting('transaction_isolation'), "
		    "current_setting('transaction_read_only'))").value,
		    "serializable on");
		ck_assert_int_eq(cluster_commit(lease).status, MEWS_OK);
	}
	ck_assert_int_eq(mews_lease_transaction(lease, &other), MEWS_OK);
	ck_assert_str_eq(cluster_on_lease(lease, "show transaction_isolation")
	    .value, "repeatable read");
	mews_lease_end(&lease);
}
END_TEST

/* --- COPY by another door --- */

START_TEST(a_copy_by_the_wrong_door_leaves_the_lease_alive)
{
	static const char *const copies[] = { "copy called from stdin",
		"copy called to stdout", "; copy called to stdout" };
	struct mews_lease      *lease = cluster_lease(cluster_group("auto"));
	struct mews_query_args	args = { .sql = copies[_i] };
	struct mews_statement  *statement;
	struct mews_result     *result;

	ck_assert_int_eq(mews_lease_query_run(lease, &args, &result),
	    MEWS_INVALID);
	ck_assert_int_eq(mews_lease_rows_run(lease, &args, cluster_go_on, NULL,
	    &result), MEWS_INVALID);
	ck_assert_int_eq(mews_statement_register(&statement, cluster.pool,
	    NULL, copies[_i], 0, NULL), MEWS_OK);
	args = (struct mews_query_args) { .statement = statement };
	ck_assert_int_eq(mews_lease_query_run(lease, &args, &result),
	    MEWS_INVALID);
	ck_assert_int_eq(mews_lease_rows_run(lease, &args, cluster_go_on, NULL,
	    &result), MEWS_INVALID);
	ck_assert_int_eq(mews_query_run(cluster_group("auto"), &args,
	    &result), MEWS_INVALID);
	ck_assert_str_eq(cluster_on_lease(lease, "select 3").value, "3");
	mews_lease_end(&lease);
}
END_TEST

static int
claim(void *arg, void *buffer, size_t size)
{
	(void)buffer;
	return *(int *)arg == 0 ? (int)size + 1 : *(int *)arg;
}

START_TEST(a_source_that_claims_too_much_stores_nothing)
{
	struct mews_lease      *lease = cluster_lease(cluster_group("auto"));
	struct mews_result     *result;
	static const int	claims[] = { 0, INT32_MAX, -1, INT32_MIN };
	int			claimed = claims[_i];

	ck_assert_int_eq(mews_copy_in_run(lease, "copy called from stdin",
	    claim, &claimed, &result), claims[_i] < 0 ? MEWS_CANCELED :
	    MEWS_INVALID);
	mews_result_free(&result);
	ck_assert_str_eq(cluster_on_lease(lease,
	    "select count(*) from called").value, "0");
	mews_lease_end(&lease);
}
END_TEST

/* --- arguments of a query --- */

START_TEST(a_commit_gives_its_position)
{
	struct mews_lease      *lease = cluster_lease(cluster_group("auto"));
	struct mews_query_args	args = { .sql = "insert into called values (1)",
		.flags = MEWS_QUERY_POSITION };
	struct mews_result     *result;

	/* A position of a query that commits by itself, then of a
	 * transaction. */
	ck_assert_int_eq(mews_lease_query_run(lease, &args, &result), MEWS_OK);
	ck_assert_uint_ne(mews_result_position(result), 0);
	mews_result_free(&result);
	for (int i = 0; i < 2; i++) {
		mews_lease_transaction(lease, NULL);
		ck_assert_int_eq(mews_lease_query_run(lease, &args, &result),
		    MEWS_OK);
		ck_assert_uint_eq(mews_result_position(result), 0);
		mews_result_free(&result);
		cluster_on_lease(lease, "insert into called values (2)");
		ck_assert_int_eq(mews_lease_commit_run(lease, &result),
		    MEWS_OK);
		ck_assert_uint_ne(mews_result_position(result), 0);
		mews_result_free(&result);
	}
	mews_lease_transaction(lease, NULL);
	ck_assert_int_eq(mews_lease_commit_run(lease, &result), MEWS_OK);
	ck_assert_uint_eq(mews_result_position(result), 0);
	mews_result_free(&result);
	mews_lease_end(&lease);
}
END_TEST

START_TEST(arguments_that_fit_no_lease_are_refused)
{
	struct mews_lease      *lease = cluster_lease(cluster_group("auto"));
	struct mews_query_args	args = { .sql = "select 1", .after = 1 };
	struct mews_statement  *statement;
	struct mews_result     *result;

	ck_assert_int_eq(mews_lease_query_run(lease, &args, &result),
	    MEWS_INVALID);
	ck_assert_ptr_nonnull(strstr(mews_group_message(
	    cluster_group("auto")), "after"));
	ck_assert_int_eq(mews_statement_register(&statement, cluster.pool,
	    NULL, "select 1", 0, NULL), MEWS_OK);
	args = (struct mews_query_args) { .statement = statement,
		.flags = MEWS_QUERY_BINARY };
	ck_assert_int_eq(mews_lease_query_run(lease, &args, &result),
	    MEWS_INVALID);
	mews_lease_end(&lease);
	ck_assert_int_eq(mews_query_run(cluster_group("auto"), &args,
	    &result), MEWS_INVALID);
}
END_TEST

/* Each way to run a query that takes arguments: SQL, then the same as a
 * statement. COPY and the calls of a transaction take none. */
enum door { DOOR_POOLED, DOOR_LEASE, DOOR_ROWS, DOOR_COUNT };

/* Options of a query, and whether each is obeyed or refused. */
static const struct {
	const char *what;
	struct mews_query_args args; /* all but SQL or statement */
	const char *sql;
	bool refused[2]; /* by every call: of SQL, of a statement */
	bool refused_on_lease;
	enum mews_status status; /* if it is not refused */
	enum { FOUND, BINARY, POSITION } done;
} asks[] = {
	{ .what = "nothing" },
	{ .what = "binary", .args.flags = MEWS_QUERY_BINARY,
	  .refused = { false, true }, .done = BINARY },
	{ .what = "alone", .args.flags = MEWS_QUERY_ALONE },
	{ .what = "position", .args.flags = MEWS_QUERY_POSITION,
	  .done = POSITION },
	{ .what = "unknown", .args.flags = 0x80, .refused = { true, true } },
	{ .what = "after", .args.after = 1, .refused_on_lease = true },
	{ .what = "wait", .args.wait_ms = 1000 },
	{ .what = "deadline", .args.deadline_ms = 700,
	  .sql = "select 7 from pg_sleep(1.5)", .status = MEWS_CANCELED },
	{ .what = "reserved", .args.reserved = { [2] = 1 },
	  .refused = { true, true } },
};

static enum mews_status
ask_by(enum door door, struct mews_lease *lease,
    const struct mews_query_args *args, struct mews_result **out)
{
	switch (door) {
	case DOOR_LEASE:
		return mews_lease_query_run(lease, args, out);
	case DOOR_ROWS:
		return mews_lease_rows_run(lease, args, cluster_go_on, NULL,
		    out);
	default:
		return mews_query_run(cluster_group("auto"), args, out);
	}
}

START_TEST(each_argument_is_obeyed_or_refused_at_every_door)
{
	struct mews_group *group = cluster_group("auto");

	for (int way = 0; way < 2 * DOOR_COUNT; way++) {
		enum door	       door = (enum door)(way / 2);
		const char	      *sql = asks[_i].sql != NULL ?
		    asks[_i].sql : "select 7";
		bool		       refused = asks[_i].refused[way % 2] ||
		    (asks[_i].refused_on_lease && door != DOOR_POOLED);
		struct mews_query_args args = asks[_i].args;
		struct mews_statement *statement;
		struct mews_lease     *lease = NULL;
		struct mews_result    *result;
		enum mews_status       status;

		/* A deadline is for what runs, not for a login, so log in
		 * first. */
		cluster_value(group, "select 1");
		if (way % 2 == 0)
			args.sql = sql;
		else
			ck_assert_int_eq(mews_statement_register(&statement,
			    cluster.pool, NULL, sql, 0, NULL), MEWS_OK);
		if (way % 2 == 1)
			args.statement = statement;
		if (door != DOOR_POOLED)
			lease = cluster_lease(group);
		status = ask_by(door, lease, &args, &result);
		ck_assert_msg(status == (refused ? MEWS_INVALID :
		    asks[_i].status), "%s, way %d: %s", asks[_i].what, way,
		    mews_status_name(status));
		ck_assert_int_eq(result == NULL, refused);
		if (!refused && asks[_i].done == POSITION)
			ck_assert_uint_ne(mews_result_position(result), 0);
		if (!refused && asks[_i].done == BINARY)
			ck_assert_int_eq(PQfformat(mews_result_pg(result), 0),
			    1);
		mews_result_free(&result);
		mews_lease_end(&lease);
	}
}
END_TEST

START_TEST(a_group_that_reads_gives_no_position)
{
	const struct mews_query_args args = { .sql = "select 7",
		.flags = MEWS_QUERY_POSITION };
	struct mews_lease      *lease = cluster_lease(cluster_group("any"));
	struct mews_result     *result;

	ck_assert_int_eq(mews_lease_query_run(lease, &args, &result),
	    MEWS_INVALID);
	mews_lease_end(&lease);
	ck_assert_int_eq(mews_query_run(cluster_group("any"), &args, &result),
	    MEWS_INVALID);
	ck_assert_ptr_nonnull(strstr(mews_group_message(cluster_group("any")),
	    "POSITION"));
}
END_TEST

/* The position of a transaction that ends by SQL. @wished: the insert asks for
 * it; else the end does. */
static uint64_t
position_by_hand(const char *begin, const char *end, bool wished)
{
	struct mews_lease      *lease = cluster_lease(cluster_group("auto"));
	struct mews_query_args	insert = {
		.sql = "insert into called values (1)",
		.flags = wished ? MEWS_QUERY_POSITION : 0 };
	struct mews_query_args	last = { .sql = end,
		.flags = wished ? 0 : MEWS_QUERY_POSITION };
	struct mews_result     *result;
	uint64_t		position;

	if (begin != NULL)
		cluster_on_lease(lease, begin);
	else
		mews_lease_transaction(lease, NULL);
	ck_assert_int_eq(mews_lease_query_run(lease, &insert, &result),
	    MEWS_OK);
	ck_assert_uint_eq(mews_result_position(result), 0);
	mews_result_free(&result);
	ck_assert_int_eq(mews_lease_query_run(lease, &last, &result),
	    MEWS_OK);
	position = mews_result_position(result);
	mews_result_free(&result);
	mews_lease_end(&lease);
	return position;
}

START_TEST(a_commit_by_hand_gives_its_position)
{
	static const char *const ends[] = { "commit", "END work", "; commit",
		"commit and chain", "end transaction and chain" };

	for (size_t i = 0; i < CLUSTER_COUNT(ends); i++)
		for (int wished = 0; wished < 2; wished++) {
			ck_assert_uint_ne(position_by_hand(NULL, ends[i],
			    wished), 0);
			ck_assert_uint_ne(position_by_hand("begin", ends[i],
			    wished), 0);
		}
	ck_assert_uint_eq(position_by_hand("begin", "rollback", true), 0);
}
END_TEST

START_TEST(a_position_behind_an_unanswered_begin_is_refused)
{
	const struct mews_query_args begin = { .sql = "begin" }, insert = {
		.sql = "insert into called values (1)",
		.flags = MEWS_QUERY_POSITION,
	}, commit = { .sql = "commit", .flags = MEWS_QUERY_POSITION };
	struct mews_lease      *lease = cluster_lease(cluster_group("auto"));
	struct mews_result     *result;
	struct asked		asked = { 0 };

	ck_assert_int_eq(mews_lease_query(lease, &begin, cluster_note, &asked,
	    NULL), MEWS_OK);
	ck_assert_int_eq(mews_lease_query_run(lease, &insert, &result),
	    MEWS_INVALID);
	ck_assert_int_eq(mews_lease_query_run(lease, &commit, &result),
	    MEWS_OK);
	ck_assert_uint_ne(mews_result_position(result), 0);
	mews_result_free(&result);
	ck_assert_int_eq(mews_lease_query_run(lease, &insert, &result),
	    MEWS_OK);
	ck_assert_uint_ne(mews_result_position(result), 0);
	mews_result_free(&result);
	mews_lease_end(&lease);
}
END_TEST

START_TEST(a_commit_by_hand_that_rolls_back_is_told)
{
	static const char *const ends[] = { "commit", "end",
		"prepare transaction 'mews called'" };
	struct mews_lease      *lease = cluster_lease(cluster_group("auto"));
	struct mews_query_args	args = { .sql = "insert into nowhere values "
	    "(1)", .flags = MEWS_QUERY_POSITION };
	struct mews_result     *result;

	cluster_on_lease(lease, "begin");
	cluster_on_lease(lease, "insert into called values (1)");
	ck_assert_int_eq(mews_lease_query_run(lease, &args, &result),
	    MEWS_SQL);
	mews_result_free(&result);
	args.sql = ends[_i];
	ck_assert_int_eq(mews_lease_query_run(lease, &args, &result),
	    MEWS_SQL);
	ck_assert_ptr_nonnull(strstr(mews_result_message(result),
	    "rolled back"));
	ck_assert_uint_eq(mews_result_position(result), 0);
	mews_result_free(&result);
	ck_assert_str_eq(cluster_on_lease(lease,
	    "select count(*) from called").value, "0");
	/* A query that fails has no position. */
	args.sql = "insert into nowhere values (1)";
	ck_assert_int_eq(mews_lease_query_run(lease, &args, &result),
	    MEWS_SQL);
	ck_assert_uint_eq(mews_result_position(result), 0);
	mews_result_free(&result);
	mews_lease_end(&lease);
}
END_TEST

START_TEST(a_lease_after_what_no_monitor_measures_is_refused)
{
	struct mews_group *group = cluster_group("standby");
	struct mews_lease *lease;

	ck_assert_int_eq(mews_lease_begin_after_run(group, UINT64_MAX / 2,
	    300, &lease), MEWS_WAITED);
	ck_assert_ptr_null(lease);
	ck_assert_ptr_nonnull(strstr(mews_group_message(group),
	    "no monitor"));
	/* The primary is at each position by definition. */
	ck_assert_int_eq(mews_lease_begin_after_run(cluster_group("auto"),
	    UINT64_MAX / 2, 0, &lease), MEWS_OK);
	ck_assert_str_eq(mews_lease_endpoint(lease), "a");
	mews_lease_end(&lease);
}
END_TEST

START_TEST(a_wait_for_a_position_without_a_monitor_says_so)
{
	const struct mews_query_args args = { .sql = "select 1",
		.after = UINT64_MAX / 2, .wait_ms = 300 };
	struct asked	asked = cluster_run_args(cluster_group("standby"),
	    &args);

	ck_assert_int_ne(asked.status, MEWS_OK);
	ck_assert_msg(strstr(asked.message, "no monitor") != NULL, "%s",
	    asked.message);
}
END_TEST

/* --- time --- */

START_TEST(a_timeout_counts_from_the_call)
{
	struct mews_lease	*lease;
	struct asked		 asked;

	lease = cluster_lease(cluster_group("auto"));
	cluster_on_lease(lease, "select set_config('x.y', 'z', false)");
	mews_lease_end(&lease);
	if (_i == 1) {
		CLUSTER_WAIT((lease =
		    mews_lease_try(cluster_group("auto"))) != NULL);
		mews_lease_end(&lease);
	}
	sleep(6);
	if (_i == 2) {
		CLUSTER_WAIT((lease =
		    mews_lease_try(cluster_group("auto"))) != NULL);
		sleep(1);
		ck_assert_str_eq(cluster_on_lease(lease, "select 1").value,
		    "1");
		ck_assert_int_eq(cluster_logged("lease_forgotten"), 0);
		mews_lease_end(&lease);
	}
	asked = cluster_run(cluster_group("auto"), "select 2");
	ck_assert_str_eq(asked.message, "");
	ck_assert_str_eq(asked.value, "2");
}
END_TEST

/* --- notifications --- */

START_TEST(unread_notifications_take_no_memory)
{
	struct mews_lease	*lease = cluster_lease(cluster_group("auto"));
	long			 before;

	cluster_on_lease(lease, "listen piled");
	cluster_on_lease(lease, "set statement_timeout = 0");
	/* The lease is held (_i is 0), or it has ended. */
	if (_i == 1)
		mews_lease_end(&lease);
	before = resident();
	for (int i = 0; i < 8; i++) {
		/* Payloads differ, as the server sends equal ones once. */
		cluster_ask("a", "select count(pg_notify('piled', "
		    "n || repeat('x', 7000))) from generate_series(1, 1000) "
		    "as n");
		for (int k = 0; k < 20; k++)
			cluster_turn();
		ck_assert_str_eq(_i == 1 ?
		    cluster_run(cluster_group("auto"), "select 1").value :
		    cluster_on_lease(lease, "select 1").value, "1");
	}
	ck_assert_int_lt(resident() - before, 24000);
	mews_lease_end(&lease);
}
END_TEST

/* --- a turn ends --- */

static struct {
	int leases;
	int most;
} greedy;

static void
again(void *arg, struct mews_lease *lease, const struct mews_result *result)
{
	(void)result;
	if (lease == NULL)
		return;
	mews_lease_end(&lease);
	if (++greedy.leases < greedy.most)
		ck_assert_int_eq(mews_lease_begin(cluster_group("auto"), 0,
		    again, arg, NULL), MEWS_OK);
}

START_TEST(a_turn_serves_who_waited_at_its_beginning)
{
	int	before;

	cluster_value(cluster_group("auto"), "select 1");
	greedy.most = 1000;
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(mews_lease_begin(cluster_group("auto"), 0,
		    again, NULL, NULL), MEWS_OK);
	while (greedy.leases < 300) {
		before = greedy.leases;
		ck_assert_int_ge(mews_pool_tick(cluster.pool), 0);
		ck_assert_int_le(greedy.leases - before, 3);
		ck_assert_int_gt(greedy.leases - before, 0);
	}
	greedy.most = 0;
}
END_TEST

static Suite *
lease_calls_suite(void)
{
	Suite *suite = suite_create("lease calls");
	TCase *calls = unit_case(suite, "calls");

	tcase_add_checked_fixture(calls, made, cluster_close);
	tcase_set_timeout(calls, 100);
	tcase_add_loop_test(calls, the_end_of_no_transaction_is_an_error, 0, 2);
	tcase_add_loop_test(calls,
	    options_of_a_leases_transaction_last_until_its_end, 0, 2);
	tcase_add_loop_test(calls,
	    a_copy_by_the_wrong_door_leaves_the_lease_alive, 0, 3);
	tcase_add_loop_test(calls, a_source_that_claims_too_much_stores_nothing,
	    0, 4);
	tcase_add_test(calls, a_commit_gives_its_position);
	tcase_add_test(calls, arguments_that_fit_no_lease_are_refused);
	tcase_add_loop_test(calls,
	    each_argument_is_obeyed_or_refused_at_every_door, 0,
	    (int)CLUSTER_COUNT(asks));
	tcase_add_test(calls, a_group_that_reads_gives_no_position);
	tcase_add_test(calls, a_commit_by_hand_gives_its_position);
	tcase_add_test(calls, a_position_behind_an_unanswered_begin_is_refused);
	tcase_add_loop_test(calls, a_commit_by_hand_that_rolls_back_is_told, 0,
	    3);
	tcase_add_test(calls, a_wait_for_a_position_without_a_monitor_says_so);
	tcase_add_test(calls,
	    a_lease_after_what_no_monitor_measures_is_refused);
	tcase_add_loop_test(calls, a_timeout_counts_from_the_call, 0, 3);
	tcase_add_loop_test(calls, unread_notifications_take_no_memory, 0, 2);
	tcase_add_test(calls, a_turn_serves_who_waited_at_its_beginning);
	return suite;
}

UNIT_MAIN(lease_calls_suite)
