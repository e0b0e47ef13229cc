/*
 * test_attach.c - processes that join a fleet that no parent of theirs made:
 * which may, which are refused and how, and what they learn. Killed ones:
 * test_attach_death.c.
 */
#include "inside_fleet.h"

#include "fleet/attach.h"
#include "fleet/endpoint.h"
#include "fleet/slots.h"

#include <mews/pool.h>
#include <poll.h>
#include <time.h>

#define WORKERS 4
#define CAP	5
#define SOON_MS 5000 /* of a busy machine */

static struct mews_fleet *fleet, *guest;
static struct mews_error  error;

/* A configuration like that of fleet_of(), for a test to change. */
static struct plan {
	struct mews_config config;
	struct mews_endpoint_config endpoints[2];
	struct mews_group_config group;
} mine;

static void
make_fleet(void)
{
	make_directory();
	fleet = fleet_of(file, WORKERS, CAP);
	/* The reverse of the order that the fleet has. */
	mine = (struct plan) {
		.endpoints = {
			{ .name = "b", .conninfo = "host=/nowhere port=1" },
			{ .name = "a", .conninfo = "host=127.0.0.1 port=1",
			  .max_connections = CAP },
		},
		.group = { .name = "g" },
	};
	mine.config = (struct mews_config) {
		.abi = MEWS_ABI, .instance = "test", .runtime_file = file,
		.endpoints = mine.endpoints, .endpoint_count = 2,
		.groups = &mine.group, .group_count = 1,
	};
}

static void
destroy_fleet(void)
{
	mews_fleet_destroy(&guest);
	mews_fleet_destroy(&fleet);
	remove_directory();
	ck_assert_int_ne(access(directory, F_OK), 0);
}

static struct mews_fleet *
attach(void)
{
	struct mews_fleet *attached;

	ck_assert_msg(mews_fleet_attach(&attached, &mine.config, &error) ==
	    MEWS_OK, "%s", error.message);
	return attached;
}

static struct mews_fleet *
attach_and_join(void)
{
	struct mews_fleet *attached = attach();

	ck_assert_msg(mews_fleet_join(attached, &error) == MEWS_OK, "%s",
	    error.message);
	return attached;
}

static int
slots_taken(void)
{
	int	taken = 0;

	for (uint32_t i = 0; i < fleet->segment.slot_count; i++)
		taken += atomic_load(&fleet->segment.slots[i].pid) != 0;
	return taken;
}

static int64_t
now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

/* --- what is learned --- */

START_TEST(endpoints_are_matched_by_name)
{
	guest = attach_and_join();
	ck_assert_str_eq(endpoint_name(guest, 0), "a");
	ck_assert_str_eq(endpoint_name(guest, 1), "b");
	endpoint_report(fleet, 1, HEALTH_REFUSED,
	    endpoint_health(fleet, 1).epoch);
	ck_assert_int_eq(endpoint_health(guest, 1).state, HEALTH_DOWN);
	endpoint_report(guest, 0, HEALTH_REFUSED,
	    endpoint_health(guest, 0).epoch);
	ck_assert_int_eq(endpoint_health(fleet, 0).state, HEALTH_DOWN);
	ck_assert_int_eq(mews_fleet_turn(guest), MEWS_TURN_CURRENT);
}
END_TEST

START_TEST(a_process_may_attach_with_some_of_the_endpoints)
{
	mine.config.endpoint_count = 1;
	guest = attach_and_join();
	ck_assert(segment_knows(&guest->segment, 1));
	ck_assert(!segment_knows(&guest->segment, 0));
	ck_assert(segment_knows(&fleet->segment, 0));
}
END_TEST

/* A process that is woken notes here when that was. */
static struct {
	_Atomic int ready;
	_Atomic int64_t woken_us;
	int64_t told_us;
} *both;

/* Wait for one poke at the descriptor of this process' own slot. */
static void
wait_for_news(struct mews_fleet *own)
{
	struct pollfd	pfd = { .fd = fleet_wake_fd(own), .events = POLLIN };

	atomic_fetch_add(&both->ready, 1);
	ck_assert_int_eq(poll(&pfd, 1, SOON_MS), 1);
	atomic_store(&both->woken_us, now_us());
	ck_assert(wake_take(pfd.fd));
	ck_assert(!wake_take(pfd.fd));
	ck_assert_int_eq(endpoint_health(own, 0).state, HEALTH_DOWN);
}

static void
be_guest(void *arg, int number)
{
	(void)arg;
	(void)number;
	wait_for_news(attach_and_join());
}

static void
be_child(void *arg, int number)
{
	(void)arg;
	(void)number;
	ck_assert_int_eq(mews_fleet_join(fleet, &error), MEWS_OK);
	wait_for_news(fleet);
}

