/*
 * test_watch.c - a descriptor is given up before any callback of the host runs
 * and before control returns: libpq closes sockets by itself, and the number
 * may be another descriptor's at once.
 *
 * The host of this test has a loop of its own. In each callback, and whenever a
 * call into the pool has returned, every descriptor that the host is asked to
 * watch must be open; descriptors that the host opens itself are never given
 * up.
 */
#include "cluster.h"
#include "unit.h"

#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define FDS 256

static const struct mews_group_config groups[] = {
	{ .name = "write", .role = MEWS_GROUP_PRIMARY,
	  .connection_count = 4, .acquire_timeout = CLUSTER_PATIENCE,
	  .stall_after = 60000 },
};

static struct {
	int events[FDS];  /* events that the pool wants; 0: not watched */
	bool mine[FDS];	  /* opened by a callback of the host */
	int taken;	  /* how many are mine */
	int stale;	  /* how many were watched and closed */
	int stolen;	  /* how many of the host's own the pool gave up */
	struct asked again;
	struct asked asked;
	struct asked heard;
} host;

static void
watch(void *arg, int fd, int events)
{
	(void)arg;
	ck_assert_int_lt(fd, FDS);
	host.stolen += host.mine[fd];
	host.events[fd] = events;
}

static void
check(void)
{
	for (int fd = 0; fd < FDS; fd++)
		if (host.events[fd] != 0 && fcntl(fd, F_GETFD) == -1)
			host.stale++;
}

/* Open descriptors, which get the numbers of those that were just closed. */
static void
take_numbers(void)
{
	int	fd;

	for (int i = 0; i < 4; i++) {
		ck_assert_int_ne(fd = eventfd(0, EFD_CLOEXEC), -1);
		host.mine[fd] = true;
		host.taken++;
	}
}

static void
on_log(void *arg, enum mews_log_level level, const char *event,
    const char *text)
{
	(void)arg;
	(void)level;
	(void)event;
	(void)text;
	check();
}

static void
answered(void *arg, const struct mews_result *result)
{
	check();
	cluster_note(arg, result);
	if (mews_result_status(result) != MEWS_LOST || host.taken > 0)
		return;
	take_numbers();
	cluster_send_sql(&host.again, cluster_group("write"), "select 1");
	check();
}

static void
heard(void *arg, const struct mews_notification *notification)
{
	(void)arg;
	(void)notification;
	check();
	host.heard.calls++;
}

static void
turn(void)
{
	struct pollfd	polls[FDS];
	nfds_t		count = 0;
	int		timeout = mews_pool_tick(cluster.pool);

	check();
	for (int fd = 0; fd < FDS; fd++)
		if (host.events[fd] != 0)
			polls[count++] = (struct pollfd) { .fd = fd,
				.events = (short)
				    ((host.events[fd] & MEWS_WATCH_READ ?
					POLLIN : 0) |
				    (host.events[fd] & MEWS_WATCH_WRITE ?
					POLLOUT : 0)) };
	poll(polls, count, timeout < 20 ? timeout : 20);
	for (nfds_t i = 0; i < count; i++)
		if (polls[i].revents != 0) {
			mews_pool_ready(cluster.pool, polls[i].fd,
			    ((polls[i].revents & ~POLLOUT) != 0 ?
				MEWS_WATCH_READ : 0) |
			    ((polls[i].revents & POLLOUT) != 0 ?
				MEWS_WATCH_WRITE : 0));
			check();
		}
}

#define WAIT(condition)							\
	do {								\
		int64_t end_ = cluster_now() + CLUSTER_PATIENCE;	\
									\
		while (!(condition)) {					\
			ck_assert_msg(cluster_now() < end_,		\
			    "waited in vain: %s", #condition);		\
			turn();						\
		}							\
	} while (0)

static void
begin(void)
{
	struct mews_error	error;

	cluster_repair();
	cluster_prepare(groups, CLUSTER_COUNT(groups));
	cluster_create();
	mews_fleet_set_log(cluster.fleet, on_log, NULL);
	ck_assert_int_eq(mews_fleet_join(cluster.fleet, &error), MEWS_OK);
	ck_assert_int_eq(mews_pool_open(&cluster.pool, cluster.fleet, watch,
	    NULL, &error), MEWS_OK);
}

static void
ask(const char *sql)
{
	struct mews_query_args	args = { .sql = sql };

	ck_assert_int_eq(mews_query_send(cluster_group("write"), &args,
	    answered, &host.asked, NULL), MEWS_OK);
}

/* Ways in which the session ends: with a message, or without. */
static const char *const ends[] = {
	"select count(pg_terminate_backend(pid)) from pg_stat_activity where "
	"application_name = 'mews:cluster'",
	"kill",
};

START_TEST(a_descriptor_is_given_up_before_anybody_can_have_its_number)
{
	struct mews_listener   *listener;
	struct mews_error	error;

	ask("select 1");
	WAIT(host.asked.calls == 1);
	ck_assert_int_eq(host.asked.status, MEWS_OK);
	ck_assert_int_eq(mews_listen(&listener, cluster.pool, "news", heard,
	    NULL, &error), MEWS_OK);
	WAIT(host.heard.calls > 0);
	memset(&host.asked, 0, sizeof(host.asked));
	ask("select pg_sleep(60)");
	WAIT(cluster_ask_int("a", "select count(*) from pg_stat_activity "
	    "where query like '%pg_sleep(60)' and state = 'active'") == 1);
	if (_i == 0)
		cluster_ask("a", ends[0]);
	else
		cluster_servers("kill", "a");
	WAIT(host.asked.calls == 1);
	ck_assert_int_eq(host.asked.status, MEWS_LOST);
	if (_i == 1)
		cluster_servers("up", "a");
	WAIT(host.again.calls == 1);
	ck_assert_int_eq(host.again.status, MEWS_OK);
	ck_assert_int_eq(host.stale, 0);
	ck_assert_int_eq(host.stolen, 0);
	mews_unlisten(&listener);
	mews_pool_close(&cluster.pool);
	for (int fd = 0; fd < FDS; fd++)
		ck_assert_int_eq(host.events[fd], 0);
}
END_TEST

static Suite *
watch_suite(void)
{
	Suite	*suite = suite_create("watch");
	TCase	*tcase = unit_case(suite, "watch");

	tcase_set_timeout(tcase, 180);
	tcase_add_checked_fixture(tcase, begin, cluster_close);
	tcase_add_loop_test(tcase,
	    a_descriptor_is_given_up_before_anybody_can_have_its_number, 0,
	    (int)CLUSTER_COUNT(ends));
	return suite;
}

UNIT_MAIN(watch_suite)
