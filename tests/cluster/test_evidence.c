/*
 * test_evidence.c - what a server does, which evidence that is, and which state
 * follows: the table of states, with real servers.
 *
 * There is one endpoint only, so no other can serve in its place.
 */
#include "cluster.h"
#include "load.h"
#include "unit.h"

#include <libpq-fe.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Stalls are put off in tests that are not about them. */
#define NO_STALL 60000

static struct mews_group_config group;
static PGconn		       *visitor; /* a session past the pool */

static void
begin(void)
{
	cluster_repair();
	group = (struct mews_group_config) { .name = "g",
		.role = MEWS_GROUP_PRIMARY, .connection_count = 2,
		.acquire_timeout = 30000, .stall_after = NO_STALL };
	visitor = PQconnectdb(getenv("MEWS_A"));
	ck_assert_int_eq(PQstatus(visitor), CONNECTION_OK);
}

static void
end(void)
{
	PQfinish(visitor);
	cluster_close();
}

/* Make a fleet of the server a alone. @more: added to the conninfo; @most: the
 * cap, or 0. */
static void
prepare_as(const char *more, uint32_t most)
{
	static char	conninfo[300];

	cluster_prepare(&group, 1);
	cluster.config.endpoint_count = 1;
	snprintf(conninfo, sizeof(conninfo), "%s %s",
	    cluster.endpoints[0].conninfo, more);
	cluster.endpoints[0].conninfo = conninfo;
	cluster.endpoints[0].max_connections = most;
	if (most != 0)
		cluster.config.workers = 1;
	cluster_create();
}

/* Open the fleet: a is up, and there is one connection to it. */
static void
open_fleet_as(const char *more)
{
	prepare_as(more, 0);
	cluster_join();
	cluster_value(cluster_group("g"), "select 1");
	CLUSTER_WAIT(cluster_stats("g").connections == 1);
	ck_assert_str_eq(cluster_state("a"), "up");
}

static void
open_fleet(void)
{
	open_fleet_as("");
}

/* Was the change to @state by @evidence logged, in this order? */
static bool
has_become(const char *state, const char *evidence)
{
	char	from[100], to[100];

	snprintf(to, sizeof(to), " to=%s role=primary evidence=%s", state,
	    evidence);
	snprintf(from, sizeof(from), "endpoint=a from=%s",
	    strcmp(state, "up") == 0 ? "" : "up");
	for (const char *line = cluster.log; (line = strstr(line, to)) != NULL;
	    line++)
		if (strstr(cluster.log, from) < line)
			return true;
	return false;
}

static void
assert_never_down(void)
{
	ck_assert_msg(cluster_logged("to=down") == 0, "%s", cluster.log);
}

static pid_t
postmaster(const char *server)
{
	char	path[200];
	FILE   *file;
	int	pid;

	snprintf(path, sizeof(path), "%s/%s/postmaster.pid",
	    getenv("MEWS_SERVERS_DIR"), server);
	ck_assert_ptr_nonnull(file = fopen(path, "r"));
	ck_assert_int_eq(fscanf(file, "%d", &pid), 1);
	fclose(file);
	return pid;
}

/* End the fleet's sessions and wait until they are gone; the pool is not turned
 * meanwhile. */
static void
end_sessions(void)
{
	int	left;

	do {
		PGresult	*answer = PQexec(visitor,
		    "select pg_terminate_backend(pid) from pg_stat_activity "
		    "where application_name = 'mews:cluster'");

		ck_assert_int_eq(PQresultStatus(answer), PGRES_TUPLES_OK);
		left = PQntuples(answer);
		PQclear(answer);
	} while (left > 0);
}

/* --- accidents of the server, and what follows --- */

/* The server restarts while the pool is not turned. */
static void
is_gone(void)
{
	struct mews_pool	*pool = cluster.pool;

	cluster.pool = NULL;
	cluster_servers("kill", "a");
	cluster.pool = pool;
}

/* The connection's backend ends without a message; then the server restarts. */
static void
is_killed(void)
{
	pid_t	pid = cluster_ask_int("a", "select pid from pg_stat_activity "
	    "where application_name = 'mews:cluster'");

	ck_assert_int_eq(kill(pid, SIGKILL), 0);
	CLUSTER_WAIT(kill(pid, 0) == -1);
}

