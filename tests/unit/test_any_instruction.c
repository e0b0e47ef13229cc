/*
 * test_any_instruction.c - other processes go on, and a process may die,
 * between any two instructions.
 *
 * A process is stopped after one instruction of a call, then after two, and so
 * on to the end of the call.
 */
#include "inside_fleet.h"
#include "step.h"

#include "fleet/budget.h"
#include "fleet/endpoint.h"
#include "fleet/notice.h"
#include "fleet/orphan.h"

#define WORKERS 3
#define CAP	2

static const struct health_rules rules = {
	.interval = 1000, .timeout = 500, .fall = 15, .rise = 1,
};

/* Memory that the child and its parent share. */
static struct {
	struct step step;
	health_word word;
	_Atomic int result;
} *both;

static struct mews_fleet *fleet;

static void
make_fleet(void)
{
	both = shared(sizeof(*both));
	fleet = fleet_of(NULL, WORKERS, CAP);
}

static void
destroy_fleet(void)
{
	mews_fleet_destroy(&fleet);
}

/*
 * For each instruction of @work, or each @stride-th: stop there, do
 * @meanwhile(), let it run to its end, and judge.
 */
static void
overtake(void (*prepare)(void), void (*work)(void), int stride,
    void (*meanwhile)(void), void (*judge)(pid_t child))
{
	bool	more = true;

	for (int at = 1; more; at += stride * STEP_STRIDE) {
		pid_t	child = step_child(&both->step, prepare, work);

		more = step_on(&both->step, child, at);
		meanwhile();
		step_end(child);
		judge(child);
	}
}

/* --- the health word --- */

static void
report_failure(void)
{
	health_report(&both->word, HEALTH_PROBE_FAILED, true, 0, &rules, 0, 0);
}

static void
judge_failures(pid_t child)
{
	(void)child;
	ck_assert_uint_eq(health_get(&both->word).failures, 2);
	atomic_store(&both->word, 0);
}

START_TEST(a_report_that_is_overtaken_is_not_lost)
{
	overtake(NULL, report_failure, 1, report_failure, judge_failures);
}
END_TEST

static void
see_standby(void)
{
	health_see_role(&both->word, HEALTH_ROLE_STANDBY, 0);
}

static void
judge_failure_and_role(pid_t child)
{
	(void)child;
	ck_assert_uint_eq(health_get(&both->word).failures, 1);
	ck_assert_int_eq(health_get(&both->word).role, HEALTH_ROLE_STANDBY);
	atomic_store(&both->word, 0);
}

START_TEST(a_role_that_is_overtaken_is_not_lost)
{
	overtake(NULL, see_standby, 1, report_failure,
	    judge_failure_and_role);
}
END_TEST

static void
take_lease(void)
{
	if (health_lease(&both->word, HEALTH_WORKER, &rules, 5, false, 0))
		atomic_fetch_add(&both->result, 1);
}

static void
judge_lease(pid_t child)
{
	(void)child;
	ck_assert_int_eq(both->result, 1);
	ck_assert(health_get(&both->word).probing);
	atomic_store(&both->result, 0);
	atomic_store(&both->word, 0);
}

START_TEST(a_lease_that_is_overtaken_has_one_holder)
{
	overtake(NULL, take_lease, 1, take_lease, judge_lease);
}
END_TEST

/* --- slots --- */

static void
join(void)
{
	if (mews_fleet_join(fleet, NULL) == MEWS_OK)
		atomic_store(&both->result,
		    (int)(fleet->slot - fleet->segment.slots) + 1);
}

static void
join_too(void)
{
	ck_assert_int_eq(mews_fleet_join(fleet, NULL), MEWS_OK);
}

static void
judge_slots(pid_t child)
{
	ck_assert_int_ge(both->result, 1);
	ck_assert_int_eq(fleet->segment.slots[both->result - 1].pid, child);
	ck_assert_int_eq(fleet->slot->pid, getpid());
	mews_fleet_leave(fleet);
	ck_assert(mews_fleet_reap(fleet, child));
	for (int i = 0; i < WORKERS; i++)
		ck_assert_int_eq(fleet->segment.slots[i].pid, 0);
}

START_TEST(two_processes_that_join_get_two_slots)
{
	overtake(NULL, join, 5, join_too, judge_slots);
}
END_TEST

/* --- the budget --- */

static void
take_one(void)
{
	if (budget_take(fleet, 0) == BUDGET_OK)
		budget_dialed(fleet, 0, true);
}

/* Take all connections that there are, and give them back later. */
static void
take_all(void)
{
	while (budget_take(fleet, 0) == BUDGET_OK)
		budget_dialed(fleet, 0, true);
}

static void
judge_cap(pid_t child)
{
	uint32_t	sum = budget_sum(&fleet->segment, 0);

	ck_assert_uint_le(sum, CAP);
	ck_assert(mews_fleet_reap(fleet, child));
	while (fleet->slot->connections[0] > 0)
		budget_give(fleet, 0);
	ck_assert_uint_eq(budget_sum(&fleet->segment, 0), 0);
}

START_TEST(two_processes_do_not_exceed_the_cap)
{
	join();
	overtake(join, take_one, 5, take_all, judge_cap);
}
END_TEST

/* --- the news --- */

static struct notice then;

static void
report_death(void)
{
	endpoint_report(fleet, 0, HEALTH_REFUSED,
	    endpoint_health(fleet, 0).epoch);
}

static void
report_return(void)
{
	/* The parent's copy: what the child leased. */
	endpoint_verdict(fleet, 0, HEALTH_PROBE_OK,
	    endpoint_health(fleet, 0).epoch);
}

