/*
 * store.h - the memory of a pool's queries: numbered, used again and again, and
 * found by their ids.
 */
#ifndef LIB_QUERY_STORE_H
#define LIB_QUERY_STORE_H

#include "query/deadline.h"
#include "query/query.h"

#include <stdlib.h>

struct query_store {
	struct loop *loop;
	struct mews_fleet *fleet;
	const struct statements *statements; /* that its queries may run */

	struct query **queries; /* by number */
	uint32_t count, room;
	struct query_stack free;
	struct query_list canceled; /* by gone_link */
	struct deadlines deadlines;
	size_t queue_bytes; /* of the queries that wait, in all groups */
};

void store_open(struct query_store *store, struct loop *loop,
    struct mews_fleet *fleet, const struct statements *statements);

/* Free all queries; no callback runs. */
void store_close(struct query_store *store);

/* One record more; NULL: out of memory. */
struct query *store_add(struct query_store *store);

/* A record that is free, with its next id; NULL: out of memory. */
static inline struct query *
store_take(struct query_store *store)
{
	struct query	*query = SLIST_FIRST(&store->free);

	if (query != NULL)
		SLIST_REMOVE_HEAD(&store->free, free_link);
	else if ((query = store_add(store)) == NULL)
		return NULL;
	query->id += (mews_query_id)1 << 32;
	return query;
}

/* Free what @query holds, and let its record be used again. */
static inline void
store_give(struct query_store *store, struct query *query)
{
	if (query->memory != NULL) {
		free(query->memory);
		query->memory = NULL;
		query->outside = 0;
	}
	if (query->deadline_at != 0)
		deadline_clear(&store->deadlines, query);
	query->state = QUERY_FREE;
	/* After its last generation its ids would repeat: do not use it
	 * again. */
	if (query->id >> 32 != UINT32_MAX)
		SLIST_INSERT_HEAD(&store->free, query, free_link);
}

/* The query with this id, if it has not ended; else NULL. */
struct query *store_find(const struct query_store *store, mews_query_id id);

#endif
