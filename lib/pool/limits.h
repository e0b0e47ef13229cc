/*
 * limits.h - the time limits of a connection.
 */
#ifndef LIB_POOL_LIMITS_H
#define LIB_POOL_LIMITS_H

#include "wire/conn.h"
#include "pool/group.h"

/* End a login, a query, an idle time, a lease or a life that is too long. Sets
 * pool_due(). */
void limits_scan(struct conn *conn, int64_t now_us);

#endif
