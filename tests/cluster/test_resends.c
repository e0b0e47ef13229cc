/*
 * test_resends.c - resent queries do not spread the damage.
 *
 * A read may be the reason why its server crashed. A read that is sent again
 * and again would crash all servers, the primary included.
 */
#include "cluster.h"
#include "load.h"
#include "unit.h"

#include <libpq-fe.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define READS 40

static const char *const names[] = { "a", "b", "c" };
static const char *const conninfos[] = { "MEWS_A", "MEWS_B", "MEWS_C" };

/* On a busy machine it takes seconds to find and to end a running query. */
#define PATIENT .stall_after = 60000, .query_timeout = 60000

static const struct mews_group_config groups[] = {
	{ .name = "any", .role = MEWS_GROUP_ANY, .connection_count = 6,
	  .min_connections = 6, .acquire_timeout = 45000,
	  PATIENT, .retry_budget = 100 },
	{ .name = "one", .role = MEWS_GROUP_ANY, .connection_count = 1,
	  .acquire_timeout = 45000, PATIENT, .retry_budget = 100 },
	{ .name = "hedged", .role = MEWS_GROUP_ANY, .connection_count = 6,
	  .min_connections = 6, .acquire_timeout = 45000,
	  PATIENT, .hedge_after = 20, .retry_budget = 100 },
};

/* A session on @server; NULL: the server accepts no login just now. A server
 * that crashes in the middle of a login may say so only after
 * authentication_timeout. */
static PGconn *
visit(int server)
{
	PGconn	*visitor;
	char	 conninfo[300];

	snprintf(conninfo, sizeof(conninfo), "%s connect_timeout=2",
	    getenv(conninfos[server]));
	visitor = PQconnectdb(conninfo);
	if (PQstatus(visitor) == CONNECTION_OK)
		return visitor;
	PQfinish(visitor);
	return NULL;
}

static void
settle(void)
{
	cluster_repair();
	for (int i = 0; i < 3; i++) {
		PGconn	*visitor;

		CLUSTER_WAIT((visitor = visit(i)) != NULL);
		PQfinish(visitor);
	}
}

/* The backend on @server that runs a query with @text in it, or 0. */
static pid_t
runs_on(int server, const char *text)
{
	PGconn	       *visitor = visit(server);
	PGresult       *answer;
	pid_t		pid = 0;
	char		sql[300];

	if (visitor == NULL)
		return 0;
	snprintf(sql, sizeof(sql), "select pid from pg_stat_activity where "
	    "state = 'active' and pid <> pg_backend_pid() and "
	    "query like '%%%s%%'", text);
	answer = PQexec(visitor, sql);
	if (PQresultStatus(answer) == PGRES_TUPLES_OK &&
	    PQntuples(answer) > 0)
		pid = atoi(PQgetvalue(answer, 0, 0));
	PQclear(answer);
	PQfinish(visitor);
	return pid;
}

/* The server that runs @text: 0, 1, 2; -1: none does. */
static int
running(const char *text, pid_t *pid)
{
	for (int i = 0; i < 3; i++)
		if ((*pid = runs_on(i, text)) != 0)
			return i;
	return -1;
}

static void
open_pool(const char *group)
{
	cluster_open(groups, CLUSTER_COUNT(groups));
	for (int i = 0; i < 3; i++)
		CLUSTER_WAIT(strcmp(cluster_state(names[i]), "up") == 0);
	if (strcmp(group, "one") != 0)
		CLUSTER_WAIT(cluster_stats(group).idle == 6);
}

/* Send @read so that it begins on a standby; the server and its backend. */
static int
begin_on_standby(struct asked *asked, struct mews_group *group,
    const char *read, const char *text, pid_t *pid)
{
	for (;;) {
		int	on;

		cluster_send_sql(asked, group, read);
		CLUSTER_WAIT((on = running(text, pid)) != -1);
		if (on != 0)
			return on;
		cluster_ask("a", "select pg_cancel_backend(pid) from "
		    "pg_stat_activity where query like '%pg_sleep(77)%' and "
		    "pid <> pg_backend_pid()");
		CLUSTER_WAIT(asked->calls == 1);
	}
}

