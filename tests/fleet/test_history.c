/*
 * test_history.c - the history that the page at the admin address shows.
 */
#include "history.h"
#include "story.h"
#include "unit.h"

#include <mews/config.h>

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/param.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char *printed;

static const char *
print(const struct history *history, uint32_t from, uint32_t to)
{
	size_t	length;
	FILE   *out;

	free(printed);
	out = open_memstream(&printed, &length);
	history_print(history, from, to, out);
	fclose(out);
	return printed;
}

static void
add(struct history *history, uint32_t second, const char *name, char state)
{
	const struct history_endpoint moment = { .state = state, .role = 'p',
		.rtt_us = 5, .lag_ms = -1, .answers = second };

	history_add_endpoint(history, second, name, &moment);
}

START_TEST(moments_that_nobody_sampled_are_shown_as_missing)
{
	struct history *history = history_make(NULL);

	add(history, 1001, "a", 'u');
	add(history, 1003, "a", 'd');
	ck_assert_str_eq(print(history, 900, 1004), "{\"from\":1001,"
	    "\"to\":1004,\"endpoints\":[{\"name\":\"a\",\"state\":\"u-d-\","
	    "\"role\":\"p-p-\",\"rtt_us\":[5,null,5,null],"
	    "\"lag_ms\":[null,null,null,null],"
	    "\"answers\":[1001,null,1003,null]}],\"groups\":[]}");
	ck_assert_str_eq(print(NULL, 1, 2), "null");
}
END_TEST

START_TEST(moments_older_than_the_ring_are_gone)
{
	struct history *history = history_make(NULL);

	add(history, 1001, "a", 'u');
	add(history, 1001 + HISTORY_SECONDS, "a", 's');
	print(history, 1002, 1001 + HISTORY_SECONDS);
	ck_assert_msg(strstr(printed, "\"state\":\"s\"") != NULL, "%s",
	    printed);
}
END_TEST

START_TEST(the_history_is_shared_by_all_processes)
{
	struct history *history = history_make(NULL);

	if (fork() == 0) {
		add(history, 7, "a", 'u');
		_exit(0);
	}
	while (wait(NULL) > 0)
		;
	ck_assert(strstr(print(history, 1, 7), "\"state\":\"u\"") != NULL);
}
END_TEST

START_TEST(a_new_name_takes_the_place_of_the_oldest)
{
	struct history *history = history_make(NULL);
	char		name[16];

	for (uint32_t i = 0; i < MEWS_ENDPOINTS_MAX; i++) {
		snprintf(name, sizeof(name), "e%u", i);
		add(history, 10 + (i + 5) % MEWS_ENDPOINTS_MAX, name, 'u');
	}
	add(history, 100, "new", 'd');
	print(history, 1, 100);
	ck_assert(strstr(printed, "\"new\"") != NULL);
	ck_assert(strstr(printed, "\"e27\"") == NULL);
	ck_assert(strstr(printed, "\"e26\"") != NULL);
	/* Samples of the old name are not shown for the new one. */
	ck_assert(strstr(strstr(printed, "\"new\""), "\"state\":\"-") != NULL);
}
END_TEST

START_TEST(the_next_master_takes_over_the_history)
{
	struct history *before, *now;
	int		fd, other;

	before = history_make(&fd);
	now = history_make(&other);
	for (uint32_t second = 400; second <= 1004; second++)
		add(before, second, "a", 'u');
	add(before, 900, "gone", 'd');
	ck_assert(history_take(now, fd, 1003));
	add(now, 1004, "a", 's');
	print(now, 1, 1010);
	ck_assert_msg(strstr(printed, "\"from\":405,") != NULL, "%.100s",
	    printed);
	ck_assert_ptr_nonnull(strstr(printed, "us------\","));
	ck_assert_ptr_nonnull(strstr(printed, "\"gone\""));
	/* Taking a file over twice changes nothing. */
	ck_assert(history_take(now, fd, 1003));
	ck_assert_ptr_nonnull(strstr(print(now, 1, 1010), "us------\","));
	close(fd);
	close(other);
}
END_TEST

