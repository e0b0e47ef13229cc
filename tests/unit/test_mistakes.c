/*
 * test_mistakes.c - what mews_config_check() says of a configuration, and
 * the copy that the library keeps of it.
 */
#include "inside.h"

#include "base/config.h"

#include <assert.h>
#include <malloc.h>

#define LONGEST "a23456789-123456789_123456789.1" /* one byte more than
						     MEWS_NAME_MAX allows */
#define SAID_MAX 16

static_assert(sizeof(LONGEST) == MEWS_NAME_MAX + 1, "the longest name");

/* A good configuration; the tests change its last endpoint or group, or the
 * fleet itself. */
static struct mews_endpoint_config endpoints[MEWS_ENDPOINTS_MAX + 1];
static struct mews_group_config	   groups[MEWS_GROUPS_MAX + 1];
static char			   names[MEWS_ENDPOINTS_MAX + 1][8];
static struct mews_config	   config;

static void
make_good(void)
{
	for (size_t i = 0; i <= MEWS_ENDPOINTS_MAX; i++) {
		snprintf(names[i], sizeof(names[i]), "n%zu", i);
		endpoints[i] = (struct mews_endpoint_config) {
			.name = names[i], .conninfo = "host=127.0.0.1",
		};
		groups[i] = (struct mews_group_config) { .name = names[i] };
	}
	config = (struct mews_config) {
		.abi = MEWS_ABI, .instance = "test", .workers = 2,
		.endpoints = endpoints, .endpoint_count = 3,
		.groups = groups, .group_count = 4,
	};
}

/* The reports of the last check(). */
static struct {
	int endpoint, group;
	char field[32], text[512];
} said[SAID_MAX];
static int said_count;

static void
keep(void *arg, const struct mews_config_mistake *mistake)
{
	ck_assert_ptr_eq(arg, said);
	ck_assert_int_lt(said_count, SAID_MAX);
	ck_assert_ptr_nonnull(mistake->field);
	ck_assert_ptr_null(strchr(mistake->text, '\n'));
	said[said_count].endpoint = mistake->endpoint;
	said[said_count].group = mistake->group;
	snprintf(said[said_count].field, sizeof(said[0].field), "%s",
	    mistake->field);
	snprintf(said[said_count].text, sizeof(said[0].text), "%s",
	    mistake->text);
	said_count++;
}

static void
check(void)
{
	said_count = 0;
	ck_assert_uint_eq(mews_config_check(&config, keep, said),
	    (size_t)said_count);
	ck_assert_uint_eq(mews_config_check(&config, NULL, NULL),
	    (size_t)said_count);
}

/* Expect one report, of @field with @text in it; NULL @field: no report. */
static void
assert_said(int endpoint, int group, const char *field, const char *text)
{
	check();
	if (field == NULL) {
		ck_assert_msg(said_count == 0, "refused: %s", said[0].text);
		return;
	}
	ck_assert_msg(said_count == 1, "%d mistakes, not one: %s; %s",
	    said_count, said[0].text, said[1].text);
	ck_assert_int_eq(said[0].endpoint, endpoint);
	ck_assert_int_eq(said[0].group, group);
	ck_assert_str_eq(said[0].field, field);
	ck_assert_msg(strstr(said[0].text, text) != NULL, "\"%s\", not: %s",
	    said[0].text, text);
}

#define CONNINFO "host=x"

