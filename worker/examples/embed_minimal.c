/*
 * embed_minimal.c - the least that a host does: a fleet, forked workers that
 * ask by blocking calls, and a parent that reaps them.
 *
 *	cc embed_minimal.c $(pkg-config --cflags --libs mews)
 *	./a.out "host=127.0.0.1 dbname=app"
 */
#include <err.h>
#include <mews.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

/* A worker: join, open a private pool, ask, leave. */
static int
work(struct mews_fleet *fleet)
{
	struct mews_query_args args = { .sql = "SELECT 'hello at ' || now()" };
	struct mews_error error;
	struct mews_pool *pool;
	struct mews_result *result;
	enum mews_status status;

	if (mews_fleet_join(fleet, &error) != MEWS_OK ||
	    mews_pool_open(&pool, fleet, NULL, NULL, &error) != MEWS_OK)
		errx(1, "%s", error.message);
	status = mews_query_run(mews_pool_group(pool, "read"), &args, &result);
	if (status == MEWS_OK)
		puts(PQgetvalue(mews_result_pg(result), 0, 0));
	else
		warnx("%s: %s", mews_status_name(status), result != NULL ?
		    mews_result_message(result) :
		    mews_group_message(mews_pool_group(pool, "read")));
	mews_result_free(&result);
	mews_pool_close(&pool);
	mews_fleet_destroy(&fleet);
	return status == MEWS_OK ? 0 : 1;
}

int
main(int argc, char **argv)
{
	struct mews_config *config = mews_config_new(MEWS_ABI);
	struct mews_fleet *fleet;
	struct mews_error error;
	int	ended, failed = 0;
	pid_t	pid;

	if (config == NULL)
		errx(1, "out of memory");
	/* mews_fleet_create() reports a mistake in these settings. */
	mews_config_set(config, "workers", "2", NULL);
	mews_config_set(config, "group.read.role", "any", NULL);
	mews_config_set(config, "endpoint.a.conninfo",
	    argc > 1 ? argv[1] : "dbname=app", NULL);
	if (mews_fleet_create(&fleet, config, &error) != MEWS_OK)
		errx(1, "%s", error.message);
	mews_config_free(&config);
	for (int i = 0; i < 2; i++)
		if (fork() == 0)
			return work(fleet);
	while ((pid = wait(&ended)) > 0) {
		mews_fleet_reap(fleet, pid);
		failed += ended != 0;
	}
	mews_fleet_destroy(&fleet);
	return failed == 0 ? 0 : 1;
}
