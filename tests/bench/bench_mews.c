/*
 * bench_mews.c - the work through the pool, by its public API only.
 *
 * The host has no loop of its own: mews_pool_turn() waits. There is one group,
 * with the role that makes the pool send in the way that the mode asks for:
 * readers share a Sync, writers do not.
 */
#include "bench.h"

#include <err.h>
#include <mews.h>
#include <mews/settings.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define TRACEPARENT "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
#define SLOW_MS	     60000
#define OPEN_SECONDS 20 /* the longest wait for all connections */

/* A lease and its query, in mode lease; there are as many as may be held at a
 * time. */
struct holder {
	struct mews *mews;
	struct mews_lease *lease;
};

struct mews {
	struct bench *bench;
	struct mews_fleet *fleet;
	struct mews_pool *pool;
	struct mews_group *group;
	struct mews_statement *statement;
	struct mews_param id;
	struct mews_query_args args; /* the parameter of the query: @id */
	struct holder *holders;
};

static void
refused(const struct mews *mews, const char *what, enum mews_status status)
{
	errx(1, "%s: %s: %s", what, mews_status_name(status),
	    mews_group_message(mews->group));
}

static void
check(struct bench *bench, const struct mews_result *result)
{
	if (mews_result_status(result) != MEWS_OK)
		errx(1, "%s: %s",
		    mews_status_name(mews_result_status(result)),
		    mews_result_message(result));
	bench->ended++;
}

/*
 * --- queries that share connections ---
 */

static void send_query(struct mews *mews);

static void
query_ended(void *arg, const struct mews_result *result)
{
	struct mews *mews = arg;

	check(mews->bench, result);
	bench_row(mews->bench, mews_result_pg(result));
	if (bench_more(mews->bench))
		send_query(mews);
}

/* Count the instructions of the next call, if they are to be counted. */
static void
count(const struct bench *bench, void (*start_or_stop)(void))
{
	if (bench->count_sends && bench->measuring)
		start_or_stop();
}

static void
send_query(struct mews *mews)
{
	enum mews_status status;

	mews->id = mews_param_int_text(bench_id(mews->bench));
	count(mews->bench, bench_instructions_start);
	status = mews_query_send(mews->group, &mews->args, query_ended, mews,
	    NULL);
	count(mews->bench, bench_instructions_stop);
	if (status != MEWS_OK)
		refused(mews, "query", status);
	mews->bench->sent++;
}

/*
 * --- leases ---
 */

static void begin(struct holder *holder);

static void
lease_query_ended(void *arg, const struct mews_result *result)
{
	struct holder *holder = arg;
	struct bench *bench = holder->mews->bench;

	check(bench, result);
	bench_row(bench, mews_result_pg(result));
	mews_lease_end(&holder->lease);
	if (bench_more(bench))
		begin(holder);
}

static void
hold(struct holder *holder, struct mews_lease *lease)
{
	struct mews *mews = holder->mews;
	enum mews_status status;

	holder->lease = lease;
	mews->id = mews_param_int_text(bench_id(mews->bench));
	status = mews_lease_query(lease, &mews->args, lease_query_ended,
	    holder, NULL);
	if (status != MEWS_OK)
		refused(mews, "lease", status);
}

static void
leased(void *arg, struct mews_lease *lease, const struct mews_result *result)
{
	if (lease == NULL)
		errx(1, "lease: %s", mews_result_message(result));
	hold(arg, lease);
}

static void
begin(struct holder *holder)
{
	struct mews *mews = holder->mews;
	struct mews_lease *lease;
	enum mews_status status;

	mews->bench->sent++;
	if ((lease = mews_lease_try(mews->group)) != NULL) {
		hold(holder, lease);
		return;
	}
	status = mews_lease_begin(mews->group, 0, leased, holder, NULL);
	if (status != MEWS_OK)
		refused(mews, "lease", status);
}

/* Give the connection back at once. */
static void
take_and_give(struct mews *mews)
{
	struct mews_lease *lease;
	bool free;

	count(mews->bench, bench_instructions_start);
	lease = mews_lease_try(mews->group);
	free = lease != NULL;
	mews_lease_end(&lease);
	count(mews->bench, bench_instructions_stop);
	if (!free)
		errx(1, "lease: no connection is free");
	mews->bench->sent++;
	mews->bench->ended++;
}

/* Send the first queries, or the first after all had ended. */
static void
start(struct mews *mews)
{
	for (unsigned i = 0; i < mews->bench->inflight; i++) {
		if (!bench_more(mews->bench))
			return;
		if (mews->bench->mode == BENCH_EMPTY)
			take_and_give(mews);
		else if (mews->holders != NULL)
			begin(&mews->holders[i]);
		else
			send_query(mews);
	}
}

