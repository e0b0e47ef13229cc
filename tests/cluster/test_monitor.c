/*
 * test_monitor.c - what the monitor measures and does, and what workers do
 * while there is none.
 *
 * The last test promotes b: no test can follow it.
 */
#include "cluster.h"
#include "load.h"
#include "unit.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static const struct mews_group_config groups[] = {
	{ .name = "read", .role = MEWS_GROUP_STANDBY },
	{ .name = "write", .role = MEWS_GROUP_PRIMARY, .query_timeout = 60000 },
	{ .name = "recent", .role = MEWS_GROUP_STANDBY, .max_lag = 400 },
	{ .name = "near", .role = MEWS_GROUP_STANDBY,
	  .max_lag_bytes = 100000 },
};

static struct load *load;

static void
resume(const char *server)
{
	cluster_ask(server, "select pg_wal_replay_resume() "
	    "where pg_is_in_recovery()");
}

static void
begin(void)
{
	cluster_repair();
	resume("b");
	resume("c");
	load = load_new();
}

static void
end(void)
{
	cluster_close();
	free(load);
}

static pid_t
open_watched(void)
{
	return cluster_watched(groups, CLUSTER_COUNT(groups));
}

START_TEST(the_monitor_measures_every_endpoint)
{
	struct mews_view_endpoint	seen;
	pid_t				pid = open_watched();

	for (const char *name = "a\0b\0c\0"; *name != '\0'; name += 2) {
		CLUSTER_WAIT(cluster_look(name).rtt_us > 0 &&
		    cluster_look(name).lag_ms >= 0 && cluster_is(name, "up"));
		seen = cluster_look(name);
		ck_assert_str_eq(seen.role, name[0] == 'a' ? "primary" :
		    "standby");
		ck_assert_uint_eq(seen.timeline, 1);
		ck_assert_uint_gt(seen.lsn, 0);
		ck_assert_int_ge(seen.changed_ms, 0);
		ck_assert(seen.changed_by == pid ||
		    seen.changed_by == getpid());
		ck_assert(!seen.drained && !seen.outdated);
	}
	cluster_end(pid);
}
END_TEST

/* The monitor was killed and reaped, or was stopped and is still in its
 * slot. */
START_TEST(without_a_monitor_the_workers_probe)
{
	struct mews_view_fleet	fleet;
	pid_t			pid = open_watched();

	load_start(load, "read", "select $1::int from pg_sleep(0.002)");
	CLUSTER_WAIT(load->on[1] > 20 && load->on[2] > 20);
	if (_i == 0)
		cluster_end(pid);
	else
		ck_assert_int_eq(kill(pid, SIGSTOP), 0);
	mews_view_fleet(cluster.view, &fleet, sizeof(fleet));
	ck_assert_int_eq(fleet.monitor_pid, _i == 0 ? 0 : pid);
	cluster_servers("freeze", "b");
	CLUSTER_WAIT(cluster_is("b", "down"));
	/* The lag that was measured before is not shown any more. */
	ck_assert_int_eq(cluster_look("b").lag_ms, -1);
	cluster_servers("thaw", "b");
	CLUSTER_WAIT(cluster_is("b", "up"));
	load_stop(load);
	ck_assert_msg(load_failed(load) == 0, "%s", load->message);
	if (_i == 1)
		cluster_end(pid);
	pid = cluster_monitor();
	cluster_end(pid);
}
END_TEST

/* The monitor's steady probe comes only once a minute. */
START_TEST(the_monitor_probes_a_suspect_at_once)
{
	pid_t	pid;

	cluster_prepare(groups, CLUSTER_COUNT(groups));
	cluster.config.health.interval = 60000;
	cluster_create();
	pid = cluster_monitor();
	cluster_join();
	cluster_value(cluster_group("write"), "select 1");
	for (int i = 0; i < 3; i++) {
		cluster_ask("a", "select pg_terminate_backend(pid) from "
		    "pg_stat_activity where backend_type = 'client backend' "
		    "and application_name = 'mews:cluster'");
		CLUSTER_WAIT(cluster_logged("endpoint=a from=up to=suspect") +
		    cluster_monitor_logged("endpoint=a from=up to=suspect") ==
		    i + 1);
		CLUSTER_WAIT(cluster_monitor_logged(
		    "endpoint=a from=suspect to=up") == i + 1);
		cluster_value(cluster_group("write"), "select 1");
	}
	cluster_end(pid);
}
END_TEST

