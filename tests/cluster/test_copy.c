/*
 * test_copy.c - COPY both ways: whole or not at all, in constant memory, and
 * nothing of it is left to the next user of the connection.
 */
#include "copy.h"

#include <stdio.h>
#include <string.h>

/* --- COPY out --- */

START_TEST(a_hundred_megabytes_out_takes_no_memory)
{
	struct stream	stream = { 0 };
	long		before = resident();

	begin_out(&stream, "write", MUCH);
	CLUSTER_WAIT(stream.end.calls == 1);
	ck_assert_str_eq(stream.end.message, "");
	ck_assert_str_eq(stream.rows, "200000");
	ck_assert_int_eq(stream.pieces, ROWS);
	ck_assert(stream.ordered);
	ck_assert_int_gt(stream.most, 0);
	ck_assert_int_lt(stream.most - before, 16 * 1024);
	/* The connection is in pipeline mode again. */
	ck_assert_int_eq(cluster_on_lease(stream.lease, "select 1").status,
	    MEWS_OK);
	mews_lease_end(&stream.lease);
}
END_TEST

START_TEST(a_paused_copy_stops_the_server)
{
	struct stream	stream = { .pause_at = 1000 };
	char		pid[20];

	stream.lease = cluster_lease(cluster_group("two"));
	strcpy(pid, backend(stream.lease));
	begin_out(&stream, "two", MUCH);
	CLUSTER_WAIT(stream.pieces == 1000);
	CLUSTER_WAIT(server_waits(pid, "ClientWrite"));
	for (int i = 0; i < 100; i++)
		cluster_value(cluster_group("two"), "select 1");
	ck_assert_int_eq(stream.pieces, 1000);
	stream.pause_at = 0;
	ck_assert_int_eq(mews_lease_resume(stream.lease), MEWS_OK);
	CLUSTER_WAIT(stream.end.calls == 1);
	ck_assert_int_eq(stream.pieces, ROWS);
	ck_assert(stream.ordered);
	mews_lease_end(&stream.lease);
}
END_TEST

START_TEST(a_stopped_copy_leaves_the_lease_usable)
{
	struct stream	stream = { .stop_at = 10 };
	char		pid[20];

	stream.lease = cluster_lease(cluster_group("write"));
	strcpy(pid, backend(stream.lease));
	begin_out(&stream, "write",
	    "copy (select generate_series(1, 200000)) to stdout");
	CLUSTER_WAIT(stream.end.calls == 1);
	ck_assert_int_eq(stream.end.status, MEWS_OK);
	ck_assert_int_eq(stream.pieces, 10);
	ck_assert_str_eq(backend(stream.lease), pid);
	mews_lease_end(&stream.lease);
}
END_TEST

START_TEST(a_copy_out_that_fails_says_so)
{
	static const struct {
		const char *sql;
		const char *state;
		long pieces;
	} rows[] = {
		{ "copy (select i, 1 / (5000 - i) from "
		  "generate_series(1, 9999) i) to stdout", "22012", 4999 },
		{ "copy nowhere to stdout", "42P01", 0 },
		{ "copy (select 1) to stdout nonsense", "42601", 0 },
	};
	struct stream	stream = { 0 };

	begin_out(&stream, "read", rows[_i].sql);
	CLUSTER_WAIT(stream.end.calls == 1);
	ck_assert_int_eq(stream.end.status, MEWS_SQL);
	ck_assert_str_eq(stream.end.sqlstate, rows[_i].state);
	ck_assert_int_eq(stream.pieces, rows[_i].pieces);
	ck_assert_int_eq(cluster_on_lease(stream.lease, "select 1").status,
	    MEWS_OK);
	mews_lease_end(&stream.lease);
}
END_TEST

/* --- COPY in --- */

/* Have the server read no further, because a trigger waits for a lock, until
 * let_go(). */
static struct mews_lease *
hold_server(void)
{
	struct mews_lease	*lock = cluster_lease(cluster_group("two"));

	cluster_ask("a", "create or replace function slow() returns trigger "
	    "language plpgsql as $$ begin "
	    "perform pg_advisory_xact_lock(7); return new; end $$; "
	    "create trigger slow before insert on copied "
	    "for each row when (new.id = 1) execute function slow()");
	cluster_on_lease(lock, "select pg_advisory_lock(7)");
	return lock;
}

static void
let_go(struct mews_lease **lock)
{
	ck_assert_int_eq(cluster_on_lease(*lock,
	    "select pg_advisory_unlock(7)").status, MEWS_OK);
	mews_lease_end(lock);
}

