/*
 * test_connections.c - how many connections there are, how long they live,
 * and which of them serves.
 */
#include "cluster.h"
#include "unit.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define SESSIONS "select count(*) from pg_stat_activity where "		\
	"application_name = 'mews:cluster' and query <> ''"

static void
open_one(const struct mews_group_config *group)
{
	cluster_open(group, 1);
}

static uint32_t
connections(void)
{
	return cluster_stats("g").connections;
}

/* Turn for @ms; meanwhile there may be @most connections at most. */
static void
turn_for(int ms, uint32_t most)
{
	int64_t	end = cluster_now() + ms;

	while (cluster_now() < end) {
		cluster_turn();
		ck_assert_uint_le(connections(), most);
	}
}

/* Run a command on the servers while the host does not turn the pool. */
static void
behind_its_back(const char *command, const char *names)
{
	struct mews_pool	*pool = cluster.pool;

	cluster.pool = NULL;
	cluster_servers(command, names);
	cluster.pool = pool;
}

/* How many connections there are. */

START_TEST(the_minimum_of_connections_is_open_before_any_query)
{
	open_one(&(struct mews_group_config) { .name = "g",
	    .role = MEWS_GROUP_PRIMARY, .min_connections = 3 });
	CLUSTER_WAIT(cluster_stats("g").idle == 3);
	turn_for(300, 3);
	ck_assert_uint_eq(cluster_stats("g").opened, 3);
	ck_assert_int_eq(cluster_ask_int("a", SESSIONS), 3);
}
END_TEST

START_TEST(no_connection_is_opened_without_a_query)
{
	open_one(&(struct mews_group_config) { .name = "g" });
	CLUSTER_WAIT(strcmp(cluster_state("a"), "up") == 0);
	turn_for(300, 0);
}
END_TEST

START_TEST(there_are_never_more_connections_than_configured)
{
	struct asked asked[200];
	int	     most = 0, now;

	open_one(&(struct mews_group_config) { .name = "g",
	    .role = MEWS_GROUP_PRIMARY, .connection_count = 3,
	    .pipeline = 1 });
	for (int i = 0; i < 200; i++)
		cluster_send_sql(&asked[i], cluster_group("g"),
		    "select pg_sleep(0.01)");
	while (asked[199].calls == 0) {
		cluster_turn();
		now = cluster_ask_int("a", SESSIONS);
		most = now > most ? now : most;
	}
	ck_assert_int_eq(most, 3);
	ck_assert_uint_eq(cluster_stats("g").opened, 3);
}
END_TEST

START_TEST(idle_connections_are_closed_down_to_the_minimum)
{
	struct mews_lease	*leases[4];
	char			 pids[200] = "";

	open_one(&(struct mews_group_config) { .name = "g",
	    .role = MEWS_GROUP_PRIMARY, .min_connections = 2,
	    .idle_timeout = 300 });
	for (int i = 0; i < 4; i++) {
		leases[i] = cluster_lease(cluster_group("g"));
		strcat(pids, " ");
		strcat(pids, cluster_on_lease(leases[i],
		    "select pg_backend_pid()").value);
	}
	ck_assert_uint_eq(connections(), 4);
	for (int i = 0; i < 4; i++)
		mews_lease_end(&leases[i]);
	turn_for(200, 4);
	ck_assert_uint_eq(connections(), 4);
	CLUSTER_WAIT(connections() == 2);
	turn_for(700, 2);
	/* Two connections stayed; none was closed and opened again. */
	ck_assert_uint_eq(connections(), 2);
	ck_assert_uint_eq(cluster_stats("g").opened, 4);
	ck_assert_ptr_nonnull(strstr(pids, cluster_value(cluster_group("g"),
	    "select ' ' || pg_backend_pid()")));
}
END_TEST