/* A postmaster that stands still accepts connections but does not answer; open
 * sessions do. */
START_TEST(a_server_that_rejects_logins_is_suspect_and_used)
{
	pid_t	pid = open_watched();
	char	path[200];
	FILE   *file;
	int	postmaster;

	snprintf(path, sizeof(path), "%s/a/postmaster.pid",
	    getenv("MEWS_SERVERS_DIR"));
	ck_assert_ptr_nonnull(file = fopen(path, "r"));
	ck_assert_int_eq(fscanf(file, "%d", &postmaster), 1);
	fclose(file);
	load_start(load, "write", "select $1::int from pg_sleep(0.002)");
	CLUSTER_WAIT(load->on[0] > 20);
	ck_assert_int_eq(kill(postmaster, SIGSTOP), 0);
	CLUSTER_WAIT(cluster_monitor_logged("endpoint=a from=up to=suspect "
	    "role=primary evidence=probe_failed") > 1);
	load->on[0] = 0;
	CLUSTER_WAIT(load->on[0] > 20);
	ck_assert_int_eq(kill(postmaster, SIGCONT), 0);
	load_stop(load);
	ck_assert_msg(load_failed(load) == 0, "%s", load->message);
	ck_assert_int_eq(cluster_logged("endpoint=a from=suspect to=down") +
	    cluster_monitor_logged("endpoint=a from=suspect to=down"), 0);
	cluster_end(pid);
}
END_TEST

static void
drain(const char *endpoint, bool drained)
{
	struct mews_error	error;

	ck_assert_msg(mews_endpoint_drain(cluster.config.runtime_file,
	    endpoint, drained, &error) == MEWS_OK, "%s", error.message);
	ck_assert(cluster_look(endpoint).drained == drained);
}

START_TEST(a_drained_endpoint_gets_no_work_and_loses_no_query)
{
	pid_t	pid = open_watched();
	int	before, other;

	load_start(load, "read", "select $1::int from pg_sleep(0.002)");
	CLUSTER_WAIT(load->on[1] > 20 && load->on[2] > 20);
	drain("b", true);
	cluster_turn_for(1000);
	before = load->on[1];
	other = load->on[2];
	cluster_turn_for(300);
	ck_assert_int_eq(load->on[1], before);
	ck_assert_int_gt(load->on[2], other);
	CLUSTER_WAIT(cluster_look("b").connections == 0);
	drain("b", false);
	CLUSTER_WAIT(load->on[1] > before + 20);
	load_stop(load);
	ck_assert_msg(load_failed(load) == 0, "%s", load->message);
	CLUSTER_WAIT(cluster_monitor_logged(
	    "endpoint_admin endpoint=b to=enabled") == 1);
	ck_assert_int_eq(cluster_monitor_logged(
	    "endpoint_admin endpoint=b to=drained"), 1);
	cluster_end(pid);
}
END_TEST

/* An idle worker, too, closes its connections to a drained server. */
START_TEST(an_idle_worker_leaves_a_drained_endpoint_too)
{
	pid_t	pid = open_watched();

	load_start(load, "read", "select $1::int");
	CLUSTER_WAIT(load->on[1] > 20 && load->on[2] > 20);
	load_stop(load);
	ck_assert_uint_gt(cluster_look("b").connections, 0);
	drain("b", true);
	cluster_turn_for(1100);
	ck_assert_uint_eq(cluster_look("b").connections, 0);
	ck_assert_uint_gt(cluster_look("c").connections, 0);
	cluster_end(pid);
}
END_TEST

/* A login that was on its way is closed as well. */
START_TEST(a_drained_endpoint_keeps_no_late_login)
{
	pid_t	pid;

	cluster_prepare(groups, CLUSTER_COUNT(groups));
	cluster.config.health.timeout = 20000;
	cluster_create();
	pid = cluster_monitor();
	CLUSTER_WAIT(cluster_is("b", "up") && cluster_is("c", "up"));
	cluster_servers("freeze", "b");
	cluster_join();
	load_start(load, "read", "select $1::int from pg_sleep(0.002)");
	CLUSTER_WAIT(cluster_look("b").connections > 0 && load->on[2] > 20);
	load_stop(load);
	drain("b", true);
	cluster_turn_for(100);
	cluster_servers("thaw", "b");
	CLUSTER_WAIT(cluster_look("b").connections == 0);
	ck_assert_int_eq(load->on[1], 0);
	cluster_end(pid);
}
END_TEST

