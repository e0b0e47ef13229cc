/*
 * query.c - accepting queries and ending each of them exactly once.
 */
#include "query.h"

#include "group.h"
#include "hedge.h"
#include "pool.h"
#include "stream.h"
#include "supply.h"

#include <assert.h>
#include <stdlib.h>

static const char given_up[] = "given up by the caller";
static const char no_memory[] = "out of memory";

/* A mistake in @args, apart from the parameters; NULL: none. */
static inline const char *
args_mistake(const struct mews_pool *pool, const struct mews_query_args *args)
{
	const struct mews_statement *statement;

	if (args == NULL)
		return "a query needs arguments";
	if ((statement = args->statement) == NULL ? args->sql == NULL :
	    args->sql != NULL)
		return "a query needs a statement or SQL, and not both";
	if ((unsigned)args->param_count > MEWS_PARAMS_MAX ||
	    (args->param_count > 0 && args->params == NULL))
		return "a query has 0 to 65535 parameters";
	if ((args->flags & ~(unsigned)(MEWS_RESULT_BINARY | MEWS_ALONE |
	    MEWS_POSITION)) != 0)
		return "the flags of a query are MEWS_RESULT_BINARY, "
		       "MEWS_ALONE and MEWS_POSITION";
	if (statement == NULL)
		return NULL;
	if (statement->pool != pool)
		return "the statement was registered with another pool";
	if (statement->type_count != 0 &&
	    statement->type_count != args->param_count)
		return "the statement was registered with types for another "
		       "number of parameters";
	return NULL;
}

