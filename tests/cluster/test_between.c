/*
 * test_between.c - programs between a fleet and its servers: PgBouncer and
 * HAProxy, where they are installed; also unix sockets and IPv6.
 */
#include "cluster.h"
#include "unit.h"

#include <arpa/inet.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define PGBOUNCER "/usr/sbin/pgbouncer"
#define HAPROXY	  "/usr/sbin/haproxy"

static const struct mews_group_config groups[] = {
	{ .name = "read", .connection_count = 2, .acquire_timeout = 30000,
	  .stall_after = 60000 },
	{ .name = "write", .role = MEWS_GROUP_PRIMARY, .connection_count = 2,
	  .acquire_timeout = 30000, .stall_after = 60000 },
};

static pid_t	 between; /* of the pooler or balancer; 0: none runs */
static pid_t	 monitor;
static in_port_t ports[2];
static char	 directory[] = "/tmp/mews-between-XXXXXX";

static void
end(void)
{
	char	command[100];

	if (monitor != 0)
		cluster_end(monitor);
	cluster_close();
	if (between > 0) {
		kill(between, SIGKILL);
		waitpid(between, NULL, 0);
	}
	snprintf(command, sizeof(command), "rm -rf %s", directory);
	ck_assert_int_eq(system(command), 0);
}

/* A port that was free just now, below those that the kernel lends. */
static in_port_t
free_port(void)
{
	struct sockaddr_in at = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	static unsigned	   step;
	in_port_t	   port;
	int		   fd, failed;

	do {
		port = (in_port_t)(10000 + ((unsigned)getpid() * 7919u +
		    ++step * 101u) % 22000);
		at.sin_port = htons(port);
		fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		failed = bind(fd, (struct sockaddr *)&at, sizeof(at));
		close(fd);
	} while (failed != 0);
	return port;
}

static void
begin(void)
{
	ports[0] = free_port();
	ports[1] = free_port();
	ck_assert_ptr_nonnull(mkdtemp(directory));
	/* PgBouncer, started by root, runs as nobody. */
	ck_assert_int_eq(chmod(directory, 0755), 0);
}

static in_port_t
port_of(const char *server)
{
	char	name[] = "MEWS_A_PORT";

	name[5] = (char)('A' + server[0] - 'a');
	return (in_port_t)atoi(getenv(name));
}

/* Run @program with a configuration file; its output is kept beside the
 * file. */
static void
run_between(const char *program, const char *option, const char *text)
{
	char	path[100];
	FILE   *out;

	snprintf(path, sizeof(path), "%s/configuration", directory);
	ck_assert_ptr_nonnull(out = fopen(path, "w"));
	fputs(text, out);
	ck_assert_int_eq(fclose(out), 0);
	if ((between = fork()) == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		/* PgBouncer refuses to run as root. */
		if (geteuid() == 0 && strcmp(program, PGBOUNCER) == 0)
			execl(program, program, "-q", "-u", "nobody", path,
			    (char *)NULL);
		else
			execl(program, program, option, path, (char *)NULL);
		_exit(127);
	}
	ck_assert_int_gt(between, 0);
}

static void
run_pgbouncer(const char *more)
{
	char	text[1000];

	snprintf(text, sizeof(text),
	    "[databases]\n"
	    "mews = host=127.0.0.1 port=%d user=mews\n"
	    "[pgbouncer]\n"
	    "listen_addr = 127.0.0.1\nlisten_port = %d\n"
	    "unix_socket_dir =\nauth_type = any\n%s\n",
	    port_of("a"), ports[0], more);
	run_between(PGBOUNCER, "-q", text);
}

/* A fleet of one endpoint, at @port of 127.0.0.1. open_fleet() starts a
 * monitor, too, and joins. */
static void
prepare_fleet(in_port_t port)
{
	static char	conninfo[100];

	snprintf(conninfo, sizeof(conninfo), "host=127.0.0.1 port=%d "
	    "user=mews dbname=mews gssencmode=disable", port);
	cluster_prepare(groups, CLUSTER_COUNT(groups));
	cluster.endpoints[0].conninfo = conninfo;
	cluster.config.endpoint_count = 1;
	cluster_create();
}

static void
open_fleet(in_port_t port)
{
	prepare_fleet(port);
	monitor = cluster_monitor();
	cluster_join();
}

