/*
 * test_figures.c - what is counted, and how readers see it.
 */
#include "inside_fleet.h"

#include "fleet/endpoint.h"
#include "fleet/fleet_log.h"
#include "query/slow.h"

#include <mews/figures.h>
#include <sys/wait.h>

#define SLOTS 4

static struct mews_fleet   *fleet;
static struct mews_view	   *view;
static struct mews_figures *figures;
static struct mews_error    error;

static void
make_fleet(void)
{
	make_directory();
	fleet = fleet_of(file, SLOTS, 0);
	ck_assert_int_eq(mews_view_open(&view, file, &error), MEWS_OK);
}

static void
destroy_fleet(void)
{
	mews_figures_free(&figures);
	mews_figures_free(&figures);
	mews_view_close(&view);
	mews_fleet_destroy(&fleet);
	remove_directory();
}

static void
read_figures(void)
{
	mews_figures_free(&figures);
	ck_assert_int_eq(mews_figures_read(&figures, view, &error), MEWS_OK);
}

static struct figures *
own(void)
{
	return fleet_figures(fleet);
}

/* Durations, and the bucket that each is counted in. */
static const struct {
	int64_t us;
	uint32_t bucket;
} durations[] = {
	{ 0, 0 }, { 1, 0 }, { 31, 0 }, { 32, 1 }, { 63, 1 }, { 64, 2 },
	{ 1000, 5 }, { 1024, 6 }, { 1000000, 15 }, { 67108863, 21 },
	{ 67108864, 22 }, { INT64_MAX, 22 },
};

START_TEST(a_duration_is_in_the_bucket_that_its_bound_says)
{
	struct figures_times times = { .sum_us = 1 };
	uint32_t	     at = durations[_i].bucket;

	figures_time(&times, durations[_i].us);
	ck_assert_uint_eq(times.bucket[at], 1);
	ck_assert_uint_eq(times.sum_us, 1 + (uint64_t)durations[_i].us);
	for (uint32_t i = 0; i < FIGURES_BUCKETS; i++)
		ck_assert_uint_eq(times.bucket[i], i == at);
}
END_TEST

START_TEST(a_quantile_lies_in_its_bucket)
{
	struct mews_times times = { 0 };

	ck_assert_double_eq(mews_times_quantile(&times, 0.5), 0);
	times.count = 100;
	times.bucket[1] = 98;
	times.bucket[5] = 2;
	ck_assert_double_gt(mews_times_quantile(&times, 0.5), 32);
	ck_assert_double_lt(mews_times_quantile(&times, 0.5), 64);
	ck_assert_double_gt(mews_times_quantile(&times, 0.99), 512);
	ck_assert_double_le(mews_times_quantile(&times, 0.99), 1024);
	ck_assert_double_le(mews_times_quantile(&times, 1), 1024);
}
END_TEST

/* In a child: count something of each kind, and end without leaving the
 * fleet. */
static void
count_in_child(void)
{
	struct figures_room room = fleet->segment.room;
	pid_t		    pid = fork();

	if (pid == 0) {
		mews_fleet_join(fleet, NULL);
		figures_find_group(own(), room, "g")->ends[MEWS_LOST]++;
		figures_store(&figures_find_group(own(), room, "g")->waiting,
		    7);
		figures_store(&figures_find_group(own(), room, "g")->endpoints,
		    2);
		figures_store(&figures_find_pair(own(), room, "g",
		    "b")->idle, 4);
		figures_time(&figures_find_pair(own(), room, "g",
		    "b")->times, 40);
		figures_find_statement(own(), "s")->rows += 3;
		mews_fleet_count_time(fleet, 50);
		_exit(0);
	}
	ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
	ck_assert(mews_fleet_reap(fleet, pid));
}

