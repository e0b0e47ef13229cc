/*
 * grow.h - one connection more of a group, or another one in its place.
 */
#ifndef LIB_POOL_GROW_H
#define LIB_POOL_GROW_H

#include "wire/conn.h"
#include "pool/group.h"

/* Does a route lead over @conn, and is it of its endpoint's epoch? */
bool grow_wants(const struct conn *conn);

/* Is there no point in waiting for a new connection to @endpoint? */
bool grow_is_slow_to_dial(const struct mews_group *group, uint32_t endpoint);

/* One connection more to @endpoint. False: the fleet's budget is used up. */
bool grow_dial(struct mews_group *group, uint32_t endpoint);

/* The time of @conn is over: let another one log in first, so that a wrong
 * password is no outage, and then let it go. To be called again at the end of
 * a lease, as the next may begin before the pool looks. */
void grow_replace(struct conn *conn);

#endif