START_TEST(a_read_whose_backend_dies_wherever_it_runs_spares_the_primary)
{
	static const char read[] = "select 1 from pg_sleep(77)";
	struct asked	asked, others[8];
	pid_t		pid, last = 0;
	int		on, runs = 0, hurt[3] = { 0 };

	open_pool("any");
	on = begin_on_standby(&asked, cluster_group("any"), read,
	    "pg_sleep(77)", &pid);
	for (size_t i = 0; i < CLUSTER_COUNT(others); i++)
		cluster_send_sql(&others[i], cluster_group("any"),
		    "select 7 from pg_sleep(0.01)");
	while (asked.calls == 0) {
		if (on != -1 && pid != last) {
			kill(last = pid, SIGKILL);
			hurt[on]++;
			runs++;
		}
		cluster_turn();
		on = running("pg_sleep(77)", &pid);
	}
	/* One run only, if a starved machine took the second server for
	 * dead. */
	ck_assert_msg(runs == 1 || runs == 2, "%d runs: %s", runs,
	    asked.message);
	ck_assert_int_eq(hurt[0], 0);
	ck_assert_msg(asked.status == MEWS_LOST, "%s, %d runs, on b %d: %s",
	    mews_status_name(asked.status), runs, hurt[1], asked.message);
	ck_assert_str_ne(asked.endpoint, "a");
	ck_assert_str_eq(cluster_ask("a", "select 1"), "1");
	for (size_t i = 0; i < CLUSTER_COUNT(others); i++) {
		CLUSTER_WAIT(others[i].calls == 1);
		ck_assert_msg(others[i].status == MEWS_OK, "%s",
		    others[i].message);
	}
}
END_TEST

/* A hedge is a second run as well. */
START_TEST(a_hedged_read_runs_twice_at_most)
{
	static const char read[] = "select 1 from pg_sleep(77)";
	struct asked	asked;
	pid_t		pid, dead[8];
	int		runs = 0;

	open_pool("hedged");
	cluster_send_sql(&asked, cluster_group("hedged"), read);
	while (asked.calls == 0) {
		cluster_turn();
		if (cluster_stats("hedged").in_flight < 2 && runs == 0)
			continue;
		for (int i = 0; i < 3 && asked.calls == 0; i++) {
			bool	known = false;

			if ((pid = runs_on(i, "pg_sleep(77)")) == 0)
				continue;
			for (int k = 0; k < runs; k++)
				known = known || dead[k] == pid;
			if (known)
				continue;
			ck_assert_int_lt(runs, 8);
			dead[runs++] = pid;
			kill(pid, SIGTERM);
		}
	}
	ck_assert_int_le(runs, 2);
	ck_assert_int_eq(asked.status, MEWS_LOST);
}
END_TEST

/* The read ends its own session wherever it runs: after two runs it is LOST. */
static const char death[] = "select pg_terminate_backend(pg_backend_pid())";

START_TEST(a_read_that_ends_its_session_loses_itself_only)
{
	struct asked	asked[READS];

	open_pool("any");
	for (int i = 0; i < READS; i++)
		cluster_send_sql(&asked[i], cluster_group("any"),
		    i == READS / 2 ? death : "select 7");
	for (int i = 0; i < READS; i++) {
		CLUSTER_WAIT(asked[i].calls == 1);
		ck_assert_msg(asked[i].status ==
		    (i == READS / 2 ? MEWS_LOST : MEWS_OK), "%d: %s", i,
		    asked[i].message);
	}
	ck_assert_int_eq(cluster_logged("connection_lost"), 2);
}
END_TEST

