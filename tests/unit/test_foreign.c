/*
 * test_foreign.c - a server for a driver that the host brings, and what the
 * host reports of it.
 */
#include "inside_fleet.h"

#include "fleet/endpoint.h"

#include <libpq-fe.h>
#include <mews/foreign.h>
#include <mews/monitor.h>
#include <stdlib.h>

#define MANY 1000 /* how often a test chooses */

enum { A, B, C };

static struct mews_fleet *fleet;
static struct mews_choice choice;
static struct mews_error  error;
static char		  logged[600];

static void
keep_line(void *arg, enum mews_log_level level, const char *event,
    const char *text)
{
	(void)arg;
	if (strcmp(event, "reported") == 0)
		snprintf(logged, sizeof(logged), "%d %s", (int)level, text);
}

#define FIRST "host=127.0.0.1 port=1"

/* A fleet of a, b and c; the weight of c is 2. */
static void
make_fleet_with(const char *conninfo)
{
	const struct mews_endpoint_config endpoints[] = {
		{ .name = "a", .conninfo = conninfo },
		{ .name = "b", .conninfo = "postgresql://x%27y:p%5Cw@/shop"
		    "?host=/nowhere" },
		{ .name = "c", .conninfo = "host=localhost port=1",
		  .weight = 2 },
	};
	static const struct mews_group_config group = { .name = "g" };
	const struct mews_config config = {
		.abi = MEWS_ABI, .instance = "test", .workers = 2,
		.endpoints = endpoints, .endpoint_count = 3,
		.groups = &group, .group_count = 1,
	};

	ck_assert_msg(mews_fleet_create(&fleet, &config, &error) == MEWS_OK,
	    "%s", error.message);
	mews_fleet_set_log(fleet, keep_line, NULL);
	logged[0] = '\0';
}

static void
make_fleet(void)
{
	make_fleet_with(FIRST);
}

static void
destroy_fleet(void)
{
	mews_fleet_destroy(&fleet);
}

static void
up_as(uint32_t endpoint, enum health_role role)
{
	unsigned	epoch = endpoint_see_role(fleet, endpoint, role,
			    endpoint_health(fleet, endpoint).epoch);

	endpoint_report(fleet, endpoint, HEALTH_CONNECTED, epoch);
	segment_set_timeline(&fleet->segment.endpoints[endpoint], 1, true);
}

/* A primary and two standbys. */
static void
all_up(void)
{
	up_as(A, HEALTH_ROLE_PRIMARY);
	up_as(B, HEALTH_ROLE_STANDBY);
	up_as(C, HEALTH_ROLE_STANDBY);
}

static enum mews_status
choose(const char *role, uint32_t max_lag)
{
	const struct mews_wanted wanted = { .role = role, .max_lag = max_lag };

	return mews_fleet_choose(fleet, &wanted, &choice, sizeof(choice),
	    &error);
}

/* Choose many times, and count how often each was chosen. */
static void
choose_many(const char *role, int counts[3])
{
	memset(counts, 0, 3 * sizeof(*counts));
	for (int i = 0; i < MANY; i++) {
		ck_assert_int_eq(choose(role, 0), MEWS_OK);
		counts[choice.endpoint[0] - 'a']++;
	}
}

START_TEST(nothing_is_chosen_before_a_probe)
{
	choice.endpoint = "left over";
	ck_assert_int_eq(choose(NULL, 0), MEWS_UNAVAILABLE);
	ck_assert_ptr_null(choice.endpoint);
	ck_assert_str_eq(error.message, "no endpoint of role any is usable "
	    "now: a=unknown/unknown, b=unknown/unknown, c=unknown/unknown");
}
END_TEST

START_TEST(a_choice_is_of_the_role_that_was_asked_for)
{
	int	counts[3];

	all_up();
	choose_many("primary", counts);
	ck_assert_int_eq(counts[A], MANY);
	choose_many("standby", counts);
	ck_assert_int_eq(counts[A], 0);
	choose_many("prefer-standby", counts);
	ck_assert_int_eq(counts[A], 0);
	choose_many("any", counts);
	ck_assert_int_gt(counts[A], 0);
	ck_assert_int_eq(choose("primary", 0), MEWS_OK);
	ck_assert_str_eq(choice.role, "primary");
}
END_TEST

