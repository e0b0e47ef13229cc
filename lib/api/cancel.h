/*
 * cancel.h - giving up queries: by a call, or by their deadlines.
 */
#ifndef LIB_API_CANCEL_H
#define LIB_API_CANCEL_H

#include "pool/pool.h"

/* Run the callbacks of queries that were canceled since the last tick. */
void cancel_run(struct mews_pool *pool);

/* Was a query canceled that can end now? */
bool cancel_is_due(const struct mews_pool *pool);

/* Give up queries that have passed their deadlines. Sets pool_due(). */
void cancel_scan(struct mews_pool *pool, int64_t now_us);

#endif
