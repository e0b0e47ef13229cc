/*
 * test_rows.c - rows one by one: all of them, in order, in constant memory.
 */
#include "cluster.h"
#include "unit.h"

#include <stdio.h>
#include <string.h>

static const struct mews_group_config groups[] = {
	{ .name = "write", .role = MEWS_GROUP_PRIMARY, .connection_count = 1 },
	{ .name = "two", .role = MEWS_GROUP_PRIMARY, .connection_count = 2 },
	{ .name = "read", .role = MEWS_GROUP_STANDBY, .connection_count = 1 },
	{ .name = "hasty", .role = MEWS_GROUP_PRIMARY, .connection_count = 1,
	  .query_timeout = 400 },
};

/* Have sanitizers keep no freed memory, as tests measure how much is used. */
const char *__asan_default_options(void);
const char *
__asan_default_options(void)
{
	return "quarantine_size_mb=1";
}

static void
open_pool(void)
{
	cluster_open(groups, CLUSTER_COUNT(groups));
}

/* A stream, and what its callbacks saw. */
struct stream {
	long rows;
	long pause_at, stop_at; /* after so many rows; 0: never */
	bool ordered;		/* did rows count up from 1 so far? */
	bool end_lease;		/* end the lease instead of pausing */
	bool nest;		/* try a blocking call in a callback */
	struct mews_lease *lease;
	struct asked end;
	long rss, most; /* in kilobytes */
};

static long
resident(void)
{
	FILE   *file = fopen("/proc/self/statm", "r");
	long	size, pages;

	ck_assert_ptr_nonnull(file);
	ck_assert_int_eq(fscanf(file, "%ld %ld", &size, &pages), 2);
	fclose(file);
	return pages * 4;
}

static enum mews_flow
on_row(void *arg, const struct mews_result *row)
{
	struct stream	*stream = arg;
	int64_t		 number;

	/* Tested without check, each assertion of which costs a system call. */
	if (stream->end.calls != 0 || mews_result_status(row) != MEWS_OK ||
	    PQntuples(mews_result_pg(row)) != 1 ||
	    mews_result_int64(row, 0, 0, &number) != MEWS_VALUE_OK)
		ck_abort_msg("row %ld is wrong", stream->rows);
	stream->rows++;
	stream->ordered = stream->ordered && number == stream->rows;
	if (stream->rows % 10000 == 0 && resident() > stream->most)
		stream->most = resident();
	if (stream->nest) {
		struct mews_result     *result;
		struct mews_query_args	args = { .sql = "select 1" };

		ck_assert_int_eq(mews_lease_query_run(stream->lease, &args,
		    &result), MEWS_INVALID);
	}
	if (stream->stop_at != 0) {
		if (stream->rows > stream->stop_at)
			ck_abort_msg("a row came behind the end");
		if (stream->rows == stream->stop_at)
			return MEWS_FLOW_STOP;
	}
	if (stream->pause_at != 0 && stream->rows % stream->pause_at == 0) {
		if (stream->end_lease)
			mews_lease_end(&stream->lease);
		return MEWS_FLOW_PAUSE;
	}
	return MEWS_FLOW_GO;
}

static void
on_end(void *arg, const struct mews_result *result)
{
	struct stream	*stream = arg;

	cluster_note(&stream->end, result);
	if (mews_result_pg(result) != NULL)
		ck_assert_int_eq(PQntuples(mews_result_pg(result)), 0);
}

static void
begin(struct stream *stream, const char *group, const char *sql)
{
	const struct mews_query_args args = { .sql = sql };

	stream->ordered = true;
	if (stream->lease == NULL)
		stream->lease = cluster_lease(cluster_group(group));
	ck_assert_msg(mews_lease_rows(stream->lease, &args, on_row, on_end,
	    stream, &stream->end.id) == MEWS_OK, "%s",
	    mews_group_message(cluster_group(group)));
}

