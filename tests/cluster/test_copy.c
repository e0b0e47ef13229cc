/*
 * test_copy.c - COPY both ways: whole or not at all, in constant memory, and
 * nothing of it left for the next user.
 */
#include "cluster.h"
#include "unit.h"

#include <stdio.h>
#include <string.h>

static const struct mews_group_config groups[] = {
	{ .name = "write", .role = MEWS_GROUP_PRIMARY, .connection_count = 1 },
	{ .name = "two", .role = MEWS_GROUP_PRIMARY, .connection_count = 2 },
	{ .name = "manual", .role = MEWS_GROUP_PRIMARY, .connection_count = 1,
	  .autocommit = MEWS_OFF },
	{ .name = "read", .role = MEWS_GROUP_STANDBY, .connection_count = 1 },
	{ .name = "hasty", .role = MEWS_GROUP_PRIMARY, .connection_count = 1,
	  .query_timeout = 400 },
};

/* What a sanitizer keeps of freed memory is not ours. */
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
	cluster_ask("a", "set client_min_messages = warning; "
	    "drop table if exists copied; "
	    "create table copied (id int not null, note text)");
}

static const char *
stored(void)
{
	return cluster_ask("a", "select count(*) from copied");
}

/* A COPY, as its callbacks see it. */
struct stream {
	struct mews_lease *lease;
	struct asked end;
	char rows[20]; /* as the end tells */
	long pieces, rooms;
	size_t bytes;
	bool ordered;		/* pieces begin with 1, 2, 3 ... */
	long pause_at, stop_at; /* pieces; 0: never */
	bool end_lease;		/* where it would pause */
	long most;		/* kilobytes of memory */