START_TEST(counts_outlive_the_process_that_counted)
{
	struct mews_figures_group     group;
	struct mews_figures_pair      pair;
	struct mews_figures_statement statement;
	struct mews_figures_fleet     all;

	count_in_child();
	count_in_child();
	read_figures();
	ck_assert(mews_figures_group(figures, 0, &group, sizeof(group)));
	ck_assert_str_eq(group.name, "g");
	ck_assert_uint_eq(group.ends[MEWS_LOST], 2);
	/* A gauge is the sum over processes that live. */
	ck_assert_uint_eq(group.waiting, 0);
	ck_assert(mews_figures_pair(figures, 0, &pair, sizeof(pair)));
	ck_assert_str_eq(pair.group, "g");
	ck_assert_str_eq(pair.endpoint, "b");
	ck_assert_uint_eq(pair.times.count, 2);
	ck_assert_uint_eq(pair.times.sum_us, 80);
	ck_assert_uint_eq(pair.times.bucket[1], 2);
	ck_assert(mews_figures_statement(figures, 0, &statement,
	    sizeof(statement)));
	ck_assert_str_eq(statement.name, "s");
	ck_assert_uint_eq(statement.rows, 6);
	mews_figures_fleet(figures, &all, sizeof(all));
	ck_assert_uint_eq(all.requests.count, 2);
	ck_assert(!mews_figures_group(figures, 1, &group, sizeof(group)));
	ck_assert(!mews_figures_pair(figures, 1, &pair, sizeof(pair)));
	ck_assert(!mews_figures_statement(figures, 1, &statement,
	    sizeof(statement)));
}
END_TEST

/* The next holder of the slot has no such group, or not yet. */
START_TEST(gauges_are_not_left_to_the_next_holder_of_a_slot)
{
	struct mews_figures_group group;
	struct mews_figures_pair  pair;
	struct figures_group	 *mine;

	count_in_child();
	ck_assert_int_eq(mews_fleet_join(fleet, NULL), MEWS_OK);
	read_figures();
	ck_assert(mews_figures_group(figures, 0, &group, sizeof(group)));
	ck_assert_uint_eq(group.processes, 0);
	ck_assert_uint_eq(group.endpoints, 0);
	ck_assert_uint_eq(group.waiting, 0);
	ck_assert_uint_eq(group.ends[MEWS_LOST], 1);
	ck_assert(mews_figures_pair(figures, 0, &pair, sizeof(pair)));
	ck_assert_uint_eq(pair.idle, 0);
	ck_assert_uint_eq(pair.times.count, 1);
	/* One that opened the group tells of it once it has looked. */
	mine = figures_find_group(own(), fleet->segment.room, "g");
	read_figures();
	ck_assert(mews_figures_group(figures, 0, &group, sizeof(group)));
	ck_assert_uint_eq(group.processes, 0);
	figures_store(&mine->endpoints, 0);
	read_figures();
	ck_assert(mews_figures_group(figures, 0, &group, sizeof(group)));
	ck_assert_uint_eq(group.processes, 1);
	ck_assert_uint_eq(group.endpoints, 0);
}
END_TEST

START_TEST(figures_of_one_name_are_summed_over_slots)
{
	struct figures_room	 room = fleet->segment.room;
	struct mews_figures_pair pair;
	const char	        *endpoints[2][2] = { { "a", "b" },
			            { "b", "a" } };

	for (uint32_t slot = 0; slot < 2; slot++)
		for (int i = 0; i < 2; i++)
			figures_time(&figures_find_pair(
			    segment_figures(&fleet->segment, slot), room, "g",
			    endpoints[slot][i])->times, 10);
	read_figures();
	for (uint32_t i = 0; i < 2; i++) {
		ck_assert(mews_figures_pair(figures, i, &pair, sizeof(pair)));
		ck_assert_uint_eq(pair.times.count, 2);
	}
	ck_assert(!mews_figures_pair(figures, 2, &pair, sizeof(pair)));
}
END_TEST

