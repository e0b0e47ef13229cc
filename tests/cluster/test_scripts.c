/*
 * test_scripts.c - texts of several statements, run on a lease.
 */
#include "cluster.h"
#include "unit.h"

#include <stdio.h>
#include <string.h>

static const struct mews_group_config groups[] = {
	{ .name = "write", .role = MEWS_GROUP_PRIMARY, .connection_count = 1,
	  .acquire_timeout = 45000 },
	{ .name = "manual", .role = MEWS_GROUP_PRIMARY, .connection_count = 1,
	  .acquire_timeout = 45000, .autocommit = MEWS_SWITCH_OFF },
};

static struct mews_lease	*lease;

/* The tags of the statements, like "CREATE TABLE;INSERT 0 1;". */
static char	tags[400];

static void
begin(void)
{
	cluster_repair();
	cluster_open(groups, CLUSTER_COUNT(groups));
	cluster_ask("a", "drop table if exists scripted; "
	    "create table scripted (id int)");
	lease = cluster_lease(cluster_group("write"));
	tags[0] = '\0';
}

static void
end(void)
{
	mews_lease_end(&lease);
	cluster_close();
}

static void
on_result(void *arg, const struct mews_result *result)
{
	size_t	length = strlen(tags);

	ck_assert_ptr_eq(arg, &lease);
	ck_assert_int_eq(mews_result_status(result), MEWS_OK);
	snprintf(tags + length, sizeof(tags) - length, "%s;",
	    PQcmdStatus(mews_result_pg(result)));
}

static enum mews_status
script(const char *sql)
{
	struct mews_result *result;
	enum mews_status    status;

	status = mews_lease_script_run(lease, sql, on_result, &lease, &result);
	mews_result_free(&result);
	return status;
}

static int
kept(void)
{
	return cluster_ask_int("a", "select count(*) from scripted");
}

/* The lease still serves. */
static void
check_lease(void)
{
	struct asked	asked = cluster_on_lease(lease, "select 6 * 7");

	ck_assert_int_eq(asked.status, MEWS_OK);
	ck_assert_str_eq(asked.value, "42");
}

START_TEST(each_statement_of_a_script_is_answered)
{
	ck_assert_int_eq(script("insert into scripted values (1), (2); "
	    "select 'a;b' -- one; more\n; ; update scripted set id = 3; "
	    "set work_mem = '2MB'"), MEWS_OK);
	ck_assert_str_eq(tags, "INSERT 0 2;SELECT 1;UPDATE 2;SET;");
	ck_assert_int_eq(kept(), 2);
	check_lease();
}
END_TEST

START_TEST(an_error_undoes_the_whole_script)
{
	ck_assert_int_eq(script("insert into scripted values (1); "
	    "select 1/0; insert into scripted values (2)"), MEWS_SQL);
	ck_assert_str_eq(tags, "INSERT 0 1;");
	ck_assert_int_eq(kept(), 0);
	check_lease();
}
END_TEST

START_TEST(a_script_that_fails_behind_a_commit_says_so)
{
	ck_assert_int_eq(script("begin; insert into scripted values (1); "
	    "commit; insert into scripted values (2); select 1/0"),
	    MEWS_PARTLY);
	ck_assert_int_eq(kept(), 1);
	check_lease();
	ck_assert_int_eq(script("begin; insert into scripted values (3); "
	    "rollback; select 1/0"), MEWS_SQL);
	ck_assert_int_eq(kept(), 1);
}
END_TEST

START_TEST(a_transaction_may_go_on_behind_a_script)
{
	ck_assert_int_eq(script("begin; insert into scripted values (1)"),
	    MEWS_OK);
	ck_assert_int_eq(mews_lease_state(lease), MEWS_TRANSACTION_OPEN);
	ck_assert_int_eq(kept(), 0);
	ck_assert_int_eq(cluster_commit(lease).status, MEWS_OK);
	ck_assert_int_eq(kept(), 1);
}
END_TEST

START_TEST(a_script_is_a_part_of_the_leases_transaction)
{
	mews_lease_end(&lease);
	lease = cluster_lease(cluster_group("manual"));
	ck_assert_int_eq(script("insert into scripted values (1); select 1"),
	    MEWS_OK);
	ck_assert_int_eq(kept(), 0);
	ck_assert_int_eq(cluster_rollback(lease).status, MEWS_OK);
	ck_assert_int_eq(kept(), 0);
}
END_TEST

