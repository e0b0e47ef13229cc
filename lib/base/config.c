/*
 * config.c - checking and copying what a host configured.
 *
 * Limits stand in mews/config.h, defaults in mews/settings.h.
 */
#include "base/config.h"

#include "base/environment.h"

#include <libpq-fe.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const role_names[] = {
	[MEWS_GROUP_ANY] = "any",
	[MEWS_GROUP_PRIMARY] = "primary",
	[MEWS_GROUP_STANDBY] = "standby",
	[MEWS_GROUP_PREFER_STANDBY] = "prefer-standby",
};

#define ROLES (sizeof(role_names) / sizeof(role_names[0]))

const char *
mews_group_role_name(enum mews_group_role role)
{
	return (size_t)role < ROLES ? role_names[role] : "?";
}

/* One run of mews_config_check(). */
struct check {
	mews_config_fn *fn;
	void *arg;
	size_t mistakes;
	int endpoint;
	int group;
};

static void mistake(struct check *check, const char *field,
    const char *format, ...) __attribute__((format(printf, 3, 4)));

static void
mistake(struct check *check, const char *field, const char *format, ...)
{
	struct mews_config_mistake found;
	char			   text[400];
	va_list			   ap;

	va_start(ap, format);
	vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	/* One line, even if a name or libpq's message has several. */
	for (char *c = text; *c != '\0'; c++)
		if ((unsigned char)*c < ' ')
			*c = ' ';
	found = (struct mews_config_mistake) {
		.endpoint = check->endpoint,
		.group = check->group,
		.field = field,
		.text = text,
	};
	check->mistakes++;
	if (check->fn != NULL)
		check->fn(check->arg, &found);
}

/* ASCII only: the host's locale has no say. */
static bool
is_letter_or_digit(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	    (c >= '0' && c <= '9');
}

/* How many bytes of @name, from its first on, are allowed in a name. */
static size_t
name_span(const char *name)
{
	size_t	span = 0;

	while (name[span] != '\0' && (is_letter_or_digit(name[span]) ||
	    strchr("_-.", name[span]) != NULL))
		span++;
	return span;
}

bool
config_is_name(const char *name)
{
	size_t	span = name_span(name);

	return name[span] == '\0' && span > 0 && span <= MEWS_NAME_MAX;
}

static void
check_name(struct check *check, const char *field, const char *what,
    const char *name)
{
	size_t	length;

	if (name == NULL || name[0] == '\0') {
		mistake(check, field, "%s needs a name", what);
		return;
	}
	length = strlen(name);
	if (name_span(name) < length) {
		mistake(check, field, "the name \"%.100s\" holds "
		    "something else than letters, digits, '_', '-' "
		    "and '.'", name);
		return;
	}
	if (length > MEWS_NAME_MAX)
		mistake(check, field,
		    "the name \"%.100s\" is longer than %d bytes", name,
		    MEWS_NAME_MAX);
}

static void
check_range(struct check *check, const char *field, uint64_t value,
    uint64_t least, uint64_t most)
{
	if (value < least || value > most)
		mistake(check, field, "%s is %llu; allowed is %llu to %llu",
		    field, (unsigned long long)value,
		    (unsigned long long)least, (unsigned long long)most);
}

/* An endpoint is one server: libpq's lists of hosts are refused. */
static bool
is_list(const PQconninfoOption *o)
{
	return o->val != NULL && (strcmp(o->keyword, "host") == 0 ||
		strcmp(o->keyword, "hostaddr") == 0 ||
		strcmp(o->keyword, "port") == 0) &&
	    strchr(o->val, ',') != NULL;
}

/* Report libpq's complaint @why, its first line. */
static void
complain(struct check *check, const char *why)
{
	mistake(check, "conninfo", "libpq does not take it: %.*s",
	    (int)strcspn(why, "\n"), why);
}

/* Check the values of options, and what the environment and the file of
 * services add. libpq looks at them only when it connects: connect with an
 * option that libpq refuses last, before it opens a socket. */