static bool
is_missing(const char *program)
{
	if (access(program, X_OK) == 0)
		return false;
	/* Check cannot mark a test as skipped, so say so. */
	printf("# SKIP %s is not installed\n", program);
	return true;
}

static void
work(void)
{
	struct mews_lease *lease;
	struct asked	   asked;

	asked = cluster_run(cluster_group("read"), "select 1");
	ck_assert_msg(asked.status == MEWS_OK, "%s", asked.message);
	asked = cluster_run(cluster_group("write"),
	    "create table if not exists between_us (n int)");
	ck_assert_msg(asked.status == MEWS_OK, "%s", asked.message);
	lease = cluster_lease(cluster_group("write"));
	ck_assert_int_eq(mews_lease_transaction(lease, NULL), MEWS_OK);
	asked = cluster_on_lease(lease, "insert into between_us values (1)");
	ck_assert_msg(asked.status == MEWS_OK, "%s", asked.message);
	ck_assert_int_eq(cluster_commit(lease).status, MEWS_OK);
	mews_lease_end(&lease);
	ck_assert_int_eq(cluster_ask_int("a", "drop table between_us; "
	    "select 1"), 1);
}

START_TEST(a_pooler_in_session_mode_serves)
{
	if (is_missing(PGBOUNCER))
		return;
	run_pgbouncer("pool_mode = session");
	open_fleet(ports[0]);
	CLUSTER_WAIT(strcmp(cluster_state("a"), "up") == 0);
	work();
	/* Sessions come and go, and each session is clean. */
	for (int i = 0; i < 5; i++) {
		mews_pool_close(&cluster.pool);
		ck_assert_int_eq(mews_pool_open(&cluster.pool, cluster.fleet,
		    NULL, NULL, NULL), MEWS_OK);
		work();
	}
	ck_assert_str_eq(cluster_state("a"), "up");
	ck_assert_str_eq(cluster_look("a").refusal, "");
}
END_TEST

/* How often PgBouncer logged @text. */
static int
pooler_logged(const char *text)
{
	char	line[1000];
	FILE   *log;
	int	count = 0;

	snprintf(line, sizeof(line), "%s/log", directory);
	ck_assert_ptr_nonnull(log = fopen(line, "r"));
	while (fgets(line, sizeof(line), log) != NULL)
		count += strstr(line, text) != NULL;
	fclose(log);
	return count;
}

/* Run queries and transactions as a worker; none may fail. */
static void
load(void *arg)
{
	int64_t	end = cluster_now() + *(const int *)arg;

	cluster_join();
	while (cluster_now() < end) {
		struct asked	   asked[4];
		struct mews_lease *lease;

		for (int i = 0; i < 4; i++)
			cluster_send_sql(&asked[i], cluster_group(i % 2 == 0 ?
			    "read" : "write"), "select pg_sleep(0.01)");
		for (int i = 0; i < 4; i++) {
			CLUSTER_WAIT(asked[i].calls == 1);
			ck_assert_msg(asked[i].status == MEWS_OK, "%s",
			    asked[i].message);
		}
		lease = cluster_lease(cluster_group("write"));
		ck_assert_int_eq(mews_lease_transaction(lease, NULL), MEWS_OK);
		asked[0] = cluster_on_lease(lease, "select pg_sleep(0.01)");
		ck_assert_msg(asked[0].status == MEWS_OK, "%s",
		    asked[0].message);
		ck_assert_int_eq(cluster_commit(lease).status, MEWS_OK);
		mews_lease_end(&lease);
	}
	ck_assert_msg(cluster_logged("to=suspect") == 0 &&
	    cluster_logged("to=down") == 0, "%s", cluster.log);
	cluster_close();
}