/* Which process reports a change, and which one must hear of it. */
static const struct {
	void (*listener)(void *, int);
	bool guest_tells;
} ways[] = {
	{ be_guest, false },
	{ be_child, true },
	{ be_guest, true },
	{ be_child, false },
};

/* Wait until @pid, which is about to sleep, is asleep. */
static void
wait_asleep(pid_t pid)
{
	char	path[64], state = '?';
	FILE   *stat;

	snprintf(path, sizeof(path), "/proc/%ld/stat", (long)pid);
	for (int i = 0; state != 'S'; i++) {
		ck_assert_int_lt(i, SOON_MS);
		ck_assert_ptr_nonnull(stat = fopen(path, "r"));
		ck_assert_int_eq(fscanf(stat, "%*d (%*[^)]) %c", &state), 1);
		fclose(stat);
		usleep(1000);
	}
}

START_TEST(a_change_wakes_guests_and_children)
{
	struct mews_fleet	*teller;
	pid_t			 child;

	both = shared(sizeof(*both));
	fork_children(&child, 1, ways[_i].listener, NULL);
	while (atomic_load(&both->ready) == 0)
		usleep(1000);
	guest = attach_and_join();
	teller = ways[_i].guest_tells ? guest : fleet;
	wait_asleep(child);
	both->told_us = now_us();
	endpoint_report(teller, 0, HEALTH_REFUSED,
	    endpoint_health(teller, 0).epoch);
	wait_children(&child, 1);
	printf("# %s to %s: %lld us\n",
	    ways[_i].guest_tells ? "guest" : "creator",
	    ways[_i].listener == be_guest ? "guest" : "child",
	    (long long)(both->woken_us - both->told_us));
}
END_TEST

/* --- who is refused --- */

static void
refuse(enum mews_status status, const char *part)
{
	ck_assert_int_eq(mews_fleet_attach(&guest, &mine.config, &error),
	    status);
	ck_assert_ptr_null(guest);
	ck_assert_int_eq(error.status, status);
	ck_assert_msg(strstr(error.message, part) != NULL,
	    "\"%s\" is not in \"%s\"", part, error.message);
	ck_assert_ptr_null(strstr(error.message, "secret"));
	ck_assert_int_eq(mews_fleet_attach(&guest, &mine.config, NULL),
	    status);
	ck_assert_int_eq(slots_taken(), 0);
}

/* Differences of the configuration that are refused, and the sentence of
 * each. */
static const struct {
	struct mews_endpoint_config endpoint;
	struct mews_group_config group;
	const char *instance;
	const char *why;
} conflicts[] = {
	{ .endpoint = { .name = "a", .max_connections = CAP,
	    .conninfo = "host=127.0.0.1 port=2 password=secret" },
	  .why = "endpoint.a.conninfo: it is host=127.0.0.1 port=2 here, and "
	    "host=127.0.0.1 port=1 in the fleet" },
	{ .endpoint = { .name = "a", .max_connections = CAP,
	    .conninfo = "postgresql://me:secret@127.0.0.1:1/shop" },
	  .why = "it is host=127.0.0.1 port=1 dbname=shop here, and "
	    "host=127.0.0.1 port=1 in" },
	{ .endpoint = { .name = "a", .max_connections = CAP + 1,
	    .conninfo = "host=127.0.0.1 port=1" },
	  .why = "endpoint.a.max_connections: it is 6 here, and 5 in the" },
	{ .endpoint = { .name = "c", .conninfo = "host=127.0.0.1 port=1" },
	  .why = "endpoint.c: the fleet has no endpoint of that name: it has "
	    "a, b" },
	{ .group = { .name = "g", .role = MEWS_GROUP_PRIMARY },
	  .why = "group.g.role: it is primary here, and any in the fleet" },
	{ .instance = "shop",
	  .why = "instance: it is shop here, and test in the fleet" },
	{ .endpoint = { .name = "a" },
	  .why = "endpoint.a.conninfo: an endpoint needs a conninfo" },
};

START_TEST(a_conflict_is_refused_by_name)
{
	if (conflicts[_i].endpoint.name != NULL)
		mine.endpoints[1] = conflicts[_i].endpoint;
	if (conflicts[_i].group.name != NULL)
		mine.group = conflicts[_i].group;
	if (conflicts[_i].instance != NULL)
		mine.config.instance = conflicts[_i].instance;
	refuse(MEWS_INVALID, conflicts[_i].why);
}
END_TEST

/* Differences that are no conflict. */
static const char *const alike[] = {
	"host=127.0.0.1 port=1 user=me password=secret sslmode=disable",
	"postgresql://127.0.0.1:1",
	"port=1 host=127.0.0.1 connect_timeout=3 application_name=cron",
};

