/*
 * listen.h - the pool's one connection for notifications.
 *
 * It exists from the first mews_listen() on, and is dialed while there are
 * listeners. Its callbacks run in listen_ready() and listen_scan() only; what
 * the rest of the pool finds out merely breaks it.
 */
#ifndef LISTEN_H
#define LISTEN_H

#include "pool.h"
#include "route.h"

struct listen;
struct listener_list;

/* The pool's listeners, for one more; it is seen to in the next tick. NULL:
 * out of memory. */
struct listener_list *listen_begin(struct mews_pool *pool);

/* To all of these NULL is a no-op. */

/* Endpoints changed: is there a better one? */
void listen_rethink(struct listen *listen,
    const struct route_candidate *candidates, uint32_t count);

/* Deadlines, the next login, a sign of life. Sets pool_due(). */
void listen_scan(struct listen *listen, int64_t now_us);

/* Something happened on its descriptor. */
void listen_ready(struct listen *listen);

/* Nobody looked at it for so long: that does not count. */
void listen_extend(struct listen *listen, int64_t away_us);

/* Is somebody listening while there is no primary? */
bool listen_panics(const struct listen *listen);

/* The pool goes: what is left of listeners is a shell. */
void listen_close(struct listen *listen);

/* Its descriptor, for a fork's copy; -1: none. */
int listen_fd(const struct listen *listen);

#endif