START_TEST(many_rows_in_take_no_memory)
{
	struct stream	stream = { .to_put = 200000, .note =
	    "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghijkl"
	    "mnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwx"
	};
	struct mews_lease *lock = hold_server();
	long		   before = resident();

	begin_in(&stream, "write");
	CLUSTER_WAIT(stream.rooms == 1);
	/* Some rows are left to put, however slow the host is. */
	ck_assert_int_lt(stream.was_put, stream.to_put);
	let_go(&lock);
	CLUSTER_WAIT(stream.end.calls == 1);
	ck_assert_str_eq(stream.end.message, "");
	ck_assert_str_eq(stream.rows, "200000");
	ck_assert_str_eq(stored(), "200000");
	ck_assert_int_gt(stream.rooms, 1);
	ck_assert_int_lt(stream.most - before, 4 * 1024);
	mews_lease_end(&stream.lease);
}
END_TEST

START_TEST(a_server_that_does_not_read_stops_the_host)
{
	struct stream	    stream = { .to_put = 1000000,
		.note = "yyyyyyyyyy" };
	struct mews_lease  *lock = hold_server();
	long		    put_before;

	begin_in(&stream, "write");
	CLUSTER_WAIT(stream.was_put > 0 &&
	    put(&stream, "") == MEWS_OVERLOAD);
	put_before = stream.was_put;
	ck_assert_uint_lt(stream.bytes, 16 * 1024 * 1024);
	for (int i = 0; i < 20; i++)
		mews_pool_turn(cluster.pool, 5);
	ck_assert_int_eq(stream.was_put, put_before);
	/* A thousand more rows suffice. */
	stream.to_put = put_before + 1000;
	let_go(&lock);
	CLUSTER_WAIT(stream.end.calls == 1);
	ck_assert_str_eq(stream.end.message, "");
	ck_assert_int_eq(stream.was_put, put_before + 1000);
	ck_assert_int_eq(atoi(stored()), stream.was_put);
	mews_lease_end(&stream.lease);
}
END_TEST

/* The host hears of a mistake before it has put all rows. */
START_TEST(a_bad_line_ends_it_early)
{
	struct stream	stream = { .to_put = -1 };
	char		pid[20];

	stream.lease = cluster_lease(cluster_group("write"));
	strcpy(pid, backend(stream.lease));
	begin_in(&stream, "write");
	CLUSTER_WAIT(stream.rooms == 1);
	ck_assert_int_eq(put(&stream, "1\tone\n2\t"), MEWS_OK);
	ck_assert_int_eq(put(&stream, "two\nthree\tbad\n"), MEWS_OK);
	if (_i == 0) {
		CLUSTER_WAIT(stream.end.calls == 1);
	} else {
		/* The mistake stands in the middle of many rows. */
		while (stream.end.calls == 0) {
			if (put(&stream, "7\tseven\n") != MEWS_OK)
				mews_pool_turn(cluster.pool, 1);
			else if (stream.bytes++ % 100 == 0)
				mews_pool_turn(cluster.pool, 0);
		}
	}
	ck_assert_int_eq(stream.end.status, MEWS_SQL);
	ck_assert_str_eq(stream.end.sqlstate, "22P02");
	ck_assert_ptr_nonnull(strstr(stream.end.message, "three"));
	ck_assert_int_eq(put(&stream, "4\tfour\n"), MEWS_INVALID);
	ck_assert_int_eq(mews_copy_end(stream.lease, NULL), MEWS_INVALID);
	ck_assert_str_eq(backend(stream.lease), pid);
	ck_assert_str_eq(stored(), "0");
	mews_lease_end(&stream.lease);
}
END_TEST

START_TEST(a_bad_line_at_the_end_is_told_at_the_end)
{
	struct stream	stream = { .to_put = -1 };

	begin_in(&stream, "write");
	CLUSTER_WAIT(stream.rooms == 1);
	ck_assert_int_eq(put(&stream, "1\tone\nbad\tbad"), MEWS_OK);
	ck_assert_int_eq(mews_copy_end(stream.lease, NULL), MEWS_OK);
	ck_assert_int_eq(mews_copy_end(stream.lease, NULL), MEWS_INVALID);
	CLUSTER_WAIT(stream.end.calls == 1);
	ck_assert_int_eq(stream.end.status, MEWS_SQL);
	ck_assert_str_eq(stored(), "0");
	mews_lease_end(&stream.lease);
}
END_TEST

