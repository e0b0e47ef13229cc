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

static inline const char *
check(const struct mews_pool *pool, const struct mews_query_args *args)
{
	const struct mews_statement *statement;

	if (args == NULL || (args->statement == NULL) == (args->sql == NULL))
		return "a query needs a statement or SQL, and not both";
	if ((unsigned)args->param_count > MEWS_PARAMS_MAX ||
	    (args->param_count > 0 && args->params == NULL))
		return "a query has 0 to 65535 parameters";
	if ((args->flags & ~(unsigned)(MEWS_RESULT_BINARY | MEWS_ALONE |
	    MEWS_POSITION)) != 0)
		return "the flags of a query are MEWS_RESULT_BINARY, "
		       "MEWS_ALONE and MEWS_POSITION";
	if ((statement = args->statement) != NULL) {
		if (statement->pool != pool)
			return "the statement was registered with another "
			       "pool";
		if (statement->type_count != 0 &&
		    statement->type_count != args->param_count)
			return "the statement was registered with types for "
			       "another number of parameters";
	}
	for (int i = 0; i < args->param_count; i++) {
		const struct mews_param *param = &args->params[i];

		if (param->length < -1)
			return "a parameter's length is -1 (NULL) or more";
		if (param->type != 0 && statement != NULL &&
		    (statement->types == NULL ||
			statement->types[i] != param->type))
			return "a parameter has another type than the "
			       "statement declares: see "
			       "mews_statement_register_typed()";
	}
	return NULL;
}

const char *
query_check(const struct mews_pool *pool, const struct mews_query_args *args)
{
	return check(pool, args);
}

static struct query *
add_query(struct mews_pool *pool)
{
	struct query	*query;

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
	query->memory = NULL;
	pool->queries[pool->query_count++] = query;
	query->id = pool->query_count;
	return query;
}

static inline void
give_free(struct mews_pool *pool, struct query *query)
{
	if (query->memory != NULL) {
		free(query->memory);
		query->memory = NULL;
	}
	query->state = QUERY_FREE;
	SLIST_INSERT_HEAD(&pool->free_queries, query, free_link);
}

/* Where the parameters of a query go. */
struct room {
	const char **values;
	int *lengths;
	int *formats;
	Oid *types;
	char *bytes;
	char *end; /* of these */
};

/* Copy SQL and parameters. False: they do not fit. */
static inline bool
copy_to(struct query *query, const struct mews_query_args *args,
    const struct room *room)
{
	char	*p = room->bytes;
	uint8_t	 binary = 0;

	query->statement = args->statement;
	if (args->statement == NULL) {
		size_t	size = strlen(args->sql) + 1;

		if (size > (size_t)(room->end - p))
			return false;
		query->sql = memcpy(p, args->sql, size);
		query->format = (args->flags & MEWS_RESULT_BINARY) != 0;
		p += size;
		for (int i = 0; i < args->param_count; i++) {
			room->types[i] = args->params[i].type;
			if (args->params[i].type != 0)
				query->types = room->types;
		}
	}
	query->param_count = args->param_count;
	for (int i = 0; i < args->param_count; i++) {
		const struct mews_param *from = &args->params[i];
		int32_t			 length = from->length;

		room->lengths[i] = length;
		room->formats[i] = from->format;
		room->values[i] = NULL;
		binary |= from->format;
		if (length < 0)
			continue;
		/* Text ends with a NUL, for libpq. */
		if (length >= room->end - p)
			return false;
		if (from->value != NULL)
			memcpy(p, from->value, (size_t)length);
		else	/* always the same, so that it is quick */
			memcpy(p, from->inside, sizeof(from->inside));
		room->values[i] = p;
		p += length;
		*p++ = '\0';
	}
	query->values = room->values;
	query->lengths = room->lengths;
	/* All text is libpq's default, and shorter on the wire. */
	if (binary != 0)
		query->formats = room->formats;
	return true;
}

/* The same for what does not fit inside. False: no memory. */
static bool
copy_outside(struct query *query, const struct mews_query_args *args)
{
	size_t		count = (size_t)args->param_count, bytes = 0;
	struct room	room;

	if (args->sql != NULL)
		bytes = strlen(args->sql) + 1;
	for (size_t i = 0; i < count; i++)
		if (args->params[i].length >= 0)
			bytes += (size_t)args->params[i].length + 1;
	query->memory = malloc(count * (sizeof(char *) + 2 * sizeof(int) +
	    sizeof(Oid)) + bytes + QUERY_SLACK);
	if (query->memory == NULL)
		return false;
	room.values = query->memory;
	room.lengths = (int *)(room.values + count);
	room.formats = room.lengths + count;
	room.types = (Oid *)(room.formats + count);
	room.bytes = (char *)(room.types + count);
	room.end = room.bytes + bytes;
	return copy_to(query, args, &room);
}