/* Two workers and the monitor want nine sessions where the pooler has three. */
START_TEST(a_pooler_whose_pool_is_small_is_no_outage)
{
	static int	load_ms = 8000;
	char		more[200];
	pid_t		workers[2];
	uint32_t	most = 0;

	if (is_missing(PGBOUNCER))
		return;
	ck_assert_int_eq(chmod(directory, 0777), 0);
	snprintf(more, sizeof(more), "pool_mode = session\n"
	    "default_pool_size = 3\nlogfile = %s/log", directory);
	run_pgbouncer(more);
	prepare_fleet(ports[0]);
	monitor = cluster_monitor();
	CLUSTER_WAIT(strcmp(cluster_state("a"), "up") == 0);
	for (int i = 0; i < 2; i++)
		workers[i] = cluster_fork(load, &load_ms);
	for (int64_t end = cluster_now() + load_ms; cluster_now() < end;) {
		struct mews_view_endpoint seen = cluster_look("a");

		ck_assert_msg(strcmp(seen.state, "up") == 0, "%s: %s\n%s",
		    seen.state, seen.cause, cluster.monitor_log);
		most = seen.queued > most ? seen.queued : most;
		cluster_turn();
	}
	for (int i = 0; i < 2; i++)
		cluster_ended_well(workers[i]);
	ck_assert_uint_gt(most, 0);
	ck_assert_int_eq(cluster_monitor_logged("to=suspect"), 0);
	ck_assert_int_eq(cluster_monitor_logged("evidence=probe_failed"), 0);
	/* Logins are few: those of probes, and of connections that pass from
	 * worker to worker. */
	ck_assert_int_lt(pooler_logged("login attempt"), load_ms / 1000 * 20);

	/* A server that is dead is found dead behind a pooler as well. */
	cluster_join();
	work();
	cluster_servers("freeze", "a");
	CLUSTER_WAIT(strcmp(cluster_state("a"), "down") == 0);
	cluster_servers("thaw", "a");
	CLUSTER_WAIT(strcmp(cluster_state("a"), "up") == 0);
	cluster_servers("kill", "a");
	CLUSTER_WAIT(strcmp(cluster_state("a"), "down") == 0);
	cluster_servers("up", "a");
	CLUSTER_WAIT(strcmp(cluster_state("a"), "up") == 0);
	work();
}
END_TEST

static void
count_event(void *arg, const struct mews_notification *notification)
{
	int	*events = arg;

	events[notification->event]++;
}

/* Two leases hold both sessions of the pool. */
START_TEST(a_listener_waits_behind_a_full_pooler)
{
	struct mews_listener *listener;
	struct mews_lease    *leases[2];
	int		      events[8] = { 0 };
	uint32_t	      most = 0;

	if (is_missing(PGBOUNCER))
		return;
	run_pgbouncer("pool_mode = session\ndefault_pool_size = 2");
	prepare_fleet(ports[0]);
	cluster_join();
	leases[0] = cluster_lease(cluster_group("read"));
	leases[1] = cluster_lease(cluster_group("write"));
	ck_assert_int_eq(mews_listen(&listener, cluster.pool, "news",
	    count_event, events, NULL), MEWS_OK);
	/* Longer than any answer may take. */
	for (int64_t end = cluster_now() + 4500; cluster_now() < end;) {
		for (int i = 0; i < 2; i++)
			ck_assert_int_eq(cluster_on_lease(leases[i],
			    "select pg_sleep(0.02)").status, MEWS_OK);
		most = cluster_look("a").queued > most ?
		    cluster_look("a").queued : most;
		ck_assert_msg(strcmp(cluster_state("a"), "up") == 0, "%s",
		    cluster.log);
	}
	ck_assert_msg(cluster_logged("listen_") == 0, "%s", cluster.log);
	ck_assert_int_eq(events[MEWS_NOTIFY_LISTENING], 0);
	ck_assert_uint_gt(most, 0);
	for (int i = 0; i < 2; i++)
		mews_lease_end(&leases[i]);
	CLUSTER_WAIT(events[MEWS_NOTIFY_LISTENING] == 1);
	cluster_ask("a", "notify news");
	CLUSTER_WAIT(events[MEWS_NOTIFY_MESSAGE] == 1);
	ck_assert_msg(events[MEWS_NOTIFY_LOST] == 0, "%s", cluster.log);
	mews_unlisten(&listener);
	ck_assert_msg(cluster_logged("to=suspect") == 0, "%s", cluster.log);
}
END_TEST

static const char *const modes[] = { "transaction", "statement" };