/* b replays nothing, while a writes, until b's lag is beyond all limits. */
static void
make_b_lag(void)
{
	struct mews_view_endpoint	seen;

	cluster_ask("b", "select pg_wal_replay_pause()");
	CLUSTER_WAIT(strcmp(cluster_ask("b",
	    "select pg_get_wal_replay_pause_state()"), "paused") == 0);
	do {
		cluster_ask("a", "create table if not exists noise (t text);"
		    "insert into noise select repeat('x', 100) "
		    "from generate_series(1, 1000)");
		cluster_turn_for(50);
		seen = cluster_look("b");
	} while (seen.lag_ms <= 600 || seen.lag_bytes <= 200000);
}

START_TEST(a_standby_behind_the_limit_is_skipped_and_not_down)
{
	const char     *name = _i == 0 ? "recent" : "near";
	pid_t		pid = open_watched();
	int		before;

	load_start(load, name, "select $1::int from pg_sleep(0.005)");
	CLUSTER_WAIT(load->on[1] > 20 && load->on[2] > 20);
	make_b_lag();
	before = load->on[1];
	cluster_turn_for(300);
	/* Reads that were in flight are answered. */
	ck_assert_int_le(load->on[1], before + LOAD_WIDTH);
	ck_assert(cluster_is("b", "up"));
	/* A group without a limit uses the late standby. */
	CLUSTER_WAIT(strcmp(cluster_run(cluster_group("read"),
	    "select 1").endpoint, "b") == 0);
	ck_assert_int_le(load->on[1], before + LOAD_WIDTH);
	resume("b");
	before = load->on[1];
	CLUSTER_WAIT(load->on[1] > before + 20);
	CLUSTER_WAIT(cluster_look("b").lag_ms < 400);
	load_stop(load);
	ck_assert_msg(load_failed(load) == 0, "%s", load->message);
	cluster_end(pid);
}
END_TEST

static void
sleeps(void *arg)
{
	(void)arg;
	cluster_join();
	cluster_run(cluster_group("write"), "select pg_sleep(50)");
}

static int
count_sleepers(int seconds)
{
	char	sql[200];

	snprintf(sql, sizeof(sql), "select count(*) from pg_stat_activity "
	    "where state = 'active' and query = 'select pg_sleep(%d)'",
	    seconds);
	return cluster_ask_int("a", sql);
}

/* Two workers' queries sleep on the same server; only the dead one's is
 * ended. */
START_TEST(statements_of_a_dead_worker_are_ended)
{
	struct asked	mine;
	pid_t		pid, worker;

	cluster_prepare(groups, CLUSTER_COUNT(groups));
	cluster_create();
	pid = cluster_monitor();
	worker = cluster_fork(sleeps, NULL);
	cluster_join();
	cluster_send_sql(&mine, cluster_group("write"), "select pg_sleep(40)");
	CLUSTER_WAIT(count_sleepers(50) == 1 && count_sleepers(40) == 1);
	cluster_end(worker);
	CLUSTER_WAIT(count_sleepers(50) == 0);
	CLUSTER_WAIT(cluster_monitor_logged("orphan_ended endpoint=a") == 1);
	cluster_turn_for(500);
	ck_assert_int_eq(count_sleepers(40), 1);
	ck_assert_int_eq(mine.calls, 0);
	ck_assert_int_eq(cluster_monitor_logged("orphan_ended"), 1);
	cluster_ask("a", "select pg_cancel_backend(pid) from pg_stat_activity"
	    " where query = 'select pg_sleep(40)'");
	CLUSTER_WAIT(mine.calls == 1);
	cluster_end(pid);
}
END_TEST

