/*
 * crowd.h - more logins than a pooler has sessions.
 *
 * A pooler in session mode welcomes each client, and lets those that are too
 * many wait for the first answer until another one leaves. Such a login says
 * nothing against its endpoint while open sessions are answered: it is queued.
 * A process without any session there wishes for one, and one that has some
 * gives one up; a session so passes from hand to hand.
 */
#ifndef LIB_FLEET_CROWD_H
#define LIB_FLEET_CROWD_H

#include "fleet/fleet.h"

#define CROWD_SLOW_US  100000  /* without an answer for so long: queued */
#define CROWD_FAR_TIMES 4      /* and for so many of a probe's round trips */
#define CROWD_HEARD_US 50000   /* between two notes that answers come */
#define CROWD_WISH_US  250000  /* between two wishes of one waiting login */
#define CROWD_HOLD_US  150000  /* a session is kept so long at least */
#define CROWD_MOST_US  30000000 /* a login may be queued for so long */
#define CROWD_STALE_MS 1000    /* a wish that no worker could fulfil */
#define CROWD_QUIET_MS 60000   /* between two lines in the log */

/* An open session was answered just now. */
void crowd_heard(struct mews_fleet *fleet, uint32_t endpoint);

/* Was one answered since @since_us, in any process? */
bool crowd_lives(const struct mews_fleet *fleet, uint32_t endpoint,
    int64_t since_us);

/* Is a login that was let in, and has asked since @since_us without an answer,
 * queued? */
bool crowd_queues(const struct mews_fleet *fleet, uint32_t endpoint,
    int64_t since_us, int64_t now_us);

/* The longest silence in a fleet that lives, as there may be nothing but a
 * monitor; @least_us, or more. */
int64_t crowd_silence(const struct mews_fleet *fleet, int64_t least_us);

/* A login of this process is queued from now on; it is no longer. */
void crowd_join(struct mews_fleet *fleet, uint32_t endpoint);
void crowd_leave(struct mews_fleet *fleet, uint32_t endpoint);

/* Queued logins of the whole fleet. */
uint32_t crowd_count(const struct segment *segment, uint32_t endpoint);

/* Wish that somebody gives up a session to @endpoint. */
void crowd_wish(struct mews_fleet *fleet, uint32_t endpoint);

/* Take a wish that is @age_ms old at least: the caller gives up a session. */
bool crowd_take_wish(struct mews_fleet *fleet, uint32_t endpoint,
    int64_t age_ms);

#endif
