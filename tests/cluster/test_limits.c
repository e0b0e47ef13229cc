/*
 * test_limits.c - a server that came back, or that has too many connections, is
 * spared.
 */
#include "cluster.h"
#include "load.h"
#include "unit.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

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

/* The percentage of the answers within @ms that comes from b. */
static int
share_of_b(int ms)
{
	int	b = load->on[1], c = load->on[2];

	cluster_turn_for(ms);
	b = load->on[1] - b;
	c = load->on[2] - c;
	ck_assert_int_gt(b + c, 0);
	return b * 100 / (b + c);
}

START_TEST(a_server_that_came_back_gets_its_share_slowly)
{
	static const struct mews_group_config group = { .name = "read",
		.role = MEWS_GROUP_STANDBY };
	int	first, last;

	cluster_prepare(&group, 1);
	cluster.config.health.slow_start = 4000;
	cluster_create();
	cluster_join();
	/* A server that is seen for the first time gets its whole share. */
	load_start(load, "read", "select $1::int from pg_sleep(0.005)");
	CLUSTER_WAIT(load->on[1] > 20 && load->on[2] > 20);
	ck_assert_int_gt(share_of_b(300), 25);
	cluster_servers("kill", "b");
	CLUSTER_WAIT(cluster_is("b", "down"));
	cluster_servers("up", "b");
	CLUSTER_WAIT(cluster_is("b", "up"));
	first = share_of_b(500);
	cluster_turn_for(4000);
	last = share_of_b(500);
	ck_assert_msg(first < 25 && last > 30, "first %d %%, then %d %%",
	    first, last);
	load_stop(load);
	ck_assert_msg(load_failed(load) == 0, "%s", load->message);
}
END_TEST

/* A server that refuses connections for their number stays up. */
static void
assert_stayed_up(void)
{
	const char *left = strstr(cluster.log, "from=up");

	ck_assert_msg(left == NULL, "%s", left);
	ck_assert(cluster_is("a", "up"));
}

START_TEST(too_many_connections_lower_the_limit_for_a_while)
{
	static const struct mews_group_config group = { .name = "write",
		.role = MEWS_GROUP_PRIMARY, .connection_count = 12,
		/* Stalls are put off, as servers look slow on a slow
		 * machine. */
		.pipeline = 1, .stall_after = 60000 };
	static char	conninfo[300];

	cluster_ask("a", "drop role if exists modest");
	cluster_ask("a", "create role modest login connection limit 4");
	snprintf(conninfo, sizeof(conninfo), "%s user=modest",
	    getenv("MEWS_A"));
	cluster_open_at(conninfo, &group, 1);
	ck_assert_uint_eq(cluster_look("a").cap, 0);
	load_start(load, "write", "select $1::int from pg_sleep(0.005)");
	CLUSTER_WAIT(cluster_look("a").cap != 0);
	ck_assert_uint_le(cluster_look("a").cap, 4);
	ck_assert_uint_eq(cluster_look("a").max_connections, 0);
	cluster_turn_for(300);
	assert_stayed_up();
	/* After the while, more connections are asked for. */
	cluster_ask("a", "alter role modest connection limit -1");
	CLUSTER_WAIT(cluster_look("a").cap == 0);
	CLUSTER_WAIT(cluster_look("a").connections > 4);
	load_stop(load);
	ck_assert_msg(load_failed(load) == 0, "%s", load->message);
	assert_stayed_up();
}
END_TEST

/* How many reads of a lost server are resent, by the retry budget. */
static const struct {
	uint32_t budget; /* in per cent */
	bool some;	 /* are some reads resent? */
	bool all;
} budgets[] = {
	{ MEWS_FOREVER, false, false },
	{ 100, true, true },
};

