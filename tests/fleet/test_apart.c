/*
 * test_apart.c - upgrades under load, to a version that cannot read the segment
 * and back: for a while two fleets live side by side.
 *
 * From the environment: MEWS_A and MEWS_B, the conninfos of servers;
 * MEWS_TEST_SLEEPER, the application; MEWS_TEST_OTHER, the directory of another
 * version of the library. MEWS_TEST_UPGRADES: how many upgrades to measure.
 */
#include "fleet.h"
#include "load.h"
#include "unit.h"

#include <fcntl.h>
#include <libpq-fe.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define CAP	12
#define CLIENTS 8

static struct fleet fleet[1];
static struct said  said;
static char	    binary[300]; /* a link to the installed version */
static char	    real[600];	 /* the command itself */

/* Make a command @name that runs mews with the library of @dir, or with its own
 * if NULL. The log shows that name. */
static void
make_version(const char *name, const char *dir)
{
	char  path[400];
	FILE *file;

	snprintf(path, sizeof(path), "%.256s/%s", fleet->dir, name);
	ck_assert_ptr_nonnull(file = fopen(path, "we"));
	fprintf(file, "#!/bin/bash\n%s%s\nexec -a \"$0\" %s \"$@\"\n",
	    dir == NULL ? "unset LD_LIBRARY_PATH" : "export LD_LIBRARY_PATH=",
	    dir == NULL ? "" : dir, real);
	ck_assert_int_eq(fchmod(fileno(file), 0755), 0);
	fclose(file);
}

static void
install(const char *name)
{
	char path[400], next[400];

	snprintf(path, sizeof(path), "%.256s/%s", fleet->dir, name);
	snprintf(next, sizeof(next), "%.256s/next", fleet->dir);
	ck_assert_int_eq(symlink(path, next), 0);
	ck_assert_int_eq(rename(next, binary), 0);
}

