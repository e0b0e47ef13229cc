/*
 * test_endpoints.c - servers die, hang and come back; few queries are affected.
 */
#include "cluster.h"
#include "load.h"
#include "unit.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static const struct mews_group_config groups[] = {
	{ .name = "read", .role = MEWS_GROUP_STANDBY, .connection_count = 4,
	  .min_connections = 4 },
	{ .name = "write", .role = MEWS_GROUP_PRIMARY },
};

/* A read of half a millisecond, so that some are in flight at any time. */
static const char *const some_read =
    "select $1::int from pg_sleep(0.0005)";

static struct load *load;

static void
begin(void)
{
	cluster_repair();
	load = load_new();
}

static void
end(void)
{
	cluster_close();
	free(load);
}

static void
assert_none_failed(void)
{
	ck_assert_msg(load_failed(load) == 0, "%d of %d failed, the last: %s",
	    load_failed(load), load_answers(load), load->message);
}

/* Send reads, which b and c serve. */
static void
read_on_both(void)
{
	cluster_open(groups, CLUSTER_COUNT(groups));
	load_start(load, "read", some_read);
	CLUSTER_WAIT(load->on[1] > 100 && load->on[2] > 100);
	ck_assert_int_eq(load->on[0], 0);
}

/* Wait until b is down; b gets nothing then, and the others serve. */
static void
assert_skipped(void)
{
	int	b, c;

	CLUSTER_WAIT(cluster_is("b", "down"));
	b = load->on[1];
	c = load->on[2];
	cluster_turn_for(300);
	ck_assert_int_eq(load->on[1], b);
	ck_assert_int_gt(load->on[2], c);
}

/* Wait until b serves again. */
static void
assert_back(void)
{
	int	b;

	CLUSTER_WAIT(cluster_is("b", "up"));
	b = load->on[1];
	CLUSTER_WAIT(load->on[1] > b + 100);
	load_stop(load);
	assert_none_failed();
}

static const char *const stops[] = { "kill", "down" };

START_TEST(a_standby_that_stops_fails_no_read)
{
	int64_t	stopped;

	read_on_both();
	cluster_servers(stops[_i], "b");
	stopped = cluster_now();
	CLUSTER_WAIT(cluster_is("b", "down"));
	ck_assert_int_lt(cluster_now() - stopped, 10000);
	assert_skipped();
	assert_none_failed();
	cluster_servers("up", "b");
	assert_back();
}
END_TEST

START_TEST(a_standby_that_hangs_is_suspected_then_down_then_back)
{
	read_on_both();
	cluster_servers("freeze", "b");
	assert_skipped();
	ck_assert_int_gt(cluster_logged("endpoint=b from=up to=suspect"), 0);
	ck_assert_int_gt(cluster_logged("endpoint=b from=suspect to=down"), 0);
	assert_none_failed();
	cluster_servers("thaw", "b");
	assert_back();
}
END_TEST

START_TEST(standbys_that_stop_in_turn_fail_no_read)
{
	read_on_both();
	for (int i = 0; i < 4; i++) {
		const char *name = i % 2 == 0 ? "b" : "c";

		cluster_servers(stops[i / 2], name);
		CLUSTER_WAIT(cluster_is(name, "down"));
		cluster_servers("up", name);
		CLUSTER_WAIT(cluster_is(name, "up"));
	}
	assert_back();
}
END_TEST

START_TEST(a_verdict_takes_no_longer_than_its_probes)
{
	int64_t	suspected;

	cluster_prepare(groups, CLUSTER_COUNT(groups));
	cluster.config.health = (struct mews_health_config) {
		.interval = 100, .timeout = 100, .fall = 6,
	};
	cluster_create();
	cluster_join();
	load_start(load, "read", some_read);
	CLUSTER_WAIT(load->on[1] > 100 && load->on[2] > 100);
	cluster_servers("freeze", "b");
	CLUSTER_WAIT(cluster_is("b", "suspect"));
	suspected = cluster_now();
	CLUSTER_WAIT(cluster_is("b", "down"));
	/* A verdict takes six probes of 100 ms, with pauses of 25 ms. */
	ck_assert_int_ge(cluster_now() - suspected, CLUSTER_LEAST(600));
	ck_assert_int_lt(cluster_now() - suspected, 10000);
	ck_assert_int_ge(cluster_logged("probe_failed endpoint=b"), 6);
	load_stop(load);
	assert_none_failed();
}
END_TEST