static const struct {
	struct mews_endpoint_config endpoint;
	const char *field, *text;
} of_endpoints[] = {
	{ { "a", CONNINFO, 0, 0, 0 }, NULL, NULL },
	{ { LONGEST, CONNINFO, 0, 0, 0 }, NULL, NULL },
	{ { NULL, CONNINFO, 0, 0, 0 }, "name", "needs a name" },
	{ { "", CONNINFO, 0, 0, 0 }, "name", "needs a name" },
	{ { LONGEST "2", CONNINFO, 0, 0, 0 }, "name", "longer than 31 bytes" },
	{ { "a b", CONNINFO, 0, 0, 0 }, "name", "letters, digits" },
	{ { "a/b", CONNINFO, 0, 0, 0 }, "name", "letters, digits" },
	{ { "a\n", CONNINFO, 0, 0, 0 }, "name", "letters, digits" },
	{ { "\xc3\xbc", CONNINFO, 0, 0, 0 }, "name", "letters, digits" },
	{ { "n0", CONNINFO, 0, 0, 0 }, "name", "there twice" },
	{ { "n1", CONNINFO, 0, 0, 0 }, "name", "there twice" },
	{ { "N0", CONNINFO, 0, 0, 0 }, NULL, NULL },
	{ { "a", NULL, 0, 0, 0 }, "conninfo", "needs a conninfo" },
	{ { "a", "", 0, 0, 0 }, "conninfo", "needs a conninfo" },
	{ { "a", " ", 0, 0, 0 }, NULL, NULL },	/* empty: all of libpq's
						   defaults */
	{ { "a", "host", 0, 0, 0 }, "conninfo", "libpq does not take it" },
	{ { "a", "hots=x", 0, 0, 0 }, "conninfo", "hots" },
	{ { "a", "host='x", 0, 0, 0 }, "conninfo", "libpq does not take it" },
	{ { "a", "postgresql://u@h:1/db?sslmode=require", 0, 0, 0 }, NULL,
	  NULL },
	{ { "a", "host=/run/pg dbname='a,b'", 0, 0, 0 }, NULL, NULL },
	{ { "a", "host=x,y", 0, 0, 0 }, "conninfo",
	  "host names several servers" },
	{ { "a", "hostaddr=1.1.1.1,2.2.2.2", 0, 0, 0 }, "conninfo",
	  "hostaddr names several servers" },
	{ { "a", "host=x port=1,2", 0, 0, 0 }, "conninfo",
	  "port names several servers" },
	{ { "a", "host=x port=abc", 0, 0, 0 }, "conninfo", "port=abc" },
	{ { "a", "host=x sslmode=no", 0, 0, 0 }, "conninfo", "\"no\"" },
	{ { "a", "host=x channel_binding=no", 0, 0, 0 }, "conninfo",
	  "\"no\"" },
	{ { "a", "service=none", 0, 0, 0 }, "conninfo", "\"none\"" },
	{ { "a", "host=x port=5432x", 0, 0, 0 }, "conninfo", "port=5432x" },
	{ { "a", "host=x port=0", 0, 0, 0 }, "conninfo", "port=0" },
	{ { "a", "host=x port=65536", 0, 0, 0 }, "conninfo", "port=65536" },
	{ { "a", "host=x replication=database", 0, 0, 0 }, "conninfo",
	  "replication" },
	{ { "a", "host=x target_session_attrs=read-write", 0, 0, 0 },
	  "conninfo", "the role of a group chooses the server" },
	{ { "a", "host=x client_encoding=auto", 0, 0, 0 }, "conninfo",
	  "client_encoding=auto" },
	{ { "a", "host=x client_encoding=UTF8", 0, 0, 0 }, NULL, NULL },
	{ { "a", CONNINFO, 1, 0, 0 }, NULL, NULL },
	{ { "a", CONNINFO, 262143, 0, 0 }, NULL, NULL },
	{ { "a", CONNINFO, 262144, 0, 0 }, "max_connections", "262144" },
	{ { "a", CONNINFO, UINT32_MAX, 0, 0 }, "max_connections",
	  "4294967295" },
	{ { "a", CONNINFO, 0, 1000, 0 }, NULL, NULL },
	{ { "a", CONNINFO, 0, 1001, 0 }, "connect_burst", "1001" },
	{ { "a", CONNINFO, 0, 0, 100 }, NULL, NULL },
	{ { "a", CONNINFO, 0, 0, 101 }, "weight", "101" },
};

