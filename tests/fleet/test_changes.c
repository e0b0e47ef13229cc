/*
 * test_changes.c - what a reload changes while transactions and slow queries
 * are in flight: each part of a configuration, or nothing where the file is
 * wrong.
 *
 * From the environment: MEWS_A to MEWS_C, a primary and two standbys;
 * MEWS_TEST_SLEEPER, the application.
 */
#include "fleet.h"
#include "load.h"
#include "unit.h"

#include <mews.h>

#include <fcntl.h>
#include <libpq-fe.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>

#define HEAD_BYTES 1500 /* a request's head; 1 kB will be allowed */

static struct fleet	   the_fleet;
static struct fleet *const fleet = &the_fleet;
static struct said	   said;

static const struct load_client clients[] = {
	{ .path = "/", .every_us = 2000 },
	{ .path = "/rest?group=write&ms=200" },
	{ .path = "/rest?group=stand&ms=20", .every_us = 10000 },
	{ .path = "/rest?group=any&ms=5", .every_us = 5000 },
	{ .path = "/trade?group=stand&ms=50" },
	{ .path = "/trade?group=write&ms=60" },
	{ .path = "/trade?group=write&ms=60" },
	{ .path = "/trade?group=write&ms=60" },
	{ .path = "/trade?group=write&ms=60" },
	{ .path = "/trade?group=write&ms=60" },
};
#define CLIENTS ((int)(sizeof(clients) / sizeof(clients[0])))

static void
reload(void)
{
	mews(&said, "reload", "-c", fleet->config, NULL);
	ck_assert_msg(said.status == 0, "%s%.3000s", said.err,
	    fleet_log_text(fleet));
}

/* Clients with one kind of request each. */
struct once {
	pid_t pids[8];
	int   count;
};

static void
ask(struct once *once, int count, const char *path)
{
	once->count = count;
	for (int i = 0; i < count; i++)
		if ((once->pids[i] = fork()) == 0)
			_exit(fleet_get(fleet, path) == 200 ? 0 : 1);
}

static void
assert_answered(const struct once *once)
{
	int status;

	for (int i = 0; i < once->count; i++) {
		ck_assert_int_eq(waitpid(once->pids[i], &status, 0),
		    once->pids[i]);
		ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0,
		    "client %d: %d; %.3000s", i, status,
		    fleet_log_text(fleet));
	}
}

/* The figures of a fleet, as a view shows them. */
struct seen {
	unsigned waiting;	 /* queries that wait, in all workers */
	pid_t	 workers[FLEET_WORKERS_MAX];
	int	 count;		 /* how many workers */
	unsigned endpoints;	 /* how many have the name */
	unsigned connections;	 /* to that endpoint */
	int64_t	 probed_ms;	 /* since its last probe */
};

static struct seen
look(const char *endpoint)
{
	struct mews_view	 *view;
	struct mews_view_fleet	  f;
	struct mews_view_worker	  w;
	struct mews_view_endpoint e;
	struct mews_error	  error;
	struct seen		  seen = { .probed_ms = -1 };
	char			  path[400];

	snprintf(path, sizeof(path), "%s/test.segment", fleet->runtime);
	ck_assert_msg(mews_view_open(&view, path, &error) == MEWS_OK, "%s",
	    error.message);
	mews_view_fleet(view, &f, sizeof(f));
	for (uint32_t i = 0; i < f.slot_count; i++)
		if (mews_view_worker(view, i, &w, sizeof(w)) &&
		    seen.count < FLEET_WORKERS_MAX) {
			seen.waiting += w.waiting;
			seen.workers[seen.count++] = w.pid;
		}
	for (uint32_t i = 0; i < f.endpoint_count; i++)
		if (mews_view_endpoint(view, i, &e, sizeof(e)) &&
		    strcmp(e.name, endpoint) == 0) {
			seen.endpoints++;
			seen.connections = e.connections;
			seen.probed_ms = e.probed_ms;
		}
	mews_view_close(&view);
	return seen;
}

