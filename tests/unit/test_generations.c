/*
 * test_generations.c - one segment, from one configuration to the next.
 *
 * Endpoints are written as "NAME" or "NAME PORT"; the port is 1 otherwise.
 */
#include "inside_fleet.h"

#include "fleet/budget.h"
#include "fleet/endpoint.h"
#include "fleet/orphan.h"
#include "pool/share.h"

#include <mews/foreign.h>
#include <mews/monitor.h>
#include <mews/view.h>

#define WORKERS 8

static struct mews_fleet *fleet, *next;
static struct mews_error error;

/* A configuration of these endpoints, each with the cap @cap. */
struct plan {
	struct mews_config config;
	struct mews_endpoint_config endpoints[MEWS_ENDPOINTS_MAX];
	char names[MEWS_ENDPOINTS_MAX][16];
	char conninfos[MEWS_ENDPOINTS_MAX][40];
	struct mews_group_config group;
};

static const struct mews_config *
plan(struct plan *p, const char *group, uint32_t cap, const char *list)
{
	size_t	count = 0;
	int	port, length, more;

	memset(p, 0, sizeof(*p));
	for (; *list != '\0'; list += length, count++) {
		port = 1;
		ck_assert_int_ge(sscanf(list, "%15[a-z0-9]%n", p->names[count],
		    &length), 1);
		if (sscanf(list + length, " %d%n", &port, &more) == 1)
			length += more;
		length += (int)strspn(list + length, ", ");
		snprintf(p->conninfos[count], sizeof(p->conninfos[count]),
		    "host=127.0.0.1 port=%d", port);
		p->endpoints[count] = (struct mews_endpoint_config) {
			.name = p->names[count],
			.conninfo = p->conninfos[count],
			.max_connections = cap,
		};
	}
	p->group.name = group;
	p->config = (struct mews_config) {
		.abi = MEWS_ABI, .instance = "test", .workers = WORKERS,
		.endpoints = p->endpoints, .endpoint_count = count,
		.groups = &p->group, .group_count = 1,
	};
	return &p->config;
}

static void
create(uint32_t cap, const char *list)
{
	struct plan	p;

	ck_assert_msg(mews_fleet_create(&fleet, plan(&p, "g", cap, list),
	    &error) == MEWS_OK, "%s", error.message);
}

static void
renew(uint32_t cap, const char *list)
{
	struct plan	p;

	ck_assert_msg(mews_fleet_renew(&next, fleet, plan(&p, "g", cap, list),
	    &error) == MEWS_OK, "%s", error.message);
	mews_fleet_resolve(next);
}

/* The next generation serves; no process is forked from the one before. */
static void
take_over(void)
{
	mews_fleet_switch(next);
	mews_fleet_destroy(&fleet);
	fleet = next;
	next = NULL;
}

static void
destroy_all(void)
{
	if (fleet != NULL)
		mews_fleet_leave(fleet);
	if (next != NULL)
		mews_fleet_leave(next);
	mews_fleet_destroy(&next);
	mews_fleet_destroy(&fleet);
}

/* The index of the endpoint of that name in @of; -1: there is none. */
static int
index_in(const struct mews_fleet *of, const char *name)
{
	for (uint32_t i = 0; i < of->segment.endpoint_count; i++)
		if (segment_knows(&of->segment, i) &&
		    strcmp(of->config->endpoints[i].name, name) == 0)
			return (int)i;
	return -1;
}

static struct segment_endpoint *
record(const struct mews_fleet *of, const char *name)
{
	int	index = index_in(of, name);

	ck_assert_int_ge(index, 0);
	ck_assert_str_eq(of->segment.endpoints[index].name, name);
	return &of->segment.endpoints[index];
}

/* Take a slot of that generation as the process @pid, which need not exist. */
static pid_t
join_as(struct mews_fleet *of, pid_t pid)
{
	ck_assert_int_eq(mews_fleet_join(of, &error), MEWS_OK);
	atomic_store(&of->slot->pid, pid);
	of->slot = NULL;
	of->slot_pid = 0;
	return pid;
}

