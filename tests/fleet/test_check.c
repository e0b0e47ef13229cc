/*
 * test_check.c - mews check finds the mistakes that mews run refuses, and
 * reports them in the same words.
 */
#include "fleet.h"
#include "unit.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static struct fleet	   the_fleet;
static struct fleet *const fleet = &the_fleet;

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
	ck_assert_int_eq(fleet_count_lines(said.err), 1);
	ck_assert_int_ne(access(fleet->runtime, F_OK), 0);
}
END_TEST

START_TEST(an_application_that_does_not_come_back_is_a_mistake)
{
	struct said said;

	setenv("MEWS_TEST_LOAD", _i == 0 ? "exit" : "hang", 1);
	fleet_init(fleet, "worker_timeout = 1s\n");
	mews(&said, "check", "-c", fleet->config, NULL);
	ck_assert_int_eq(said.status, 1);
	ck_assert_ptr_nonnull(strstr(said.err, _i == 0 ?
	    ": ended the process with status 0 while it was loaded\n" :
	    ": was not loaded within worker_timeout, 1000 ms\n"));
	ck_assert_int_eq(fleet_count_lines(said.err), 1);
	ck_assert_str_eq(said.out, "");
}
END_TEST

/* Both commands must report the same mistakes. */
START_TEST(check_finds_what_run_would_refuse)
{
	struct said said;
	char	    path[400];
	int	    fd;

	fleet_init(fleet, "");
	fd = fleet_take_port(fleet);
	ck_assert_int_eq(mkdir(fleet->runtime, 0755), 0);
	ck_assert_int_eq(chmod(fleet->runtime, 0777), 0);
	fleet_write_file(fleet->runtime, "http.sock", "a file", 0644);
	mews(&said, "check", "-c", fleet->config, NULL);
	ck_assert_int_eq(said.status, 1);
	ck_assert_int_eq(fleet_count_lines(said.err), 3);
	ck_assert_ptr_nonnull(strstr(said.err, "others may write there"));
	ck_assert_ptr_nonnull(strstr(said.err, "mews.conf:1: cannot listen on "
	    "127.0.0.1:"));
	ck_assert_ptr_nonnull(strstr(said.err, "mews.conf:1: cannot listen on "
	    "unix:"));
	close(fd);
	ck_assert_int_eq(chmod(fleet->runtime, 0755), 0);
	snprintf(path, sizeof(path), "%s/http.sock", fleet->runtime);
	ck_assert_int_eq(unlink(path), 0);
	if (getuid() == 0) {
		/* The directory is root's, but nobody must be able to write
		 * there. */
		mews(&said, "check", "-c", fleet->config, NULL);
		ck_assert_int_eq(said.status, 1);
		ck_assert_ptr_nonnull(strstr(said.err, "Permission denied"));
	}
	ck_assert_int_eq(rmdir(fleet->runtime), 0);
	mews(&said, "check", "-c", fleet->config, NULL);
	ck_assert_int_eq(said.status, 0);
}
END_TEST

START_TEST(check_finds_what_is_in_the_way_in_the_runtime_directory)
{
	static const char *const names[] = { "test.pid", "test.segment" };
	struct said checked, ran;
	char	    path[400];

	fleet_init(fleet, "");
	ck_assert_int_eq(mkdir(fleet->runtime, 0755), 0);
	ck_assert_int_eq(chown(fleet->runtime, fleet_user(), (gid_t)-1), 0);
	snprintf(path, sizeof(path), "%s/%s", fleet->runtime, names[_i]);
	ck_assert_int_eq(mkdir(path, 0755), 0);
	mews(&ran, "run", "-c", fleet->config, NULL);
	ck_assert_int_eq(ran.status, 1);
	mews(&checked, "check", "-c", fleet->config, NULL);
	ck_assert_int_eq(checked.status, 1);
	ck_assert_str_eq(checked.err, ran.err);
	ck_assert_ptr_nonnull(strstr(checked.err, names[_i]));
}
END_TEST

