/*
 * test_command.c - what the mews command says, and the status it ends with.
 */
#include "fleet.h"
#include "unit.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

static struct fleet	   the_fleet;
static struct fleet *const fleet = &the_fleet;

static int
count_lines(const char *text)
{
	int count = 0;

	for (; *text != '\0'; text++)
		count += *text == '\n';
	return count;
}

/* Read JSON from @text with a real parser and run @script on it, as d. */
static int
python(const char *text, const char *script)
{
	char program[4096];
	FILE *pipe;

	snprintf(program, sizeof(program),
	    "python3 -c 'import json, sys\nd = json.load(sys.stdin)\n%s'",
	    script);
	pipe = popen(program, "we");
	ck_assert_ptr_nonnull(pipe);
	fputs(text, pipe);
	return pclose(pipe);
}

static const char *const wrong_usages[][5] = {
	{ NULL },
	{ "fly", NULL },
	{ "run", NULL },
	{ "run", "-c", NULL },
	{ "run", "--json", "-c", "x", NULL },
	{ "run", "-c", "x", "y", NULL },
	{ "check", "--instance=x", NULL },
	{ "status", NULL },
	{ "status", "--instance", "x", NULL },
	{ "status", "-cx", "--runtime-dir", "y", NULL },
	{ "drain", NULL },
	{ "drain", "-c", "x", NULL },
	{ "drain", "a", "b", "-cx", NULL },
	{ "enable", "a", NULL },
	{ "enable", "a", "-cx", "--json", NULL },
	{ "--unknown", NULL },
};

START_TEST(wrong_usage_is_one_line_and_status_2)
{
	const char *const *a = wrong_usages[_i];
	struct said	   said;

	mews(&said, a[0], a[1], a[2], a[3], a[4], NULL);
	ck_assert_int_eq(said.status, 2);
	ck_assert_int_eq(count_lines(said.err), 1);
	ck_assert_str_eq(said.out, "");
}
END_TEST

START_TEST(help_and_version_go_to_standard_output)
{
	struct said said;

	mews(&said, "--help", NULL);
	ck_assert_int_eq(said.status, 0);
	ck_assert_ptr_nonnull(strstr(said.out, "mews status"));
	ck_assert_str_eq(said.err, "");
	mews(&said, "--version", NULL);
	ck_assert_int_eq(said.status, 0);
	ck_assert_ptr_eq(strstr(said.out, "mews "), said.out);
	ck_assert_int_eq(count_lines(said.out), 1);
}
END_TEST

START_TEST(check_says_ok_and_does_nothing)
{
	struct said said;
	char	    expected[320];

	fleet_init(fleet, "");
	mews(&said, "check", "-c", fleet->config, NULL);
	snprintf(expected, sizeof(expected), "%s: ok\n", fleet->config);
	ck_assert_str_eq(said.out, expected);
	ck_assert_str_eq(said.err, "");
	ck_assert_int_eq(said.status, 0);
	ck_assert_int_ne(access(fleet->runtime, F_OK), 0);
}
END_TEST

START_TEST(mistakes_are_all_reported_before_anything_is_forked)
{
	struct said said;
	char	    where[320];

	fleet_init(fleet, "colour = \"red\"\nworker_timeout = 5parsec\n");
	mews(&said, _i == 0 ? "check" : "run", "-c", fleet->config, NULL);
	ck_assert_int_eq(said.status, 1);
	snprintf(where, sizeof(where), "%s:9: ", fleet->config);
	ck_assert_ptr_nonnull(strstr(said.err, where));
	snprintf(where, sizeof(where), "%s:10: ", fleet->config);
	ck_assert_ptr_nonnull(strstr(said.err, where));
	ck_assert_int_ne(access(fleet->runtime, F_OK), 0);
}
END_TEST

START_TEST(an_application_that_cannot_be_loaded_is_a_mistake_in_its_line)
{
	struct said said;
	char	    where[320];

	setenv("MEWS_TEST_APP", "/dev/null", 1);
	fleet_init(fleet, "");
	mews(&said, _i == 0 ? "check" : "run", "-c", fleet->config, NULL);
	ck_assert_int_eq(said.status, 1);
	snprintf(where, sizeof(where), "%s:2: ", fleet->config);
	ck_assert_ptr_eq(strstr(said.err, where), said.err);
	ck_assert_ptr_nonnull(strstr(said.err, "/dev/null"));
	ck_assert_int_eq(count_lines(said.err), 1);
	ck_assert_int_ne(access(fleet->runtime, F_OK), 0);
}
END_TEST

