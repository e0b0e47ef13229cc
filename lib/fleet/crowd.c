/*
 * crowd.c - see crowd.h.
 */
#include "fleet/crowd.h"

#include "base/clock.h"
#include "fleet/endpoint.h"
#include "fleet/fleet_log.h"

static int64_t
crowd_now_ms(const struct mews_fleet *fleet)
{
	return segment_ms(&fleet->segment, clock_now_us());
}

void
crowd_heard(struct mews_fleet *fleet, uint32_t endpoint)
{
	atomic_store(&endpoint_record(fleet, endpoint)->heard_ms,
	    crowd_now_ms(fleet));
}

bool
crowd_lives(const struct mews_fleet *fleet, uint32_t endpoint,
    int64_t since_us)
{
	int64_t	heard = atomic_load(
	    &endpoint_record(fleet, endpoint)->heard_ms);

	/* Garbage may be any number. */
	return heard > segment_ms(&fleet->segment, since_us) &&
	    heard <= crowd_now_ms(fleet) + 1;
}

bool
crowd_queues(const struct mews_fleet *fleet, uint32_t endpoint,
    int64_t since_us, int64_t now_us)
{
	int64_t	far_us = (int64_t)CROWD_FAR_TIMES *
	    atomic_load(&endpoint_record(fleet, endpoint)->rtt_us);

	return now_us - since_us > CROWD_SLOW_US &&
	    now_us - since_us > far_us &&
	    crowd_lives(fleet, endpoint, since_us);
}

int64_t
crowd_silence(const struct mews_fleet *fleet, int64_t least_us)
{
	int64_t	us = ((int64_t)fleet->rules.interval * 2 +
	    fleet->rules.timeout) * 1000;

	return us > least_us ? us : least_us;
}

uint32_t
crowd_count(const struct segment *segment, uint32_t endpoint)
{
	uint32_t	sum = 0;

	for (uint32_t i = 0; i < segment->slot_count; i++)
		sum += atomic_load(&segment->slots[i].queued[endpoint]);
	return sum;
}

void
crowd_join(struct mews_fleet *fleet, uint32_t endpoint)
{
	struct segment_endpoint *e = endpoint_record(fleet, endpoint);
	int64_t now = crowd_now_ms(fleet), last = atomic_load(&e->crowded_ms);

	atomic_fetch_add(&fleet->slot->queued[endpoint], 1);
	fleet->queued[endpoint]++;
	/* Without a sign, as garbage may be any number. One process logs. */
	if ((last == 0 ||
		(uint64_t)now - (uint64_t)last >= CROWD_QUIET_MS) &&
	    atomic_compare_exchange_strong(&e->crowded_ms, &last, now | 1))
		fleet_log(fleet, MEWS_LOG_WARNING, "logins_queued",
		    "endpoint=%s logins=%u error=\"logins wait behind a "
		    "pooler whose pool is full\"",
		    endpoint_name(fleet, endpoint),
		    crowd_count(&fleet->segment, endpoint));
}

void
crowd_leave(struct mews_fleet *fleet, uint32_t endpoint)
{
	atomic_fetch_sub(&fleet->slot->queued[endpoint], 1);
	fleet->queued[endpoint]--;
}

void
crowd_wish(struct mews_fleet *fleet, uint32_t endpoint)
{
	int64_t	none = 0;

	/* A wish that is there keeps its age. */
	if (atomic_compare_exchange_strong(
	    &endpoint_record(fleet, endpoint)->wish_ms, &none,
	    crowd_now_ms(fleet) | 1))
		endpoint_changed(fleet);
}

bool
crowd_take_wish(struct mews_fleet *fleet, uint32_t endpoint, int64_t age_ms)
{
	struct segment_endpoint *e = endpoint_record(fleet, endpoint);
	int64_t wish = atomic_load_explicit(&e->wish_ms, memory_order_relaxed);

	/* A wish may be told as of the next millisecond. */
	if (wish == 0 || (age_ms > 0 && (uint64_t)crowd_now_ms(fleet) + 1 -
		(uint64_t)wish < (uint64_t)age_ms))
		return false;
	return atomic_compare_exchange_strong(&e->wish_ms, &wish, 0);
}
