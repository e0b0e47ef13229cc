/*
 * query.c - accepting queries and ending each of them exactly once.
 */
#include "query.h"

#include "group.h"
#include "hedge.h"
#include "pool.h"
#include "stream.h"

#include <assert.h>
#include <stdlib.h>

static const char given_up[] = "given up by the caller";

/* How a number and its generation become a name, and back. */
static mews_query_id
make_id(uint32_t generation, uint32_t number)
{
	return (mews_query_id)generation << 32 | (number + 1);
}

const char *
query_check(const struct mews_pool *pool, const struct mews_query_args *args)
{
	if (args == NULL || (args->statement == NULL) == (args->sql == NULL))
		return "a query needs a statement or SQL, and not both";
	if (args->statement != NULL && args->statement->pool != pool)
		return "the statement was registered with another pool";
	if (args->param_count < 0 || args->param_count > MEWS_PARAMS_MAX ||
	    (args->param_count > 0 && args->params == NULL))
		return "a query has 0 to 65535 parameters";
	if ((args->flags & ~(unsigned)(MEWS_RESULT_BINARY | MEWS_ALONE |
	    MEWS_POSITION)) != 0)
		return "the flags of a query are MEWS_RESULT_BINARY, "
		       "MEWS_ALONE and MEWS_POSITION";
	if (args->statement != NULL && args->statement->type_count != 0 &&
	    args->statement->type_count != args->param_count)
		return "the statement was registered with types for another "
		       "number of parameters";
	for (int i = 0; i < args->param_count; i++) {
		const struct mews_param *param = &args->params[i];

		if (param->length < -1)
			return "a parameter's length is -1 (NULL) or more";
		if (param->type != 0 && args->statement != NULL &&
		    (args->statement->types == NULL ||
			args->statement->types[i] != param->type))
			return "a parameter has another type than the "
			       "statement declares: see "
			       "mews_statement_register_typed()";
	}
	return NULL;
}

struct query *
query_twin(struct query *query)
{
	struct mews_param	params[QUERY_TWIN_PARAMS];
	struct mews_query_args	args = {
		.statement = query->statement, .sql = query->sql,
		.params = params, .param_count = query->param_count,
		.flags = query->format != 0 ? MEWS_RESULT_BINARY : 0,
	};
	struct query *twin;

	if (query->param_count > QUERY_TWIN_PARAMS)
		return NULL;
	for (int i = 0; i < query->param_count; i++)
		params[i] = (struct mews_param) {
			.value = query->values[i],
			.length = query->lengths[i],
			.type = query->types == NULL ? 0 : query->types[i],
			.format = query->formats == NULL ? 0 :
			    (uint8_t)query->formats[i],
		};
	twin = query_new(query->group, QUERY_SHARED, &args, MEWS_FOREVER);
	if (twin == NULL)
		return NULL;
	twin->fn.query = NULL;
	twin->original = query;
	query->twin = twin;
	return twin;
}

static struct query *
take_free(struct mews_pool *pool)
{
	struct query	*query = TAILQ_FIRST(&pool->free_queries);

	if (query != NULL) {
		TAILQ_REMOVE(&pool->free_queries, query, link);
		return query;
	}
	if (pool->query_count == pool->query_room) {
		uint32_t       room = pool->query_room == 0 ?
		    64 : pool->query_room * 2;
		struct query **more = reallocarray(pool->queries, room,
		    sizeof(struct query *));

		if (more == NULL)
			return NULL;
		pool->queries = more;
		pool->query_room = room;
	}
	if ((query = malloc(sizeof(*query))) == NULL)
		return NULL;
	query->number = pool->query_count;
	pool->queries[pool->query_count++] = query;
	return query;
}

static void
give_free(struct mews_pool *pool, struct query *query)
{
	free(query->memory);
	query->memory = NULL;
	query->state = QUERY_FREE;
	TAILQ_INSERT_HEAD(&pool->free_queries, query, link);
}

/* Bytes that a copy of @param needs behind the arrays. */
static size_t
param_bytes(const struct mews_param *param)
{
	/* Text ends with a NUL, for libpq. */
	return param->length < 0 ? 0 : (size_t)param->length + 1;
}

/* Arrays and bytes that do not fit inside. */
static char *
outside(struct query *query, size_t count, bool typed, size_t bytes)
{
	size_t	each = sizeof(char *) + 2 * sizeof(int) +
	    (typed ? sizeof(Oid) : 0);

	if ((query->memory = malloc(count * each + bytes)) == NULL)
		return NULL;
	query->values = query->memory;
	query->lengths = (int *)(query->values + count);
	query->formats = query->lengths + count;
	query->types = (Oid *)(query->formats + count);
	return (char *)query->memory + count * each;
}