/* The next generation needs connections, and each endpoint has a cap. */
START_TEST(a_generation_that_is_over_keeps_no_idle_connection)
{
	struct mews_fleet *next;
	struct mews_lease *lease;

	open_one(&(struct mews_group_config) { .name = "g",
	    .role = MEWS_GROUP_PRIMARY, .min_connections = 2 });
	lease = cluster_lease(cluster_group("g"));
	cluster_on_lease(lease, "create temp table kept (i int)");
	CLUSTER_WAIT(connections() == 2);
	ck_assert_int_eq(mews_fleet_renew(&next, cluster.fleet,
	    &cluster.config, NULL), MEWS_OK);
	turn_for(300, 2);
	mews_fleet_switch(next);
	/* The lease may be used to its end, and queries may still be sent. */
	CLUSTER_WAIT(connections() == 1);
	ck_assert_int_eq(cluster_on_lease(lease,
	    "select count(*) from kept").status, MEWS_OK);
	ck_assert_str_eq(cluster_value(cluster_group("g"), "select 5"), "5");
	mews_lease_end(&lease);
	CLUSTER_WAIT(connections() == 0);
	mews_fleet_destroy(&next);
}
END_TEST

START_TEST(connections_in_use_do_not_idle)
{
	int64_t	end;

	open_one(&(struct mews_group_config) { .name = "g",
	    .role = MEWS_GROUP_PRIMARY, .idle_timeout = 300 });
	end = cluster_now() + 1000;
	while (cluster_now() < end)
		cluster_value(cluster_group("g"), "select pg_sleep(0.05)");
	ck_assert_uint_eq(cluster_stats("g").opened, 1);
	CLUSTER_WAIT(connections() == 0);
}
END_TEST

/* A query that is sent again as soon as it was answered. */
struct endless {
	struct mews_group *group;
	bool stop;
	int answers;
};

static void
ask_again(void *arg, const struct mews_result *result)
{
	struct endless	       *endless = arg;
	struct mews_query_args	args = { .sql = "select 1" };

	if (result != NULL) {
		ck_assert_msg(mews_result_status(result) == MEWS_OK, "%s",
		    mews_result_message(result));
		endless->answers++;
	}
	if (!endless->stop)
		ck_assert_int_eq(mews_query_send(endless->group, &args,
		    ask_again, endless, NULL), MEWS_OK);
}

START_TEST(old_connections_are_replaced_even_under_load)
{
	struct endless	endless = { 0 };

	open_one(&(struct mews_group_config) { .name = "g",
	    .role = MEWS_GROUP_PRIMARY, .connection_count = 1,
	    .max_lifetime = 300 });
	endless.group = cluster_group("g");
	for (int i = 0; i < 8; i++)
		ask_again(&endless, NULL);
	/* The connection is never idle, is replaced, and no query fails. */
	CLUSTER_WAIT(cluster_stats("g").opened >= 4);
	ck_assert_int_gt(endless.answers, 100);
	endless.stop = true;
	CLUSTER_WAIT(cluster_stats("g").in_flight == 0 &&
	    cluster_stats("g").waiting == 0);
	ck_assert_uint_eq(cluster_stats("g").resent, 0);
}
END_TEST

START_TEST(connections_of_the_minimum_that_are_too_old_are_replaced)
{
	open_one(&(struct mews_group_config) { .name = "g",
	    .role = MEWS_GROUP_PRIMARY, .min_connections = 2,
	    .max_lifetime = 300 });
	CLUSTER_WAIT(cluster_stats("g").opened >= 6);
	CLUSTER_WAIT(cluster_stats("g").idle == 2);
}
END_TEST

/* --- the cap of the fleet --- */

static const struct mews_group_config capped = { .name = "g",
	.role = MEWS_GROUP_PRIMARY, .pipeline = 1, .acquire_timeout = 15000 };

static void
create_capped(uint32_t cap)
{
	cluster_prepare(&capped, 1);
	cluster.endpoints[0].max_connections = cap;
	cluster_create();
}