/* The server shuts down once the visitor is gone, and accepts no login until
 * then. */
static void
shuts_down(void)
{
	ck_assert_int_eq(kill(postmaster("a"), SIGTERM), 0);
	CLUSTER_WAIT(PQping(getenv("MEWS_A")) == PQPING_REJECT);
	end_sessions();
}

static void
hangs(void)
{
	cluster_servers("freeze", "a");
}

static void
hangs_and_is_timed(void)
{
	hangs();
}

static const struct {
	void (*act)(void);
	const char *state, *evidence;
	enum { UP, DOWN, EITHER } then; /* the evidence of probes */
} rows[] = {
	{ is_gone, "down", "refused", DOWN },
	{ is_killed, "suspect", "connection_lost", EITHER },
	{ shuts_down, "down", "not_ready", DOWN },
	{ end_sessions, "suspect", "shutdown", UP },
	{ hangs, "suspect", "stall", DOWN },
	{ hangs_and_is_timed, "suspect", "watchdog", DOWN },
};

START_TEST(each_kind_of_failure_is_the_right_evidence)
{
	struct asked	asked;

	if (rows[_i].act == hangs)
		group.stall_after = 0;
	if (rows[_i].act == hangs_and_is_timed)
		group.query_timeout = 300;
	open_fleet();
	rows[_i].act();
	cluster_send_sql(&asked, cluster_group("g"), "select 7");
	CLUSTER_WAIT(has_become(rows[_i].state, rows[_i].evidence));
	if (rows[_i].then == DOWN)
		CLUSTER_WAIT(strcmp(cluster_state("a"), "down") == 0);
	PQfinish(visitor);
	visitor = NULL;
	cluster_servers("thaw", "a");
	if (rows[_i].act == shuts_down)
		cluster_servers("down", "a");
	cluster_servers("up", "a");
	/* A query that was not sent waits for the server; a sent one is
	 * lost. */
	CLUSTER_WAIT(asked.calls == 1);
	if (rows[_i].act != hangs && rows[_i].act != hangs_and_is_timed) {
		ck_assert_msg(asked.status == MEWS_OK, "%s", asked.message);
		ck_assert_str_eq(asked.value, "7");
	}
	CLUSTER_WAIT(has_become("up", "probe_ok"));
	cluster_value(cluster_group("g"), "select 1");
	if (rows[_i].then == UP)
		assert_never_down();
}
END_TEST

/* A server that hangs up on everybody. */
static void
hang_up(void *arg)
{
	int	*fd = arg, client;

	while ((client = accept(*fd, NULL, NULL)) != -1)
		close(client);
}

/* A server that hangs up during the login, and an address without a route. */
START_TEST(a_server_that_is_not_there_is_down_at_once)
{
	static const char *const hosts[] = { "127.0.0.1", "255.255.255.255" };
	char		conninfo[100];
	in_port_t	port;
	int		fd = cluster_listen(&port);
	pid_t		pid;

	group.acquire_timeout = 100;
	snprintf(conninfo, sizeof(conninfo), "host=%s port=%d user=mews",
	    hosts[_i], port);
	cluster_prepare(&group, 1);
	cluster.config.endpoint_count = 1;
	cluster.endpoints[0].conninfo = conninfo;
	cluster_create();
	pid = cluster_fork(hang_up, &fd);
	cluster_join();
	ck_assert_int_eq(cluster_run(cluster_group("g"), "select 1").status,
	    MEWS_UNAVAILABLE);
	CLUSTER_WAIT(strcmp(cluster_state("a"), "down") == 0);
	ck_assert_int_eq(cluster_logged("to=down role=unknown "
	    "evidence=refused"), 1);
	ck_assert_int_eq(cluster_logged("to=suspect"), 0);
	cluster_end(pid);
	close(fd);
}
END_TEST

/* The other connection is leased, so a login without an answer is the only
 * evidence. */
