/*
 * turnover.c - for tests/turnover: workers are recycled, and the fleet is
 * reloaded, while requests, transactions and slow queries are in flight.
 *
 * From the environment: MEWS_TURNOVER_RECYCLED and MEWS_TURNOVER_RELOADS, how
 * many; MEWS_A and MEWS_B, a primary and a standby; MEWS_TEST_SLEEPER, the
 * application.
 */
#include "fleet.h"
#include "load.h"
#include "unit.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/param.h>

#define PATIENCE_MS 60000 /* the longest wait for one more recycled worker */
#define PLAIN	    32
#define TRADES	    8
#define RESTS	    8
#define CLIENTS	    (PLAIN + TRADES + RESTS)

static struct fleet	   the_fleet;
static struct fleet *const fleet = &the_fleet;
static struct said	   said;

/* 1,600 plain requests a second, 200 transactions, 200 queries of 20 ms. */
static struct load *
begin_load(void)
{
	static struct load_client clients[CLIENTS];

	for (int i = 0; i < CLIENTS; i++)
		clients[i] = i < PLAIN ?
		    (struct load_client) { "/", 20000, 0 } :
		    i < PLAIN + TRADES ?
		    (struct load_client) { "/trade?group=write&ms=20", 40000,
			0 } :
		    (struct load_client) { "/rest?group=any&ms=20", 40000, 0 };
	return load_begin_with(fleet, clients, CLIENTS);
}

static void
start(const char *settings)
{
	char more[1500];

	setenv("MEWS_TEST_APP", getenv("MEWS_TEST_SLEEPER"), 1);
	snprintf(more, sizeof(more), "%s"
	    "endpoint \"s\" { conninfo = \"%s\" }\n"
	    "endpoint \"b\" { conninfo = \"%s\" }\n"
	    "group \"any\" { role = any connection_count = 4 }\n"
	    "group \"write\" { role = primary connection_count = 4 }\n",
	    settings, getenv("MEWS_A"), getenv("MEWS_B"));
	fleet_init(fleet, more);
	fleet_edit(fleet, "log_level = debug", "log_level = info");
	fleet_edit(fleet, "workers = 2", "workers = 4");
	fleet_start(fleet);
	fleet_wait(fleet_get(fleet, "/trade?group=write&ms=1") == 200);
	fleet_wait(fleet_get(fleet, "/rest?group=any&ms=1") == 200);
}

static int
how_many(const char *variable)
{
	const char *text = getenv(variable);

	return text != NULL ? atoi(text) : 0;
}

/* Read what is new in the log; returns how many lines have @word. None may be
 * an error. */
static int
read_log(FILE *log, const char *word)
{
	static char line[4096];
	int	    count = 0;

	clearerr(log);
	while (fgets(line, sizeof(line), log) != NULL) {
		count += strstr(line, word) != NULL;
		ck_assert_msg(strstr(line, "level=error") == NULL, "%s", line);
		ck_assert_msg(strstr(line, "drain_timeout") == NULL, "%s",
		    line);
	}
	return count;
}

START_TEST(no_request_is_lost_while_workers_are_recycled)
{
	const int    wanted = how_many("MEWS_TURNOVER_RECYCLED");
	struct load *load;
	FILE	    *log;
	int	     recycled = 0, more, told = 0;
	int64_t	     began, last;

	start("max_requests = 200\n");
	ck_assert_ptr_nonnull(log = fopen(fleet->log, "re"));
	load = begin_load();
	began = last = fleet_now();
	while (recycled < wanted) {
		usleep(100000);
		more = read_log(log, "event=worker_recycled ");
		recycled += more;
		if (more > 0)
			last = fleet_now();
		ck_assert_msg(fleet_now() - last < PATIENCE_MS,
		    "none was recycled for a minute, after %d", recycled);
		if (recycled / 100 > told) {
			told = recycled / 100;
			fprintf(stderr, "# %d recycled, %u requests, %u "
			    "failed\n", recycled, load->answered,
			    load->failed);
		}
	}
	fprintf(stderr, "# %d workers were recycled in %jd s\n", recycled,
	    (intmax_t)(fleet_now() - began) / 1000);
	load_end(fleet, load, "recycled");
	ck_assert_int_eq(fleet_end(fleet, SIGTERM), 0);
	read_log(log, "");
	fclose(log);
}
END_TEST

static int
compare(const void *a, const void *b)
{
	const int64_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

#define RELOADS_MAX 1000

START_TEST(no_request_is_lost_in_reloads)
{
	static int64_t took[RELOADS_MAX];
	const int count = MIN(how_many("MEWS_TURNOVER_RELOADS"), RELOADS_MAX);
	struct load *load;

	start("");
	load = begin_load();
	for (int i = 0; i < count; i++) {
		took[i] = fleet_now();
		mews(&said, "reload", "-c", fleet->config, NULL);
		ck_assert_msg(said.status == 0, "%s", said.err);
		took[i] = fleet_now() - took[i];
	}
	qsort(took, (size_t)count, sizeof(took[0]), compare);
	fprintf(stderr, "# of %d reloads the fastest took %jd ms, the median "
	    "%jd, the slowest %jd\n", count, (intmax_t)took[0],
	    (intmax_t)took[count / 2], (intmax_t)took[count - 1]);
	load_end(fleet, load, "reloads");
	ck_assert_int_eq(fleet_end(fleet, SIGTERM), 0);
}
END_TEST

static Suite *
turnover_suite(void)
{
	Suite *suite = suite_create("turnover");
	TCase *tcase = unit_case(suite, "turnover");

	tcase_set_timeout(tcase, 7200);
	tcase_add_unchecked_fixture(tcase, fleet_make_base,
	    fleet_remove_base);
	if (how_many("MEWS_TURNOVER_RELOADS") > 0)
		tcase_add_test(tcase, no_request_is_lost_in_reloads);
	if (how_many("MEWS_TURNOVER_RECYCLED") > 0)
		tcase_add_test(tcase,
		    no_request_is_lost_while_workers_are_recycled);
	return suite;
}

UNIT_MAIN(turnover_suite)
