/*
 * test_environment.c - neither the environment nor the locale can change an
 * endpoint unnoticed by the configuration.
 */
#include "inside_fleet.h"

#include "base/environment.h"

#include <ctype.h>
#include <libpq-fe.h>
#include <mews/config.h>
#include <stdlib.h>
#include <unistd.h>

static struct mews_endpoint_config endpoint;
static struct mews_group_config	   group;
static struct mews_config	   config;
static char			   said[400];
static size_t			   mistakes;

/* Unset the variables that libpq may read and that the tests did not set. */
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
	{ "PGHOST", "x,y", false }, /* for a conninfo with a host */
	{ "PGUSER", "x", false },
	{ "PGSSLMODE", "require", false },
};

START_TEST(variables_that_change_every_endpoint_are_refused)
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

static char	logged[800];
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

/* The log names a variable only, as its value may be a password. */
START_TEST(variables_that_fill_in_are_logged_once)
{
	struct mews_fleet *fleet;
	struct mews_error  error;

	setenv("PGPASSWORD", "secret", 1);
	setenv("PGUSER", "x", 1);
	setenv("PGREQUIRESSL", "0", 1);
	setenv("PGAPPNAME", "", 1);
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

/*
 * All variables that libpq documents, up to version 18 (Environment Variables).
 * A variable that is not refused fills in, and is logged where this libpq reads
 * it.
 */
static const struct {
	const char *name, *value;
	bool refused;
} documented[] = {
	{ "PGHOST", "127.0.0.1", false },
	{ "PGHOSTADDR", "127.0.0.1", true },
	{ "PGPORT", "5432", false },
	{ "PGDATABASE", "x", false },
	{ "PGUSER", "x", false },
	{ "PGPASSWORD", "x", false },
	{ "PGPASSFILE", "/nonexistent", false },
	{ "PGREQUIREAUTH", "scram-sha-256", false },
	{ "PGCHANNELBINDING", "prefer", false },
	{ "PGSERVICE", "x", true },
	{ "PGSERVICEFILE", "/nonexistent", false },
	{ "PGOPTIONS", "-c geqo=off", true },
	{ "PGAPPNAME", "x", false },
	{ "PGSSLMODE", "prefer", false },
	{ "PGREQUIRESSL", "0", false },
	{ "PGSSLCOMPRESSION", "0", false },
	{ "PGSSLCERT", "/nonexistent", false },
	{ "PGSSLKEY", "/nonexistent", false },
	{ "PGSSLCERTMODE", "allow", false },
	{ "PGSSLROOTCERT", "/nonexistent", false },
	{ "PGSSLCRL", "/nonexistent", false },
	{ "PGSSLCRLDIR", "/nonexistent", false },
	{ "PGSSLSNI", "1", false },
	{ "PGSSLNEGOTIATION", "postgres", false },
	{ "PGSSLMINPROTOCOLVERSION", "TLSv1.2", false },
	{ "PGSSLMAXPROTOCOLVERSION", "TLSv1.3", false },
	{ "PGREQUIREPEER", "x", false },
	{ "PGGSSENCMODE", "disable", false },
	{ "PGKRBSRVNAME", "postgres", false },
	{ "PGGSSLIB", "gssapi", false },
	{ "PGGSSDELEGATION", "0", false },
	{ "PGCONNECT_TIMEOUT", "10", false },
	{ "PGCLIENTENCODING", "UTF8", false },
	{ "PGTARGETSESSIONATTRS", "primary", true },
	{ "PGLOADBALANCEHOSTS", "disable", false },
	{ "PGMINPROTOCOLVERSION", "3.0", false },
	{ "PGMAXPROTOCOLVERSION", "3.0", false },
	{ "PGDATESTYLE", "ISO", true },
	{ "PGTZ", "UTC", true },
	{ "PGGEQO", "off", true },
	{ "PGSYSCONFDIR", "/nonexistent", false },
	{ "PGLOCALEDIR", "/nonexistent", false },
	{ "PGOAUTHDEBUG", "x", false },
};

/* Variables that belong to no option of libpq, which has no list of them. */
static const char *const unlisted[] = {
	"PGREQUIRESSL", "PGSERVICEFILE", "PGSYSCONFDIR", "PGLOCALEDIR",
	"PGOAUTHDEBUG",
};

static bool
is_read(const char *name)
{
	PQconninfoOption       *options = PQconndefaults();
	bool			found = false;

	for (const PQconninfoOption *o = options; o->keyword != NULL; o++)
		found = found || (o->envvar != NULL &&
		    strcmp(o->envvar, name) == 0);
	PQconninfoFree(options);
	for (size_t i = 0; i < COUNT(unlisted); i++)
		found = found || strcmp(unlisted[i], name) == 0;
	return found;
}

START_TEST(each_variable_is_refused_or_logged)
{
	const char     *name = documented[_i].name;
	char		expected[100];

	setenv(name, documented[_i].value, 1);
	check();
	ck_assert_uint_eq(mistakes, documented[_i].refused);
	if (documented[_i].refused) {
		snprintf(expected, sizeof(expected), "%s is set in", name);
		ck_assert_ptr_eq(strstr(said, expected), said);
		return;
	}
	snprintf(expected, sizeof(expected), "%s", is_read(name) ? name : "");
	environment_names(logged, sizeof(logged));
	ck_assert_str_eq(logged, expected);
}
END_TEST

/* A variable that a later libpq reads must be in the table, too. */
START_TEST(no_variable_of_libpq_is_forgotten)
{
	PQconninfoOption *options = PQconndefaults();

	for (const PQconninfoOption *o = options; o->keyword != NULL; o++) {
		bool	found = o->envvar == NULL;

		for (size_t i = 0; i < COUNT(documented); i++)
			found = found || strcmp(documented[i].name,
			    o->envvar) == 0;
		ck_assert_msg(found, "%s", o->envvar);
	}
	PQconninfoFree(options);
	for (size_t i = 0; i < COUNT(documented); i++)
		setenv(documented[i].name, documented[i].value, 1);
	/* All names together fit into one line of the log. */
	environment_names(logged, sizeof(logged));
	ck_assert_ptr_nonnull(strstr(logged, "PGOAUTHDEBUG"));
}
END_TEST

START_TEST(an_empty_environment_logs_nothing)
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
	tcase_add_loop_test(tcase,
	    variables_that_change_every_endpoint_are_refused, 0,
	    COUNT(variables));
	tcase_add_test(tcase, a_host_of_the_environment_is_one_server);
	tcase_add_test(tcase, variables_that_fill_in_are_logged_once);
	tcase_add_loop_test(tcase, each_variable_is_refused_or_logged, 0,
	    COUNT(documented));
	tcase_add_test(tcase, no_variable_of_libpq_is_forgotten);
	tcase_add_test(tcase, an_empty_environment_logs_nothing);
	tcase_add_test(tcase, the_locale_of_the_host_makes_no_letters);
	tcase_add_test(tcase, a_service_that_names_two_servers_is_refused);
	return suite;
}

UNIT_MAIN(environment_suite)
