/*
 * budget.h - how many connections the fleet holds to an endpoint, and how
 * many it opens at a time.
 *
 * Each worker counts its own in its slot, and counts first: then it sums all
 * slots and takes its count back if that is over the cap. Two workers may
 * both step back, but the cap is never exceeded, and a worker that is killed
 * leaves its counts in its slot, which the reaper clears.
 *
 * Fair: every worker has a floor, half of its equal share, that the others
 * leave alone; the rest is for who asks.
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
	BUDGET_FULL, /* the cap is reached: wait for somebody to let go */
	BUDGET_BURST /* too many log in just now: in a moment */
};

/* One connection more, which begins with a login? */
enum budget budget_take(struct mews_fleet *fleet, uint32_t endpoint);
/* The login ended; so well that the next may be more at a time? */
void budget_dialed(struct mews_fleet *fleet, uint32_t endpoint, bool well);
/*
 * A login that went well took so long. Where that is late, the server has more
 * logins than it can serve, from other fleets, too: one less at a time. Before
 * budget_dialed(), which allows one more.
 */
void budget_took(struct mews_fleet *fleet, uint32_t endpoint,
    int64_t took_us);
/* The connection ended. */
void budget_give(struct mews_fleet *fleet, uint32_t endpoint);

/* The server said that it has too many (53300): ask less of it for a while. */
void budget_lower(struct mews_fleet *fleet, uint32_t endpoint);

/* Of all workers. What the server has not ended yet (orphan.h) counts against
 * the cap besides. */
uint32_t budget_sum(const struct segment *segment, uint32_t endpoint);

/* The cap as it is now; 0: none. */
uint32_t budget_cap(const struct segment *segment, uint32_t endpoint,
    int64_t now_ms);

#endif