START_TEST(a_primary_that_restarts_loses_no_write_that_was_well)
{
	char	sql[100];

	cluster_ask("a", "drop table if exists written;"
	    "create table written (id int)");
	cluster_open(groups, CLUSTER_COUNT(groups));
	load_start(load, "write", "insert into written values ($1)");
	CLUSTER_WAIT(load->on[0] > 500);
	cluster_servers(stops[_i], "a");
	CLUSTER_WAIT(load_failed(load) > 0);
	cluster_servers("up", "a");
	load->on[0] = 0;
	CLUSTER_WAIT(load->on[0] > 500);
	load_stop(load);
	/* The row of a query that ended well is there, the row of one that was
	 * never sent is not, and none is there twice. The row of a lost query
	 * may be there. */
	for (int id = 0; id < load->ids; id++) {
		enum mews_status status = (enum mews_status)load->ends[id];

		if (status == MEWS_OK || status == MEWS_LOST)
			continue;
		ck_assert_msg(mews_status_unsent(status), "%s",
		    mews_status_name(status));
		snprintf(sql, sizeof(sql),
		    "select count(*) from written where id = %d", id);
		ck_assert_int_eq(cluster_ask_int("a", sql), 0);
	}
	ck_assert_int_eq(cluster_ask_int("a",
	    "select count(*) - count(distinct id) from written"), 0);
	cluster_ask("a", "create index on written (id)");
	for (int id = 0; id < load->ids; id += load->ids / 500 + 1) {
		if (load->ends[id] != MEWS_OK)
			continue;
		snprintf(sql, sizeof(sql),
		    "select count(*) from written where id = %d", id);
		ck_assert_int_eq(cluster_ask_int("a", sql), 1);
	}
	snprintf(sql, sizeof(sql), "select count(*) from written");
	ck_assert_int_ge(cluster_ask_int("a", sql), load->count[MEWS_OK]);
	ck_assert_int_le(cluster_ask_int("a", sql), load->count[MEWS_OK] +
	    load->count[MEWS_LOST]);
	/* At most the queries in flight at that instant are lost, and those
	 * sent before their own connection, one of four, was found broken. */
	ck_assert_int_le(load->count[MEWS_LOST], 4 * LOAD_WIDTH);
}
END_TEST

/* --- several processes --- */

/* In a process that did not see the death itself: all reads go to c. */
static void
reads_after_the_death(void *arg)
{
	const int	*ends = arg; /* the pipes to write to and to read
					from */
	struct pollfd	 heard = { .fd = ends[1], .events = POLLIN };
	struct asked	 asked;
	char		 byte;

	cluster_join();
	CLUSTER_WAIT(cluster_stats("read").idle == 4);
	ck_assert_int_eq(write(ends[0], "x", 1), 1);
	while (poll(&heard, 1, 0) == 0)
		cluster_turn();
	ck_assert_int_eq(read(ends[1], &byte, 1), 1);
	for (int i = 0; i < 50; i++) {
		asked = cluster_run(cluster_group("read"), "select 1");
		ck_assert_msg(asked.status == MEWS_OK, "%s", asked.message);
		ck_assert_str_eq(asked.endpoint, "c");
	}
	ck_assert_uint_eq(cluster_stats("read").resent, 0);
	cluster_close();
}

START_TEST(a_server_that_one_process_finds_down_is_skipped_by_all)
{
	int	said[2], heard[2], ends[2];
	char	byte;
	pid_t	pid;

	cluster_prepare(groups, CLUSTER_COUNT(groups));
	cluster_create();
	ck_assert_int_eq(pipe(said), 0);
	ck_assert_int_eq(pipe(heard), 0);
	ends[0] = said[1];
	ends[1] = heard[0];
	pid = cluster_fork(reads_after_the_death, ends);
	ck_assert_int_eq(read(said[0], &byte, 1), 1);
	cluster_join();
	load_start(load, "read", some_read);
	CLUSTER_WAIT(load->on[1] > 100 && load->on[2] > 100);
	cluster_servers("kill", "b");
	CLUSTER_WAIT(cluster_is("b", "down"));
	ck_assert_int_eq(write(heard[1], "x", 1), 1);
	cluster_ended_well(pid);
	load_stop(load);
	assert_none_failed();
}
END_TEST

#define PROBERS 4

static void
wants_what_hangs(void *arg)
{
	(void)arg;
	cluster_join();
	ck_assert_int_eq(cluster_run(cluster_group("g"), "select 1").status,
	    MEWS_UNAVAILABLE);
	cluster_close();
}