START_TEST(equal_servers_take_turns_by_their_weights)
{
	int	counts[3];

	all_up();
	choose_many("standby", counts);
	ck_assert_int_le(abs(counts[B] - MANY / 3), 3);
	ck_assert_int_le(abs(counts[C] - MANY * 2 / 3), 3);
	choose_many("any", counts);
	ck_assert_int_le(abs(counts[A] - MANY / 4), 3);
	ck_assert_int_le(abs(counts[C] - MANY / 2), 3);
}
END_TEST

START_TEST(a_server_that_is_back_gets_its_share_bit_by_bit)
{
	int	counts[3];

	all_up();
	fleet->segment.endpoints[C].up_ms = 1;
	fleet->segment.header->made_us -= 5 * 1000 * 1000;
	choose_many("standby", counts);
	/* Half of the weight of 2, plus the time that passes meanwhile. */
	ck_assert_int_ge(counts[C], MANY / 2 - 3);
	ck_assert_int_lt(counts[C], MANY * 2 / 3);
}
END_TEST

START_TEST(a_server_behind_or_drained_is_left_out)
{
	all_up();
	fleet->segment.endpoints[B].lag_ms = 2000;
	fleet->segment.endpoints[C].lag_ms = 100;
	for (int i = 0; i < 10; i++) {
		ck_assert_int_eq(choose("standby", 1000), MEWS_OK);
		ck_assert_str_eq(choice.endpoint, "c");
		ck_assert_int_eq(choice.lag_ms, 100);
	}
	ck_assert_int_eq(choose("standby", 50), MEWS_UNAVAILABLE);
	ck_assert_int_eq(mews_fleet_drain(fleet, "c", true, NULL), MEWS_OK);
	ck_assert_int_eq(choose("standby", 1000), MEWS_UNAVAILABLE);
	ck_assert_str_eq(error.message, "no endpoint of role standby is usable "
	    "now: a=up/primary, b=up/standby, c=up/standby/drained");
	ck_assert_int_eq(choose("standby", 0), MEWS_OK);
	ck_assert_str_eq(choice.endpoint, "b");
}
END_TEST

START_TEST(a_failure_makes_a_suspect_a_last_resort)
{
	all_up();
	ck_assert_int_eq(mews_fleet_report(fleet, "b", MEWS_REPORT_FAILED,
	    "timeout\nexpired", &error), MEWS_OK);
	ck_assert_int_eq(endpoint_health(fleet, B).state, HEALTH_SUSPECT);
	ck_assert_str_eq(logged, "1 endpoint=b error=\"timeout\\nexpired\"");
	for (int i = 0; i < 10; i++) {
		ck_assert_int_eq(choose("standby", 0), MEWS_OK);
		ck_assert_str_eq(choice.endpoint, "c");
	}
	/* Only a probe may call a server down, however often a host reports
	 * failures. */
	for (int i = 0; i < 100; i++)
		ck_assert_int_eq(mews_fleet_report(fleet, "c",
		    MEWS_REPORT_FAILED, NULL, NULL), MEWS_OK);
	ck_assert_int_eq(endpoint_health(fleet, C).state, HEALTH_SUSPECT);
	ck_assert_int_eq(choose("standby", 0), MEWS_OK);
	ck_assert_int_eq(mews_fleet_report(fleet, "c", MEWS_REPORT_WORKED,
	    NULL, NULL), MEWS_OK);
	ck_assert_int_eq(endpoint_health(fleet, C).state, HEALTH_UP);
}
END_TEST

START_TEST(a_foreign_success_makes_no_down_server_up)
{
	all_up();
	endpoint_report(fleet, B, HEALTH_REFUSED, 0);
	ck_assert_int_eq(endpoint_health(fleet, B).state, HEALTH_DOWN);
	ck_assert_int_eq(mews_fleet_report(fleet, "b", MEWS_REPORT_WORKED,
	    NULL, NULL), MEWS_OK);
	ck_assert_int_eq(endpoint_health(fleet, B).state, HEALTH_DOWN);
}
END_TEST

/* The value of a keyword of a conninfo. */
static void
assert_option(const char *keyword, const char *value)
{
	PQconninfoOption *options = PQconninfoParse(choice.conninfo, NULL);
	PQconninfoOption *o = options;

	ck_assert_msg(options != NULL, "%s", choice.conninfo);
	while (o->keyword != NULL && strcmp(o->keyword, keyword) != 0)
		o++;
	ck_assert_ptr_nonnull(o->keyword);
	if (value == NULL)
		ck_assert_ptr_null(o->val);
	else
		ck_assert_str_eq(o->val, value);
	PQconninfoFree(options);
}

