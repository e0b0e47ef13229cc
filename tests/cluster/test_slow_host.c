/*
 * test_slow_host.c - a host that does other work for long, turn after turn,
 * blames no server for that.
 *
 * The work is a jump of the clock. Before each jump the servers finish what
 * they were asked: no process of theirs wants to run.
 */
#include "cluster.h"
#include "jump.h"
#include "unit.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FDS   256
#define TURNS 12 /* until the first answer, at most */

static const struct mews_group_config groups[] = {
	{ .name = "write", .role = MEWS_GROUP_PRIMARY,
	  .connection_count = 2, .acquire_timeout = 100000000 },
};

static const int64_t works[] = { 20, 150, 400, 600, 1500, 3000, 10000 };

static int events_of[FDS];

static void
watch(void *arg, int fd, int events)
{
	(void)arg;
	ck_assert_int_lt(fd, FDS);
	events_of[fd] = events;
}

/* Does the process neither run nor wait for a disk? */
static bool
rests(long pid)
{
	char	path[64], state = 'S';
	FILE   *in;

	snprintf(path, sizeof(path), "/proc/%ld/stat", pid);
	if ((in = fopen(path, "r")) == NULL)
		return true;	/* the process has ended */
	if (fscanf(in, "%*d (%*[^)]) %c", &state) != 1)
		state = 'S';
	fclose(in);
	return state != 'R' && state != 'D';
}

/* Are a server and all its children at rest? */
static bool
server_rests(const char *name)
{
	char	path[300];
	FILE   *in;
	long	pid = 0, child;
	bool	all;

	snprintf(path, sizeof(path), "%s/%s/postmaster.pid",
	    getenv("MEWS_SERVERS_DIR"), name);
	if ((in = fopen(path, "r")) == NULL)
		return true;
	if (fscanf(in, "%ld", &pid) != 1)
		pid = 0;
	fclose(in);
	all = rests(pid);
	snprintf(path, sizeof(path), "/proc/%ld/task/%ld/children", pid, pid);
	if ((in = fopen(path, "r")) == NULL)
		return all;
	while (fscanf(in, "%ld", &child) == 1)
		all = rests(child) && all;
	fclose(in);
	return all;
}

static void
let_servers_answer(void)
{
	int	quiet = 0;

	for (int i = 0; i < 5000 && quiet < 3; i++) {
		bool	rest = server_rests("a");

		rest = server_rests("b") && rest;
		rest = server_rests("c") && rest;
		quiet = rest ? quiet + 1 : 0;
		usleep(1000);
	}
}

/* One turn of the loop, and @work_ms of other work. */
static void
turn(int64_t work_ms)
{
	struct pollfd	polls[FDS];
	nfds_t		count = 0;

	mews_pool_tick(cluster.pool);
	for (int fd = 0; fd < FDS; fd++)
		if (events_of[fd] != 0)
			polls[count++] = (struct pollfd) { .fd = fd,
				.events = (short)
				    ((events_of[fd] & MEWS_WATCH_READ ?
					POLLIN : 0) |
				    (events_of[fd] & MEWS_WATCH_WRITE ?
					POLLOUT : 0)) };
	poll(polls, count, 0);
	for (nfds_t i = 0; i < count; i++)
		if (polls[i].revents != 0)
			mews_pool_ready(cluster.pool, polls[i].fd,
			    ((polls[i].revents & ~POLLOUT) != 0 ?
				MEWS_WATCH_READ : 0) |
			    ((polls[i].revents & POLLOUT) != 0 ?
				MEWS_WATCH_WRITE : 0));
	let_servers_answer();
	clock_shift(work_ms);
}