START_TEST(names_without_room_are_counted_as_others)
{
	struct mews_figures_statement last;
	char			      name[FIGURES_NAME];

	ck_assert_int_eq(mews_fleet_join(fleet, &error), MEWS_OK);
	for (int round = 0; round < 2; round++)
		for (int i = 0; i < FIGURES_STATEMENTS + 10; i++) {
			snprintf(name, sizeof(name), "s%d", i);
			figures_find_statement(own(), name)->answers++;
		}
	read_figures();
	ck_assert(mews_figures_statement(figures, FIGURES_STATEMENTS - 1,
	    &last, sizeof(last)));
	ck_assert_str_eq(last.name, FIGURES_OTHER);
	ck_assert_uint_eq(last.answers, 22);
	ck_assert(!mews_figures_statement(figures, FIGURES_STATEMENTS, &last,
	    sizeof(last)));
	for (int i = 0; i < 200; i++) {
		snprintf(name, sizeof(name), "g%d", i);
		figures_find_group(own(), fleet->segment.room, name);
		figures_time(&figures_find_pair(own(), fleet->segment.room,
		    name, "a")->times, 1);
	}
	read_figures();
}
END_TEST

START_TEST(figures_that_were_written_over_do_no_harm)
{
	const struct segment *segment = &fleet->segment;
	char		     *bytes = (char *)segment->events;
	size_t		      size = sizeof(struct events) +
	    segment->slot_count * figures_size(segment->room);
	struct mews_figures_pair pair;
	struct mews_event	 event;
	uint64_t		 after = 0;

	ck_assert_int_eq(mews_fleet_join(fleet, &error), MEWS_OK);
	arc4random_buf(bytes, size);
	if (_i % 2 == 0)
		memset(bytes, _i == 0 ? 0xff : 'x', size);
	read_figures();
	for (uint32_t i = 0; mews_figures_pair(figures, i, &pair,
	    sizeof(pair)); i++)
		ck_assert_uint_lt(strlen(pair.group), sizeof(pair.group));
	while (mews_view_event(view, after, &event, sizeof(event))) {
		ck_assert_uint_lt(strlen(event.text), sizeof(event.text));
		ck_assert_uint_gt(event.ticket, after);
		after = event.ticket;
	}
	/* Counting where names were written over stays inside the memory. */
	figures_find_group(own(), segment->room, "g")->ends[0]++;
	figures_time(&figures_find_pair(own(), segment->room, "g", "a")->times,
	    1);
	figures_find_statement(own(), "s")->answers++;
	mews_fleet_note(fleet, MEWS_LOG_INFO, "event", "text");
}
END_TEST

START_TEST(events_are_read_in_their_order)
{
	struct mews_event event;
	uint64_t	  after = 0, count = 0;
	const char	 *kind;
	uint32_t	  changes;
	char		  text[400];

	/* The fleet's first event, from before there was a log. */
	while (mews_view_event(view, after, &event, sizeof(event)))
		after = event.ticket;
	mews_fleet_note(fleet, MEWS_LOG_WARNING, "worker_exited", "worker=3");
	ck_assert(mews_view_event(view, after, &event, sizeof(event)));
	ck_assert_str_eq(event.name, "worker_exited");
	ck_assert_str_eq(event.text, "worker=3");
	ck_assert_int_eq(event.level, MEWS_LOG_WARNING);
	ck_assert_int_eq(event.pid, getpid());
	ck_assert_int_gt(event.time_ms, INT64_C(1000000000000));
	after = event.ticket;
	ck_assert(!mews_view_event(view, after, &event, sizeof(event)));
	/* A line of the library's log is an event as well, from level info
	 * on. */
	fleet_log(fleet, MEWS_LOG_DEBUG, "quiet", "%s", "");
	endpoint_report(fleet, 0, HEALTH_REFUSED, 0);
	ck_assert(mews_view_event(view, after, &event, sizeof(event)));
	ck_assert_str_eq(event.name, "endpoint");
	ck_assert_ptr_nonnull(strstr(event.text, "endpoint=a from=unknown"));
	ck_assert(mews_view_transitions(view, 0, HEALTH_REFUSED, &kind,
	    &changes));
	ck_assert_str_eq(kind, "refused");
	ck_assert_uint_eq(changes, 1);
	ck_assert(!mews_view_transitions(view, 0, 99, &kind, &changes));
	ck_assert(!mews_view_transitions(view, 9, 0, &kind, &changes));
	/* A reader who comes late finds the last events. */
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	for (int i = 0; i < 1000; i++)
		mews_fleet_note(fleet, MEWS_LOG_INFO, text, text);
	for (after = 0; mews_view_event(view, after, &event, sizeof(event));
	    count++)
		after = event.ticket;
	ck_assert_uint_eq(count, EVENT_RING);
	ck_assert_uint_eq(strlen(event.text), MEWS_EVENT_TEXT - 1);
	ck_assert_uint_eq(strlen(event.name), MEWS_EVENT_NAME - 1);
}
END_TEST

