/*
 * news.h - what a worker reads from the segment, and writes there: news of
 * endpoints, and its own figures.
 */
#ifndef LIB_POOL_NEWS_H
#define LIB_POOL_NEWS_H

#include "pool/pool.h"

static inline uint32_t
news_changes(const struct mews_pool *pool)
{
	return atomic_load_explicit(&pool->fleet->segment.header->changes,
	    memory_order_acquire);
}

/* As news_look(), whether or not something changed. */
void news_act(struct mews_pool *pool);

/* Act on what other processes changed in the segment since the last time. */
static inline void
news_look(struct mews_pool *pool)
{
	if (news_changes(pool) != pool->changes)
		news_act(pool);
}

/* Look whether an endpoint changed without a notice. */
void news_compare(struct mews_pool *pool, int64_t now_us);

/* Publish the figures that change all the time, in this process' slot. */
void news_publish(struct mews_pool *pool);
/* Publish the other figures. */
void news_tell(struct mews_pool *pool);
/* Publish how late a beat was. */
void news_beat(struct mews_pool *pool, int64_t late_us);
/* Publish that all groups are closed, and that this process has none. */
void news_leave(struct mews_pool *pool);

#endif