START_TEST(a_pooler_that_shares_sessions_is_refused_with_a_reason)
{
	struct asked	asked;
	char		more[100];

	if (is_missing(PGBOUNCER))
		return;
	snprintf(more, sizeof(more), "pool_mode = %s", modes[_i]);
	run_pgbouncer(more);
	open_fleet(ports[0]);
	/* The first session looks unshared; the mark that it leaves is found by
	 * the next. */
	while (cluster_look("a").refusal[0] == '\0')
		cluster_run(cluster_group("read"), "select 1");
	ck_assert_ptr_nonnull(strstr(cluster_look("a").refusal,
	    "pool_mode = session"));
	CLUSTER_WAIT(strcmp(cluster_state("a"), "down") == 0);
	asked = cluster_run_args(cluster_group("write"),
	    &(struct mews_query_args) { .sql = "create table never (n int)",
		.wait_ms = 1000 });
	ck_assert_int_ne(asked.status, MEWS_OK);
	ck_assert_int_eq(cluster_ask_int("a",
	    "select count(*) from pg_class where relname = 'never'"), 0);
	/* Probes go on to refuse it. */
	for (int i = 0; i < 3; i++) {
		int	before = cluster_monitor_logged("probe_failed");

		CLUSTER_WAIT(cluster_monitor_logged("probe_failed") > before);
		ck_assert_str_eq(cluster_state("a"), "down");
	}
}
END_TEST

/* Behind a listener for each role: the server that answers is asked for its
 * role, and the servers behind the standbys' listener are no primaries. */
START_TEST(a_balancer_serves)
{
	static struct mews_group_config both[CLUSTER_COUNT(groups)];
	static char conninfo[2][100];
	struct asked asked;
	char	     text[1000];

	if (is_missing(HAPROXY))
		return;
	snprintf(text, sizeof(text),
	    "defaults\n mode tcp\n timeout connect 2s\n timeout client 1m\n"
	    " timeout server 1m\n"
	    "listen primary\n bind 127.0.0.1:%d\n server a 127.0.0.1:%d\n"
	    "listen standbys\n bind 127.0.0.1:%d\n server b 127.0.0.1:%d\n"
	    " server c 127.0.0.1:%d\n",
	    ports[0], port_of("a"), ports[1], port_of("b"), port_of("c"));
	run_between(HAPROXY, "-f", text);
	memcpy(both, groups, sizeof(both));
	both[0].role = MEWS_GROUP_STANDBY;
	cluster_prepare(both, CLUSTER_COUNT(both));
	for (int i = 0; i < 2; i++) {
		snprintf(conninfo[i], sizeof(conninfo[i]), "host=127.0.0.1 "
		    "port=%d user=mews dbname=mews gssencmode=disable",
		    ports[i]);
		cluster.endpoints[i].conninfo = conninfo[i];
	}
	cluster.config.endpoint_count = 2;
	cluster_create();
	monitor = cluster_monitor();
	cluster_join();
	CLUSTER_WAIT(strcmp(cluster_state("a"), "up") == 0 &&
	    strcmp(cluster_state("b"), "up") == 0);
	work();
	ck_assert_str_eq(cluster_role("a"), "primary");
	ck_assert_str_eq(cluster_role("b"), "standby");
	for (int i = 0; i < 20; i++) {
		asked = cluster_run(cluster_group("read"),
		    "select pg_is_in_recovery()");
		ck_assert_msg(asked.status == MEWS_OK, "%s", asked.message);
		ck_assert_str_eq(asked.value, "t");
		ck_assert_str_eq(asked.endpoint, "b");
	}
}
END_TEST

/* Open a fleet of one endpoint, with @conninfo, which must serve. */
static void
serve_by(const char *conninfo)
{
	cluster_prepare(groups, CLUSTER_COUNT(groups));
	cluster.endpoints[0].conninfo = conninfo;
	cluster.config.endpoint_count = 1;
	cluster_create();
	cluster_join();
	work();
	cluster_close();
}

START_TEST(unix_sockets_and_ipv6_serve)
{
	char	sql[200], conninfo[200];

	snprintf(sql, sizeof(sql),
	    "alter system set unix_socket_directories = '%s'",
	    getenv("MEWS_SERVERS_DIR"));
	cluster_ask("a", sql);
	cluster_ask("a", "alter system set listen_addresses = "
	    "'127.0.0.1, ::1'");
	cluster_servers("down", "a");
	cluster_servers("up", "a");
	snprintf(conninfo, sizeof(conninfo),
	    "host=%s port=%d user=mews dbname=mews",
	    getenv("MEWS_SERVERS_DIR"), port_of("a"));
	serve_by(conninfo);
	snprintf(conninfo, sizeof(conninfo),
	    "host=::1 port=%d user=mews dbname=mews", port_of("a"));
	serve_by(conninfo);
}
END_TEST

