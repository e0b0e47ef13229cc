/*
 * forget.h - statements that were dropped, until no server knows them.
 */
#ifndef FORGET_H
#define FORGET_H

#include "pool/pool.h"

/* Time passed: have servers forget what was dropped, where no query of it is
 * left. */
void forget_scan(struct mews_pool *pool);

#endif