static const char *
backend(struct mews_lease *lease)
{
	static struct asked	asked;

	asked = cluster_on_lease(lease, "select pg_backend_pid()");
	ck_assert_int_eq(asked.status, MEWS_OK);
	return asked.value;
}

/* Does the backend with this pid wait for its client to read? */
static bool
server_waits(const char *pid)
{
	char	sql[160];

	snprintf(sql, sizeof(sql), "select wait_event = 'ClientWrite' from "
	    "pg_stat_activity where pid = %s", pid);
	return strcmp(cluster_ask("a", sql), "t") == 0;
}

#define MILLION "select generate_series(1, 1000000), repeat('x', 500)"
#define ENOUGH	"select generate_series(1, 200000), repeat('x', 500)"

START_TEST(a_stream_of_half_a_gigabyte_takes_little_memory)
{
	struct stream	stream = { .rss = resident() };

	begin(&stream, "write", MILLION);
	CLUSTER_WAIT(stream.end.calls == 1);
	ck_assert_str_eq(stream.end.message, "");
	ck_assert_int_eq(stream.end.status, MEWS_OK);
	ck_assert_int_eq(stream.rows, 1000000);
	ck_assert(stream.ordered);
	ck_assert_int_gt(stream.most, 0);
	ck_assert_int_lt(stream.most - stream.rss, 16 * 1024);
	mews_lease_end(&stream.lease);
}
END_TEST

/* A host that pauses at every row must not make libpq read ahead. */
START_TEST(a_stream_that_is_often_paused_takes_little_memory)
{
	struct stream	stream = { .pause_at = 2, .rss = resident() };

	begin(&stream, "write",
	    "select generate_series(1, 60000), repeat('x', 2000)");
	while (stream.end.calls == 0) {
		CLUSTER_WAIT(stream.end.calls != 0 || stream.rows % 2 == 0);
		ck_assert_int_eq(mews_lease_resume(stream.lease), MEWS_OK);
		mews_pool_turn(cluster.pool, 0);
	}
	ck_assert_int_eq(stream.rows, 60000);
	ck_assert(stream.ordered);
	ck_assert_int_lt(stream.most - stream.rss, 16 * 1024);
	mews_lease_end(&stream.lease);
}
END_TEST

START_TEST(a_paused_stream_stops_the_server)
{
	struct stream	stream = { .pause_at = 1000 };
	struct asked	other = { 0 };
	char		pid[20];

	stream.lease = cluster_lease(cluster_group("two"));
	strcpy(pid, backend(stream.lease));
	begin(&stream, "two", ENOUGH);
	CLUSTER_WAIT(stream.rows == 1000);
	CLUSTER_WAIT(server_waits(pid));
	/* Other queries are served meanwhile. */
	for (int i = 0; i < 100; i++)
		cluster_value(cluster_group("two"), "select 1");
	ck_assert(server_waits(pid));
	ck_assert_int_eq(stream.rows, 1000);
	/* Other queries in flight on the lease wait. */
	ck_assert_int_eq(mews_lease_query(stream.lease,
	    &(struct mews_query_args) { .sql = "select 7" }, cluster_note,
	    &other, NULL), MEWS_OK);
	mews_pool_turn(cluster.pool, 50);
	ck_assert_int_eq(other.calls, 0);
	stream.pause_at = 0;
	ck_assert_int_eq(mews_lease_resume(stream.lease), MEWS_OK);
	ck_assert_int_eq(mews_lease_resume(stream.lease), MEWS_OK);
	CLUSTER_WAIT(other.calls == 1);
	ck_assert_int_eq(stream.end.calls, 1);
	ck_assert_int_eq(stream.rows, 200000);
	ck_assert(stream.ordered);
	ck_assert_str_eq(other.value, "7");
	mews_lease_end(&stream.lease);
}
END_TEST

