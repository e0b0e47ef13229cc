/*
 * test_slots.c - how a fleet begins and ends, and which processes are in it.
 */
#include "inside_fleet.h"

#include "fleet/endpoint.h"
#include "fleet/orphan.h"
#include "fleet/slots.h"

#include <errno.h>
#include <mews/figures.h>
#include <sys/resource.h>

#define WORKERS 8
#define ROUNDS	100U

static struct mews_fleet *fleet;
static struct mews_error  error;

static void
make_fleet(void)
{
	fleet = fleet_of(NULL, WORKERS, 5);
}

static void
destroy_fleet(void)
{
	mews_fleet_destroy(&fleet);
	ck_assert_ptr_null(fleet);
	mews_fleet_destroy(&fleet);
}

static int
slots_taken(void)
{
	int	taken = 0;

	for (int i = 0; i < WORKERS; i++)
		taken += atomic_load(&fleet->segment.slots[i].pid) != 0;
	return taken;
}

static void
join(void)
{
	ck_assert_msg(mews_fleet_join(fleet, &error) == MEWS_OK, "%s",
	    error.message);
}

/* --- create and destroy --- */

/* Configurations for mews_fleet_create(), and its reports by field. */
static const struct {
	struct mews_config config;
	const char *why;
} refused[] = {
	{ { .abi = MEWS_ABI + 1 }, "abi: compiled with" },
	{ { .abi = MEWS_ABI }, "instance: the fleet needs a name" },
	{ { .abi = MEWS_ABI, .instance = "x" }, "workers: workers is 0" },
	{ { .abi = MEWS_ABI, .instance = "x", .workers = 1 },
	  "endpoints: at least one" },
	{ { .abi = MEWS_ABI, .instance = "x", .workers = 1,
	    .endpoint_count = 2, .endpoints =
	    (const struct mews_endpoint_config[]) {
		{ .name = "a", .conninfo = "host=x" }, { .name = "b" } } },
	  "endpoint.b.conninfo: an endpoint needs" },
	{ { .abi = MEWS_ABI, .instance = "x", .workers = 1,
	    .endpoint_count = 1, .endpoints =
	    (const struct mews_endpoint_config[]) {
		{ .name = "a", .conninfo = "host=x" } },
	    .group_count = 1, .groups = (const struct mews_group_config[]) {
		{ .name = "g", .connection_count = 2000 } } },
	  "group.g.connection_count: " },
};

START_TEST(a_bad_configuration_makes_no_fleet_and_is_explained)
{
	struct mews_config config = refused[_i].config;

	config.runtime_file = file;
	fleet = (struct mews_fleet *)&config;
	ck_assert_int_eq(mews_fleet_create(&fleet, &config, &error),
	    MEWS_INVALID);
	ck_assert_ptr_null(fleet);
	ck_assert_int_eq(error.status, MEWS_INVALID);
	ck_assert_msg(strncmp(error.message, refused[_i].why,
	    strlen(refused[_i].why)) == 0, "%s", error.message);
	ck_assert(!file_exists());
	ck_assert_int_eq(mews_fleet_create(&fleet, &config, NULL),
	    MEWS_INVALID);
}
END_TEST

START_TEST(the_file_of_another_fleet_is_left_alone)
{
	const struct mews_endpoint_config a = { .name = "a",
		.conninfo = "host=/nowhere" };
	const struct mews_group_config g = { .name = "g" };
	const struct mews_config config = {
		.abi = MEWS_ABI, .instance = "x", .workers = 1,
		.runtime_file = file, .endpoints = &a, .endpoint_count = 1,
		.groups = &g, .group_count = 1,
	};
	struct mews_fleet *second;

	fleet = fleet_of(file, WORKERS, 5);
	ck_assert_int_eq(mews_fleet_create(&second, &config, &error),
	    MEWS_SYSTEM);
	ck_assert_ptr_null(second);
	ck_assert_ptr_nonnull(strstr(error.message, file));
	ck_assert(file_exists());
	destroy_fleet();
	ck_assert(!file_exists());
	ck_assert_int_eq(mews_fleet_create(&fleet, &config, &error), MEWS_OK);
	destroy_fleet();
	ck_assert(!file_exists());
}
END_TEST