/* A writer is killed in the middle of an event, at any place: the others go
 * on. */
START_TEST(a_writer_that_died_leaves_no_event)
{
	struct mews_event event;
	uint64_t	  after = 0, last;

	while (mews_view_event(view, after, &event, sizeof(event)))
		after = event.ticket;
	last = atomic_fetch_add(&fleet->segment.events->last, 1) + 1;
	ck_assert_uint_eq(last, after + 1);
	ck_assert(!mews_view_event(view, after, &event, sizeof(event)));
	mews_fleet_note(fleet, MEWS_LOG_INFO, "next", "");
	ck_assert(mews_view_event(view, after, &event, sizeof(event)));
	ck_assert_str_eq(event.name, "next");
}
END_TEST

START_TEST(a_reader_beside_a_writer_sees_whole_events)
{
	struct mews_event event;
	uint64_t	  after = 0;
	pid_t		  pid = fork();
	char		  text[3] = "aa";
	int		  status;

	if (pid == 0) {
		for (int i = 0; i < 100000; i++) {
			text[0] = text[1] = (char)('a' + i % 26);
			mews_fleet_note(fleet, MEWS_LOG_INFO, text, text);
		}
		_exit(0);
	}
	while (waitpid(pid, &status, WNOHANG) == 0)
		while (mews_view_event(view, after, &event, sizeof(event))) {
			ck_assert_uint_gt(event.ticket, after);
			after = event.ticket;
			ck_assert_str_eq(event.name, event.text);
			ck_assert_int_eq(event.text[0], event.text[1]);
		}
	ck_assert_int_eq(status, 0);
}
END_TEST

START_TEST(slow_queries_are_logged_ten_at_once_then_one_a_second)
{
	struct slow_rate rate = { 0 };
	int64_t		 now_us = INT64_C(7000000);
	int		 lines = 0;

	for (int i = 0; i < 100; i++)
		lines += slow_take_line(&rate, now_us);
	ck_assert_int_eq(lines, 10);
	ck_assert_uint_eq(rate.suppressed, 90);
	ck_assert(slow_take_line(&rate, now_us + 1000000));
	ck_assert(!slow_take_line(&rate, now_us + 1500000));
	lines = 0;
	for (int i = 0; i < 100; i++)
		lines += slow_take_line(&rate, now_us + INT64_C(3600000000));
	ck_assert_int_eq(lines, 10);
}
END_TEST

static Suite *
figures_suite(void)
{
	Suite	*suite = suite_create("figures");
	TCase	*tcase = unit_case(suite, "figures");

	tcase_add_checked_fixture(tcase, make_fleet, destroy_fleet);
	tcase_add_loop_test(tcase,
	    a_duration_is_in_the_bucket_that_its_bound_says, 0,
	    (int)(sizeof(durations) / sizeof(durations[0])));
	tcase_add_test(tcase, a_quantile_lies_in_its_bucket);
	tcase_add_test(tcase, counts_outlive_the_process_that_counted);
	tcase_add_test(tcase, gauges_are_not_left_to_the_next_holder_of_a_slot);
	tcase_add_test(tcase, figures_of_one_name_are_summed_over_slots);
	tcase_add_test(tcase, names_without_room_are_counted_as_others);
	tcase_add_loop_test(tcase, figures_that_were_written_over_do_no_harm, 0,
	    5);
	tcase_add_test(tcase, events_are_read_in_their_order);
	tcase_add_test(tcase, a_writer_that_died_leaves_no_event);
	tcase_add_test(tcase, a_reader_beside_a_writer_sees_whole_events);
	tcase_add_test(tcase,
	    slow_queries_are_logged_ten_at_once_then_one_a_second);
	return suite;
}

UNIT_MAIN(figures_suite)
