/*
 * test_roles.c - writes go to the primary, wherever that is.
 *
 * The last tests promote b, then a: after them, c is no server's standby.
 */
#include "cluster.h"
#include "load.h"
#include "unit.h"

#include <stdio.h>
#include <string.h>

static const struct mews_group_config groups[] = {
	{ .name = "any", .connection_count = 6 },
	{ .name = "primary", .role = MEWS_GROUP_PRIMARY,
	  .acquire_timeout = 500 },
	{ .name = "standby", .role = MEWS_GROUP_STANDBY,
	  .acquire_timeout = 500 },
	/* Stalls are put off, as a standby may look slow on a busy machine. */
	{ .name = "prefer", .role = MEWS_GROUP_PREFER_STANDBY,
	  .stall_after = 60000 },
};

static struct load *load;

static void
make_load(void)
{
	load = load_new();
}

static void
begin(void)
{
	make_load();
	cluster_repair();
	cluster_open(groups, CLUSTER_COUNT(groups));
}

static void
end(void)
{
	cluster_close();
	free(load);
}

static bool
is(const char *endpoint, const char *state, const char *role)
{
	return strcmp(cluster_state(endpoint), state) == 0 &&
	    strcmp(cluster_role(endpoint), role) == 0;
}

START_TEST(each_role_is_served_by_servers_of_that_role)
{
	static const struct {
		const char *group;
		bool on[3];
	} rows[] = {
		{ "any", { true, true, true } },
		{ "primary", { true, false, false } },
		{ "standby", { false, true, true } },
		{ "prefer", { false, true, true } },
	};

	CLUSTER_WAIT(is("a", "up", "primary") && is("b", "up", "standby") &&
	    is("c", "up", "standby"));
	for (size_t i = 0; i < CLUSTER_COUNT(rows); i++) {
		load_start(load, rows[i].group,
		    "select $1::int, pg_sleep(0.0005)");
		CLUSTER_WAIT(load_answers(load) > 1000);
		load_stop(load);
		ck_assert_int_eq(load_failed(load), 0);
		for (int k = 0; k < 3; k++)
			ck_assert_msg((load->on[k] > 0) == rows[i].on[k],
			    "group %s: %d on %c", rows[i].group, load->on[k],
			    'a' + k);
	}
}
END_TEST

/* Did b give the last hundred answers? A busy machine may suspect b for a
 * moment, and then the primary serves some. */
static bool
serves_alone(void)
{
	if (load->on[0] > 0)
		load->on[0] = load->on[1] = 0;
	return load->on[1] > 100;
}

START_TEST(a_preferred_standby_is_replaced_by_the_primary)
{
	load_start(load, "prefer", "select $1::int, pg_sleep(0.0005)");
	CLUSTER_WAIT(load->on[1] > 0 && load->on[2] > 0);
	cluster_servers("kill", "b c");
	CLUSTER_WAIT(load->on[0] > 100);
	cluster_servers("up", "b");
	load->on[1] = 0;
	CLUSTER_WAIT(serves_alone());
	load_stop(load);
	ck_assert_msg(load_failed(load) == 0, "%d: %s", load_failed(load),
	    load->message);
}
END_TEST

START_TEST(a_group_of_standbys_never_asks_the_primary)
{
	struct asked	asked;

	cluster_value(cluster_group("standby"), "select 1");
	cluster_servers("kill", "b c");
	asked = cluster_run(cluster_group("standby"), "select 1");
	ck_assert_int_eq(asked.status, MEWS_UNAVAILABLE);
	ck_assert_str_eq(cluster_run(cluster_group("any"), "select 1")
	    .endpoint, "a");
	cluster_servers("up", "c");
	CLUSTER_WAIT(cluster_run(cluster_group("standby"), "select 1")
	    .status == MEWS_OK);
}
END_TEST

START_TEST(a_primary_that_turns_read_only_gets_no_writes)
{
	struct load	*reads = malloc(sizeof(*reads));

	cluster_ask("a", "drop table if exists turned;"
	    "create table turned (id int)");
	load_start(load, "primary", "insert into turned values ($1)");
	CLUSTER_WAIT(load->on[0] > 10);
	cluster_ask("a", "alter system set default_transaction_read_only = on");
	cluster_ask("a", "select pg_reload_conf()");
	CLUSTER_WAIT(strcmp(cluster_role("a"), "readonly") == 0);
	CLUSTER_WAIT(load->count[MEWS_UNAVAILABLE] > 0);
	/* A server that is read only still serves reads. */
	load_start(reads, "any", "select $1::int, pg_sleep(0.0005)");
	CLUSTER_WAIT(reads->on[0] > 10);
	load_stop(reads);
	ck_assert_int_eq(load_failed(reads), 0);
	free(reads);
	cluster_ask("a",
	    "alter system reset default_transaction_read_only");
	cluster_ask("a", "select pg_reload_conf()");
	load->on[0] = 0;
	CLUSTER_WAIT(load->on[0] > 10);
	load_stop(load);
	/* No write was refused as sent to a standby. */
	ck_assert_msg(load->count[MEWS_SQL] == 0 &&
	    load->count[MEWS_LOST] == 0, "%s", load->message);
	ck_assert_str_eq(cluster_role("a"), "primary");
	ck_assert_int_eq(cluster_ask_int("a", "select count(*) from turned"),
	    load->count[MEWS_OK]);
}
END_TEST

