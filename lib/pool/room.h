/*
 * room.h - one connection for another, where a query needs an endpoint and the
 * group is at its limit.
 */
#ifndef LIB_POOL_ROOM_H
#define LIB_POOL_ROOM_H

#include "wire/conn.h"
#include "pool/group.h"

/*
 * Dial one to @endpoint, of the tier from .. to - 1, in the place of one to an
 * endpoint with more than its share, or of another tier. The old one works on
 * until the new one is logged in: a login that fails costs nothing.
 */
void room_make(struct mews_group *group, uint32_t endpoint, uint32_t from,
    uint32_t to);

/* @conn, which room_make() dialed, is ready: let the other one go. */
void room_made(struct conn *conn);

#endif
