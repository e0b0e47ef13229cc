/*
 * cancel.h - queries that their askers, or their deadlines, give up.
 */
#ifndef LIB_API_CANCEL_H
#define LIB_API_CANCEL_H

#include "pool/pool.h"

/* Run the callbacks of those that were canceled since the last tick. */
void cancel_run(struct mews_pool *pool);

/* Is one of them canceled that can end now? */
bool cancel_is_due(const struct mews_pool *pool);

/* Give up what has passed its deadline. Sets pool_due(). */
void cancel_scan(struct mews_pool *pool, int64_t now_us);

#endif
