/*
 * test_copy_lease.c - COPY as a part of what a lease does, and how a COPY ends:
 * in the middle, late, or in a blocking call.
 */
#include "copy.h"

#include <stdio.h>
#include <string.h>

/* --- the lease around a COPY --- */

START_TEST(a_copy_is_part_of_a_transaction)
{
	const struct mews_transaction serializable = {
		.isolation = MEWS_ISOLATION_SERIALIZABLE,
	};
	struct stream	stream = { .to_put = 5 };

	for (int i = 0; i < 2; i++) {
		stream.was_put = 0;
		stream.end.calls = 0;
		stream.lease = cluster_lease(cluster_group("manual"));
		ck_assert_int_eq(mews_lease_transaction(stream.lease,
		    &serializable), MEWS_OK);
		/* BEGIN is sent ahead of the COPY. */
		begin_in(&stream, "manual");
		CLUSTER_WAIT(stream.end.calls == 1);
		ck_assert_int_eq(stream.end.status, MEWS_OK);
		ck_assert_str_eq(cluster_on_lease(stream.lease,
		    "show transaction_isolation").value, "serializable");
		ck_assert_str_eq(stored(), "0");
		if (i == 1)
			ck_assert_int_eq(cluster_commit(stream.lease).status,
			    MEWS_OK);
		mews_lease_end(&stream.lease);
	}
	ck_assert_str_eq(stored(), "5");
}
END_TEST

START_TEST(a_copy_waits_for_what_is_ahead_of_it)
{
	const struct mews_query_args	query = { .sql = "select 7" };
	struct stream			stream = { .to_put = 5 };
	struct asked			asked[3] = { { 0 } };
	struct mews_result	       *result;

	/* The connection needs a reset first, and a transaction begins. */
	stream.lease = cluster_lease(cluster_group("write"));
	cluster_on_lease(stream.lease, "set search_path = nowhere");
	mews_lease_end(&stream.lease);
	stream.lease = cluster_lease(cluster_group("write"));
	ck_assert_int_eq(mews_lease_transaction(stream.lease, NULL), MEWS_OK);
	for (int i = 0; i < 3 * _i; i++)
		ck_assert_int_eq(mews_lease_query(stream.lease, &query,
		    cluster_note, &asked[i], NULL), MEWS_OK);
	begin_in(&stream, "write");
	/* Nothing may be sent behind a COPY that runs. */
	ck_assert_int_eq(mews_lease_query_run(stream.lease, &query, &result),
	    MEWS_INVALID);
	ck_assert_int_eq(mews_lease_transaction(stream.lease, NULL),
	    MEWS_INVALID);
	ck_assert_int_eq(mews_lease_commit(stream.lease, cluster_note,
	    &asked[0]), MEWS_INVALID);
	ck_assert_int_eq(mews_copy_out(stream.lease, MUCH, on_data, on_end,
	    &stream, NULL), MEWS_INVALID);
	ck_assert_int_eq(mews_copy_in(stream.lease, "copy copied from stdin",
	    on_room, on_end, &stream, NULL), MEWS_INVALID);
	ck_assert_ptr_nonnull(strstr(mews_group_message(
	    cluster_group("write")), "COPY runs"));
	/* No room yet: the server was not even asked. */
	ck_assert_int_eq(put(&stream, "1\tx\n"), MEWS_OVERLOAD);
	CLUSTER_WAIT(stream.end.calls == 1);
	ck_assert_str_eq(stream.end.message, "");
	for (int i = 0; i < 3 * _i; i++)
		ck_assert_str_eq(asked[i].value, "7");
	ck_assert_int_eq(cluster_commit(stream.lease).status, MEWS_OK);
	mews_lease_end(&stream.lease);
	ck_assert_str_eq(stored(), "5");
}
END_TEST

