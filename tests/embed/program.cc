/*
 * program.cc - a host in C++: it compiles all declarations, and runs some
 * calls.
 */
#include <mews.h>
#include <mews/app.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>

static void
on_answer(void *arg, const struct mews_result *result)
{
	*static_cast<bool *>(arg) = mews_result_status(result) == MEWS_OK;
}

int
main()
{
	mews_config *config = mews_config_new(MEWS_ABI);
	mews_error error;
	mews_fleet *fleet;
	mews_pool *pool;
	mews_result *result;
	bool	answered = false;

	mews_config_set(config, "workers", "1", nullptr);
	mews_config_set(config, "group.any.role", "any", nullptr);
	mews_config_set(config, "endpoint.a.conninfo", std::getenv("MEWS_A"),
	    nullptr);
	if (mews_fleet_create(&fleet, config, &error) != MEWS_OK ||
	    mews_fleet_join(fleet, &error) != MEWS_OK ||
	    mews_pool_open(&pool, fleet, nullptr, nullptr, &error) !=
		MEWS_OK) {
		std::puts(error.message);
		return 1;
	}
	mews_config_free(&config);

	mews_param params[] = { mews_param_int_text(40), mews_param_text("2") };
	mews_query_args args = {};
	args.sql = "SELECT $1::int + $2::int";
	args.params = params;
	args.param_count = 2;
	mews_group *any = mews_pool_group(pool, "any");
	if (mews_query_run(any, &args, &result) == MEWS_OK)
		std::puts(PQgetvalue(mews_result_pg(result), 0, 0));
	if (result != nullptr && std::strcmp(
	    PQcmdTuples(mews_result_pg(result)), "1") != 0)
		std::puts("PQcmdTuples() does not tell 1");
	mews_result_free(&result);

	mews_query_send(any, &args, on_answer, &answered, nullptr);
	while (!answered && mews_pool_turn(pool, 1000) == MEWS_OK)
		;
	mews_pool_close(&pool);
	mews_fleet_destroy(&fleet);
	return answered ? 0 : 1;
}