START_TEST(writes_go_to_the_one_that_was_promoted)
{
	struct load *reads = malloc(sizeof(*reads));
	int	     on_b;

	cluster_ask("a", "drop table if exists moved;"
	    "create table moved (id int)");
	cluster_catch_up();
	load_start(reads, "standby", "select $1::int, pg_sleep(0.0005)");
	load_start(load, "primary", "insert into moved values ($1)");
	CLUSTER_WAIT(load->on[0] > 100 && reads->on[1] > 100);
	cluster_servers("kill", "a");
	CLUSTER_WAIT(load->count[MEWS_UNAVAILABLE] > 0);
	cluster_servers("promote", "b");
	CLUSTER_WAIT(load->on[1] > 100);
	ck_assert(is("b", "up", "primary"));
	ck_assert_str_eq(cluster_state("a"), "down");
	/* Reads that b served as a standby go to c. */
	on_b = reads->on[1];
	reads->on[2] = 0;
	CLUSTER_WAIT(reads->on[2] > 100);
	ck_assert_int_le(reads->on[1] - on_b, LOAD_WIDTH);
	load_stop(reads);
	ck_assert_msg(load_failed(reads) == 0, "%s", reads->message);
	load_stop(load);
	ck_assert_int_ge(cluster_ask_int("b", "select count(*) from moved"),
	    load->on[1]);
	/* The old primary comes back as a standby of b, and gets reads only. */
	cluster_servers("follow", "a b");
	CLUSTER_WAIT(is("a", "up", "standby"));
	load_start(reads, "standby", "select $1::int, pg_sleep(0.0005)");
	load_start(load, "primary", "insert into moved values ($1)");
	CLUSTER_WAIT(reads->on[0] > 100 && load->on[1] > 100);
	load_stop(reads);
	load_stop(load);
	ck_assert_int_eq(load->on[0] + reads->on[1], 0);
	ck_assert_msg(load_failed(reads) == 0, "%s", reads->message);
	ck_assert_msg(load_failed(load) == 0, "%s", load->message);
	free(reads);
}
END_TEST

/* No session is open on a standby, so no answer shows the promotion. */
START_TEST(a_promotion_is_found_by_a_pool_that_only_writes)
{
	cluster_open(&groups[1], 1);
	load_start(load, "primary", "insert into moved values ($1)");
	CLUSTER_WAIT(load->on[1] > 100);
	cluster_servers("kill", "b");
	CLUSTER_WAIT(load->count[MEWS_UNAVAILABLE] > 0);
	cluster_servers("promote", "a");
	CLUSTER_WAIT(load->on[0] > 100);
	load_stop(load);
	ck_assert(is("a", "up", "primary"));
	ck_assert(is("b", "down", "primary"));
}
END_TEST

/* While writes wait, the standbys are probed more often than once in interval,
 * which is longer than the test waits. The test leaves b the primary. */
START_TEST(a_promotion_is_found_before_the_next_steady_look)
{
	struct asked	asked;
	pid_t		pid;

	cluster_repair();
	cluster_servers("follow", "b a");
	cluster_prepare(groups, CLUSTER_COUNT(groups));
	for (uint32_t i = 0; i < cluster.config.group_count; i++)
		cluster.groups[i].acquire_timeout = 2 * CLUSTER_PATIENCE;
	cluster.config.health.interval = 4 * CLUSTER_PATIENCE;
	cluster_create();
	pid = cluster_monitor();
	cluster_join();
	CLUSTER_WAIT(is("a", "up", "primary") && is("b", "up", "standby"));
	cluster_value(cluster_group("primary"), "select 1");
	cluster_servers("kill", "a");
	CLUSTER_WAIT(is("a", "down", "primary"));
	cluster_send_sql(&asked, cluster_group("primary"), "select 1");
	cluster_servers("promote", "b");
	CLUSTER_WAIT(asked.calls == 1);
	ck_assert_msg(asked.status == MEWS_OK, "%s", asked.message);
	ck_assert_str_eq(asked.endpoint, "b");
	cluster_end(pid);
}
END_TEST

static Suite *
roles_suite(void)
{
	Suite *suite = suite_create("roles");
	TCase *routing = unit_case(suite, "routing");
	TCase *promotion = unit_case(suite, "promotion");
	TCase *unseen = unit_case(suite, "unseen");

	tcase_add_checked_fixture(routing, begin, end);
	tcase_add_checked_fixture(promotion, begin, end);
	tcase_set_timeout(routing, 180);
	tcase_add_checked_fixture(unseen, make_load, end);
	tcase_set_timeout(promotion, 180);
	tcase_set_timeout(unseen, 180);
	tcase_add_test(routing, each_role_is_served_by_servers_of_that_role);
	tcase_add_test(routing, a_preferred_standby_is_replaced_by_the_primary);
	tcase_add_test(routing, a_group_of_standbys_never_asks_the_primary);
	tcase_add_test(routing, a_primary_that_turns_read_only_gets_no_writes);
	tcase_add_test(promotion, writes_go_to_the_one_that_was_promoted);
	tcase_add_test(unseen, a_promotion_is_found_by_a_pool_that_only_writes);
	tcase_add_test(unseen,
	    a_promotion_is_found_before_the_next_steady_look);
	return suite;
}

UNIT_MAIN(roles_suite)