START_TEST(only_copy_is_copied)
{
	static const char *const in[] = { NULL, "", "select 1",
		"copy copied to stdout", "copy copied from '/nowhere'",
		"copy (select 'from stdin') to stdout",
		"select 1 /* copy copied from stdin */" };
	static const char *const out[] = { NULL, "", "select 1",
		"copy copied from stdin", "copy copied to '/nowhere'",
		"insert into copied values (1) /* to stdout */" };
	struct stream	stream = { 0 };
	struct mews_query_args args = { .sql = "COPY copied\nFROM STDIN" };

	stream.lease = cluster_lease(cluster_group("write"));
	for (size_t i = 0; i < CLUSTER_COUNT(in); i++)
		ck_assert_int_eq(mews_copy_in(stream.lease, in[i], on_room,
		    on_end, &stream, NULL), MEWS_INVALID);
	for (size_t i = 0; i < CLUSTER_COUNT(out); i++)
		ck_assert_int_eq(mews_copy_out(stream.lease, out[i], on_data,
		    on_end, &stream, NULL), MEWS_INVALID);
	ck_assert_int_eq(mews_copy_in(stream.lease, "copy copied from stdin",
	    NULL, on_end, &stream, NULL), MEWS_INVALID);
	ck_assert_int_eq(mews_copy_out(stream.lease, MUCH, on_data, NULL,
	    &stream, NULL), MEWS_INVALID);
	ck_assert_int_eq(put(&stream, "x"), MEWS_INVALID);
	ck_assert_int_eq(mews_copy_end(stream.lease, NULL), MEWS_INVALID);
	/* A query without COPY in it is refused. */
	ck_assert_int_eq(mews_lease_query(stream.lease, &args, cluster_note,
	    &stream.end, NULL), MEWS_INVALID);
	args.sql = "copy copied to stdout";
	ck_assert_int_eq(mews_lease_query(stream.lease, &args, cluster_note,
	    &stream.end, NULL), MEWS_INVALID);
	ck_assert_int_eq(cluster_on_lease(stream.lease, "select 1").status,
	    MEWS_OK);
	mews_lease_end(&stream.lease);
}
END_TEST

/* --- a COPY that is left in the middle --- */

enum middle { OUT_FLOWING, OUT_PAUSED, OUT_IN_CALLBACK, IN_WAITING, IN_PUT,
	IN_ENDING, NOT_BEGUN, MIDDLES };

static void
get_into(struct stream *stream, enum middle middle)
{
	stream->lease = cluster_lease(cluster_group("write"));
	ck_assert_int_eq(mews_lease_transaction(stream->lease, NULL),
	    MEWS_OK);
	cluster_on_lease(stream->lease, "insert into copied values (1)");
	switch (middle) {
	case OUT_FLOWING:
	case OUT_PAUSED:
	case OUT_IN_CALLBACK:
		stream->pause_at = middle == OUT_FLOWING ? 0 : 100;
		stream->end_lease = middle == OUT_IN_CALLBACK;
		begin_out(stream, "write", MUCH);
		CLUSTER_WAIT(stream->pieces >= 100);
		break;
	case NOT_BEGUN:
		stream->to_put = -1;
		begin_in(stream, "write");
		break;
	default:
		stream->to_put = -1;
		begin_in(stream, "write");
		CLUSTER_WAIT(stream->rooms == 1);
		if (middle != IN_WAITING)
			ck_assert_int_eq(put(stream, "1\tx\n2\tx"), MEWS_OK);
		if (middle == IN_ENDING)
			ck_assert_int_eq(mews_copy_end(stream->lease, NULL),
			    MEWS_OK);
	}
}

START_TEST(a_lease_that_ends_in_a_copy_leaves_nothing)
{
	struct stream	stream = { 0 };

	get_into(&stream, (enum middle)_i);
	mews_lease_end(&stream.lease);
	CLUSTER_WAIT(stream.end.calls == 1);
	ck_assert_int_eq(stream.end.status, MEWS_CANCELED);
	ck_assert_str_eq(cluster_value(cluster_group("write"), "select 7"),
	    "7");
	CLUSTER_WAIT(cluster_ask_int("a", "select count(*) from "
	    "pg_stat_activity where query ilike 'copy%' and state = 'active'")
	    == 0);
	ck_assert_str_eq(stored(), "0");
	ck_assert_int_eq(stream.end.calls, 1);
	ck_assert_int_eq(cluster_logged("watchdog"), 0);
}
END_TEST

START_TEST(a_copy_can_be_given_up)
{
	struct stream	stream = { 0 };

	if (_i == OUT_IN_CALLBACK)
		return;
	get_into(&stream, (enum middle)_i);
	ck_assert_int_eq(mews_query_cancel(cluster.pool, stream.end.id),
	    MEWS_OK);
	CLUSTER_WAIT(stream.end.calls == 1);
	ck_assert_int_eq(stream.end.status, MEWS_CANCELED);
	/* The lease is usable again when the server has acknowledged the
	 * end. */
	CLUSTER_WAIT(mews_lease_transaction(stream.lease, NULL) == MEWS_OK);
	cluster_rollback(stream.lease);
	backend(stream.lease);
	ck_assert_str_eq(stored(), "0");
	mews_lease_end(&stream.lease);
}
END_TEST

