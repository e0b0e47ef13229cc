/*
 * test_copy_refused.c - a COPY that the server refuses, early or late, leaves
 * its connection in step, whatever comes next.
 */
#include "copy.h"

#include <stdio.h>
#include <string.h>

static void
prepare(void)
{
	open_pool();
	cluster_ask("a", "set client_min_messages = warning;"
	    "drop table if exists raises cascade;"
	    "drop table if exists fussy, early;"
	    "create table raises (id int, note text);"
	    "create or replace function no() returns trigger "
	    "language plpgsql as $$ begin raise 'no'; end $$;"
	    "create trigger no before insert on raises "
	    "for each statement execute function no();"
	    "create view looks as select * from raises;"
	    "create table fussy (id int, note text);"
	    "create trigger no after insert on fussy "
	    "for each row execute function no();"
	    "create table early (id int unique deferrable initially deferred, "
	    "note text); insert into early values (1)");
}

static const struct {
	const char *sql;
	const char *sqlstate;
} refused[] = {
	{ "copy raises from stdin", "P0001" },
	{ "copy looks from stdin", "42809" },
	{ "copy copied from stdin with (freeze)", "55000" },
	{ "copy nowhere from stdin", "42P01" },
	{ "copy copied from stdin with (nothing)", "42601" },
	{ "copy fussy from stdin", "P0001" },
	{ "copy copied (note) from stdin", "22P04" },
	{ "copy early from stdin", "23505" },
	{ "copy early from stdin;", "23505" },
};

/* How data is sent: at once, by a blocking call, too late; or the host ends the
 * COPY, or sends none. */
enum sending { AT_ONCE, BLOCKING, LATE, ABORTED, NEVER, SENDINGS };

static int
two_rows(void *arg, void *buffer, size_t size)
{
	int	*left = arg;

	ck_assert_uint_gt(size, 8);
	if ((*left)-- <= 0)
		return 0;
	memcpy(buffer, "1\tx\n", 4);
	return 4;
}

static void
copy(struct mews_lease *lease, const char *sql, enum sending sending,
    struct asked *end)
{
	struct stream		stream = { .lease = lease, .note = "x" };
	struct mews_result     *result;
	int			left = 2;

	if (sending == BLOCKING) {
		end->status = mews_copy_in_run(lease, sql, two_rows, &left,
		    &result);
		ck_assert_ptr_nonnull(result);
		snprintf(end->sqlstate, sizeof(end->sqlstate), "%s",
		    mews_result_sqlstate(result));
		mews_result_free(&result);
		return;
	}
	stream.to_put = sending == AT_ONCE ? 2 : -1;
	ck_assert_int_eq(mews_copy_in(lease, sql, on_room, on_end, &stream,
	    NULL), MEWS_OK);
	if (sending == LATE || sending == ABORTED) {
		CLUSTER_WAIT(stream.rooms > 0 || stream.end.calls > 0);
		for (int i = 0; i < 2; i++)
			put(&stream, "1\tx\n");
		mews_copy_end(lease, sending == ABORTED ? "changed" : NULL);
	}
	CLUSTER_WAIT(stream.end.calls == 1);
	*end = stream.end;
}

/* Make the next call on the lease. */
enum after { A_QUERY, A_STREAM, A_COPY, AN_END, A_LEASE, AFTERS };

static void
go_on(struct mews_lease **lease, enum after after, bool transaction)
{
	struct mews_group      *group = cluster_group("write");
	struct asked		asked[20], end = { 0 };

	if (after != AN_END && after != A_LEASE && transaction)
		ck_assert_int_eq(cluster_rollback(*lease).status, MEWS_OK);
	if (after == A_QUERY || after == A_STREAM)
		for (int i = 0; i < 3; i++)
			ck_assert_str_eq(cluster_on_lease(*lease, "select 5")
			    .value, "5");
	if (after == A_COPY) {
		copy(*lease, "copy copied from stdin", AT_ONCE, &end);
		ck_assert_int_eq(end.status, MEWS_OK);
	}
	mews_lease_end(lease);
	if (after == A_LEASE) {
		*lease = cluster_lease(group);
		ck_assert_str_eq(cluster_on_lease(*lease, "select 6").value,
		    "6");
		mews_lease_end(lease);
	}
	for (size_t i = 0; i < CLUSTER_COUNT(asked); i++)
		cluster_send_sql(&asked[i], group, i % 5 == 4 ?
		    "select 1/0" : "select 7");
	for (size_t i = 0; i < CLUSTER_COUNT(asked); i++) {
		CLUSTER_WAIT(asked[i].calls == 1);
		ck_assert_msg(i % 5 == 4 ? asked[i].status == MEWS_SQL :
		    strcmp(asked[i].value, "7") == 0, "%d: %s", (int)i,
		    asked[i].message);
	}
}