START_TEST(the_retry_budget_bounds_resends)
{
	struct mews_group_config group = { .name = "read",
		.role = MEWS_GROUP_STANDBY, .connection_count = 8,
		.pipeline = 4, .retry_budget = budgets[_i].budget,
		.stall_after = 60000 };
	int	lost;

	/* Reads last so long that some run when b dies, on any machine. */
	cluster_open(&group, 1);
	load_start(load, "read", "select $1::int from pg_sleep(0.4)");
	CLUSTER_WAIT(load->on[1] > 10 && load->on[2] > 10);
	cluster_servers("kill", "b");
	CLUSTER_WAIT(cluster_is("b", "down"));
	load_stop(load);
	lost = load_failed(load);
	ck_assert_int_eq(load->count[MEWS_LOST], lost);
	ck_assert_msg((lost == 0) == budgets[_i].all, "%d lost: %s", lost,
	    load->message);
	ck_assert_int_eq(cluster_stats("read").resent > 0, budgets[_i].some);
	/* No more than the load's width was in flight. */
	ck_assert_int_le(lost + (int)cluster_stats("read").resent,
	    LOAD_WIDTH);
}
END_TEST

/* The backends of @server that have run one statement for half a second. */
static int
old(const char *server, pid_t pids[2])
{
	const char     *list = cluster_ask(server, "select coalesce("
	    "string_agg(pid::text, ' '), '') from pg_stat_activity "
	    "where application_name = 'mews:cluster' and state = 'active' "
	    "and clock_timestamp() - query_start > interval '500 ms'");

	return sscanf(list, "%d %d", &pids[0], &pids[1]);
}

/* Both reads run for half a second when their sessions are ended. Only these
 * sessions are ended, so the second read is lost once. */
START_TEST(a_read_is_not_sent_again_behind_its_deadline)
{
	const struct mews_query_args args[] = {
		{ .sql = "select 1, pg_sleep(3)", .deadline_ms = 300,
		  .flags = MEWS_QUERY_ALONE },
		{ .sql = "select 2, pg_sleep(3)", .flags = MEWS_QUERY_ALONE },
	};
	struct asked	asked[2];
	pid_t		pids[2][2] = { { 0 } };
	int		on_b, on_c;

	cluster_open(&(struct mews_group_config) { .name = "read",
	    .role = MEWS_GROUP_STANDBY, .connection_count = 2,
	    .min_connections = 2, .pipeline = 1 }, 1);
	CLUSTER_WAIT(cluster_stats("read").idle == 2);
	for (int i = 0; i < 2; i++)
		cluster_send(&asked[i], cluster_group("read"), &args[i]);
	do {
		cluster_turn();
		on_b = old("b", pids[0]);
		on_c = old("c", pids[1]);
		ck_assert_int_eq(asked[1].calls, 0);
	} while ((on_b > 0 ? on_b : 0) + (on_c > 0 ? on_c : 0) < 2);
	for (int i = 0; i < on_b; i++)
		kill(pids[0][i], SIGTERM);
	for (int i = 0; i < on_c; i++)
		kill(pids[1][i], SIGTERM);
	CLUSTER_WAIT(asked[0].calls == 1 && asked[1].calls == 1);
	ck_assert_int_eq(asked[0].status, MEWS_CANCELED);
	ck_assert_int_eq(asked[1].status, MEWS_OK);
	ck_assert_uint_eq(cluster_stats("read").resent, 1);
}
END_TEST

#define KILLS	 30
#define SAVED_UP 100 /* what a retry budget holds at least */
#define PER_CENT 20

/* A new text each time: a text that is known to be slow gets less room. */
static const char *
long_read(void)
{
	static char	sql[80];
	static int	count;

	snprintf(sql, sizeof(sql), "select $1::int, %d from pg_sleep(60)",
	    count++);
	return sql;
}

/* End every session that runs a read of the load; returns how many reads were
 * answered or resent so far. */
static uint64_t
kill_reads(void)
{
	static const char sql[] = "select count(pg_terminate_backend(pid)) "
	    "from pg_stat_activity where query like '%from pg_sleep(%' "
	    "and pid <> pg_backend_pid()";
	struct mews_group_stats stats;

	load->sql = long_read();
	cluster_ask("b", sql);
	cluster_ask("c", sql);
	stats = cluster_stats("read");
	return stats.queries + stats.resent;
}