/* Send many queries, write "x", and stay until told to end. */
static void
ask_much(void *arg)
{
	const int   *ends = arg; /* the pipes to write to and to read from */
	struct asked asked[100];
	char	     byte;

	cluster_join();
	for (int i = 0; i < 100; i++)
		cluster_send_sql(&asked[i], cluster_group("g"),
		    "select pg_sleep(0.02)");
	for (int i = 0; i < 100; i++) {
		CLUSTER_WAIT(asked[i].calls == 1);
		ck_assert_msg(asked[i].status == MEWS_OK, "%s",
		    asked[i].message);
	}
	ck_assert_int_eq(write(ends[0], "x", 1), 1);
	ck_assert_int_eq(read(ends[1], &byte, 1), 1);
	cluster_close();
}

START_TEST(several_processes_keep_to_the_cap_together)
{
	int	said[2], heard[2], ends[2], most = 0, now;
	int64_t	kept = cluster_now();
	char	bytes[2];
	pid_t	pids[2];

	create_capped(5);
	ck_assert_int_eq(pipe(said), 0);
	ck_assert_int_eq(pipe(heard), 0);
	ends[0] = said[1];
	ends[1] = heard[0];
	for (int i = 0; i < 2; i++)
		pids[i] = cluster_fork(ask_much, ends);
	/* Each worker wants four. A closed session may linger on the server. */
	for (int i = 0; i < 200; i++) {
		now = cluster_ask_int("a", SESSIONS);
		most = now > most ? now : most;
		if (now <= 5)
			kept = cluster_now();
		ck_assert_msg(cluster_now() - kept < 500,
		    "%d sessions for %d ms", now, (int)(cluster_now() - kept));
	}
	for (int i = 0; i < 2; i++)
		ck_assert_int_eq(read(said[0], &bytes[i], 1), 1);
	ck_assert_int_ge(most, 5);
	ck_assert_int_eq(write(heard[1], "xx", 2), 2);
	for (int i = 0; i < 2; i++)
		cluster_ended_well(pids[i]);
}
END_TEST

static void
take_all(void *arg)
{
	struct mews_lease	*leases[4];

	cluster_join();
	for (int i = 0; i < 4; i++)
		leases[i] = cluster_lease(cluster_group("g"));
	(void)leases;
	ck_assert_int_eq(write(*(int *)arg, "x", 1), 1);
	pause();
}

START_TEST(connections_of_a_killed_process_are_free_for_others)
{
	struct asked		  asked;
	struct mews_view_endpoint seen;
	int			  said[2], status;
	char			  byte;
	pid_t			  pid;

	create_capped(4);
	ck_assert_int_eq(pipe(said), 0);
	pid = cluster_fork(take_all, &said[1]);
	ck_assert_int_eq(read(said[0], &byte, 1), 1);
	cluster_join();
	ck_assert(mews_view_endpoint(cluster.view, 0, &seen, sizeof(seen)));
	ck_assert_uint_eq(seen.connections, 4);
	ck_assert_uint_eq(seen.max_connections, 4);
	cluster_send_sql(&asked, cluster_group("g"), "select 1");
	turn_for(300, 0);
	ck_assert_int_eq(asked.calls, 0);
	kill(pid, SIGKILL);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	turn_for(100, 0);
	ck_assert(mews_fleet_reap(cluster.fleet, pid));
	ck_assert(!mews_fleet_reap(cluster.fleet, pid));
	CLUSTER_WAIT(asked.calls == 1);
	ck_assert_int_eq(asked.status, MEWS_OK);
	ck_assert(mews_view_endpoint(cluster.view, 0, &seen, sizeof(seen)));
	ck_assert_uint_eq(seen.connections, 1);
}
END_TEST

/* --- connections are checked before use --- */

static const struct mews_group_config idle_groups[] = {
	{ .name = "g", .role = MEWS_GROUP_PRIMARY, .connection_count = 2,
	  .min_connections = 2 },
	{ .name = "lease", .role = MEWS_GROUP_PRIMARY, .connection_count = 1,
	  .autocommit = MEWS_SWITCH_OFF },
	{ .name = "read", .role = MEWS_GROUP_STANDBY, .min_connections = 2 },
};