static bool
copy_args(struct query *query, const struct mews_query_args *args)
{
	size_t	count = (size_t)args->param_count, bytes = 0, sql = 0;
	char   *p = query->inline_bytes;
	Oid	typed = 0;
	uint8_t binary = 0;

	query->statement = args->statement;
	query->sql = NULL;
	query->format = args->statement != NULL ? args->statement->format :
	    (args->flags & MEWS_RESULT_BINARY) != 0;
	query->param_count = args->param_count;
	query->values = query->inline_values;
	query->lengths = query->inline_lengths;
	query->formats = query->inline_formats;
	query->types = query->inline_types;
	if (args->sql != NULL)
		bytes = sql = strlen(args->sql) + 1;
	for (size_t i = 0; i < count; i++) {
		bytes += param_bytes(&args->params[i]);
		typed |= args->params[i].type;
	}
	if ((count > QUERY_INLINE_PARAMS || bytes > QUERY_INLINE_BYTES) &&
	    (p = outside(query, count, typed != 0, bytes)) == NULL)
		return false;
	/* A statement's own were checked to be the same. */
	if (args->statement != NULL) {
		query->types = args->statement->types;
	} else if (typed == 0) {
		query->types = NULL;
	} else {
		Oid *types = (Oid *)(uintptr_t)query->types;

		for (size_t i = 0; i < count; i++)
			types[i] = args->params[i].type;
	}
	if (sql != 0) {
		query->sql = memcpy(p, args->sql, sql);
		p += sql;
	}
	for (size_t i = 0; i < count; i++) {
		const struct mews_param *from = &args->params[i];

		query->lengths[i] = from->length;
		query->formats[i] = from->format;
		query->values[i] = NULL;
		binary |= from->format;
		if (from->length < 0)
			continue;
		memcpy(p, from->value == NULL ? from->inside : from->value,
		    (size_t)from->length);
		p[from->length] = '\0';
		query->values[i] = p;
		p += from->length + 1;
	}
	/* All text: libpq's default, and shorter on the wire. */
	if (binary == 0)
		query->formats = NULL;
	return true;
}

struct query *
query_new(struct mews_group *group, enum query_kind kind,
    const struct mews_query_args *args, uint32_t timeout_ms)
{
	struct mews_pool	*pool = group->pool;
	struct query		*query = take_free(pool);

	if (query == NULL)
		return NULL;
	query->id = make_id(++pool->query_generation, query->number);
	query->kind = (uint8_t)kind;
	query->state = QUERY_WAITING;
	query->attempts = 0;
	query->canceled = false;
	query->plain = false;
	query->streaming = false;
	query->stopped = false;
	query->on_row = NULL;
	query->slow = kind == QUERY_SHARED && args->statement != NULL &&
	    statement_is_slow(args->statement);
	query->alone = kind != QUERY_SHARED || query->slow ||
	    (args->flags & MEWS_ALONE) != 0 ||
	    group->config->batch != MEWS_ON;
	query->position = kind == QUERY_SHARED && !group->reader &&
	    (args->flags & MEWS_POSITION) != 0;
	query->adrift = false;
	query->after = kind == QUERY_SHARED ? args->after : 0;
	query->lsn = 0;
	query->twin = NULL;
	query->original = NULL;
	query->group = group;
	query->lease = NULL;
	query->statement = NULL;
	query->sql = NULL;
	query->param_count = 0;
	query->memory = NULL;
	if (args != NULL && !copy_args(query, args)) {
		give_free(pool, query);
		return NULL;
	}
	if (timeout_ms == 0)
		timeout_ms = group->config->acquire_timeout;
	query->deadline_us = timeout_ms == MEWS_FOREVER ? POOL_NEVER :
	    pool_now(pool) + (int64_t)timeout_ms * 1000;
	return query;
}

enum sql_effect
query_effect(const struct query *query)
{
	return query->statement != NULL ? query->statement->effect :
	    sql_effect(query->sql);
}

void
query_drop(struct query *query)
{
	give_free(query->group->pool, query);
}

/* Count, and tell the asker; after that it can be neither told nor canceled. */
static void
call_back(struct query *query, struct mews_result *result)
{
	mews_lease_fn	*lease_fn = query->fn.lease;
	mews_query_fn	*query_fn = query->fn.query;

	if (query_fn == NULL)
		return;
	query->fn.query = NULL;
	query->group->ended++;
	if (result->status != MEWS_OK)
		query->group->errors++;
	if (query->kind == QUERY_LEASE)
		lease_fn(query->arg, NULL, result);
	else
		query_fn(query->arg, result);
	result_close(result);
}