/* Notices are no errors, even in several packets. */
START_TEST(notices_do_not_end_it)
{
	struct stream	stream = { .to_put = -1 };

	cluster_ask("a", "create or replace function noisy() returns trigger "
	    "language plpgsql as $$ begin "
	    "raise notice '%', repeat('n', new.id * 1000); return new; end "
	    "$$; create trigger noisy before insert on copied "
	    "for each row execute function noisy()");
	begin_in(&stream, "write");
	CLUSTER_WAIT(stream.rooms == 1);
	for (int i = 1; i <= 300; i++) {
		char	line[20];
		int64_t	start = cluster_now();

		snprintf(line, sizeof(line), "%d\tx\n", i);
		ck_assert_int_eq(put(&stream, line), MEWS_OK);
		mews_pool_turn(cluster.pool, 5);
		/* Longer than a part of a notice is waited for. */
		if (i % 100 == 0)
			CLUSTER_WAIT(cluster_now() - start > 250);
		ck_assert_int_eq(stream.end.calls, 0);
	}
	ck_assert_int_eq(mews_copy_end(stream.lease, NULL), MEWS_OK);
	CLUSTER_WAIT(stream.end.calls == 1);
	ck_assert_str_eq(stream.end.message, "");
	ck_assert_str_eq(stored(), "300");
	mews_lease_end(&stream.lease);
}
END_TEST

START_TEST(an_aborted_copy_stores_nothing)
{
	struct stream	stream = { .to_put = -1 };
	char		pid[20];

	stream.lease = cluster_lease(cluster_group("write"));
	strcpy(pid, backend(stream.lease));
	begin_in(&stream, "write");
	/* The COPY is ended before the server is ready for data, or after. */
	if (_i == 1) {
		CLUSTER_WAIT(stream.rooms == 1);
		ck_assert_int_eq(put(&stream, "1\tone\n"), MEWS_OK);
	}
	ck_assert_int_eq(mews_copy_end(stream.lease, "changed my mind"),
	    MEWS_OK);
	CLUSTER_WAIT(stream.end.calls == 1);
	ck_assert_int_eq(stream.end.status, MEWS_CANCELED);
	ck_assert_int_eq(stream.rooms, _i);
	ck_assert_str_eq(stored(), "0");
	ck_assert_str_eq(backend(stream.lease), pid);
	mews_lease_end(&stream.lease);
}
END_TEST

START_TEST(nothing_at_all_can_be_copied)
{
	struct stream	stream = { .to_put = 0 };

	begin_in(&stream, "write");
	CLUSTER_WAIT(stream.end.calls == 1);
	ck_assert_str_eq(stream.rows, "0");
	begin_out(&stream, "write", "copy copied to stdout");
	CLUSTER_WAIT(stream.end.calls == 2);
	ck_assert_str_eq(stream.rows, "0");
	ck_assert_int_eq(stream.pieces, 0);
	mews_lease_end(&stream.lease);
}
END_TEST

START_TEST(a_copy_that_cannot_begin_asks_for_no_data)
{
	struct stream	stream = { .to_put = 1, .note = "x" };

	stream.lease = cluster_lease(cluster_group("write"));
	ck_assert_int_eq(mews_copy_in(stream.lease, "copy nowhere from stdin",
	    on_room, on_end, &stream, NULL), MEWS_OK);
	CLUSTER_WAIT(stream.end.calls == 1);
	ck_assert_str_eq(stream.end.sqlstate, "42P01");
	ck_assert_int_eq(stream.rooms, 0);
	begin_in(&stream, "write");
	CLUSTER_WAIT(stream.end.calls == 2);
	ck_assert_str_eq(stored(), "1");
	mews_lease_end(&stream.lease);
}
END_TEST

static Suite *
copy_suite(void)
{
	Suite *suite = suite_create("copy");
	TCase *out = unit_case(suite, "out");
	TCase *in = unit_case(suite, "in");
	TCase *cases[] = { out, in };

	for (size_t i = 0; i < CLUSTER_COUNT(cases); i++) {
		tcase_add_checked_fixture(cases[i], open_pool, cluster_close);
		tcase_set_timeout(cases[i], 180);
	}
	tcase_add_test(out, a_hundred_megabytes_out_takes_no_memory);
	tcase_add_test(out, a_paused_copy_stops_the_server);
	tcase_add_test(out, a_stopped_copy_leaves_the_lease_usable);
	tcase_add_loop_test(out, a_copy_out_that_fails_says_so, 0, 3);
	tcase_add_test(in, many_rows_in_take_no_memory);
	tcase_add_test(in, a_server_that_does_not_read_stops_the_host);
	tcase_add_loop_test(in, a_bad_line_ends_it_early, 0, 2);
	tcase_add_test(in, a_bad_line_at_the_end_is_told_at_the_end);
	tcase_add_test(in, notices_do_not_end_it);
	tcase_add_loop_test(in, an_aborted_copy_stores_nothing, 0, 2);
	tcase_add_test(in, nothing_at_all_can_be_copied);
	tcase_add_test(in, a_copy_that_cannot_begin_asks_for_no_data);
	return suite;
}

UNIT_MAIN(copy_suite)
