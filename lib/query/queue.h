/*
 * queue.h - the queries of a group that wait for a connection.
 *
 * First come, first served, in lanes: slow queries wait for connections of
 * their own, and not in the way of the quick. What is sent again waits in
 * front. The queue also keeps the budget of reads that may be sent again.
 */
#ifndef LIB_QUERY_QUEUE_H
#define LIB_QUERY_QUEUE_H

#include "base/loop.h"
#include "query/query.h"

#include <mews/settings.h>

enum queue_lane {
	QUEUE_QUICK,
	QUEUE_SLOW,  /* for connections of their own */
	QUEUE_AFTER, /* for a server that has replayed enough; and, of reads
			that were lost, for one that is no suspect */
	QUEUE_LANES
};

struct queue {
	struct loop *loop;
	const struct mews_group_config *config;
	const uint64_t *ended; /* queries of the group, ever */
	size_t *bytes;	       /* of the queries that wait, in all groups */
	struct query_list lanes[QUEUE_LANES];
	uint32_t count;	       /* in all lanes */
	int64_t due_us;	       /* none of them is given up before */
	uint64_t resent;       /* ever */
	float tokens;	       /* reads that may be sent again now */
	uint64_t counted;      /* of ended, in tokens already */
};

#define QUEUE_TOKENS_LEAST 100 /* tokens that fit, at least */

/* An empty one. @ended and @bytes are counted elsewhere, or with others. */
void queue_open(struct queue *queue, struct loop *loop,
    const struct mews_group_config *config, const uint64_t *ended,
    size_t *bytes);

/* Does @query wait for a server of its liking? */
static inline bool
queue_is_choosy(const struct query *query)
{
	return query->after != 0 || query->state == QUERY_LOST;
}

/* Where @query waits. */
static inline struct query_list *
queue_lane(struct queue *queue, const struct query *query)
{
	return &queue->lanes[queue_is_choosy(query) ? QUEUE_AFTER :
	    query->slow ? QUEUE_SLOW : QUEUE_QUICK];
}

/* Is there no room for @query, where all that wait may take @most bytes? */
bool queue_is_full(const struct queue *queue, const struct query *query,
    uint64_t most);

/* Last in its lane: its patience begins. Sets loop_due(). */
void queue_put(struct queue *queue, struct query *query);

/* First in its lane: it was sent, and will be sent again; @lost: because its
 * connection was. Its patience begins anew. */
void queue_put_back(struct queue *queue, struct query *query, bool lost);

/* Take @query out. */
void queue_remove(struct queue *queue, struct query *query);

/* In front, or behind, where it was removed just now. */
void queue_restore(struct queue *queue, struct query *query, bool front);

/* May one read more be sent again, or twice? Takes it off the budget. */
bool queue_take_resend(struct queue *queue);

#endif