static void
check_additions(struct check *check, const char *conninfo)
{
	const char *const keywords[] = { "dbname", "target_session_attrs",
		NULL };
	const char *const values[] = { conninfo, "refused", NULL };
	PGconn		 *pg = PQconnectStartParams(keywords, values, 1);
	PQconninfoOption *options = PQconninfo(pg);
	const char	 *why;
	/* A mistake in the environment is told by its variable's name. */
	bool		  told = environment_refused(0, &why) != NULL;

	for (const PQconninfoOption *o = options;
	    o != NULL && o->keyword != NULL; o++) {
		const char *variable = o->envvar == NULL ? NULL :
		    getenv(o->envvar);

		told = told || is_list(o);
		if (is_list(o))
			mistake(check, "conninfo", "%s of the %s names "
			    "several servers; an endpoint is one, so write "
			    "one endpoint each", o->keyword,
			    variable != NULL && strcmp(variable, o->val) == 0 ?
			    "environment" : "service");
	}
	if (!told && strstr(PQerrorMessage(pg), keywords[1]) == NULL)
		complain(check, PQerrorMessage(pg));
	PQconninfoFree(options);
	PQfinish(pg);
}

static void
check_environment(struct check *check)
{
	const char	*name, *why;

	for (size_t i = 0; (name = environment_refused(i, &why)) != NULL; i++)
		mistake(check, "endpoints", "%s is set in the environment: "
		    "%s; unset it", name, why);
}

/* libpq accepts any text here, and fails at each login. Empty: its default. */
static bool
is_port(const char *text)
{
	char	       *end;
	unsigned long	port = strtoul(text, &end, 10);

	return text[0] == '\0' || (text[0] >= '0' && text[0] <= '9' &&
	    *end == '\0' && port >= 1 && port <= 65535);
}

static void
check_conninfo(struct check *check, const char *conninfo)
{
	PQconninfoOption	*options;
	char			*why = NULL;
	bool			 listed = false;

	if (conninfo == NULL || conninfo[0] == '\0') {
		mistake(check, "conninfo", "an endpoint needs a conninfo");
		return;
	}
	if ((options = PQconninfoParse(conninfo, &why)) == NULL) {
		complain(check, why == NULL ? "out of memory" : why);
		PQfreemem(why);
		return;
	}
	for (const PQconninfoOption *o = options; o->keyword != NULL; o++) {
		if (o->val == NULL)
			continue;
		listed = listed || is_list(o);
		if (is_list(o))
			mistake(check, "conninfo", "%s names several servers; "
			    "an endpoint is one, so write one endpoint each",
			    o->keyword);
		if (strcmp(o->keyword, "target_session_attrs") == 0 &&
		    strcmp(o->val, "any") != 0)
			mistake(check, "conninfo", "target_session_attrs=%s: "
			    "the role of a group chooses the server; leave it "
			    "out", o->val);
		if (strcmp(o->keyword, "port") == 0 &&
		    strchr(o->val, ',') == NULL && !is_port(o->val))
			mistake(check, "conninfo", "port=%s: a port is a "
			    "number from 1 to 65535", o->val);
		if (strcmp(o->keyword, "replication") == 0)
			mistake(check, "conninfo",
			    "replication connections cannot run queries; "
			    "leave it out");
		if (strcmp(o->keyword, "client_encoding") == 0 &&
		    strcmp(o->val, "auto") == 0)
			mistake(check, "conninfo", "client_encoding=auto "
			    "depends on who starts it; name an encoding");
	}
	PQconninfoFree(options);
	if (!listed)
		check_additions(check, conninfo);
}

static void
check_endpoints(struct check *check, const struct mews_config *config)
{
	if (config->endpoints == NULL || config->endpoint_count == 0) {
		mistake(check, "endpoints", "at least one endpoint is needed");
		return;
	}
	if (config->endpoint_count > MEWS_ENDPOINTS_MAX)
		mistake(check, "endpoints", "%zu endpoints; allowed are %d",
		    config->endpoint_count, MEWS_ENDPOINTS_MAX);
	check_environment(check);
	for (size_t i = 0; i < config->endpoint_count; i++) {
		const struct mews_endpoint_config *e = &config->endpoints[i];

		check->endpoint = (int)i;
		check_name(check, "name", "an endpoint", e->name);
		for (size_t j = 0; e->name != NULL && j < i; j++)
			if (config->endpoints[j].name != NULL &&
			    strcmp(config->endpoints[j].name, e->name) == 0) {
				mistake(check, "name", "the endpoint \"%s\" "
				    "is there twice", e->name);
				break;
			}
		check_conninfo(check, e->conninfo);
		check_range(check, "max_connections", e->max_connections, 0,
		    262143);
		check_range(check, "connect_burst", e->connect_burst, 0,
		    1000);
		check_range(check, "weight", e->weight, 0, 100);
		check->endpoint = -1;
	}
}

