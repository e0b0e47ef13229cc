/*
 * test_room.c - at its limit, a group closes a connection to make room for one
 * to another server, but only when the new one is logged in.
 */
#include "cluster.h"
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct mews_group_config group = { .name = "g",
	.role = MEWS_GROUP_PREFER_STANDBY, .connection_count = 2,
	.min_connections = 2, .stall_after = 60000 };

static pid_t monitor;

static void
resume_all(void)
{
	cluster_ask("b", "select pg_wal_replay_resume()");
	cluster_ask("c", "select pg_wal_replay_resume()");
}

/* Only the primary is open to guest. */
static void
begin(void)
{
	static char	conninfo[300];

	cluster_repair();
	resume_all();
	cluster_ask("a", "drop role if exists guest");
	cluster_ask("a", "create role guest login");
	cluster_ask("a", "create table if not exists room (x int)");
	cluster_catch_up();
	cluster_prepare(&group, 1);
	snprintf(conninfo, sizeof(conninfo), "%s user=guest",
	    cluster.endpoints[0].conninfo);
	cluster.endpoints[0].conninfo = conninfo;
	cluster_create();
	monitor = cluster_monitor();
	cluster_join();
}

static void
end(void)
{
	cluster_end(monitor);
	cluster_close();
	resume_all();
}

static void
pause_replay(const char *server)
{
	cluster_ask(server, "select pg_wal_replay_pause()");
	CLUSTER_WAIT(strcmp(cluster_ask(server,
	    "select pg_get_wal_replay_pause_state()"), "paused") == 0);
}

/* Only the primary has what the read waits for, and it accepts no login. */
START_TEST(a_login_that_fails_costs_no_session)
{
	struct mews_query_args	args = { .sql = "select 7" };
	struct asked		asked = { .calls = 1 };
	uint64_t		opened;

	CLUSTER_WAIT(cluster_stats("g").idle == 2 &&
	    strcmp(cluster_role("a"), "primary") == 0);
	CLUSTER_WAIT(strcmp(cluster_run(cluster_group("g"),
	    "select 1").endpoint, "a") != 0);
	pause_replay("b");
	pause_replay("c");
	cluster_ask("a", "alter role guest nologin");
	cluster_ask("a", "insert into room values (1)");
	args.after = strtoull(cluster_ask("a",
	    "select pg_current_wal_lsn() - '0/0'"), NULL, 10);
	ck_assert_uint_gt(args.after, 0);
	CLUSTER_WAIT(cluster_look("b").connections == 1 &&
	    cluster_look("c").connections == 1);
	opened = cluster_stats("g").opened;
	while (cluster_logged("connect_failed") < 3) {
		if (asked.calls == 1)
			cluster_send(&asked, cluster_group("g"), &args);
		cluster_value(cluster_group("g"), "select 1");
		ck_assert_uint_ge(cluster_stats("g").connections, 2);
	}
	ck_assert_uint_eq(cluster_stats("g").opened, opened);
	cluster_ask("a", "alter role guest login");
	if (asked.calls == 1)
		cluster_send(&asked, cluster_group("g"), &args);
	CLUSTER_WAIT(asked.calls == 1);
	ck_assert_msg(asked.status == MEWS_OK, "%s", asked.message);
	ck_assert_str_eq(asked.endpoint, "a");
	CLUSTER_WAIT(cluster_stats("g").connections == 2);
	cluster_value(cluster_group("g"), "select 1");
}
END_TEST

static Suite *
room_suite(void)
{
	Suite	*suite = suite_create("room");
	TCase	*tcase = unit_case(suite, "room");

	tcase_add_checked_fixture(tcase, begin, end);
	tcase_set_timeout(tcase, 180);
	tcase_add_test(tcase, a_login_that_fails_costs_no_session);
	return suite;
}

UNIT_MAIN(room_suite)