/* Damaged bytes can only be wrong samples. */
START_TEST(a_past_that_is_damaged_is_taken_as_far_as_it_goes)
{
	struct history *before, *now;
	unsigned char	noise[4096];
	uint32_t	seed = (uint32_t)_i + 1;
	struct stat	st;
	int		fd;

	before = history_make(&fd);
	now = history_make(NULL);
	add(before, 1000, "a", 'u');
	ck_assert_int_eq(fstat(fd, &st), 0);
	/* Damage all but the first bytes, which say what the file is. */
	for (off_t at = 64; at < st.st_size; at += (off_t)sizeof(noise)) {
		for (size_t i = 0; i < sizeof(noise); i++)
			noise[i] = (unsigned char)((seed = seed * 1664525 +
			    1013904223) >> (_i % 2 == 0 ? 24 : 31));
		ck_assert_int_gt(pwrite(fd, noise, MIN(sizeof(noise),
		    (size_t)(st.st_size - at)), at), 0);
	}
	ck_assert(history_take(now, fd, 1003));
	print(now, 1, 2000);
	for (const char *c = printed; *c != '\0'; c++)
		ck_assert(*c >= ' ' && *c <= '~');
	/* A file of another version, and one that is no such file, are
	 * refused. */
	ck_assert_int_eq(pwrite(fd, "x", 1, 12), 1);
	ck_assert(!history_take(now, fd, 1003));
	ck_assert_int_eq(ftruncate(fd, 100), 0);
	ck_assert(!history_take(now, fd, 1003));
	ck_assert_int_eq(close(fd), 0);
	ck_assert(!history_take(now, fd, 1003));
	ck_assert(!history_take(now, open("/dev/zero", O_RDONLY), 1003));
}
END_TEST

static const struct {
	const char *name, *text, *told;
} stories[] = {
	{ "endpoint", "endpoint=b from=up to=down role=standby "
	  "evidence=refused epoch=2 failures=1",
	  "b went from up to down as a standby: nobody took the connection, "
	  "or could be reached" },
	{ "endpoint", "endpoint=b from=up to=up role=primary "
	  "evidence=role_changed epoch=2 failures=0", "b is a primary now" },
	{ "endpoint", "endpoint=b from=up to=do", "b went from up to do as a ?:"
	  " ?" },
	{ "endpoint_admin", "endpoint=c to=drained",
	  "c was drained by an operator" },
	{ "probe_failed", "endpoint=a evidence=refused "
	  "error=\"connection to \\\"x\\\" to=nowhere failed\"",
	  "a probe of a failed: connection to \"x\" to=nowhere failed" },
	{ "worker_hangs", "worker=3 worker_pid=5 silent_ms=30012",
	  "worker 3 gave no sign of life for 30012 ms, and is killed" },
	{ "worker_hangs", "worker=\"cut", "worker cut gave no sign of life for"
	  " ? ms, and is killed" },
	{ "worker_hangs", "", "worker ? gave no sign of life for ? ms, and is "
	  "killed" },
	{ "of_a_host", "a=1 b=2", "of a host: a=1 b=2" },
	{ "of_a_host", "\x1b[2J\xff", "of a host: ?[2J?" },
};

START_TEST(events_are_told_in_plain_words)
{
	struct mews_event event = { .ticket = 1 };
	char		  told[512];

	for (size_t i = 0; i < sizeof(stories) / sizeof(stories[0]); i++) {
		strcpy(event.name, stories[i].name);
		strcpy(event.text, stories[i].text);
		ck_assert_str_eq(story_tell(told, sizeof(told), &event),
		    stories[i].told);
	}
}
END_TEST

static Suite *
history_suite(void)
{
	Suite *suite = suite_create("history");
	TCase *tcase = unit_case(suite, "history");

	tcase_add_test(tcase, moments_that_nobody_sampled_are_shown_as_missing);
	tcase_add_test(tcase, moments_older_than_the_ring_are_gone);
	tcase_add_test(tcase, the_history_is_shared_by_all_processes);
	tcase_add_test(tcase, a_new_name_takes_the_place_of_the_oldest);
	tcase_add_test(tcase, the_next_master_takes_over_the_history);
	tcase_add_loop_test(tcase,
	    a_past_that_is_damaged_is_taken_as_far_as_it_goes, 0, 4);
	tcase_add_test(tcase, events_are_told_in_plain_words);
	return suite;
}

UNIT_MAIN(history_suite)