/* Connections die over and over, with all reads in flight. */
START_TEST(a_used_up_retry_budget_grows_with_traffic_alone)
{
	static const struct mews_group_config group = { .name = "read",
		.role = MEWS_GROUP_STANDBY, .connection_count = 4,
		.pipeline = 8, .stall_after = 60000,
		.retry_budget = PER_CENT };
	struct mews_group_stats stats;
	uint64_t		before, bound;

	cluster_open(&group, 1);
	load_start(load, "read", long_read());
	for (int i = 0; i < KILLS; i++) {
		stats = cluster_stats("read");
		before = stats.queries + stats.resent;
		CLUSTER_WAIT(kill_reads() >= before + LOAD_WIDTH);
	}
	load->stop = true;
	stats = cluster_stats("read");
	ck_assert_int_eq(load_answers(load), load->count[MEWS_LOST]);
	ck_assert_uint_ge(stats.queries, KILLS * LOAD_WIDTH / 3);
	/* The budget allows no more than this, and is used up but for a few
	 * resends. */
	bound = SAVED_UP + stats.queries * PER_CENT / 100;
	ck_assert_uint_le(stats.resent, bound);
	ck_assert_uint_ge(stats.resent, bound - LOAD_WIDTH);
	ck_assert_uint_gt(bound - LOAD_WIDTH, SAVED_UP);
}
END_TEST

/* A commit waits for a synchronous standby that does not exist, and no
 * statement_timeout ends that wait. */
START_TEST(sessions_that_the_server_holds_count_until_it_let_go)
{
	static const struct mews_group_config write = { .name = "w",
		.role = MEWS_GROUP_PRIMARY, .connection_count = 4,
		.query_timeout = 200, .acquire_timeout = 1000,
		.stall_after = 60000 };
	static const char count[] = "select count(*) from pg_stat_activity "
	    "where application_name = 'mews:cluster' and query like 'insert%'";
	pid_t		monitor = 0;
	struct asked	asked[8];
	int		most = 0, now;

	cluster_repair();
	cluster_ask("a", "create table if not exists waits (id int)");
	cluster_prepare(&write, 1);
	cluster.config.endpoint_count = 1;
	cluster.endpoints[0].max_connections = 4;
	cluster_create();
	if (_i == 0)
		monitor = cluster_monitor();
	cluster_join();
	cluster_value(cluster_group("w"), "select 1");
	cluster_ask("a",
	    "alter system set synchronous_standby_names = 'nobody'");
	cluster_ask("a", "select pg_reload_conf()");
	for (int round = 0; round < 4; round++) {
		for (size_t i = 0; i < CLUSTER_COUNT(asked); i++)
			cluster_send_sql(&asked[i], cluster_group("w"),
			    "insert into waits values (1)");
		for (size_t i = 0; i < CLUSTER_COUNT(asked); i++)
			while (asked[i].calls == 0) {
				cluster_turn();
				now = cluster_ask_int("a", count);
				most = now > most ? now : most;
			}
	}
	ck_assert_int_gt(most, 0);
	ck_assert_int_le(most, 4);
	cluster_ask("a", "alter system reset synchronous_standby_names");
	cluster_ask("a", "select pg_reload_conf()");
	CLUSTER_WAIT(cluster_run(cluster_group("w"),
	    "insert into waits values (2)").status == MEWS_OK);
	CLUSTER_WAIT(cluster_look("a").connections <= 4);
	if (monitor != 0)
		cluster_end(monitor);
	cluster_close();
}
END_TEST

static Suite *
limits_suite(void)
{
	Suite	*suite = suite_create("limits");
	TCase	*tcase = unit_case(suite, "limits");
	TCase	*held = unit_case(suite, "held");

	tcase_set_timeout(held, 180);
	tcase_add_loop_test(held,
	    sessions_that_the_server_holds_count_until_it_let_go, 0, 2);

	tcase_set_timeout(tcase, 180);
	tcase_add_checked_fixture(tcase, begin, end);
	tcase_add_test(tcase, a_server_that_came_back_gets_its_share_slowly);
	tcase_add_test(tcase, too_many_connections_lower_the_limit_for_a_while);
	tcase_add_test(tcase, a_read_is_not_sent_again_behind_its_deadline);
	tcase_add_loop_test(tcase, the_retry_budget_bounds_resends, 0,
	    (int)CLUSTER_COUNT(budgets));
	tcase_add_test(tcase, a_used_up_retry_budget_grows_with_traffic_alone);
	return suite;
}

UNIT_MAIN(limits_suite)
