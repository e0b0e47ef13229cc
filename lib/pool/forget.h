/*
 * forget.h - statements that were dropped, until no server knows them.
 */
#ifndef LIB_POOL_FORGET_H
#define LIB_POOL_FORGET_H

#include "pool/pool.h"

/* Have servers forget dropped statements that have no query left. */
void forget_scan(struct mews_pool *pool);

#endif
