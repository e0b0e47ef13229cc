/*
 * room.h - replacing one connection by another, if a query needs an endpoint
 * and its group is at its limit.
 */
#ifndef LIB_POOL_ROOM_H
#define LIB_POOL_ROOM_H

#include "wire/conn.h"
#include "pool/group.h"

/*
 * Dial @endpoint, of @tier, to replace a connection to an endpoint with more
 * than its share, or of another tier. The old one works on until the new one is
 * logged in: a login that fails costs nothing.
 */
void room_make(struct mews_group *group, uint32_t endpoint, struct tier tier);

/* @conn, which room_make() dialed, is ready: retire the old one. */
void room_made(struct conn *conn);

#endif
