/*
 * test_endpoint.c - a transition is stored, logged and told, once.
 */
#include "inside_fleet.h"

#include "base/clock.h"
#include "fleet/endpoint.h"
#include "pool/news.h"

#define WORKERS	  8
#define LOG_LINES 64

static struct mews_fleet *fleet;

/* Lines of the log, of all processes. */
static struct {
	_Atomic unsigned count;
	struct {
		enum mews_log_level level;
		char text[256];
	} lines[LOG_LINES];
} *logged;

static void
keep_line(void *arg, enum mews_log_level level, const char *event,
    const char *text)
{
	unsigned	at = atomic_fetch_add(&logged->count, 1);

	ck_assert_ptr_eq(arg, logged);
	ck_assert_str_eq(event, "endpoint");
	ck_assert_uint_lt(at, LOG_LINES);
	logged->lines[at].level = level;
	snprintf(logged->lines[at].text, sizeof(logged->lines[at].text), "%s",
	    text);
}

static void
make_fleet(void)
{
	fleet = fleet_of(NULL, WORKERS, 0);
	logged = shared(sizeof(*logged));
	mews_fleet_set_log(fleet, keep_line, logged);
}

static void
destroy_fleet(void)
{
	mews_fleet_destroy(&fleet);
}

/* How many workers' eventfds were poked since the last call. */
static int
woken(void)
{
	int		 count = 0;
	uint64_t	 value;

	for (int i = 0; i < WORKERS; i++)
		count += read(fleet->line->wakes[i], &value, sizeof(value)) ==
		    (ssize_t)sizeof(value);
	return count;
}

static void
just_join(void *arg, int number)
{
	(void)arg;
	(void)number;
	ck_assert_int_eq(mews_fleet_join(fleet, NULL), MEWS_OK);
}

/* The report of each step, and its line in the log; NULL: none. */
static const struct {
	enum health_evidence evidence;
	enum mews_log_level level;
	const char *text;
} steps[] = {
	{ HEALTH_LOST, 0, NULL },
	{ HEALTH_PROBE_OK, MEWS_LOG_INFO, "endpoint=b from=unknown to=up "
	  "role=unknown evidence=probe_ok epoch=0 failures=0" },
	{ HEALTH_PROBE_OK, 0, NULL },
	{ HEALTH_CONNECTED, 0, NULL },
	{ HEALTH_LOST, MEWS_LOG_WARNING, "endpoint=b from=up to=suspect "
	  "role=unknown evidence=connection_lost epoch=0 failures=0" },
	{ HEALTH_STALL, 0, NULL },
	/* From here on, unanswered reads of the suspect may be asked
	 * elsewhere. */
	{ HEALTH_PROBE_FAILED, MEWS_LOG_WARNING, "endpoint=b from=suspect "
	  "to=suspect role=unknown evidence=probe_failed epoch=0 "
	  "failures=1" },
	{ HEALTH_PROBE_FAILED, MEWS_LOG_WARNING, "endpoint=b from=suspect "
	  "to=down role=unknown evidence=probe_failed epoch=1 failures=1" },
	{ HEALTH_REFUSED, 0, NULL },
	{ HEALTH_PROBE_OK, MEWS_LOG_INFO, "endpoint=b from=down to=up "
	  "role=unknown evidence=probe_ok epoch=2 failures=0" },
	{ HEALTH_REFUSED, MEWS_LOG_WARNING, "endpoint=b from=up to=down "
	  "role=unknown evidence=refused epoch=3 failures=1" },
};

START_TEST(each_transition_is_told_once)
{
	const struct segment_endpoint *b = &fleet->segment.endpoints[1];
	unsigned		       told = 0;

	in_children(3, just_join, NULL);
	for (int i = 0; i < COUNT(steps); i++) {
		uint64_t before = health_pack(endpoint_health(fleet, 1));

		endpoint_report(fleet, 1, steps[i].evidence,
		    endpoint_health(fleet, 1).epoch);
		/* A report that changed nothing gives no reason. */
		if (health_pack(endpoint_health(fleet, 1)) != before)
			ck_assert_uint_eq(b->evidence, steps[i].evidence);
		if (steps[i].text != NULL) {
			ck_assert_uint_eq(logged->count, told + 1);
			ck_assert_str_eq(logged->lines[told].text,
			    steps[i].text);
			ck_assert_int_eq(logged->lines[told].level,
			    steps[i].level);
			told++;
			ck_assert_int_ne(b->changed_ms, 0);
		}
		ck_assert_uint_eq(logged->count, told);
		ck_assert_uint_eq(fleet->segment.header->changes, told);
		/* The three workers with a slot were poked, and no other. */
		ck_assert_int_eq(woken(), steps[i].text != NULL ? 3 : 0);
	}
	ck_assert_uint_eq(fleet->segment.endpoints[0].health, 0);
}
END_TEST