/* The changes that a dead process left unannounced: if anything changed, it is
 * found without the counter, and all that goes with a return is there. */
static void
judge_news(void)
{
	const struct segment_endpoint *a = &fleet->segment.endpoints[0];
	struct notice		       now = { 0 };
	struct health		       health = endpoint_health(fleet, 0);

	notice_read(&now, &fleet->segment);
	REQUIRE((health.state != then.candidates[0].health.state) <=
	    notice_differs(&then, &now, &fleet->segment, fleet->config));
	if (health.state != HEALTH_UP ||
	    then.candidates[0].health.state != HEALTH_DOWN)
		return;
	REQUIRE(a->up_ms != 0);
	REQUIRE(a->burst == MEWS_CONNECT_BURST_DEFAULT);
}

START_TEST(a_change_is_found_though_its_writer_died_unannounced)
{
	struct segment_endpoint *a = &fleet->segment.endpoints[0];
	int	 changed = 0;
	pid_t	 child;

	/* A probe's lease must outlast all that follows. */
	fleet->rules.timeout = 600000;
	atomic_store(&a->burst, 50);
	atomic_store(&a->health, health_pack((struct health) {
		.state = _i == 0 ? HEALTH_UP : HEALTH_DOWN }));
	if (_i == 1)
		ck_assert(endpoint_lease(fleet, 0, HEALTH_MONITOR, true,
		    0 - fleet->rules.interval));
	notice_read(&then, &fleet->segment);
	child = step_child(&both->step, NULL,
	    _i == 0 ? report_death : report_return);
	while (step_on(&both->step, child, 1)) {
		judge_news();
		changed += endpoint_health(fleet, 0).state !=
		    then.candidates[0].health.state;
	}
	step_kill(child);
	judge_news();
	ck_assert_int_gt(changed, 0);
	ck_assert_int_ne((int)endpoint_health(fleet, 0).state,
	    (int)then.candidates[0].health.state);
}
END_TEST

/* --- death --- */

/* Everything that a worker writes into its slot and its endpoint. */
static void
live(void)
{
	join();
	if (budget_take(fleet, 0) == BUDGET_OK)
		budget_dialed(fleet, 0, true);
	orphan_record(fleet->slot, 0, 99, 0);
	mews_fleet_count_requests(fleet, 1);
	health_report(&fleet->segment.endpoints[0].health, HEALTH_REFUSED,
	    false, endpoint_health(fleet, 0).epoch, &rules, 1, 2);
	budget_give(fleet, 0);
	mews_fleet_leave(fleet);
}

static void
judge_remains(pid_t child)
{
	mews_fleet_reap(fleet, child);
	for (int i = 0; i < WORKERS; i++) {
		const struct segment_slot *slot = &fleet->segment.slots[i];

		REQUIRE(slot->pid == 0);
		REQUIRE(slot->state == MEWS_WORKER_FREE);
		REQUIRE(slot->requests == 0);
		REQUIRE(slot->connections[0] == 0);
		REQUIRE(slot->dialing[0] == 0);
		REQUIRE(slot->backends[0].word == 0);
	}
	/* Work goes on, once the server has let go as well. */
	for (uint32_t i = 0; i < SEGMENT_ORPHANS; i++)
		orphan_gone(&fleet->segment, i);
	REQUIRE(mews_fleet_join(fleet, NULL) == MEWS_OK);
	for (int i = 0; i < CAP; i++) {
		REQUIRE(budget_take(fleet, 0) == BUDGET_OK);
		budget_dialed(fleet, 0, true);
	}
	mews_fleet_leave(fleet);
}

/* A stopped process is as good as a dead one: after judging, its effects are
 * undone and it runs one more instruction. */
START_TEST(a_process_that_dies_leaves_nothing_behind)
{
	size_t	size = fleet->segment.size;
	void   *kept = malloc(size);
	pid_t	child = step_child(&both->step, NULL, live);
	int	seen = 0, taken = 0;

	ck_assert_ptr_nonnull(kept);
	while (step_on(&both->step, child, 2 * STEP_STRIDE)) {
		seen++;
		taken += budget_sum(&fleet->segment, 0) == 1;
		memcpy(kept, fleet->segment.header, size);
		judge_remains(child);
		memcpy(fleet->segment.header, kept, size);
	}
	step_kill(child);
	judge_remains(child);
	ck_assert_int_gt(seen, 100 / STEP_STRIDE);
	ck_assert_int_gt(taken, 0);
	free(kept);
}
END_TEST

static Suite *
any_instruction_suite(void)
{
	Suite	*suite = suite_create("any instruction");
	TCase	*tcase = unit_case(suite, "stops");

	tcase_add_checked_fixture(tcase, make_fleet, destroy_fleet);
	tcase_add_test(tcase, a_report_that_is_overtaken_is_not_lost);
	tcase_add_test(tcase, a_role_that_is_overtaken_is_not_lost);
	tcase_add_test(tcase, a_lease_that_is_overtaken_has_one_holder);
	tcase_add_test(tcase, two_processes_that_join_get_two_slots);
	tcase_add_test(tcase, two_processes_do_not_exceed_the_cap);
	tcase_add_loop_test(tcase,
	    a_change_is_found_though_its_writer_died_unannounced, 0, 2);
	tcase_add_test(tcase, a_process_that_dies_leaves_nothing_behind);
	return suite;
}

int
main(void)
{
	if (!step_possible()) {
		puts("1..0 # SKIP this system does not let us trace");
		return EXIT_SUCCESS;
	}
	return unit_run(any_instruction_suite());
}