START_TEST(the_conninfo_is_whole)
{
	up_as(B, HEALTH_ROLE_PRIMARY);
	ck_assert_int_eq(choose("primary", 0), MEWS_OK);
	assert_option("host", "/nowhere");
	assert_option("user", "x'y");
	assert_option("password", "p\\w");
	assert_option("dbname", "shop");
	assert_option("hostaddr", NULL);
}
END_TEST

/* A conninfo as long as can be, and one that has a byte more. */
START_TEST(a_conninfo_is_never_cut)
{
	static const char name[] = " application_name=";
	char	conninfo[MEWS_CONNINFO_MAX + 2];
	size_t	shortest, room;

	up_as(A, HEALTH_ROLE_PRIMARY);
	ck_assert_int_eq(choose("primary", 0), MEWS_OK);
	shortest = strlen(choice.conninfo);
	for (size_t more = 0; more < 2; more++) {
		/* The value is quoted in the conninfo of the choice. */
		room = MEWS_CONNINFO_MAX - shortest - strlen(name) - 2 + more;
		destroy_fleet();
		memset(conninfo, 'x', sizeof(conninfo));
		memcpy(conninfo, FIRST, strlen(FIRST));
		memcpy(conninfo + strlen(FIRST), name, strlen(name));
		conninfo[strlen(FIRST) + strlen(name) + room] = '\0';
		make_fleet_with(conninfo);
		up_as(A, HEALTH_ROLE_PRIMARY);
		ck_assert_int_eq(choose("primary", 0), more == 0 ? MEWS_OK :
		    MEWS_INVALID);
		ck_assert_uint_eq(strlen(choice.conninfo), more == 0 ?
		    MEWS_CONNINFO_MAX : 0);
	}
	ck_assert_str_eq(error.message, "the conninfo of endpoint a has more "
	    "than 4095 bytes");
}
END_TEST

START_TEST(a_name_comes_with_its_address)
{
	char	address[SEGMENT_HOSTADDR_MAX + 1];

	up_as(C, HEALTH_ROLE_PRIMARY);
	segment_get_address(&fleet->segment.endpoints[C], address);
	ck_assert_str_ne(address, "");
	ck_assert_int_eq(choose("primary", 0), MEWS_OK);
	assert_option("host", "localhost");
	assert_option("hostaddr", address);
}
END_TEST

START_TEST(each_mistake_of_a_choice_has_a_sentence)
{
	struct mews_wanted	wanted = { .reserved = { 0, 1 } };

	ck_assert_int_eq(choose("master", 0), MEWS_INVALID);
	ck_assert_ptr_nonnull(strstr(error.message, "role \"master\": "));
	ck_assert_int_eq(mews_fleet_choose(fleet, &wanted, &choice,
	    sizeof(choice), &error), MEWS_INVALID);
	ck_assert_int_eq(mews_fleet_report(fleet, "d", MEWS_REPORT_FAILED,
	    NULL, &error), MEWS_INVALID);
	ck_assert_str_eq(error.message, "the fleet has no endpoint \"d\"");
	ck_assert_int_eq(mews_fleet_report(fleet, NULL, MEWS_REPORT_FAILED,
	    NULL, &error), MEWS_INVALID);
	ck_assert_int_eq(mews_fleet_report(fleet, "a", (enum mews_report)2,
	    NULL, &error), MEWS_INVALID);
}
END_TEST

static Suite *
foreign_suite(void)
{
	Suite	*suite = suite_create("foreign");
	TCase	*tcase = unit_case(suite, "foreign");

	tcase_add_checked_fixture(tcase, make_fleet, destroy_fleet);
	tcase_add_test(tcase, nothing_is_chosen_before_a_probe);
	tcase_add_test(tcase, a_choice_is_of_the_role_that_was_asked_for);
	tcase_add_test(tcase, equal_servers_take_turns_by_their_weights);
	tcase_add_test(tcase, a_server_that_is_back_gets_its_share_bit_by_bit);
	tcase_add_test(tcase, a_server_behind_or_drained_is_left_out);
	tcase_add_test(tcase, a_failure_makes_a_suspect_a_last_resort);
	tcase_add_test(tcase, a_foreign_success_makes_no_down_server_up);
	tcase_add_test(tcase, the_conninfo_is_whole);
	tcase_add_test(tcase, a_conninfo_is_never_cut);
	tcase_add_test(tcase, a_name_comes_with_its_address);
	tcase_add_test(tcase, each_mistake_of_a_choice_has_a_sentence);
	return suite;
}

UNIT_MAIN(foreign_suite)