START_TEST(a_login_without_an_answer_makes_it_suspect)
{
	struct mews_lease      *lease;
	struct asked		asked;

	open_fleet();
	lease = cluster_lease(cluster_group("g"));
	hangs();
	cluster_send_sql(&asked, cluster_group("g"), "select 7");
	CLUSTER_WAIT(has_become("suspect", "connect_timeout"));
	CLUSTER_WAIT(strcmp(cluster_state("a"), "down") == 0);
	cluster_servers("thaw", "a");
	CLUSTER_WAIT(asked.calls == 1);
	ck_assert_msg(asked.status == MEWS_OK, "%s", asked.message);
	mews_lease_end(&lease);
}
END_TEST

/* An answer, even an unfriendly one, is no reason for DOWN. */
START_TEST(a_server_that_refuses_logins_is_not_down)
{
	struct asked	asked;

	cluster_ask("a", "drop role if exists guest");
	cluster_ask("a", "create role guest login");
	open_fleet_as("user=guest");
	cluster_ask("a", "alter role guest nologin");
	end_sessions();
	cluster_send_sql(&asked, cluster_group("g"), "select 7");
	CLUSTER_WAIT(cluster_logged("evidence=rejected") > 1);
	cluster_ask("a", "alter role guest login");
	CLUSTER_WAIT(asked.calls == 1);
	ck_assert_msg(asked.status == MEWS_OK, "%s", asked.message);
	assert_never_down();
}
END_TEST

/* Demands that the server does not meet, or for which a file is missing. */
static const char *const demands[] = {
	"channel_binding=require", "gssencmode=require", "sslmode=require",
	"sslmode=verify-full sslrootcert=/nonexistent",
};

START_TEST(a_refusal_on_our_side_is_no_evidence)
{
	char		conninfo[300];
	struct asked	asked;

	group.acquire_timeout = 500;
	cluster_prepare(&group, 1);
	cluster.config.endpoint_count = 1;
	snprintf(conninfo, sizeof(conninfo), "%s %s",
	    cluster.endpoints[0].conninfo, demands[_i]);
	cluster.endpoints[0].conninfo = conninfo;
	cluster_create();
	cluster_join();
	asked = cluster_run(cluster_group("g"), "select 1");
	ck_assert_int_eq(asked.status, MEWS_UNAVAILABLE);
	ck_assert_msg(strstr(asked.message, "the last login failed") != NULL,
	    "%s: %s", demands[_i], asked.message);
	CLUSTER_WAIT(strcmp(cluster_state("a"), "up") == 0);
	ck_assert_str_eq(cluster_look("a").reason, "rejected");
	assert_never_down();
}
END_TEST

/* The monitor's session is idle between its probes. */
START_TEST(a_session_that_idled_too_long_is_no_evidence)
{
	pid_t	pid;
	int	logins;

	cluster_ask("a", "drop role if exists sleepy");
	cluster_ask("a", "create role sleepy login");
	cluster_ask("a", "alter role sleepy set idle_session_timeout = 100");
	prepare_as("user=sleepy", 0);
	pid = cluster_monitor();
	cluster_join();
	cluster_value(cluster_group("g"), "select 1");
	logins = cluster_ask_int("a", "select sessions from pg_stat_database "
	    "where datname = 'mews'");
	CLUSTER_WAIT(cluster_ask_int("a", "select sessions from "
	    "pg_stat_database where datname = 'mews'") > logins + 40);
	/* The sessions are also ended while they are idle. */
	cluster_value(cluster_group("g"), "select 1");
	ck_assert_int_eq(cluster_logged("to=suspect"), 0);
	ck_assert_int_eq(cluster_monitor_logged("to=suspect"), 0);
	ck_assert_int_eq(cluster_monitor_logged("probe_failed"), 0);
	cluster_end(pid);
	cluster_ask("a", "alter role sleepy reset idle_session_timeout");
}
END_TEST

