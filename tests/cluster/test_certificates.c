/*
 * test_certificates.c - a client's certificate that the server refuses: the
 * server counts as alive, and the reason is told. Certificates and passwords
 * that change while a fleet runs.
 */
#include "cluster.h"
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Make two authorities, and a certificate of each for an address and a name. */
static const char authorities[] =
    "cd \"$MEWS_SERVERS_DIR\" && exec >certificates.log 2>&1 && "
    "echo subjectAltName=DNS:localhost,IP:127.0.0.1 >names && "
    "for ca in ours theirs; do "
    "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=$ca"
    " -keyout $ca.key -out $ca.crt && "
    "openssl req -newkey rsa:2048 -nodes -subj /CN=127.0.0.1"
    " -keyout by-$ca.key -out by-$ca.csr && "
    "openssl x509 -req -in by-$ca.csr -CA $ca.crt -CAkey $ca.key"
    " -CAcreateserial -days 2 -extfile names -out by-$ca.crt && "
    "chmod 600 by-$ca.key || exit 1; done && "
    "cp by-ours.key server.key && chmod 644 server.key";

static void
set_system(const char *name, const char *value)
{
	char	sql[400];

	snprintf(sql, sizeof(sql), "alter system set %s = '%s'", name, value);
	cluster_ask("a", sql);
}

static void
set_file(const char *name, const char *file)
{
	char	path[300];

	snprintf(path, sizeof(path), "%s/%s", getenv("MEWS_SERVERS_DIR"),
	    file);
	set_system(name, path);
}

/* Have the server a want clients' certificates of the authority "ours". */
static void
begin(void)
{
	ck_assert_int_eq(system(authorities), 0);
	/* The server may run as another user, and needs files of its own. */
	cluster_ask("a", "copy (select 1) to program "
	    "'cat >/dev/null; umask 077; cat ../server.key >own.key'");
	set_file("ssl_cert_file", "by-ours.crt");
	set_system("ssl_key_file", "own.key");
	set_file("ssl_ca_file", "ours.crt");
	set_system("ssl", "on");
	cluster_ask("a", "select pg_reload_conf()");
	CLUSTER_WAIT(strcmp(cluster_ask("a", "show ssl"), "on") == 0);
}

/* Prepare a fleet of the server a alone, with a certificate by @ca. */
static void
prepare_fleet(const struct mews_group_config *group, const char *ca,
    const char *more)
{
	static char	conninfo[900];
	const char     *dir = getenv("MEWS_SERVERS_DIR");

	cluster_prepare(group, 1);
	snprintf(conninfo, sizeof(conninfo), "%s sslmode=require "
	    "sslcert='%s/by-%s.crt' sslkey='%s/by-%s.key' %s",
	    cluster.endpoints[0].conninfo, dir, ca, dir, ca, more);
	cluster.endpoints[0].conninfo = conninfo;
	cluster.config.endpoint_count = 1;
}

static void
open_fleet(const char *ca, const char *more)
{
	static const struct mews_group_config group = { .name = "g",
		.role = MEWS_GROUP_PRIMARY, .acquire_timeout = 2000 };

	prepare_fleet(&group, ca, more);
	cluster_create();
	cluster_join();
}

/* In TLS 1.2 the refusal comes within the client's handshake, in 1.3 later. */
static const char *const versions[] = {
	"", "ssl_max_protocol_version=TLSv1.2",
};

START_TEST(a_certificate_that_is_refused_is_no_death)
{
	struct asked	asked;

	open_fleet("theirs", versions[_i]);
	asked = cluster_run(cluster_group("g"), "select 1");
	ck_assert_int_eq(asked.status, MEWS_UNAVAILABLE);
	ck_assert_msg(strstr(asked.message, "unknown ca") != NULL, "%s",
	    asked.message);
	CLUSTER_WAIT(strcmp(cluster_state("a"), "up") == 0);
	ck_assert_str_eq(cluster_look("a").reason, "rejected");
	ck_assert_ptr_nonnull(strstr(cluster_look("a").refusal, "unknown ca"));
	ck_assert_msg(cluster_logged("to=down") == 0, "%s", cluster.log);
	cluster_close();
	open_fleet("ours", versions[_i]);
	asked = cluster_run(cluster_group("g"), "select 1");
	ck_assert_msg(asked.status == MEWS_OK, "%s", asked.message);
}
END_TEST

/* A certificate is for the name of the host, whatever its address is. */
static const struct {
	const char *conninfo;
	int	    least; /* version of libpq and of the server */
	const char *refusal;
} names[] = {
	{ "host=localhost", 0, "" },
	{ "host=127.0.0.1", 0, "" },
	{ "host=localhost sslnegotiation=direct", 170000, "" },
	{ "host=elsewhere hostaddr=127.0.0.1", 0, "does not match host name" },
	{ "host=localhost sslrootcert='theirs.crt'", 0,
	  "certificate verify failed" },
};