static void
check_group(struct check *check, const struct mews_group_config *g)
{
	uint32_t count = g->connection_count == 0 ?
	    MEWS_CONNECTION_COUNT_DEFAULT : g->connection_count;

	check_name(check, "name", "a group", g->name);
	if ((size_t)g->role >= ROLES)
		mistake(check, "role", "role is one of primary, standby, any "
		    "and prefer-standby");
	check_range(check, "connection_count", count, 1,
	    MEWS_CONNECTIONS_MAX);
	if (g->min_connections > count)
		mistake(check, "min_connections", "min_connections is %u; "
		    "allowed is 0 to connection_count, which is %u",
		    g->min_connections, count);
	if ((unsigned)g->autocommit > MEWS_SWITCH_OFF)
		mistake(check, "autocommit", "autocommit is on or off");
	if ((unsigned)g->batch > MEWS_SWITCH_OFF)
		mistake(check, "batch", "batch is on or off");
	if (g->batch == MEWS_SWITCH_ON && g->role == MEWS_GROUP_PRIMARY)
		mistake(check, "batch", "a group of role primary cannot batch: "
		    "the failure of one write would undo its neighbours");
	check_range(check, "pipeline", g->pipeline, 0, 10000);
	check_range(check, "queue", g->queue, 0, 1000000);
	check_range(check, "stall_after", g->stall_after, 0, 60000);
	check_range(check, "hedge_after", g->hedge_after, 0, 60000);
	if (g->hedge_after != 0 && g->role == MEWS_GROUP_PRIMARY)
		mistake(check, "hedge_after", "a group of role primary cannot "
		    "hedge: its queries may write");
	check_range(check, "slow_query", g->slow_query, 0, 3600000);
	if ((unsigned)g->slow_query_parameters > MEWS_SWITCH_OFF)
		mistake(check, "slow_query_parameters",
		    "slow_query_parameters is on or off");
	if ((unsigned)g->trace_comments > MEWS_SWITCH_OFF)
		mistake(check, "trace_comments",
		    "trace_comments is on or off");
	if (g->retry_budget != MEWS_FOREVER)
		check_range(check, "retry_budget", g->retry_budget, 0, 100);
	if (g->query_timeout != MEWS_FOREVER)
		check_range(check, "query_timeout", g->query_timeout, 0,
		    INT32_MAX);
	if (g->acquire_timeout != 0)
		check_range(check, "acquire_timeout", g->acquire_timeout, 1,
		    INT32_MAX);
	if (g->max_result_size != 0)
		check_range(check, "max_result_size", g->max_result_size,
		    UINT64_C(1) << 20, UINT64_C(1) << 40);
	/* PostgreSQL: 100 blocks of 8 kB up to half of INT_MAX blocks. */
	if (g->session_tmp_buffer != 0)
		check_range(check, "session_tmp_buffer",
		    g->session_tmp_buffer, UINT64_C(800) << 10,
		    UINT64_C(8) << 40);
	for (size_t i = 0; i < g->init_count; i++)
		if (g->init == NULL || g->init[i] == NULL ||
		    g->init[i][0] == '\0') {
			mistake(check, "init", "init holds an empty "
			    "statement (number %zu)", i + 1);
			break;
		}
}

static void
check_groups(struct check *check, const struct mews_config *config)
{
	if (config->groups == NULL || config->group_count == 0) {
		mistake(check, "groups", "at least one group is needed");
		return;
	}
	if (config->group_count > MEWS_GROUPS_MAX)
		mistake(check, "groups", "%zu groups; allowed are %d",
		    config->group_count, MEWS_GROUPS_MAX);
	for (size_t i = 0; i < config->group_count; i++) {
		const struct mews_group_config *g = &config->groups[i];

		check->group = (int)i;
		check_group(check, g);
		for (size_t j = 0; g->name != NULL && j < i; j++)
			if (config->groups[j].name != NULL &&
			    strcmp(config->groups[j].name, g->name) == 0) {
				mistake(check, "name",
				    "the group \"%s\" is there twice",
				    g->name);
				break;
			}
		check->group = -1;
	}
}