/* Start a fleet of this version. */
static void
start(const char *more)
{
	ck_assert_int_eq(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
	setenv("MEWS_TEST_APP", getenv("MEWS_TEST_SLEEPER"), 1);
	strcpy(real, getenv("MEWS"));
	fleet_init(fleet, more);
	snprintf(binary, sizeof(binary), "%.250s/mews", fleet->dir);
	make_version("this", NULL);
	make_version("other", getenv("MEWS_TEST_OTHER"));
	install("this");
	setenv("MEWS", binary, 1);
	fleet_start(fleet);
}

/* Does status show @what of the endpoint @name? */
static bool
shows(const char *name, const char *what)
{
	char  key[64], *at, *end;

	mews(&said, "status", "-c", fleet->config, "--json", NULL);
	ck_assert_msg(said.status == 0, "%s", said.err);
	snprintf(key, sizeof(key), "{\"name\":\"%s\",", name);
	if ((at = strstr(said.out, key)) == NULL)
		return false;
	if ((end = strstr(at + 1, "{\"name\":")) != NULL)
		*end = '\0';
	return strstr(at, what) != NULL;
}

static int
files(void)
{
	char  command[400];
	FILE *in;
	int   count = 0;

	snprintf(command, sizeof(command),
	    "ls -d %s/test.segment* 2>/dev/null | wc -l", fleet->runtime);
	ck_assert_ptr_nonnull(in = popen(command, "r"));
	ck_assert_int_eq(fscanf(in, "%d", &count), 1);
	pclose(in);
	return count;
}

/* Counts that the clients share with the process that counts sessions. */
struct seen {
	_Atomic bool	 over;
	_Atomic unsigned answered, failed, longest_ms, sessions;
};

static struct seen *seen;

static void
ask_again(const char *path)
{
	int64_t began;
	unsigned took;

	while (!atomic_load(&seen->over)) {
		began = fleet_now();
		if (fleet_get(fleet, path) != 200)
			atomic_fetch_add(&seen->failed, 1);
		took = (unsigned)(fleet_now() - began);
		if (took > atomic_load(&seen->longest_ms))
			atomic_store(&seen->longest_ms, took);
		atomic_fetch_add(&seen->answered, 1);
	}
	_exit(0);
}

/* Count the most sessions of fleets that the server has at a time; a monitor's
 * session has run none of the application's statements. */
static void
count_sessions(void)
{
	PGconn	 *pg = PQconnectdb(getenv("MEWS_A"));
	PGresult *result;
	unsigned  count;

	while (!atomic_load(&seen->over)) {
		result = PQexec(pg, "select count(*) from pg_stat_activity "
		    "where application_name = 'mews:test' and query <> '' "
		    "and query not like '%pg_is_in_recovery%'");
		if (PQresultStatus(result) != PGRES_TUPLES_OK)
			_exit(1);
		count = (unsigned)atoi(PQgetvalue(result, 0, 0));
		PQclear(result);
		if (count > atomic_load(&seen->sessions))
			atomic_store(&seen->sessions, count);
		usleep(2000);
	}
	_exit(0);
}

static pid_t children[CLIENTS + 1];

static void
begin_child(int number, void (*run)(void))
{
	if ((children[number] = fork()) == 0) {
		run();
		_exit(1);
	}
}

static void
nap(void)
{
	ask_again("/nap");
}

static void
work(void)
{
	ask_again("/work");
}

static void
begin_load(void)
{
	seen = mmap(NULL, sizeof(*seen), PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ck_assert_ptr_ne(seen, MAP_FAILED);
	for (int i = 0; i < CLIENTS; i++)
		begin_child(i, i % 2 == 0 ? nap : work);
	begin_child(CLIENTS, count_sessions);
}

static void
end_load(int upgrades)
{
	int status;

	atomic_store(&seen->over, true);
	for (int i = 0; i < CLIENTS + 1; i++) {
		ck_assert_int_eq(waitpid(children[i], &status, 0),
		    children[i]);
		ck_assert_int_eq(status, 0);
	}
	fprintf(stderr, "# %d upgrades: %u slow queries and transactions, %u "
	    "failed, the longest took %u ms; %u sessions at most, of %d\n",
	    upgrades, seen->answered, seen->failed, seen->longest_ms,
	    seen->sessions, CAP);
	ck_assert_msg(seen->failed == 0, "%u: %.6000s", seen->failed,
	    fleet_log_text(fleet));
	ck_assert_uint_le(seen->sessions, CAP);
	ck_assert_uint_gt(seen->sessions, 0);
}

/* How many upgrades are made; a trial of its own makes more. */
static int
count_upgrades(void)
{
	const char *text = getenv("MEWS_TEST_UPGRADES");

	return text == NULL ? 2 : atoi(text);
}

/* Quick requests beside slow queries and transactions. In the first run to
 * another version and back by turns, in the second to the same version. */
START_TEST(nothing_is_lost_or_forgotten_in_upgrades)
{
	struct load *load;
	char	     more[1200];
	const int    upgrades = count_upgrades();

	snprintf(more, sizeof(more), "graceful_timeout = 20s\n"
	    "endpoint \"s\" { conninfo = \"%s\" max_connections = %d }\n"
	    "endpoint \"d\" { conninfo = \"%s\" }\n"
	    "endpoint \"gone\" { conninfo = \"host=127.0.0.1 port=%u "
	    "dbname=x\" }\n"
	    "group \"write\" { role = primary connection_count = 8 "
	    "min_connections = 4 }\n", getenv("MEWS_A"), CAP,
	    getenv("MEWS_B"), fleet_free_port());
	start(more);
	fleet_wait(shows("gone", "\"state\":\"down\"") &&
	    shows("s", "\"role\":\"primary\"") &&
	    shows("d", "\"role\":\"standby\""));
	mews(&said, "drain", "d", "-c", fleet->config, NULL);
	ck_assert_int_eq(said.status, 0);
	if (_i == 0)
		install("other");
	begin_load();
	load = load_begin(fleet);
	for (int i = 0; i < upgrades; i++) {
		unsigned answered = atomic_load(&load->answered);

		fleet_wait(atomic_load(&load->answered) > answered + 500);
		fleet_upgrade(fleet);
		/* The state of a server is known from the first instant on. */
		ck_assert(shows("gone", "\"state\":\"down\""));
		/* A busy machine may suspect a server. */
		ck_assert(!shows("s", "\"state\":\"down\""));
		ck_assert(!shows("s", "\"state\":\"unknown\""));
		ck_assert(shows("s", "\"role\":\"primary\""));
		ck_assert(shows("d", "\"role\":\"standby\""));
		ck_assert(shows("d", "\"admin\":\"drained\""));
		fleet_follow(fleet);
		fleet_wait(files() == 2);
		install(_i == 1 || i % 2 == 0 ? "this" : "other");
	}
	end_load(upgrades);
	load_end(fleet, load, _i == 0 ? "upgrades to other segments" :
	    "upgrades");
	ck_assert_int_eq(fleet_logged(fleet, "from=down to=up"), 0);
	ck_assert_int_eq(fleet_logged(fleet, "event=segment_damaged"), 0);
	ck_assert_int_eq(fleet_logged(fleet, "event=drain_timeout"), 0);
	ck_assert_int_eq(fleet_end(fleet, SIGTERM), 0);
	ck_assert_int_eq(fleet_logged(fleet, "event=orphan_ended"), 0);
	ck_assert_int_eq(fleet_logged(fleet, "level=error"), 0);
	ck_assert_int_eq(files(), 0);
}
END_TEST

/* The master's youngest child. */
static pid_t
youngest(void)
{
	char  path[64];
	FILE *f;
	int   pid = 0;

	snprintf(path, sizeof(path), "/proc/%jd/task/%jd/children",
	    (intmax_t)fleet->master, (intmax_t)fleet->master);
	ck_assert_ptr_nonnull(f = fopen(path, "re"));
	while (fscanf(f, "%d", &pid) == 1)
		;
	fclose(f);
	return pid;
}

/* Do the first @steps of what a new master does to serve. */
static void
exchange(int steps)
{
	char mine[400], its[450];

	for (int i = 0; i < steps; i++) {
		snprintf(mine, sizeof(mine), "%s/test.segment%s",
		    fleet->runtime, i == 0 ? "" : ".d");
		snprintf(its, sizeof(its), "%s/test.segment.%jd%s",
		    fleet->runtime, (intmax_t)fleet->master,
		    i == 0 ? "" : ".d");
		ck_assert_int_eq(renameat2(AT_FDCWD, mine, AT_FDCWD, its,
		    RENAME_EXCHANGE), 0);
	}
}

/* At each step one fleet is left, with its segment in its place. */
START_TEST(a_new_master_that_dies_gives_all_back)
{
	struct stat was, is;
	char	    path[400];
	pid_t	    new, monitor;

	fleet_ignore_leaks();
	start("");
	monitor = youngest();
	snprintf(path, sizeof(path), "%s/test.segment", fleet->runtime);
	ck_assert_int_eq(stat(path, &was), 0);
	install("other");
	/* The old master is stopped, so it does not tell the new one to
	 * serve. */
	fleet_signal(fleet, SIGUSR2);
	fleet_wait(fleet_logged(fleet, "event=upgrade ") == 1);
	fleet_wait((new = youngest()) != monitor);
	ck_assert_int_eq(kill(fleet->master, SIGSTOP), 0);
	fleet_wait(files() == 4);
	exchange(_i);
	ck_assert_int_eq(kill(new, SIGKILL), 0);
	ck_assert_int_eq(kill(fleet->master, SIGCONT), 0);
	fleet_wait(fleet_logged(fleet, "event=upgrade_refused") == 1);
	fleet_wait(files() == 2);
	ck_assert_int_eq(stat(path, &is), 0);
	ck_assert_uint_eq(is.st_ino, was.st_ino);
	install("this");
	mews(&said, "status", "-c", fleet->config, NULL);
	ck_assert_msg(said.status == 0, "%s", said.err);
	ck_assert_int_eq(fleet_get(fleet, "/"), 200);
	install("other");
	fleet_upgrade(fleet);
	fleet_follow(fleet);
	ck_assert_int_eq(fleet_get(fleet, "/"), 200);
	ck_assert_int_eq(fleet_end(fleet, SIGTERM), 0);
	ck_assert_int_eq(files(), 0);
}
END_TEST

/* A new master serves if the old one is killed. */
START_TEST(an_old_master_that_dies_leaves_the_new_one)
{
	int status;

	fleet_ignore_leaks();
	start("");
	install("other");
	fleet_signal(fleet, SIGUSR2);
	if (_i == 0)
		fleet_wait(files() == 4);
	else
		fleet_wait(fleet_logged(fleet, "event=took_over") == 1);
	ck_assert_int_eq(kill(fleet->master, SIGKILL), 0);
	ck_assert_int_eq(waitpid(fleet->master, &status, 0), fleet->master);
	fleet_wait(fleet_logged(fleet, "event=took_over") == 1);
	fleet->master = fleet_pid(fleet);
	fleet_wait(files() == 2);
	mews(&said, "status", "-c", fleet->config, NULL);
	ck_assert_msg(said.status == 0, "%s", said.err);
	fleet_wait(fleet_get(fleet, "/") == 200);
	ck_assert_int_eq(fleet_end(fleet, SIGTERM), 0);
	ck_assert_int_eq(files(), 0);
}
END_TEST

static Suite *
apart_suite(void)
{
	Suite *suite = suite_create("apart");
	TCase *tcase = unit_case(suite, "apart");

	tcase_set_timeout(tcase, 180);
	tcase_add_unchecked_fixture(tcase, fleet_make_base,
	    fleet_remove_base);
	tcase_add_loop_test(tcase, nothing_is_lost_or_forgotten_in_upgrades, 0,
	    2);
	tcase_add_loop_test(tcase, a_new_master_that_dies_gives_all_back, 0,
	    3);
	tcase_add_loop_test(tcase, an_old_master_that_dies_leaves_the_new_one,
	    0, 2);
	return suite;
}

UNIT_MAIN(apart_suite)
