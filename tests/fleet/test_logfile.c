/*
 * test_logfile.c - log = "file:PATH", and the rotation of that file.
 */
#include "fleet.h"
#include "unit.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

static struct fleet fleet[1];
static struct said  said;
static char	    own[600], rotated[604]; /* the file, and the rotated one */

/* How many lines of @path contain @text. */
static int
count(const char *path, const char *text)
{
	FILE  *f = fopen(path, "r");
	char  *line = NULL;
	size_t size = 0;
	int    found = 0;

	if (f == NULL)
		return 0;
	while (getline(&line, &size, f) > 0)
		found += strstr(line, text) != NULL;
	free(line);
	fclose(f);
	return found;
}

/* The log is in a directory of the fleet's user. */
static void
init(void)
{
	char directory[300], more[700];

	fleet_init(fleet, "");
	strcpy(directory, fleet->dir);
	strcat(directory, "/var");
	ck_assert_int_eq(mkdir(directory, 0755), 0);
	ck_assert_int_eq(chown(directory, fleet_user(), (gid_t)-1), 0);
	snprintf(own, sizeof(own), "%s/mews.log", directory);
	strcpy(rotated, own);
	strcat(rotated, ".1");
	snprintf(more, sizeof(more), "log = \"file:%s\"", own);
	fleet_edit(fleet, "workers = 2", "workers = 2\n#");
	fleet_edit(fleet, "#", more);
}

static void
start(void)
{
	fleet_launch(fleet);
	fleet_wait(count(own, "event=ready workers=") == 1 &&
	    count(own, "event=ready monitors=") == 1);
}

static void
reload(void)
{
	mews(&said, "reload", "-c", fleet->config, NULL);
	ck_assert_msg(said.status == 0, "%s", said.err);
}

START_TEST(all_processes_write_to_the_file)
{
	struct stat status;

	init();
	start();
	ck_assert_int_eq(count(own, "process=worker"),
	    count(own, "process=worker worker="));
	ck_assert_int_eq(count(own, "to=ready"), 2);
	ck_assert_int_eq(count(own, "level="), count(own, " ts=20"));
	ck_assert_int_eq(stat(own, &status), 0);
	ck_assert_uint_eq(status.st_uid, fleet_user());
	ck_assert_uint_eq(status.st_mode & 0777 & ~0640U, 0);
	ck_assert_int_eq(fleet_end(fleet, SIGTERM), 0);
	ck_assert_int_eq(count(own, "event=stopped"), 1);
	ck_assert_int_eq(fleet_logged(fleet, "event="), 0);
}
END_TEST

/* Lines from before the signal are in the old file, later ones in the new. */
START_TEST(usr1_opens_it_anew_for_all_processes)
{
	struct stat status;
	off_t	    size;

	init();
	start();
	ck_assert_int_eq(rename(own, rotated), 0);
	ck_assert_int_eq(fleet_get(fleet, "/"), 200);
	fleet_signal(fleet, SIGUSR1);
	fleet_wait(count(own, "event=log_reopened") == 1);
	fleet_wait(stat(rotated, &status) == 0 &&
	    count(rotated, "signal=USR1") == 1);
	size = status.st_size;
	/* Old and new workers write to the new file, and so does the
	 * monitor. */
	reload();
	fleet_wait(count(own, "to=ended") == 2);
	ck_assert_int_eq(count(own, "to=draining"), 2);
	ck_assert_int_eq(count(own, "to=ready"), 2);
	ck_assert_int_eq(stat(rotated, &status), 0);
	ck_assert_int_eq(status.st_size, size);
	ck_assert_int_eq(fleet_end(fleet, SIGTERM), 0);
	ck_assert_int_eq(stat(rotated, &status), 0);
	ck_assert_int_eq(status.st_size, size);
	ck_assert_int_eq(count(own, "level=error"), 0);
}
END_TEST

START_TEST(a_file_that_cannot_be_opened_anew_is_kept)
{
	init();
	start();
	ck_assert_int_eq(rename(own, rotated), 0);
	ck_assert_int_eq(mkdir(own, 0755), 0);
	fleet_signal(fleet, SIGUSR1);
	fleet_wait(count(rotated, "event=log_not_reopened") == 1);
	ck_assert_int_eq(count(rotated, "action=old_one_goes_on"), 1);
	reload();
	fleet_wait(count(rotated, "to=draining") == 2);
	/* Once the file can be opened, it is. */
	ck_assert_int_eq(rmdir(own), 0);
	fleet_signal(fleet, SIGUSR1);
	fleet_wait(count(own, "event=log_reopened") == 1);
	ck_assert_int_eq(fleet_end(fleet, SIGTERM), 0);
	ck_assert_int_eq(count(own, "event=stopped"), 1);
}
END_TEST

