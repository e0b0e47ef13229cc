/*
 * test_positions.c - reads that must see earlier writes, and reads that are
 * asked twice.
 */
#include "cluster.h"
#include "unit.h"

#include <stdio.h>
#include <string.h>

#define PROBE_MS 500
#define LATE_MS	 5000 /* before this, there is no verdict */

static const struct mews_group_config groups[] = {
	{ .name = "write", .role = MEWS_GROUP_PRIMARY },
	{ .name = "prefer", .role = MEWS_GROUP_PREFER_STANDBY },
	{ .name = "standby", .role = MEWS_GROUP_STANDBY },
	{ .name = "hedged", .role = MEWS_GROUP_STANDBY,
	  .hedge_after = 20, .retry_budget = 100, .min_connections = 4 },
	{ .name = "auto", .role = MEWS_GROUP_STANDBY,
	  .hedge_after = MEWS_HEDGE_AUTO, .retry_budget = 100,
	  .min_connections = 4 },
	{ .name = "unhedged", .role = MEWS_GROUP_STANDBY,
	  .hedge_after = 20, .retry_budget = MEWS_FOREVER,
	  .min_connections = 4 },
};

static pid_t monitor;

static void
resume(const char *server)
{
	cluster_ask(server, "select pg_wal_replay_resume()");
}

static void
open_servers(uint32_t timeout)
{
	cluster_repair();
	resume("b");
	resume("c");
	cluster_ask("a", "create table if not exists mine (id int)");
	cluster_ask("a", "truncate mine");
	cluster_catch_up();
	cluster_prepare(groups, CLUSTER_COUNT(groups));
	cluster.config.health.timeout = timeout;
	cluster_create();
	monitor = cluster_monitor();
	cluster_join();
}

static void
begin(void)
{
	open_servers(PROBE_MS);
}

static void
begin_late(void)
{
	open_servers(LATE_MS);
}

static void
end(void)
{
	cluster_end(monitor);
	cluster_close();
}

static void
pause_replay(const char *server)
{
	cluster_ask(server, "select pg_wal_replay_pause()");
	CLUSTER_WAIT(strcmp(cluster_ask(server,
	    "select pg_get_wal_replay_pause_state()"), "paused") == 0);
}

/* Write a row; the position of that write. */
static uint64_t
write_one(void)
{
	struct mews_query_args	args = { .sql = "insert into mine values (1)",
		.flags = MEWS_QUERY_POSITION };
	struct mews_result     *result;
	uint64_t		position;

	ck_assert_int_eq(mews_query_run(cluster_group("write"), &args,
	    &result), MEWS_OK);
	position = mews_result_position(result);
	mews_result_free(&result);
	ck_assert_uint_gt(position, 0);
	return position;
}

static struct mews_query_args
read_after(uint64_t position, uint32_t wait_ms)
{
	return (struct mews_query_args) { .sql = "select count(*) from mine",
		.after = position, .wait_ms = wait_ms };
}

START_TEST(a_read_after_a_write_sees_it)
{
	struct mews_query_args	args;
	struct asked		asked;
	char			seen[12];

	for (int i = 1; i <= 30; i++) {
		args = read_after(write_one(), 0);
		asked = cluster_run_args(cluster_group(i % 2 == 0 ?
		    "prefer" : "standby"), &args);
		ck_assert_msg(asked.status == MEWS_OK, "%s", asked.message);
		snprintf(seen, sizeof(seen), "%d", i);
		ck_assert_str_eq(asked.value, seen);
	}
}
END_TEST

START_TEST(while_standbys_lag_the_primary_serves_those_who_may_use_it)
{
	struct mews_query_args	args;
	struct asked		asked;

	CLUSTER_WAIT(strcmp(cluster_run(cluster_group("prefer"),
	    "select 1").endpoint, "a") != 0);
	pause_replay("b");
	pause_replay("c");
	args = read_after(write_one(), 0);
	asked = cluster_run_args(cluster_group("prefer"), &args);
	ck_assert_msg(asked.status == MEWS_OK, "%s", asked.message);
	ck_assert_str_eq(asked.endpoint, "a");
	ck_assert_str_eq(asked.value, "1");
}
END_TEST

START_TEST(a_lease_after_a_write_sees_it)
{
	struct mews_lease      *lease;
	char			seen[12];

	for (int i = 1; i <= 20; i++) {
		uint64_t	   position = write_one();
		struct mews_group *group = cluster_group(i % 2 == 0 ?
		    "prefer" : "standby");

		ck_assert_msg(mews_lease_begin_after_run(group, position, 0,
		    &lease) == MEWS_OK, "%s", mews_group_message(group));
		snprintf(seen, sizeof(seen), "%d", i);
		ck_assert_str_eq(cluster_on_lease(lease,
		    "select count(*) from mine").value, seen);
		mews_lease_end(&lease);
	}
}
END_TEST