START_TEST(a_name_that_cannot_be_resolved_blocks_no_other_server)
{
	int64_t	before, longest = 0;
	pid_t	pid;

	cluster_prepare(groups, CLUSTER_COUNT(groups));
	cluster.config.health.resolve = 200;
	cluster.endpoints[1].conninfo =
	    "host=no-such-host.invalid user=mews dbname=mews";
	cluster_create();
	pid = cluster_monitor();
	cluster_join();
	load_start(load, "read", "select $1::int from pg_sleep(0.002)");
	while (load->on[2] < 500) {
		before = cluster_now();
		cluster_turn();
		if (cluster_now() - before > longest)
			longest = cluster_now() - before;
	}
	ck_assert_int_lt(longest, 3000);
	CLUSTER_WAIT(cluster_is("b", "down"));
	CLUSTER_WAIT(cluster_logged("host name could not be resolved") +
	    cluster_monitor_logged("host name could not be resolved") > 0);
	load_stop(load);
	ck_assert_int_eq(load->on[1], 0);
	ck_assert_msg(load_failed(load) == 0, "%s", load->message);
	cluster_end(pid);
}
END_TEST

/* Does `mews status` print @text? */
static bool
is_shown(const char *text)
{
	char	command[400], line[300];
	bool	found = false;
	FILE   *out;

	snprintf(command, sizeof(command), "exec %s status --runtime-dir %s "
	    "--instance %ld", getenv("MEWS"), getenv("MEWS_SERVERS_DIR"),
	    (long)getpid());
	ck_assert_ptr_nonnull(out = popen(command, "r"));
	while (fgets(line, sizeof(line), out) != NULL)
		found = found || strstr(line, text) != NULL;
	/* The exit status is not 0, as there is no master. */
	ck_assert_int_ne(pclose(out), -1);
	return found;
}

START_TEST(of_two_primaries_the_newer_one_gets_the_writes)
{
	char	instance[20];
	pid_t	pid;
	int	before;

	cluster_prepare(groups, CLUSTER_COUNT(groups));
	/* The instance is named like the file. */
	snprintf(instance, sizeof(instance), "%ld", (long)getpid());
	cluster.config.instance = instance;
	cluster_create();
	pid = cluster_monitor();
	cluster_join();
	load_start(load, "write", "select $1::int from pg_sleep(0.002)");
	CLUSTER_WAIT(load->on[0] > 20);
	ck_assert(is_shown("endpoint  ") && !is_shown("outdated"));
	cluster_servers("promote", "b");
	CLUSTER_WAIT(cluster_look("a").outdated);
	ck_assert(is_shown("endpoint a is an outdated primary"));
	ck_assert(!cluster_look("b").outdated);
	ck_assert_uint_eq(cluster_look("b").timeline, 2);
	ck_assert(cluster_is("a", "up"));
	cluster_turn_for(100);
	before = load->on[0];
	CLUSTER_WAIT(load->on[1] > 100);
	cluster_turn_for(1000);
	ck_assert_int_eq(load->on[0], before);
	ck_assert_int_eq(cluster_monitor_logged("error two_primaries"),
	    1);
	load_stop(load);
	ck_assert_msg(load_failed(load) == 0, "%s", load->message);
	cluster_end(pid);
}
END_TEST

static Suite *
monitor_suite(void)
{
	Suite	*suite = suite_create("monitor");
	TCase	*tcase = unit_case(suite, "monitor");

	tcase_set_timeout(tcase, 180);
	tcase_add_checked_fixture(tcase, begin, end);
	tcase_add_test(tcase, the_monitor_measures_every_endpoint);
	tcase_add_loop_test(tcase, without_a_monitor_the_workers_probe, 0, 2);
	tcase_add_test(tcase, the_monitor_probes_a_suspect_at_once);
	tcase_add_test(tcase, a_server_that_rejects_logins_is_suspect_and_used);
	tcase_add_test(tcase,
	    a_drained_endpoint_gets_no_work_and_loses_no_query);
	tcase_add_test(tcase, an_idle_worker_leaves_a_drained_endpoint_too);
	tcase_add_test(tcase, a_drained_endpoint_keeps_no_late_login);
	tcase_add_loop_test(tcase,
	    a_standby_behind_the_limit_is_skipped_and_not_down, 0, 2);
	tcase_add_test(tcase, statements_of_a_dead_worker_are_ended);
	tcase_add_test(tcase,
	    a_name_that_cannot_be_resolved_blocks_no_other_server);
	tcase_add_test(tcase, of_two_primaries_the_newer_one_gets_the_writes);
	return suite;
}

UNIT_MAIN(monitor_suite)