START_TEST(a_certificate_is_for_the_name_of_the_host)
{
	static const struct mews_group_config group = { .name = "g",
		.role = MEWS_GROUP_PRIMARY, .acquire_timeout = 2000 };
	char		conninfo[900];
	struct asked	asked;

	if (PQlibVersion() < names[_i].least ||
	    cluster_ask_int("a", "show server_version_num") < names[_i].least)
		return;
	ck_assert_int_eq(chdir(getenv("MEWS_SERVERS_DIR")), 0);
	snprintf(conninfo, sizeof(conninfo), "port=%s dbname=mews "
	    "user=mews sslmode=verify-full sslrootcert='ours.crt' "
	    "sslcert='by-ours.crt' sslkey='by-ours.key' %s",
	    getenv("MEWS_A_PORT"), names[_i].conninfo);
	cluster_open_at(conninfo, &group, 1);
	asked = cluster_run(cluster_group("g"), "select ssl from "
	    "pg_stat_ssl where pid = pg_backend_pid()");
	if (names[_i].refusal[0] == '\0')
		ck_assert_msg(strcmp(asked.value, "t") == 0, "%s",
		    asked.message);
	else
		ck_assert_msg(strstr(asked.message, names[_i].refusal) != NULL,
		    "%s", asked.message);
}
END_TEST

/* Have the server a trust certificates by @ca; open sessions go on. */
static void
trust(const char *ca)
{
	char	file[40];

	snprintf(file, sizeof(file), "%s.crt", ca);
	set_file("ssl_ca_file", file);
	cluster_ask("a", "select pg_reload_conf()");
	CLUSTER_WAIT(strstr(cluster_ask("a", "show ssl_ca_file"), ca) != NULL);
}

/* The certificate is refused from now on, as if it had expired. Where the fleet
 * is at its cap (_i is 1), it cannot log in beside the sessions that work. */
START_TEST(a_certificate_that_became_wrong_is_no_outage)
{
	static const struct mews_group_config group = { .name = "g",
		.role = MEWS_GROUP_PRIMARY, .acquire_timeout = 30000,
		.connection_count = 2, .min_connections = 2,
		.max_lifetime = 3000, .stall_after = 60000 };
	bool		at_cap = _i == 1;
	const char     *told = at_cap ? "connection_kept endpoint=a group=g" :
		"connect_failed";
	uint64_t	opened;

	prepare_fleet(&group, "ours", "");
	if (at_cap) {
		cluster.endpoints[0].max_connections = 2;
		cluster.config.workers = 1;
	}
	cluster_create();
	cluster_join();
	CLUSTER_WAIT(cluster_stats("g").idle == 2);
	trust("theirs");
	opened = cluster_stats("g").opened;
	/* Go on for longer than any session may live. */
	for (int64_t end = cluster_now() + (int64_t)group.max_lifetime * 2;
	    cluster_now() < end || cluster_logged(told) == 0;)
		cluster_value(cluster_group("g"), "select 1");
	/* One login may have been on its way. */
	ck_assert_uint_le(cluster_stats("g").opened, opened + 1);
	ck_assert_uint_ge(cluster_stats("g").connections, 2);
	/* A probe finds this, as servers that are up are probed with a
	 * login. */
	CLUSTER_WAIT(strstr(cluster_look("a").refusal, "unknown ca") != NULL);
	trust("ours");
	opened = cluster_stats("g").opened;
	while (cluster_stats("g").opened < opened + 2)
		cluster_value(cluster_group("g"), "select 1");
	CLUSTER_WAIT(cluster_look("a").rejected_ms < 0);
	ck_assert_msg(cluster_logged("to=down") == 0, "%s", cluster.log);
}
END_TEST

/* Run a shell's commands in the directory of the servers. */
static void
run_there(const char *commands)
{
	char	line[500];

	snprintf(line, sizeof(line), "cd \"$MEWS_SERVERS_DIR\" && %s",
	    commands);
	ck_assert_int_eq(system(line), 0);
}

/* Wait until all connections are replaced; each query meanwhile goes well. */
static void
all_log_in_anew(void)
{
	uint64_t	opened = cluster_stats("g").opened;

	for (int64_t end = cluster_now() + CLUSTER_PATIENCE;
	    cluster_stats("g").opened < opened + 3;) {
		cluster_value(cluster_group("g"), "select 1");
		ck_assert_msg(cluster_now() < end, "%s", cluster.log);
	}
	CLUSTER_WAIT(cluster_look("a").rejected_ms < 0);
}

/* While the server rejects logins, each query goes well for longer than
 * sessions live. */
