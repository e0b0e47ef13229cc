/*
 * budget.h - how many connections the fleet holds to an endpoint, and how
 * many it opens at a time.
 *
 * Each worker counts its own connections in its slot. It raises its count
 * first, then sums all slots, and takes the count back if the sum is over the
 * cap. Two workers may both step back, but the cap is never exceeded. A killed
 * worker leaves its counts in its slot, which the reaper clears.
 *
 * Fair: half of a worker's equal share is kept for it; the rest goes to the
 * first that asks.
 */
#ifndef LIB_FLEET_BUDGET_H
#define LIB_FLEET_BUDGET_H

#include "fleet/fleet.h"

#define BUDGET_BURST_MOST 64    /* logins at a time, at the most */
#define BUDGET_LATE_US 200000   /* a login that takes longer waits for others;
				   besides, BUDGET_LATE_TRIPS round trips */
#define BUDGET_LATE_TRIPS 8
#define BUDGET_LOWERED_MS 10000 /* how long 53300 holds the limit down */

enum budget {
	BUDGET_OK,
	BUDGET_FULL, /* the cap is reached: wait for a connection to end */
	BUDGET_BURST /* too many log in just now: try again in a moment */
};

/* Ask for one connection more, which begins with a login. */
enum budget budget_take(struct mews_fleet *fleet, uint32_t endpoint);
/* The login ended. @well: it allows more logins at a time. */
void budget_dialed(struct mews_fleet *fleet, uint32_t endpoint, bool well);
/*
 * A login that went well took @us. If that is late, the server has more logins
 * than it can serve, perhaps from other fleets: allow one less at a time. Call
 * it before budget_dialed(), which allows one more.
 */
void budget_took(struct mews_fleet *fleet, uint32_t endpoint,
    int64_t took_us);
/* The connection ended. */
void budget_give(struct mews_fleet *fleet, uint32_t endpoint);

/* 53300: the server has too many connections. Lower the cap for a while. */
void budget_lower(struct mews_fleet *fleet, uint32_t endpoint);

/* The connections of all workers. Orphans (orphan.h) count against the cap as
 * well. */
uint32_t budget_sum(const struct segment *segment, uint32_t endpoint);

/*
 * Connections that the processes of another segment have, or may have, and that
 * count here; see apart.h. Whoever takes a connection counts it, then asks for
 * this number: so one who first raises the number, then sums up, knows all that
 * can be had.
 */
enum budget_other {
	BUDGET_BEFORE, /* of the fleet that this one follows */
	BUDGET_AFTER   /* of the one that follows this one */
};
static_assert(BUDGET_AFTER + 1 == SEGMENT_OTHERS, "a word for each");

#define BUDGET_ELSEWHERE_MOST 1000000 /* more is noise */

uint32_t budget_elsewhere(const struct segment *segment, uint32_t endpoint);
uint32_t budget_other(const struct segment *segment, uint32_t endpoint,
    enum budget_other which);
void budget_set_other(struct segment *segment, uint32_t endpoint,
    enum budget_other which, uint32_t count);

/* The cap as it is now; 0: none. */
uint32_t budget_cap(const struct segment *segment, uint32_t endpoint,
    int64_t now_ms);

#endif