START_TEST(check_finds_that_a_directory_of_a_socket_is_missing)
{
	struct said said;
	char	    conf[320];
	FILE	    *file;

	fleet_init(fleet, "");
	snprintf(conf, sizeof(conf), "%s/other.conf", fleet->dir);
	ck_assert_ptr_nonnull(file = fopen(conf, "w"));
	fprintf(file, "listen = \"unix:%s/none/x\"\napp = \"%s\"\n"
	    "runtime_dir = \"%s/\"\n"
	    "endpoint \"a\" { conninfo = \"host=127.0.0.1\" }\n"
	    "group \"read\" { role = any }\n", fleet->dir,
	    getenv("MEWS_TEST_APP"), fleet->runtime);
	fclose(file);
	mews(&said, "check", "-c", conf, NULL);
	ck_assert_int_eq(said.status, 1);
	ck_assert_int_eq(fleet_count_lines(said.err), 1);
	ck_assert_ptr_nonnull(strstr(said.err, "other.conf:1: cannot listen "));
	ck_assert_ptr_nonnull(strstr(said.err, "No such file or directory"));
}
END_TEST

START_TEST(check_of_a_fleet_that_runs_is_ok)
{
	struct said said;

	fleet_init(fleet, "");
	fleet_start(fleet);
	mews(&said, "check", "-c", fleet->config, NULL);
	ck_assert_str_eq(said.err, "");
	ck_assert_int_eq(said.status, 0);
	ck_assert_int_eq(fleet_end(fleet, SIGTERM), 0);
}
END_TEST

START_TEST(a_warning_is_no_mistake)
{
	struct said said;

	fleet_init(fleet, "endpoint \"b\" { conninfo = \"host=127.0.0.1\" }\n"
	    "group \"h\" { role = any connection_count = 1 }\n");
	mews(&said, "check", "-c", fleet->config, NULL);
	ck_assert_int_eq(said.status, 0);
	ck_assert_int_eq(fleet_count_lines(said.err), 1);
	ck_assert_ptr_nonnull(strstr(said.err, "mews.conf:10: warning: "));
}
END_TEST

START_TEST(a_file_that_is_not_there_has_no_line)
{
	struct said said;

	mews(&said, "check", "-c", "/nonexistent", NULL);
	ck_assert_int_eq(said.status, 1);
	ck_assert_str_eq(said.err, "/nonexistent: cannot be opened: "
	    "No such file or directory\n");
}
END_TEST

static Suite *
check_suite(void)
{
	Suite *suite = suite_create("check");
	TCase *tcase = unit_case(suite, "check");

	tcase_set_timeout(tcase, 180);
	tcase_add_unchecked_fixture(tcase, fleet_make_base,
	    fleet_remove_base);
	tcase_add_test(tcase, check_says_ok_and_does_nothing);
	tcase_add_loop_test(tcase,
	    mistakes_are_all_reported_before_anything_is_forked, 0, 2);
	tcase_add_test(tcase, check_finds_what_run_would_refuse);
	tcase_add_loop_test(tcase,
	    check_finds_what_is_in_the_way_in_the_runtime_directory, 0, 2);
	tcase_add_test(tcase,
	    check_finds_that_a_directory_of_a_socket_is_missing);
	tcase_add_test(tcase, check_of_a_fleet_that_runs_is_ok);
	tcase_add_test(tcase, a_warning_is_no_mistake);
	tcase_add_test(tcase, a_file_that_is_not_there_has_no_line);
	tcase_add_loop_test(tcase,
	    an_application_that_cannot_be_loaded_is_a_mistake_in_its_line, 0,
	    2);
	tcase_add_loop_test(tcase,
	    an_application_that_does_not_come_back_is_a_mistake, 0, 2);
	return suite;
}

UNIT_MAIN(check_suite)
