/*
 * test_abi.c - a program that was compiled with the headers of ABI 1 still runs
 * with the library of today.
 */
#include "abi1.h"

#include "unit.h"

#include <stdlib.h>
#include <string.h>

static struct mews_fleet *fleet;
static struct mews_pool	 *pool;
static struct mews_group *group;

static void
set_up(void)
{
	struct mews_config *config = mews_config_new(MEWS_ABI);
	struct mews_error   error;

	mews_config_set(config, "instance", "abi", NULL);
	mews_config_set(config, "workers", "1", NULL);
	mews_config_set(config, "group.any.query_timeout", "1min", NULL);
	mews_config_set(config, "endpoint.a.conninfo", getenv("MEWS_A"),
	    NULL);
	ck_assert_msg(mews_fleet_create(&fleet, config, &error) == MEWS_OK &&
	    mews_fleet_join(fleet, &error) == MEWS_OK &&
	    mews_pool_open(&pool, fleet, NULL, NULL, &error) == MEWS_OK,
	    "%s", error.message);
	mews_config_free(&config);
	group = mews_pool_group(pool, "any");
}

static void
tear_down(void)
{
	mews_pool_close(&pool);
	mews_fleet_destroy(&fleet);
}

START_TEST(queries_and_parameters_are_understood)
{
	const struct mews_param params[] = {
		mews_param_int_text(40), mews_param_text("2"), { 0 },
	};
	struct mews_statement *statement;
	struct mews_query_args args = { .params = params, .param_count = 3,
		.flags = MEWS_QUERY_ALONE, .wait_ms = 60000,
		.deadline_ms = 120000 };
	struct mews_result *result;
	struct mews_error   error;

	ck_assert_int_eq(mews_statement_register(&statement, pool, "sum",
	    "SELECT $1::int + $2::int + coalesce($3::int, 0)", 0, &error),
	    MEWS_OK);
	args.statement = statement;
	ck_assert_msg(mews_query_run(group, &args, &result) == MEWS_OK, "%s",
	    mews_group_message(group));
	ck_assert_str_eq(PQgetvalue(mews_result_pg(result), 0, 0), "42");
	mews_result_free(&result);
	args = (struct mews_query_args) { .sql = "SELECT 1 / 0" };
	ck_assert_int_eq(mews_query_run(group, &args, &result), MEWS_SQL);
	ck_assert_str_eq(mews_result_sqlstate(result), "22012");
	mews_result_free(&result);
}
END_TEST

START_TEST(a_transaction_has_its_options)
{
	const struct mews_transaction options = {
		.isolation = MEWS_ISOLATION_SERIALIZABLE,
		.read_only = MEWS_SWITCH_ON,
	};
	const struct mews_query_args args = {
		.sql = "SELECT current_setting('transaction_isolation')",
	};
	struct mews_lease  *lease;
	struct mews_result *result;

	ck_assert_int_eq(mews_lease_begin_run(group, 0, &lease), MEWS_OK);
	ck_assert_int_eq(mews_lease_transaction(lease, &options), MEWS_OK);
	ck_assert_int_eq(mews_lease_query_run(lease, &args, &result),
	    MEWS_OK);
	ck_assert_str_eq(PQgetvalue(mews_result_pg(result), 0, 0),
	    "serializable");
	mews_result_free(&result);
	ck_assert_int_eq(mews_lease_commit_run(lease, &result), MEWS_OK);
	mews_result_free(&result);
	mews_lease_end(&lease);
}
END_TEST

/* A structure may have grown since: nothing is written behind its old end. */
START_TEST(structures_are_filled_as_far_as_old_hosts_know)
{
	struct mews_query_args	args = { .sql = "SELECT 1" };
	struct mews_result     *result;
	struct mews_view       *view;
	struct mews_error	error;
	struct {
		struct mews_group_stats stats;
		struct mews_view_endpoint endpoint;
		char beyond[64];
	} room;
	char	untouched[64];

	memset(untouched, 0xff, sizeof(untouched));
	ck_assert_int_eq(mews_query_run(group, &args, &result), MEWS_OK);
	mews_result_free(&result);
	memset(&room, 0xff, sizeof(room));
	ck_assert_int_eq(mews_group_stats(group, &room.stats,
	    sizeof(room.stats)), MEWS_OK);
	ck_assert_uint_eq(room.stats.queries, 1);
	ck_assert_uint_ge(room.stats.opened, 1);
	ck_assert_int_eq(memcmp(&room.endpoint, untouched, 64), 0);
	ck_assert_int_eq(mews_view_open_fleet(&view, fleet, &error), MEWS_OK);
	ck_assert(mews_view_endpoint(view, 0, &room.endpoint,
	    sizeof(room.endpoint)));
	ck_assert_str_eq(room.endpoint.name, "a");
	ck_assert_str_eq(room.endpoint.state, "up");
	ck_assert_int_eq(memcmp(room.beyond, untouched, 64), 0);
	mews_view_close(&view);
}
END_TEST

static void
count(void *arg, const struct mews_result *result)
{
	*(int *)arg += mews_result_status(result) == MEWS_OK;
}

START_TEST(a_host_of_an_old_abi_gets_its_callbacks)
{
	const struct mews_query_args args = { .sql = "SELECT 1" };
	int	calls = 0;

	ck_assert_int_eq(mews_query_send(group, &args, count, &calls, NULL),
	    MEWS_OK);
	while (calls == 0 && mews_pool_turn(pool, 1000) == MEWS_OK)
		;
	ck_assert_int_eq(calls, 1);
}
END_TEST

static Suite *
abi_suite(void)
{
	Suite  *suite = suite_create("abi");
	TCase  *tcase = unit_case(suite, "abi");

	tcase_add_checked_fixture(tcase, set_up, tear_down);
	tcase_set_timeout(tcase, 180);
	tcase_add_test(tcase, queries_and_parameters_are_understood);
	tcase_add_test(tcase, a_transaction_has_its_options);
	tcase_add_test(tcase, structures_are_filled_as_far_as_old_hosts_know);
	tcase_add_test(tcase, a_host_of_an_old_abi_gets_its_callbacks);
	return suite;
}

UNIT_MAIN(abi_suite)