START_TEST(a_stream_can_be_paused_from_outside)
{
	struct stream	stream = { 0 };

	stream.lease = cluster_lease(cluster_group("write"));
	ck_assert_int_eq(mews_lease_pause(stream.lease), MEWS_INVALID);
	ck_assert_int_eq(mews_lease_resume(stream.lease), MEWS_OK);
	begin(&stream, "write", "select generate_series(1, 1000)");
	ck_assert_int_eq(mews_lease_pause(stream.lease), MEWS_OK);
	for (int i = 0; i < 20; i++)
		mews_pool_turn(cluster.pool, 5);
	ck_assert_int_eq(stream.rows, 0);
	ck_assert_int_eq(mews_lease_resume(stream.lease), MEWS_OK);
	CLUSTER_WAIT(stream.end.calls == 1);
	ck_assert_int_eq(stream.rows, 1000);
	ck_assert_int_eq(mews_lease_pause(stream.lease), MEWS_INVALID);
	mews_lease_end(&stream.lease);
}
END_TEST

START_TEST(a_stopped_stream_leaves_the_lease_usable)
{
	struct stream	stream = { .stop_at = 10 };
	char		pid[20];

	stream.lease = cluster_lease(cluster_group("write"));
	strcpy(pid, backend(stream.lease));
	begin(&stream, "write", "select generate_series(1, 200000)");
	CLUSTER_WAIT(stream.end.calls == 1);
	ck_assert_int_eq(stream.end.status, MEWS_OK);
	ck_assert_int_eq(stream.rows, 10);
	ck_assert_str_eq(backend(stream.lease), pid);
	mews_lease_end(&stream.lease);
}
END_TEST

START_TEST(an_error_in_the_middle_ends_a_stream)
{
	struct stream	stream = { 0 };
	struct asked	asked;

	stream.lease = cluster_lease(cluster_group("write"));
	ck_assert_int_eq(mews_lease_transaction(stream.lease, NULL), MEWS_OK);
	begin(&stream, "write",
	    "select i, 1 / (5000 - i) from generate_series(1, 10000) i");
	CLUSTER_WAIT(stream.end.calls == 1);
	ck_assert_int_eq(stream.end.status, MEWS_SQL);
	ck_assert_str_eq(stream.end.sqlstate, "22012");
	ck_assert_int_eq(stream.rows, 4999);
	asked = cluster_on_lease(stream.lease, "select 1");
	ck_assert_str_eq(asked.sqlstate, "25P02");
	cluster_rollback(stream.lease);
	ck_assert_int_eq(cluster_on_lease(stream.lease, "select 1").status,
	    MEWS_OK);
	mews_lease_end(&stream.lease);
}
END_TEST

/* The rows of a stream were seen, and yet its commit failed. */
START_TEST(a_commit_that_fails_ends_a_stream_with_its_error)
{
	struct stream	stream = { 0 };

	cluster_ask("a", "set client_min_messages = warning; "
	    "drop table if exists late; create table late (i int unique "
	    "deferrable initially deferred); insert into late values (3)");
	begin(&stream, "write", "insert into late "
	    "select generate_series(1, 5) returning i");
	CLUSTER_WAIT(stream.end.calls == 1);
	ck_assert_int_eq(stream.rows, 5);
	ck_assert_int_eq(stream.end.status, MEWS_SQL);
	ck_assert_str_eq(stream.end.sqlstate, "23505");
	ck_assert_str_eq(cluster_on_lease(stream.lease,
	    "select count(*) from late").value, "1");
	mews_lease_end(&stream.lease);
}
END_TEST