static void
mews_turn(void *side)
{
	struct mews *mews = side;
	struct bench *bench = mews->bench;

	if (bench->mode == BENCH_TICK) {
		/* How many instructions counting itself takes. */
		count(bench, bench_instructions_start);
		count(bench, bench_instructions_stop);
		bench->sent++;
		bench->ended++;
	} else if (bench->sent == bench->ended) {
		start(mews);
	}
	if (bench->mode >= BENCH_EMPTY)
		mews_pool_tick(mews->pool);	/* nothing is waited for */
	else
		mews_pool_turn(mews->pool, 1000);
}

static struct mews_fleet *
make_fleet(const struct bench *bench)
{
	char names[MEWS_ENDPOINTS_MAX][8];
	struct mews_endpoint_config endpoints[MEWS_ENDPOINTS_MAX];
	struct mews_group_config group = {
		.name = "bench",
		.role = bench->mode == BENCH_BATCH ? MEWS_GROUP_ANY :
						     MEWS_GROUP_PRIMARY,
		.connection_count = bench->connections,
		.min_connections = bench->connections,
		.pipeline = bench->mode == BENCH_SYNC ||
			bench->mode == BENCH_BATCH ? bench->inflight : 1,
		.queue = bench->inflight,
		.slow_query = bench->traced ? SLOW_MS : 0,
		.slow_query_parameters = bench->traced ? MEWS_SWITCH_ON :
							 MEWS_SWITCH_OFF,
		.trace_comments = bench->traced ? MEWS_SWITCH_ON :
						  MEWS_SWITCH_OFF,
	};
	struct mews_config config = {
		.abi = MEWS_ABI,
		.instance = "bench",
		.workers = 1,
		.endpoints = endpoints,
		.endpoint_count = bench->endpoints,
		.groups = &group,
		.group_count = 1,
		/* Limits are long, as all takes fifty times as long under
		 * callgrind. */
		.health = { .timeout = 10000 },
	};
	struct mews_fleet *fleet;
	struct mews_error error;

	for (unsigned i = 0; i < bench->endpoints; i++) {
		snprintf(names[i], sizeof(names[i]), "e%u", i);
		endpoints[i] = (struct mews_endpoint_config) {
			.name = names[i],
			.conninfo = bench->conninfo,
		};
	}
	if (mews_fleet_create(&fleet, &config, &error) != MEWS_OK ||
	    mews_fleet_join(fleet, &error) != MEWS_OK)
		errx(1, "fleet: %s", error.message);
	return fleet;
}

/* A server that counts as slow or dead would falsify the figures. */
static void
log_trouble(void *arg, enum mews_log_level level, const char *event,
    const char *text)
{
	struct bench *bench = arg;

	if (level >= MEWS_LOG_WARNING && bench->warnings++ == 0)
		warnx("event=%s %s", event, text);
}

static void
wait_for_connections(struct mews *mews)
{
	struct mews_group_stats stats;
	time_t until = time(NULL) + OPEN_SECONDS;

	do {
		if (time(NULL) > until)
			errx(1, "%u of %u connections after %d seconds",
			    stats.idle, mews->bench->connections,
			    OPEN_SECONDS);
		mews_pool_turn(mews->pool, 10);
		mews_group_stats(mews->group, &stats, sizeof(stats));
	} while (stats.idle < mews->bench->connections);
}

static void *
mews_open(struct bench *bench)
{
	struct mews *mews = calloc(1, sizeof(*mews));
	struct mews_error error;

	if (mews == NULL)
		err(1, "pool");
	mews->bench = bench;
	mews->fleet = make_fleet(bench);
	mews_fleet_set_log(mews->fleet, log_trouble, bench);
	if (mews_pool_open(&mews->pool, mews->fleet, NULL, NULL, &error) !=
	    MEWS_OK)
		errx(1, "pool: %s", error.message);
	mews->group = mews_pool_group(mews->pool, "bench");
	if (mews_statement_register(&mews->statement, mews->pool, NULL,
		BENCH_SQL, 0, NULL) != MEWS_OK)
		errx(1, "statement");
	mews->args = (struct mews_query_args) { .statement = mews->statement,
		.params = &mews->id, .param_count = 1,
		.traceparent = bench->traced ? TRACEPARENT : NULL };
	if (bench->mode == BENCH_LEASE) {
		mews->holders = calloc(bench->inflight,
		    sizeof(mews->holders[0]));
		if (mews->holders == NULL)
			err(1, "leases");
		for (unsigned i = 0; i < bench->inflight; i++)
			mews->holders[i].mews = mews;
	}
	wait_for_connections(mews);
	return mews;
}

static void
mews_close(void *side)
{
	struct mews *mews = side;

	mews_pool_close(&mews->pool);
	mews_fleet_leave(mews->fleet);
	mews_fleet_destroy(&mews->fleet);
	free(mews->holders);
	free(mews);
}

const struct bench_side bench_mews = { mews_open, mews_turn, mews_close };
