/*
 * test_rights.c - other users can do nothing to a fleet.
 *
 * Much of it shows only if root runs the test and becomes other users.
 */
#include "fleet.h"
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define STRANGER 1 /* a user who is neither root nor nobody */

static struct fleet	   the_fleet;
static struct fleet *const fleet = &the_fleet;

static void
assert_refused(const char *word)
{
	struct said said;

	mews(&said, "run", "-c", fleet->config, NULL);
	ck_assert_int_eq(said.status, 1);
	ck_assert_msg(strstr(said.err, word) != NULL, "no \"%s\" in: %s",
	    word, said.err);
}

START_TEST(root_never_loads_the_application)
{
	struct said said;
	char	    path[300];
	unsigned    user;
	int	    loads = 0;
	FILE	   *f;

	fleet_init(fleet, "");
	fleet_open_file(fleet, path, sizeof(path), "loaded", NULL);
	setenv("MEWS_TEST_LOADED", path, 1);
	mews(&said, "check", "-c", fleet->config, NULL);
	ck_assert_int_eq(said.status, 0);
	fleet_start(fleet);
	ck_assert_int_eq(fleet_end(fleet, SIGTERM), 0);
	ck_assert_ptr_nonnull(f = fopen(path, "r"));
	for (; fscanf(f, "%u", &user) == 1; loads++)
		ck_assert_uint_eq(user, fleet_user());
	fclose(f);
	ck_assert_int_eq(loads, 4);	/* check, run, and two workers */
}
END_TEST

START_TEST(a_runtime_directory_that_others_may_write_is_refused)
{
	fleet_init(fleet, "");
	ck_assert_int_eq(mkdir(fleet->runtime, 0755), 0);
	ck_assert_int_eq(chmod(fleet->runtime, 0757), 0);
	assert_refused("others may write");
	ck_assert_int_eq(chmod(fleet->runtime, 01777), 0);
	assert_refused("others may write");
	ck_assert_int_eq(chmod(fleet->runtime, 0755), 0);
	if (getuid() != 0)
		return;
	ck_assert_int_eq(chown(fleet->runtime, STRANGER, STRANGER), 0);
	assert_refused("another user");
}
END_TEST

START_TEST(a_directory_in_which_others_may_replace_ours_is_refused)
{
	struct said said;

	fleet_init(fleet, "");
	ck_assert_int_eq(chmod(fleet->dir, 0757), 0);
	for (int i = 0; i < 2; i++) {
		assert_refused("others may write in ");
		/* In the next round the directory exists. */
		mkdir(fleet->runtime, 0755);
	}
	mews(&said, "check", "-c", fleet->config, NULL);
	ck_assert_int_eq(said.status, 1);
	ck_assert_ptr_nonnull(strstr(said.err, "others may write in "));
	/* With the sticky bit, as in /tmp, no user can remove another's
	 * files. */
	ck_assert_int_eq(chmod(fleet->dir, 01777), 0);
	ck_assert_int_eq(chown(fleet->runtime, fleet_user(), (gid_t)-1), 0);
	fleet_start(fleet);
	ck_assert_int_eq(fleet_end(fleet, SIGTERM), 0);
	if (getuid() != 0)
		return;
	ck_assert_int_eq(chown(fleet->dir, STRANGER, STRANGER), 0);
	assert_refused("above it belongs to another user");
}
END_TEST

START_TEST(a_runtime_directory_may_be_a_link_of_our_own)
{
	char target[300];

	fleet_init(fleet, "");
	snprintf(target, sizeof(target), "%s/elsewhere", fleet->dir);
	ck_assert_int_eq(mkdir(target, 0755), 0);
	ck_assert_int_eq(chown(target, fleet_user(), (gid_t)-1), 0);
	ck_assert_int_eq(symlink(target, fleet->runtime), 0);
	fleet_start(fleet);
	ck_assert_int_eq(fleet_get(fleet, "/"), 200);
	ck_assert_int_eq(fleet_end(fleet, SIGTERM), 0);
	if (getuid() != 0)
		return;
	ck_assert_int_eq(lchown(fleet->runtime, STRANGER, STRANGER), 0);
	assert_refused("is a symbolic link of another user's");
}
END_TEST

