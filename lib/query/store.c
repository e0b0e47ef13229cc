/*
 * store.c - the records of queries, which are freed with their pool.
 */
#include "query/store.h"

#include <stdlib.h>

void
store_open(struct query_store *store, struct loop *loop,
    struct mews_fleet *fleet, const struct statements *statements)
{
	*store = (struct query_store) {
		.loop = loop, .fleet = fleet, .statements = statements,
		.deadlines.loop = loop,
	};
	SLIST_INIT(&store->free);
	TAILQ_INIT(&store->canceled);
}

void
store_close(struct query_store *store)
{
	for (uint32_t i = 0; i < store->count; i++) {
		free(store->queries[i]->memory);
		free(store->queries[i]);
	}
	free(store->queries);
	deadline_free(&store->deadlines);
}

struct query *
store_add(struct query_store *store)
{
	struct query	*query;

	if (store->count == store->room) {
		uint32_t       room = store->room == 0 ? 64 : store->room * 2;
		struct query **more = reallocarray(store->queries, room,
		    sizeof(struct query *));

		if (more == NULL)
			return NULL;
		store->queries = more;
		store->room = room;
	}
	if ((query = malloc(sizeof(*query))) == NULL)
		return NULL;
	query->memory = NULL;
	query->deadline_at = 0;
	query->outside = 0;
	store->queries[store->count++] = query;
	query->id = store->count;
	return query;
}

struct query *
store_find(const struct query_store *store, mews_query_id id)
{
	uint32_t	number = (uint32_t)id - 1;
	struct query   *query;

	if ((uint32_t)id == 0 || number >= store->count)
		return NULL;
	query = store->queries[number];
	if (query->id != id || query->state == QUERY_FREE ||
	    query->canceled || query->fn.query == NULL)
		return NULL;
	return query;
}
