/*
 * budget.h - how many connections the fleet holds to an endpoint.
 *
 * Each worker counts its own in its slot, and counts first: then it sums all
 * slots and takes its count back if that is over the cap. Two workers may
 * both step back, but the cap is never exceeded, and a worker that is killed
 * leaves its count in its slot, which the reaper clears.
 */
#ifndef BUDGET_H
#define BUDGET_H

#include "fleet.h"

/* One connection more? False: the cap is reached; wait. */
bool budget_take(struct mews_fleet *fleet, uint32_t endpoint);
void budget_give(struct mews_fleet *fleet, uint32_t endpoint);

/* Of all workers. */
uint32_t budget_sum(const struct segment *segment, uint32_t endpoint);

#endif