/* The link's own directory is safe, the one that it leads to is not. */
START_TEST(a_link_into_a_directory_of_all_is_refused)
{
	char open_to_all[300], target[310];

	fleet_init(fleet, "");
	snprintf(open_to_all, sizeof(open_to_all), "%s/all", fleet->dir);
	snprintf(target, sizeof(target), "%s/run", open_to_all);
	ck_assert_int_eq(mkdir(open_to_all, 0755), 0);
	ck_assert_int_eq(chmod(open_to_all, 0777), 0);
	ck_assert_int_eq(mkdir(target, 0755), 0);
	ck_assert_int_eq(symlink(target, fleet->runtime), 0);
	assert_refused("others may write in ");
}
END_TEST

START_TEST(a_pid_file_that_is_a_symbolic_link_is_not_followed)
{
	char	    victim[300], link[400];
	struct stat st;

	fleet_init(fleet, "");
	fleet_open_file(fleet, victim, sizeof(victim), "victim", NULL);
	ck_assert_int_eq(mkdir(fleet->runtime, 0755), 0);
	ck_assert_int_eq(chown(fleet->runtime, fleet_user(), (gid_t)-1), 0);
	snprintf(link, sizeof(link), "%s/test.pid", fleet->runtime);
	ck_assert_int_eq(symlink(victim, link), 0);
	assert_refused("test.pid: is no regular file");
	ck_assert_int_eq(stat(victim, &st), 0);
	ck_assert_int_eq(st.st_size, 0);
}
END_TEST

START_TEST(a_stranger_cannot_lock_the_pid_file)
{
	char	    path[400];
	struct stat st;
	pid_t	    child;
	int	    status;

	fleet_init(fleet, "");
	fleet_start(fleet);
	snprintf(path, sizeof(path), "%s/test.pid", fleet->runtime);
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_int_eq(st.st_mode & 07777, 0600);
	if (getuid() == 0) {
		if ((child = fork()) == 0)
			_exit(setuid(STRANGER) == 0 &&
			    open(path, O_RDONLY) == -1 && errno == EACCES ?
			    0 : 1);
		ck_assert_int_eq(waitpid(child, &status, 0), child);
		ck_assert_int_eq(status, 0);
	}
	ck_assert_int_eq(fleet_end(fleet, SIGTERM), 0);
}
END_TEST

/* mews status locks the pid file for an instant, to see whether a master
 * does. */
START_TEST(a_look_at_the_wrong_moment_stops_no_start)
{
	char path[400];
	int  fd;

	fleet_init(fleet, "");
	ck_assert_int_eq(mkdir(fleet->runtime, 0755), 0);
	ck_assert_int_eq(chown(fleet->runtime, fleet_user(), (gid_t)-1), 0);
	snprintf(path, sizeof(path), "%s/test.pid", fleet->runtime);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(fchown(fd, fleet_user(), (gid_t)-1), 0);
	ck_assert_int_eq(flock(fd, LOCK_SH), 0);
	if (fork() == 0) {
		usleep(100000);
		_exit(0);
	}
	close(fd);	/* the child still holds the lock */
	fleet_start(fleet);
	ck_assert_int_eq(fleet_end(fleet, SIGTERM), 0);
}
END_TEST