START_TEST(streams_and_queries_share_a_flight)
{
	const struct mews_query_args	query = { .sql = "select 42" };
	struct stream			streams[3] = { { 0 } };
	struct asked			asked[3] = { { 0 } };
	struct mews_lease	       *lease;

	lease = cluster_lease(cluster_group("write"));
	ck_assert_int_eq(mews_lease_transaction(lease, NULL), MEWS_OK);
	for (int i = 0; i < 3; i++) {
		streams[i].lease = lease;
		begin(&streams[i], "write", i == 1 ? "select 1 where false" :
		    "select generate_series(1, 1000)");
		ck_assert_int_eq(mews_lease_query(lease, &query, cluster_note,
		    &asked[i], NULL), MEWS_OK);
	}
	CLUSTER_WAIT(asked[2].calls == 1);
	for (int i = 0; i < 3; i++) {
		ck_assert_int_eq(streams[i].end.status, MEWS_OK);
		ck_assert_int_eq(streams[i].rows, i == 1 ? 0 : 1000);
		ck_assert(streams[i].ordered);
		ck_assert_str_eq(asked[i].value, "42");
	}
	ck_assert_int_eq(cluster_commit(lease).status, MEWS_OK);
	mews_lease_end(&lease);
}
END_TEST

START_TEST(a_statement_streams_with_parameters_in_binary)
{
	static const Oid	type = MEWS_TYPE_INT4;
	struct mews_param	param = mews_param_int4(1000);
	struct mews_query_args	args = { .params = &param, .param_count = 1 };
	struct mews_statement  *statement;
	struct mews_lease      *lease = cluster_lease(cluster_group("read"));
	struct mews_result     *result;
	struct stream		stream = { .ordered = true };

	ck_assert_int_eq(mews_statement_register_typed(&statement, cluster.pool,
	    NULL, "select generate_series(1, $1)",
	    MEWS_QUERY_BINARY, &type, 1, NULL),
	    MEWS_OK);
	args.statement = statement;
	for (int i = 0; i < 3; i++) {
		stream.rows = 0;
		ck_assert_int_eq(mews_lease_rows_run(lease, &args, on_row,
		    &stream, &result), MEWS_OK);
		ck_assert_int_eq(stream.rows, 1000);
		ck_assert_str_eq(PQcmdTuples((PGresult *)(uintptr_t)
		    mews_result_pg(result)), "1000");
		mews_result_free(&result);
	}
	ck_assert(stream.ordered);
	mews_lease_end(&lease);
}
END_TEST

START_TEST(a_stream_that_cannot_run_has_no_rows)
{
	struct mews_query_args	args = { .sql = "select nothing" };
	struct mews_lease      *lease = cluster_lease(cluster_group("write"));
	struct mews_statement  *statement;
	struct mews_result     *result;
	struct stream		stream = { .lease = lease };

	ck_assert_int_eq(mews_lease_rows_run(lease, &args, on_row, &stream,
	    &result), MEWS_SQL);
	mews_result_free(&result);
	ck_assert_int_eq(mews_statement_register(&statement, cluster.pool, NULL,
	    "select nothing", 0, NULL),
	    MEWS_OK);
	args.sql = NULL;
	args.statement = statement;
	ck_assert_int_eq(mews_lease_rows_run(lease, &args, on_row, &stream,
	    &result), MEWS_SQL);
	ck_assert_str_eq(mews_result_sqlstate(result), "42703");
	mews_result_free(&result);
	args = (struct mews_query_args) { .sql = "create temp table t ()" };
	ck_assert_int_eq(mews_lease_rows_run(lease, &args, on_row, &stream,
	    &result), MEWS_OK);
	mews_result_free(&result);
	ck_assert_int_eq(stream.rows, 0);
	ck_assert_int_eq(mews_lease_rows_run(lease, &args, NULL, &stream,
	    &result), MEWS_INVALID);
	ck_assert_int_eq(mews_lease_rows(lease, &args, on_row, NULL, &stream,
	    NULL), MEWS_INVALID);
	stream.nest = true;
	args.sql = "select 1";
	ck_assert_int_eq(mews_lease_rows_run(lease, &args, on_row, &stream,
	    &result), MEWS_OK);
	mews_result_free(&result);
	ck_assert_int_eq(stream.rows, 1);
	mews_lease_end(&lease);
}
END_TEST