/* How many transactions of the load run on the primary? */
static int
trades(void)
{
	static PGconn *session;
	PGresult      *result;
	int	       count;

	if (session == NULL)
		session = PQconnectdb(getenv("MEWS_A"));
	result = PQexec(session, "select count(*) from pg_stat_activity "
	    "where state = 'active' and query like '%/* trade */' and "
	    "pid <> pg_backend_pid()");
	ck_assert_msg(PQresultStatus(result) == PGRES_TUPLES_OK, "%s",
	    PQerrorMessage(session));
	count = atoi(PQgetvalue(result, 0, 0));
	PQclear(result);
	return count;
}

/* The status of a request with a large head; 0: no answer. */
static int
get_large(void)
{
	char path[HEAD_BYTES];

	memset(path, 'x', sizeof(path));
	path[0] = '/';
	path[sizeof(path) - 1] = '\0';
	return fleet_get(fleet, path);
}

/* Has a worker mapped the file? */
static bool
is_loaded(pid_t worker, const char *name)
{
	char  path[64], line[4096];
	bool  found = false;
	FILE *maps;

	snprintf(path, sizeof(path), "/proc/%jd/maps", (intmax_t)worker);
	ck_assert_ptr_nonnull(maps = fopen(path, "re"));
	while (!found && fgets(line, sizeof(line), maps) != NULL)
		found = strstr(line, name) != NULL;
	fclose(maps);
	return found;
}

static void
start(void)
{
	char more[2000];

	setenv("MEWS_TEST_APP", getenv("MEWS_TEST_SLEEPER"), 1);
	snprintf(more, sizeof(more),
	    "endpoint \"s\" { conninfo = \"%s\" }\n"
	    "endpoint \"b\" { conninfo = \"%s\" }\n"
	    "endpoint \"c\" { conninfo = \"%s\" }\n"
	    "group \"any\" { role = any connection_count = 4 }\n"
	    "group \"stand\" { role = standby connection_count = 4 }\n"
	    "group \"write\" { role = primary connection_count = 1 }\n"
	    "group \"odd\" { role = standby connection_count = 2 "
	    "acquire_timeout = 20s }\n"
	    "health { interval = 1h }\n"
	    "graceful_timeout = 30s\n",
	    getenv("MEWS_A"), getenv("MEWS_B"), getenv("MEWS_C"));
	fleet_init(fleet, more);
	fleet_edit(fleet, "log_level = debug", "log_level = info");
	fleet_start(fleet);
	fleet_wait(fleet_get(fleet, "/rest?group=odd&ms=1") == 200);
	fleet_wait(fleet_get(fleet, "/rest?group=write&ms=1") == 200);
}

/* One reload changes groups, connections, health, http and the application; it
 * takes a group away while work waits for its connections. */
static void
change_most(void)
{
	struct once waiting;
	char	    from[400], to[400], copy[900];
	int64_t	    before;
	int	    probes = 0;

	/* Each of two workers has one connection. */
	for (int i = 0; i < 20; i++)
		ck_assert_int_le(trades(), 2);
	ck_assert_int_ne(fleet_get(fleet, "/rest?group=more&ms=1"), 200);
	ck_assert_int_eq(get_large(), 200);
	ask(&waiting, 8, "/trade?group=odd&ms=300");
	fleet_wait(look("b").waiting >= 1);

	fleet_edit(fleet, "group \"odd\" { role = standby connection_count = 2 "
	    "acquire_timeout = 20s }", "group \"more\" { role = any }");
	fleet_edit(fleet, "primary connection_count = 1",
	    "primary connection_count = 8");
	fleet_edit(fleet, "interval = 1h", "interval = 50ms");
	fleet_edit(fleet, "graceful_timeout", "http { max_header_size = 1kB }\n"
	    "graceful_timeout");
	snprintf(copy, sizeof(copy), "cp %s %s/other.so",
	    getenv("MEWS_TEST_SLEEPER"), fleet->dir);
	ck_assert_int_eq(system(copy), 0);
	snprintf(from, sizeof(from), "app = \"%s\"",
	    getenv("MEWS_TEST_SLEEPER"));
	snprintf(to, sizeof(to), "app = \"%s/other.so\"", fleet->dir);
	fleet_edit(fleet, from, to);
	reload();

	assert_answered(&waiting);
	ck_assert_int_eq(fleet_get(fleet, "/rest?group=more&ms=1"), 200);
	ck_assert_int_ne(fleet_get(fleet, "/rest?group=odd&ms=1"), 200);
	ck_assert_int_ne(get_large(), 200);
	ck_assert(is_loaded(fleet_get_worker(fleet), "/other.so"));
	fleet_wait(trades() >= 3);
	before = look("b").probed_ms;
	while (probes < 4) {
		fleet_wait(look("b").probed_ms < before ||
		    (before = look("b").probed_ms) < 0);
		probes++;
	}
}

