/*
 * fuzz_wire.c - a server may send anything, at any time: every query ends once,
 * every lease is given or refused, and nothing is left behind.
 *
 * An input is what the host does, a bit for each act, and the script of the
 * server (server.h). The target has a clock of its own, which moves when
 * nothing else happens, so every limit is reached within a few turns.
 */
#include "fuzz.h"
#include "server.h"

#include "../cluster/libpq_leaks.h"

#include <mews.h>
#include <mews/settings.h>

#include <assert.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define TURNS 400

const bool fuzz_lines = false;
const char *const fuzz_words[] = { "\4Z\1I", "\7Z\1I", "\4E\5SERRO",
	"\4G\5\0\0\1\0\0", "\7W\5\0\0\1\0\0", "\7A\7\0\0\0\1x\0y", "\5\5\1\2",
	"\6\3", "\4C\3AB", "\4D\6\0\1\377\377\377\377", "\7S\5in_ho",
	"\4s\1x", "\4I\1x", "\0\0\0\0", NULL };

/* Acts of the host, one bit each. */
enum doing {
	DOES_READ = 1,
	DOES_WRITE = 2,
	DOES_LISTEN = 4,
	DOES_LEASE = 8,
	DOES_ROWS = 16,
	DOES_COPY_OUT = 32,
	DOES_COPY_IN = 64,
	DOES_CANCEL = 128
};

struct act {
	int accepted, ended; /* queries, and waits for a lease */
	unsigned does;
	struct mews_pool *pool;
	struct mews_lease *lease;
	mews_query_id id; /* the last one that was sent; 0: none */
	int rows;
};

static char directory[] = "/tmp/mews-fuzz-XXXXXX";
static char conninfo[100];
static int64_t now_us = INT64_C(1000000000);

int
clock_gettime(clockid_t id, struct timespec *ts)
{
	if (id != CLOCK_MONOTONIC)
		return (int)syscall(SYS_clock_gettime, id, ts);
	ts->tv_sec = (time_t)(now_us / 1000000);
	ts->tv_nsec = (long)(now_us % 1000000) * 1000;
	return 0;
}

/* No randomness: an input is the same run each time. */
uint32_t
arc4random(void)
{
	return 4;
}

uint32_t
arc4random_uniform(uint32_t below)
{
	return below / 2;
}

static void
look(const struct mews_result *result)
{
	const char *text;
	const void *bytes;
	size_t	 length;
	int64_t	 wide;
	double	 real;
	PGresult *pg = mews_result_pg(result);
	int	 columns = pg == NULL ? 0 : PQnfields(pg);

	assert((mews_result_status(result) == MEWS_OK) ==
	    (*mews_result_message(result) == '\0'));
	assert(strchr(mews_result_message(result), '\n') == NULL);
	assert(strlen(mews_result_sqlstate(result)) <= 5);
	mews_result_affected(result);
	for (int i = 0; pg != NULL && i < PQntuples(pg); i++)
		for (int j = -1; j <= columns; j++) {
			mews_result_int64(result, i, j, &wide);
			mews_result_double(result, i, j, &real);
			mews_result_text(result, i, j, &text, &length);
			mews_result_bytes(result, i, j, &bytes, &length);
			mews_result_time(result, i, j, &wide);
		}
}

static void
on_end(void *arg, const struct mews_result *result)
{
	struct act *act = arg;

	look(result);
	act->ended++;
	assert(act->ended <= act->accepted);
}

static void
on_lease_end(void *arg, const struct mews_result *result)
{
	struct act *act = arg;

	on_end(act, result);
	if (act->accepted - act->ended == 0)
		mews_lease_end(&act->lease);
}

static enum mews_flow
on_row(void *arg, const struct mews_result *row)
{
	struct act *act = arg;

	look(row);
	return ++act->rows > 100 ? MEWS_FLOW_STOP : MEWS_FLOW_GO;
}

static enum mews_flow
on_data(void *arg, const void *data, size_t length)
{
	struct act *act = arg;

	assert(((const char *)data)[length] == '\0');
	return ++act->rows > 100 ? MEWS_FLOW_STOP : MEWS_FLOW_GO;
}

static void
on_room(void *arg)
{
	struct act *act = arg;

	if (mews_copy_put(act->lease, "1\n", 2) == MEWS_OK)
		mews_copy_end(act->lease, act->does & DOES_CANCEL ?
		    "enough" : NULL);
}

static void
on_lease(void *arg, struct mews_lease *lease,
    const struct mews_result *result)
{
	struct act *act = arg;
	const struct mews_query_args args = { .sql = "select 1, 'x'" },
	    position = { .sql = "insert into t values (1)",
		.flags = MEWS_QUERY_POSITION };

	look(result);
	assert((lease != NULL) == (mews_result_status(result) == MEWS_OK));
	act->ended++;
	if (lease == NULL)
		return;
	act->lease = lease;
	if (act->does & DOES_COPY_OUT) {
		act->accepted += mews_copy_out(lease, "COPY t TO STDOUT",
		    on_data, on_lease_end, act, NULL) == MEWS_OK;
	} else if (act->does & DOES_COPY_IN) {
		act->accepted += mews_copy_in(lease, "COPY t FROM STDIN",
		    on_room, on_lease_end, act, NULL) == MEWS_OK;
	} else {
		mews_lease_transaction(lease, NULL);
		act->accepted += mews_lease_query(lease, &args, on_end, act,
		    NULL) == MEWS_OK;
		if (act->does & DOES_ROWS)
			act->accepted += mews_lease_rows(lease, &args, on_row,
			    on_end, act, NULL) == MEWS_OK;
		act->accepted += mews_lease_query(lease, &position, on_end,
		    act, NULL) == MEWS_OK;
		act->accepted += mews_lease_commit(lease, on_lease_end,
		    act) == MEWS_OK;
	}
	if (act->accepted == act->ended)
		mews_lease_end(&act->lease);
}