/* The lease ends at a row, while paused, or before anything arrived. */
START_TEST(a_lease_that_ends_ends_its_streams)
{
	struct stream	stream = { .pause_at = 1000, .end_lease = _i == 0 };
	char		pid[20];

	stream.lease = cluster_lease(cluster_group("write"));
	strcpy(pid, backend(stream.lease));
	begin(&stream, "write", MILLION);
	if (_i < 2)
		CLUSTER_WAIT(stream.rows == 1000);
	mews_lease_end(&stream.lease);
	CLUSTER_WAIT(stream.end.calls == 1);
	ck_assert_int_eq(stream.end.status, MEWS_CANCELED);
	ck_assert_int_eq(stream.rows, _i < 2 ? 1000 : 0);
	/* The group's only connection was ended, and there is another one. */
	ck_assert_str_ne(cluster_value(cluster_group("write"),
	    "select pg_backend_pid()"), pid);
	ck_assert_int_eq(stream.end.calls, 1);
	ck_assert_int_eq(cluster_logged("connection_lost"), 0);
}
END_TEST

START_TEST(a_stream_can_be_given_up)
{
	struct stream	stream = { .pause_at = _i == 0 ? 100 : 0 };
	char		pid[20];

	stream.lease = cluster_lease(cluster_group("write"));
	strcpy(pid, backend(stream.lease));
	begin(&stream, "write", "select generate_series(1, 100000)");
	CLUSTER_WAIT(stream.rows >= 100);
	ck_assert_int_eq(mews_query_cancel(cluster.pool, stream.end.id),
	    MEWS_OK);
	CLUSTER_WAIT(stream.end.calls == 1);
	ck_assert_int_eq(stream.end.status, MEWS_CANCELED);
	/* The other rows are discarded, and the lease is good again. */
	ck_assert_str_eq(backend(stream.lease), pid);
	mews_lease_end(&stream.lease);
}
END_TEST

START_TEST(a_stream_whose_connection_dies_is_lost)
{
	struct stream	stream = { .pause_at = _i == 0 ? 1000 : 0 };
	char		sql[80];

	stream.lease = cluster_lease(cluster_group("write"));
	snprintf(sql, sizeof(sql), "select pg_terminate_backend(%.20s)",
	    backend(stream.lease));
	begin(&stream, "write", MILLION);
	CLUSTER_WAIT(stream.rows >= 1000);
	cluster_ask("a", sql);
	if (_i == 0) {
		stream.pause_at = 0;
		ck_assert_int_eq(mews_lease_resume(stream.lease), MEWS_OK);
	}
	CLUSTER_WAIT(stream.end.calls == 1);
	ck_assert_int_eq(stream.end.status, MEWS_LOST);
	ck_assert_int_lt(stream.rows, 1000000);
	ck_assert_int_eq(mews_lease_resume(stream.lease), MEWS_UNAVAILABLE);
	ck_assert_int_eq(mews_lease_pause(stream.lease), MEWS_UNAVAILABLE);
	mews_lease_end(&stream.lease);
	cluster_value(cluster_group("write"), "select 1");
}
END_TEST

START_TEST(closing_the_pool_ends_a_stream)
{
	struct stream	stream = { .pause_at = 1000 };

	begin(&stream, "write", MILLION);
	CLUSTER_WAIT(stream.rows == 1000);
	mews_pool_close(&cluster.pool);
	ck_assert_int_eq(stream.end.calls, 1);
	ck_assert_int_eq(stream.end.status, MEWS_CANCELED);
	ck_assert_int_eq(mews_lease_resume(stream.lease), MEWS_INVALID);
	mews_lease_end(&stream.lease);
}
END_TEST

/* Rows that keep coming are no stall, however slow the host is; a pause without
 * an end is a forgotten lease. The server is blamed for neither. */
