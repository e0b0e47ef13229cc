/*
 * owed.h - the last resort of a blocking call.
 */
#ifndef LIB_POOL_OWED_H
#define LIB_POOL_OWED_H

#include "pool/pool.h"

#define OWED_AFTER_US 5000000 /* a wait that long is looked into */

/*
 * End queries that were sent and whose answers no connection expects, with
 * MEWS_LOST: else they would never end. Their connection, which is out of step,
 * ends too; if it is not known, all of the group's to that endpoint do.
 */
void owed_end_lost(struct mews_pool *pool);

#endif
