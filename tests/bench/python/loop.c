/*
 * loop.c - the loop that Python is compared with: one query after another, each
 * waited for, with its two columns read.
 *
 * loop CONNINFO QUERIES prints how many seconds that took.
 */
#include <err.h>
#include <mews.h>
#include <mews/settings.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static const char sql[] = "select id, randomnumber from world where id = $1";

static double
now(void)
{
	struct timespec	t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void
ask(struct mews_group *group, const struct mews_statement *statement, int id)
{
	struct mews_param	param = mews_param_int_text(id);
	struct mews_query_args	args = {
		.statement = statement, .params = &param, .param_count = 1
	};
	struct mews_result     *result;
	int32_t			value;

	if (mews_query_run(group, &args, &result) != MEWS_OK)
		errx(1, "%s", result == NULL ? mews_group_message(group) :
		    mews_result_message(result));
	for (int column = 0; column < 2; column++)
		if (mews_result_int32(result, 0, column, &value) !=
		    MEWS_VALUE_OK)
			errx(1, "no value");
	mews_result_free(&result);
}

int
main(int argc, char **argv)
{
	struct mews_endpoint_config endpoint = { .name = "a" };
	struct mews_group_config    group = { .name = "read" };
	struct mews_config	    config = {
		.abi = MEWS_ABI, .instance = "loop", .workers = 1,
		.endpoints = &endpoint, .endpoint_count = 1,
		.groups = &group, .group_count = 1,
	};
	struct mews_error	error;
	struct mews_fleet      *fleet;
	struct mews_pool       *pool;
	struct mews_statement  *statement;
	struct mews_group      *read;
	double			begun;
	int			count;

	if (argc != 3 || (count = atoi(argv[2])) < 1)
		errx(2, "usage: loop CONNINFO QUERIES");
	endpoint.conninfo = argv[1];
	if (mews_fleet_create(&fleet, &config, &error) != MEWS_OK ||
	    mews_fleet_join(fleet, &error) != MEWS_OK ||
	    mews_pool_open(&pool, fleet, NULL, NULL, &error) != MEWS_OK ||
	    mews_statement_register(&statement, pool, NULL, sql, 0, &error) !=
	    MEWS_OK)
		errx(1, "%s", error.message);
	read = mews_pool_group(pool, "read");
	ask(read, statement, 1);
	begun = now();
	for (int i = 0; i < count; i++)
		ask(read, statement, i % 10000 + 1);
	printf("%.6f\n", now() - begun);
	mews_pool_close(&pool);
	mews_fleet_destroy(&fleet);
	return 0;
}
