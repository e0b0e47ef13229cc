/*
 * ending.h - how a connection ends. Private to the pool.
 */
#ifndef LIB_POOL_ENDING_H
#define LIB_POOL_ENDING_H

#include "wire/conn.h"
#include "pool/group.h"

/* Lose it, which broke: what was in flight is sent again or LOST; close. */
void conn_lose(struct conn *conn);

/* Close it properly, ending what is in flight with CANCELED. */
void conn_cancel(struct conn *conn);

/* Free it in a fork's copy: no word to the server, none to who asked, and
 * nothing is given back that the parent still has. */
void conn_abandon(struct conn *conn);

#endif
