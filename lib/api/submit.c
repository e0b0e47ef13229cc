/*
 * submit.c - the door for queries: sent at once, or into the queue.
 */
#include "wire/bulk.h"
#include "pool/group.h"
#include "pool/choose.h"
#include "pool/news.h"

/* Accept @query: send it now, or later. */
static inline enum mews_status
accept_query(struct mews_group *group, struct query *query,
    const struct mews_query_args *args)
{
	query->wait_ms = args->wait_ms;
	query->after = args->after;
	query->alone = group->config->batch != MEWS_SWITCH_ON;
	if ((args->flags & (MEWS_QUERY_ALONE | MEWS_QUERY_DESCRIBE)) != 0)
		query->alone = true;
	if ((args->flags & MEWS_QUERY_POSITION) != 0) {
		if (group->terms.reader)
			return refuse(&group->why, MEWS_INVALID, "%s",
			    QUERY_NO_POSITION);
		query->position = true;
	}
	if (args->statement == NULL)
		query->hash = text_hash(args->sql);
	if (query->slow || (args->statement == NULL ?
	    text_is_slow(&group->pool->statements, query->hash) :
	    statement_is_slow(args->statement)))
		query->slow = query->alone = query->odd = true;
	if (query_effect(query) == SQL_SESSION)
		return refuse(&group->why, MEWS_INVALID, "this is about a "
		    "session or a transaction, and needs a lease: %s%s%.100s",
		    args->statement != NULL ? args->statement->name : "",
		    args->statement != NULL ? ": " : "", query_sql(query));
	/* If there is no memory when it is sent, its callback tells. */
	if (query->outside > BULK_BYTES)
		return group_enqueue(group, query);
	news_look(group->pool);
	return choose_joined(group, query) ? MEWS_OK :
	    group_submit(group, query);
}

enum mews_status
mews_query_send(struct mews_group *group, const struct mews_query_args *args,
    mews_query_fn *fn, void *arg, mews_query_id *id)
{
	struct query	       *query;
	enum mews_status	status;

	if (!pool_admit(group_pool(group)))
		return refuse_foreign(&group->why);
	if (group->config->autocommit == MEWS_SWITCH_OFF)
		return refuse(&group->why, MEWS_INVALID, "group %s has "
		    "autocommit off: take a lease", group->config->name);
	status = query_new(&query, &group->account, QUERY_SHARED, args);
	if (status != MEWS_OK)
		return status;
	query->fn.query = fn;
	query->arg = arg;
	status = fn != NULL ? accept_query(group, query, args) :
	    refuse(&group->why, MEWS_INVALID, "a query needs a callback");
	if (status != MEWS_OK)
		query_drop(query);
	else if (id != NULL)
		*id = query->id;
	return status;
}
