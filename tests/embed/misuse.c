/*
 * misuse.c - make the fleet of the tests of misuse; see misuse.h.
 */
#include "misuse.h"

#include "host.h"

#include <stdio.h>
#include <string.h>

struct mews_fleet *fleet;
struct mews_pool *pool;
struct mews_group *group, *transactions;
struct mews_query_args one = { .sql = "SELECT 1" };

char log_text[16384];

static void
keep_log(void *arg, enum mews_log_level level, const char *event,
    const char *text)
{
	size_t	length = strlen(log_text);

	(void)arg;
	(void)level;
	snprintf(log_text + length, sizeof(log_text) - length, "%s %s\n",
	    event, text);
}

void
create_fleet(void)
{
	static const char *const settings[][2] = {
		{ "instance", "misuse" }, { "workers", "2" },
		{ "endpoint.a.conninfo", "MEWS_A" },
		{ "endpoint.b.conninfo", "MEWS_B" },
		{ "endpoint.c.conninfo", "MEWS_C" },
		{ "group.any.stall_after", PATIENCE },
		{ "group.transactions.autocommit", "off" },
		{ "health.interval", "100ms" },
		{ "health.timeout", PATIENCE },
	};
	struct mews_config *config = mews_config_new(MEWS_ABI);
	struct mews_error   error;

	for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]); i++) {
		const char *value = settings[i][1];

		if (strncmp(value, "MEWS_", 5) == 0)
			value = getenv(value);
		ck_assert_msg(mews_config_set(config, settings[i][0], value,
		    &error) == MEWS_OK, "%s", error.message);
	}
	ck_assert_msg(mews_fleet_create(&fleet, config, &error) == MEWS_OK,
	    "%s", error.message);
	mews_config_free(&config);
	mews_fleet_set_log(fleet, keep_log, NULL);
}

void
open_pool(void)
{
	struct mews_error	error;

	ck_assert_int_eq(mews_fleet_join(fleet, &error), MEWS_OK);
	ck_assert_int_eq(mews_pool_open(&pool, fleet, NULL, NULL, &error),
	    MEWS_OK);
	group = mews_pool_group(pool, "any");
	transactions = mews_pool_group(pool, "transactions");
}

void
setup(void)
{
	create_fleet();
	open_pool();
}

void
teardown(void)
{
	mews_pool_close(&pool);
	mews_fleet_destroy(&fleet);
}
