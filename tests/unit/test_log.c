/*
 * test_log.c - what one call of log_write() leaves on stderr, byte for byte.
 */
#include "unit.h"

#include "log.h"

#include <errno.h>
#include <fcntl.h>
#include <pty.h>
#include <regex.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

static const struct log master = {
	CONFIG_LOG_STDERR, MEWS_LOG_INFO, "master", -1
};
static const struct log worker = {
	CONFIG_LOG_STDERR, MEWS_LOG_DEBUG, "worker", 3
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

/* The text of the next write, "" if there is none. */
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
	log_write(&master, MEWS_LOG_INFO, "start", "workers=%d", 2);
	log_write(&worker, MEWS_LOG_ERROR, "end", "status=%s", "x");
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
	log_write(&master, MEWS_LOG_DEBUG, "quiet", "a=%d", 1);
	ck_assert_str_eq(written(), "");
	log_write(&worker, MEWS_LOG_DEBUG, "loud", "a=%d", 1);
	assert_matches(written(), "^level=debug .*event=loud a=1\n$");
	log_write(&master, MEWS_LOG_WARNING, "loud", "a=%d", 1);
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
	log_write(&master, MEWS_LOG_INFO, "start", "a=%d", 1);
	assert_matches(written(), "process=master event=start a=1\n$");
	/* JOURNAL_STREAM was inherited, but stderr was redirected since. */
	setenv("JOURNAL_STREAM", "1:1", 1);
	log_write(&master, MEWS_LOG_INFO, "start", "a=%d", 1);
	assert_matches(written(), "process=master ts=");
}
END_TEST

START_TEST(a_library_event_is_a_line)
{
	struct log	log = worker;

	log_sink(&log, MEWS_LOG_WARNING, "endpoint_state",
	    "endpoint=a to=down");
	assert_matches(written(), "event=endpoint_state endpoint=a to=down\n");
	log_sink(&log, MEWS_LOG_WARNING, "nothing", "");
	assert_matches(written(), "event=nothing\n$");
}
END_TEST

START_TEST(a_line_stays_one_line)
{
	log_write(&master, MEWS_LOG_INFO, "x", "a=%s", "1\nlevel=error\tb");
	assert_matches(written(), "event=x a=1 level=error b\n$");
	ck_assert_str_eq(written(), "");
}
END_TEST

/* A long line that is cut anywhere has whole characters and closed quotes, and
 * says that it was cut. */
START_TEST(long_lines_are_cut)
{
	char	value[6001], quoted[7000];
	size_t	length;

	for (size_t i = 0; i < sizeof(value) - 1; i++)
		value[i] = "\xe2\x82\xac"[i % 3];	/* the euro sign */
	value[sizeof(value) - 1] = '\0';
	if (_i % 2 == 1)
		memset(value, '"', sizeof(value) - 1);
	log_write(&master, MEWS_LOG_INFO, "x", "%.*s a=%s b=c", _i,
	    "0123456789", logfmt_value(quoted, sizeof(quoted), value));
	length = strlen(written());
	ck_assert_uint_gt(length, 1900);
	ck_assert_uint_lt(length, 4096);
	assert_matches(text, _i % 2 == 1 ?
	    "a=\"(\\\\\")+ ?\" truncated=true\n$" :
	    "a=(\xe2\x82\xac)+ truncated=true\n$");
	ck_assert_str_eq(written(), "");
}
END_TEST

/* Write lines until one is dropped: short ones, so that no other finds room
 * behind them. */
static void
fill(struct log *log)
{
	while (atomic_load(log->output->dropped) == 0) {
		errno = ENOENT;
		log_write(log, MEWS_LOG_INFO, "x", "%s", "");
		ck_assert_int_eq(errno, ENOENT);
	}
}