void
query_end(struct query *query, struct mews_result *result)
{
	struct mews_pool       *pool = query->group->pool;
	struct mews_result	canceled;

	assert(query->state != QUERY_FREE && "mews: a query ends once");
	if (query->original != NULL || query->twin != NULL) {
		if (hedge_ended(query, result)) {
			give_free(pool, query);
			return;
		}
	}
	if (query->canceled) {
		TAILQ_REMOVE(&pool->canceled, query, gone_link);
		query->canceled = false;
		canceled = (struct mews_result) {
			.magic = RESULT_MAGIC,
			.status = MEWS_CANCELED,
			.endpoint = result->endpoint,
			.message = given_up,
		};
		result = &canceled;
	}
	call_back(query, result);
	give_free(pool, query);
}

void
query_answer(struct query *query, struct mews_result *result)
{
	if (query->adrift) {
		query_end(query, result);
		return;
	}
	/* Its own answer is still to come; nobody waits for that. */
	if (query->canceled) {
		TAILQ_REMOVE(&query->group->pool->canceled, query, gone_link);
		query->canceled = false;
	}
	call_back(query, result);
}

void
query_fail(struct query *query, enum mews_status status, const char *message)
{
	struct mews_result	result = {
		.magic = RESULT_MAGIC,
		.status = status,
		.message = message,
	};

	query_end(query, &result);
}

enum mews_status
mews_query_cancel(struct mews_pool *pool, mews_query_id id)
{
	uint32_t	number = (uint32_t)id - 1;
	struct query   *query;

	if (!pool_ours(pool) || (uint32_t)id == 0 ||
	    number >= pool->query_count)
		return MEWS_INVALID;
	query = pool->queries[number];
	if (query->id != id || query->state == QUERY_FREE ||
	    query->canceled || query->fn.query == NULL)
		return MEWS_INVALID;
	query->canceled = true;
	TAILQ_INSERT_TAIL(&pool->canceled, query, gone_link);
	pool_due(pool, pool_now(pool));
	return MEWS_OK;
}

void
query_end_canceled(struct mews_pool *pool)
{
	struct query		*query;
	struct mews_result	 result;

	while ((query = TAILQ_FIRST(&pool->canceled)) != NULL) {
		if (query->state != QUERY_SENT) {
			group_forget(query->group, query);
			query_fail(query, MEWS_CANCELED, given_up);
			continue;
		}
		/* Sent: the server answers, and the ring must expect it. */
		TAILQ_REMOVE(&pool->canceled, query, gone_link);
		query->canceled = false;
		result = (struct mews_result) {
			.magic = RESULT_MAGIC,
			.status = MEWS_CANCELED,
			.message = given_up,
		};
		call_back(query, &result);
		if (query->on_row != NULL || query->kind == QUERY_COPY)
			stream_give_up(query);
	}
}

enum mews_status
mews_query_send(struct mews_group *group, const struct mews_query_args *args,
    mews_query_fn *fn, void *arg, mews_query_id *id)
{
	struct mews_pool       *pool = group_pool(group);
	struct query	       *query;
	const char	       *mistake;
	enum mews_status	status;
	mews_query_id		own;

	if (!pool_ours(pool))
		return group_refuse(group, MEWS_INVALID,
		    "the pool belongs to another process, or is closing");
	if ((mistake = query_check(pool, args)) != NULL || fn == NULL)
		return group_refuse(group, MEWS_INVALID, "%s",
		    mistake == NULL ? "a query needs a callback" : mistake);
	if (group->config->autocommit == MEWS_OFF)
		return group_refuse(group, MEWS_INVALID, "group %s has "
		    "autocommit off: take a lease", group->config->name);
	if ((query = query_new(group, QUERY_SHARED, args,
		 args->timeout_ms)) == NULL)
		return group_refuse(group, MEWS_NOMEM, "out of memory");
	query->fn.query = fn;
	query->arg = arg;
	own = query->id;
	if (query_effect(query) == SQL_SESSION)
		status = group_refuse(group, MEWS_INVALID, "this is about a "
		    "session or a transaction, and needs a lease: %.100s",
		    query->statement != NULL ? query->statement->sql :
		    query->sql);
	else
		status = group_submit(group, query);
	if (status != MEWS_OK)
		query_drop(query);
	else if (id != NULL)
		*id = own;
	return status;
}
