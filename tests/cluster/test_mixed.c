/*
 * test_mixed.c - an endpoint that is a balancer in front of a primary and a
 * standby is recognised, serves the groups that take either, and disturbs no
 * other.
 */
#include "cluster.h"
#include "relay.h"
#include "unit.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

static const struct mews_group_config groups[] = {
	{ .name = "write", .role = MEWS_GROUP_PRIMARY,
	  .acquire_timeout = 1000 },
	{ .name = "standby", .role = MEWS_GROUP_STANDBY,
	  .acquire_timeout = 1000 },
	{ .name = "any", .connection_count = 2,
	  .acquire_timeout = CLUSTER_PATIENCE },
};

static _Atomic int *taken;
static pid_t	    relay;

static in_port_t
port_of(const char *server)
{
	char	name[40];

	snprintf(name, sizeof(name), "MEWS_%s_PORT", server);
	return (in_port_t)atoi(getenv(name));
}

/* Make a fleet whose endpoint a leads to the servers a and b by turns. */
static void
begin(void)
{
	static char	conninfo[300];
	in_port_t	port, servers[2] = { port_of("A"), port_of("B") };

	cluster_repair();
	taken = mmap(NULL, sizeof(*taken), PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ck_assert_ptr_ne(taken, MAP_FAILED);
	relay = relay_start(&port, servers, taken);
	cluster_prepare(groups, CLUSTER_COUNT(groups));
	snprintf(conninfo, sizeof(conninfo), "%s port=%u",
	    cluster.endpoints[0].conninfo, (unsigned)port);
	cluster.endpoints[0].conninfo = conninfo;
	cluster.config.endpoint_count = 1;
	cluster_create();
}

static void
end(void)
{
	cluster_close();
	relay_end(relay);
}

static bool
is_mixed(void)
{
	return strcmp(cluster_role("a"), "mixed") == 0;
}

/* Ask in each group: a mixed endpoint serves only groups that take any role. */
static void
assert_served(void)
{
	static const char *const unserved[] = { "write", "standby" };

	for (size_t i = 0; i < CLUSTER_COUNT(unserved); i++) {
		struct asked	asked = cluster_run(cluster_group(unserved[i]),
		    "select 1");

		ck_assert_int_eq(asked.status, MEWS_UNAVAILABLE);
		ck_assert_msg(strstr(asked.message, "logins to a lead to a "
		    "primary and to a standby by turns") != NULL, "%s",
		    asked.message);
	}
	cluster_value(cluster_group("any"), "select 1");
}

/* A position that one server replayed says nothing of the other. */
static void
assert_no_position(void)
{
	struct asked	asked = cluster_run_args(cluster_group("any"),
	    &(struct mews_query_args) { .sql = "select 1", .after = 1,
	    .wait_ms = 500 });

	ck_assert_int_ne(asked.status, MEWS_OK);
	ck_assert_msg(strstr(asked.message, "by turns") != NULL, "%s",
	    asked.message);
}

START_TEST(a_balancer_is_recognised_by_a_monitor)
{
	pid_t		monitor = cluster_monitor();
	uint32_t	epoch;
	int		logins;

	cluster_join();
	CLUSTER_WAIT(is_mixed());
	cluster_value(cluster_group("any"), "select 1");
	epoch = cluster_look("a").epoch;
	ck_assert_uint_le(epoch, 12);
	logins = *taken;
	assert_served();
	assert_no_position();
	/* Further logins find both roles, which is no change. */
	CLUSTER_WAIT(*taken > logins + 8);
	ck_assert_uint_eq(cluster_look("a").epoch, epoch);
	ck_assert_str_eq(cluster_state("a"), "up");
	ck_assert_int_eq(cluster_logged("mixed_roles") +
	    cluster_monitor_logged("mixed_roles"), 1);
	ck_assert_int_eq(cluster_logged("two_primaries") +
	    cluster_monitor_logged("two_primaries"), 0);
	cluster_end(monitor);
}
END_TEST

/* Without a monitor, a worker's logins find both roles. */
START_TEST(a_balancer_is_recognised_by_a_worker)
{
	uint32_t	epoch;

	cluster_join();
	while (!is_mixed()) {
		ck_assert_int_lt(*taken, 60);
		cluster_run(cluster_group("write"), "select 1");
		cluster_run(cluster_group("any"), "select 1");
	}
	epoch = cluster_look("a").epoch;
	ck_assert_uint_le(epoch, 12);
	assert_served();
	assert_served();
	ck_assert_uint_eq(cluster_look("a").epoch, epoch);
	ck_assert_int_eq(cluster_logged("mixed_roles"), 1);
}
END_TEST

static Suite *
mixed_suite(void)
{
	Suite	*suite = suite_create("mixed");
	TCase	*tcase = unit_case(suite, "mixed");

	tcase_set_timeout(tcase, 180);
	tcase_add_checked_fixture(tcase, begin, end);
	tcase_add_test(tcase, a_balancer_is_recognised_by_a_monitor);
	tcase_add_test(tcase, a_balancer_is_recognised_by_a_worker);
	return suite;
}

UNIT_MAIN(mixed_suite)