START_TEST(a_refused_copy_leaves_its_connection_in_step)
{
	struct mews_lease      *lease;
	struct asked		end, ahead[3];
	const struct mews_query_args args = { .sql = "select 4" };
	char			pid[80];
	bool			transaction;

	strcpy(pid, cluster_value(cluster_group("write"),
	    "select pg_backend_pid()"));
	for (int i = 0; i < (int)SENDINGS * (int)AFTERS * 2; i++) {
		enum sending	sending = (enum sending)(i / 2 % SENDINGS);

		/* Data that is never sent is not refused for what it says. */
		if (sending == ABORTED || sending == NEVER)
			continue;
		transaction = i % 2 == 1;
		lease = cluster_lease(cluster_group("write"));
		if (transaction)
			ck_assert_int_eq(mews_lease_transaction(lease, NULL),
			    MEWS_OK);
		/* In some rounds there are queries ahead of the COPY. */
		for (int k = 0; k < 3 * (i % 3 == 0); k++) {
			ahead[k] = (struct asked) { 0 };
			ck_assert_int_eq(mews_lease_query(lease, &args,
			    cluster_note, &ahead[k], NULL), MEWS_OK);
		}
		end = (struct asked) { 0 };
		copy(lease, refused[_i].sql, sending, &end);
		for (int k = 0; k < 3 * (i % 3 == 0); k++)
			ck_assert_str_eq(ahead[k].value, "4");
		/* A deferred constraint is judged by the commit only. */
		if (strcmp(refused[_i].sqlstate, "23505") == 0 && transaction)
			ck_assert_int_eq(end.status, MEWS_OK);
		else
			ck_assert_msg(end.status == MEWS_SQL &&
			    strcmp(end.sqlstate, refused[_i].sqlstate) == 0,
			    "%s, %d: %s %s %s", refused[_i].sql, i,
			    mews_status_name(end.status), end.sqlstate,
			    end.message);
		go_on(&lease, (enum after)(i / 2 / SENDINGS), transaction);
	}
	ck_assert_str_eq(cluster_value(cluster_group("write"),
	    "select pg_backend_pid()"), pid);
	ck_assert_int_eq(cluster_logged("connection_lost"), 0);
	ck_assert_str_eq(cluster_state("a"), "up");
}
END_TEST

START_TEST(a_copy_with_more_statements_in_its_text_is_refused)
{
	static const char *const many[] = {
		"copy copied from stdin; select 1",
		"copy copied from stdin; drop table copied",
		"copy copied from stdin;;; copy copied from stdin",
		"copy copied from stdin with (null '\\'); select ')",
	};
	static const char *const one[] = {
		";; copy copied from stdin ; ; -- ;",
		"copy copied from stdin with (delimiter ';', null '\\N')",
		"copy copied from stdin with (null '\\', delimiter ';') ;",
	};
	struct stream	stream = { .to_put = 0 };

	stream.lease = cluster_lease(cluster_group("write"));
	for (size_t i = 0; i < CLUSTER_COUNT(many); i++)
		ck_assert_msg(mews_copy_in(stream.lease, many[i], on_room,
		    on_end, &stream, NULL) == MEWS_INVALID, "%s", many[i]);
	ck_assert_int_eq(mews_copy_out(stream.lease,
	    "copy copied to stdout; select 1", on_data, on_end, &stream,
	    NULL), MEWS_INVALID);
	for (size_t i = 0; i < CLUSTER_COUNT(one); i++) {
		stream.end.calls = 0;
		ck_assert_int_eq(mews_copy_in(stream.lease, one[i], on_room,
		    on_end, &stream, NULL), MEWS_OK);
		CLUSTER_WAIT(stream.end.calls == 1);
		ck_assert_str_eq(stream.end.message, "");
	}
	/* A setting of the session decides where a string ends. */
	cluster_on_lease(stream.lease,
	    "set standard_conforming_strings = off");
	ck_assert_int_eq(mews_copy_in(stream.lease,
	    "copy copied from stdin with (null '\\'', delimiter '|'); "
	    "select ''", on_room, on_end, &stream, NULL), MEWS_INVALID);
	mews_lease_end(&stream.lease);
}
END_TEST

START_TEST(a_piece_without_a_pointer_is_refused)
{
	struct stream	stream = { .to_put = -1 };

	stream.lease = cluster_lease(cluster_group("write"));
	ck_assert_int_eq(mews_copy_in(stream.lease, "copy copied from stdin",
	    on_room, on_end, &stream, NULL), MEWS_OK);
	CLUSTER_WAIT(stream.rooms > 0);
	ck_assert_int_eq(mews_copy_put(stream.lease, NULL, 5), MEWS_INVALID);
	ck_assert_int_eq(mews_copy_put(stream.lease, NULL, 0), MEWS_OK);
	mews_copy_end(stream.lease, NULL);
	CLUSTER_WAIT(stream.end.calls == 1);
	ck_assert_int_eq(stream.end.status, MEWS_OK);
	mews_lease_end(&stream.lease);
}
END_TEST

static Suite *
copy_refused_suite(void)
{
	Suite *suite = suite_create("copy refused");
	TCase *step = unit_case(suite, "in step");

	tcase_add_checked_fixture(step, prepare, cluster_close);
	tcase_set_timeout(step, 100);
	tcase_add_loop_test(step, a_refused_copy_leaves_its_connection_in_step,
	    0, CLUSTER_COUNT(refused));
	tcase_add_test(step,
	    a_copy_with_more_statements_in_its_text_is_refused);
	tcase_add_test(step, a_piece_without_a_pointer_is_refused);
	return suite;
}

UNIT_MAIN(copy_refused_suite)