/* Read all that there is; the last line stays in text. */
static void
drain(int fd)
{
	static char	all[1 << 20];
	size_t		used = 0;
	ssize_t		length;

	ck_assert_int_eq(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
	while ((length = read(fd, all + used, sizeof(all) - 1 - used)) > 0)
		used += (size_t)length;
	all[used] = '\0';
	strcpy(text, used < sizeof(text) ? all : all + used -
	    sizeof(text) + 1);
}

/* A write to a stderr that nobody reads does not wait, and dropped lines are
 * counted before the next line. */
static void
assert_no_wait(struct log *log, int other)
{
	fill(log);
	log_write(log, MEWS_LOG_INFO, "x", "%s", "dropped");
	log_tell_dropped(log);
	ck_assert_uint_eq(atomic_load(log->output->dropped), 2);
	drain(other);
	log_tell_dropped(log);
	ck_assert_uint_eq(atomic_load(log->output->dropped), 0);
	log_write(log, MEWS_LOG_INFO, "x", "%s", "flows");
	drain(other);
	assert_matches(text, "event=log_dropped lines=2 [^\n]*\n"
	    "[^\n]*event=x flows(\n|$)");
}

enum { PIPE, TERMINAL, STREAM, DATAGRAM, FOREIGN, PLACES };

START_TEST(a_log_without_a_reader_makes_nobody_wait)
{
	struct output	output;
	struct log	log = master;
	int		ends[2], flags;
	struct termios	raw;

	if (_i == PIPE || _i == FOREIGN)
		ck_assert_int_eq(pipe(ends), 0);
	else if (_i == TERMINAL) {
		ck_assert_int_eq(openpty(&ends[0], &ends[1], NULL, NULL,
		    NULL), 0);
		tcgetattr(ends[1], &raw);
		cfmakeraw(&raw);
		tcsetattr(ends[1], TCSANOW, &raw);
	} else
		ck_assert_int_eq(socketpair(AF_UNIX,
		    _i == STREAM ? SOCK_STREAM : SOCK_DGRAM, 0, ends), 0);
	dup2(ends[1], STDERR_FILENO);
	flags = fcntl(STDERR_FILENO, F_GETFL);
	log_open(&log, &output);
	if (_i == FOREIGN) {
		output_close(&output);
		output = (struct output) { .kind = OUTPUT_FOREIGN,
			.fd = STDERR_FILENO, .dropped = output.uncounted,
			.lost = output.uncounted + 1 };
	}
	assert_no_wait(&log, ends[0]);
	/* The flags of a descriptor that the shell shares are unchanged. */
	ck_assert_int_eq(fcntl(STDERR_FILENO, F_GETFL), flags);
	output_close(&output);
}
END_TEST

START_TEST(lines_that_an_ended_process_dropped_are_counted)
{
	struct output	output;
	struct log	log = master;
	int		ends[2], status;
	pid_t		child;

	ck_assert_int_eq(pipe(ends), 0);
	dup2(ends[1], STDERR_FILENO);
	log_open(&log, &output);
	if ((child = fork()) == 0) {
		fill(&log);
		log_write(&log, MEWS_LOG_INFO, "x", "%s", "dropped");
		_exit(0);
	}
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	drain(ends[0]);
	log_tell_dropped(&log);
	drain(ends[0]);
	assert_matches(text, "event=log_dropped lines=2 ");
	output_close(&output);
}
END_TEST

/* A socket of a syslog daemon. */
static int
listen_syslog(const char *path)
{
	struct sockaddr_un	at = { .sun_family = AF_UNIX };
	int			fd = socket(AF_UNIX, SOCK_DGRAM, 0);

	strcpy(at.sun_path, path);
	unlink(path);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	return fd;
}

START_TEST(a_log_to_a_busy_syslog_makes_nobody_wait)
{
	char		directory[] = "/tmp/mews-log.XXXXXX", path[64];
	struct output	output;
	struct log	log = master;
	int		daemon;

	ck_assert_ptr_nonnull(mkdtemp(directory));
	snprintf(path, sizeof(path), "%s/log", directory);
	daemon = listen_syslog(path);
	log.where = CONFIG_LOG_SYSLOG;
	log_open(&log, &output);
	output_close(&output);
	output_open_syslog(&output, path);
	log_write(&log, MEWS_LOG_ERROR, "first", "%s", "");
	drain(daemon);
	assert_matches(text, "^<27>[A-Z][a-z]{2} [ 0-9]{2} [0-9:]{8} "
	    "mews\\[[0-9]+\\]: level=error pid=[0-9]+ process=master "
	    "event=first$");
	fill(&log);
	/* A new daemon in the place of the one that hung. */
	close(daemon);
	daemon = listen_syslog(path);
	log_tell_dropped(&log);
	drain(daemon);
	assert_matches(text, "event=log_dropped lines=1 ");
	close(daemon);
	unlink(path);
	rmdir(directory);
	output_close(&output);
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
	/* Control characters beyond ASCII, and bytes that are no UTF-8. */
	{ "\xc2\x9b" "31m", "\"\\u00c2\\u009b31m\"", 64 },
	{ "\xc2\xa0", "\xc2\xa0", 64 },
	{ "\x9b", "\"\\u009b\"", 64 },
	{ "a\xe2\x82", "\"a\\u00e2\\u0082\"", 64 },
	{ "\xe2\x82\xac", "\xe2\x82\xac", 64 },
	{ "\xed\xa0\x80", "\"\\u00ed\\u00a0\\u0080\"", 64 },
	{ "\xc0\xaf", "\"\\u00c0\\u00af\"", 64 },
	{ "\xf0\x9f\x90\xa6", "\xf0\x9f\x90\xa6", 64 },
	{ "\xf4\x90\x80\x80", "\"\\u00f4\\u0090\\u0080\\u0080\"", 64 },
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

START_TEST(logfmt_values_are_quoted_where_needed)
{
	/* The copy is exactly as long as the text, so that a sanitizer sees one
	 * byte too many. */
	char		*buffer = malloc(quotes[_i].room);
	const char	*value = logfmt_value(buffer, quotes[_i].room,
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
	tcase_add_loop_test(tcase, a_log_without_a_reader_makes_nobody_wait, 0,
	    PLACES);
	tcase_add_test(tcase, lines_that_an_ended_process_dropped_are_counted);
	tcase_add_test(tcase, a_log_to_a_busy_syslog_makes_nobody_wait);

	tcase = unit_case(suite, "quotes");
	tcase_add_loop_test(tcase, logfmt_values_are_quoted_where_needed, 0,
	    (int)(sizeof(quotes) / sizeof(quotes[0])));
	return suite;
}

UNIT_MAIN(log_suite)
