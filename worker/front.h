/*
 * front.h - the HTTP side of a worker.
 *
 * One libmicrohttpd daemon in the worker's loop. The front owns connections
 * and requests; an application that was asked holds its request until it
 * answers.
 */
#ifndef FRONT_H
#define FRONT_H

#include "worker.h"

#include <ev.h>

struct front;

/**
 * Listen.
 *
 * @args   outlives the front.
 * @pool   for the application's queries.
 * @state  the application's.
 * @out    set on MEWS_OK.
 *
 * Returns MEWS_OK, MEWS_NOMEM or MEWS_SYSTEM.
 */
enum mews_status front_open(struct front **out, struct ev_loop *ev,
    const struct worker_args *args, struct mews_pool *pool, void *state,
    struct mews_error *error);

/**
 * Send the answers that are due and read what arrived; the application is
 * called in here. Call it once per turn, before the loop waits.
 */
void front_turn(struct front *front);

/** Accept no more; what is connected gets its answers and is closed. */
void front_drain(struct front *front);
/** No connection is left. */
bool front_is_empty(const struct front *front);
/** Drain, and from now on ask the application nothing any more. */
void front_stop(struct front *front);
/** Send what was answered, close all, set *front to NULL; NULL *front is a
 * no-op. */
void front_close(struct front **front);

/** There is something to do in the next front_turn(), which is to come at
 * once. */
void front_due(struct front *front);

#endif
