/*
 * ending.h - how a connection ends. Private to the pool.
 */
#ifndef LIB_POOL_ENDING_H
#define LIB_POOL_ENDING_H

#include "wire/conn.h"
#include "pool/group.h"

/* Close @conn, which broke: what was in flight is sent again or ends LOST. */
void conn_lose(struct conn *conn);

/* Close @conn properly, ending what is in flight with CANCELED. */
void conn_cancel(struct conn *conn);

/* Free @conn in a fork's copy: nothing is sent, no callback runs, and nothing
 * is given back that the parent still has. */
void conn_abandon(struct conn *conn);

#endif