/* Transactions on the endpoint end; when it is added again, they still
 * count. */
static void
take_an_endpoint_away(void)
{
	struct once held;
	char	    line[600], again[700];

	snprintf(line, sizeof(line), "endpoint \"b\" { conninfo = \"%s\" }\n",
	    getenv("MEWS_B"));
	ask(&held, 8, "/trade?group=stand&ms=1500");
	fleet_wait(look("b").connections >= 1);
	fleet_edit(fleet, line, "");
	reload();
	ck_assert_uint_eq(look("b").endpoints, 0);
	ck_assert_uint_eq(look("c").endpoints, 1);
	ck_assert_int_eq(fleet_get(fleet, "/trade?group=stand&ms=1"), 200);
	snprintf(again, sizeof(again), "%sgroup \"any\"", line);
	fleet_edit(fleet, "group \"any\"", again);
	reload();
	ck_assert_uint_eq(look("b").endpoints, 1);
	assert_answered(&held);
	fleet_wait(look("b").connections >= 1);
}

/* Exactly the mistakes of these lines are reported. */
static void
assert_refused(const char *const *told, int count)
{
	const struct seen before = look("b");
	struct seen	  now;
	char		  text[400];
	int		  refused = fleet_logged(fleet, "event=reload_refused");
	int mistakes = fleet_logged(fleet, "event=reload_mistake");

	fleet_signal(fleet, SIGHUP);
	fleet_wait(fleet_logged(fleet, "event=reload_refused") > refused);
	for (int i = 0; i < count; i++) {
		snprintf(text, sizeof(text), "mistake=\"%s:%s", fleet->config,
		    told[i]);
		ck_assert_msg(fleet_logged(fleet, text) == 1, "%s: %.3000s",
		    text, fleet_log_text(fleet));
	}
	ck_assert_int_eq(fleet_logged(fleet, "event=reload_mistake"),
	    mistakes + count);
	now = look("b");
	ck_assert_int_eq(now.count, 2);
	for (int i = 0; i < 2; i++)
		ck_assert(now.workers[i] == before.workers[0] ||
		    now.workers[i] == before.workers[1]);
}

static void
break_it(void)
{
	static const struct {
		const char *good, *bad;
	} edits[] = {
		{ "workers = 2", "workers = many" },
		{ "role = standby", "role = none" },
		{ "interval = 50ms", "interval = 50ms fall = 99" },
		{ "max_header_size = 1kB", "max_header_size = 1" },
		{ "graceful_timeout = 30s", "graceful_timeout = soon" },
	};
	static const char *const all[] = { "5: ", "13: ", "16: ", "17: ",
		"18: " };
	static const char *const app[] = { "2: " };
	static const char *const fixed[] = { "3: instance cannot change",
		"5: workers: no room" };
	const int count = (int)(sizeof(edits) / sizeof(edits[0]));

	fleet_wait(look("b").count == 2);
	for (int i = 0; i < count; i++)
		fleet_edit(fleet, edits[i].good, edits[i].bad);
	assert_refused(all, count);
	for (int i = 0; i < count; i++)
		fleet_edit(fleet, edits[i].bad, edits[i].good);
	fleet_edit(fleet, "app = \"", "app = \"/etc/passwd\" # \"");
	assert_refused(app, 1);
	fleet_edit(fleet, "app = \"/etc/passwd\" # \"", "app = \"");
	fleet_edit(fleet, "instance = \"test\"", "instance = \"tost\"");
	fleet_edit(fleet, "workers = 2", "workers = 200");
	assert_refused(fixed, 2);
	fleet_edit(fleet, "instance = \"tost\"", "instance = \"test\"");
	fleet_edit(fleet, "workers = 200", "workers = 2");
}

