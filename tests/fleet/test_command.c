/*
 * test_command.c - the output of the mews command, and its exit status.
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

/* Parse @text as JSON with Python, and run @script on it, as d. */
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
	{ "explain", "a", NULL },
	{ "explain", "a", "b", "-cx", NULL },
	{ "explain", "-cx", "--json", NULL },
	{ "enable", "a", "-cx", "--json", NULL },
	{ "--unknown", NULL },
};

START_TEST(wrong_usage_is_one_line_and_status_2)
{
	const char *const *a = wrong_usages[_i];
	struct said	   said;

	mews(&said, a[0], a[1], a[2], a[3], a[4], NULL);
	ck_assert_int_eq(said.status, 2);
	ck_assert_int_eq(fleet_count_lines(said.err), 1);
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
	ck_assert_int_eq(fleet_count_lines(said.out), 1);
}
END_TEST

static void
assert_json(const char *text)
{
	ck_assert_int_eq(python(text,
	    "assert list(d) == [\"instance\", \"master\", \"monitor\", "
	    "\"endpoints\", \"workers\", \"damaged_s\"], d\n"
	    "assert d[\"damaged_s\"] is None\n"
	    "assert d[\"instance\"] == \"test\"\n"
	    "assert list(d[\"master\"]) == [\"pid\", \"uptime_s\", "
	    "\"generation\"]\n"
	    "e, = d[\"endpoints\"]\n"
	    "assert list(e) == [\"name\", \"state\", \"role\", \"epoch\", "
	    "\"failures\", \"retry_in_ms\", \"reason\", \"connections\", "
	    "\"max_connections\", \"limit\", \"queued\", \"rtt_us\", "
	    "\"timeline\", \"admin\", \"outdated\", \"lag_ms\", \"lag_bytes\", "
	    "\"changed_s\", \"changed_by\", \"rejected_s\", "
	    "\"rejected\"]\n"
	    "assert list(d[\"monitor\"]) == [\"pid\", "
	    "\"heartbeat_age_ms\"]\n"
	    "assert d[\"monitor\"][\"pid\"] > 0\n"
	    "assert e[\"lag_ms\"] is None and e[\"outdated\"] is False\n"
	    "assert e[\"name\"] == \"a\" and e[\"state\"].islower()\n"
	    "assert len(d[\"workers\"]) == 2\n"
	    "for w in d[\"workers\"]:\n"
	    " assert list(w) == [\"slot\", \"pid\", \"state\", \"uptime_s\", "
	    "\"requests\", \"queries\", \"errors\", \"waiting\", "
	    "\"in_flight\", \"connections\", \"heartbeat_age_ms\", "
	    "\"attached\"]\n"
	    " assert w[\"attached\"] is None\n"
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
	fleet_ignore_leaks();
	fleet_start(fleet);
	ck_assert_int_eq(fleet_end(fleet, SIGKILL), -SIGKILL);
	mews(&said, "status", "-c", fleet->config, NULL);
	ck_assert_int_eq(said.status, 1);
	ck_assert_ptr_nonnull(strstr(said.out, "DEAD"));
	ck_assert_ptr_nonnull(strstr(said.err, "dead"));
	ck_assert_int_eq(fleet_count_lines(said.err), 1);
}
END_TEST

/* `mews status --runtime-dir DIR [--instance NAME]` reports in one line with
 * these words, and with status 1, a fleet that does not exist or cannot be
 * used. */
static void
assert_no_status(const char *dir, const char *instance, const char *word)
{
	struct said said;

	mews(&said, "status", "--runtime-dir", dir,
	    instance != NULL ? "--instance" : NULL, instance, NULL);
	ck_assert_int_eq(said.status, 1);
	ck_assert_str_eq(said.out, "");
	ck_assert_int_eq(fleet_count_lines(said.err), 1);
	ck_assert_msg(strstr(said.err, word) != NULL, "no \"%s\" in: %s",
	    word, said.err);
}

START_TEST(status_without_a_fleet_is_one_clear_line)
{
	char from[400], to[400];

	fleet_init(fleet, "");
	assert_no_status("/nonexistent", NULL, "no fleet runs: runtime_dir "
	    "/nonexistent: ");
	assert_no_status(fleet->dir, NULL, "no fleet runs: ");
	assert_no_status(fleet->dir, "b", "instance b does not run: ");
	fleet_write_file(fleet->dir, "b.segment", "not one", 0600);
	assert_no_status(fleet->dir, NULL, "not a segment");
	fleet_write_file(fleet->dir, "c.segment", "", 0600);
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

/* Does status show it, for people and for programs? */
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
	ck_assert_int_eq(fleet_count_lines(said.err), 1);
	ck_assert_msg(strstr(said.err, word) != NULL, "no \"%s\" in: %s",
	    word, said.err);
}

START_TEST(drain_of_what_is_not_there_is_one_clear_line)
{
	fleet_init(fleet, "");
	fleet_ignore_leaks();
	assert_not_drained("a", "instance test");
	fleet_start(fleet);
	assert_not_drained("b", "no endpoint of that name: b; there are a");
	assert_not_drained("", "no endpoint of that name");
	ck_assert_int_eq(fleet_end(fleet, SIGKILL), -SIGKILL);
	assert_not_drained("a", "dead");
}
END_TEST

/* Run `mews explain [ENDPOINT]` until it says these words. */
static void
wait_for_words(struct said *said, const char *endpoint, const char *words)
{
	int64_t deadline = fleet_now() + 45000;

	do {
		ck_assert_msg(fleet_now() < deadline, "no \"%s\" in: %s",
		    words, said->out);
		mews(said, "explain", "-c", fleet->config, endpoint, NULL);
		ck_assert_int_eq(said->status, 0);
		ck_assert_str_eq(said->err, "");
	} while (strstr(said->out, words) == NULL);
}

START_TEST(explain_says_why_in_sentences)
{
	struct said said = { 0 };
	char	   *line, *rest;

	fleet_init(fleet, "endpoint \"b\" { conninfo = \"host=127.0.0.1 "
	    "port=1\" }\n");
	fleet_start(fleet);
	wait_for_words(&said, "a", "endpoint a is down; its role is not "
	    "known.");
	ck_assert_ptr_nonnull(strstr(said.out, "nobody took the connection, "
	    "or could be reached (refused)"));
	ck_assert_ptr_nonnull(strstr(said.out, "It is up again after 1 good "
	    "probe, "));
	ck_assert_ptr_null(strstr(said.out, "endpoint b"));
	wait_for_words(&said, "a", "the monitor (pid ");
	mews(&said, "drain", "a", "-c", fleet->config, NULL);
	wait_for_words(&said, "a", "until mews enable a");
	wait_for_words(&said, NULL, "endpoint b is down");
	ck_assert_ptr_nonnull(strstr(said.out, "endpoint a is down"));
	for (line = strtok_r(said.out, "\n", &rest); line != NULL;
	    line = strtok_r(NULL, "\n", &rest))
		ck_assert_int_eq(line[strlen(line) - 1], '.');
	ck_assert_int_eq(fleet_end(fleet, SIGTERM), 0);
}
END_TEST

static void
assert_unexplained(const char *endpoint, const char *word)
{
	struct said said;

	mews(&said, "explain", "-c", fleet->config, endpoint, NULL);
	ck_assert_int_eq(said.status, 1);
	ck_assert_str_eq(said.out, "");
	ck_assert_int_eq(fleet_count_lines(said.err), 1);
	ck_assert_msg(strstr(said.err, word) != NULL, "no \"%s\" in: %s",
	    word, said.err);
}

START_TEST(explain_of_what_is_not_there_is_one_clear_line)
{
	struct said said;

	fleet_init(fleet, "");
	fleet_ignore_leaks();
	assert_unexplained("a", "instance test does not run");
	assert_unexplained(NULL, "instance test does not run");
	fleet_start(fleet);
	assert_unexplained("b", "no endpoint of that name: b; there are a");
	ck_assert_int_eq(fleet_end(fleet, SIGKILL), -SIGKILL);
	mews(&said, "explain", "--runtime-dir", fleet->runtime, NULL);
	ck_assert_int_eq(said.status, 1);
	ck_assert_ptr_nonnull(strstr(said.out, "endpoint a is "));
	ck_assert_ptr_nonnull(strstr(said.err, "dead"));
}
END_TEST

/* --- commands about a fleet that runs --- */
static const char *const fleet_commands[][3] = {
	{ "status", NULL }, { "explain", NULL }, { "drain", "a", NULL },
	{ "enable", "a", NULL },
};

START_TEST(a_fleet_is_found_without_loading_its_application)
{
	const char *const *command = fleet_commands[_i];
	struct said	   said;

	setenv("MEWS_TEST_APP", "/nonexistent/app.so", 1);
	fleet_init(fleet, "");
	mews(&said, command[0], "-c", fleet->config, command[1], NULL);
	ck_assert_int_eq(said.status, 1);
	ck_assert_ptr_null(strstr(said.err, "app.so"));
	ck_assert_ptr_nonnull(strstr(said.err, "does not run"));
	ck_assert_int_eq(fleet_count_lines(said.err), 1);
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

	tcase = unit_case(suite, "status");
	tcase_set_timeout(tcase, 180);
	tcase_add_unchecked_fixture(tcase, fleet_make_base,
	    fleet_remove_base);
	tcase_add_test(tcase, status_shows_a_fleet_to_people_and_programs);
	tcase_add_test(tcase, status_works_while_everybody_hangs);
	tcase_add_test(tcase, status_shows_what_a_dead_master_left_and_says_so);
	tcase_add_test(tcase, status_without_a_fleet_is_one_clear_line);
	tcase_add_test(tcase, drain_and_enable_say_so_and_are_shown);
	tcase_add_test(tcase, drain_of_what_is_not_there_is_one_clear_line);
	tcase_add_loop_test(tcase,
	    a_fleet_is_found_without_loading_its_application, 0,
	    (int)(sizeof(fleet_commands) / sizeof(fleet_commands[0])));
	tcase_add_test(tcase, explain_says_why_in_sentences);
	tcase_add_test(tcase, explain_of_what_is_not_there_is_one_clear_line);
	return suite;
}

UNIT_MAIN(command_suite)
