/*
 * forget.h - statements that were dropped, until no server knows them.
 */
#ifndef LIB_POOL_FORGET_H
#define LIB_POOL_FORGET_H

#include "pool/pool.h"

/* Time passed: have servers forget what was dropped, where no query of it is
 * left. */
void forget_scan(struct mews_pool *pool);

#endif