/* Find groups whose min_connections the endpoints' caps cannot hold. */
static void
check_capacity(struct check *check, const struct mews_config *config)
{
	uint64_t	cap = 0, floor;

	for (size_t i = 0; i < config->endpoint_count; i++) {
		if (config->endpoints[i].max_connections == 0)
			return;
		cap += config->endpoints[i].max_connections;
	}
	for (size_t i = 0; i < config->group_count; i++) {
		floor = (uint64_t)config->groups[i].min_connections *
		    config->workers;
		check->group = (int)i;
		if (floor > cap)
			mistake(check, "min_connections", "no endpoint can "
			    "serve it: %u workers keep %llu connections "
			    "open, but the endpoints allow %llu in all "
			    "(max_connections)", config->workers,
			    (unsigned long long)floor,
			    (unsigned long long)cap);
		check->group = -1;
	}
}

size_t
mews_config_check(const struct mews_config *config,
    mews_config_fn *on_mistake, void *arg)
{
	struct check	check = {
		.fn = on_mistake, .arg = arg, .endpoint = -1, .group = -1,
	};

	if (config->abi < MEWS_ABI_OLDEST || config->abi > MEWS_ABI) {
		mistake(&check, "abi", "compiled with the headers of ABI %u, "
		    "but this library serves %u to %u: %s", config->abi,
		    MEWS_ABI_OLDEST, MEWS_ABI, config->abi > MEWS_ABI ?
		    "install a newer one" : "compile it again");
		return check.mistakes;
	}
	check_name(&check, "instance", "the fleet", config->instance);
	check_range(&check, "workers", config->workers, 1, MEWS_WORKERS_MAX);
	check_range(&check, "slots", config->slots, 0, MEWS_SLOTS_MAX);
	check_endpoints(&check, config);
	check_groups(&check, config);
	if (config->queue_memory != 0)
		check_range(&check, "queue_memory", config->queue_memory,
		    UINT64_C(1) << 20, UINT64_C(1) << 40);
	if (check.mistakes == 0)
		check_capacity(&check, config);
	if (config->health.interval != 0)
		check_range(&check, "interval", config->health.interval, 10,
		    3600000);
	if (config->health.timeout != 0)
		check_range(&check, "timeout", config->health.timeout, 1,
		    60000);
	check_range(&check, "fall", config->health.fall, 0, 15);
	check_range(&check, "rise", config->health.rise, 0, 15);
	if (config->health.slow_start != MEWS_FOREVER)
		check_range(&check, "slow_start", config->health.slow_start,
		    0, 3600000);
	if (config->health.resolve != 0)
		check_range(&check, "resolve", config->health.resolve, 100,
		    86400000);
	return check.mistakes;
}

/* Room for a copy, measured and then filled by the same walk. */
struct block {
	char *memory; /* NULL: only measure */
	size_t used;
};

/* A copy of @from; of NULL: zeros. */
static void *
block_copy(struct block *block, const void *from, size_t size)
{
	void	*to = NULL;

	if (block->memory != NULL) {
		to = block->memory + block->used;
		if (from != NULL)
			memcpy(to, from, size);
		else
			memset(to, 0, size);
	}
	/* Keep the next piece aligned for any type. */
	block->used += (size + 15) & ~(size_t)15;
	return to;
}

static const char *
block_string(struct block *block, const char *text)
{
	return text == NULL ? NULL : block_copy(block, text, strlen(text) + 1);
}

#define DEFAULT(field, value)			\
	do {					\
		if ((field) == 0)		\
			(field) = (value);	\
	} while (0)