START_TEST(a_restart_while_nobody_looks_costs_no_query)
{
	static const char *const commands[] = { "down", "kill" };
	struct mews_lease	*lease;
	struct asked		 asked;

	cluster_ask("a", "drop table if exists noticed;"
	    "create table noticed (id serial)");
	cluster_open(idle_groups, CLUSTER_COUNT(idle_groups));
	lease = cluster_lease(cluster_group("lease"));
	mews_lease_end(&lease);
	CLUSTER_WAIT(cluster_stats("g").idle == 2 &&
	    cluster_stats("read").idle == 2);
	behind_its_back(commands[_i], "a b c");
	behind_its_back("up", "a b c");
	asked = cluster_run(cluster_group("g"),
	    "insert into noticed default values");
	ck_assert_msg(asked.status == MEWS_OK, "%s: %s",
	    mews_status_name(asked.status), asked.message);
	asked = cluster_run(cluster_group("read"), "select 1");
	ck_assert_msg(asked.status == MEWS_OK, "%s: %s",
	    mews_status_name(asked.status), asked.message);
	lease = cluster_lease(cluster_group("lease"));
	asked = cluster_on_lease(lease, "insert into noticed default values");
	ck_assert_msg(asked.status == MEWS_OK, "%s: %s",
	    mews_status_name(asked.status), asked.message);
	ck_assert_int_eq(cluster_commit(lease).status, MEWS_OK);
	mews_lease_end(&lease);
	ck_assert_int_eq(cluster_ask_int("a", "select count(*) from noticed"),
	    2);
	ck_assert_uint_eq(cluster_stats("g").errors, 0);
	ck_assert_uint_eq(cluster_stats("read").resent, 0);
}
END_TEST

START_TEST(a_session_that_the_server_ended_costs_no_query)
{
	open_one(&(struct mews_group_config) { .name = "g",
	    .role = MEWS_GROUP_PRIMARY, .connection_count = 1 });
	for (int i = 1; i <= 10; i++) {
		cluster_value(cluster_group("g"), "select 1");
		ck_assert_uint_eq(cluster_stats("g").opened, (unsigned)i);
		cluster_ask("a", "select pg_terminate_backend(pid, 10000) "
		    "from pg_stat_activity where "
		    "application_name = 'mews:cluster'");
	}
	ck_assert_uint_eq(cluster_stats("g").errors, 0);
	ck_assert_str_ne(cluster_state("a"), "down");
}
END_TEST

/* --- a connection that hangs --- */

START_TEST(a_slow_query_holds_no_other_query_back)
{
	struct asked	slow, quick[50];

	open_one(&(struct mews_group_config) { .name = "g",
	    .role = MEWS_GROUP_PRIMARY, .connection_count = 2,
	    .min_connections = 2 });
	CLUSTER_WAIT(cluster_stats("g").idle == 2);
	cluster_send_sql(&slow, cluster_group("g"), "select pg_sleep(2)");
	for (int round = 0; round < 5; round++) {
		turn_for(100, 2);
		for (int i = 0; i < 50; i++)
			cluster_send_sql(&quick[i], cluster_group("g"),
			    "select 1");
		for (int i = 0; i < 50; i++) {
			CLUSTER_WAIT(quick[i].calls == 1);
			ck_assert_int_eq(quick[i].status, MEWS_OK);
		}
		ck_assert_int_eq(slow.calls, 0);
		ck_assert_str_ne(cluster_state("a"), "down");
	}
	CLUSTER_WAIT(slow.calls == 1);
	ck_assert_int_eq(slow.status, MEWS_OK);
	ck_assert_uint_eq(cluster_stats("g").opened, 2);
}
END_TEST