/* A certificate for 127.0.0.1 by an authority of this test. */
static const char certificate[] =
    "cd \"$MEWS_SERVERS_DIR\" && exec >between.log 2>&1 && "
    "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=between"
    " -keyout between-ca.key -out between-ca.crt && "
    "openssl req -newkey rsa:2048 -nodes -subj /CN=127.0.0.1"
    " -keyout between.key -out between.csr && "
    "openssl x509 -req -in between.csr -CA between-ca.crt"
    " -CAkey between-ca.key -CAcreateserial -days 2 -out between.crt && "
    "chmod 644 between.key";

static void
begin_tls(void)
{
	char	sql[300];

	ck_assert_int_eq(system(certificate), 0);
	/* The server may run as another user, and needs files of its own. */
	cluster_ask("a", "copy (select 1) to program 'cat >/dev/null; "
	    "umask 077; cat ../between.key >between.key'");
	snprintf(sql, sizeof(sql), "alter system set ssl_cert_file = "
	    "'%s/between.crt'", getenv("MEWS_SERVERS_DIR"));
	cluster_ask("a", sql);
	cluster_ask("a", "alter system set ssl_key_file = 'between.key'");
	cluster_ask("a", "alter system set ssl = on");
	cluster_ask("a", "drop role if exists bound;"
	    "create role bound login superuser password 'right'");
	/* The first line of pg_hba.conf that matches decides. */
	cluster_ask("a", "do $do$ declare "
	    "hba text := current_setting('hba_file'); "
	    "line text := 'hostssl all bound 127.0.0.1/32 scram-sha-256'; "
	    "begin execute format('copy (select unnest(string_to_array("
	    "%L, e''\\n''))) to %L', concat_ws(e'\\n', line, "
	    "pg_read_file(hba)), hba); end $do$");
	cluster_ask("a", "select pg_reload_conf()");
	CLUSTER_WAIT(strcmp(cluster_ask("a", "show ssl"), "on") == 0);
}

START_TEST(scram_is_bound_to_the_channel)
{
	char	conninfo[300], path[200];
	FILE   *pass;

	begin_tls();
	snprintf(conninfo, sizeof(conninfo), "host=127.0.0.1 port=%d "
	    "user=bound password=right dbname=mews sslmode=verify-full "
	    "sslrootcert=%s/between-ca.crt channel_binding=require",
	    port_of("a"), getenv("MEWS_SERVERS_DIR"));
	serve_by(conninfo);

	/* libpq reads passwords and TLS settings from the environment as
	 * well. */
	snprintf(path, sizeof(path), "%s/pass", directory);
	umask(077);
	ck_assert_ptr_nonnull(pass = fopen(path, "w"));
	fputs("*:*:*:bound:right\n", pass);
	ck_assert_int_eq(fclose(pass), 0);
	setenv("PGPASSFILE", path, 1);
	snprintf(path, sizeof(path), "%s/between-ca.crt",
	    getenv("MEWS_SERVERS_DIR"));
	setenv("PGSSLROOTCERT", path, 1);
	setenv("PGSSLMODE", "verify-full", 1);
	snprintf(conninfo, sizeof(conninfo), "host=127.0.0.1 port=%d "
	    "user=bound dbname=mews", port_of("a"));
	serve_by(conninfo);
}
END_TEST

static Suite *
between_suite(void)
{
	Suite	*suite = suite_create("between");
	TCase	*tcase = unit_case(suite, "between");

	tcase_set_timeout(tcase, 180);
	tcase_add_checked_fixture(tcase, begin, end);
	tcase_add_test(tcase, a_pooler_in_session_mode_serves);
	tcase_add_test(tcase, a_pooler_whose_pool_is_small_is_no_outage);
	tcase_add_test(tcase, a_listener_waits_behind_a_full_pooler);
	tcase_add_loop_test(tcase,
	    a_pooler_that_shares_sessions_is_refused_with_a_reason, 0,
	    CLUSTER_COUNT(modes));
	tcase_add_test(tcase, a_balancer_serves);
	tcase_add_test(tcase, unix_sockets_and_ipv6_serve);
	tcase_add_test(tcase, scram_is_bound_to_the_channel);
	return suite;
}

int
main(void)
{
	return unit_run(between_suite());
}