/* max_lifetime ends a working session only if another one could log in. */
START_TEST(a_password_that_became_wrong_is_no_outage)
{
	int	failed;

	cluster_ask("a", "drop role if exists guest");
	cluster_ask("a", "create role guest login");
	group.max_lifetime = 1000;
	group.connection_count = 2;
	open_fleet_as("user=guest");
	cluster_ask("a", "alter role guest nologin");
	failed = cluster_logged("connect_failed");
	while (cluster_logged("connect_failed") < failed + 5)
		cluster_value(cluster_group("g"), "select 1");
	cluster_ask("a", "alter role guest login");
	failed = (int)cluster_stats("g").opened;
	CLUSTER_WAIT((int)cluster_stats("g").opened > failed);
	cluster_value(cluster_group("g"), "select 1");
	CLUSTER_WAIT(cluster_stats("g").connections <= 2);
	assert_never_down();
}
END_TEST

/* The fleet is at its cap: no successor can log in beside the old session. */
START_TEST(a_password_that_became_wrong_is_no_outage_at_the_cap)
{
	bool	    monitor = _i == 1;
	const char *told = "probe_failed endpoint=a evidence=rejected";
	uint64_t    opened;
	pid_t	    pid = 0;

	cluster_ask("a", "drop role if exists guest");
	cluster_ask("a", "create role guest login");
	group.max_lifetime = 4000;
	group.connection_count = group.min_connections = 2;
	prepare_as("user=guest", 2);
	if (monitor)
		pid = cluster_monitor();
	cluster_join();
	CLUSTER_WAIT(cluster_stats("g").idle == 2);
	cluster_ask("a", "alter role guest nologin");
	opened = cluster_stats("g").opened;
	CLUSTER_WAIT(cluster_logged("connection_kept endpoint=a group=g "
	    "error=\"28000: role") == 1);
	/* For longer than a replacement would take. */
	while (cluster_logged(told) + (monitor ?
	    cluster_monitor_logged(told) : 0) < 5)
		cluster_value(cluster_group("g"), "select 1");
	ck_assert_uint_le(cluster_stats("g").opened, opened + 1);
	ck_assert_uint_ge(cluster_stats("g").connections, 1);
	ck_assert_int_eq(cluster_logged("connection_kept"), 1);
	cluster_ask("a", "alter role guest login");
	opened = cluster_stats("g").opened;
	/* Each session is replaced, and the cap is kept. */
	while (cluster_stats("g").opened < opened + 2) {
		cluster_value(cluster_group("g"), "select 1");
		ck_assert_uint_le(cluster_stats("g").connections, 2);
	}
	assert_never_down();
	if (monitor)
		cluster_end(pid);
}
END_TEST

/* The next lease begins before the pool's next look at old sessions. */
START_TEST(a_password_that_became_wrong_is_no_outage_of_leases)
{
	struct mews_lease      *lease;
	int			failed, logins;

	cluster_ask("a", "drop role if exists guest");
	cluster_ask("a", "create role guest login");
	group.max_lifetime = 1000;
	group.connection_count = 1;
	open_fleet_as("user=guest");
	cluster_ask("a", "alter role guest nologin");
	lease = cluster_lease(cluster_group("g"));
	failed = cluster_logged("connect_failed");
	while (cluster_logged("connect_failed") < failed + 5) {
		ck_assert_int_eq(cluster_on_lease(lease, "select 1").status,
		    MEWS_OK);
		mews_lease_end(&lease);
		lease = mews_lease_try(cluster_group("g"));
		ck_assert_ptr_nonnull(lease);
	}
	cluster_ask("a", "alter role guest login");
	logins = (int)cluster_stats("g").opened;
	/* The session is replaced, although it is always leased. */
	while ((int)cluster_stats("g").opened == logins) {
		ck_assert_int_eq(cluster_on_lease(lease, "select 1").status,
		    MEWS_OK);
		mews_lease_end(&lease);
		lease = mews_lease_try(cluster_group("g"));
		ck_assert_ptr_nonnull(lease);
	}
	mews_lease_end(&lease);
	CLUSTER_WAIT(cluster_stats("g").connections == 1);
	cluster_value(cluster_group("g"), "select 1");
	assert_never_down();
}
END_TEST