/* The names that a view shows, in their order. */
static const char *
shown(char names[200])
{
	struct mews_view	 *view;
	struct mews_view_fleet	  f;
	struct mews_view_endpoint e;

	names[0] = '\0';
	ck_assert_int_eq(mews_view_open_fleet(&view, fleet, NULL), MEWS_OK);
	mews_view_fleet(view, &f, sizeof(f));
	for (uint32_t i = 0; i < f.endpoint_count; i++)
		if (mews_view_endpoint(view, i, &e, sizeof(e)))
			sprintf(names + strlen(names), "%s ", e.name);
	ck_assert(!mews_view_endpoint(view, f.endpoint_count, &e, sizeof(e)));
	mews_view_close(&view);
	return names;
}

START_TEST(a_server_keeps_its_record_under_its_name)
{
	char	names[200];

	create(5, "a, b");
	atomic_store(&record(fleet, "b")->drained, 1);
	renew(7, "c, b, a");
	ck_assert_ptr_eq(record(next, "a"), record(fleet, "a"));
	ck_assert_ptr_eq(record(next, "b"), record(fleet, "b"));
	ck_assert_int_eq(index_in(fleet, "c"), -1);
	ck_assert_str_eq(shown(names), "a b ");
	take_over();
	ck_assert_str_eq(shown(names), "a b c ");
	ck_assert_uint_eq(record(fleet, "b")->drained, 1);
}
END_TEST

START_TEST(one_cap_holds_for_two_generations)
{
	uint32_t	at;

	create(3, "a");
	renew(3, "b, a");
	at = (uint32_t)index_in(next, "a");
	ck_assert_int_eq(mews_fleet_join(fleet, NULL), MEWS_OK);
	ck_assert_int_eq(budget_take(fleet, at), BUDGET_OK);
	budget_dialed(fleet, at, true);
	atomic_store(&fleet->slot->pid, 999998);
	/* The old generation holds 1 of 3; a part of each is kept for the
	 * other. */
	ck_assert_int_eq(mews_fleet_join(next, NULL), MEWS_OK);
	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(budget_take(next, at), BUDGET_OK);
		budget_dialed(next, at, true);
	}
	ck_assert_int_eq(budget_take(next, at), BUDGET_FULL);
	ck_assert_uint_eq(budget_sum(&next->segment, at), 3);
	ck_assert(mews_fleet_reap(next, 999998));
	ck_assert_int_eq(budget_take(next, at), BUDGET_OK);
	budget_dialed(next, at, true);
}
END_TEST

START_TEST(a_cap_changes_with_the_turn)
{
	create(3, "a");
	renew(9, "a");
	ck_assert_uint_eq(record(fleet, "a")->max_connections, 3);
	mews_fleet_switch(next);
	ck_assert_uint_eq(record(fleet, "a")->max_connections, 9);
}
END_TEST

START_TEST(a_server_that_moved_is_another_with_the_same_name)
{
	char	names[200];

	create(0, "a, b");
	join_as(fleet, 999999);
	atomic_store(&record(fleet, "a")->drained, 1);
	renew(0, "a 2, b");
	ck_assert_ptr_ne(record(next, "a"), record(fleet, "a"));
	ck_assert_uint_eq(record(next, "a")->drained, 1);
	take_over();
	ck_assert_str_eq(shown(names), "b a ");
	/* An operator's drain applies to both generations. */
	ck_assert_int_eq(mews_fleet_drain(fleet, "a", false, NULL), MEWS_OK);
	ck_assert_uint_eq(fleet->segment.endpoints[0].drained, 0);
	ck_assert_uint_eq(record(fleet, "a")->drained, 0);
	ck_assert_int_eq(mews_fleet_drain(fleet, "c", false, NULL),
	    MEWS_INVALID);
}
END_TEST

START_TEST(an_index_is_not_used_again_while_somebody_knows_it)
{
	struct segment_endpoint *a;

	create(0, "a, b");
	a = record(fleet, "a");
	endpoint_report(fleet, 0, HEALTH_REFUSED, 0);
	orphan_add(&fleet->segment, 0, 77, 0);
	join_as(fleet, 999999);
	renew(0, "b");
	take_over();
	renew(0, "b, c");
	take_over();
	ck_assert_int_eq(index_in(fleet, "c"), 2);
	ck_assert(mews_fleet_reap(fleet, 999999));
	renew(0, "b, c, d");
	take_over();
	/* Nothing of the generation before is left. */
	ck_assert_ptr_eq(record(fleet, "d"), a);
	ck_assert_uint_eq(a->health, 0);
	ck_assert_int_eq(a->changed_ms, 0);
	ck_assert_uint_eq(orphan_count(&fleet->segment, 0), 0);
}
END_TEST