START_TEST(settings_of_an_attached_process_alone_may_differ)
{
	mine.endpoints[1].conninfo = alike[_i];
	mine.group.connection_count = 1;
	guest = attach_and_join();
}
END_TEST

START_TEST(attaching_without_a_fleet_fails_with_a_sentence)
{
	mews_fleet_destroy(&fleet);
	ck_assert_int_eq(mews_fleet_attach(&guest, &mine.config, &error),
	    MEWS_UNAVAILABLE);
	ck_assert_ptr_null(guest);
	ck_assert_ptr_nonnull(strstr(error.message, "no fleet runs: there is "
	    "no "));
	mine.config.runtime_file = NULL;
	ck_assert_int_eq(mews_fleet_attach(&guest, &mine.config, &error),
	    MEWS_INVALID);
	ck_assert_ptr_nonnull(strstr(error.message, "runtime_file"));
}
END_TEST

static void
make_and_die(void *arg, int number)
{
	(void)arg;
	(void)number;
	fleet = fleet_of(file, WORKERS, CAP);
	_exit(0);
}

START_TEST(a_fleet_that_crashed_cannot_be_attached_to)
{
	mews_fleet_destroy(&fleet);
	in_children(1, make_and_die, NULL);
	ck_assert(file_exists());
	ck_assert_int_eq(mews_fleet_attach(&guest, &mine.config, &error),
	    MEWS_UNAVAILABLE);
	ck_assert_ptr_nonnull(strstr(error.message, "was left behind"));
	/* A successor can be made once the file is removed. */
	unlink(file);
	fleet = fleet_of(file, WORKERS, CAP);
	guest = attach_and_join();
}
END_TEST

START_TEST(a_fleet_that_is_being_made_is_not_there_yet)
{
	uint64_t	turn = fleet->segment.header->turn;

	atomic_store(&fleet->segment.header->turn, 0);
	refuse(MEWS_UNAVAILABLE, "is just being made");
	atomic_store(&fleet->segment.header->turn, turn);
}
END_TEST

START_TEST(a_segment_of_another_build_cannot_be_attached_to)
{
	fleet->segment.header->abi++;
	refuse(MEWS_INVALID, "written by another version of mews");
	fleet->segment.header->abi--;
}
END_TEST

START_TEST(a_file_that_is_no_segment_cannot_be_attached_to)
{
	mews_fleet_destroy(&fleet);
	write_bytes("nothing of mews", 15);
	ck_assert_int_eq(mews_fleet_attach(&guest, &mine.config, &error),
	    MEWS_INVALID);
	ck_assert_ptr_nonnull(strstr(error.message, "not a segment of mews"));
}
END_TEST

START_TEST(a_segment_of_another_user_cannot_be_attached_to)
{
	/* The file of root is opened by a user that root becomes, or by this
	 * one. */
	if (geteuid() == 0)
		ck_assert_int_eq(seteuid(65534), 0);
	else
		mine.config.runtime_file = "/etc/passwd";
	ck_assert_int_eq(mews_fleet_attach(&guest, &mine.config, &error),
	    MEWS_SYSTEM);
	ck_assert_ptr_nonnull(strstr(error.message, "belongs to the user 0, "
	    "and this process runs as"));
	ck_assert_int_eq(seteuid(getuid()), 0);
}
END_TEST

START_TEST(calls_for_the_creator_alone_are_refused)
{
	struct mews_fleet	*next;
	pid_t			 master;

	mews_fleet_set_master(fleet, 7, 1);
	guest = attach_and_join();
	ck_assert_int_eq(mews_fleet_renew(&next, guest, &mine.config, &error),
	    MEWS_INVALID);
	ck_assert_int_eq(mews_fleet_chown(guest, getuid(), getgid(), &error),
	    MEWS_INVALID);
	mews_fleet_set_master(guest, 8, 2);
	master = (pid_t)fleet->segment.header->master_pid;
	ck_assert_int_eq(master, 7);
	mews_fleet_destroy(&guest);
	ck_assert(file_exists());
}
END_TEST

/* --- room --- */

