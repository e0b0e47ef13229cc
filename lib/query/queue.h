/*
 * queue.h - the queries of a group that wait for a connection.
 *
 * First come, first served, in lanes: slow queries wait for connections of
 * their own, so that the quick need not wait for them. A query that is sent
 * again waits in front. The queue also keeps the budget of reads that may be
 * sent again.
 */
#ifndef LIB_QUERY_QUEUE_H
#define LIB_QUERY_QUEUE_H

#include "base/loop.h"
#include "query/query.h"

#include <mews/settings.h>

enum queue_lane {
	QUEUE_QUICK,
	QUEUE_SLOW,  /* for connections of their own */
	QUEUE_AFTER, /* for a server that has replayed enough; lost reads, for a
			server that is not suspect */
	QUEUE_LANES
};

struct queue {
	struct loop *loop;
	const struct mews_group_config *config;
	const uint64_t *ended; /* queries of the group, ever */
	size_t *bytes;	       /* of the queries that wait, in all groups */
	struct query_list lanes[QUEUE_LANES];
	uint32_t count;	       /* in all lanes */
	int64_t due_us;	       /* no query is given up before */
	uint64_t resent;       /* ever */
	float tokens;	       /* reads that may be sent again now */
	uint64_t counted;      /* the part of @ended that earned tokens
				  already */
};

#define QUEUE_TOKENS_LEAST 100 /* tokens that fit, at least */

/* Make an empty queue. @ended: counted by the group; @bytes: counted here,
 * together with other queues. */
void queue_open(struct queue *queue, struct loop *loop,
    const struct mews_group_config *config, const uint64_t *ended,
    size_t *bytes);

/* Does @query wait for particular servers only? */
static inline bool
queue_is_choosy(const struct query *query)
{
	return query->after != 0 || query->state == QUERY_LOST;
}

/* The lane of @query. */
static inline struct query_list *
queue_lane(struct queue *queue, const struct query *query)
{
	return &queue->lanes[queue_is_choosy(query) ? QUEUE_AFTER :
	    query->slow ? QUEUE_SLOW : QUEUE_QUICK];
}

/* Is there no room for @query, if all queries that wait may take @most
 * bytes? */
bool queue_is_full(const struct queue *queue, const struct query *query,
    uint64_t most);

/* Put @query last in its lane; its wait begins. Sets loop_due(). */
void queue_put(struct queue *queue, struct query *query);

/* Put @query, which was sent and is sent again, first in its lane; its wait
 * begins anew. @lost: its connection was lost. */
void queue_put_back(struct queue *queue, struct query *query, bool lost);

/* Take @query out. */
void queue_remove(struct queue *queue, struct query *query);

/* Put @query back where it was just removed: at the front of its lane, or at
 * the end. */
void queue_restore(struct queue *queue, struct query *query, bool front);

/* Take one resend, or one twin, off the budget; false: none is left. */
bool queue_take_resend(struct queue *queue);

#endif