START_TEST(an_endpoint_that_comes_back_in_time_has_its_record)
{
	struct segment_endpoint *a;

	create(0, "a, b");
	a = record(fleet, "a");
	join_as(fleet, 999999);
	renew(0, "b");
	take_over();
	renew(0, "b, a");
	take_over();
	ck_assert_ptr_eq(record(fleet, "a"), a);
}
END_TEST

START_TEST(a_generation_that_never_began_leaves_nothing)
{
	char	names[200], list[40];

	create(4, "a, b");
	join_as(fleet, 999999);
	for (int i = 0; i < 100; i++) {
		sprintf(list, "x%d, y%d, a", i, i);
		renew(9, list);
		ck_assert_int_eq(mews_fleet_turn(next), MEWS_TURN_NEXT);
		mews_fleet_destroy(&next);
		ck_assert_int_eq(mews_fleet_turn(fleet), MEWS_TURN_CURRENT);
		ck_assert_str_eq(shown(names), "a b ");
	}
	ck_assert_uint_eq(record(fleet, "a")->max_connections, 4);
	renew(0, "a, z");
	ck_assert_int_eq(index_in(next, "z"), 2);
	/* The process of that generation is still counted. */
	join_as(next, 999998);
	mews_fleet_destroy(&next);
	renew(0, "a, w");
	ck_assert_int_eq(index_in(next, "w"), 3);
}
END_TEST

START_TEST(a_generation_dropped_late_takes_nothing_from_the_next)
{
	struct mews_fleet *dropped;

	create(0, "a");
	renew(0, "a, b");
	dropped = next;
	renew(0, "a, b");
	mews_fleet_destroy(&dropped);
	ck_assert_msg(mews_fleet_join(next, &error) == MEWS_OK, "%s",
	    error.message);
	take_over();
	ck_assert_int_eq(record(fleet, "b")->last, SEGMENT_STAYS);
}
END_TEST

START_TEST(no_room_for_an_endpoint_is_said_by_name)
{
	struct plan	p;
	char		full[500] = "", names[200];

	for (int i = 0; i < MEWS_ENDPOINTS_MAX; i++)
		sprintf(full + strlen(full), "e%d, ", i);
	create(0, full);
	join_as(fleet, 999999);
	ck_assert_int_eq(mews_fleet_renew(&next, fleet,
	    plan(&p, "g", 0, "e0, more"), &error), MEWS_INVALID);
	ck_assert_ptr_null(next);
	ck_assert_ptr_nonnull(strstr(error.message, "endpoint.more: "));
	ck_assert_ptr_nonnull(strstr(shown(names), "e31"));
	/* There is room once the endpoints before were given up. */
	renew(0, "e0");
	take_over();
	ck_assert(mews_fleet_reap(fleet, 999999));
	renew(0, "e0, more");
}
END_TEST

START_TEST(each_generation_knows_when_its_turn_is)
{
	create(0, "a");
	ck_assert_int_eq(mews_fleet_turn(fleet), MEWS_TURN_CURRENT);
	renew(0, "a");
	ck_assert_int_eq(mews_fleet_turn(next), MEWS_TURN_NEXT);
	ck_assert_int_eq(mews_fleet_turn(fleet), MEWS_TURN_CURRENT);
	mews_fleet_switch(next);
	ck_assert_int_eq(mews_fleet_turn(next), MEWS_TURN_CURRENT);
	ck_assert_int_eq(mews_fleet_turn(fleet), MEWS_TURN_PAST);
}
END_TEST

START_TEST(a_process_that_joins_too_late_is_refused)
{
	struct mews_fleet *old;

	create(0, "a, b");
	renew(0, "b");
	mews_fleet_switch(next);
	/* A process that was forked from the first generation and has not
	 * joined. */
	old = fleet;
	fleet = next;
	ck_assert_int_eq(mews_fleet_join(old, NULL), MEWS_OK);
	mews_fleet_leave(old);
	renew(0, "b, c");
	ck_assert_int_eq(index_in(next, "c"), 0);
	ck_assert_int_eq(mews_fleet_join(old, &error), MEWS_INVALID);
	ck_assert_ptr_nonnull(strstr(error.message, "given up"));
	ck_assert_int_eq(mews_fleet_join(next, NULL), MEWS_OK);
	ck_assert_ptr_eq(next->slot, next->segment.slots);
	mews_fleet_destroy(&old);
}
END_TEST