static void
on_notification(void *arg, const struct mews_notification *heard)
{
	(void)arg;
	assert(strcmp(heard->channel, "news") == 0);
	assert(strlen(heard->payload) < 100000 &&
	    strcmp(heard->endpoint, "a") == 0);
}

static void
ask(struct act *act)
{
	struct mews_group *read = mews_pool_group(act->pool, "read"),
	    *write = mews_pool_group(act->pool, "write");
	struct mews_statement *statement;
	struct mews_query_args args = { .sql = "select 1, 'x'" };
	struct mews_param param = mews_param_text("x");

	if (act->does & DOES_READ) {
		mews_statement_register(&statement, act->pool, "s",
		    "select $1::int4, 'x'", MEWS_QUERY_BINARY, NULL);
		for (int i = 0; i < 3; i++)
			act->accepted += mews_query_send(read, &args, on_end,
			    act, &act->id) == MEWS_OK;
		args = (struct mews_query_args) { .statement = statement,
			.params = &param, .param_count = 1 };
		for (int i = 0; i < 2; i++)
			act->accepted += mews_query_send(read, &args, on_end,
			    act, NULL) == MEWS_OK;
	}
	if (act->does & DOES_WRITE) {
		args = (struct mews_query_args) { .sql = "insert into t"
			" values (1)", .flags = MEWS_QUERY_POSITION };
		act->accepted += mews_query_send(write, &args, on_end, act,
		    &act->id) == MEWS_OK;
		args.flags = 0;
		act->accepted += mews_query_send(write, &args, on_end, act,
		    NULL) == MEWS_OK;
	}
	if (act->does & (DOES_LEASE | DOES_ROWS | DOES_COPY_OUT |
	    DOES_COPY_IN))
		act->accepted += mews_lease_begin(write, 0, on_lease, act,
		    NULL) == MEWS_OK;
	mews_pool_turn(act->pool, 0);
}

static void
turn(struct act *act)
{
	int	idle = 0;

	for (int i = 0; i < TURNS && act->ended < act->accepted; i++) {
		mews_pool_turn(act->pool, 0);
		/* Interrupt a query that waits, and one that runs. */
		if (act->does & DOES_CANCEL && act->id != 0 && i % 16 == 15)
			mews_query_interrupt(act->pool, act->id);
		if (server_turn())
			idle = 0;
		else
			idle += idle < 13;
		now_us += 1000 << idle;
	}
}

static void
run(struct act *act)
{
	const struct mews_endpoint_config endpoint = { .name = "a",
		.conninfo = conninfo };
	const struct mews_group_config groups[] = {
		{ .name = "read", .connection_count = 2 },
		{ .name = "write", .role = MEWS_GROUP_PRIMARY,
		  .connection_count = 2 },
	};
	const struct mews_config config = { .abi = MEWS_ABI,
		.instance = "fuzz", .workers = 1, .endpoints = &endpoint,
		.endpoint_count = 1, .groups = groups, .group_count = 2 };
	struct mews_fleet *fleet;
	struct mews_listener *listener = NULL;
	enum mews_status status;

	status = mews_fleet_create(&fleet, &config, NULL);
	assert(status == MEWS_OK);
	status = mews_fleet_join(fleet, NULL);
	assert(status == MEWS_OK);
	status = mews_pool_open(&act->pool, fleet, NULL, NULL, NULL);
	assert(status == MEWS_OK);
	if (act->does & DOES_LISTEN)
		mews_listen(&listener, act->pool, "news", on_notification,
		    NULL, NULL);
	ask(act);
	turn(act);
	mews_pool_close(&act->pool);
	mews_lease_end(&act->lease);
	mews_unlisten(&listener);
	assert(act->ended == act->accepted);
	mews_fleet_destroy(&fleet);
}

static void
remove_directory(void)
{
	char	path[100];

	snprintf(path, sizeof(path), "%s/.s.PGSQL.5432", directory);
	unlink(path);
	rmdir(directory);
}

static void
make_directory(void)
{
	char	*made = mkdtemp(directory);

	assert(made != NULL);
	atexit(remove_directory);
	snprintf(conninfo, sizeof(conninfo), "host=%s port=5432 user=x "
	    "dbname=x passfile=/nonexistent", directory);
	server_listen(directory);
}

/* The lowest free descriptor shows whether one was left open. */
static int
lowest_free(void)
{
	int	fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	close(fd);
	return fd;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static bool made;
	struct act act = { .does = size > 0 ? data[0] : 0 };
	int	before;

	if (!made) {
		make_directory();
		made = true;
	}
	if (size == 0)
		return 0;
	before = lowest_free();
	server_begin(data + 1, size - 1);
	run(&act);
	server_end();
	assert(lowest_free() == before);
	return 0;
}