START_TEST(a_copy_whose_connection_dies_is_lost)
{
	struct stream	stream = { 0 };

	if (_i == OUT_IN_CALLBACK)
		return;
	get_into(&stream, (enum middle)_i);
	cluster_ask("a", "select pg_terminate_backend(pid) from "
	    "pg_stat_activity where application_name = 'mews:cluster'");
	if (_i == OUT_PAUSED) {
		stream.pause_at = 0;
		mews_lease_resume(stream.lease);
	}
	CLUSTER_WAIT(stream.end.calls == 1);
	/* The COPY may have ended before, but not the transaction. */
	if (_i != IN_ENDING)
		ck_assert_int_eq(stream.end.status, MEWS_UNDONE);
	CLUSTER_WAIT(put(&stream, "x") == MEWS_UNAVAILABLE);
	ck_assert_int_eq(mews_copy_end(stream.lease, NULL), MEWS_UNAVAILABLE);
	mews_lease_end(&stream.lease);
	ck_assert_str_eq(stored(), "0");
	cluster_value(cluster_group("write"), "select 1");
}
END_TEST

START_TEST(closing_the_pool_ends_a_copy)
{
	struct stream	stream = { 0 };

	if (_i == OUT_IN_CALLBACK)
		return;
	get_into(&stream, (enum middle)_i);
	mews_pool_close(&cluster.pool);
	ck_assert_int_eq(stream.end.calls, 1);
	ck_assert_int_eq(stream.end.status, MEWS_CANCELED);
	ck_assert_int_eq(put(&stream, "x"), MEWS_INVALID);
	ck_assert_int_eq(mews_copy_end(stream.lease, NULL), MEWS_INVALID);
	mews_lease_end(&stream.lease);
	ck_assert_str_eq(stored(), "0");
}
END_TEST

/* --- time --- */

START_TEST(the_server_ends_a_host_that_takes_too_long)
{
	struct stream	stream = { .to_put = -1 };

	begin_in(&stream, "hasty");
	CLUSTER_WAIT(stream.rooms == 1);
	while (stream.end.calls == 0) {
		ck_assert_int_ne(put(&stream, "1\tx\n"), MEWS_UNAVAILABLE);
		cluster_turn();
	}
	ck_assert_int_eq(stream.end.status, MEWS_TIMEOUT);
	ck_assert_int_eq(cluster_logged("lease_forgotten"), 0);
	mews_lease_end(&stream.lease);
	ck_assert_str_eq(stored(), "0");
}
END_TEST

START_TEST(a_forgotten_copy_gives_the_connection_back)
{
	struct stream	stream = { .to_put = -1, .pause_at = 10 };

	stream.lease = cluster_lease(cluster_group("hasty"));
	cluster_on_lease(stream.lease, "set statement_timeout = 0");
	if (_i == 0)
		begin_in(&stream, "hasty");
	else
		begin_out(&stream, "hasty", MUCH);
	CLUSTER_WAIT(stream.end.calls == 1);
	ck_assert_int_eq(stream.end.status, MEWS_LOST);
	ck_assert_int_eq(cluster_logged("lease_forgotten"), 1);
	ck_assert_int_eq(cluster_logged("watchdog"), 0);
	mews_lease_end(&stream.lease);
	cluster_value(cluster_group("hasty"), "select 1");
}
END_TEST

START_TEST(a_slow_host_is_not_forgotten)
{
	struct stream	stream = { .to_put = -1 };

	stream.lease = cluster_lease(cluster_group("hasty"));
	cluster_on_lease(stream.lease, "set statement_timeout = 0");
	begin_in(&stream, "hasty");
	CLUSTER_WAIT(stream.rooms == 1);
	for (int i = 0; i < 8; i++) {
		int64_t	start = cluster_now();

		ck_assert_int_eq(put(&stream, "1\tx\n"), MEWS_OK);
		CLUSTER_WAIT(cluster_now() - start > 250);
	}
	ck_assert_int_eq(mews_copy_end(stream.lease, NULL), MEWS_OK);
	CLUSTER_WAIT(stream.end.calls == 1);
	ck_assert_int_eq(stream.end.status, MEWS_OK);
	ck_assert_int_eq(cluster_logged("lease_forgotten"), 0);
	mews_lease_end(&stream.lease);
	ck_assert_str_eq(stored(), "8");
}
END_TEST

/* --- blocking calls --- */

struct pipe {
	char bytes[100000];
	size_t length, taken;
	int fail_at; /* at which call of the source; 0: never */
	int calls;
};