START_TEST(each_mistake_of_an_endpoint_is_told)
{
	endpoints[2] = of_endpoints[_i].endpoint;
	assert_said(2, -1, of_endpoints[_i].field, of_endpoints[_i].text);
}
END_TEST

static const struct {
	struct mews_group_config group; /* NULL: the name is "a" */
	const char *field, *text;
} of_groups[] = {
	{ { .name = "" }, "name", "needs a name" },
	{ { .name = "a;b" }, "name", "letters, digits" },
	{ { .name = LONGEST }, NULL, NULL },
	{ { .name = LONGEST "2" }, "name", "longer than 31 bytes" },
	{ { .name = "n0" }, "name", "there twice" },
	{ { .name = "n2" }, "name", "there twice" },
	{ { .role = MEWS_GROUP_PREFER_STANDBY }, NULL, NULL },
	{ { .role = (enum mews_group_role)4 }, "role", "prefer-standby" },
	{ { .role = (enum mews_group_role)-1 }, "role", "prefer-standby" },
	{ { .connection_count = 1 }, NULL, NULL },
	{ { .connection_count = MEWS_CONNECTIONS_MAX }, NULL, NULL },
	{ { .connection_count = MEWS_CONNECTIONS_MAX + 1 },
	  "connection_count", "1 to 1024" },
	{ { .min_connections = 4 }, NULL, NULL }, /* all 4 of the default */
	{ { .min_connections = 5 }, "min_connections", "which is 4" },
	{ { .min_connections = 7, .connection_count = 7 }, NULL, NULL },
	{ { .min_connections = 8, .connection_count = 7 },
	  "min_connections", "which is 7" },
	{ { .autocommit = MEWS_SWITCH_ON }, NULL, NULL },
	{ { .autocommit = MEWS_SWITCH_OFF }, NULL, NULL },
	{ { .autocommit = (enum mews_switch)3 }, "autocommit", "on or off" },
	{ { .autocommit = (enum mews_switch)-1 }, "autocommit", "on or off" },
	{ { .batch = MEWS_SWITCH_ON }, NULL, NULL },
	{ { .batch = MEWS_SWITCH_OFF, .role = MEWS_GROUP_PRIMARY }, NULL,
	  NULL },
	{ { .batch = MEWS_SWITCH_ON, .role = MEWS_GROUP_STANDBY }, NULL, NULL },
	{ { .batch = (enum mews_switch)3 }, "batch", "on or off" },
	{ { .batch = MEWS_SWITCH_ON, .role = MEWS_GROUP_PRIMARY }, "batch",
	  "cannot batch" },
	{ { .pipeline = 1 }, NULL, NULL },
	{ { .pipeline = 10000 }, NULL, NULL },
	{ { .pipeline = 10001 }, "pipeline", "10001" },
	{ { .queue = 1000000 }, NULL, NULL },
	{ { .queue = 1000001 }, "queue", "1000001" },
	{ { .slow_query = 3600000 }, NULL, NULL },
	{ { .slow_query = 3600001 }, "slow_query", "3600001" },
	{ { .slow_query_parameters = (enum mews_switch)3 },
	  "slow_query_parameters", "on or off" },
	{ { .trace_comments = (enum mews_switch)3 },
	  "trace_comments", "on or off" },
	{ { .stall_after = 60000 }, NULL, NULL },
	{ { .stall_after = 60001 }, "stall_after", "60001" },
	{ { .hedge_after = MEWS_HEDGE_AUTO }, NULL, NULL },
	{ { .hedge_after = 60000, .role = MEWS_GROUP_STANDBY }, NULL, NULL },
	{ { .hedge_after = 60001 }, "hedge_after", "60001" },
	{ { .hedge_after = 1, .role = MEWS_GROUP_PRIMARY }, "hedge_after",
	  "cannot hedge" },
	{ { .retry_budget = 100 }, NULL, NULL },
	{ { .retry_budget = 101 }, "retry_budget", "101" },
	{ { .retry_budget = MEWS_FOREVER }, NULL, NULL },
	{ { .max_lag = UINT32_MAX, .max_lag_bytes = UINT64_MAX }, NULL, NULL },
	{ { .query_timeout = 1 }, NULL, NULL },
	{ { .query_timeout = INT32_MAX }, NULL, NULL },
	{ { .query_timeout = (uint32_t)INT32_MAX + 1 }, "query_timeout",
	  "2147483648" },
	{ { .query_timeout = MEWS_FOREVER }, NULL, NULL },
	{ { .acquire_timeout = 1 }, NULL, NULL },
	{ { .acquire_timeout = INT32_MAX }, NULL, NULL },
	{ { .acquire_timeout = (uint32_t)INT32_MAX + 1 }, "acquire_timeout",
	  "1 to 2147483647" },
	{ { .acquire_timeout = MEWS_FOREVER }, "acquire_timeout",
	  "1 to 2147483647" },	/* each wait needs a deadline */
	{ { .idle_timeout = MEWS_FOREVER, .max_lifetime = MEWS_FOREVER },
	  NULL, NULL },
	{ { .session_tmp_buffer = 1 }, "session_tmp_buffer", "819200" },
	{ { .session_tmp_buffer = 819199 }, "session_tmp_buffer", "819200" },
	{ { .session_tmp_buffer = 819200 }, NULL, NULL },
	{ { .session_tmp_buffer = UINT64_C(8) << 40 }, NULL, NULL },
	{ { .session_tmp_buffer = (UINT64_C(8) << 40) + 1 },
	  "session_tmp_buffer", "8796093022208" },
	{ { .session_tmp_buffer = UINT64_MAX }, "session_tmp_buffer",
	  "8796093022208" },
	{ { .init_count = 2, .init = (const char *const[]) { "a", "b" } },
	  NULL, NULL },
	{ { .init_count = 2, .init = (const char *const[]) { "a", "" } },
	  "init", "number 2" },
	{ { .init_count = 2, .init = (const char *const[]) { NULL, "b" } },
	  "init", "number 1" },
	{ { .init_count = 1 }, "init", "number 1" },
};

