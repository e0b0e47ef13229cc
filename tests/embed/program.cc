/*
 * program.cc - a host in C++: every call's declaration is seen, and some run.
 */
#include <mews.h>
#include <mews/app.h>

#include <cstdio>
#include <cstdlib>

static void
on_answer(void *arg, const struct mews_result *result)
{
	*static_cast<bool *>(arg) = mews_result_status(result) == MEWS_OK;
}

int
main()
{
	mews_endpoint_config endpoint = {};
	mews_group_config group = {};
	mews_config config = {};
	mews_error error;
	mews_fleet *fleet;
	mews_pool *pool;
	mews_result *result;
	bool	answered = false;

	endpoint.name = "a";
	endpoint.conninfo = std::getenv("MEWS_A");
	group.name = "any";
	config.abi = MEWS_ABI;
	config.instance = "cc";
	config.workers = 1;
	config.endpoints = &endpoint;
	config.endpoint_count = 1;
	config.groups = &group;
	config.group_count = 1;
	if (mews_fleet_create(&fleet, &config, &error) != MEWS_OK ||
	    mews_fleet_join(fleet, &error) != MEWS_OK ||
	    mews_pool_open(&pool, fleet, nullptr, nullptr, &error) !=
		MEWS_OK) {
		std::puts(error.message);
		return 1;
	}

	mews_param params[] = { mews_param_int(40), mews_param_text("2") };
	mews_query_args args = {};
	args.sql = "SELECT $1::int + $2::int";
	args.params = params;
	args.param_count = 2;
	mews_group *any = mews_pool_group(pool, "any");
	if (mews_query_run(any, &args, &result) == MEWS_OK)
		std::puts(PQgetvalue(mews_result_pg(result), 0, 0));
	mews_result_free(&result);

	mews_query_send(any, &args, on_answer, &answered, nullptr);
	while (!answered && mews_pool_turn(pool, 1000) == MEWS_OK)
		;
	mews_pool_close(&pool);
	mews_fleet_destroy(&fleet);
	return answered ? 0 : 1;
}
