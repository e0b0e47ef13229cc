/*
 * test_log.c - lines of the log.
 *
 * What one call of log_write() leaves on stderr, byte for byte.
 */
#include "unit.h"

#include "log.h"

#include <errno.h>
#include <fcntl.h>
#include <regex.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const struct log master = {
	CONFIG_LOG_STDERR, MEWS_INFO, "master", -1
};
static const struct log worker = {
	CONFIG_LOG_STDERR, MEWS_DEBUG, "worker", 3
};

static int out[2];
static char text[8192];

/* stderr is a pipe, each write of which is read by one read. */
static void
catch_stderr(void)
{
	unsetenv("JOURNAL_STREAM");
	ck_assert_int_eq(pipe2(out, O_NONBLOCK | O_DIRECT), 0);
	ck_assert_int_eq(dup2(out[1], STDERR_FILENO), STDERR_FILENO);
}

/* What the next write wrote, "" if there is none. */
static const char *
written(void)
{
	ssize_t	length = read(out[0], text, sizeof(text) - 1);

	text[length < 0 ? 0 : length] = '\0';
	return text;
}

static void
assert_matches(const char *line, const char *pattern)
{
	regex_t	compiled;

	ck_assert_int_eq(regcomp(&compiled, pattern, REG_EXTENDED), 0);
	ck_assert_msg(regexec(&compiled, line, 0, NULL, 0) == 0,
	    "%s does not match %s", line, pattern);
	regfree(&compiled);
}

START_TEST(a_line_is_one_write_of_logfmt)
{
	log_write(&master, MEWS_INFO, "start", "workers=%d", 2);
	log_write(&worker, MEWS_ERROR, "end", "status=%s", "x");
	assert_matches(written(), "^level=info pid=[0-9]+ process=master "
	    "ts=2[0-9]{3}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:"
	    "[0-6][0-9]\\.[0-9]{3}Z event=start workers=2\n$");
	assert_matches(written(), "^level=error pid=[0-9]+ process=worker "
	    "worker=3 ts=[^ ]+ event=end status=x\n$");
	ck_assert_str_eq(written(), "");
}
END_TEST

START_TEST(nothing_below_the_level_is_written)
{
	log_write(&master, MEWS_DEBUG, "quiet", "a=%d", 1);
	ck_assert_str_eq(written(), "");
	log_write(&worker, MEWS_DEBUG, "loud", "a=%d", 1);
	assert_matches(written(), "^level=debug .*event=loud a=1\n$");
	log_write(&master, MEWS_WARNING, "loud", "a=%d", 1);
	assert_matches(written(), "^level=warning ");
}
END_TEST

START_TEST(the_journal_adds_the_time_itself)
{
	struct stat	status;
	char		stream[64];

	ck_assert_int_eq(fstat(STDERR_FILENO, &status), 0);
	snprintf(stream, sizeof(stream), "%llu:%llu",
	    (unsigned long long)status.st_dev,
	    (unsigned long long)status.st_ino);
	setenv("JOURNAL_STREAM", stream, 1);
	log_write(&master, MEWS_INFO, "start", "a=%d", 1);
	assert_matches(written(), "process=master event=start a=1\n$");
	/* Inherited, but stderr was sent elsewhere since. */
	setenv("JOURNAL_STREAM", "1:1", 1);
	log_write(&master, MEWS_INFO, "start", "a=%d", 1);
	assert_matches(written(), "process=master ts=");
}
END_TEST

START_TEST(a_library_event_is_a_line)
{
	struct log	log = worker;

	log_sink(&log, MEWS_WARNING, "endpoint_state", "endpoint=a to=down");
	assert_matches(written(), "event=endpoint_state endpoint=a to=down\n");
	log_sink(&log, MEWS_WARNING, "nothing", "");
	assert_matches(written(), "event=nothing\n$");
}
END_TEST

START_TEST(a_line_stays_one_line)
{
	log_write(&master, MEWS_INFO, "x", "a=%s", "1\nlevel=error\tb");
	assert_matches(written(), "event=x a=1 level=error b\n$");
	ck_assert_str_eq(written(), "");
}
END_TEST

