/*
 * grow.h - opening one more connection of a group, or replacing one.
 */
#ifndef LIB_POOL_GROW_H
#define LIB_POOL_GROW_H

#include "wire/conn.h"
#include "pool/group.h"

/* Does the route lead to the endpoint of @conn, in its present epoch? */
bool grow_wants(const struct conn *conn);

/* Is a login to @endpoint slow, or not allowed yet, so that waiting is no
 * use? */
bool grow_is_slow_to_dial(const struct mews_group *group, uint32_t endpoint);

/* Open one connection more to @endpoint. False: the fleet's budget is used
 * up. */
bool grow_dial(struct mews_group *group, uint32_t endpoint);

/* The lifetime of @conn is over: let a successor log in first, so that a wrong
 * password is no outage, and then retire @conn. Call it again at the end of a
 * lease, as the next lease may begin before the pool looks. */
void grow_replace(struct conn *conn);

#endif