/* A server that accepts connections and never answers. */
static int
silent_server(char *conninfo, size_t size)
{
	in_port_t	port;
	int		fd = cluster_listen(&port);

	snprintf(conninfo, size, "host=127.0.0.1 port=%d user=mews", port);
	return fd;
}

START_TEST(one_process_probes_at_a_time)
{
	static const struct mews_group_config group = { .name = "g",
		.connection_count = 8, .acquire_timeout = 3000 };
	struct pollfd	server = { .events = POLLIN };
	int64_t		until, now, last = 0;
	int		probes = 0;
	char		conninfo[100];
	pid_t		pids[PROBERS];

	server.fd = silent_server(conninfo, sizeof(conninfo));
	cluster_prepare(&group, 1);
	cluster.endpoints[0].conninfo = conninfo;
	cluster.config.endpoint_count = 1;
	cluster_create();
	for (int i = 0; i < PROBERS; i++)
		pids[i] = cluster_fork(wants_what_hangs, NULL);
	/* The first connection is the fleet's own, which looks up the
	 * address. */
	ck_assert_int_ge(accept4(server.fd, NULL, NULL, SOCK_CLOEXEC), 0);
	for (until = cluster_now() + 3000; (now = cluster_now()) < until;) {
		if (poll(&server, 1, (int)(until - now)) <= 0)
			continue;
		ck_assert_int_ge(accept4(server.fd, NULL, NULL, SOCK_CLOEXEC),
		    0);
		now = cluster_now();
		/* A probe takes 500 ms, and an endpoint in an unknown state
		 * gets no other connections. */
		ck_assert_msg(probes++ == 0 || now - last > 250,
		    "a probe %d ms after the last", (int)(now - last));
		last = now;
	}
	ck_assert_int_ge(probes, 3);
	for (int i = 0; i < PROBERS; i++)
		cluster_ended_well(pids[i]);
	ck_assert_str_eq(cluster_state("a"), "down");
}
END_TEST

/* A server that hangs up once it was spoken to, like a server that dies. */
static void
hangs_up(void *arg)
{
	const int	*server = arg;
	char		 bytes[8];
	int		 fd;

	for (;;) {
		fd = accept4(*server, NULL, NULL, SOCK_CLOEXEC);
		(void)!read(fd, bytes, sizeof(bytes));
		close(fd);
	}
}

START_TEST(a_server_that_hangs_up_on_a_login_is_down)
{
	static const struct mews_group_config group = { .name = "g",
		.min_connections = 1 };
	char	conninfo[100];
	int	server = silent_server(conninfo, sizeof(conninfo));
	pid_t	pid;

	cluster_prepare(&group, 1);
	cluster.endpoints[0].conninfo = conninfo;
	cluster.config.endpoint_count = 1;
	cluster_create();
	pid = cluster_fork(hangs_up, &server);
	cluster_join();
	CLUSTER_WAIT(cluster_is("a", "down"));
	ck_assert_int_eq(cluster_logged("to=up"), 0);
	cluster_end(pid);
}
END_TEST

static Suite *
endpoints_suite(void)
{
	Suite *suite = suite_create("endpoints");
	TCase *reads = unit_case(suite, "reads");
	TCase *writes = unit_case(suite, "writes");
	TCase *fleet = unit_case(suite, "fleet");
	TCase *cases[] = { reads, writes, fleet };

	for (size_t i = 0; i < CLUSTER_COUNT(cases); i++) {
		tcase_add_checked_fixture(cases[i], begin, end);
		tcase_set_timeout(cases[i], 180);
	}
	tcase_add_loop_test(reads, a_standby_that_stops_fails_no_read, 0,
	    CLUSTER_COUNT(stops));
	tcase_add_test(reads,
	    a_standby_that_hangs_is_suspected_then_down_then_back);
	tcase_add_test(reads, standbys_that_stop_in_turn_fail_no_read);
	tcase_add_test(reads, a_verdict_takes_no_longer_than_its_probes);
	tcase_add_loop_test(writes,
	    a_primary_that_restarts_loses_no_write_that_was_well, 0,
	    CLUSTER_COUNT(stops));
	tcase_add_test(fleet,
	    a_server_that_one_process_finds_down_is_skipped_by_all);
	tcase_add_test(fleet, one_process_probes_at_a_time);
	tcase_add_test(fleet, a_server_that_hangs_up_on_a_login_is_down);
	return suite;
}

UNIT_MAIN(endpoints_suite)