/* May @param have the type that it has? */
static bool
type_fits(const struct mews_query_args *args, int i)
{
	const struct mews_statement *statement = args->statement;

	return args->params[i].type == 0 || statement == NULL ||
	    (statement->types != NULL &&
		statement->types[i] == args->params[i].type);
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

enum copied { COPIED, NOT_SHORT, TOO_LARGE, BAD_LENGTH, BAD_TYPE };

/*
 * Copy SQL and parameters. @is_short: those of a statement, which are all
 * inside of their structs; NOT_SHORT: they are not.
 */
static inline enum copied
copy_to(struct query *query, const struct mews_query_args *args,
    const struct room *room, bool is_short)
{
	char	*p = room->bytes;
	uint8_t	 binary = 0;
	Oid	 typed = 0;

	query->statement = args->statement;
	if (is_short && args->statement == NULL)
		return NOT_SHORT;
	if (args->statement == NULL) {
		size_t	size = strlen(args->sql) + 1;

		if (size > (size_t)(room->end - p))
			return TOO_LARGE;
		query->sql = memcpy(p, args->sql, size);
		query->format = (args->flags & MEWS_RESULT_BINARY) != 0;
		p += size;
	}
	query->param_count = args->param_count;
	for (int i = 0; i < args->param_count; i++) {
		const struct mews_param *from = &args->params[i];
		int32_t			 length = from->length;

		room->lengths[i] = length;
		room->formats[i] = from->format;
		room->values[i] = NULL;
		binary |= from->format;
		typed |= from->type;
		if (length < 0) {
			if (length != -1)
				return BAD_LENGTH;
			continue;
		}
		/* Text ends with a NUL, for libpq. */
		if (length >= room->end - p)
			return TOO_LARGE;
		if (is_short && from->value != NULL)
			return NOT_SHORT;
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
	if (typed != 0) {
		query->types = room->types;
		for (int i = 0; i < args->param_count; i++) {
			room->types[i] = args->params[i].type;
			if (!type_fits(args, i))
				return BAD_TYPE;
		}
	}
	return COPIED;
}

/* The same for what does not fit inside. TOO_LARGE: no memory for it. */
static enum copied
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
		return TOO_LARGE;
	room.values = query->memory;
	room.lengths = (int *)(room.values + count);
	room.formats = room.lengths + count;
	room.types = (Oid *)(room.formats + count);
	room.bytes = (char *)(room.types + count);
	room.end = room.bytes + bytes;
	return copy_to(query, args, &room, false);
}

/* Into the query itself. */
static inline enum copied
copy_inside(struct query *query, const struct mews_query_args *args,
    bool is_short)
{
	const struct room room = {
		query->inline_values, query->inline_lengths,
		query->inline_formats, query->inline_types,
		query->inline_bytes, query->inline_bytes + QUERY_INLINE_BYTES,
	};

	return args->param_count > QUERY_INLINE_PARAMS ? TOO_LARGE :
	    copy_to(query, args, &room, is_short);
}

static enum copied __attribute__((noinline))
copy_any(struct query *query, const struct mews_query_args *args)
{
	enum copied	copied = copy_inside(query, args, false);

	return copied == TOO_LARGE ? copy_outside(query, args) : copied;
}

/* A mistake in the parameters, or no memory for them; NULL: neither. */
static inline const char *
copy_args(struct query *query, const struct mews_query_args *args)
{
	enum copied	copied = copy_inside(query, args, true);

	if (copied == NOT_SHORT || copied == TOO_LARGE)
		copied = copy_any(query, args);
	switch (copied) {
	case COPIED:
		return NULL;
	case BAD_LENGTH:
		return "a parameter's length is -1 (NULL) or more";
	case BAD_TYPE:
		return "a parameter has another type than the statement "
		       "declares: see mews_statement_register_typed()";
	default:
		return no_memory;
	}
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
	query->group = group;
	query->attempts = 0;
	query->slow = false;
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
	query->deadline_us = 0;
	return query;
}

static enum mews_status
refuse(struct mews_group *group, const char *why)
{
	return group_refuse(group, why == no_memory ? MEWS_NOMEM :
	    MEWS_INVALID, "%s", why);
}

enum mews_status
query_new(struct query **out, struct mews_group *group, enum query_kind kind,
    const struct mews_query_args *args)
{
	const char	*why = args_mistake(group->pool, args);
	struct query	*query;

	if (why != NULL)
		return refuse(group, why);
	if ((query = begin(group, kind)) == NULL)
		return refuse(group, no_memory);
	if ((why = copy_args(query, args)) != NULL) {
		give_free(group->pool, query);
		return refuse(group, why);
	}
	*out = query;
	return MEWS_OK;
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
	if (query_new(&twin, query->group, QUERY_SHARED, &args) != MEWS_OK)
		return NULL;
	twin->hash = query->hash;
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
query_end(struct query *query, enum mews_status status, PGresult *answer,
    const char *endpoint, const char *message)
{
	struct mews_pool	*pool = query->group->pool;
	struct mews_result	 result = {
		.magic = RESULT_MAGIC,
		.status = status,
		.pg = answer,
		.position = query->lsn,
		.endpoint = endpoint,
		.message = message,
	};
	bool			 settled;

	assert(query->state != QUERY_FREE && "mews: a query ends once");
	settled = (query->original != NULL || query->twin != NULL) &&
	    hedge_ended(query, &result);
	if (!settled && query->canceled)
		call_back_canceled(query, &result);
	else if (!settled)
		call_back(query, &result);
	give_free(pool, query);
	PQclear(result.pg);
}

void
query_answer(struct query *query, struct mews_result *result)
{
	if (query->adrift) {
		query_end(query, result->status, result->pg, result->endpoint,
		    result->message);
		result->pg = NULL;
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
	query_end(query, status, NULL, NULL, message);
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

/* Accept it: send it now, or later. */
static inline enum mews_status
accept(struct mews_group *group, struct query *query,
    const struct mews_query_args *args)
{
	query->timeout_ms = args->timeout_ms;
	query->after = args->after;
	query->alone = group->config->batch != MEWS_ON;
	if ((args->flags & MEWS_ALONE) != 0)
		query->alone = true;
	if ((args->flags & MEWS_POSITION) != 0)
		query->position = !group->reader;
	if (args->statement == NULL)
		query->hash = text_hash(args->sql);
	if (args->statement == NULL ?
	    text_is_slow(group->pool, query->hash) :
	    statement_is_slow(args->statement))
		query->slow = query->alone = true;
	if (query_effect(query) == SQL_SESSION)
		return group_refuse(group, MEWS_INVALID, "this is about a "
		    "session or a transaction, and needs a lease: %.100s",
		    args->statement != NULL ? args->statement->sql :
		    args->sql);
	return supply_joined(group, query) ? MEWS_OK :
	    group_submit(group, query);
}

enum mews_status
mews_query_send(struct mews_group *group, const struct mews_query_args *args,
    mews_query_fn *fn, void *arg, mews_query_id *id)
{
	struct mews_pool       *pool = group_pool(group);
	struct query	       *query;
	const char	       *why;
	enum mews_status	status;

	if (!pool_is_ours(pool))
		return group_refuse_foreign(group);
	if ((why = args_mistake(pool, args)) != NULL)
		return refuse(group, why);
	if (fn == NULL)
		return refuse(group, "a query needs a callback");
	if (group->config->autocommit == MEWS_OFF)
		return group_refuse(group, MEWS_INVALID, "group %s has "
		    "autocommit off: take a lease", group->config->name);
	if ((query = begin(group, QUERY_SHARED)) == NULL)
		return refuse(group, no_memory);
	query->fn.query = fn;
	query->arg = arg;
	if ((why = copy_args(query, args)) != NULL)
		status = refuse(group, why);
	else
		status = accept(group, query, args);
	if (status != MEWS_OK)
		query_drop(query);
	else if (id != NULL)
		*id = query->id;
	return status;
}