/* Check, a start and a reload report the mistake with its line; no file is
 * made. */
START_TEST(a_file_that_cannot_be_opened_is_a_mistake)
{
	int status;

	init();
	fleet_edit(fleet, "mews.log\"", "none/mews.log\"");
	mews(&said, "check", "-c", fleet->config, NULL);
	ck_assert_int_eq(said.status, 1);
	ck_assert_ptr_nonnull(strstr(said.err, "mews.conf:6: log = file:"));
	ck_assert_ptr_nonnull(strstr(said.err, "No such file or directory"));
	fleet_launch(fleet);
	ck_assert_int_eq(waitpid(fleet->master, &status, 0), fleet->master);
	ck_assert_int_eq(WEXITSTATUS(status), 1);
	ck_assert_int_eq(fleet_logged(fleet, "mews.conf:6: log = file:"), 1);

	fleet_edit(fleet, "none/mews.log\"", "mews.log\"");
	mews(&said, "check", "-c", fleet->config, NULL);
	ck_assert_msg(said.status == 0, "%s", said.err);
	ck_assert_int_eq(access(own, F_OK), -1);
	start();
	fleet_edit(fleet, "mews.log\"", "none/mews.log\"");
	mews(&said, "reload", "-c", fleet->config, NULL);
	ck_assert_int_eq(said.status, 1);
	ck_assert_ptr_nonnull(strstr(said.err, "mews.conf:6: log = file:"));
	ck_assert_int_eq(count(own, "event=reload_refused"), 1);
	ck_assert_int_eq(fleet_get(fleet, "/"), 200);
	ck_assert_int_eq(fleet_end(fleet, SIGTERM), 0);
	ck_assert_int_eq(count(own, "event=stopped"), 1);
}
END_TEST

/* The log moves to another file, and back to standard error; no file stays
 * open. */
/* Does the master have a log file open? */
static bool
master_holds_one(void)
{
	char path[64], name[700];

	for (int fd = 0; fd < 256; fd++) {
		snprintf(path, sizeof(path), "/proc/%jd/fd/%d",
		    (intmax_t)fleet->master, fd);
		memset(name, 0, sizeof(name));
		if (readlink(path, name, sizeof(name) - 1) > 0 &&
		    strstr(name, "mews.log") != NULL)
			return true;
	}
	return false;
}

START_TEST(a_reload_changes_the_file)
{
	init();
	start();
	fleet_edit(fleet, "mews.log\"", "mews.log.1\"");
	reload();
	ck_assert_int_eq(count(rotated, "event=reloaded generation=2"), 1);
	fleet_wait(count(own, "to=ended") == 2);
	fleet_edit(fleet, "log = \"file:", "log = stderr # \"");
	reload();
	ck_assert_int_eq(fleet_logged(fleet, "event=reloaded generation=3"),
	    1);
	fleet_wait(count(rotated, "to=ended") == 2);
	fleet_signal(fleet, SIGTTIN);
	fleet_wait(fleet_logged(fleet, "event=resized") == 1);
	fleet_wait(!master_holds_one());
	ck_assert_int_eq(fleet_end(fleet, SIGTERM), 0);
	ck_assert_int_eq(fleet_logged(fleet, "event=stopped"), 1);
}
END_TEST

static Suite *
logfile_suite(void)
{
	Suite *suite = suite_create("logfile");
	TCase *tcase = unit_case(suite, "logfile");

	tcase_set_timeout(tcase, 120);
	tcase_add_unchecked_fixture(tcase, fleet_make_base,
	    fleet_remove_base);
	tcase_add_test(tcase, all_processes_write_to_the_file);
	tcase_add_test(tcase, usr1_opens_it_anew_for_all_processes);
	tcase_add_test(tcase, a_file_that_cannot_be_opened_anew_is_kept);
	tcase_add_test(tcase, a_file_that_cannot_be_opened_is_a_mistake);
	tcase_add_test(tcase, a_reload_changes_the_file);
	return suite;
}

UNIT_MAIN(logfile_suite)