START_TEST(each_mistake_of_a_group_is_told)
{
	groups[3] = of_groups[_i].group;
	if (groups[3].name == NULL)
		groups[3].name = "a";
	assert_said(-1, 3, of_groups[_i].field, of_groups[_i].text);
}
END_TEST

START_TEST(a_group_needs_a_name)
{
	groups[3].name = NULL;
	assert_said(-1, 3, "name", "needs a name");
}
END_TEST

static const struct {
	struct mews_health_config health;
	const char *field, *text;
} of_health[] = {
	{ { 10, 1, 1, 1, 1, 100 }, NULL, NULL },
	{ { 3600000, 60000, 15, 15, 3600000, 86400000 }, NULL, NULL },
	{ { .slow_start = MEWS_FOREVER }, NULL, NULL },
	{ { .slow_start = 3600001 }, "slow_start", "3600001" },
	{ { .resolve = 99 }, "resolve", "100 to 86400000" },
	{ { .resolve = 86400001 }, "resolve", "100 to 86400000" },
	{ { .interval = 9 }, "interval", "10 to 3600000" },
	{ { .interval = 3600001 }, "interval", "10 to 3600000" },
	{ { .interval = MEWS_FOREVER }, "interval", "10 to 3600000" },
	{ { .timeout = 60001 }, "timeout", "1 to 60000" },
	{ { .timeout = MEWS_FOREVER }, "timeout", "1 to 60000" },
	{ { .fall = 16 }, "fall", "15" },
	{ { .rise = 16 }, "rise", "15" },
};