START_TEST(a_fleet_that_fails_half_way_leaves_nothing)
{
	const struct mews_endpoint_config a = { .name = "a",
		.conninfo = "host=/nowhere" };
	const struct mews_group_config g = { .name = "g" };
	const struct mews_config config = {
		.abi = MEWS_ABI, .instance = "x", .workers = 100,
		.runtime_file = file, .endpoints = &a, .endpoint_count = 1,
		.groups = &g, .group_count = 1,
	};
	int	free_fd = dup(0);
	const struct rlimit few = { (rlim_t)free_fd + 50,
		(rlim_t)free_fd + 50 };

	close(free_fd);
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &few), 0);
	ck_assert_int_eq(mews_fleet_create(&fleet, &config, &error),
	    MEWS_SYSTEM);
	ck_assert_ptr_null(fleet);
	ck_assert_ptr_nonnull(strstr(error.message, strerror(EMFILE)));
	ck_assert(!file_exists());
	ck_assert_int_eq(dup(0), free_fd);
}
END_TEST

static void
destroy_copy(void *arg, int number)
{
	struct mews_fleet *copy = arg;

	(void)number;
	mews_fleet_destroy(&copy);
}

START_TEST(a_child_that_destroys_its_copy_takes_nothing_away)
{
	fleet = fleet_of(file, WORKERS, 5);
	join();
	in_children(1, destroy_copy, fleet);
	ck_assert(file_exists());
	ck_assert_int_eq(mews_fleet_state(fleet, getpid()),
	    MEWS_WORKER_STARTING);
	destroy_fleet();
	ck_assert(!file_exists());
}
END_TEST

START_TEST(a_fleet_knows_its_configuration)
{
	fleet = fleet_of(NULL, WORKERS, 5);
	ck_assert_uint_eq(fleet->segment.endpoint_count, 2);
	/* One slot more than there are workers is the monitor's. */
	ck_assert_uint_eq(fleet->segment.slot_count, WORKERS + 1);
	ck_assert_str_eq(fleet->segment.endpoints[0].name, "a");
	ck_assert_str_eq(fleet->segment.endpoints[1].name, "b");
	ck_assert_uint_eq(fleet->segment.endpoints[0].max_connections, 5);
	ck_assert_uint_eq(fleet->segment.endpoints[1].max_connections, 0);
	/* Neither a numeric address nor a socket is a name to look up. */
	ck_assert(!fleet->segment.endpoints[0].named);
	ck_assert(!fleet->segment.endpoints[1].named);
	ck_assert_uint_eq(fleet->rules.interval, MEWS_HEALTH_INTERVAL_DEFAULT);
	ck_assert_uint_eq(fleet->rules.timeout, MEWS_HEALTH_TIMEOUT_DEFAULT);
	ck_assert_uint_eq(fleet->rules.fall, MEWS_HEALTH_FALL_DEFAULT);
	ck_assert_uint_eq(fleet->rules.rise, MEWS_HEALTH_RISE_DEFAULT);
	ck_assert_int_eq(endpoint_health(fleet, 0).state, HEALTH_UNKNOWN);
	destroy_fleet();
}
END_TEST

START_TEST(the_segment_file_can_be_given_to_another_user)
{
	struct stat	st;

	fleet = fleet_of(file, WORKERS, 5);
	ck_assert_int_eq(mews_fleet_chown(fleet, geteuid(), getegid(), &error),
	    MEWS_OK);
	if (geteuid() == 0) {
		ck_assert_int_eq(mews_fleet_chown(fleet, 65534, 65534, &error),
		    MEWS_OK);
		ck_assert_int_eq(stat(file, &st), 0);
		ck_assert_uint_eq(st.st_uid, 65534);
		ck_assert_int_eq(seteuid(65534), 0);
	}
	ck_assert_int_eq(mews_fleet_chown(fleet, 0, 0, &error), MEWS_SYSTEM);
	ck_assert_ptr_nonnull(strstr(error.message, file));
	if (getuid() == 0)
		ck_assert_int_eq(seteuid(0), 0);
	destroy_fleet();
	/* Without a file, giving it away is no mistake. */
	make_fleet();
	ck_assert_int_eq(mews_fleet_chown(fleet, 65534, 65534, NULL), MEWS_OK);
	destroy_fleet();
}
END_TEST