static void
change_the_log(void)
{
	char log[400], text[500];

	snprintf(log, sizeof(log), "%s/other.log", fleet->runtime);
	snprintf(text, sizeof(text), "log = \"file:%s\"\nlog_level = info",
	    log);
	fleet_edit(fleet, "log_level = info", text);
	reload();
	ck_assert_int_eq(access(log, F_OK), 0);
	fleet_edit(fleet, text, "log_level = info");
	reload();
}

START_TEST(reloads_under_load_change_what_they_name)
{
	struct load *load;

	start();
	load = load_begin_with(fleet, clients, CLIENTS);
	change_most();
	take_an_endpoint_away();
	break_it();
	change_the_log();
	load_end(fleet, load, "5 reloads that change something, 3 refused");
	ck_assert_int_eq(fleet_end(fleet, SIGTERM), 0);
	ck_assert_int_eq(fleet_logged(fleet, "event=drain_timeout"), 0);
	ck_assert_int_eq(fleet_logged(fleet, "event=orphan_ended"), 0);
}
END_TEST

/*
 * --- processes that attach, to a monitor that is reloaded, ended, killed ---
 */

struct guests {
	_Atomic bool	 over;
	_Atomic unsigned answered, failed, attached;
	char		 why[200]; /* why the first failed call did */
};

/* Attach, however long that takes: just now there may be no fleet. */
static void
guest_attach(struct mews_fleet **guest, struct mews_pool **pool)
{
	struct mews_config *config = mews_config_new(MEWS_ABI);
	struct mews_error   error;
	char		    path[400];

	snprintf(path, sizeof(path), "%s/test.segment", fleet->runtime);
	mews_config_set(config, "instance", "test", NULL);
	mews_config_set(config, "runtime_file", path, NULL);
	mews_config_set(config, "endpoint.s.conninfo", getenv("MEWS_A"), NULL);
	mews_config_set(config, "endpoint.b.conninfo", getenv("MEWS_B"), NULL);
	mews_config_set(config, "group.write.role", "primary", NULL);
	mews_config_set(config, "group.any.role", "any", NULL);
	while (mews_fleet_attach(guest, config, &error) != MEWS_OK)
		usleep(5000);
	mews_config_free(&config);
	if (mews_fleet_join(*guest, &error) != MEWS_OK ||
	    mews_pool_open(pool, *guest, NULL, NULL, &error) != MEWS_OK)
		_exit(1);
}

/* Run a transaction, or a read; returns what went wrong, or NULL. */
static const char *
guest_ask(struct mews_pool *pool, bool trades)
{
	struct mews_query_args args = {
		.sql = "select pg_sleep(0.02) /* guest */" };
	struct mews_group  *group = mews_pool_group(pool,
	    trades ? "write" : "any");
	struct mews_result *result = NULL;
	struct mews_lease  *lease = NULL;
	enum mews_status    status;

	if (!trades)
		status = mews_query_run(group, &args, &result);
	else if ((status = mews_lease_begin_run(group, 0, &lease)) == MEWS_OK &&
	    (status = mews_lease_transaction(lease, NULL)) == MEWS_OK) {
		status = mews_lease_query_run(lease, &args, &result);
		mews_result_free(&result);
		if (status == MEWS_OK)
			status = mews_lease_commit_run(lease, &result);
	}
	mews_result_free(&result);
	mews_lease_end(&lease);
	return status == MEWS_OK ? NULL : mews_status_name(status);
}