START_TEST(the_slowness_of_a_host_is_no_evidence)
{
	struct mews_error	error;
	struct asked		asked;
	int			turns = 0;

	cluster_repair();
	cluster_prepare(groups, CLUSTER_COUNT(groups));
	cluster_create();
	ck_assert_int_eq(mews_fleet_join(cluster.fleet, &error), MEWS_OK);
	ck_assert_int_eq(mews_pool_open(&cluster.pool, cluster.fleet, watch,
	    NULL, &error), MEWS_OK);
	cluster_send_sql(&asked, cluster_group("write"), "select 1");
	while (asked.calls == 0 && turns < 10 * TURNS) {
		turn(works[_i]);
		turns++;
	}
	ck_assert_int_eq(asked.status, MEWS_OK);
	ck_assert_int_le(turns, TURNS);
	/* Later queries need no more turns. */
	for (int i = 0; i < 20; i++) {
		int	waited = 0;

		cluster_send_sql(&asked, cluster_group("write"), "select 1");
		for (; asked.calls == 0 && waited < TURNS; waited++)
			turn(works[_i]);
		ck_assert_msg(asked.status == MEWS_OK, "%s", asked.message);
	}
	ck_assert_msg(strstr(cluster.log, "to=down") == NULL, "%s",
	    cluster.log);
	ck_assert_str_eq(cluster_state("a"), "up");
}
END_TEST

/* A server that is late by its own fault: it accepts logins and never
 * answers. */
START_TEST(a_frozen_server_is_found_by_a_slow_host_too)
{
	struct mews_error	error;
	struct asked		asked;

	cluster_repair();
	cluster_prepare(groups, CLUSTER_COUNT(groups));
	cluster_create();
	cluster_servers("freeze", "a");
	ck_assert_int_eq(mews_fleet_join(cluster.fleet, &error), MEWS_OK);
	ck_assert_int_eq(mews_pool_open(&cluster.pool, cluster.fleet, watch,
	    NULL, &error), MEWS_OK);
	cluster_send_sql(&asked, cluster_group("write"), "select 1");
	for (int i = 0; i < 200 &&
	    strcmp(cluster_state("a"), "down") != 0; i++)
		turn(works[_i]);
	ck_assert_str_eq(cluster_state("a"), "down");
	cluster_servers("thaw", "a");
	while (asked.calls == 0)
		turn(works[_i]);
	ck_assert_msg(asked.status == MEWS_OK, "%s", asked.message);
}
END_TEST

/* A query that is never answered is given up after its timeout, and a second
 * that the pool adds to it. */
START_TEST(a_slow_host_gives_a_query_up_in_time)
{
	struct mews_error	error;
	struct asked		asked;
	int64_t			turns = 31000 / works[_i] + TURNS;

	cluster_repair();
	cluster_prepare(groups, CLUSTER_COUNT(groups));
	cluster_create();
	ck_assert_int_eq(mews_fleet_join(cluster.fleet, &error), MEWS_OK);
	ck_assert_int_eq(mews_pool_open(&cluster.pool, cluster.fleet, watch,
	    NULL, &error), MEWS_OK);
	cluster_send_sql(&asked, cluster_group("write"), "select 1");
	while (asked.calls == 0)
		turn(works[_i]);
	ck_assert_int_eq(asked.status, MEWS_OK);
	cluster_servers("freeze", "a");
	cluster_send_sql(&asked, cluster_group("write"),
	    "insert into nothing values (1)");
	while (asked.calls == 0 && turns-- > 0)
		turn(works[_i]);
	cluster_servers("thaw", "a");
	ck_assert_int_eq(asked.calls, 1);
	ck_assert_int_eq(asked.status, MEWS_LOST);
}
END_TEST

static Suite *
slow_host_suite(void)
{
	Suite	*suite = suite_create("slow host");
	TCase	*tcase = unit_case(suite, "turns");

	tcase_set_timeout(tcase, 180);
	tcase_add_checked_fixture(tcase, NULL, cluster_close);
	tcase_add_loop_test(tcase, the_slowness_of_a_host_is_no_evidence, 0,
	    (int)CLUSTER_COUNT(works));
	tcase_add_loop_test(tcase,
	    a_frozen_server_is_found_by_a_slow_host_too, 1,
	    (int)CLUSTER_COUNT(works));
	tcase_add_loop_test(tcase, a_slow_host_gives_a_query_up_in_time, 1,
	    (int)CLUSTER_COUNT(works));
	return suite;
}

UNIT_MAIN(slow_host_suite)