static inline bool
copy_args(struct query *query, const struct mews_query_args *args)
{
	const struct room room = {
		query->inline_values, query->inline_lengths,
		query->inline_formats, query->inline_types,
		query->inline_bytes, query->inline_bytes + QUERY_INLINE_BYTES,
	};

	return (args->param_count <= QUERY_INLINE_PARAMS &&
	    copy_to(query, args, &room)) || copy_outside(query, args);
}

/* One of @kind without SQL. */
static inline struct query *
begin(struct mews_group *group, enum query_kind kind)
{
	struct mews_pool	*pool = group->pool;
	struct query		*query = SLIST_FIRST(&pool->free_queries);

	if (query != NULL)
		SLIST_REMOVE_HEAD(&pool->free_queries, free_link);
	else if ((query = add_query(pool)) == NULL)
		return NULL;
	query->id += (mews_query_id)1 << 32;
	query->kind = (uint8_t)kind;
	query->state = QUERY_WAITING;
	query->alone = true;
	query->slow = false;
	query->group = group;
	query->attempts = 0;
	query->canceled = false;
	query->position = false;
	query->adrift = false;
	query->plain = false;
	query->streaming = false;
	query->stopped = false;
	query->lsn = 0;
	query->twin = NULL;
	query->original = NULL;
	query->lease = NULL;
	query->on_row = NULL;
	query->sql = NULL;
	query->formats = NULL;
	query->types = NULL;
	query->after = 0;
	return query;
}

/* A shared one. */
static inline struct query *
begin_shared(struct mews_group *group, const struct mews_query_args *args)
{
	struct query	*query = begin(group, QUERY_SHARED);

	if (query == NULL)
		return NULL;
	query->timeout_ms = args->timeout_ms;
	query->after = args->after;
	query->slow = args->statement != NULL &&
	    statement_is_slow(args->statement);
	query->alone = query->slow || group->config->batch != MEWS_ON;
	if ((args->flags & MEWS_ALONE) != 0)
		query->alone = true;
	if ((args->flags & MEWS_POSITION) != 0)
		query->position = !group->reader;
	if (copy_args(query, args))
		return query;
	give_free(group->pool, query);
	return NULL;
}

struct query *
query_new(struct mews_group *group, enum query_kind kind,
    const struct mews_query_args *args)
{
	struct query	*query = begin(group, kind);

	if (query == NULL || copy_args(query, args))
		return query;
	give_free(group->pool, query);
	return NULL;
}

struct query *
query_new_wait(struct mews_group *group, uint32_t timeout_ms)
{
	struct query	*query = begin(group, QUERY_LEASE);

	if (query != NULL)
		query->timeout_ms = timeout_ms;
	return query;
}

struct query *
query_twin(struct query *query)
{
	struct mews_param	params[QUERY_TWIN_PARAMS];
	struct mews_query_args	args = {
		.statement = query->statement, .sql = query->sql,
		.params = params, .param_count = query->param_count,
		.flags = query->sql != NULL && query->format != 0 ?
		    MEWS_RESULT_BINARY : 0,
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
	if ((twin = query_new(query->group, QUERY_SHARED, &args)) == NULL)
		return NULL;
	twin->slow = query->slow;
	twin->alone = query->alone;
	twin->fn.query = NULL;
	twin->original = query;
	query->twin = twin;
	return twin;
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
static inline void
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

/* It was given up: that is what its asker hears, and nothing else. */
static void
call_back_canceled(struct query *query, const struct mews_result *result)
{
	struct mews_result canceled = {
		.magic = RESULT_MAGIC,
		.status = MEWS_CANCELED,
		.endpoint = result->endpoint,
		.message = given_up,
	};

	TAILQ_REMOVE(&query->group->pool->canceled, query, gone_link);
	query->canceled = false;
	call_back(query, &canceled);
}

void
query_end(struct query *query, struct mews_result *result)
{
	struct mews_pool	*pool = query->group->pool;
	bool			 settled;

	assert(query->state != QUERY_FREE && "mews: a query ends once");
	settled = (query->original != NULL || query->twin != NULL) &&
	    hedge_ended(query, result);
	if (!settled && query->canceled)
		call_back_canceled(query, result);
	else if (!settled)
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
		if (query->state == QUERY_WAITING) {
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
		    "the pool belongs to another process or thread, or is closing");
	if ((mistake = check(pool, args)) != NULL || fn == NULL)
		return group_refuse(group, MEWS_INVALID, "%s",
		    mistake == NULL ? "a query needs a callback" : mistake);
	if (group->config->autocommit == MEWS_OFF)
		return group_refuse(group, MEWS_INVALID, "group %s has "
		    "autocommit off: take a lease", group->config->name);
	if ((query = begin_shared(group, args)) == NULL)
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
