/*
 * test_environment.c - what the environment says, and the locale, cannot change
 * an endpoint behind the configuration's back.
 */
#include "inside_fleet.h"

#include <ctype.h>
#include <mews/config.h>
#include <stdlib.h>
#include <unistd.h>

static struct mews_endpoint_config endpoint;
static struct mews_group_config	   group;
static struct mews_config	   config;
static char			   said[400];
static size_t			   mistakes;

/* Unset what libpq may read, and the tests did not set. */
static void
clear_environment(void)
{
	char	name[100];

	for (size_t i = 0; environ[i] != NULL;) {
		snprintf(name, sizeof(name), "%s", environ[i]);
		name[strcspn(name, "=")] = '\0';
		if (strncmp(name, "PG", 2) == 0) {
			ck_assert_int_eq(unsetenv(name), 0);
			i = 0;
		} else {
			i++;
		}
	}
}

static void
begin(void)
{
	clear_environment();
	endpoint = (struct mews_endpoint_config) { .name = "a",
		.conninfo = "host=127.0.0.1" };
	group = (struct mews_group_config) { .name = "g" };
	config = (struct mews_config) { .abi = MEWS_ABI, .instance = "test",
		.workers = 1, .endpoints = &endpoint, .endpoint_count = 1,
		.groups = &group, .group_count = 1 };
}

static void
on_mistake(void *arg, const struct mews_config_mistake *mistake)
{
	(void)arg;
	snprintf(said, sizeof(said), "%s", mistake->text);
}

static void
check(void)
{
	said[0] = '\0';
	mistakes = mews_config_check(&config, on_mistake, NULL);
}

static const struct {
	const char *name, *value;
	bool refused;
} variables[] = {
	{ "PGTARGETSESSIONATTRS", "read-write", true },
	{ "PGTARGETSESSIONATTRS", "any", false },
	{ "PGTARGETSESSIONATTRS", "", false },
	{ "PGHOSTADDR", "127.0.0.2", true },
	{ "PGOPTIONS", "-c search_path=x", true },
	{ "PGSERVICE", "x", true },
	{ "PGTZ", "Asia/Tokyo", true },
	{ "PGTZ", "default", false },
	{ "PGDATESTYLE", "German", true },
	{ "PGGEQO", "off", true },
	{ "PGPORT", "5432,5433", true },
	{ "PGHOST", "x,y", false }, /* the conninfo has a host */
	{ "PGUSER", "x", false },
	{ "PGSSLMODE", "require", false },
};

START_TEST(what_changes_every_endpoint_is_refused)
{
	setenv(variables[_i].name, variables[_i].value, 1);
	check();
	ck_assert_uint_eq(mistakes, variables[_i].refused);
	if (variables[_i].refused)
		ck_assert_msg(strstr(said, variables[_i].name) != NULL ||
		    strstr(said, "port of the environment") != NULL, "%s",
		    said);
}
END_TEST

START_TEST(a_host_of_the_environment_is_one_server)
{
	endpoint.conninfo = "dbname=x";
	setenv("PGHOST", "x", 1);
	check();
	ck_assert_uint_eq(mistakes, 0);
	setenv("PGHOST", "x,y", 1);
	check();
	ck_assert_uint_eq(mistakes, 1);
	ck_assert_str_eq(said, "host of the environment names several "
	    "servers; an endpoint is one, so write one endpoint each");
}
END_TEST

static char	logged[400];
static int	times;

static void
on_log(void *arg, enum mews_log_level level, const char *event,
    const char *text)
{
	(void)arg;
	(void)level;
	times++;
	snprintf(logged, sizeof(logged), "%s %s", event, text);
}

/* By name, as a password may be among them. */
START_TEST(what_fills_in_is_logged_once)
{
	struct mews_fleet *fleet;
	struct mews_error  error;

	setenv("PGPASSWORD", "secret", 1);
	setenv("PGUSER", "x", 1);
	setenv("PGREQUIRESSL", "0", 1);
	setenv("PGSSLMODE", "", 1);
	ck_assert_int_eq(mews_fleet_create(&fleet, &config, &error), MEWS_OK);
	mews_fleet_set_log(fleet, NULL, NULL);
	mews_fleet_set_log(fleet, on_log, NULL);
	mews_fleet_set_log(fleet, on_log, NULL);
	ck_assert_int_eq(times, 1);
	ck_assert_str_eq(logged, "environment "
	    "variables=PGUSER,PGPASSWORD,PGREQUIRESSL fill_in=endpoints");
	mews_fleet_destroy(&fleet);
}
END_TEST

START_TEST(nothing_set_is_nothing_logged)
{
	struct mews_fleet *fleet;
	struct mews_error  error;

	ck_assert_int_eq(mews_fleet_create(&fleet, &config, &error), MEWS_OK);
	mews_fleet_set_log(fleet, on_log, NULL);
	ck_assert_int_eq(times, 0);
	mews_fleet_destroy(&fleet);
}
END_TEST

START_TEST(a_service_that_names_two_servers_is_refused)
{
	static const char services[] =
	    "[one]\nhost=127.0.0.1\n[both]\nhost=127.0.0.1,127.0.0.2\n";

	make_directory();
	write_bytes(services, sizeof(services) - 1);
	setenv("PGSERVICEFILE", file, 1);
	endpoint.conninfo = "service=one";
	check();
	ck_assert_uint_eq(mistakes, 0);
	endpoint.conninfo = "service=both";
	check();
	remove_directory();
	ck_assert_uint_eq(mistakes, 1);
	ck_assert_str_eq(said, "host of the service names several servers; "
	    "an endpoint is one, so write one endpoint each");
}
END_TEST

START_TEST(the_locale_of_the_host_makes_no_letters)
{
	if (!use_odd_locale())
		return;
	ck_assert(isalnum('$'));
	endpoint.name = "x1";
	check();
	ck_assert_uint_eq(mistakes, 0);
	endpoint.name = "a$b";
	check();
	ck_assert_uint_eq(mistakes, 1);
}
END_TEST

static Suite *
environment_suite(void)
{
	Suite	*suite = suite_create("environment");
	TCase	*tcase = unit_case(suite, "environment");

	tcase_add_checked_fixture(tcase, begin, NULL);
	tcase_add_loop_test(tcase, what_changes_every_endpoint_is_refused, 0,
	    COUNT(variables));
	tcase_add_test(tcase, a_host_of_the_environment_is_one_server);
	tcase_add_test(tcase, what_fills_in_is_logged_once);
	tcase_add_test(tcase, nothing_set_is_nothing_logged);
	tcase_add_test(tcase, the_locale_of_the_host_makes_no_letters);
	tcase_add_test(tcase, a_service_that_names_two_servers_is_refused);
	return suite;
}

UNIT_MAIN(environment_suite)