START_TEST(each_mistake_of_the_health_rules_is_told)
{
	config.health = of_health[_i].health;
	assert_said(-1, -1, of_health[_i].field, of_health[_i].text);
}
END_TEST

START_TEST(each_mistake_of_the_fleet_is_told)
{
	assert_said(-1, -1, NULL, NULL);
	config.instance = NULL;
	assert_said(-1, -1, "instance", "needs a name");
	config.instance = "../x";
	assert_said(-1, -1, "instance", "letters, digits");
	make_good();
	config.workers = 0;
	assert_said(-1, -1, "workers", "1 to 256");
	config.workers = MEWS_WORKERS_MAX;
	assert_said(-1, -1, NULL, NULL);
	config.workers = MEWS_WORKERS_MAX + 1;
	assert_said(-1, -1, "workers", "1 to 256");
	make_good();
	config.endpoint_count = 0;
	assert_said(-1, -1, "endpoints", "at least one");
	config.endpoint_count = MEWS_ENDPOINTS_MAX;
	assert_said(-1, -1, NULL, NULL);
	config.endpoint_count = MEWS_ENDPOINTS_MAX + 1;
	assert_said(-1, -1, "endpoints", "allowed are 32");
	config.endpoints = NULL;
	assert_said(-1, -1, "endpoints", "at least one");
	make_good();
	config.group_count = 0;
	assert_said(-1, -1, "groups", "at least one");
	config.group_count = MEWS_GROUPS_MAX;
	assert_said(-1, -1, NULL, NULL);
	config.group_count = MEWS_GROUPS_MAX + 1;
	assert_said(-1, -1, "groups", "allowed are 32");
	config.groups = NULL;
	assert_said(-1, -1, "groups", "at least one");
}
END_TEST

/* Fields behind an unknown ABI number have no known meaning. */
START_TEST(a_configuration_of_another_abi_is_not_read_further)
{
	memset(&config, 0xff, sizeof(config));
	config.abi = MEWS_ABI + 1;
	assert_said(-1, -1, "abi", "install a newer one");
	config.abi = MEWS_ABI_OLDEST - 1;
	assert_said(-1, -1, "abi", "compile it again");
}
END_TEST

START_TEST(all_mistakes_are_told_at_once)
{
	static const struct {
		int endpoint, group;
		const char *field;
	} all[] = {
		{ -1, -1, "instance" }, { -1, -1, "workers" },
		{ 0, -1, "name" }, { 0, -1, "conninfo" },
		{ 0, -1, "conninfo" }, { 2, -1, "conninfo" },
		{ -1, 1, "connection_count" }, { -1, 1, "queue" },
		{ -1, 3, "name" }, { -1, -1, "fall" }, { -1, -1, "rise" },
	};

	config.instance = "";
	config.workers = 1000;
	endpoints[0].name = "a b";
	endpoints[0].conninfo = "postgresql://x:1,y:2/db"; /* of host and
							      port */
	endpoints[2].conninfo = "";
	groups[1].connection_count = 2000;
	groups[1].queue = 2000000;
	groups[3].name = groups[0].name;
	config.health.fall = config.health.rise = 100;
	check();
	ck_assert_int_eq(said_count, COUNT(all));
	for (int i = 0; i < COUNT(all); i++) {
		ck_assert_int_eq(said[i].endpoint, all[i].endpoint);
		ck_assert_int_eq(said[i].group, all[i].group);
		ck_assert_str_eq(said[i].field, all[i].field);
	}
}
END_TEST