/* Five such reads are in front: the others lose their session five times. */
START_TEST(a_read_of_a_later_segment_is_no_suspect)
{
	struct asked	asked[15];

	cluster_prepare(groups, CLUSTER_COUNT(groups));
	cluster.config.endpoint_count = 1;
	cluster_create();
	cluster_join();
	cluster_value(cluster_group("one"), "select 1");
	for (int i = 0; i < (int)CLUSTER_COUNT(asked); i++) {
		const struct mews_query_args args = { .flags = MEWS_QUERY_ALONE,
			.sql = i < 5 ? death : "select 7" };

		cluster_send(&asked[i], cluster_group("one"), &args);
	}
	for (int i = 0; i < (int)CLUSTER_COUNT(asked); i++) {
		CLUSTER_WAIT(asked[i].calls == 1);
		ck_assert_msg(asked[i].status == (i < 5 ? MEWS_LOST :
		    MEWS_OK), "%d: %s", i, asked[i].message);
	}
}
END_TEST

/* The read's servers crash three times, each for another session. */
START_TEST(a_read_that_hears_of_a_crash_is_no_suspect)
{
	static const char read[] = "select 7 from pg_sleep(6)";
	struct asked	asked;
	pid_t		pid;

	open_pool("any");
	cluster_send_sql(&asked, cluster_group("any"), read);
	for (int i = 0; i < 3; i++) {
		PGconn	*victim;
		int	 on;

		CLUSTER_WAIT((on = running("pg_sleep(6)", &pid)) != -1);
		CLUSTER_WAIT((victim = visit(on)) != NULL);
		kill(PQbackendPID(victim), SIGKILL);
		CLUSTER_WAIT(runs_on(on, "pg_sleep(6)") == 0);
		PQfinish(victim);
		ck_assert_int_eq(asked.calls, 0);
	}
	CLUSTER_WAIT(asked.calls == 1);
	ck_assert_msg(asked.status == MEWS_OK, "%s", asked.message);
	ck_assert_uint_ge(cluster_stats("any").resent, 3);
}
END_TEST

static pid_t frozen, frozen_too;

static void
thaw(void)
{
	if (frozen != 0)
		kill(frozen, SIGCONT);
	if (frozen_too != 0)
		kill(frozen_too, SIGCONT);
	cluster_close();
}

/* Send a read and freeze its backend while it runs: the server is well, but
 * this connection does not answer. */
static void
send_to_the_deaf(struct asked *asked, struct mews_group *group)
{
	pid_t	pid;
	int	on;

	for (;;) {
		cluster_send_sql(asked, group, "select 7 from pg_sleep(2)");
		CLUSTER_WAIT((on = running("pg_sleep(2)", &pid)) != -1 ||
		    asked->calls == 1);
		if (on != -1) {
			ck_assert_int_eq(kill(frozen = pid, SIGSTOP), 0);
			/* A read that was answered before it froze is tried
			 * again. */
			if (runs_on(on, "pg_sleep(2)") == pid &&
			    asked->calls == 0)
				return;
			kill(frozen, SIGCONT);
		}
		CLUSTER_WAIT(asked->calls == 1);
	}
}

/* Are all queries answered that were sent before number @id? */
static bool
are_answered(const struct load *load, int id)
{
	ck_assert_int_lt(load->ids, LOAD_IDS - 1);
	for (int i = 0; i < id; i++)
		if (load->ends[i] == -1)
			return false;
	return true;
}

/* A connection that lost an answer, or a part of one, is silent; its server is
 * well, and other connections are answered, or have nothing to say. */
START_TEST(no_read_waits_for_a_connection_that_does_not_answer)
{
	static const struct mews_group_config group = { .name = "deaf",
		.connection_count = 3, .min_connections = 3,
		.query_timeout = MEWS_FOREVER, .stall_after = 60000,
		.retry_budget = 100 };
	static struct load	load;
	struct asked		asked;
	int			sent;
	bool			alone = _i >= 2;

	cluster_prepare(&group, 1);
	cluster.config.endpoint_count = _i % 2 == 0 ? 1 : 3;
	cluster_create();
	cluster_join();
	CLUSTER_WAIT(cluster_stats("deaf").idle == 3);
	send_to_the_deaf(&asked, cluster_group("deaf"));
	if (!alone)
		load_start(&load, "deaf",
		    "select $1::int from pg_sleep(0.002)");
	CLUSTER_WAIT(asked.calls == 1);
	ck_assert_msg(asked.status == MEWS_OK, "%s", asked.message);
	if (alone)
		return;
	sent = load.ids;
	CLUSTER_WAIT(are_answered(&load, sent));
	kill(frozen, SIGCONT);
	load_stop(&load);
	ck_assert_msg(load_failed(&load) == 0, "%s", load.message);
}
END_TEST