static void
be_guest(struct guests *guests, bool trades)
{
	struct mews_fleet *guest = NULL;
	struct mews_pool  *pool = NULL;
	const char	  *why;

	while (!atomic_load(&guests->over)) {
		if (guest == NULL) {
			guest_attach(&guest, &pool);
			atomic_fetch_add(&guests->attached, 1);
		}
		if ((why = guest_ask(pool, trades)) == NULL)
			atomic_fetch_add(&guests->answered, 1);
		else if (atomic_fetch_add(&guests->failed, 1) == 0)
			snprintf(guests->why, sizeof(guests->why), "%s", why);
		if (mews_fleet_turn(guest) == MEWS_TURN_PAST) {
			mews_pool_close(&pool);
			mews_fleet_destroy(&guest);
		}
	}
	mews_pool_close(&pool);
	mews_fleet_destroy(&guest);
	_exit(0);
}

#define GUESTS 4

/* Guests attach anew after the monitor's reload, its proper end, and its
 * death. */
START_TEST(a_monitor_changes_under_load_and_no_guest_sees_it)
{
	struct guests *guests = mmap(NULL, sizeof(*guests),
	    PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t	       pids[GUESTS];
	unsigned       answered, attached = GUESTS;
	char	       more[1500];
	int	       status;

	fleet_ignore_leaks();
	snprintf(more, sizeof(more),
	    "endpoint \"s\" { conninfo = \"%s\" }\n"
	    "endpoint \"b\" { conninfo = \"%s\" }\n"
	    "group \"any\" { role = any }\ngroup \"write\" { role = primary }\n"
	    "health { interval = 1s }\n", getenv("MEWS_A"), getenv("MEWS_B"));
	fleet_init(fleet, more);
	ck_assert_int_eq(chown(fleet->config, fleet_user(), (gid_t)-1), 0);
	ck_assert_int_eq(setuid(fleet_user()), 0);
	fleet_keep(fleet);
	for (int i = 0; i < GUESTS; i++)
		if ((pids[i] = fork()) == 0)
			be_guest(guests, i % 2 == 0);
	for (int round = 0; round < 4; round++) {
		fleet_wait(atomic_load(&guests->attached) >= attached);
		attached += GUESTS;
		answered = atomic_load(&guests->answered);
		fleet_wait(atomic_load(&guests->answered) > answered + 20);
		if (round == 0) {
			fleet_edit(fleet, "interval = 1s", "interval = 100ms");
			reload();
		} else if (round < 3) {
			fleet_end(fleet, round == 1 ? SIGTERM : SIGKILL);
			answered = atomic_load(&guests->answered);
			fleet_wait(atomic_load(&guests->answered) >
			    answered + 20);
			fleet_keep(fleet);
		}
	}
	atomic_store(&guests->over, true);
	for (int i = 0; i < GUESTS; i++) {
		ck_assert_int_eq(waitpid(pids[i], &status, 0), pids[i]);
		ck_assert_int_eq(status, 0);
	}
	ck_assert_msg(guests->failed == 0, "%u of %u; the first: %s",
	    guests->failed, guests->answered, guests->why);
	fprintf(stderr, "# 3 monitors, 1 reload: %u transactions and queries, "
	    "%u failed\n", guests->answered, guests->failed);
	ck_assert_int_eq(look("b").count, 0);
	ck_assert_int_eq(fleet_end(fleet, SIGTERM), 0);
}
END_TEST

static Suite *
changes_suite(void)
{
	Suite *suite = suite_create("changes");
	TCase *tcase = unit_case(suite, "changes");

	tcase_set_timeout(tcase, 180);
	tcase_add_unchecked_fixture(tcase, fleet_make_base,
	    fleet_remove_base);
	tcase_add_test(tcase, reloads_under_load_change_what_they_name);
	tcase_add_test(tcase,
	    a_monitor_changes_under_load_and_no_guest_sees_it);
	return suite;
}

UNIT_MAIN(changes_suite)
