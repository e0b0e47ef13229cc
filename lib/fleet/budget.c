/*
 * budget.c - whether one connection, or one login, more is allowed.
 *
 * No counter is shared: each process counts in its own slot, and asks by
 * summing up all slots. What a dead process held is gone with its slot.
 */
#include "fleet/budget.h"

#include "base/clock.h"
#include "fleet/orphan.h"

uint32_t
budget_sum(const struct segment *segment, uint32_t endpoint)
{
	uint32_t	sum = 0;

	for (uint32_t i = 0; i < segment->slot_count; i++)
		sum += atomic_load(&segment->slots[i].connections[endpoint]);
	return sum;
}

/* A number and its complement, so that no accident looks like one. */
static uint32_t
read_elsewhere(const _Atomic uint64_t *word)
{
	uint64_t	value = atomic_load(word);

	return (uint32_t)(value >> 32) == ~(uint32_t)value &&
	    (uint32_t)value <= BUDGET_ELSEWHERE_MOST ? (uint32_t)value : 0;
}

uint32_t
budget_elsewhere(const struct segment *segment, uint32_t endpoint)
{
	const struct segment_endpoint	*e = &segment->endpoints[endpoint];

	return read_elsewhere(&e->elsewhere[BUDGET_BEFORE]) +
	    read_elsewhere(&e->elsewhere[BUDGET_AFTER]);
}

uint32_t
budget_other(const struct segment *segment, uint32_t endpoint,
    enum budget_other which)
{
	return read_elsewhere(
	    &segment->endpoints[endpoint].elsewhere[which]);
}

void
budget_set_other(struct segment *segment, uint32_t endpoint,
    enum budget_other which, uint32_t count)
{
	uint32_t	value = count < BUDGET_ELSEWHERE_MOST ? count :
	    BUDGET_ELSEWHERE_MOST;

	atomic_store(&segment->endpoints[endpoint].elsewhere[which],
	    value | (uint64_t)~value << 32);
}

uint32_t
budget_cap(const struct segment *segment, uint32_t endpoint, int64_t now_ms)
{
	const struct segment_endpoint *e = &segment->endpoints[endpoint];
	uint32_t		       cap =
				   atomic_load(&e->max_connections);
	int64_t			       until = atomic_load(&e->limit_ms);
	uint32_t		       limit = atomic_load(&e->limit);

	/* Unsigned, so that garbage cannot overflow. */
	if (until != 0 && now_ms < until &&
	    (uint64_t)until - (uint64_t)now_ms <= BUDGET_LOWERED_MS + 1 &&
	    (cap == 0 || limit < cap))
		return limit;
	return cap;
}

/* Does the fleet, with this worker's count, keep to @cap? */
static bool
fits(const struct mews_fleet *fleet, uint32_t endpoint, uint32_t cap)
{
	const struct segment *segment = &fleet->segment;
	uint32_t	      workers = 1, floor, sum, kept;

	/* The last slot is the monitor's. */
	for (uint32_t i = 0; i + 1 < segment->slot_count; i++)
		workers += atomic_load(&segment->slots[i].pid) != 0 &&
		    &segment->slots[i] != fleet->slot;
	sum = kept = orphan_count(segment, endpoint) +
	    budget_elsewhere(segment, endpoint);
	floor = cap / workers / 2;
	if (floor == 0 && cap >= workers)
		floor = 1;
	for (uint32_t i = 0; i + 1 < segment->slot_count; i++) {
		const struct segment_slot *slot = &segment->slots[i];
		uint32_t count = atomic_load(&slot->connections[endpoint]);

		sum += count;
		if (atomic_load(&slot->pid) != 0)
			kept += count > floor ? count : floor;
	}
	if (sum > cap)
		return false;
	return kept <= cap ||
	    atomic_load(&fleet->slot->connections[endpoint]) <= floor;
}

enum budget
budget_take(struct mews_fleet *fleet, uint32_t endpoint)
{
	struct segment_slot *slot = fleet->slot;
	uint32_t	     cap, dialing = 0;

	cap = budget_cap(&fleet->segment, endpoint,
	    segment_ms(&fleet->segment, clock_now_us()));
	atomic_fetch_add(&slot->connections[endpoint], 1);
	fleet->connections[endpoint]++;
	if (cap != 0 && !fits(fleet, endpoint, cap)) {
		budget_give(fleet, endpoint);
		return BUDGET_FULL;
	}
	atomic_fetch_add(&slot->dialing[endpoint], 1);
	fleet->dialing[endpoint]++;
	for (uint32_t i = 0; i < fleet->segment.slot_count; i++)
		dialing += atomic_load(
		    &fleet->segment.slots[i].dialing[endpoint]);
	if (dialing <=
	    atomic_load(&fleet->segment.endpoints[endpoint].burst))
		return BUDGET_OK;
	atomic_fetch_sub(&slot->dialing[endpoint], 1);
	fleet->dialing[endpoint]--;
	budget_give(fleet, endpoint);
	return BUDGET_BURST;
}

void
budget_dialed(struct mews_fleet *fleet, uint32_t endpoint, bool well)
{
	struct segment_endpoint *e = &fleet->segment.endpoints[endpoint];
	uint32_t least = fleet->config->endpoints[endpoint].connect_burst;
	uint32_t now = atomic_load(&e->burst);

	atomic_fetch_sub(&fleet->slot->dialing[endpoint], 1);
	fleet->dialing[endpoint]--;
	if (!well)
		atomic_store(&e->burst, least);
	else if (now < BUDGET_BURST_MOST)
		/* If another process changed it first, its change counts. */
		atomic_compare_exchange_strong(&e->burst, &now, now + 1);
}

void
budget_took(struct mews_fleet *fleet, uint32_t endpoint, int64_t took_us)
{
	struct segment_endpoint *e = &fleet->segment.endpoints[endpoint];
	uint32_t least = fleet->config->endpoints[endpoint].connect_burst;
	uint32_t now = atomic_load(&e->burst);
	int64_t	 trips = (int64_t)atomic_load(&e->rtt_us) * BUDGET_LATE_TRIPS;

	if (took_us > BUDGET_LATE_US + trips && now > least)
		/* If another process changed it first, its change counts. */
		atomic_compare_exchange_strong(&e->burst, &now, now - 1);
}

void
budget_give(struct mews_fleet *fleet, uint32_t endpoint)
{
	atomic_fetch_sub(&fleet->slot->connections[endpoint], 1);
	fleet->connections[endpoint]--;
}

void
budget_lower(struct mews_fleet *fleet, uint32_t endpoint)
{
	struct segment_endpoint *e = &fleet->segment.endpoints[endpoint];
	int64_t	 now = segment_ms(&fleet->segment, clock_now_us());
	uint32_t sum = budget_sum(&fleet->segment, endpoint) +
	    orphan_count(&fleet->segment, endpoint) +
	    budget_elsewhere(&fleet->segment, endpoint);

	/* The limit is what the fleet holds now, less the connection
	 * refused. */
	atomic_store(&e->limit, sum > 1 ? sum - 1 : 1);
	atomic_store(&e->limit_ms, (now + BUDGET_LOWERED_MS) | 1);
}
