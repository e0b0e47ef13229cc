/*
 * test_mixed.c - an endpoint that leads to a primary and to a standby by turns
 * is distinguished from a server that was promoted.
 */
#include "inside_fleet.h"

#include "fleet/endpoint.h"
#include "fleet/mixed.h"

#define P HEALTH_ROLE_PRIMARY
#define S HEALTH_ROLE_STANDBY
#define R HEALTH_ROLE_READONLY

static const struct {
	const char *name;
	struct {
		enum health_role role;
		int64_t after_ms;
		enum mixed is;
	} sights[8]; /* up to HEALTH_ROLE_UNKNOWN */
} rows[] = {
	{ "a server that stays what it is",
	  { { P, 0, MIXED_NOT }, { P, 1, MIXED_NOT }, { P, 1, MIXED_NOT },
	    { P, 1, MIXED_NOT }, { P, 1, MIXED_NOT } } },
	{ "a promotion, and the way back",
	  { { S, 0, MIXED_NOT }, { P, 1, MIXED_NOT }, { S, 1, MIXED_NOT },
	    { P, 1, MIXED_NOT } } },
	{ "a primary that refuses writes now and then",
	  { { P, 0, MIXED_NOT }, { R, 1, MIXED_NOT }, { P, 1, MIXED_NOT },
	    { R, 1, MIXED_NOT }, { P, 1, MIXED_NOT }, { R, 1, MIXED_NOT } } },
	{ "changes that are far apart",
	  { { S, 0, MIXED_NOT }, { P, MIXED_SOON_MS, MIXED_NOT },
	    { S, MIXED_SOON_MS, MIXED_NOT }, { P, MIXED_SOON_MS, MIXED_NOT },
	    { S, MIXED_SOON_MS, MIXED_NOT },
	    { P, MIXED_SOON_MS, MIXED_NOT } } },
	{ "two servers by turns",
	  { { S, 0, MIXED_NOT }, { P, MIXED_SOON_MS - 1, MIXED_NOT },
	    { S, MIXED_SOON_MS - 1, MIXED_NOT },
	    { R, MIXED_SOON_MS - 1, MIXED_NOT },
	    { S, MIXED_SOON_MS - 1, MIXED_BEGAN },
	    { S, 1, MIXED_STILL }, { P, MIXED_OVER_MS, MIXED_STILL } } },
	{ "one role at last",
	  { { S, 0, MIXED_NOT }, { P, 1, MIXED_NOT }, { S, 1, MIXED_NOT },
	    { P, 1, MIXED_NOT }, { S, 1, MIXED_BEGAN },
	    { S, MIXED_OVER_MS - 1, MIXED_STILL }, { S, 1, MIXED_ENDED },
	    { S, 1, MIXED_NOT } } },
};

START_TEST(changes_in_a_row_are_not_of_one_server)
{
	mixed_word	word = 0;
	int64_t		now = 5;

	for (size_t i = 0; i < 8 && rows[_i].sights[i].role !=
	    HEALTH_ROLE_UNKNOWN; i++) {
		now += rows[_i].sights[i].after_ms;
		ck_assert_msg(mixed_see(&word, rows[_i].sights[i].role,
		    now) == rows[_i].sights[i].is, "%s: %zu", rows[_i].name,
		    i);
		ck_assert(mixed_is(&word) ==
		    (rows[_i].sights[i].is == MIXED_BEGAN ||
			rows[_i].sights[i].is == MIXED_STILL));
	}
}
END_TEST

/* A word written over by accident is mended after one role for a while. */
START_TEST(a_damaged_word_of_changes_heals)
{
	mixed_word	word = UINT64_MAX;

	mixed_see(&word, P, 1000);
	mixed_see(&word, P, 1000 + MIXED_OVER_MS);
	ck_assert(!mixed_is(&word));
}
END_TEST

static char	 logged[2000];
static struct mews_fleet *fleet;

static void
on_log(void *arg, enum mews_log_level level, const char *event,
    const char *text)
{
	(void)arg;
	(void)level;
	(void)text;
	strcat(logged, event);
	strcat(logged, " ");
}

static int
count(const char *event)
{
	int	n = 0;

	for (const char *at = logged; (at = strstr(at, event)) != NULL; at++)
		n++;
	return n;
}

static unsigned
see(enum health_role role)
{
	return endpoint_see_role(fleet, 0, role,
	    endpoint_health(fleet, 0).epoch);
}

START_TEST(a_mixed_endpoint_begins_no_epochs)
{
	struct mews_error error;
	unsigned	  epoch;

	make_directory();
	fleet = fleet_of(file, 4, 50);
	ck_assert_int_eq(mews_fleet_join(fleet, &error), MEWS_OK);
	mews_fleet_set_log(fleet, on_log, NULL);
	see(S);
	/* Slow processes report late what they saw before a promotion. */
	epoch = see(P);
	for (int i = 0; i < 10; i++) {
		endpoint_see_role(fleet, 0, S, epoch - 1);
		see(P);
	}
	ck_assert_uint_eq(endpoint_health(fleet, 0).epoch, epoch);
	ck_assert_int_eq(count("mixed_roles "), 0);
	see(S);
	see(P);
	epoch = see(S);
	ck_assert_int_eq(count("mixed_roles "), 1);
	ck_assert_int_eq(endpoint_health(fleet, 0).role,
	    HEALTH_ROLE_READONLY);
	for (int i = 0; i < 10; i++) {
		see(P);
		see(S);
	}
	ck_assert_uint_eq(endpoint_health(fleet, 0).epoch, epoch);
	ck_assert_int_eq(count("mixed_roles"), 1);
	/* Once the endpoint is one server, sessions to the other one are not
	 * kept. */
	fleet->segment.header->made_us -= (MIXED_OVER_MS + 10000) * 1000;
	see(S);
	ck_assert_int_eq(count("mixed_roles_ended "), 1);
	ck_assert_int_eq(endpoint_health(fleet, 0).role, S);
	ck_assert_uint_eq(endpoint_health(fleet, 0).epoch, epoch + 1);
	mews_fleet_destroy(&fleet);
	remove_directory();
}
END_TEST

static Suite *
mixed_suite(void)
{
	Suite	*suite = suite_create("mixed");
	TCase	*tcase = unit_case(suite, "mixed");

	tcase_add_loop_test(tcase, changes_in_a_row_are_not_of_one_server, 0,
	    COUNT(rows));
	tcase_add_test(tcase, a_damaged_word_of_changes_heals);
	tcase_add_test(tcase, a_mixed_endpoint_begins_no_epochs);
	return suite;
}

UNIT_MAIN(mixed_suite)
