/*
 * front.h - the HTTP side of a worker.
 *
 * The front owns connections and requests; the application holds a request
 * until it answers.
 */
#ifndef WORKER_FRONT_H
#define WORKER_FRONT_H

#include "worker.h"

#include <ev.h>

struct front;

/**
 * Listen.
 *
 * @args   outlives the front.
 * @limits is copied.
 * @pool   for the application's queries.
 * @state  the application's.
 * @out    set on MEWS_OK.
 *
 * Returns MEWS_OK or MEWS_NOMEM.
 */
enum mews_status front_open(struct front **out, struct ev_loop *ev,
    const struct worker_args *args, const struct config_http *limits,
    struct mews_pool *pool, void *state, struct mews_error *error);

/**
 * Go on with what the last turn left; calls the application. Call this once per
 * turn, before the loop waits.
 */
void front_turn(struct front *front);
/** Send the answers that came in this turn. Call this last before the loop
 * waits, when the queries of the turn are on their way. */
void front_send(struct front *front);

/** Tell whether the worker waits for something to do. */
void front_waiting(struct front *front, bool waits);

/** Begin to accept. Once, before front_drain(). */
void front_listen(struct front *front);

/**
 * Accept no more; what is connected gets its answers and is closed.
 *
 * @patient  another process serves now: take the clients in the backlogs, and
 *           close an idle connection only after one more request, so that no
 *           request is lost on its way. A later call without @patient closes
 *           those, too.
 */
void front_drain(struct front *front, bool patient);
/** Is no connection left? */
bool front_is_empty(const struct front *front);
/** Drain, and call the application no more. */
void front_stop(struct front *front);
/** Send what was answered, close all, set *front to NULL; NULL *front is a
 * no-op. */
void front_close(struct front **front);

#endif
