/*
 * test_owed.c - a blocking call returns, even if its answer went astray.
 */
#include "cluster.h"
#include "unit.h"

#include "pool/group.h"
#include "wire/conn.h"

static const struct mews_group_config group = { .name = "g",
	.role = MEWS_GROUP_PRIMARY, .connection_count = 1 };

/* Take an entry off the ring that is not answered, which must never happen. */
static void
swallow(void *arg, const struct mews_result *result)
{
	struct conn	*conn = NULL;

	(void)result;
	for (int i = 0; i < 3 && conn == NULL; i++)
		conn = TAILQ_FIRST(&cluster_group("g")->on[i].conns);
	ck_assert_ptr_nonnull(conn);
	conn->head = conn->tail;
	conn->on->answered += conn->in_flight;
	conn->in_flight = 0;
	*(bool *)arg = true;
}

START_TEST(a_query_that_nobody_answers_is_lost)
{
	const struct mews_query_args	ahead = { .sql = "select 1" };
	struct mews_lease	       *lease = NULL;
	struct asked			asked;
	bool				swallowed = false;

	cluster_open(&group, 1);
	cluster_value(cluster_group("g"), "select 1");
	if (_i == 0) {
		ck_assert_int_eq(mews_query_send(cluster_group("g"), &ahead,
		    swallow, &swallowed, NULL), MEWS_OK);
		asked = cluster_run(cluster_group("g"), "select 2");
	} else {
		lease = cluster_lease(cluster_group("g"));
		ck_assert_int_eq(mews_lease_query(lease, &ahead, swallow,
		    &swallowed, NULL), MEWS_OK);
		asked = cluster_on_lease(lease, "select 2");
	}
	ck_assert(swallowed);
	ck_assert_int_eq(asked.status, MEWS_LOST);
	mews_lease_end(&lease);
	/* The answer that is left over is given to no query. */
	ck_assert_str_eq(cluster_value(cluster_group("g"), "select 3"), "3");
}
END_TEST

static Suite *
owed_suite(void)
{
	Suite	*suite = suite_create("owed");
	TCase	*tcase = unit_case(suite, "owed");

	tcase_add_checked_fixture(tcase, cluster_repair, cluster_close);
	tcase_set_timeout(tcase, 60);
	tcase_add_loop_test(tcase, a_query_that_nobody_answers_is_lost, 0, 2);
	return suite;
}

UNIT_MAIN(owed_suite)