/* A read and its twin may both get no answer; query_timeout bounds their wait,
 * and their connections are lost with it. */
START_TEST(two_silent_connections_of_three_hold_no_query_for_ever)
{
	static const struct mews_group_config group = { .name = "deaf",
		.connection_count = 3, .min_connections = 3,
		.query_timeout = 6000, .stall_after = 60000,
		.retry_budget = 100 };
	static const char find[] = "select pid from pg_stat_activity where "
	    "state = 'idle' and backend_type = 'client backend' and "
	    "pid <> pg_backend_pid() order by pid offset";
	struct asked	asked[12];
	char		sql[300];
	int		well = 0;

	cluster_prepare(&group, 1);
	cluster.config.endpoint_count = 1;
	cluster_create();
	cluster_join();
	CLUSTER_WAIT(cluster_stats("deaf").idle == 3);
	snprintf(sql, sizeof(sql), "%s 0 limit 1", find);
	frozen = cluster_ask_int("a", sql);
	snprintf(sql, sizeof(sql), "%s 1 limit 1", find);
	frozen_too = cluster_ask_int("a", sql);
	ck_assert(frozen > 0 && frozen_too > 0 && frozen != frozen_too);
	ck_assert_int_eq(kill(frozen, SIGSTOP), 0);
	ck_assert_int_eq(kill(frozen_too, SIGSTOP), 0);
	/* Reads come one after the other, so that each connection is used in
	 * turn. */
	for (int i = 0; i < (int)CLUSTER_COUNT(asked); i++) {
		cluster_send_sql(&asked[i], cluster_group("deaf"), "select 7");
		for (int k = 0; k < 5; k++)
			cluster_turn();
	}
	for (int i = 0; i < (int)CLUSTER_COUNT(asked); i++) {
		CLUSTER_WAIT(asked[i].calls == 1);
		ck_assert_msg(asked[i].status == MEWS_OK ||
		    asked[i].status == MEWS_TIMEOUT ||
		    asked[i].status == MEWS_LOST, "%s", asked[i].message);
		well += asked[i].status == MEWS_OK;
	}
	ck_assert_int_gt(well, 0);
	/* Both connections are replaced. */
	CLUSTER_WAIT(cluster_stats("deaf").connections == 3);
	for (int i = 0; i < 10; i++)
		CLUSTER_WAIT(cluster_run(cluster_group("deaf"), "select 7")
		    .status == MEWS_OK);
	ck_assert_str_eq(cluster_state("a"), "up");
}
END_TEST

static Suite *
resends_suite(void)
{
	Suite	*suite = suite_create("resends");
	TCase	*death_case = unit_case(suite, "death");
	TCase	*deaf_case = unit_case(suite, "deaf");

	tcase_set_timeout(deaf_case, 100);
	tcase_add_checked_fixture(deaf_case, settle, thaw);
	tcase_add_loop_test(deaf_case,
	    no_read_waits_for_a_connection_that_does_not_answer, 0, 4);
	tcase_add_test(deaf_case,
	    two_silent_connections_of_three_hold_no_query_for_ever);

	tcase_set_timeout(death_case, 100);
	tcase_add_checked_fixture(death_case, settle, cluster_close);
	tcase_add_test(death_case,
	    a_read_whose_backend_dies_wherever_it_runs_spares_the_primary);
	tcase_add_test(death_case, a_hedged_read_runs_twice_at_most);
	tcase_add_test(death_case,
	    a_read_that_ends_its_session_loses_itself_only);
	tcase_add_test(death_case, a_read_of_a_later_segment_is_no_suspect);
	tcase_add_test(death_case, a_read_that_hears_of_a_crash_is_no_suspect);
	return suite;
}

UNIT_MAIN(resends_suite)