START_TEST(while_standbys_lag_a_lease_is_of_the_primary_or_waits)
{
	struct mews_lease      *lease;
	uint64_t		position;

	CLUSTER_WAIT(strcmp(cluster_run(cluster_group("prefer"),
	    "select 1").endpoint, "a") != 0);
	pause_replay("b");
	pause_replay("c");
	position = write_one();
	ck_assert_int_eq(mews_lease_begin_after_run(cluster_group("prefer"),
	    position, 0, &lease), MEWS_OK);
	ck_assert_str_eq(mews_lease_endpoint(lease), "a");
	mews_lease_end(&lease);
	ck_assert_int_eq(mews_lease_begin_after_run(cluster_group("standby"),
	    position, 300, &lease), MEWS_WAITED);
	resume("c");
	ck_assert_int_eq(mews_lease_begin_after_run(cluster_group("standby"),
	    position, 30000, &lease), MEWS_OK);
	ck_assert_str_eq(mews_lease_endpoint(lease), "c");
	mews_lease_end(&lease);
}
END_TEST

START_TEST(while_standbys_lag_groups_of_standbys_wait)
{
	struct mews_query_args	args;
	struct asked		asked;
	int64_t			until;

	pause_replay("b");
	pause_replay("c");
	args = read_after(write_one(), 15000);
	cluster_send(&asked, cluster_group("standby"), &args);
	for (until = cluster_now() + 300; cluster_now() < until;)
		cluster_turn();
	ck_assert_int_eq(asked.calls, 0);
	/* A read without a position overtakes. */
	ck_assert_int_eq(cluster_run(cluster_group("standby"),
	    "select 1").status, MEWS_OK);
	ck_assert_int_eq(asked.calls, 0);
	resume("b");
	CLUSTER_WAIT(asked.calls == 1);
	ck_assert_msg(asked.status == MEWS_OK, "%s", asked.message);
	ck_assert_str_eq(asked.endpoint, "b");
	ck_assert_str_eq(asked.value, "1");
}
END_TEST

START_TEST(a_wait_in_vain_for_a_position_ends_in_time)
{
	struct mews_query_args	args;
	struct asked		asked;
	int64_t			before;

	pause_replay("b");
	pause_replay("c");
	args = read_after(write_one(), 300);
	before = cluster_now();
	asked = cluster_run_args(cluster_group("standby"), &args);
	ck_assert_msg(asked.status == MEWS_WAITED, "%s: %s",
	    mews_status_name(asked.status), asked.message);
	ck_assert_int_ge(cluster_now() - before, CLUSTER_LEAST(300));
	ck_assert_int_lt(cluster_now() - before, 10000);
}
END_TEST

/* A load of reads, eight at a time. */

#define READERS 8
#define READS	20000

static struct {
	const char *group;
	int sent, ended, lost, calls[READS];
	bool stop;
} reads;

static void read_next(void);

static void
read_ended(void *arg, const struct mews_result *result)
{
	const PGresult	*pg = mews_result_pg(result);
	int		 id = (int)(intptr_t)arg;

	ck_assert_int_eq(reads.calls[id]++, 0);
	if (mews_result_status(result) == MEWS_LOST) {
		reads.lost++;
	} else {
		ck_assert_msg(mews_result_status(result) == MEWS_OK, "%s",
		    mews_result_message(result));
		ck_assert_int_eq(atoi(PQgetvalue(pg, 0, 0)), id);
	}
	reads.ended++;
	if (!reads.stop)
		read_next();
}

static void
read_next(void)
{
	struct mews_param	param = mews_param_int_text(reads.sent);
	struct mews_query_args	args = { .params = &param, .param_count = 1,
		.sql = "select $1::int from pg_sleep(0.005)" };

	ck_assert_int_lt(reads.sent, READS);
	ck_assert_int_eq(mews_query_send(cluster_group(reads.group), &args,
	    read_ended, (void *)(intptr_t)reads.sent, NULL), MEWS_OK);
	reads.sent++;
}

/* Are all reads before number @end answered? */
static bool
are_answered(int end)
{
	while (end > 0 && reads.calls[end - 1] > 0)
		end--;
	return end == 0;
}