static void
all_are_rejected(const char *why)
{
	bool	told = false;

	for (int64_t end = cluster_now() + 3000;
	    cluster_now() < end || !told;) {
		cluster_value(cluster_group("g"), "select 1");
		told = told || strstr(cluster_look("a").refusal, why) != NULL;
	}
	ck_assert_str_eq(cluster_state("a"), "up");
	ck_assert_int_gt(cluster_logged("connect_failed"), 0);
	ck_assert_msg(strstr(cluster.log, why) != NULL, "%s", cluster.log);
}

static void
begin_rotation(void)
{
	cluster_ask("a", "drop role if exists rotated");
	cluster_ask("a", "create role rotated login superuser "
	    "password 'first'");
	/* The first line of pg_hba.conf that matches decides. */
	cluster_ask("a", "do $do$ declare "
	    "hba text := current_setting('hba_file'); "
	    "line text := 'hostssl all rotated 127.0.0.1/32 scram-sha-256 "
	    "clientcert=verify-ca'; "
	    "begin execute format('copy (select unnest(string_to_array("
	    "%L, e''\\n''))) to %L', concat_ws(e'\\n', line, "
	    "pg_read_file(hba)), hba); end $do$");
	cluster_ask("a", "select pg_reload_conf()");
	run_there("cat ours.crt theirs.crt >both.crt && chmod 644 by-*.key && "
	    "cp by-ours.crt client.crt && "
	    "(umask 077; cat by-ours.key >client.key; "
	    "echo '*:*:*:*:first' >pass)");
	cluster_ask("a", "copy (select 1) to program 'cat >/dev/null; "
	    "umask 077; cat ../by-theirs.key >theirs.key'");
}

START_TEST(changed_login_files_are_found_while_running)
{
	static const struct mews_group_config group = { .name = "g",
		.role = MEWS_GROUP_PRIMARY, .acquire_timeout = 30000,
		.connection_count = 2, .min_connections = 2,
		.max_lifetime = 1000, .stall_after = 60000 };
	char		conninfo[900];
	const char     *dir = getenv("MEWS_SERVERS_DIR");

	begin_rotation();
	snprintf(conninfo, sizeof(conninfo), "host=127.0.0.1 port=%s "
	    "dbname=mews user=rotated passfile='%s/pass' sslmode=verify-full "
	    "sslrootcert='%s/both.crt' sslcert='%s/client.crt' "
	    "sslkey='%s/client.key' channel_binding=require",
	    getenv("MEWS_A_PORT"), dir, dir, dir, dir);
	cluster_open_at(conninfo, &group, 1);
	all_log_in_anew();

	/* Renew the server's certificate. */
	set_file("ssl_cert_file", "by-theirs.crt");
	set_system("ssl_key_file", "theirs.key");
	set_file("ssl_ca_file", "both.crt");
	cluster_ask("a", "select pg_reload_conf()");
	all_log_in_anew();
	run_there("cp theirs.crt both.new && mv both.new both.crt");
	all_log_in_anew();

	/* Renew the client's certificate: the server takes either first, then
	 * only the new one. */
	run_there("cat ours.crt theirs.crt >either.crt");
	set_file("ssl_ca_file", "either.crt");
	cluster_ask("a", "select pg_reload_conf()");
	run_there("(umask 077; cat by-theirs.key >key.new) && "
	    "cp by-theirs.crt crt.new && mv key.new client.key && "
	    "mv crt.new client.crt");
	all_log_in_anew();
	trust("theirs");
	all_log_in_anew();

	/* Renew the password: in the server first, then in the file first. */
	cluster_ask("a", "alter role rotated password 'second'");
	all_are_rejected("password authentication failed");
	run_there("echo '*:*:*:*:second' >pass");
	all_log_in_anew();
	run_there("echo '*:*:*:*:third' >pass");
	all_are_rejected("password authentication failed");
	cluster_ask("a", "alter role rotated password 'third'");
	all_log_in_anew();
	ck_assert_msg(cluster_logged("to=down") == 0 &&
	    cluster_logged("to=suspect") == 0, "%s", cluster.log);
}
END_TEST

static Suite *
certificates_suite(void)
{
	Suite	*suite = suite_create("certificates");
	TCase	*tcase = unit_case(suite, "certificates");

	tcase_set_timeout(tcase, 180);
	tcase_add_checked_fixture(tcase, begin, cluster_close);
	tcase_add_loop_test(tcase, a_certificate_that_is_refused_is_no_death, 0,
	    CLUSTER_COUNT(versions));
	tcase_add_loop_test(tcase, a_certificate_is_for_the_name_of_the_host, 0,
	    CLUSTER_COUNT(names));
	tcase_add_loop_test(tcase, a_certificate_that_became_wrong_is_no_outage,
	    0, 2);
	tcase_add_test(tcase, changed_login_files_are_found_while_running);
	return suite;
}

UNIT_MAIN(certificates_suite)
