/*
 * copy.h - COPY on a leased connection.
 *
 * libpq has no COPY in pipeline mode, so the connection leaves it when all
 * before the COPY was answered, and comes back to it at its end. Meanwhile
 * the COPY is the ring's only entry.
 */
#ifndef COPY_H
#define COPY_H

#include "conn.h"

struct copy;

/* The head of the ring is a COPY: go on with it as far as it goes. True: it
 * ended, and the connection is in pipeline mode again. */
bool copy_turn(struct conn *conn);

/* Bytes came from the server. */
void copy_heard(struct conn *conn);

/* Is it the host's turn? */
bool copy_waits(const struct copy *copy);

/* Is room to be told of, when the socket takes more? */
bool copy_is_full(const struct copy *copy);

/* Time passed. Sets pool_due(). */
void copy_scan(struct conn *conn, int64_t now_us);

/* Nobody waits for it any more: end it without storing anything. */
void copy_give_up(struct conn *conn);

/* NULL is a no-op. */
void copy_free(struct copy *copy);

#endif