/* --- join, leave, reap --- */

START_TEST(a_process_joins_once_and_leaves)
{
	ck_assert_int_eq(mews_fleet_state(fleet, getpid()), MEWS_WORKER_FREE);
	ck_assert_int_eq(mews_fleet_beat_age(fleet, getpid()), -1);
	for (int i = 0; i < 3 * WORKERS; i++) {
		join();
		ck_assert_int_eq(slots_taken(), 1);
		ck_assert_int_eq(mews_fleet_state(fleet, getpid()),
		    MEWS_WORKER_STARTING);
		ck_assert_int_eq(mews_fleet_join(fleet, &error), MEWS_INVALID);
		ck_assert_ptr_nonnull(strstr(error.message, "already"));
		ck_assert_int_eq(slots_taken(), 1);
		mews_fleet_leave(fleet);
		ck_assert_int_eq(slots_taken(), 0);
		mews_fleet_leave(fleet);
	}
}
END_TEST

START_TEST(a_worker_publishes_its_state_and_beat)
{
	join();
	mews_fleet_set_state(fleet, MEWS_WORKER_DRAINING);
	ck_assert_int_eq(mews_fleet_state(fleet, getpid()),
	    MEWS_WORKER_DRAINING);
	mews_fleet_count_requests(fleet, 3);
	mews_fleet_count_requests(fleet, UINT32_MAX);
	ck_assert_uint_eq(fleet->slot->requests, UINT64_C(3) + UINT32_MAX);
	fleet->slot->beat_ms -= 5000;
	ck_assert_int_ge(mews_fleet_beat_age(fleet, getpid()), 5000);
	mews_fleet_beat(fleet);
	ck_assert_int_lt(mews_fleet_beat_age(fleet, getpid()), 5000);
	/* A beat that seems to come from the future is a beat. */
	fleet->slot->beat_ms += 60000;
	ck_assert_int_eq(mews_fleet_beat_age(fleet, getpid()), 0);
	mews_fleet_leave(fleet);
	/* Calls without a slot have no effect. */
	mews_fleet_set_state(fleet, MEWS_WORKER_READY);
	mews_fleet_count_requests(fleet, 1);
	mews_fleet_beat(fleet);
	ck_assert_int_eq(slots_taken(), 0);
	for (int i = 0; i < WORKERS; i++) {
		ck_assert_uint_eq(fleet->segment.slots[i].requests, 0);
		ck_assert_uint_eq(fleet->segment.slots[i].state,
		    MEWS_WORKER_FREE);
	}
}
END_TEST

START_TEST(a_pid_of_no_process_has_no_slot)
{
	static const pid_t nobody[] = { 0, -1, -2, INT32_MAX };

	join();
	for (int i = 0; i < COUNT(nobody); i++) {
		ck_assert_int_eq(mews_fleet_state(fleet, nobody[i]),
		    MEWS_WORKER_FREE);
		ck_assert_int_eq(mews_fleet_beat_age(fleet, nobody[i]), -1);
		ck_assert(!mews_fleet_reap(fleet, nobody[i]));
	}
	ck_assert_int_eq(slots_taken(), 1);
}
END_TEST

/* All that a worker could do to a slot that it did not take. */
static void
touch_parents_slot(void *arg, int number)
{
	(void)arg;
	(void)number;
	mews_fleet_set_state(fleet, MEWS_WORKER_DRAINING);
	mews_fleet_count_requests(fleet, 7);
	mews_fleet_count_time(fleet, 7);
	mews_fleet_beat(fleet);
	mews_fleet_leave(fleet);
	join();		/* joined with a slot of its own */
	ck_assert_int_eq(slots_taken(), 2);
	mews_fleet_count_requests(fleet, 1);
	mews_fleet_leave(fleet);
}