/* An older version left a pid file that anybody may open, and so lock. */
START_TEST(a_lock_of_a_stranger_on_an_old_pid_file_stops_no_start)
{
	struct stat st;
	struct said said;
	char	    path[400];
	int	    fd;

	fleet_init(fleet, "");
	ck_assert_int_eq(mkdir(fleet->runtime, 0755), 0);
	ck_assert_int_eq(chown(fleet->runtime, fleet_user(), (gid_t)-1), 0);
	snprintf(path, sizeof(path), "%s/test.pid", fleet->runtime);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(fchmod(fd, 0644), 0);
	ck_assert_int_eq(fchown(fd, fleet_user(), (gid_t)-1), 0);
	ck_assert_int_gt(dprintf(fd, "%d", getpid()), 0); /* this pid is no
							     master's */
	ck_assert_int_eq(flock(fd, _i == 0 ? LOCK_EX : LOCK_SH), 0);
	fleet_start(fleet);
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_int_eq(st.st_mode & 07777, 0600);
	/* The lock of a master counts, whatever the file's mode. */
	ck_assert_int_eq(chmod(path, 0644), 0);
	mews(&said, "run", "-c", fleet->config, NULL);
	ck_assert_int_eq(said.status, 1);
	ck_assert_ptr_nonnull(strstr(said.err, "is running already, as pid"));
	ck_assert_int_eq(fleet_end(fleet, SIGTERM), 0);
	close(fd);
}
END_TEST

START_TEST(control_characters_in_file_names_reach_no_terminal)
{
	struct said said;
	char	    path[300];

	fleet_init(fleet, "");
	fleet_open_file(fleet, path, sizeof(path), "a\033[31m.segment", NULL);
	fleet_open_file(fleet, path, sizeof(path), "b\n.segment", NULL);
	mews(&said, "status", "--runtime-dir", fleet->dir, NULL);
	ck_assert_int_eq(said.status, 1);
	ck_assert_ptr_null(strchr(said.err, '\033'));
	ck_assert_ptr_nonnull(strstr(said.err, "a?[31m, b?"));
}
END_TEST

/* The file is warned of if root asks and another user will serve; the limit of
 * descriptors always. */
START_TEST(check_warns_of_what_goes_well_at_first_only)
{
	const struct rlimit few = { 500, 500 };
	struct said	    said;
	char		    text[400];

	fleet_init(fleet, "http {\n\tmax_connections = 1000\n}\n");
	mews(&said, "check", "-c", fleet->config, NULL);
	ck_assert_str_eq(said.err, "");
	ck_assert_int_eq(chmod(fleet->config, 0600), 0);
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &few), 0);
	mews(&said, "check", "-c", fleet->config, NULL);
	ck_assert_int_eq(said.status, 0);
	snprintf(text, sizeof(text), "%s:10: warning: http: max_connections = "
	    "1000: a worker may have 500 descriptors", fleet->config);
	ck_assert_msg(strstr(said.err, text) != NULL, "%s", said.err);
	if (getuid() != 0)
		return;
	snprintf(text, sizeof(text), "%s:1: warning: user nobody cannot read "
	    "this file", fleet->config);
	ck_assert_msg(strstr(said.err, text) != NULL, "%s", said.err);
}
END_TEST

static Suite *
rights_suite(void)
{
	Suite *suite = suite_create("rights");
	TCase *tcase = unit_case(suite, "others");

	tcase_set_timeout(tcase, 180);
	tcase_add_unchecked_fixture(tcase, fleet_make_base,
	    fleet_remove_base);
	tcase_add_test(tcase, root_never_loads_the_application);
	tcase_add_test(tcase,
	    a_runtime_directory_that_others_may_write_is_refused);
	tcase_add_test(tcase,
	    a_directory_in_which_others_may_replace_ours_is_refused);
	tcase_add_test(tcase, a_runtime_directory_may_be_a_link_of_our_own);
	tcase_add_test(tcase, a_link_into_a_directory_of_all_is_refused);
	tcase_add_test(tcase,
	    a_pid_file_that_is_a_symbolic_link_is_not_followed);
	tcase_add_test(tcase, a_stranger_cannot_lock_the_pid_file);
	tcase_add_loop_test(tcase,
	    a_lock_of_a_stranger_on_an_old_pid_file_stops_no_start, 0, 2);
	tcase_add_test(tcase, a_look_at_the_wrong_moment_stops_no_start);
	tcase_add_test(tcase,
	    control_characters_in_file_names_reach_no_terminal);
	tcase_add_test(tcase, check_warns_of_what_goes_well_at_first_only);
	return suite;
}

UNIT_MAIN(rights_suite)
