/*
 * queue.c - in which lane a query waits, how long at most, and whether one more
 * may be sent again. pool/group.c serves the queue.
 */
#include "query/queue.h"

/*
 * The most tokens that are saved: all reads that can be in flight, so that none
 * fails if all of their connections are lost. Without a budget a server that
 * dies over and over would double the load of the rest.
 */
static float
most_tokens(const struct queue *queue)
{
	float	most = (float)queue->config->connection_count *
	    (float)queue->config->pipeline;

	return most > QUEUE_TOKENS_LEAST ? most : QUEUE_TOKENS_LEAST;
}

void
queue_open(struct queue *queue, struct loop *loop,
    const struct mews_group_config *config, const uint64_t *ended,
    size_t *bytes)
{
	*queue = (struct queue) {
		.loop = loop, .config = config, .ended = ended,
		.bytes = bytes, .due_us = LOOP_NEVER,
	};
	queue->tokens = most_tokens(queue);
	for (int lane = 0; lane < QUEUE_LANES; lane++)
		TAILQ_INIT(&queue->lanes[lane]);
}

bool
queue_take_resend(struct queue *queue)
{
	uint64_t	came = *queue->ended - queue->counted;
	float		most = most_tokens(queue);

	if (queue->config->retry_budget == MEWS_FOREVER)
		return false;
	queue->tokens += (float)came * (float)queue->config->retry_budget /
	    100;
	if (queue->tokens > most)
		queue->tokens = most;
	queue->counted = *queue->ended;
	if (queue->tokens < 1)
		return false;
	queue->tokens -= 1;
	return true;
}

/* Bytes of @query while it waits. */
static size_t
bytes_waiting(const struct query *query)
{
	return sizeof(*query) + query->outside;
}

bool
queue_is_full(const struct queue *queue, const struct query *query,
    uint64_t most)
{
	/* A query larger than queue_memory may wait if no other query does:
	 * else it could never be sent. */
	return queue->count >= queue->config->queue ||
	    (*queue->bytes > 0 && *queue->bytes + bytes_waiting(query) > most);
}

/* Set the time until which @query waits, anew each time that it has to wait. */
static void
set_wait(struct queue *queue, struct query *query)
{
	uint32_t	wait_ms = query->wait_ms != 0 ? query->wait_ms :
	    queue->config->acquire_timeout;

	query->waiting_us = loop_now(queue->loop);
	query->wait_until_us = wait_ms == MEWS_FOREVER ? LOOP_NEVER :
	    query->waiting_us + (int64_t)wait_ms * 1000;
	if (query->deadline_at != 0 &&
	    query->deadline_us < query->wait_until_us)
		query->wait_until_us = query->deadline_us;
	loop_due(queue->loop, query->wait_until_us);
}

void
queue_restore(struct queue *queue, struct query *query, bool front)
{
	if (front)
		TAILQ_INSERT_HEAD(queue_lane(queue, query), query, link);
	else
		TAILQ_INSERT_TAIL(queue_lane(queue, query), query, link);
	queue->count++;
	*queue->bytes += bytes_waiting(query);
	if (query->wait_until_us < queue->due_us)
		queue->due_us = query->wait_until_us;
}

void
queue_put(struct queue *queue, struct query *query)
{
	set_wait(queue, query);
	queue_restore(queue, query, false);
	/* The next tick serves @query; if one runs now, ask for one more. */
	queue->loop->hurry = true;
}

void
queue_put_back(struct queue *queue, struct query *query, bool lost)
{
	query->state = lost ? QUERY_LOST : QUERY_WAITING;
	set_wait(queue, query);
	queue->resent++;
	queue_restore(queue, query, true);
	queue->loop->hurry = true;
}

void
queue_remove(struct queue *queue, struct query *query)
{
	TAILQ_REMOVE(queue_lane(queue, query), query, link);
	queue->count--;
	*queue->bytes -= bytes_waiting(query);
}
