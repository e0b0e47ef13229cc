/*
 * misuse.c - make the fleet that is misused.
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
	static struct mews_endpoint_config endpoints[] = {
		{ .name = "a" }, { .name = "b" }, { .name = "c" } };
	static const struct mews_group_config groups[] = {
		{ .name = "any", .stall_after = PATIENCE_MS },
		{ .name = "transactions", .autocommit = MEWS_OFF } };
	const struct mews_config config = { .abi = MEWS_ABI,
		.instance = "misuse", .workers = 2, .endpoints = endpoints,
		.endpoint_count = 3, .groups = groups, .group_count = 2,
		.health = { .interval = 100, .timeout = PATIENCE_MS } };
	struct mews_error error;

	endpoints[0].conninfo = getenv("MEWS_A");
	endpoints[1].conninfo = getenv("MEWS_B");
	endpoints[2].conninfo = getenv("MEWS_C");
	ck_assert_msg(mews_fleet_create(&fleet, &config, &error) == MEWS_OK,
	    "%s", error.message);
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
