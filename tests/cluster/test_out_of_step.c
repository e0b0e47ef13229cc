/*
 * test_out_of_step.c - however a server misbehaves, each query ends once.
 */
#include "cluster.h"
#include "fake.h"
#include "libpq_leaks.h"
#include "unit.h"

#include <stdio.h>
#include <string.h>

static const struct mews_group_config groups[] = {
	{ .name = "write", .role = MEWS_GROUP_PRIMARY, .connection_count = 1,
	  .query_timeout = 300, .acquire_timeout = 1000 },
	{ .name = "read", .role = MEWS_GROUP_ANY, .connection_count = 1,
	  .query_timeout = 300, .acquire_timeout = 1000 },
};

/* Scripts as in fake.h; "12nC" is a correct answer. */
static const char *const scripts[] = {
	"Z", "ZZ", "Z12nC", "12nCZ", "12nCC", "12nCZZC", "C", "", "12n",
	"12nTDC", "12TD", "12TDDCDC", "12DC", "D", "12TTC", "I", "12nI",
	"12ns", "11", "nn", "E", "EE", "CE", "ZE", "EZ", "12nCE", "F", "CF",
	"12AnAC", "G", "H", "W", "12nGC", "12nHC", "12TGDC", "12nCG", "!",
	"12nC!", "12?nC", "-", "12nC-", ".", "Z.", "E.", "12nCZ.",
};

static pid_t	fake;

static void
made(const char *script)
{
	static char	conninfo[120];
	in_port_t	port;

	fake = fake_start(&port, "victim", script);
	snprintf(conninfo, sizeof(conninfo), "host=127.0.0.1 port=%u user=x "
	    "dbname=x sslmode=disable gssencmode=disable", (unsigned)port);
	cluster_prepare(groups, CLUSTER_COUNT(groups));
	cluster.endpoints[0].conninfo = conninfo;
	cluster.config.endpoint_count = 1;
	cluster_create();
	cluster_join();
}

#define AROUND 3 /* queries before, and as many behind */

/* The victim is a pooled query among others. */
static void
among_others(const char *group)
{
	struct asked	asked[2 * AROUND + 1];

	for (size_t i = 0; i < CLUSTER_COUNT(asked); i++)
		cluster_send_sql(&asked[i], cluster_group(group),
		    i == AROUND ? "select 'victim'" : "select 1");
	for (size_t i = 0; i < CLUSTER_COUNT(asked); i++)
		CLUSTER_WAIT(asked[i].calls > 0);
	for (int i = 0; i < 5; i++)
		cluster_turn();
	for (size_t i = 0; i < CLUSTER_COUNT(asked); i++)
		ck_assert_int_eq(asked[i].calls, 1);
}

/* A lease; NULL where there is none. */
static struct mews_lease *
lease_of(const char *group)
{
	struct mews_lease	*lease;

	if (mews_lease_begin_run(cluster_group(group), 0, &lease) != MEWS_OK)
		return NULL;
	return lease;
}

static void
alone_and_blocking(const char *group)
{
	struct mews_lease	*lease;

	cluster_run(cluster_group(group), "select 'victim'");
	for (int i = 0; i < 3; i++)
		cluster_run(cluster_group(group), "select 1");
	if ((lease = lease_of(group)) == NULL)
		return;
	mews_lease_transaction(lease, NULL);
	cluster_on_lease(lease, "select 'victim'");
	for (int i = 0; i < 3; i++)
		cluster_on_lease(lease, "select 1");
	cluster_commit(lease);
	mews_lease_end(&lease);
}

static int
no_more(void *arg, void *buffer, size_t size)
{
	(void)arg;
	(void)buffer;
	(void)size;
	return 0;
}

static enum mews_flow
on_data(void *arg, const void *data, size_t length)
{
	(void)arg;
	(void)data;
	(void)length;
	return MEWS_FLOW_GO;
}

static void
streams(const char *group)
{
	const struct mews_query_args	args = { .sql = "select 'victim'" };
	struct mews_lease	       *lease;
	struct mews_result	       *result;

	for (int i = 0; i < 3; i++) {
		if ((lease = lease_of(group)) == NULL)
			return;
		if (i == 0)
			mews_lease_rows_run(lease, &args, cluster_go_on, NULL,
			    &result);
		else if (i == 1)
			mews_copy_in_run(lease, "copy victim from stdin",
			    no_more, NULL, &result);
		else
			mews_copy_out_run(lease, "copy victim to stdout",
			    on_data, NULL, &result);
		mews_result_free(&result);
		cluster_on_lease(lease, "select 1");
		mews_lease_end(&lease);
	}
}

START_TEST(each_query_to_a_server_out_of_step_ends_once)
{
	made(scripts[_i]);
	among_others("write");
	among_others("read");
	alone_and_blocking("write");
	streams("write");
	among_others("write");
}
END_TEST

static void
undone(void)
{
	cluster_close();
	fake_end(fake);
}

static Suite *
out_of_step_suite(void)
{
	Suite *suite = suite_create("out of step");
	TCase *once = unit_case(suite, "once");

	tcase_add_checked_fixture(once, NULL, undone);
	tcase_set_timeout(once, 60);
	tcase_add_loop_test(once, each_query_to_a_server_out_of_step_ends_once,
	    0, CLUSTER_COUNT(scripts));
	return suite;
}

UNIT_MAIN(out_of_step_suite)