static void
assert_json(const char *text)
{
	ck_assert_int_eq(python(text,
	    "assert list(d) == [\"instance\", \"master\", \"monitor\", "
	    "\"endpoints\", \"workers\"], d\n"
	    "assert d[\"instance\"] == \"test\"\n"
	    "assert list(d[\"master\"]) == [\"pid\", \"uptime_s\", "
	    "\"generation\"]\n"
	    "e, = d[\"endpoints\"]\n"
	    "assert list(e) == [\"name\", \"state\", \"role\", \"epoch\", "
	    "\"failures\", \"retry_in_ms\", \"reason\", \"connections\", "
	    "\"max_connections\", \"limit\", \"rtt_us\", \"timeline\", "
	    "\"admin\", \"outdated\", \"lag_ms\", \"lag_bytes\", "
	    "\"changed_s\", \"changed_by\"]\n"
	    "assert list(d[\"monitor\"]) == [\"pid\"]\n"
	    "assert d[\"monitor\"][\"pid\"] > 0\n"
	    "assert e[\"lag_ms\"] is None and e[\"outdated\"] is False\n"
	    "assert e[\"name\"] == \"a\" and e[\"state\"].islower()\n"
	    "assert len(d[\"workers\"]) == 2\n"
	    "for w in d[\"workers\"]:\n"
	    " assert list(w) == [\"slot\", \"pid\", \"state\", \"uptime_s\", "
	    "\"requests\", \"queries\", \"errors\", \"waiting\", "
	    "\"in_flight\", \"connections\", \"heartbeat_age_ms\"]\n"
	    " assert w[\"state\"] == \"ready\"\n"
	    " assert list(w[\"connections\"]) == [\"a\"]\n"), 0);
}

START_TEST(status_shows_a_fleet_to_people_and_programs)
{
	struct said said;
	char	    pid[32], *line, *rest;

	fleet_init(fleet, "");
	fleet_start(fleet);
	mews(&said, "status", "-c", fleet->config, NULL);
	ck_assert_int_eq(said.status, 0);
	ck_assert_str_eq(said.err, "");
	snprintf(pid, sizeof(pid), "master %jd,", (intmax_t)fleet->master);
	ck_assert_ptr_nonnull(strstr(said.out, pid));
	ck_assert_ptr_nonnull(strstr(said.out, "2 workers, 2 ready"));
	for (line = strtok_r(said.out, "\n", &rest); line != NULL;
	    line = strtok_r(NULL, "\n", &rest))
		ck_assert_uint_le(strlen(line), 110);

	mews(&said, "status", "-c", fleet->config, "--json", NULL);
	ck_assert_int_eq(said.status, 0);
	assert_json(said.out);
	mews(&said, "status", "--runtime-dir", fleet->runtime, "--json",
	    NULL);
	ck_assert_int_eq(said.status, 0);
	assert_json(said.out);
	mews(&said, "status", "--runtime-dir", fleet->runtime, "--instance",
	    "test", "--json", NULL);
	ck_assert_int_eq(said.status, 0);
	assert_json(said.out);
	ck_assert_int_eq(fleet_end(fleet, SIGTERM), 0);
}
END_TEST

START_TEST(status_works_while_everybody_hangs)
{
	pid_t	    workers[FLEET_WORKERS_MAX];
	struct said said;

	fleet_init(fleet, "");
	fleet_start(fleet);
	ck_assert_int_eq(fleet_workers(fleet, workers), 2);
	fleet_signal(fleet, SIGSTOP);
	kill(workers[0], SIGSTOP);
	kill(workers[1], SIGSTOP);
	mews(&said, "status", "-c", fleet->config, "--json", NULL);
	ck_assert_int_eq(said.status, 0);
	assert_json(said.out);
	fleet_signal(fleet, SIGCONT);
	kill(workers[0], SIGCONT);
	kill(workers[1], SIGCONT);
	ck_assert_int_eq(fleet_end(fleet, SIGTERM), 0);
}
END_TEST

START_TEST(status_shows_what_a_dead_master_left_and_says_so)
{
	struct said said;

	fleet_init(fleet, "");
	fleet_start(fleet);
	ck_assert_int_eq(fleet_end(fleet, SIGKILL), -SIGKILL);
	mews(&said, "status", "-c", fleet->config, NULL);
	ck_assert_int_eq(said.status, 1);
	ck_assert_ptr_nonnull(strstr(said.out, "DEAD"));
	ck_assert_ptr_nonnull(strstr(said.err, "dead"));
	ck_assert_int_eq(count_lines(said.err), 1);
}
END_TEST

static void
write_file(const char *dir, const char *name, const char *text, mode_t mode)
{
	char path[512];
	int  fd;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, mode);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, text, strlen(text)), (int)strlen(text));
	close(fd);
}

/* What `mews status --runtime-dir DIR [--instance NAME]` says of what is not
 * there, or not to be used: one line with these words, and status 1. */
static void
assert_no_status(const char *dir, const char *instance, const char *word)
{
	struct said said;

	mews(&said, "status", "--runtime-dir", dir,
	    instance != NULL ? "--instance" : NULL, instance, NULL);
	ck_assert_int_eq(said.status, 1);
	ck_assert_str_eq(said.out, "");
	ck_assert_int_eq(count_lines(said.err), 1);
	ck_assert_msg(strstr(said.err, word) != NULL, "no \"%s\" in: %s",
	    word, said.err);
}

