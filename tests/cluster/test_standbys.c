/*
 * test_standbys.c - standbys as operators make them: one that follows another
 * standby, and one that is late on purpose.
 */
#include "cluster.h"
#include "load.h"
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct mews_group_config groups[] = {
	{ .name = "read", .role = MEWS_GROUP_STANDBY },
	{ .name = "write", .role = MEWS_GROUP_PRIMARY },
	{ .name = "recent", .role = MEWS_GROUP_STANDBY, .max_lag = 1000 },
};

static struct load *load;

/* Restore the servers: c follows a, without delay. */
static void
restore(void)
{
	cluster_repair();
	cluster_ask("c", "alter system reset primary_conninfo");
	cluster_ask("c", "alter system reset recovery_min_apply_delay");
	cluster_ask("c", "select pg_reload_conf()");
	cluster_catch_up();
}

static void
begin(void)
{
	restore();
	load = calloc(1, sizeof(*load));
	ck_assert_ptr_nonnull(load);
	cluster_ask("a", "drop table if exists standbys");
	cluster_ask("a", "create table standbys (n int)");
	cluster_catch_up();
}

static void
end(void)
{
	cluster_close();
	free(load);
	restore();
}

static pid_t
open_watched(void)
{
	return cluster_watched(groups, CLUSTER_COUNT(groups));
}

/* Have c receive from b, and wait until it does. */
static void
cascade(void)
{
	char	set[200];

	snprintf(set, sizeof(set), "alter system set primary_conninfo = "
	    "'host=127.0.0.1 port=%s user=mews'", getenv("MEWS_B_PORT"));
	cluster_ask("c", set);
	cluster_ask("c", "select pg_reload_conf()");
	CLUSTER_WAIT(cluster_ask_int("b",
	    "select count(*) from pg_stat_replication") == 1);
}

START_TEST(a_standby_of_a_standby_is_one_as_any_other)
{
	struct mews_query_args	args = { .flags = MEWS_QUERY_POSITION,
		.sql = "insert into standbys values (1) returning n" };
	struct mews_result     *result;
	struct asked		read;
	int			on_c = 0;
	pid_t			pid;

	cascade();
	pid = open_watched();
	CLUSTER_WAIT(cluster_look("c").lag_ms >= 0 &&
	    strcmp(cluster_state("c"), "up") == 0 &&
	    strcmp(cluster_role("c"), "standby") == 0);
	for (int rows = 1; on_c < 3; rows++) {
		ck_assert_int_eq(mews_query_run(cluster_group("write"), &args,
		    &result), MEWS_OK);
		read = cluster_run_args(cluster_group("read"),
		    &(struct mews_query_args){
			.sql = "select count(*) from standbys",
			.after = mews_result_position(result) });
		mews_result_free(&result);
		ck_assert_msg(read.status == MEWS_OK, "%s", read.message);
		ck_assert_int_eq(atoi(read.value), rows);
		on_c += strcmp(read.endpoint, "c") == 0;
	}
	/* Without b, c receives nothing: it is too late for some groups, which
	 * is no reason to be down. */
	load_start(load, "recent",
	    "select $1::int from pg_sleep(0.002)");
	CLUSTER_WAIT(load->on[2] > 20);
	cluster_servers("freeze", "b");
	while (cluster_look("c").lag_ms <= 1000) {
		cluster_ask("a", "insert into standbys values (2)");
		cluster_turn();
	}
	ck_assert_str_eq(cluster_state("c"), "up");
	cluster_servers("thaw", "b");
	load->on[2] = 0;
	CLUSTER_WAIT(load->on[2] > 20);
	load_stop(load);
	cluster_end(pid);
}
END_TEST

START_TEST(a_delayed_standby_serves_whoever_takes_old_rows)
{
	struct asked read;
	int64_t	     until;
	pid_t	     pid;

	cluster_ask("c", "alter system set recovery_min_apply_delay = '1h'");
	cluster_ask("c", "select pg_reload_conf()");
	CLUSTER_WAIT(strcmp(cluster_ask("c",
	    "show recovery_min_apply_delay"), "1h") == 0);
	pid = open_watched();
	do {
		cluster_ask("a", "insert into standbys values (1)");
		cluster_turn();
	} while (cluster_look("c").lag_ms <= 1000);
	load_start(load, "recent",
	    "select $1::int from pg_sleep(0.002)");
	CLUSTER_WAIT(load->on[1] > 500);
	ck_assert_int_eq(load->on[2], 0);
	load_stop(load);
	ck_assert_msg(load_failed(load) == 0, "%s", load->message);
	until = cluster_now() + CLUSTER_PATIENCE;
	while (strcmp(cluster_run(cluster_group("read"), "select 1").endpoint,
	    "c") != 0)
		ck_assert_int_lt(cluster_now(), until);
	ck_assert_str_eq(cluster_state("c"), "up");
	/* Alone, it is too late for recent rows, and the message says why. */
	ck_assert_int_eq(mews_fleet_drain(cluster.fleet, "b", true, NULL),
	    MEWS_OK);
	CLUSTER_WAIT(cluster_look("b").drained);
	cluster_turn_for(1000);
	read = cluster_run_args(cluster_group("recent"),
	    &(struct mews_query_args){ .sql = "select 1",
		.deadline_ms = 300 });
	ck_assert_msg(strstr(read.message, "b is drained, c lags too much") !=
	    NULL, "%s", read.message);
	mews_fleet_drain(cluster.fleet, "b", false, NULL);
	cluster_end(pid);
}
END_TEST

static Suite *
standbys_suite(void)
{
	Suite	*suite = suite_create("standbys");
	TCase	*tcase = unit_case(suite, "standbys");

	tcase_set_timeout(tcase, 180);
	tcase_add_checked_fixture(tcase, begin, end);
	tcase_add_test(tcase, a_standby_of_a_standby_is_one_as_any_other);
	tcase_add_test(tcase, a_delayed_standby_serves_whoever_takes_old_rows);
	return suite;
}

UNIT_MAIN(standbys_suite)