START_TEST(a_change_of_role_is_told_once)
{
	in_children(3, just_join, NULL);
	endpoint_report(fleet, 0, HEALTH_PROBE_OK, 0);
	logged->count = 0;
	woken();
	/* The first sight of a role changes routes, but is no news. */
	for (int i = 0; i < 2; i++) {
		ck_assert_uint_eq(endpoint_see_role(fleet, 0,
		    HEALTH_ROLE_STANDBY, 0), 0);
		ck_assert_uint_eq(logged->count, 0);
		ck_assert_int_eq(woken(), i == 0 ? 3 : 0);
	}
	for (int i = 0; i < 2; i++) {
		/* The second report is of an epoch that ended. */
		ck_assert_uint_eq(endpoint_see_role(fleet, 0,
		    HEALTH_ROLE_PRIMARY, 0), i == 0 ? 1 : 0);
		ck_assert_uint_eq(logged->count, 1);
		ck_assert_int_eq(woken(), i == 0 ? 3 : 0);
	}
	ck_assert_str_eq(logged->lines[0].text, "endpoint=a from=up to=up "
	    "role=primary evidence=role_changed epoch=1 failures=0");
	ck_assert_uint_eq(fleet->segment.endpoints[0].evidence,
	    HEALTH_ROLE_CHANGED);
}
END_TEST

START_TEST(a_stale_report_is_not_told)
{
	endpoint_report(fleet, 0, HEALTH_REFUSED, 0);
	ck_assert_uint_eq(logged->count, 1);
	endpoint_report(fleet, 0, HEALTH_PROBE_OK, 0);
	ck_assert_uint_eq(endpoint_see_role(fleet, 0, HEALTH_ROLE_PRIMARY, 0),
	    0);
	ck_assert_uint_eq(logged->count, 1);
	ck_assert_uint_eq(fleet->segment.header->changes, 1);
	ck_assert_uint_eq(fleet->segment.endpoints[0].evidence,
	    HEALTH_REFUSED);
	ck_assert_int_eq(endpoint_health(fleet, 0).state, HEALTH_DOWN);
}
END_TEST

START_TEST(a_server_that_comes_back_is_not_stormed)
{
	struct segment_endpoint *a = &fleet->segment.endpoints[0];

	a->burst = 50;
	ck_assert(endpoint_lease(fleet, 0, HEALTH_WORKER, false, 0));
	endpoint_verdict(fleet, 0, HEALTH_PROBE_OK, 0);
	ck_assert_int_eq(a->up_ms, 0);		/* never away */
	ck_assert_uint_eq(a->burst, 50);
	endpoint_report(fleet, 0, HEALTH_REFUSED, 0);
	ck_assert(endpoint_lease(fleet, 0, HEALTH_MONITOR, true,
	    0 - fleet->rules.interval));
	endpoint_verdict(fleet, 0, HEALTH_PROBE_OK, 1);
	ck_assert_int_eq(endpoint_health(fleet, 0).state, HEALTH_UP);
	ck_assert_int_ne(a->up_ms, 0);
	ck_assert_uint_eq(a->burst, MEWS_CONNECT_BURST_DEFAULT);
	ck_assert_int_eq(a->changed_by, getpid());
}
END_TEST

START_TEST(a_verdict_ends_the_probe_lease)
{
	ck_assert(endpoint_lease(fleet, 0, HEALTH_WORKER, false, 0));
	endpoint_report(fleet, 0, HEALTH_REFUSED, 0);
	ck_assert(endpoint_health(fleet, 0).probing);
	/* A good probe counts, however late it is. */
	endpoint_verdict(fleet, 0, HEALTH_PROBE_OK, 0);
	ck_assert(!endpoint_health(fleet, 0).probing);
	ck_assert_int_eq(endpoint_health(fleet, 0).state, HEALTH_DOWN);
	ck_assert_uint_eq(logged->count, 1);
}
END_TEST

/* Move the fleet's clock on by @ms. */
static void
age_fleet(uint32_t ms)
{
	fleet->segment.header->made_us -= (int64_t)ms * 1000;
}

START_TEST(a_bad_verdict_without_the_probe_lease_changes_nothing)
{
	struct mews_fleet	other = *fleet;
	uint64_t		word;

	fleet->rules.timeout = other.rules.timeout = 60000;
	ck_assert(endpoint_lease(fleet, 0, HEALTH_WORKER, false, 0));
	age_fleet(60000 + HEALTH_LEASE_SPARE);
	ck_assert(endpoint_lease(&other, 0, HEALTH_WORKER, false, 0));
	word = fleet->segment.endpoints[0].health;
	for (int i = 0; i < HEALTH_EVIDENCES; i++) {
		if (i == HEALTH_PROBE_OK || i == HEALTH_REJECTED ||
		    i == HEALTH_TOO_MANY)
			continue;
		endpoint_verdict(fleet, 0, (enum health_evidence)i, 0);
		ck_assert(fleet->segment.endpoints[0].health == word);
	}
	endpoint_verdict(fleet, 0, HEALTH_PROBE_OK, 0);
	ck_assert(endpoint_health(fleet, 0).probing);
	ck_assert_int_eq(endpoint_health(fleet, 0).state, HEALTH_UP);
	endpoint_verdict(&other, 0, HEALTH_PROBE_OK, 0);
	ck_assert(!endpoint_health(fleet, 0).probing);
	ck_assert_int_eq(endpoint_health(fleet, 0).state, HEALTH_UP);
}
END_TEST

