/*
 * test_crashes.c - a read that crashes its server, wherever it runs, costs its
 * neighbours nothing, however few connections there are.
 */
#include "cluster.h"
#include "load.h"
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A query that ends its own session. */
static const char terminate[] = "select pg_terminate_backend(pg_backend_pid())";
/* A query that kills its backend, so that the server goes through crash
 * recovery. */
static const char crash[] = "select crash()";
static const char function[] = "create or replace function crash() "
    "returns int language plpgsql as $$ begin "
    "copy (select 1) to program 'kill -9 $PPID'; return 1; end $$";

static const uint32_t connection_counts[] = { 1, 2, 3, 4 };

static struct load *load;

static void
begin(void)
{
	load = load_new();
	cluster_repair();
	cluster_ask("a", function);
	cluster_catch_up();
}

static void
end(void)
{
	cluster_close();
	free(load);
}

/* Open a fleet of three servers, with a steady load of reads. */
static void
open_fleet(uint32_t connection_count, enum mews_switch batch)
{
	cluster_open(&(struct mews_group_config) { .name = "any",
	    .role = MEWS_GROUP_ANY, .connection_count = connection_count,
	    .batch = batch, .stall_after = 60000, .query_timeout = 60000,
	    .retry_budget = 100 }, 1);
	for (int i = 0; i < 3; i++)
		CLUSTER_WAIT(strcmp(cluster_state(
		    cluster.endpoints[i].name), "up") == 0);
	load_start(load, "any", "select $1::int from pg_sleep(0.002)");
	CLUSTER_WAIT(load_answers(load) > 100);
}

/* Run @sql, which must end LOST while no query of the load does. */
static void
lose(const char *sql)
{
	struct asked	asked;
	int		before;

	cluster_send_sql(&asked, cluster_group("any"), sql);
	CLUSTER_WAIT(asked.calls == 1);
	ck_assert_msg(asked.status == MEWS_LOST, "%s", asked.message);
	before = load_answers(load);
	CLUSTER_WAIT(load_answers(load) > before + 100);
	ck_assert_msg(load_failed(load) == 0, "%s", load->message);
}

START_TEST(sessions_that_end_cost_neighbours_nothing)
{
	open_fleet(connection_counts[_i], MEWS_SWITCH_DEFAULT);
	for (int i = 0; i < 6; i++)
		lose(terminate);
	load_stop(load);
	ck_assert_msg(load_failed(load) == 0, "%s", load->message);
}
END_TEST

START_TEST(servers_that_crash_cost_neighbours_nothing)
{
	int	down = 0;

	open_fleet(connection_counts[_i / 2],
	    _i % 2 == 0 ? MEWS_SWITCH_ON : MEWS_SWITCH_OFF);
	lose(crash);
	load_stop(load);
	ck_assert_msg(load_failed(load) == 0, "%s", load->message);
	/* Several times, so that standbys are crashed as well. */
	for (int i = 0; i < 3; i++) {
		char	lost[80];

		snprintf(lost, sizeof(lost), "connection_lost endpoint=%s",
		    cluster.endpoints[i].name);
		down += cluster_logged(lost) > 0;
	}
	ck_assert_int_le(down, 2);
}
END_TEST

static Suite *
crashes_suite(void)
{
	Suite	*suite = suite_create("crashes");
	TCase	*tcase = unit_case(suite, "crashes");
	int	 counts = (int)CLUSTER_COUNT(connection_counts);

	tcase_add_checked_fixture(tcase, begin, end);
	tcase_set_timeout(tcase, 180);
	tcase_add_loop_test(tcase, sessions_that_end_cost_neighbours_nothing,
	    0, counts);
	tcase_add_loop_test(tcase, servers_that_crash_cost_neighbours_nothing,
	    0, counts * 2);
	return suite;
}

UNIT_MAIN(crashes_suite)