	/* Rows to put in on_room; -1: none. */
	long to_put, was_put;
	const char *note;
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

static void
on_end(void *arg, const struct mews_result *result)
{
	struct stream	*stream = arg;
	PGresult	*pg = (PGresult *)(uintptr_t)mews_result_pg(result);

	cluster_note(&stream->end, result);
	if (pg != NULL)
		snprintf(stream->rows, sizeof(stream->rows), "%s",
		    PQcmdTuples(pg));
}

static enum mews_flow
on_data(void *arg, const void *data, size_t length)
{
	struct stream	*stream = arg;
	const char	*line = data;

	stream->pieces++;
	stream->bytes += length;
	/* An assertion of check's costs a system call. */
	if (stream->end.calls != 0 || line[length] != '\0' || length == 0)
		ck_abort_msg("piece %ld is none", stream->pieces);
	if (strtol(line, NULL, 10) != stream->pieces)
		stream->ordered = false;
	if (stream->pieces % 10000 == 0 && resident() > stream->most)
		stream->most = resident();
	if (stream->stop_at != 0 && stream->pieces >= stream->stop_at)
		return MEWS_FLOW_STOP;
	if (stream->pause_at == 0 || stream->pieces % stream->pause_at != 0)
		return MEWS_FLOW_GO;
	if (stream->end_lease)
		mews_lease_end(&stream->lease);
	return MEWS_FLOW_PAUSE;
}

static void
begin_out(struct stream *stream, const char *group, const char *sql)
{
	stream->ordered = true;
	if (stream->lease == NULL)
		stream->lease = cluster_lease(cluster_group(group));
	ck_assert_msg(mews_copy_out(stream->lease, sql, on_data, on_end,
	    stream, &stream->end.id) == MEWS_OK, "%s",
	    mews_group_message(cluster_group(group)));
}

/* Put rows until there are no more, or no room. */
static enum mews_status
put_rows(struct stream *stream)
{
	enum mews_status	status = MEWS_OK;

	while (status == MEWS_OK && stream->was_put < stream->to_put) {
		char	line[1100];
		int	length = snprintf(line, sizeof(line), "%ld\t%s\n",
		    stream->was_put + 1, stream->note);

		status = mews_copy_put(stream->lease, line, (size_t)length);
		if (status == MEWS_OK) {
			stream->was_put++;
			stream->bytes += (size_t)length;
		}
		if (stream->was_put % 10000 == 0 && resident() > stream->most)
			stream->most = resident();
	}
	return status;
}

static void
on_room(void *arg)
{
	struct stream	*stream = arg;

	stream->rooms++;
	if (stream->to_put >= 0 && put_rows(stream) == MEWS_OK)
		ck_assert_int_eq(mews_copy_end(stream->lease, NULL), MEWS_OK);
}

static void
begin_in(struct stream *stream, const char *group)
{
	if (stream->note == NULL)
		stream->note = "x";
	if (stream->lease == NULL)
		stream->lease = cluster_lease(cluster_group(group));
	ck_assert_msg(mews_copy_in(stream->lease, "copy copied from stdin",
	    on_room, on_end, stream, &stream->end.id) == MEWS_OK, "%s",
	    mews_group_message(cluster_group(group)));
}

static enum mews_status
put(struct stream *stream, const char *text)
{
	return mews_copy_put(stream->lease, text, strlen(text));
}

static const char *
backend(struct mews_lease *lease)
{
	static struct asked	asked;

	asked = cluster_on_lease(lease, "select pg_backend_pid()");
	ck_assert_msg(asked.status == MEWS_OK, "%s", asked.message);
	return asked.value;
}

static bool
server_waits(const char *pid, const char *event)
{
	char	sql[160];

	snprintf(sql, sizeof(sql), "select wait_event = '%s' from "
	    "pg_stat_activity where pid = %s", event, pid);
	return strcmp(cluster_ask("a", sql), "t") == 0;
}

/* A hundred megabytes. */
#define ROWS 200000
#define MUCH "copy (select generate_series(1, 200000), repeat('x', 500)) " \
    "to stdout"

/* Out. */

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
	/* The connection is in its pipeline again. */
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

/* In. */

START_TEST(many_rows_in_take_no_memory)
{
	struct stream	stream = { .to_put = 100000, .note =
	    "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghijkl"
	    "mnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwx"
	};
	long		before = resident();

	begin_in(&stream, "write");
	CLUSTER_WAIT(stream.end.calls == 1);
	ck_assert_str_eq(stream.end.message, "");
	ck_assert_str_eq(stream.rows, "100000");
	ck_assert_str_eq(stored(), "100000");
	/* With rests in between. */
	ck_assert_int_gt(stream.rooms, 1);
	ck_assert_int_lt(stream.most - before, 4 * 1024);
	mews_lease_end(&stream.lease);
}
END_TEST

/* A server that does not read, because its trigger waits for a lock. */
START_TEST(a_server_that_does_not_read_stops_the_host)
{
	struct stream	    stream = { .to_put = 1000000, .note = "yyyyyyyyyy" };
	struct mews_lease  *lock = cluster_lease(cluster_group("write"));
	long		    put_before;
	size_t		    bytes;

	cluster_ask("a", "create or replace function slow() returns trigger "
	    "language plpgsql as $$ begin "
	    "perform pg_advisory_xact_lock(7); return null; end $$; "
	    "create trigger slow before insert on copied "
	    "for each row when (new.id = 1) execute function slow()");
	cluster_on_lease(lock, "select pg_advisory_lock(7)");
	begin_in(&stream, "two");
	CLUSTER_WAIT(stream.was_put > 0 &&
	    put(&stream, "") == MEWS_OVERLOAD);
	put_before = stream.was_put;
	bytes = stream.bytes;
	ck_assert_uint_lt(bytes, 16 * 1024 * 1024);
	for (int i = 0; i < 20; i++)
		mews_pool_turn(cluster.pool, 5);
	ck_assert_int_eq(stream.was_put, put_before);
	/* Not a million: enough. */
	stream.to_put = put_before + 1000;
	cluster_on_lease(lock, "select pg_advisory_unlock(7)");
	CLUSTER_WAIT(stream.end.calls == 1);
	ck_assert_str_eq(stream.end.message, "");
	ck_assert_int_eq(stream.was_put, put_before + 1000);
	/* But for the first, which the trigger dropped. */
	ck_assert_int_eq(atoi(stored()), stream.was_put - 1);
	mews_lease_end(&stream.lease);
	mews_lease_end(&lock);
}
END_TEST

/* The host need not be done before it hears of a mistake. */
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
		/* In the middle of much more. */
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

/* Notices, also of many packets, are no errors. */
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
		/* Longer than the patience with half a notice. */
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
	/* Before the server is ready, and after. */
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

/* The lease around it. */

START_TEST(a_copy_is_part_of_a_transaction)
{
	const struct mews_transaction serializable = {
		.isolation = MEWS_SERIALIZABLE,
	};
	struct stream	stream = { .to_put = 5 };

	for (int i = 0; i < 2; i++) {
		stream.was_put = 0;
		stream.end.calls = 0;
		stream.lease = cluster_lease(cluster_group("manual"));
		ck_assert_int_eq(mews_lease_transaction(stream.lease,
		    &serializable), MEWS_OK);
		/* BEGIN goes ahead of it. */
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

	/* It needs a reset first, and has a transaction to begin. */
	stream.lease = cluster_lease(cluster_group("write"));
	cluster_on_lease(stream.lease, "set search_path = nowhere");
	mews_lease_end(&stream.lease);
	stream.lease = cluster_lease(cluster_group("write"));
	ck_assert_int_eq(mews_lease_transaction(stream.lease, NULL), MEWS_OK);
	for (int i = 0; i < 3 * _i; i++)
		ck_assert_int_eq(mews_lease_query(stream.lease, &query,
		    cluster_note, &asked[i], NULL), MEWS_OK);
	begin_in(&stream, "write");
	/* Nothing goes behind it. */
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
	/* Not yet: the server was not even asked. */
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
	/* And a query is no COPY. */
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

/* What stays behind in the middle of a COPY reaches nobody. */

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
	/* The lease is good again when the server has heard of it. */
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
	/* The COPY may have been quicker, but not the transaction. */
	if (_i != IN_ENDING)
		ck_assert_int_eq(stream.end.status, MEWS_LOST);
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

/* Time. */

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

/* Blocking. */

struct pipe {
	char bytes[100000];
	size_t length, taken;
	int fail_at; /* calls of the source; 0: never */
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

/* In small pieces whose ends are not those of rows. */
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
	/* A source that fails. */
	pipe.taken = 0;
	pipe.fail_at = pipe.calls + 5;
	ck_assert_int_eq(mews_copy_in_run(lease, sql, out_of_pipe, &pipe,
	    &result), MEWS_CANCELED);
	mews_result_free(&result);
	ck_assert_str_eq(stored(), "2000");
	/* A mistake in its data. */
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
copy_suite(void)
{
	Suite *suite = suite_create("copy");
	TCase *out = unit_case(suite, "out");
	TCase *in = unit_case(suite, "in");
	TCase *lease = unit_case(suite, "lease");
	TCase *middle = unit_case(suite, "middle");
	TCase *time = unit_case(suite, "time");
	TCase *cases[] = { out, in, lease, middle, time };

	for (size_t i = 0; i < CLUSTER_COUNT(cases); i++) {
		tcase_add_checked_fixture(cases[i], open_pool, cluster_close);
		tcase_set_timeout(cases[i], 60);
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

UNIT_MAIN(copy_suite)
