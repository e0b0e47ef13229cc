/*
 * test_settings.c - a configuration that a host sets key by key.
 */
#include "inside.h"

#include <mews.h>
#include <mews/settings.h>
#include <stdlib.h>

static struct mews_config *config;

static void
set_up(void)
{
	config = mews_config_new(MEWS_ABI);
	ck_assert_ptr_nonnull(config);
}

static void
tear_down(void)
{
	mews_config_free(&config);
	ck_assert_ptr_null(config);
	mews_config_free(&config);
}

static void
set(const char *key, const char *value)
{
	struct mews_error	error;

	ck_assert_msg(mews_config_set(config, key, value, &error) == MEWS_OK,
	    "%s", error.message);
	ck_assert_int_eq(error.status, MEWS_OK);
}

START_TEST(settings_take_the_values_of_mews_conf)
{
	const struct mews_group_config *group;

	set("instance", "shop");
	set("workers", "3");
	set("runtime_file", "/run/shop");
	set("endpoint.db1.example.com.conninfo", "host=db1");
	set("endpoint.b.max_connections", "40");
	set("endpoint.b.conninfo", "host=b");
	set("group.read.role", "prefer-standby");
	set("group.read.query_timeout", "2min");
	set("group.read.max_lag", "10s");
	set("group.read.max_lag", "16MB");
	set("group.read.init", "SET jit = off");
	set("group.read.init", "SET work_mem = '16MB'");
	set("group.write.role", "primary");
	set("group.read.queue", "7");
	set("health.interval", "250ms");
	ck_assert_str_eq(config->instance, "shop");
	ck_assert_uint_eq(config->workers, 3);
	ck_assert_str_eq(config->runtime_file, "/run/shop");
	ck_assert_uint_eq(config->endpoint_count, 2);
	ck_assert_str_eq(config->endpoints[0].name, "db1.example.com");
	ck_assert_str_eq(config->endpoints[0].conninfo, "host=db1");
	ck_assert_str_eq(config->endpoints[1].name, "b");
	ck_assert_str_eq(config->endpoints[1].conninfo, "host=b");
	ck_assert_uint_eq(config->endpoints[1].max_connections, 40);
	ck_assert_uint_eq(config->group_count, 2);
	group = config->groups;
	ck_assert_str_eq(group->name, "read");
	ck_assert_int_eq(group->role, MEWS_GROUP_PREFER_STANDBY);
	ck_assert_uint_eq(group->query_timeout, 120000);
	ck_assert_uint_eq(group->max_lag, 0);
	ck_assert_uint_eq(group->max_lag_bytes, 16 << 20);
	ck_assert_uint_eq(group->init_count, 2);
	ck_assert_str_eq(group->init[0], "SET jit = off");
	ck_assert_str_eq(group->init[1], "SET work_mem = '16MB'");
	ck_assert_uint_eq(group->queue, 7);
	ck_assert_int_eq(group[1].role, MEWS_GROUP_PRIMARY);
	ck_assert_uint_eq(config->health.interval, 250);
	ck_assert_uint_eq(mews_config_check(config, NULL, NULL), 0);
}
END_TEST

/* In a structure, 0 means the default; in a text it means 0. */
START_TEST(a_zero_set_by_name_is_not_the_default)
{
	struct mews_error	error;

	set("group.g.retry_budget", "0");
	ck_assert_uint_eq(config->groups->retry_budget, MEWS_FOREVER);
	set("health.slow_start", "0s");
	ck_assert_uint_eq(config->health.slow_start, MEWS_FOREVER);
	set("group.g.hedge_after", "auto");
	ck_assert_uint_eq(config->groups->hedge_after, MEWS_HEDGE_AUTO);
	ck_assert_int_eq(mews_config_set(config, "group.g.hedge_after",
	    "1ms", &error), MEWS_INVALID);
	ck_assert_uint_eq(config->groups->hedge_after, MEWS_HEDGE_AUTO);
	set("group.g.hedge_after", "off");
	ck_assert_uint_eq(config->groups->hedge_after, 0);
	set("group.g.query_timeout", "never");
	ck_assert_uint_eq(config->groups->query_timeout, MEWS_FOREVER);
}
END_TEST