/* Indices of another generation are none of this one. */
START_TEST(an_endpoint_given_up_is_named_no_more)
{
	create(0, "a, b");
	join_as(fleet, 999999);
	renew(0, "b, c");
	take_over();
	ck_assert_int_eq(mews_fleet_report(fleet, "a", MEWS_REPORT_FAILED,
	    "gone", &error), MEWS_INVALID);
	ck_assert_ptr_nonnull(strstr(error.message, "no endpoint \"a\""));
	ck_assert_int_eq(mews_fleet_report(fleet, "c", MEWS_REPORT_FAILED,
	    "gone", &error), MEWS_OK);
}
END_TEST

START_TEST(a_fleet_that_cannot_be_renewed_says_so)
{
	struct mews_fleet *third;
	struct plan	   p;

	create(0, "a");
	plan(&p, "g", 0, "a");
	p.config.instance = "other";
	ck_assert_int_eq(mews_fleet_renew(&next, fleet, &p.config, &error),
	    MEWS_INVALID);
	ck_assert_ptr_nonnull(strstr(error.message, "instance: it is test"));
	plan(&p, "g", 0, "a");
	p.endpoints[0].conninfo = "host";
	ck_assert_int_eq(mews_fleet_renew(&next, fleet, &p.config, &error),
	    MEWS_INVALID);
	ck_assert_ptr_nonnull(strstr(error.message, "endpoint.a.conninfo"));
	renew(0, "b");
	ck_assert_int_eq(mews_fleet_renew(&third, next,
	    plan(&p, "g", 0, "a"), &error), MEWS_INVALID);
	ck_assert_ptr_null(third);
}
END_TEST

/* Groups are matched by their place in the configuration. */
START_TEST(shares_are_counted_among_those_with_the_same_groups)
{
	struct plan	p;

	create(0, "a");
	ck_assert_int_eq(mews_fleet_join(fleet, NULL), MEWS_OK);
	atomic_store(&fleet->slot->group_connections[0][0], 5);
	renew(0, "a");
	ck_assert_uint_eq(share_sum(next, 0, 0), 5);
	mews_fleet_destroy(&next);
	ck_assert_int_eq(mews_fleet_renew(&next, fleet,
	    plan(&p, "h", 0, "a"), &error), MEWS_OK);
	ck_assert_uint_eq(share_sum(next, 0, 0), 0);
	ck_assert_uint_eq(share_sum(fleet, 0, 0), 5);
	atomic_store(&fleet->slot->group_connections[0][0], 0);
}
END_TEST

static Suite *
generations_suite(void)
{
	Suite	*suite = suite_create("generations");
	TCase	*tcase = unit_case(suite, "generations");

	tcase_add_checked_fixture(tcase, NULL, destroy_all);
	tcase_add_test(tcase, a_server_keeps_its_record_under_its_name);
	tcase_add_test(tcase, one_cap_holds_for_two_generations);
	tcase_add_test(tcase, a_cap_changes_with_the_turn);
	tcase_add_test(tcase,
	    a_server_that_moved_is_another_with_the_same_name);
	tcase_add_test(tcase,
	    an_index_is_not_used_again_while_somebody_knows_it);
	tcase_add_test(tcase,
	    an_endpoint_that_comes_back_in_time_has_its_record);
	tcase_add_test(tcase, a_generation_that_never_began_leaves_nothing);
	tcase_add_test(tcase,
	    a_generation_dropped_late_takes_nothing_from_the_next);
	tcase_add_test(tcase, no_room_for_an_endpoint_is_said_by_name);
	tcase_add_test(tcase, each_generation_knows_when_its_turn_is);
	tcase_add_test(tcase, a_process_that_joins_too_late_is_refused);
	tcase_add_test(tcase, an_endpoint_given_up_is_named_no_more);
	tcase_add_test(tcase, a_fleet_that_cannot_be_renewed_says_so);
	tcase_add_test(tcase,
	    shares_are_counted_among_those_with_the_same_groups);
	return suite;
}

UNIT_MAIN(generations_suite)
