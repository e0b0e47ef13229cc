/*
 * query.c - accepting queries and ending each of them exactly once.
 */
#include "query/query.h"

#include "fleet/endpoint.h"
#include "pool/group.h"
#include "base/memory.h"
#include "pool/pool.h"

#include <assert.h>
#include <stdlib.h>

static const char no_memory[] = "out of memory";

/* A mistake in @args that are to be described only; NULL: none. */
static const char *
description_mistake(const struct mews_pool *pool,
    const struct mews_query_args *args)
{
	if (args->param_count > 0 ||
	    (args->flags & MEWS_QUERY_POSITION) != 0)
		return "a query that is described is not run: it has neither "
		       "parameters nor a position";
	if (args->statement != NULL && args->statement->pool != pool)
		return "the statement was registered with another pool";
	return NULL;
}

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
	if ((args->flags & ~(unsigned)(MEWS_QUERY_BINARY | MEWS_QUERY_ALONE |
	    MEWS_QUERY_POSITION | MEWS_QUERY_DESCRIBE)) != 0)
		return "the flags of a query are MEWS_QUERY_BINARY, "
		       "MEWS_QUERY_ALONE, MEWS_QUERY_POSITION and "
		       "MEWS_QUERY_DESCRIBE";
	if ((args->reserved[0] | args->reserved[1] | args->reserved[2] |
	    args->reserved[3]) != 0)
		return "the reserved members of a query are zero: this "
		       "library knows none of them";
	if ((args->flags & MEWS_QUERY_DESCRIBE) != 0)
		return description_mistake(pool, args);
	if (statement == NULL)
		return NULL;
	if ((args->flags & MEWS_QUERY_BINARY) != 0 && statement->format == 0)
		return "a statement's columns are binary if it was registered "
		       "so: MEWS_QUERY_BINARY goes there";
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
	query->deadline_at = 0;
	query->outside = 0;
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
		query->outside = 0;
	}
	if (query->deadline_at != 0)
		deadline_clear(&pool->deadlines, query);
	query->state = QUERY_FREE;
	/* Of the last generation: its id would begin again. */
	if (query->id >> 32 != UINT32_MAX)
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

enum copied { COPIED, NOT_SHORT, TOO_LARGE, TOO_MUCH, BAD_LENGTH, BAD_TYPE };

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
		query->format = (args->flags & MEWS_QUERY_BINARY) != 0;
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
		if (length <= 0 && (length < 0 || from->value == NULL)) {
			if (length < -1)
				return BAD_LENGTH;
			continue;
		}
		if (from->value == NULL && length > PARAM_INSIDE)
			return BAD_LENGTH;
		/* Text ends with a NUL, for libpq. */
		if (length >= room->end - p)
			return TOO_LARGE;
		if (is_short && from->value != NULL)
			return NOT_SHORT;
		if (from->value != NULL)
			memcpy(p, from->value, (size_t)length);
		else	/* always the same, so that it is quick */
			memcpy(p, from->inside, PARAM_INSIDE);
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