START_TEST(a_fork_does_not_inherit_the_slot)
{
	int64_t	beat;

	join();
	beat = fleet->slot->beat_ms - 1000;
	atomic_store(&fleet->slot->beat_ms, beat);
	in_children(1, touch_parents_slot, NULL);
	ck_assert_int_eq(mews_fleet_state(fleet, getpid()),
	    MEWS_WORKER_STARTING);
	ck_assert_uint_eq(fleet->slot->requests, 0);
	ck_assert_uint_eq(fleet_figures(fleet)->requests.sum_us, 0);
	ck_assert_int_eq(fleet->slot->beat_ms, beat);
	ck_assert_int_eq(slots_taken(), 1);
}
END_TEST

struct meeting {
	_Atomic unsigned begin, end;
	_Atomic unsigned joined;
	_Atomic unsigned mistakes;
};

static void
join_at_once(void *arg, int number)
{
	struct meeting	*m = arg;

	(void)number;
	for (unsigned round = 0; round < ROUNDS; round++) {
		bool	joined;

		gate(&m->begin, 2 * WORKERS, round);
		if ((joined = mews_fleet_join(fleet, &error) == MEWS_OK))
			atomic_fetch_add(&m->joined, 1);
		else if (strstr(error.message, "all 8 slots") == NULL)
			atomic_fetch_add(&m->mistakes, 1);
		gate(&m->end, 2 * WORKERS, 2 * round);
		if (joined && fleet->slot->pid != getpid())
			atomic_fetch_add(&m->mistakes, 1);
		if (atomic_load(&m->joined) != WORKERS * (round + 1))
			atomic_fetch_add(&m->mistakes, 1);
		gate(&m->end, 2 * WORKERS, 2 * round + 1);
		/* In the last round the children die with their slots. */
		if (round + 1 < ROUNDS)
			mews_fleet_leave(fleet);
	}
}

START_TEST(slots_are_given_to_as_many_as_there_are)
{
	struct meeting	*m = shared(sizeof(*m));
	pid_t		 children[2 * WORKERS];
	int		 reaped = 0;

	fork_children(children, COUNT(children), join_at_once, m);
	wait_children(children, COUNT(children));
	ck_assert_uint_eq(m->mistakes, 0);
	ck_assert_int_eq(slots_taken(), WORKERS);
	/* The dead hold their slots until they are reaped. */
	ck_assert_int_eq(mews_fleet_join(fleet, &error), MEWS_INVALID);
	for (int i = 0; i < COUNT(children); i++)
		reaped += mews_fleet_reap(fleet, children[i]);
	ck_assert_int_eq(reaped, WORKERS);
	ck_assert_int_eq(slots_taken(), 0);
	join();
}
END_TEST

static void
be_monitor(void *arg, int number)
{
	struct meeting	*m = arg;
	char		 pid[32];

	(void)number;
	ck_assert_int_eq(fleet_join_monitor(fleet, &error), MEWS_INVALID);
	snprintf(pid, sizeof(pid), "pid %d", (int)getppid());
	ck_assert_ptr_nonnull(strstr(error.message, pid));
	/* A process that cannot be the monitor may still have a worker's
	 * slot. */
	join();
	mews_fleet_leave(fleet);
	atomic_fetch_add(&m->joined, 1);
}

START_TEST(a_fleet_has_one_slot_for_a_monitor)
{
	struct meeting	*m = shared(sizeof(*m));

	ck_assert(!fleet_has_monitor(fleet));
	ck_assert_int_eq(fleet_join_monitor(fleet, &error), MEWS_OK);
	ck_assert(fleet_has_monitor(fleet));
	ck_assert_int_eq(fleet->segment.header->monitor_pid, getpid());
	ck_assert_int_eq(slots_taken(), 0);
	ck_assert_int_eq(mews_fleet_join(fleet, &error), MEWS_INVALID);
	in_children(1, be_monitor, m);
	ck_assert_uint_eq(m->joined, 1);
	mews_fleet_leave(fleet);
	ck_assert(!fleet_has_monitor(fleet));
	ck_assert_int_eq(fleet_join_monitor(fleet, &error), MEWS_OK);
}
END_TEST

