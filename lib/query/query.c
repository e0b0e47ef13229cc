/*
 * query.c - a query begins, and ends exactly once; its twin, and giving it up.
 *
 * args.c checks its arguments, store.c gives its memory.
 */
#include "query/query.h"

#include "query/account.h"
#include "query/args.h"
#include "fleet/endpoint.h"
#include "base/loop.h"
#include "base/refusal.h"
#include "base/trace.h"

#include <assert.h>
#include <string.h>

/* A query of @kind, without SQL yet. */
static inline struct query *
query_begin(struct account *account, enum query_kind kind)
{
	struct query	*query = store_take(account->store);

	if (query == NULL)
		return NULL;
	query->kind = (uint8_t)kind;
	query->state = QUERY_WAITING;
	query->alone = true;
	query->account = account;
	query->unrun = 0;
	query->suspected = 0;
	query->sent_to = -1;
	query->slow = false;
	query->odd = false;
	query->canceled = false;
	query->position = false;
	query->committed = false;
	query->inside = false;
	query->plain = false;
	query->describes = false;
	query->has_parent = false;
	query->partly = false;
	query->streaming = false;
	query->stopped = false;
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
refuse_args(const struct account *account, const char *why)
{
	return refuse(account->why, why == args_no_memory ? MEWS_NOMEM :
	    MEWS_INVALID, "%s", why);
}

static inline bool
has_deadline(const struct mews_query_args *args)
{
	return args->deadline_ms != 0 && args->deadline_ms != MEWS_FOREVER;
}

static inline void
set_parent(struct query *query, const char *traceparent)
{
	parent_keep(query->parent, traceparent);
	query->has_parent = true;
}

enum mews_status
query_new(struct query **out, struct account *account, enum query_kind kind,
    const struct mews_query_args *args)
{
	struct query_store	*store = account->store;
	const char		*why = args_mistake(store->statements, args);
	struct query		*query;

	if (why != NULL)
		return refuse_args(account, why);
	if ((query = query_begin(account, kind)) == NULL)
		return refuse_args(account, args_no_memory);
	if ((why = args_copy(query, args)) != NULL) {
		store_give(store, query);
		return refuse_args(account, why);
	}
	if (has_deadline(args) && !deadline_set(&store->deadlines, query,
	    args->deadline_ms)) {
		store_give(store, query);
		return refuse_args(account, args_no_memory);
	}
	if (args->traceparent != NULL)
		set_parent(query, args->traceparent);
	if ((args->flags & MEWS_QUERY_DESCRIBE) != 0)
		query->describes = query->plain = query->odd = true;
	*out = query;
	return MEWS_OK;
}

struct query *
query_new_wait(struct account *account, uint32_t wait_ms)
{
	struct query	*query = query_begin(account, QUERY_LEASE);

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
	if (query_new(&twin, query->account, QUERY_SHARED, &args) != MEWS_OK)
		return NULL;
	twin->hash = query->hash;
	twin->slow = query->slow;
	twin->odd = query->slow;
	twin->alone = true;
	twin->fn.query = NULL;
	if (query->has_parent)
		set_parent(twin, query->parent);
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
	store_give(query->account->store, query);
}

static void __attribute__((noinline))
count_error(struct query *query, enum mews_status status)
{
	query->account->errors++;
	query->account->figures->ends[(size_t)status % FIGURES_ENDS]++;
	/* A wait for a lease has no statement. */
	if (query->kind != QUERY_LEASE && query->statement != NULL)
		query->statement->figures->errors++;
}

/* Count @query and run its callback, once. @result is in the query's record, so
 * that a use after the callback finds memory that is still the pool's. */
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
	query->account->ended++;
	if (result->status != MEWS_OK)
		count_error(query, result->status);
	if (query->kind == QUERY_LEASE)
		lease_fn(query->arg, NULL, result);
	else
		query_fn(query->arg, result);
	result_close(result);
}