/* Wherever it is cut: whole characters, quotes closed, said so. */
START_TEST(long_lines_are_cut)
{
	char	value[6000], quoted[7000];
	size_t	length;

	for (size_t i = 0; i < sizeof(value) - 1; i++)
		value[i] = "\xe2\x82\xac"[i % 3];	/* the euro sign */
	value[sizeof(value) - 1] = '\0';
	if (_i % 2 == 1)
		memset(value, '"', sizeof(value) - 1);
	log_write(&master, MEWS_INFO, "x", "%.*s a=%s b=c", _i, "0123456789",
	    log_quote(quoted, sizeof(quoted), value));
	length = strlen(written());
	ck_assert_uint_gt(length, 1900);
	ck_assert_uint_lt(length, 4096);
	assert_matches(text, _i % 2 == 1 ?
	    "a=\"(\\\\\")+ ?\" truncated=true\n$" :
	    "a=(\xe2\x82\xac)+ truncated=true\n$");
	ck_assert_str_eq(written(), "");
}
END_TEST

START_TEST(errno_survives)
{
	char	pad[70000];
	int	tries = 100;

	/* Also when the pipe is full. */
	memset(pad, 'x', sizeof(pad));
	while (tries-- > 0) {
		errno = ENOENT;
		log_write(&master, MEWS_INFO, "x", "%.2000s", pad);
		ck_assert_int_eq(errno, ENOENT);
	}
}
END_TEST

static const struct {
	const char *text, *quoted;
	size_t room;
} quotes[] = {
	{ "plain", "plain", 64 },
	{ "a/b:c-d_e.f,{}'", "a/b:c-d_e.f,{}'", 64 },
	{ "gr\xc3\xbc\xc3\x9f", "gr\xc3\xbc\xc3\x9f", 64 },
	{ "", "\"\"", 64 },
	{ "a b", "\"a b\"", 64 },
	{ "a=b", "\"a=b\"", 64 },
	{ "a\"b", "\"a\\\"b\"", 64 },
	{ "a\\b", "\"a\\\\b\"", 64 },
	{ "a\nb\tc\rd", "\"a\\nb\\tc\\rd\"", 64 },
	{ "a\x01\x7f", "\"a\\u0001\\u007f\"", 64 },
	{ "plain", "plain", 6 },
	{ "plain", "\"pl\"", 5 },
	{ "a b c", "\"a b\"", 6 },
	{ "a\"b", "\"a\"", 5 },
	{ "a\"b", "\"a\\\"\"", 6 },
	{ " \xc3\xbc", "\" \"", 5 },
	{ " \xc3\xbc", "\" \xc3\xbc\"", 6 },
	{ "a b", "\"\"", 3 },
	{ "a b", "", 2 },
	{ "a b", "", 0 },
};

START_TEST(values_are_quoted_where_needed)
{
	/* Exactly as long, so that a sanitizer sees one byte too many. */
	char		*buffer = malloc(quotes[_i].room);
	const char	*value = log_quote(buffer, quotes[_i].room,
			    quotes[_i].text);

	ck_assert_str_eq(value, quotes[_i].quoted);
	free(buffer);
}
END_TEST

static Suite *
log_suite(void)
{
	Suite	*suite = suite_create("log");
	TCase	*tcase = unit_case(suite, "lines");

	tcase_add_checked_fixture(tcase, catch_stderr, NULL);
	tcase_add_test(tcase, a_line_is_one_write_of_logfmt);
	tcase_add_test(tcase, nothing_below_the_level_is_written);
	tcase_add_test(tcase, the_journal_adds_the_time_itself);
	tcase_add_test(tcase, a_library_event_is_a_line);
	tcase_add_test(tcase, a_line_stays_one_line);
	tcase_add_loop_test(tcase, long_lines_are_cut, 0, 8);
	tcase_add_test(tcase, errno_survives);

	tcase = unit_case(suite, "quotes");
	tcase_add_loop_test(tcase, values_are_quoted_where_needed, 0,
	    (int)(sizeof(quotes) / sizeof(quotes[0])));
	return suite;
}

UNIT_MAIN(log_suite)
