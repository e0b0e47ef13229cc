/*
 * test_status.c - texts that come from outside are made one line at once.
 */
#include "inside_fleet.h"

#include "base/status.h"

#include <string.h>

static const struct {
	const char *text, *line;
} folds[] = {
	{ "", "" }, { "\n", "" }, { "one line", "one line" },
	{ "ERROR:  two\nlines\n", "ERROR:  two lines" },
	{ "\r\n a\t\n  b \n\n", "a b" }, { "a \x1b[1m\x7f", "a [1m" },
	{ "a\xc3\xa4\n\xc3\xa4", "a\xc3\xa4 \xc3\xa4" },
};

START_TEST(a_text_becomes_one_line)
{
	char			text[40];
	struct mews_error	error;

	strcpy(text, folds[_i].text);
	status_fold(text);
	ck_assert_str_eq(text, folds[_i].line);
	status_set(&error, MEWS_SYSTEM, "%s", folds[_i].text);
	ck_assert_str_eq(error.message, folds[_i].line);
}
END_TEST

static void
on_log(void *arg, enum mews_log_level level, const char *event,
    const char *text)
{
	(void)level;
	ck_assert_str_eq(event, "event");
	ck_assert_str_eq(text, arg);
}

START_TEST(an_event_is_one_line)
{
	struct mews_fleet fleet = {
		.log = on_log, .log_arg = (void *)(uintptr_t)folds[_i].line,
	};

	fleet_log(&fleet, MEWS_LOG_INFO, "event", "%s", folds[_i].text);
}
END_TEST

static Suite *
status_suite(void)
{
	Suite	*suite = suite_create("status");
	TCase	*tcase = unit_case(suite, "lines");

	tcase_add_loop_test(tcase, a_text_becomes_one_line, 0, COUNT(folds));
	tcase_add_loop_test(tcase, an_event_is_one_line, 0, COUNT(folds));
	return suite;
}

UNIT_MAIN(status_suite)