/* The endpoint that @query was sent to last, or NULL. */
static const char *
sent_to(const struct query *query)
{
	return query->sent_to < 0 ? NULL : endpoint_name(
	    query->account->store->fleet, (uint32_t)query->sent_to);
}

/* Run the callback of @query, which was given up, and do nothing else. */
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
		TAILQ_REMOVE(&query->account->store->canceled, query,
		    gone_link);
	query->canceled = false;
	call_back(query, &query->told);
}

/* Did the server answer, perhaps with an error? */
static bool
is_answer(enum mews_status status)
{
	return status == MEWS_OK || status == MEWS_SQL ||
	    status == MEWS_TIMEOUT || status == MEWS_PARTLY ||
	    status == MEWS_TOO_LARGE;
}

/* The twin of @query brought @result: run the callback; end @query if it was
 * adrift. */
static void
answer_by_twin(struct query *query, struct mews_result *result)
{
	if (query->state == QUERY_ADRIFT) {
		query_end(query, result->status, result->pg, result->endpoint,
		    result->message);
		result->pg = NULL;
		return;
	}
	if (query->state == QUERY_SENT) {
		query->state = QUERY_ANSWERED;
		query->odd = true;
	}
	/* Keep @query until its answer, which nobody hears, has come. */
	if (query->canceled) {
		TAILQ_REMOVE(&query->account->store->canceled, query,
		    gone_link);
		query->canceled = false;
	}
	call_back(query, result);
}

/*
 * @query, which has a twin or is one, ended with @result: settle between the
 * two. True: only free @query. False: @query is the original, without a twin
 * now, and ends as any other.
 */
static bool
settle_twin(struct query *query, struct mews_result *result)
{
	struct query	*original = query->original, *twin = query->twin;
	struct loop	*loop = query->account->store->loop;
	bool		 outgrown = result->status == MEWS_TOO_LARGE;

	if (original == NULL) {
		/* @query is the original: ignore its twin's answer. */
		query->twin = twin->original = NULL;
		twin->state = QUERY_ANSWERED;
		twin->odd = true;
		twin->outgrown = outgrown;
		return false;
	}
	query->original = original->twin = NULL;
	original->outgrown = outgrown;
	/* The twin's connection may be free: let the next tick use it. */
	loop_due(loop, loop_now(loop));
	if (is_answer(result->status) || original->state == QUERY_ADRIFT)
		answer_by_twin(original, result);
	return true;
}

void
query_end(struct query *query, enum mews_status status, PGresult *answer,
    const char *endpoint, const char *message)
{
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
	TRACE(query__end, query->id, query->account->config->name, endpoint,
	    (int)status);
	if (query_is_hedged(query) && settle_twin(query, result)) {
		answer = result->pg;
	} else if (query->canceled) {
		call_back_canceled(query, QUERY_GIVEN_UP);
	} else {
		call_back(query, result);
		answer = result->pg;
	}
	store_give(query->account->store, query);
	PQclear(answer);
}

void
query_fail(struct query *query, enum mews_status status, const char *message)
{
	query_end(query, status, NULL,
	    mews_status_unsent(status) ? NULL : sent_to(query), message);
}

void
query_drift(struct query *query)
{
	assert(query->state == QUERY_SENT && query->twin != NULL &&
	    "mews: a query is left to its twin once");
	query->state = QUERY_ADRIFT;
}

void
query_part(struct query *twin)
{
	twin->original->twin = NULL;
	twin->original = NULL;
	query_drop(twin);
}

void
query_cancel(struct query *query)
{
	struct query_store	*store = query->account->store;

	query->canceled = true;
	TAILQ_INSERT_TAIL(&store->canceled, query, gone_link);
	loop_due(store->loop, loop_now(store->loop));
}

void
query_give_up(struct query *query, const char *why)
{
	if (query->fn.query != NULL)
		call_back_canceled(query, why);
}
