/*
 * test_certificates.c - a client's certificate that the server refuses: the
 * server lives, and the reason is told.
 */
#include "cluster.h"
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Make two authorities, and a certificate of each for the same name. */
static const char authorities[] =
    "cd \"$MEWS_SERVERS_DIR\" && exec >certificates.log 2>&1 && "
    "for ca in ours theirs; do "
    "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=$ca"
    " -keyout $ca.key -out $ca.crt && "
    "openssl req -newkey rsa:2048 -nodes -subj /CN=127.0.0.1"
    " -keyout by-$ca.key -out by-$ca.csr && "
    "openssl x509 -req -in by-$ca.csr -CA $ca.crt -CAkey $ca.key"
    " -CAcreateserial -days 2 -out by-$ca.crt && "
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

/* The server wants certificates of ours, where it gets any. */
static void
begin(void)
{
	ck_assert_int_eq(system(authorities), 0);
	/* The server may run as another user, and wants a file of its own. */
	cluster_ask("a", "copy (select 1) to program "
	    "'cat >/dev/null; umask 077; cat ../server.key >own.key'");
	set_file("ssl_cert_file", "by-ours.crt");
	set_system("ssl_key_file", "own.key");
	set_file("ssl_ca_file", "ours.crt");
	set_system("ssl", "on");
	cluster_ask("a", "select pg_reload_conf()");
	CLUSTER_WAIT(strcmp(cluster_ask("a", "show ssl"), "on") == 0);
}

/* Make a fleet of the server a alone, which gets a certificate by @ca. */
static void
open_fleet(const char *ca, const char *more)
{
	static const struct mews_group_config group = { .name = "g",
		.role = MEWS_GROUP_PRIMARY, .acquire_timeout = 2000 };
	static char	conninfo[900];
	const char     *dir = getenv("MEWS_SERVERS_DIR");

	cluster_prepare(&group, 1);
	snprintf(conninfo, sizeof(conninfo), "%s sslmode=require "
	    "sslcert='%s/by-%s.crt' sslkey='%s/by-%s.key' %s",
	    cluster.endpoints[0].conninfo, dir, ca, dir, ca, more);
	cluster.endpoints[0].conninfo = conninfo;
	cluster.config.endpoint_count = 1;
	cluster_create();
	cluster_join();
}

/* Before TLS 1.3 the refusal comes within the client's handshake. */
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

static Suite *
certificates_suite(void)
{
	Suite	*suite = suite_create("certificates");
	TCase	*tcase = unit_case(suite, "certificates");

	tcase_set_timeout(tcase, 180);
	tcase_add_checked_fixture(tcase, begin, cluster_close);
	tcase_add_loop_test(tcase, a_certificate_that_is_refused_is_no_death,
	    0, CLUSTER_COUNT(versions));
	return suite;
}

UNIT_MAIN(certificates_suite)