static void
record_and_die(void *arg, int number)
{
	(void)arg;
	join();
	orphan_record(fleet->slot, 1, (uint32_t)number + 500, 0);
}

START_TEST(backends_of_the_dead_are_left_to_the_monitor)
{
	pid_t	children[2];
	char	 sql[ORPHAN_SQL_MAX];
	uint32_t at = 0;
	int	 found = 0;

	fork_children(children, 2, record_and_die, NULL);
	wait_children(children, 2);
	ck_assert(!orphan_next(&fleet->segment, 1, &at, "'x'", 0, sql));
	at = 0;
	for (int i = 0; i < 2; i++) {
		errno = EXDEV;
		ck_assert(mews_fleet_reap(fleet, children[i]));
		ck_assert_int_eq(errno, EXDEV);
	}
	for (; orphan_next(&fleet->segment, 1, &at, "'x'", 0, sql); at++)
		found++;
	ck_assert_int_eq(found, 2);
}
END_TEST

static void
monitor_and_die(void *arg, int number)
{
	(void)arg;
	(void)number;
	ck_assert_int_eq(fleet_join_monitor(fleet, &error), MEWS_OK);
}

START_TEST(a_dead_monitor_is_reaped_like_a_worker)
{
	pid_t	child;

	fork_children(&child, 1, monitor_and_die, NULL);
	wait_children(&child, 1);
	ck_assert(fleet_has_monitor(fleet));
	ck_assert(mews_fleet_reap(fleet, child));
	ck_assert(!fleet_has_monitor(fleet));
	ck_assert_int_eq(fleet_join_monitor(fleet, &error), MEWS_OK);
}
END_TEST

START_TEST(the_pid_of_the_master_is_published)
{
	mews_fleet_set_master(fleet, 1234, 5);
	ck_assert_int_eq(fleet->segment.header->master_pid, 1234);
	ck_assert_uint_eq(fleet->segment.header->generation, 5);
}
END_TEST

static Suite *
slots_suite(void)
{
	Suite	*suite = suite_create("slots");
	TCase	*tcase = unit_case(suite, "create");

	tcase_add_checked_fixture(tcase, make_directory, remove_directory);
	tcase_add_loop_test(tcase,
	    a_bad_configuration_makes_no_fleet_and_is_explained, 0,
	    COUNT(refused));
	tcase_add_test(tcase, the_file_of_another_fleet_is_left_alone);
	tcase_add_test(tcase, a_fleet_that_fails_half_way_leaves_nothing);
	tcase_add_test(tcase,
	    a_child_that_destroys_its_copy_takes_nothing_away);
	tcase_add_test(tcase, a_fleet_knows_its_configuration);
	tcase_add_test(tcase, the_segment_file_can_be_given_to_another_user);

	tcase = unit_case(suite, "slots");
	tcase_add_checked_fixture(tcase, make_fleet, destroy_fleet);
	tcase_add_test(tcase, a_process_joins_once_and_leaves);
	tcase_add_test(tcase, a_worker_publishes_its_state_and_beat);
	tcase_add_test(tcase, a_pid_of_no_process_has_no_slot);
	tcase_add_test(tcase, a_fork_does_not_inherit_the_slot);
	tcase_add_test(tcase, slots_are_given_to_as_many_as_there_are);
	tcase_add_test(tcase, backends_of_the_dead_are_left_to_the_monitor);
	tcase_add_test(tcase, a_fleet_has_one_slot_for_a_monitor);
	tcase_add_test(tcase, a_dead_monitor_is_reaped_like_a_worker);
	tcase_add_test(tcase, the_pid_of_the_master_is_published);
	return suite;
}

UNIT_MAIN(slots_suite)