/* The process that changed the word died before it raised the counter. */
START_TEST(a_pool_finds_changes_that_were_not_announced)
{
	struct mews_pool       *pool;
	struct segment_endpoint *a = &fleet->segment.endpoints[0];
	struct mews_error	error;
	int64_t			until = clock_now_us() + 45000000;
	uint32_t		changes;

	mews_fleet_set_log(fleet, NULL, NULL);
	ck_assert_int_eq(mews_fleet_join(fleet, &error), MEWS_OK);
	ck_assert_int_eq(mews_pool_open(&pool, fleet, NULL, NULL, &error),
	    MEWS_OK);
	while (pool->endpoints[0].state != HEALTH_DOWN) {
		ck_assert(clock_now_us() < until);
		mews_pool_turn(pool, 10);
	}
	changes = news_changes(pool);
	atomic_store(&a->health, health_pack((struct health) {
		.state = HEALTH_UP, .role = HEALTH_ROLE_STANDBY,
		.epoch = 7 }));
	while (pool->endpoints[0].state != HEALTH_UP) {
		ck_assert(clock_now_us() < until);
		mews_pool_turn(pool, 10);
	}
	ck_assert_int_eq(pool->noticed.candidates[0].health.epoch, 7);
	atomic_store(&a->drained, 1);
	while (!pool->noticed.candidates[0].drained) {
		ck_assert(clock_now_us() < until);
		mews_pool_turn(pool, 10);
	}
	segment_set_timeline(a, 9, true);
	while (pool->noticed.candidates[0].timeline != 9) {
		ck_assert(clock_now_us() < until);
		mews_pool_turn(pool, 10);
	}
	ck_assert_uint_eq(news_changes(pool), changes);
	mews_pool_close(&pool);
	mews_fleet_leave(fleet);
}
END_TEST

static void
see_the_death(void *arg, int number)
{
	_Atomic unsigned	*begin = arg;

	(void)number;
	for (unsigned round = 0; round < LOG_LINES; round++) {
		gate(begin, WORKERS, 2 * round);
		endpoint_report(fleet, 0, HEALTH_REFUSED, round);
		gate(begin, WORKERS, 2 * round + 1);
		if (number == 0)
			atomic_store(&fleet->segment.endpoints[0].health,
			    health_pack((struct health) {
				.state = HEALTH_UP, .epoch = round + 1 }));
	}
}

START_TEST(a_death_that_all_see_is_told_by_one)
{
	_Atomic unsigned	*begin = shared(sizeof(*begin));

	in_children(WORKERS, see_the_death, begin);
	ck_assert_uint_eq(logged->count, LOG_LINES);
	ck_assert_uint_eq(fleet->segment.header->changes, LOG_LINES);
}
END_TEST

START_TEST(the_prober_notes_when_it_began)
{
	struct segment_endpoint *a = &fleet->segment.endpoints[0];
	uint32_t		 retry;

	/* Set back the fleet's birth by a minute; no delay of this test ends
	 * the lease. */
	fleet->rules.timeout = 60000;
	fleet->segment.header->made_us -= 60000000;
	ck_assert(endpoint_lease(fleet, 0, HEALTH_WORKER, false, 0));
	ck_assert_int_ge(a->probed_ms, 60000);
	retry = endpoint_health(fleet, 0).retry_ms;
	ck_assert_int_eq((int64_t)retry, a->probed_ms + fleet->rules.timeout +
	    HEALTH_LEASE_SPARE);
	ck_assert(!endpoint_lease(fleet, 0, HEALTH_WORKER, true, 0));
	ck_assert_uint_eq(endpoint_health(fleet, 0).retry_ms, retry);
	ck_assert_int_eq(a->probed_ms, (int64_t)retry - fleet->rules.timeout -
	    HEALTH_LEASE_SPARE);
	ck_assert_uint_eq(logged->count, 0);
}
END_TEST

static Suite *
endpoint_suite(void)
{
	Suite	*suite = suite_create("endpoint");
	TCase	*tcase = unit_case(suite, "transitions");

	tcase_add_checked_fixture(tcase, make_fleet, destroy_fleet);
	tcase_add_test(tcase, each_transition_is_told_once);
	tcase_add_test(tcase, a_change_of_role_is_told_once);
	tcase_add_test(tcase, a_stale_report_is_not_told);
	tcase_add_test(tcase, a_server_that_comes_back_is_not_stormed);
	tcase_add_test(tcase, a_verdict_ends_the_probe_lease);
	tcase_add_test(tcase,
	    a_bad_verdict_without_the_probe_lease_changes_nothing);
	tcase_add_test(tcase, a_pool_finds_changes_that_were_not_announced);
	tcase_add_test(tcase, a_death_that_all_see_is_told_by_one);
	tcase_add_test(tcase, the_prober_notes_when_it_began);
	return suite;
}

UNIT_MAIN(endpoint_suite)