START_TEST(connections_kept_open_must_fit_the_endpoints)
{
	for (int i = 0; i < 3; i++)
		endpoints[i].max_connections = 4;
	config.workers = 3;
	groups[2].min_connections = 4;
	assert_said(-1, -1, NULL, NULL);	/* together 12 of 12 */
	endpoints[1].max_connections = 3;
	assert_said(-1, 2, "min_connections", "3 workers keep 12");
	endpoints[1].max_connections = 0;	/* an endpoint without a cap */
	assert_said(-1, -1, NULL, NULL);
	for (int i = 0; i < 3; i++)
		endpoints[i].max_connections = 1;
	config.workers = MEWS_WORKERS_MAX;
	groups[2].min_connections = MEWS_CONNECTIONS_MAX;
	groups[2].connection_count = MEWS_CONNECTIONS_MAX;
	assert_said(-1, 2, "min_connections", "keep 262144");
}
END_TEST

START_TEST(each_role_has_a_name)
{
	ck_assert_str_eq(mews_group_role_name(MEWS_GROUP_ANY), "any");
	ck_assert_str_eq(mews_group_role_name(MEWS_GROUP_PRIMARY), "primary");
	ck_assert_str_eq(mews_group_role_name(MEWS_GROUP_STANDBY), "standby");
	ck_assert_str_eq(mews_group_role_name(MEWS_GROUP_PREFER_STANDBY),
	    "prefer-standby");
	ck_assert_str_eq(mews_group_role_name((enum mews_group_role)4), "?");
	ck_assert_str_eq(mews_group_role_name((enum mews_group_role)-1), "?");
}
END_TEST

/* --- the copy --- */

START_TEST(a_zero_in_a_configuration_becomes_the_default)
{
	struct mews_config	       *copy;
	const struct mews_group_config *g;

	groups[1].role = MEWS_GROUP_PRIMARY;
	ck_assert_ptr_nonnull(copy = config_copy(&config));
	g = copy->groups;
	ck_assert_uint_eq(g->connection_count, MEWS_CONNECTION_COUNT_DEFAULT);
	ck_assert_uint_eq(g->min_connections, 0);
	ck_assert_int_eq(g->autocommit, MEWS_SWITCH_ON);
	ck_assert_int_eq(g->batch, MEWS_SWITCH_ON);
	ck_assert_int_eq(copy->groups[1].batch, MEWS_SWITCH_OFF);
	ck_assert_uint_eq(g->pipeline, MEWS_PIPELINE_DEFAULT);
	ck_assert_uint_eq(g->query_timeout, MEWS_QUERY_TIMEOUT_DEFAULT);
	ck_assert_uint_eq(g->acquire_timeout, MEWS_ACQUIRE_TIMEOUT_DEFAULT);
	ck_assert_uint_eq(g->queue, MEWS_QUEUE_DEFAULT);
	ck_assert_uint_eq(g->idle_timeout, MEWS_IDLE_TIMEOUT_DEFAULT);
	ck_assert_uint_eq(g->max_lifetime, MEWS_MAX_LIFETIME_DEFAULT);
	ck_assert_uint_eq(g->session_tmp_buffer, 0);
	ck_assert_ptr_null(g->init);
	ck_assert_uint_eq(g->init_count, 0);
	ck_assert_uint_eq(copy->health.interval, MEWS_HEALTH_INTERVAL_DEFAULT);
	ck_assert_uint_eq(copy->health.timeout, MEWS_HEALTH_TIMEOUT_DEFAULT);
	ck_assert_uint_eq(copy->health.fall, MEWS_HEALTH_FALL_DEFAULT);
	ck_assert_uint_eq(copy->health.rise, MEWS_HEALTH_RISE_DEFAULT);
	ck_assert_uint_eq(copy->health.slow_start,
	    MEWS_HEALTH_SLOW_START_DEFAULT);
	ck_assert_uint_eq(copy->health.resolve, MEWS_HEALTH_RESOLVE_DEFAULT);
	ck_assert_uint_eq(g->retry_budget, MEWS_RETRY_BUDGET_DEFAULT);
	ck_assert_uint_eq(g->stall_after, 0);
	ck_assert_uint_eq(g->hedge_after, 0);
	ck_assert_uint_eq(g->max_lag, 0);
	ck_assert_uint_eq(g->max_lag_bytes, 0);
	ck_assert_uint_eq(copy->endpoints->connect_burst,
	    MEWS_CONNECT_BURST_DEFAULT);
	ck_assert_uint_eq(copy->endpoints->weight, MEWS_WEIGHT_DEFAULT);
	ck_assert_ptr_null(copy->runtime_file);
	ck_assert_uint_eq(copy->endpoints->max_connections, 0);
	free(copy);
	/* The original keeps its zeros. */
	ck_assert_uint_eq(groups[0].pipeline, 0);
	ck_assert_uint_eq(config.health.fall, 0);
}
END_TEST