static const struct {
	const char *key, *value, *why;
} mistakes[] = {
	{ NULL, "1", "a key and a value" },
	{ "workers", NULL, "a key and a value" },
	{ "", "1", "there is no such key" },
	{ "wokers", "1", "those of a fleet: instance" },
	{ "workers", "0", "1 to 256" },
	{ "workers", "two", "a whole number" },
	{ "instance", "", "instance is empty" },
	{ "app", "x.so", "there is no such key" },
	{ "pool.a.size", "1", "a key is endpoint.NAME.KEY" },
	{ "endpoint.conninfo", "host=a", "a key is endpoint.NAME.KEY" },
	{ "health.a.interval", "1s", "health.KEY" },
	{ "group..role", "any", "a name has 1 to 31" },
	{ "group.a b.role", "any", "a name has 1 to 31" },
	{ "group.12345678901234567890123456789012.role", "any",
	  "a name has 1 to 31" },
	{ "group.read.size", "1", "those of group: role, connection_count" },
	{ "group.read.role", "master", "none of primary, standby, any" },
	{ "group.read.queue", "0", "1 to" },
	{ "group.read.query_timeout", "30", "a duration" },
	{ "group.read.init", "", "init is empty" },
	{ "endpoint.a.conninfo", "", "conninfo is empty" },
	{ "health.fall", "16", "1 to 15" },
};

START_TEST(a_mistake_says_what_is_allowed_and_sets_nothing)
{
	struct mews_fleet *fleet;
	struct mews_error  error, later;

	ck_assert_int_eq(mews_config_set(config, mistakes[_i].key,
	    mistakes[_i].value, &error), MEWS_INVALID);
	ck_assert_int_eq(error.status, MEWS_INVALID);
	ck_assert_msg(strstr(error.message, mistakes[_i].why) != NULL,
	    "%s", error.message);
	ck_assert_uint_eq(config->endpoint_count, 0);
	ck_assert_uint_eq(config->group_count, 0);
	/* A fleet reports a mistake even if later settings went well. */
	set("workers", "1");
	set("group.g.role", "any");
	set("endpoint.a.conninfo", "host=127.0.0.1");
	ck_assert_int_eq(mews_fleet_create(&fleet, config, &later),
	    MEWS_INVALID);
	ck_assert_str_eq(later.message, error.message);
}
END_TEST

START_TEST(a_fleet_names_the_key_that_is_wrong)
{
	struct mews_fleet *fleet;
	struct mews_error  error;

	set("workers", "1");
	set("endpoint.a.conninfo", "host=x,y");
	set("group.g.role", "any");
	ck_assert_int_eq(mews_fleet_create(&fleet, config, &error),
	    MEWS_INVALID);
	ck_assert_msg(strncmp(error.message, "endpoint.a.conninfo: ", 21) == 0,
	    "%s", error.message);
	set("endpoint.a.conninfo", "host=127.0.0.1");
	set("group.g.min_connections", "9");
	ck_assert_int_eq(mews_fleet_create(&fleet, config, &error),
	    MEWS_INVALID);
	ck_assert_msg(strncmp(error.message, "group.g.min_connections: ",
	    25) == 0, "%s", error.message);
	set("group.g.connection_count", "9");
	ck_assert_msg(mews_fleet_create(&fleet, config, &error) == MEWS_OK,
	    "%s", error.message);
	mews_config_free(&config);
	mews_fleet_destroy(&fleet);
}
END_TEST

static Suite *
settings_suite(void)
{
	Suite  *suite = suite_create("settings");
	TCase  *tcase = unit_case(suite, "settings");

	tcase_add_checked_fixture(tcase, set_up, tear_down);
	tcase_add_test(tcase, settings_take_the_values_of_mews_conf);
	tcase_add_test(tcase, a_zero_set_by_name_is_not_the_default);
	tcase_add_loop_test(tcase,
	    a_mistake_says_what_is_allowed_and_sets_nothing, 0,
	    COUNT(mistakes));
	tcase_add_test(tcase, a_fleet_names_the_key_that_is_wrong);
	return suite;
}

UNIT_MAIN(settings_suite)