START_TEST(status_without_a_fleet_is_one_clear_line)
{
	char from[400], to[400];

	fleet_init(fleet, "");
	assert_no_status("/nonexistent", NULL, "/nonexistent");
	assert_no_status(fleet->dir, NULL, fleet->dir);
	assert_no_status(fleet->dir, "b", "instance b");
	write_file(fleet->dir, "b.segment", "not one", 0600);
	assert_no_status(fleet->dir, NULL, "not a segment");
	write_file(fleet->dir, "c.segment", "", 0600);
	assert_no_status(fleet->dir, NULL, "b, c");
	assert_no_status(fleet->dir, "c", "not a segment");

	fleet_start(fleet);
	assert_no_status(fleet->runtime, "b", "instance b");
	snprintf(from, sizeof(from), "%s/test.segment", fleet->runtime);
	snprintf(to, sizeof(to), "%s/d.segment", fleet->dir);
	ck_assert_int_eq(link(from, to), 0);
	assert_no_status(fleet->dir, "d", "\"test\"");
	ck_assert_int_eq(fleet_end(fleet, SIGTERM), 0);
}
END_TEST

/* Is it so in status, for people and for programs? */
static void
assert_admin(const char *word)
{
	struct said said;
	char	    script[100];

	mews(&said, "status", "-c", fleet->config, "--json", NULL);
	snprintf(script, sizeof(script),
	    "assert d[\"endpoints\"][0][\"admin\"] == \"%s\"\n", word);
	ck_assert_int_eq(python(said.out, script), 0);
	mews(&said, "status", "-c", fleet->config, NULL);
	ck_assert_int_eq(strstr(said.out, "is drained") != NULL,
	    strcmp(word, "drained") == 0);
}

START_TEST(drain_and_enable_say_so_and_are_shown)
{
	struct said said;

	fleet_init(fleet, "");
	fleet_start(fleet);
	assert_admin("enabled");
	for (int i = 0; i < 2; i++) {
		mews(&said, "drain", "a", "-c", fleet->config, NULL);
		ck_assert_str_eq(said.out, "endpoint a is drained\n");
		ck_assert_str_eq(said.err, "");
		ck_assert_int_eq(said.status, 0);
		assert_admin("drained");
	}
	mews(&said, "enable", "--runtime-dir", fleet->runtime, "a", NULL);
	ck_assert_str_eq(said.out, "endpoint a is enabled\n");
	ck_assert_int_eq(said.status, 0);
	assert_admin("enabled");
	ck_assert_int_eq(fleet_end(fleet, SIGTERM), 0);
}
END_TEST

static void
assert_not_drained(const char *endpoint, const char *word)
{
	struct said said;

	mews(&said, "drain", endpoint, "-c", fleet->config, NULL);
	ck_assert_int_eq(said.status, 1);
	ck_assert_str_eq(said.out, "");
	ck_assert_int_eq(count_lines(said.err), 1);
	ck_assert_msg(strstr(said.err, word) != NULL, "no \"%s\" in: %s",
	    word, said.err);
}

START_TEST(drain_of_what_is_not_there_is_one_clear_line)
{
	fleet_init(fleet, "");
	assert_not_drained("a", "instance test");
	fleet_start(fleet);
	assert_not_drained("b", "no endpoint of that name: b");
	assert_not_drained("", "no endpoint of that name");
	ck_assert_int_eq(fleet_end(fleet, SIGKILL), -SIGKILL);
	assert_not_drained("a", "dead");
}
END_TEST

static Suite *
command_suite(void)
{
	Suite *suite = suite_create("command");
	TCase *tcase;

	tcase = unit_case(suite, "usage");
	tcase_add_loop_test(tcase, wrong_usage_is_one_line_and_status_2, 0,
	    (int)(sizeof(wrong_usages) / sizeof(wrong_usages[0])));
	tcase_add_test(tcase, help_and_version_go_to_standard_output);

	tcase = unit_case(suite, "check");
	tcase_set_timeout(tcase, 60);
	tcase_add_unchecked_fixture(tcase, fleet_make_base,
	    fleet_remove_base);
	tcase_add_test(tcase, check_says_ok_and_does_nothing);
	tcase_add_loop_test(tcase,
	    mistakes_are_all_reported_before_anything_is_forked, 0, 2);
	tcase_add_loop_test(tcase,
	    an_application_that_cannot_be_loaded_is_a_mistake_in_its_line, 0,
	    2);

	tcase = unit_case(suite, "status");
	tcase_set_timeout(tcase, 60);
	tcase_add_unchecked_fixture(tcase, fleet_make_base,
	    fleet_remove_base);
	tcase_add_test(tcase, status_shows_a_fleet_to_people_and_programs);
	tcase_add_test(tcase, status_works_while_everybody_hangs);
	tcase_add_test(tcase,
	    status_shows_what_a_dead_master_left_and_says_so);
	tcase_add_test(tcase, status_without_a_fleet_is_one_clear_line);
	tcase_add_test(tcase, drain_and_enable_say_so_and_are_shown);
	tcase_add_test(tcase, drain_of_what_is_not_there_is_one_clear_line);
	return suite;
}

UNIT_MAIN(command_suite)