START_TEST(guests_and_children_have_room_for_each_other)
{
	static struct mews_fleet *guests[WORKERS + FLEET_GUESTS];

	for (int i = 0; i < FLEET_GUESTS; i++)
		guests[i] = attach_and_join();
	ck_assert_int_eq(slots_taken(), FLEET_GUESTS);
	for (int i = 0; i < WORKERS; i++) {
		guests[FLEET_GUESTS + i] = attach();
		ck_assert_int_eq(fleet->segment.slots[i].pid, 0);
	}
	ck_assert_int_eq(mews_fleet_join(fleet, &error), MEWS_OK);
	ck_assert_ptr_eq(fleet->slot, &fleet->segment.slots[0]);
	for (int i = 0; i + 1 < WORKERS; i++)
		ck_assert_int_eq(mews_fleet_join(guests[FLEET_GUESTS + i],
		    &error), MEWS_OK);
	guest = attach();
	ck_assert_int_eq(mews_fleet_join(guest, &error), MEWS_INVALID);
	ck_assert_ptr_nonnull(strstr(error.message, "slots of the fleet are "
	    "taken"));
	for (int i = 0; i < COUNT(guests); i++)
		mews_fleet_destroy(&guests[i]);
	ck_assert_int_eq(slots_taken(), 1);
	ck_assert_int_eq(mews_fleet_join(guest, &error), MEWS_OK);
}
END_TEST

/* --- the end of a fleet, and the next one --- */

START_TEST(a_fleet_that_ends_leaves_its_guests_alone)
{
	guest = attach_and_join();
	mews_fleet_destroy(&fleet);
	ck_assert(!file_exists());
	attach_look(guest);
	ck_assert(guest->ended);
	/* The guest keeps the servers of the ended fleet until there is
	 * another one. */
	ck_assert_int_eq(mews_fleet_turn(guest), MEWS_TURN_CURRENT);
	endpoint_report(guest, 0, HEALTH_REFUSED,
	    endpoint_health(guest, 0).epoch);
	ck_assert_int_eq(endpoint_health(guest, 0).state, HEALTH_DOWN);
	slots_tend(guest, true);

	fleet = fleet_of(file, WORKERS, CAP);
	attach_look(guest);
	ck_assert_int_eq(mews_fleet_turn(guest), MEWS_TURN_PAST);
	/* Nothing of the old fleet is in the way of the new one. */
	endpoint_report(guest, 1, HEALTH_REFUSED,
	    endpoint_health(guest, 1).epoch);
	ck_assert_int_eq(endpoint_health(fleet, 1).state, HEALTH_UNKNOWN);
	mews_fleet_destroy(&guest);
	ck_assert(file_exists());
	guest = attach_and_join();
	ck_assert_int_eq(slots_taken(), 1);
}
END_TEST

START_TEST(the_next_generation_is_attached_to_again)
{
	struct mews_fleet	*next;
	struct mews_config	 config = mine.config;

	guest = attach_and_join();
	config.workers = WORKERS;
	mine.endpoints[1].max_connections = CAP + 1;
	ck_assert_int_eq(mews_fleet_renew(&next, fleet, &config, &error),
	    MEWS_OK);
	ck_assert_int_eq(mews_fleet_turn(guest), MEWS_TURN_CURRENT);
	mews_fleet_switch(next);
	ck_assert_int_eq(mews_fleet_turn(guest), MEWS_TURN_PAST);
	mews_fleet_destroy(&fleet);
	fleet = next;
	mews_fleet_destroy(&guest);
	guest = attach_and_join();
	ck_assert_int_eq(mews_fleet_turn(guest), MEWS_TURN_CURRENT);
}
END_TEST

static Suite *
attach_suite(void)
{
	Suite	*suite = suite_create("attach");
	TCase	*tcase = unit_case(suite, "guests");

	tcase_add_checked_fixture(tcase, make_fleet, destroy_fleet);
	tcase_add_test(tcase, endpoints_are_matched_by_name);
	tcase_add_test(tcase, a_process_may_attach_with_some_of_the_endpoints);
	tcase_add_loop_test(tcase, a_change_wakes_guests_and_children, 0,
	    COUNT(ways));
	tcase_add_loop_test(tcase, a_conflict_is_refused_by_name, 0,
	    COUNT(conflicts));
	tcase_add_loop_test(tcase,
	    settings_of_an_attached_process_alone_may_differ, 0, COUNT(alike));
	tcase_add_test(tcase, attaching_without_a_fleet_fails_with_a_sentence);
	tcase_add_test(tcase, a_fleet_that_crashed_cannot_be_attached_to);
	tcase_add_test(tcase, a_fleet_that_is_being_made_is_not_there_yet);
	tcase_add_test(tcase, a_segment_of_another_build_cannot_be_attached_to);
	tcase_add_test(tcase, a_file_that_is_no_segment_cannot_be_attached_to);
	tcase_add_test(tcase, a_segment_of_another_user_cannot_be_attached_to);
	tcase_add_test(tcase, calls_for_the_creator_alone_are_refused);
	tcase_add_test(tcase, guests_and_children_have_room_for_each_other);
	tcase_add_test(tcase, a_fleet_that_ends_leaves_its_guests_alone);
	tcase_add_test(tcase, the_next_generation_is_attached_to_again);
	return suite;
}

int
main(void)
{
	return unit_run(attach_suite());
}