START_TEST(leftovers_of_a_script_reach_no_other_user)
{
	ck_assert_int_eq(script("set work_mem = '3MB'; "
	    "create temp table mine (id int); listen somewhere"), MEWS_OK);
	mews_lease_end(&lease);
	ck_assert_str_ne(cluster_value(cluster_group("write"),
	    "select current_setting('work_mem')"), "3MB");
	ck_assert_str_eq(cluster_value(cluster_group("write"),
	    "select count(*) from pg_listening_channels()"), "0");
}
END_TEST

START_TEST(no_other_query_is_sent_during_a_script)
{
	const struct mews_query_args args = { .sql = "select 1" };
	struct asked	asked = { 0 }, other = { 0 };

	ck_assert_int_eq(mews_lease_query(lease, &args, cluster_note, &other,
	    NULL), MEWS_OK);
	ck_assert_int_eq(mews_lease_script(lease, "select 5; select 7", NULL,
	    cluster_note, &asked, NULL), MEWS_OK);
	ck_assert_int_eq(mews_lease_query(lease, &args, cluster_note, &other,
	    NULL), MEWS_INVALID);
	CLUSTER_WAIT(asked.calls == 1 && other.calls == 1);
	ck_assert_str_eq(asked.value, "7");
	ck_assert_int_eq(asked.status, MEWS_OK);
	check_lease();
}
END_TEST

START_TEST(copy_in_a_script_is_refused)
{
	ck_assert_int_eq(script("select 1; copy scripted from stdin; "
	    "select 2"), MEWS_SQL);
	ck_assert_str_eq(tags, "SELECT 1;");
	check_lease();
	ck_assert_int_eq(script("copy (select 1) to stdout"), MEWS_LOST);
	ck_assert_int_eq(cluster_on_lease(lease, "select 1").calls, 0);
}
END_TEST

START_TEST(mistakes_around_a_script_are_refused)
{
	struct mews_result	*result;

	ck_assert_int_eq(script(NULL), MEWS_INVALID);
	ck_assert_int_eq(mews_lease_script(lease, "select 1", NULL, NULL, NULL,
	    NULL), MEWS_INVALID);
	ck_assert_int_eq(mews_lease_script_run(lease, "", NULL, NULL,
	    &result), MEWS_OK);
	mews_result_free(&result);
	check_lease();
}
END_TEST

START_TEST(a_script_can_be_interrupted)
{
	struct asked	asked = { 0 };

	ck_assert_int_eq(mews_lease_script(lease, "select 1; "
	    "select pg_sleep(40)", NULL, cluster_note, &asked, &asked.id),
	    MEWS_OK);
	CLUSTER_WAIT(cluster_ask_int("a", "select count(*) from "
	    "pg_stat_activity where wait_event = 'PgSleep'") == 1);
	ck_assert_int_eq(mews_query_interrupt(cluster.pool, asked.id),
	    MEWS_OK);
	CLUSTER_WAIT(asked.calls == 1);
	ck_assert_int_eq(asked.status, MEWS_TIMEOUT);
	check_lease();
}
END_TEST

static Suite *
scripts_suite(void)
{
	Suite	*suite = suite_create("scripts");
	TCase	*tcase = unit_case(suite, "scripts");

	tcase_set_timeout(tcase, 180);
	tcase_add_checked_fixture(tcase, begin, end);
	tcase_add_test(tcase, each_statement_of_a_script_is_answered);
	tcase_add_test(tcase, an_error_undoes_the_whole_script);
	tcase_add_test(tcase, a_script_that_fails_behind_a_commit_says_so);
	tcase_add_test(tcase, a_transaction_may_go_on_behind_a_script);
	tcase_add_test(tcase, a_script_is_a_part_of_the_leases_transaction);
	tcase_add_test(tcase, leftovers_of_a_script_reach_no_other_user);
	tcase_add_test(tcase, no_other_query_is_sent_during_a_script);
	tcase_add_test(tcase, copy_in_a_script_is_refused);
	tcase_add_test(tcase, mistakes_around_a_script_are_refused);
	tcase_add_test(tcase, a_script_can_be_interrupted);
	return suite;
}

UNIT_MAIN(scripts_suite)