/* Copy parameters that do not fit inside. TOO_LARGE: no memory for them. */
static enum copied
copy_outside(struct query *query, const struct mews_query_args *args)
{
	size_t		count = (size_t)args->param_count, bytes = 0, sql = 0;
	struct room	room;

	if (args->sql != NULL)
		sql = strlen(args->sql) + 1;
	for (size_t i = 0; i < count; i++)
		if (args->params[i].length >= 0)
			bytes += (size_t)args->params[i].length + 1;
	/* Each has a type in the one, a format and a length in the other. */
	if (sql + 4 * count > QUERY_MESSAGE_MAX ||
	    bytes + 6 * count > QUERY_MESSAGE_MAX)
		return TOO_MUCH;
	bytes += sql;
	query->outside = count * (sizeof(char *) + 2 * sizeof(int) +
	    sizeof(Oid)) + bytes + (size_t)QUERY_SLACK;
	/* Queries behind that many bytes would wait for them. */
	query->slow = query->outside > MEMORY_LARGE;
	if ((query->memory = malloc(query->outside)) == NULL) {
		query->outside = 0;
		return TOO_LARGE;
	}
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
		return "a parameter's length is -1 (NULL) or more, and 27 at "
		       "most where it has no value and its bytes are inside";
	case TOO_MUCH:
		return "SQL, or parameters, of more than a gigabyte: a server "
		       "takes no message of that size";
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
	query->unrun = 0;
	query->suspected = 0;
	query->sent_to = -1;
	query->slow = false;
	query->canceled = false;
	query->position = false;
	query->committed = false;
	query->inside = false;
	query->adrift = false;
	query->plain = false;
	query->describes = false;
	query->partly = false;
	query->streaming = false;
	query->stopped = false;
	query->overtaken = false;
	query->lsn = 0;
	query->waited_us = 0;
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

static enum mews_status
refuse_args(struct mews_group *group, const char *why)
{
	return refuse(&group->why, why == no_memory ? MEWS_NOMEM :
	    MEWS_INVALID, "%s", why);
}

static inline bool
has_deadline(const struct mews_query_args *args)
{
	return args->deadline_ms != 0 && args->deadline_ms != MEWS_FOREVER;
}

enum mews_status
query_new(struct query **out, struct mews_group *group, enum query_kind kind,
    const struct mews_query_args *args)
{
	const char	*why = args_mistake(group->pool, args);
	struct query	*query;

	if (why != NULL)
		return refuse_args(group, why);
	if ((query = begin(group, kind)) == NULL)
		return refuse_args(group, no_memory);
	if ((why = copy_args(query, args)) != NULL) {
		give_free(group->pool, query);
		return refuse_args(group, why);
	}
	if (has_deadline(args) && !deadline_set(&group->pool->deadlines,
	    query, args->deadline_ms)) {
		give_free(group->pool, query);
		return refuse_args(group, no_memory);
	}
	if ((args->flags & MEWS_QUERY_DESCRIBE) != 0)
		query->describes = query->plain = true;
	*out = query;
	return MEWS_OK;
}

struct query *
query_new_wait(struct mews_group *group, uint32_t wait_ms)
{
	struct query	*query = begin(group, QUERY_LEASE);

	if (query != NULL)
		query->wait_ms = wait_ms;
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
		    MEWS_QUERY_BINARY : 0,
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
	twin->alone = true;
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

static void __attribute__((noinline))
count_error(struct query *query, enum mews_status status)
{
	query->group->errors++;
	query->group->figures->ends[(size_t)status % FIGURES_ENDS]++;
	/* A wait for a lease has none. */
	if (query->kind != QUERY_LEASE && query->statement != NULL)
		query->statement->figures->errors++;
}

/* Count, and tell the asker; after that it can be neither told nor canceled.
 * @result is in a query's record, so that a use after the callback finds
 * memory that is still the pool's. */
static inline void
call_back(struct query *query, struct mews_result *result)
{
	mews_lease_fn	*lease_fn = query->fn.lease;
	mews_query_fn	*query_fn = query->fn.query;

	if (query_fn == NULL) {
		result_close(result);
		return;
	}
	query->fn.query = NULL;
	query->group->ended++;
	if (result->status != MEWS_OK)
		count_error(query, result->status);
	if (query->kind == QUERY_LEASE)
		lease_fn(query->arg, NULL, result);
	else
		query_fn(query->arg, result);
	result_close(result);
}

/* The endpoint it was sent to last, or NULL. */
static const char *
sent_to(const struct query *query)
{
	return query->sent_to < 0 ? NULL : endpoint_name(
	    query->group->pool->fleet, (uint32_t)query->sent_to);
}

/* Tell the asker that @query was given up, and nothing else. */
static void
call_back_canceled(struct query *query, const char *why)
{
	query->told = (struct mews_result) {
		.magic = RESULT_MAGIC,
		.status = MEWS_CANCELED,
		.endpoint = sent_to(query),
		.message = why,
	};
	if (query->canceled)
		TAILQ_REMOVE(&query->group->pool->canceled, query, gone_link);
	query->canceled = false;
	call_back(query, &query->told);
}

/* Did the server answer, be it with an error? */
static bool
is_answer(enum mews_status status)
{
	return status == MEWS_OK || status == MEWS_SQL ||
	    status == MEWS_TIMEOUT || status == MEWS_PARTLY ||
	    status == MEWS_TOO_LARGE;
}

/*
 * A query that has a twin, or is one, ended with @result: settle between the
 * two. True: nothing is left to do but to free it. False: it is the original,
 * alone now, and ends as any other.
 */
static bool
settle_twin(struct query *query, struct mews_result *result)
{
	struct query	*original = query->original;

	if (original == NULL) {
		/* The original: its twin brings nothing any more. */
		query->twin->overtaken = true;
		query->twin->outgrown = result->status == MEWS_TOO_LARGE;
		query->twin->original = NULL;
		query->twin = NULL;
		return false;
	}
	query->original = NULL;
	original->twin = NULL;
	original->overtaken = !original->adrift;
	original->outgrown = result->status == MEWS_TOO_LARGE;
	/* The twin's connection is free for the next read. */
	pool_due(query->group->pool, pool_now(query->group->pool));
	if (is_answer(result->status) || original->adrift)
		query_answer(original, result);
	return true;
}

void
query_end(struct query *query, enum mews_status status, PGresult *answer,
    const char *endpoint, const char *message)
{
	struct mews_pool	*pool = query->group->pool;
	struct mews_result	*result = &query->told;

	assert(query->state != QUERY_FREE && "mews: a query ends once");
	*result = (struct mews_result) {
		.magic = RESULT_MAGIC,
		.status = status,
		.pg = answer,
		.position = query->lsn,
		.endpoint = endpoint,
		.message = message,
	};
	if ((query->original != NULL || query->twin != NULL) &&
	    settle_twin(query, result)) {
		answer = result->pg;
	} else if (query->canceled) {
		call_back_canceled(query, QUERY_GIVEN_UP);
	} else {
		call_back(query, result);
		answer = result->pg;
	}
	give_free(pool, query);
	PQclear(answer);
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
	/* The answer of @query is still to come; nobody waits for that. */
	if (query->canceled) {
		TAILQ_REMOVE(&query->group->pool->canceled, query, gone_link);
		query->canceled = false;
	}
	call_back(query, result);
}

void
query_fail(struct query *query, enum mews_status status, const char *message)
{
	query_end(query, status, NULL,
	    mews_status_unsent(status) ? NULL : sent_to(query), message);
}

struct query *
query_find(struct mews_pool *pool, mews_query_id id)
{
	uint32_t	number = (uint32_t)id - 1;
	struct query   *query;

	if (!pool_ours(pool) || (uint32_t)id == 0 ||
	    number >= pool->query_count)
		return NULL;
	query = pool->queries[number];
	if (query->id != id || query->state == QUERY_FREE ||
	    query->canceled || query->fn.query == NULL)
		return NULL;
	return query;
}

void
query_part(struct query *twin)
{
	struct query	*original = twin->original;

	twin->original = NULL;
	original->twin = NULL;
	original->adrift = false;
}

void
query_cancel(struct query *query)
{
	struct mews_pool	*pool = query->group->pool;

	query->canceled = true;
	TAILQ_INSERT_TAIL(&pool->canceled, query, gone_link);
	pool_due(pool, pool_now(pool));
}

void
query_give_up(struct query *query, const char *why)
{
	if (query->fn.query != NULL)
		call_back_canceled(query, why);
}