static enum mews_flow
into_pipe(void *arg, const void *data, size_t length)
{
	struct pipe	*pipe = arg;

	ck_assert_uint_le(pipe->length + length, sizeof(pipe->bytes));
	memcpy(pipe->bytes + pipe->length, data, length);
	pipe->length += length;
	return MEWS_FLOW_GO;
}

/* Give the data in small pieces whose ends are not those of rows. */
static int
out_of_pipe(void *arg, void *buffer, size_t size)
{
	struct pipe    *pipe = arg;
	size_t		length = pipe->length - pipe->taken;

	if (++pipe->calls == pipe->fail_at)
		return -1;
	if (length > 777)
		length = 777;
	ck_assert_uint_le(length, size);
	memcpy(buffer, pipe->bytes + pipe->taken, length);
	pipe->taken += length;
	return (int)length;
}

START_TEST(a_blocking_copy_goes_there_and_back)
{
	static const char *const format[] = { "", " (format csv)",
		" (format binary)" };
	struct mews_lease  *lease = cluster_lease(cluster_group("write"));
	struct pipe	    pipe = { .length = 0 };
	struct mews_result *result;
	char		    sql[200];

	snprintf(sql, sizeof(sql), "copy (select i, E'x\\n\\t' || i from "
	    "generate_series(1, 2000) i) to stdout%s", format[_i]);
	ck_assert_int_eq(mews_copy_out_run(lease, sql, into_pipe, &pipe,
	    &result), MEWS_OK);
	ck_assert_str_eq(PQcmdTuples((PGresult *)(uintptr_t)
	    mews_result_pg(result)), "2000");
	mews_result_free(&result);
	snprintf(sql, sizeof(sql), "copy copied from stdin%s", format[_i]);
	ck_assert_int_eq(mews_copy_in_run(lease, sql, out_of_pipe, &pipe,
	    &result), MEWS_OK);
	mews_result_free(&result);
	ck_assert_str_eq(cluster_on_lease(lease, "select count(*) from copied "
	    "where note = E'x\\n\\t' || id").value, "2000");
	/* A source that fails stores nothing. */
	pipe.taken = 0;
	pipe.fail_at = pipe.calls + 5;
	ck_assert_int_eq(mews_copy_in_run(lease, sql, out_of_pipe, &pipe,
	    &result), MEWS_CANCELED);
	mews_result_free(&result);
	ck_assert_str_eq(stored(), "2000");
	/* A mistake in the data stores nothing. */
	pipe = (struct pipe) { .bytes = "no\tint\n", .length = 7 };
	ck_assert_int_eq(mews_copy_in_run(lease, sql, out_of_pipe, &pipe,
	    &result), MEWS_SQL);
	mews_result_free(&result);
	ck_assert_int_eq(mews_copy_in_run(lease, sql, NULL, &pipe, &result),
	    MEWS_INVALID);
	ck_assert_int_eq(mews_copy_out_run(lease, sql, into_pipe, &pipe,
	    &result), MEWS_INVALID);
	ck_assert_ptr_null(result);
	mews_lease_end(&lease);
}
END_TEST

static Suite *
copy_lease_suite(void)
{
	Suite *suite = suite_create("copy of a lease");
	TCase *lease = unit_case(suite, "lease");
	TCase *middle = unit_case(suite, "middle");
	TCase *time = unit_case(suite, "time");
	TCase *cases[] = { lease, middle, time };

	for (size_t i = 0; i < CLUSTER_COUNT(cases); i++) {
		tcase_add_checked_fixture(cases[i], open_pool, cluster_close);
		tcase_set_timeout(cases[i], 180);
	}
	tcase_add_test(lease, a_copy_is_part_of_a_transaction);
	tcase_add_loop_test(lease, a_copy_waits_for_what_is_ahead_of_it, 0, 2);
	tcase_add_test(lease, only_copy_is_copied);
	tcase_add_loop_test(lease, a_blocking_copy_goes_there_and_back, 0, 3);
	tcase_add_loop_test(middle, a_lease_that_ends_in_a_copy_leaves_nothing,
	    0, MIDDLES);
	tcase_add_loop_test(middle, a_copy_can_be_given_up, 0, MIDDLES);
	tcase_add_loop_test(middle, a_copy_whose_connection_dies_is_lost, 0,
	    MIDDLES);
	tcase_add_loop_test(middle, closing_the_pool_ends_a_copy, 0, MIDDLES);
	tcase_add_test(time, the_server_ends_a_host_that_takes_too_long);
	tcase_add_loop_test(time, a_forgotten_copy_gives_the_connection_back,
	    0, 2);
	tcase_add_test(time, a_slow_host_is_not_forgotten);
	return suite;
}

UNIT_MAIN(copy_lease_suite)
