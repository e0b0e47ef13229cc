/*
 * test_orphans.c - of a dead worker's recorded backends, only its own are
 * ended.
 *
 * Sessions of strangers are recorded in the worker's slot, as the pid of a
 * backend that was the worker's may be a stranger's now.
 */
#include "cluster.h"
#include "unit.h"

#include "base/clock.h"
#include "fleet/fleet.h"
#include "fleet/orphan.h"

#include <libpq-fe.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const struct mews_group_config group = { .name = "g",
	.role = MEWS_GROUP_PRIMARY };

/* A session on a, as it is, and as it was recorded. */
static const struct {
	const char *application;
	const char *sql; /* the query that runs */
	uint32_t age_ms; /* by how much too old it is recorded */
	bool ended;
} strangers[] = {
	{ "mews:cluster", "select pg_sleep(60)", 0, true },
	{ "psql", "select pg_sleep(60)", 0, false },
	{ "mews:other", "select pg_sleep(60)", 0, false },
	{ "mews:cluster", "select pg_sleep(60)", 10000, false },
	/* An idle session waits for its client, who may be alive. */
	{ "mews:cluster", "", 0, false },
	/* Sessions are looked at in this order: the last one is ended last. */
	{ "mews:cluster", "select pg_sleep(60)", 0, true },
};

#define STRANGERS ((int)CLUSTER_COUNT(strangers))

static PGconn *sessions[STRANGERS];

/* Open the session, and record it as the worker's. */
static void
open_session(int i, struct segment_slot *slot)
{
	char		conninfo[300];
	int64_t		now_ms;

	snprintf(conninfo, sizeof(conninfo), "%s application_name=%s",
	    getenv("MEWS_A"), strangers[i].application);
	sessions[i] = PQconnectdb(conninfo);
	ck_assert_msg(PQstatus(sessions[i]) == CONNECTION_OK, "%s",
	    PQerrorMessage(sessions[i]));
	now_ms = segment_ms(&cluster.fleet->segment, clock_now_us());
	ck_assert_int_ne(orphan_record(slot, 0,
	    (uint32_t)PQbackendPID(sessions[i]),
	    now_ms - strangers[i].age_ms), -1);
	ck_assert_int_eq(PQsendQuery(sessions[i], strangers[i].sql), 1);
}

static bool
is_there(int i)
{
	char	sql[200];

	snprintf(sql, sizeof(sql), "select count(*) from pg_stat_activity "
	    "where pid = %d", PQbackendPID(sessions[i]));
	return cluster_ask_int("a", sql) == 1;
}

static void
works(void *arg)
{
	(void)arg;
	cluster_join();
	for (;;)
		cluster_turn();
}

static struct segment_slot *
slot_of(pid_t pid)
{
	struct segment	*segment = &cluster.fleet->segment;

	for (uint32_t i = 0; i < segment->slot_count; i++)
		if (atomic_load(&segment->slots[i].pid) == pid)
			return &segment->slots[i];
	return NULL;
}

START_TEST(sessions_not_of_the_dead_worker_are_left_alone)
{
	pid_t	monitor, worker;

	cluster_prepare(&group, 1);
	cluster_create();
	worker = cluster_fork(works, NULL);
	CLUSTER_WAIT(slot_of(worker) != NULL);
	for (int i = 0; i < STRANGERS; i++)
		open_session(i, slot_of(worker));
	CLUSTER_WAIT(cluster_ask_int("a", "select count(*) from "
	    "pg_stat_activity where query like 'select pg_sleep(60)%' "
	    "and state = 'active'") == 5);
	cluster_end(worker);
	monitor = cluster_monitor();
	for (int i = 0; i < STRANGERS; i++)
		CLUSTER_WAIT(!strangers[i].ended || !is_there(i));
	cluster_end(monitor);
	for (int i = 0; i < STRANGERS; i++) {
		ck_assert_msg(is_there(i) == !strangers[i].ended,
		    "stranger %d", i);
		PQfinish(sessions[i]);
	}
	cluster_close();
}
END_TEST

#define OPENED (SEGMENT_BACKENDS + 10) /* more sessions than there are places */

/* How many sessions sleep for so many seconds; each test has its own number. */
#define AT_WORK(seconds) "select count(*) from pg_stat_activity where query " \
	"like 'select pg_sleep(" #seconds ")%' and state = 'active'"

/* How many sessions this process has recorded as its own. */
static int
recorded(void)
{
	const struct segment_slot *slot = cluster.fleet->slot;
	int			   count = 0;

	for (int i = 0; i < SEGMENT_BACKENDS; i++)
		count += atomic_load(&slot->backends[i].word) != 0;
	return count;
}

START_TEST(a_pool_closed_while_busy_keeps_no_place)
{
	struct mews_error	error;
	struct asked		asked;

	cluster_prepare(&group, 1);
	cluster_create();
	cluster_join();
	for (int i = 0; i < OPENED; i++) {
		cluster_value(cluster_group("g"), "select 1");
		cluster_send_sql(&asked, cluster_group("g"),
		    "select pg_sleep(59)");
		CLUSTER_WAIT(cluster_stats("g").in_flight == 1);
		ck_assert_int_ge(recorded(), 1);
		mews_pool_close(&cluster.pool);
		ck_assert_int_eq(asked.status, MEWS_CANCELED);
		ck_assert_int_eq(recorded(), 0);
		ck_assert_msg(mews_pool_open(&cluster.pool, cluster.fleet,
		    NULL, NULL, &error) == MEWS_OK, "%s", error.message);
	}
	CLUSTER_WAIT(orphan_count(&cluster.fleet->segment, 0) == 0);
	ck_assert_int_eq(cluster_ask_int("a", AT_WORK(59)), 0);
	cluster_close();
}
END_TEST

START_TEST(a_session_without_a_place_is_ended_as_well)
{
	struct mews_error	error;
	struct asked		asked;

	cluster_prepare(&group, 1);
	cluster_create();
	cluster_join();
	/* The pids of old sessions, as many as the slot has places for. */
	for (uint32_t i = 0; i < SEGMENT_BACKENDS; i++)
		ck_assert_int_eq(orphan_record(cluster.fleet->slot, 1, i + 1,
		    0), (int)i);
	cluster_value(cluster_group("g"), "select 1");
	cluster_send_sql(&asked, cluster_group("g"), "select pg_sleep(58)");
	CLUSTER_WAIT(cluster_ask_int("a", AT_WORK(58)) == 1);
	mews_pool_close(&cluster.pool);
	ck_assert_uint_eq(orphan_count(&cluster.fleet->segment, 0), 1);
	ck_assert_msg(mews_pool_open(&cluster.pool, cluster.fleet, NULL, NULL,
	    &error) == MEWS_OK, "%s", error.message);
	CLUSTER_WAIT(orphan_count(&cluster.fleet->segment, 0) == 0);
	ck_assert_int_eq(cluster_ask_int("a", AT_WORK(58)), 0);
	cluster_close();
}
END_TEST

static Suite *
orphans_suite(void)
{
	Suite	*suite = suite_create("orphans");
	TCase	*tcase = unit_case(suite, "orphans");

	tcase_set_timeout(tcase, 180);
	tcase_add_test(tcase, sessions_not_of_the_dead_worker_are_left_alone);
	tcase_add_test(tcase, a_pool_closed_while_busy_keeps_no_place);
	tcase_add_test(tcase, a_session_without_a_place_is_ended_as_well);
	return suite;
}

UNIT_MAIN(orphans_suite)