START_TEST(a_forgotten_pause_gives_the_connection_back)
{
	struct stream	stream = { .pause_at = 1000 };

	stream.lease = cluster_lease(cluster_group("hasty"));
	cluster_on_lease(stream.lease, "set statement_timeout = 0");
	begin(&stream, "hasty", MILLION);
	CLUSTER_WAIT(stream.rows == 1000);
	CLUSTER_WAIT(stream.end.calls == 1);
	ck_assert_int_eq(stream.end.status, MEWS_LOST);
	ck_assert_int_eq(stream.rows, 1000);
	ck_assert_int_eq(cluster_logged("lease_forgotten"), 1);
	ck_assert_int_eq(cluster_logged("watchdog"), 0);
	mews_lease_end(&stream.lease);
	cluster_value(cluster_group("hasty"), "select 1");
}
END_TEST

START_TEST(a_slow_stream_is_not_forgotten)
{
	struct stream	stream = { .pause_at = 100 };
	int64_t		start;

	stream.lease = cluster_lease(cluster_group("hasty"));
	cluster_on_lease(stream.lease, "set statement_timeout = 0");
	begin(&stream, "hasty", "select generate_series(1, 1000)");
	for (int i = 1; i <= 10; i++) {
		CLUSTER_WAIT(stream.rows == i * 100);
		start = cluster_now();
		CLUSTER_WAIT(cluster_now() - start > 200);
		ck_assert_int_eq(mews_lease_resume(stream.lease), MEWS_OK);
	}
	CLUSTER_WAIT(stream.end.calls == 1);
	ck_assert_int_eq(stream.end.status, MEWS_OK);
	ck_assert_int_eq(cluster_logged("lease_forgotten"), 0);
	mews_lease_end(&stream.lease);
}
END_TEST

START_TEST(the_server_ends_a_stream_that_takes_too_long)
{
	struct stream	stream = { 0 };

	begin(&stream, "hasty", "select i, pg_sleep(0.01) "
	    "from generate_series(1, 1000) i");
	CLUSTER_WAIT(stream.end.calls == 1);
	ck_assert_int_eq(stream.end.status, MEWS_TIMEOUT);
	mews_lease_end(&stream.lease);
}
END_TEST

static Suite *
rows_suite(void)
{
	Suite *suite = suite_create("rows");
	TCase *flow = unit_case(suite, "flow");
	TCase *ends = unit_case(suite, "ends");
	TCase *cases[] = { flow, ends };

	for (size_t i = 0; i < CLUSTER_COUNT(cases); i++) {
		tcase_add_checked_fixture(cases[i], open_pool, cluster_close);
		tcase_set_timeout(cases[i], 180);
	}
	tcase_add_test(flow, a_stream_of_half_a_gigabyte_takes_little_memory);
	tcase_add_test(flow, a_stream_that_is_often_paused_takes_little_memory);
	tcase_add_test(flow, a_paused_stream_stops_the_server);
	tcase_add_test(flow, a_stream_can_be_paused_from_outside);
	tcase_add_test(flow, a_stopped_stream_leaves_the_lease_usable);
	tcase_add_test(flow, streams_and_queries_share_a_flight);
	tcase_add_test(flow, a_statement_streams_with_parameters_in_binary);
	tcase_add_test(flow, a_stream_that_cannot_run_has_no_rows);
	tcase_add_test(ends, an_error_in_the_middle_ends_a_stream);
	tcase_add_test(ends, a_commit_that_fails_ends_a_stream_with_its_error);
	tcase_add_loop_test(ends, a_lease_that_ends_ends_its_streams, 0, 3);
	tcase_add_loop_test(ends, a_stream_can_be_given_up, 0, 2);
	tcase_add_loop_test(ends, a_stream_whose_connection_dies_is_lost, 0, 2);
	tcase_add_test(ends, closing_the_pool_ends_a_stream);
	tcase_add_test(ends, a_forgotten_pause_gives_the_connection_back);
	tcase_add_test(ends, a_slow_stream_is_not_forgotten);
	tcase_add_test(ends, the_server_ends_a_stream_that_takes_too_long);
	return suite;
}

UNIT_MAIN(rows_suite)