/* Probes over the session that is held go well meanwhile. */
START_TEST(rejected_logins_are_told_with_their_reason)
{
	pid_t	pid;

	cluster_ask("a", "drop role if exists guest");
	cluster_ask("a", "create role guest login");
	prepare_as("user=guest", 0);
	pid = cluster_monitor();
	cluster_join();
	CLUSTER_WAIT(strcmp(cluster_look("a").reason, "probe_ok") == 0);
	ck_assert_int_eq(cluster_look("a").rejected_ms, -1);
	cluster_ask("a", "alter role guest nologin");
	CLUSTER_WAIT(cluster_look("a").rejected_ms >= 0);
	ck_assert_str_eq(cluster_look("a").refusal,
	    "28000: role \"guest\" is not permitted to log in");
	ck_assert_str_eq(cluster_state("a"), "up");
	/* A good probe over the old session does not hide the rejection. */
	CLUSTER_WAIT(strcmp(cluster_look("a").reason, "probe_ok") == 0 ||
	    cluster_look("a").rejected_ms < 0);
	ck_assert_int_ge(cluster_look("a").rejected_ms, 0);
	cluster_ask("a", "alter role guest login");
	CLUSTER_WAIT(cluster_look("a").rejected_ms < 0);
	ck_assert_str_eq(cluster_look("a").refusal, "");
	cluster_end(pid);
}
END_TEST

START_TEST(an_error_of_sql_is_no_evidence)
{
	int	logged;

	open_fleet();
	logged = cluster_logged("endpoint endpoint=a");
	for (int i = 0; i < 20; i++)
		ck_assert_int_eq(cluster_run(cluster_group("g"),
		    "select 1/0").status, MEWS_SQL);
	ck_assert_int_eq(cluster_logged("endpoint endpoint=a"), logged);
	ck_assert_str_eq(cluster_state("a"), "up");
}
END_TEST

/* The last server of its role serves though it is suspected again and again. */
START_TEST(the_last_one_is_used_while_it_is_suspect)
{
	struct load	*load = load_new();

	group.role = MEWS_GROUP_ANY;
	group.retry_budget = 100;
	open_fleet();
	load_start(load, "g", "select $1::int from pg_sleep(0.001)");
	for (int i = 0; i < 20; i++) {
		int	before = load->on[0];

		end_sessions();
		/* A read that loses two sessions may be the cause: wait until
		 * no read is resent. */
		CLUSTER_WAIT(load->on[0] > before + 50 &&
		    cluster_stats("g").waiting == 0);
		before = load->on[0];
		CLUSTER_WAIT(load->on[0] > before + 50);
	}
	load_stop(load);
	ck_assert_int_gt(cluster_logged("to=suspect"), 10);
	assert_never_down();
	ck_assert_msg(load_failed(load) == 0, "%s", load->message);
	free(load);
}
END_TEST

static Suite *
evidence_suite(void)
{
	Suite	*suite = suite_create("evidence");
	TCase	*tcase = unit_case(suite, "evidence");

	tcase_set_timeout(tcase, 180);
	tcase_add_checked_fixture(tcase, begin, end);
	tcase_add_loop_test(tcase, each_kind_of_failure_is_the_right_evidence,
	    0, (int)CLUSTER_COUNT(rows));
	tcase_add_loop_test(tcase, a_server_that_is_not_there_is_down_at_once,
	    0, 2);
	tcase_add_test(tcase, a_login_without_an_answer_makes_it_suspect);
	tcase_add_test(tcase, a_server_that_refuses_logins_is_not_down);
	tcase_add_loop_test(tcase, a_refusal_on_our_side_is_no_evidence, 0,
	    (int)CLUSTER_COUNT(demands));
	tcase_add_test(tcase, a_session_that_idled_too_long_is_no_evidence);
	tcase_add_test(tcase, a_password_that_became_wrong_is_no_outage);
	tcase_add_loop_test(tcase,
	    a_password_that_became_wrong_is_no_outage_at_the_cap, 0, 2);
	tcase_add_test(tcase,
	    a_password_that_became_wrong_is_no_outage_of_leases);
	tcase_add_test(tcase, rejected_logins_are_told_with_their_reason);
	tcase_add_test(tcase, an_error_of_sql_is_no_evidence);
	tcase_add_test(tcase, the_last_one_is_used_while_it_is_suspect);
	return suite;
}

UNIT_MAIN(evidence_suite)