/* Send reads of @group, and freeze b meanwhile; how many were sent by then. */
static int
freeze_b_below(const char *group)
{
	reads.group = group;
	for (int i = 0; i < READERS; i++)
		read_next();
	CLUSTER_WAIT(reads.ended > 200);
	cluster_servers("freeze", "b");
	return reads.sent;
}

/* Let b serve again; its late answers belong to no query. */
static void
thaw_b(void)
{
	int	thawed;

	cluster_servers("thaw", "b");
	CLUSTER_WAIT(strcmp(cluster_state("b"), "up") == 0);
	thawed = reads.sent;
	CLUSTER_WAIT(are_answered(thawed + 200));
	reads.stop = true;
	CLUSTER_WAIT(reads.ended == reads.sent);
	for (int i = 0; i < reads.sent; i++)
		ck_assert_int_eq(reads.calls[i], 1);
}

/* There was no verdict on the frozen server, and no query was resent. */
static void
assert_no_verdict(void)
{
	ck_assert_int_eq(cluster_monitor_logged("probe_failed"), 0);
	ck_assert_str_ne(cluster_state("b"), "down");
	ck_assert_uint_eq(cluster_stats(reads.group).resent, 0);
}

/* A read that waits for the frozen server is answered at the earliest after the
 * verdict on it; a read that is answered before did not wait. */
START_TEST(a_hedged_read_does_not_wait_for_a_frozen_server)
{
	int	frozen = freeze_b_below(_i == 0 ? "hedged" : "auto");

	CLUSTER_WAIT(are_answered(frozen + 200));
	assert_no_verdict();
	thaw_b();
	ck_assert_int_eq(reads.lost, 0);
}
END_TEST

/* The twin of a read is paid for from the retry budget; without, a read that
 * hangs is lost. */
START_TEST(without_a_budget_no_read_is_hedged)
{
	freeze_b_below("unhedged");
	CLUSTER_WAIT(reads.lost > 0);
	ck_assert_uint_eq(cluster_stats("unhedged").resent, 0);
	thaw_b();
}
END_TEST

/* The slower server answers later than the twin: both answers come, one
 * counts. */
START_TEST(the_later_of_two_answers_does_no_harm)
{
	static struct asked	asked[50];

	for (size_t i = 0; i < CLUSTER_COUNT(asked); i++) {
		cluster_send_sql(&asked[i], cluster_group("hedged"),
		    "select 7 from pg_sleep(random() * 0.08)");
		if (i % 5 == 4)
			CLUSTER_WAIT(asked[i].calls == 1);
	}
	for (size_t i = 0; i < CLUSTER_COUNT(asked); i++) {
		CLUSTER_WAIT(asked[i].calls > 0);
		ck_assert_int_eq(asked[i].calls, 1);
		ck_assert_str_eq(asked[i].value, "7");
	}
	ck_assert_str_eq(cluster_value(cluster_group("hedged"), "select 8"),
	    "8");
	ck_assert_uint_eq(cluster_stats("hedged").errors, 0);
	ck_assert_uint_eq(cluster_stats("hedged").queries, 51);
}
END_TEST

static Suite *
positions_suite(void)
{
	Suite	*suite = suite_create("positions");
	TCase	*tcase = unit_case(suite, "read your writes");

	tcase_set_timeout(tcase, 180);
	tcase_add_checked_fixture(tcase, begin, end);
	tcase_add_test(tcase, a_read_after_a_write_sees_it);
	tcase_add_test(tcase, a_lease_after_a_write_sees_it);
	tcase_add_test(tcase,
	    while_standbys_lag_a_lease_is_of_the_primary_or_waits);
	tcase_add_test(tcase,
	    while_standbys_lag_the_primary_serves_those_who_may_use_it);
	tcase_add_test(tcase, while_standbys_lag_groups_of_standbys_wait);
	tcase_add_test(tcase, a_wait_in_vain_for_a_position_ends_in_time);

	tcase = unit_case(suite, "hedges");
	tcase_set_timeout(tcase, 180);
	tcase_add_checked_fixture(tcase, begin_late, end);
	tcase_add_loop_test(tcase,
	    a_hedged_read_does_not_wait_for_a_frozen_server, 0, 2);
	tcase_add_test(tcase, the_later_of_two_answers_does_no_harm);

	tcase = unit_case(suite, "no hedges");
	tcase_set_timeout(tcase, 180);
	tcase_add_checked_fixture(tcase, begin, end);
	tcase_add_test(tcase, without_a_budget_no_read_is_hedged);
	return suite;
}

UNIT_MAIN(positions_suite)
