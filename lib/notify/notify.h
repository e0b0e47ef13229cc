/*
 * notify.h - the one connection of a process for notifications.
 *
 * The connection is dialed while there are listeners. Callbacks run only when
 * its descriptor is ready and in notify_scan(); other calls only mark it as
 * broken.
 */
#ifndef LIB_NOTIFY_NOTIFY_H
#define LIB_NOTIFY_NOTIFY_H

#include "fleet/fleet.h"
#include "base/loop.h"
#include "fleet/route.h"

struct mews_listener;
struct notify;

/* Make it, without listeners. NULL: out of memory. */
struct notify *notify_open(struct loop *loop, struct mews_fleet *fleet);

/* Add a listener; the next tick sends its LISTEN. */
void notify_add(struct notify *notify, struct mews_listener *listener);

/* To all of these NULL is a no-op. */

/* Endpoints changed: go where the primary is. */
void notify_rethink(struct notify *notify,
    const struct route_candidate *candidates, uint32_t count);

/* Deadlines, the next login, a sign of life. Sets loop_due(). */
void notify_scan(struct notify *notify, int64_t now_us);

/* Are there listeners while no primary can be used? */
bool notify_panics(const struct notify *notify);

/* End the connection; its listeners become shells. */
void notify_close(struct notify *notify);

#endif