static void
copy_group(struct block *block, struct mews_group_config *to,
    const struct mews_group_config *from)
{
	const char **init;

	DEFAULT(to->connection_count, MEWS_CONNECTION_COUNT_DEFAULT);
	DEFAULT(to->autocommit, MEWS_SWITCH_ON);
	DEFAULT(to->pipeline, MEWS_PIPELINE_DEFAULT);
	DEFAULT(to->batch,
	    to->role == MEWS_GROUP_PRIMARY ? MEWS_SWITCH_OFF : MEWS_SWITCH_ON);
	DEFAULT(to->query_timeout, MEWS_QUERY_TIMEOUT_DEFAULT);
	DEFAULT(to->acquire_timeout, MEWS_ACQUIRE_TIMEOUT_DEFAULT);
	DEFAULT(to->queue, MEWS_QUEUE_DEFAULT);
	DEFAULT(to->max_result_size, MEWS_MAX_RESULT_SIZE_DEFAULT);
	DEFAULT(to->retry_budget, MEWS_RETRY_BUDGET_DEFAULT);
	DEFAULT(to->idle_timeout, MEWS_IDLE_TIMEOUT_DEFAULT);
	DEFAULT(to->max_lifetime, MEWS_MAX_LIFETIME_DEFAULT);
	to->name = block_string(block, from->name);
	if (from->init_count == 0) {
		to->init = NULL;
		return;
	}
	init = block_copy(block, from->init,
	    from->init_count * sizeof(*from->init));
	to->init = init;
	for (size_t i = 0; i < from->init_count; i++) {
		const char *sql = block_string(block, from->init[i]);

		if (init != NULL)
			init[i] = sql;
	}
}

static struct mews_config *
copy_walk(struct block *block, const struct mews_config *from,
    const uint8_t *index, size_t count)
{
	struct mews_config		copy = *from, *to;
	struct mews_endpoint_config    *endpoints;
	struct mews_group_config       *groups;

	to = block_copy(block, from, sizeof(*from));
	copy.instance = block_string(block, from->instance);
	copy.runtime_file = block_string(block, from->runtime_file);
	copy.client_encoding = block_string(block, from->client_encoding);
	DEFAULT(copy.queue_memory, MEWS_QUEUE_MEMORY_DEFAULT);
	DEFAULT(copy.health.interval, MEWS_HEALTH_INTERVAL_DEFAULT);
	DEFAULT(copy.health.timeout, MEWS_HEALTH_TIMEOUT_DEFAULT);
	DEFAULT(copy.health.fall, MEWS_HEALTH_FALL_DEFAULT);
	DEFAULT(copy.health.rise, MEWS_HEALTH_RISE_DEFAULT);
	DEFAULT(copy.health.slow_start, MEWS_HEALTH_SLOW_START_DEFAULT);
	DEFAULT(copy.health.resolve, MEWS_HEALTH_RESOLVE_DEFAULT);
	endpoints = block_copy(block, NULL, count * sizeof(*endpoints));
	groups = block_copy(block, from->groups,
	    from->group_count * sizeof(*groups));
	copy.endpoints = endpoints;
	copy.endpoint_count = count;
	copy.groups = groups;
	for (size_t i = 0; i < from->endpoint_count; i++) {
		struct mews_endpoint_config	e = from->endpoints[i];

		e.name = block_string(block, e.name);
		e.conninfo = block_string(block, e.conninfo);
		DEFAULT(e.connect_burst, MEWS_CONNECT_BURST_DEFAULT);
		DEFAULT(e.weight, MEWS_WEIGHT_DEFAULT);
		if (endpoints != NULL)
			endpoints[index == NULL ? i : index[i]] = e;
	}
	for (size_t i = 0; i < from->group_count; i++) {
		struct mews_group_config	g = from->groups[i];

		copy_group(block, &g, &from->groups[i]);
		if (groups != NULL)
			groups[i] = g;
	}
	if (to != NULL)
		*to = copy;
	return to;
}

struct mews_config *
config_copy_at(const struct mews_config *config, const uint8_t *index,
    size_t count)
{
	struct block	block = { NULL, 0 };

	copy_walk(&block, config, index, count);
	if ((block.memory = malloc(block.used)) == NULL)
		return NULL;
	block.used = 0;
	return copy_walk(&block, config, index, count);
}

struct mews_config *
config_copy(const struct mews_config *config)
{
	return config_copy_at(config, NULL, config->endpoint_count);
}