START_TEST(an_endpoint_that_is_slow_everywhere_is_not_ejected)
{
	struct asked	slow[4];

	open_one(&(struct mews_group_config) { .name = "g",
	    .role = MEWS_GROUP_PRIMARY, .connection_count = 2,
	    .min_connections = 2 });
	CLUSTER_WAIT(cluster_stats("g").idle == 2);
	for (int i = 0; i < 4; i++)
		cluster_send_sql(&slow[i], cluster_group("g"),
		    "select pg_sleep(0.5)");
	for (int i = 0; i < 4; i++) {
		while (slow[i].calls == 0) {
			cluster_turn();
			ck_assert_str_ne(cluster_state("a"), "down");
		}
		ck_assert_int_eq(slow[i].status, MEWS_OK);
	}
	CLUSTER_WAIT(strcmp(cluster_state("a"), "up") == 0);
	ck_assert_uint_eq(cluster_stats("g").opened, 2);
}
END_TEST

/* The states of one connection in their order. */

static int
told_to_be(const char *from, const char *to)
{
	char	line[200];

	snprintf(line, sizeof(line), "debug connection_state endpoint=a "
	    "group=g from=%s to=%s\n", from, to);
	return cluster_logged(line);
}

START_TEST(a_connection_tells_its_life_at_debug)
{
	struct mews_lease *lease;
	struct asked	   lost;

	cluster_prepare(&(struct mews_group_config) { .name = "g",
	    .role = MEWS_GROUP_PRIMARY }, 1);
	cluster_create();
	mews_fleet_set_log_level(cluster.fleet, MEWS_LOG_DEBUG);
	cluster_join();
	lease = cluster_lease(cluster_group("g"));
	ck_assert_int_eq(told_to_be("new", "dialing"), 1);
	ck_assert_int_eq(told_to_be("dialing", "setup"), 1);
	ck_assert_int_eq(told_to_be("setup", "ready"), 1);
	lost = cluster_on_lease(lease,
	    "select pg_terminate_backend(pg_backend_pid())");
	ck_assert_int_eq(lost.calls, 1);
	mews_lease_end(&lease);
	CLUSTER_WAIT(told_to_be("broken", "closed") == 1);
	ck_assert_int_eq(told_to_be("leased", "broken"), 1);
	mews_fleet_set_log_level(cluster.fleet, MEWS_LOG_INFO);
	cluster_value(cluster_group("g"), "select 1");
	ck_assert_int_eq(told_to_be("new", "dialing"), 1);
}
END_TEST

static Suite *
connections_suite(void)
{
	Suite *suite = suite_create("connections");
	TCase *number = unit_case(suite, "number");
	TCase *cap = unit_case(suite, "cap");
	TCase *look = unit_case(suite, "look");
	TCase *hang = unit_case(suite, "hang");
	TCase *cases[] = { number, cap, look, hang };

	for (size_t i = 0; i < CLUSTER_COUNT(cases); i++) {
		tcase_add_checked_fixture(cases[i], cluster_repair,
		    cluster_close);
		tcase_set_timeout(cases[i], 180);
	}
	tcase_add_test(number,
	    the_minimum_of_connections_is_open_before_any_query);
	tcase_add_test(number, no_connection_is_opened_without_a_query);
	tcase_add_test(number,
	    there_are_never_more_connections_than_configured);
	tcase_add_test(number, idle_connections_are_closed_down_to_the_minimum);
	tcase_add_test(number,
	    a_generation_that_is_over_keeps_no_idle_connection);
	tcase_add_test(number, connections_in_use_do_not_idle);
	tcase_add_test(number, old_connections_are_replaced_even_under_load);
	tcase_add_test(number,
	    connections_of_the_minimum_that_are_too_old_are_replaced);
	tcase_add_test(number, a_connection_tells_its_life_at_debug);
	tcase_add_test(cap, several_processes_keep_to_the_cap_together);
	tcase_add_test(cap,
	    connections_of_a_killed_process_are_free_for_others);
	tcase_add_loop_test(look, a_restart_while_nobody_looks_costs_no_query,
	    0, 2);
	tcase_add_test(look, a_session_that_the_server_ended_costs_no_query);
	tcase_add_test(hang, a_slow_query_holds_no_other_query_back);
	tcase_add_test(hang,
	    an_endpoint_that_is_slow_everywhere_is_not_ejected);
	return suite;
}

UNIT_MAIN(connections_suite)