/* A whole configuration in memory of its own, with another value in each
 * field. */
struct original {
	struct mews_config config;
	struct mews_endpoint_config endpoints[2];
	struct mews_group_config groups[2];
	const char *init[2];
	char instance[8], runtime_file[8], names[4][8], conninfo[2][16];
	char sql[2][16];
};

static struct original *
make_original(void)
{
	struct original *o = calloc(1, sizeof(*o));

	ck_assert_ptr_nonnull(o);
	strcpy(o->instance, "shop");
	strcpy(o->runtime_file, "/x/y");
	for (int i = 0; i < 2; i++) {
		snprintf(o->names[i], sizeof(o->names[i]), "e%d", i);
		snprintf(o->names[2 + i], sizeof(o->names[i]), "g%d", i);
		snprintf(o->conninfo[i], sizeof(o->conninfo[i]), "host=%d", i);
		snprintf(o->sql[i], sizeof(o->sql[i]), "SET a = %d", i);
		o->endpoints[i] = (struct mews_endpoint_config) {
			o->names[i], o->conninfo[i], (uint32_t)i + 70, 60, 7,
		};
		o->init[i] = o->sql[i];
		o->groups[i] = (struct mews_group_config) {
			.name = o->names[2 + i],
			.role = (enum mews_group_role)(i + 2),
			.connection_count = 2, .min_connections = 1,
			.autocommit = MEWS_SWITCH_OFF, .pipeline = 4,
			.batch = MEWS_SWITCH_OFF, .query_timeout = 5,
			.acquire_timeout = 6, .queue = 7, .idle_timeout = 8,
			.max_lifetime = 9, .max_lag = 10, .max_lag_bytes = 11,
			.stall_after = 12, .hedge_after = 13,
			.retry_budget = 14, .session_tmp_buffer = 1000000,
			.init = i == 0 ? NULL : o->init,
			.init_count = i == 0 ? 0 : 2,
		};
	}
	o->config = (struct mews_config) {
		.abi = MEWS_ABI, .instance = o->instance,
		.runtime_file = o->runtime_file, .workers = 3,
		.endpoints = o->endpoints, .endpoint_count = 2,
		.groups = o->groups, .group_count = 2,
		.health = { 10, 11, 12, 13, 14, 150 },
	};
	return o;
}

