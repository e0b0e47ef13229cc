/*
 * test_inquire.c - how many rows a query affected, and in which state a
 * transaction is.
 */
#include "cluster.h"
#include "unit.h"

#include <mews/transaction.h>

static const struct mews_group_config groups[] = {
	{ .name = "write", .role = MEWS_GROUP_PRIMARY, .connection_count = 1,
	  .acquire_timeout = 45000 },
};

static void
begin(void)
{
	cluster_repair();
	cluster_open(groups, CLUSTER_COUNT(groups));
}

/* The number of rows that @sql affected on @lease. */
static int64_t
affected(struct mews_lease *lease, const char *sql)
{
	const struct mews_query_args args = { .sql = sql };
	struct mews_result	    *result;
	int64_t			     rows;

	mews_lease_query_run(lease, &args, &result);
	ck_assert_ptr_nonnull(result);
	rows = mews_result_affected(result);
	mews_result_free(&result);
	return rows;
}

START_TEST(affected_rows_are_counted)
{
	struct mews_lease *lease = cluster_lease(cluster_group("write"));

	ck_assert_int_eq(affected(lease, "create temp table t (i int)"), -1);
	ck_assert_int_eq(affected(lease, "insert into t values (1), (2)"), 2);
	ck_assert_int_eq(affected(lease, "update t set i = 3 where i = 2"), 1);
	ck_assert_int_eq(affected(lease, "delete from t where i = 9"), 0);
	ck_assert_int_eq(affected(lease, "select * from t"), 2);
	ck_assert_int_eq(affected(lease, "select 1/0"), -1);
	mews_lease_end(&lease);
}
END_TEST

START_TEST(a_transaction_tells_its_state)
{
	const struct mews_query_args args = { .sql = "select 1" };
	struct mews_lease *lease = cluster_lease(cluster_group("write"));
	struct asked	   asked = { 0 };

	ck_assert_int_eq(mews_lease_state(lease), MEWS_TRANSACTION_NONE);
	affected(lease, "begin");
	ck_assert_int_eq(mews_lease_state(lease), MEWS_TRANSACTION_OPEN);
	ck_assert_int_eq(mews_lease_query(lease, &args, cluster_note, &asked,
	    NULL), MEWS_OK);
	ck_assert_int_eq(mews_lease_state(lease), MEWS_TRANSACTION_UNKNOWN);
	CLUSTER_WAIT(asked.calls == 1);
	affected(lease, "select 1/0");
	ck_assert_int_eq(mews_lease_state(lease), MEWS_TRANSACTION_FAILED);
	affected(lease, "rollback");
	ck_assert_int_eq(mews_lease_state(lease), MEWS_TRANSACTION_NONE);
	mews_pool_close(&cluster.pool);
	ck_assert_int_eq(mews_lease_state(lease), MEWS_TRANSACTION_UNKNOWN);
	mews_lease_end(&lease);
}
END_TEST

static Suite *
inquire_suite(void)
{
	Suite	*suite = suite_create("inquire");
	TCase	*tcase = unit_case(suite, "inquire");

	tcase_set_timeout(tcase, 180);
	tcase_add_checked_fixture(tcase, begin, cluster_close);
	tcase_add_test(tcase, affected_rows_are_counted);
	tcase_add_test(tcase, a_transaction_tells_its_state);
	return suite;
}

UNIT_MAIN(inquire_suite)
