/*
 * owed.h - the last resort of a call that blocks.
 */
#ifndef LIB_POOL_OWED_H
#define LIB_POOL_OWED_H

#include "pool/pool.h"

#define OWED_AFTER_US 5000000 /* a wait that long is looked into */

/*
 * A query that was sent and that no connection expects an answer to would
 * never end: end it with MEWS_LOST. Its connection, which is out of step,
 * ends too; where it is not known which that is, all of its group to that
 * endpoint do.
 */
void owed_end_lost(struct mews_pool *pool);

#endif