static void
assert_equal(const struct mews_config *copy, const struct original *o)
{
	ck_assert_str_eq(copy->instance, o->instance);
	ck_assert_str_eq(copy->runtime_file, o->runtime_file);
	ck_assert_uint_eq(copy->abi, MEWS_ABI);
	ck_assert_uint_eq(copy->workers, 3);
	ck_assert_mem_eq(&copy->health, &o->config.health,
	    sizeof(copy->health));
	ck_assert_uint_eq(copy->endpoint_count, 2);
	ck_assert_uint_eq(copy->group_count, 2);
	for (int i = 0; i < 2; i++) {
		const struct mews_endpoint_config *e = &copy->endpoints[i];
		const struct mews_group_config	  *g = &copy->groups[i];

		ck_assert_str_eq(e->name, o->names[i]);
		ck_assert_str_eq(e->conninfo, o->conninfo[i]);
		ck_assert_uint_eq(e->max_connections, (uint32_t)i + 70);
		ck_assert_uint_eq(e->connect_burst, 60);
		ck_assert_uint_eq(e->weight, 7);
		ck_assert_str_eq(g->name, o->names[2 + i]);
		ck_assert_uint_eq(g->init_count, i == 0 ? 0 : 2);
		for (size_t j = 0; j < g->init_count; j++)
			ck_assert_str_eq(g->init[j], o->sql[j]);
		if (g->init_count == 0)
			ck_assert_ptr_null(g->init);
		ck_assert_int_eq(g->role, i + 2);
		ck_assert_uint_eq(g->connection_count, 2);
		ck_assert_uint_eq(g->min_connections, 1);
		ck_assert_int_eq(g->autocommit, MEWS_SWITCH_OFF);
		ck_assert_uint_eq(g->pipeline, 4);
		ck_assert_int_eq(g->batch, MEWS_SWITCH_OFF);
		ck_assert_uint_eq(g->query_timeout, 5);
		ck_assert_uint_eq(g->acquire_timeout, 6);
		ck_assert_uint_eq(g->queue, 7);
		ck_assert_uint_eq(g->idle_timeout, 8);
		ck_assert_uint_eq(g->max_lifetime, 9);
		ck_assert_uint_eq(g->max_lag, 10);
		ck_assert_uint_eq(g->max_lag_bytes, 11);
		ck_assert_uint_eq(g->stall_after, 12);
		ck_assert_uint_eq(g->hedge_after, 13);
		ck_assert_uint_eq(g->retry_budget, 14);
		ck_assert_uint_eq(g->session_tmp_buffer, 1000000);
	}
}

static void
spoil_and_free(void *memory)
{
	/* explicit_bzero(), as a compiler removes a memset() before free(). */
	explicit_bzero(memory, malloc_usable_size(memory));
	free(memory);
}

START_TEST(a_copied_configuration_is_equal_and_independent)
{
	struct original	       *o = make_original(), *kept = make_original();
	struct mews_config     *copy, *again;

	ck_assert_ptr_nonnull(copy = config_copy(&o->config));
	assert_equal(copy, kept);
	spoil_and_free(o);
	assert_equal(copy, kept);
	/* A copy can be copied; each copy is one block of memory. */
	ck_assert_ptr_nonnull(again = config_copy(copy));
	spoil_and_free(copy);
	assert_equal(again, kept);
	free(again);
	free(kept);
}
END_TEST

static Suite *
mistakes_suite(void)
{
	Suite	*suite = suite_create("mistakes");
	TCase	*tcase = unit_case(suite, "check");

	tcase_add_checked_fixture(tcase, make_good, NULL);
	tcase_add_loop_test(tcase, each_mistake_of_an_endpoint_is_told, 0,
	    COUNT(of_endpoints));
	tcase_add_loop_test(tcase, each_mistake_of_a_group_is_told, 0,
	    COUNT(of_groups));
	tcase_add_test(tcase, a_group_needs_a_name);
	tcase_add_loop_test(tcase, each_mistake_of_the_health_rules_is_told, 0,
	    COUNT(of_health));
	tcase_add_test(tcase, each_mistake_of_the_fleet_is_told);
	tcase_add_test(tcase,
	    a_configuration_of_another_abi_is_not_read_further);
	tcase_add_test(tcase, all_mistakes_are_told_at_once);
	tcase_add_test(tcase, connections_kept_open_must_fit_the_endpoints);
	tcase_add_test(tcase, each_role_has_a_name);

	tcase = unit_case(suite, "copy");
	tcase_add_checked_fixture(tcase, make_good, NULL);
	tcase_add_test(tcase, a_zero_in_a_configuration_becomes_the_default);
	tcase_add_test(tcase, a_copied_configuration_is_equal_and_independent);
	return suite;
}

UNIT_MAIN(mistakes_suite)
