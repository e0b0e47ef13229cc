/*
 * budget.c - the sum over the slots is the only counter there is.
 */
#include "budget.h"

uint32_t
budget_sum(const struct segment *segment, uint32_t endpoint)
{
	uint32_t	sum = 0;

	for (uint32_t i = 0; i < segment->slot_count; i++)
		sum += atomic_load(&segment->slots[i].connections[endpoint]);
	return sum;
}

bool
budget_take(struct mews_fleet *fleet, uint32_t endpoint)
{
	uint32_t cap = fleet->config->endpoints[endpoint].max_connections;

	atomic_fetch_add(&fleet->slot->connections[endpoint], 1);
	if (cap == 0 || budget_sum(&fleet->segment, endpoint) <= cap)
		return true;
	budget_give(fleet, endpoint);
	return false;
}

void
budget_give(struct mews_fleet *fleet, uint32_t endpoint)
{
	atomic_fetch_sub(&fleet->slot->connections[endpoint], 1);
}
