/*
 * test_ids.c - no two queries ever have the same id.
 */
#include "cluster.h"
#include "unit.h"

#include "pool/pool.h"

static const struct mews_group_config group = { .name = "g",
	.role = MEWS_GROUP_PRIMARY };

/* An id is a record's number and how often the record was used, up to 2^32
 * times. */
START_TEST(a_record_that_was_used_up_is_left_alone)
{
	struct asked	asked, other;
	mews_query_id	last = 0;

	cluster_open(&group, 1);
	cluster_send_sql(&asked, cluster_group("g"), "select 1");
	CLUSTER_WAIT(asked.calls == 1);
	ck_assert_uint_eq(cluster.pool->store.count, 1);
	cluster.pool->store.queries[0]->id |=
	    (mews_query_id)(UINT32_MAX - 3) << 32;
	for (int i = 0; i < 10; i++) {
		cluster_send_sql(&asked, cluster_group("g"), "select 1");
		ck_assert_uint_ne(asked.id, 0);
		ck_assert_uint_ne(asked.id, last);
		if ((uint32_t)asked.id == (uint32_t)last)
			ck_assert_uint_gt(asked.id, last);
		last = asked.id;
		CLUSTER_WAIT(asked.calls == 1);
		ck_assert_int_eq(mews_query_cancel(cluster.pool, last),
		    MEWS_INVALID);
	}
	ck_assert_uint_eq(cluster.pool->store.count, 2);
	other = cluster_run(cluster_group("g"), "select 1");
	ck_assert_int_eq(other.status, MEWS_OK);
}
END_TEST

static Suite *
ids_suite(void)
{
	Suite	*suite = suite_create("ids");
	TCase	*tcase = unit_case(suite, "ids");

	tcase_add_checked_fixture(tcase, cluster_repair, cluster_close);
	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase, a_record_that_was_used_up_is_left_alone);
	return suite;
}

UNIT_MAIN(ids_suite)
