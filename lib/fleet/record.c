/*
 * record.c - records of endpoints: found, added, given away.
 */
#include "fleet/record.h"

#include "fleet/orphan.h"
#include "fleet/resolve.h"
#include "base/status.h"

#include <string.h>

/* Does a process of the generations @first to @last live? One that is joining
 * has not yet told its generation, and counts too. */
static bool
somebody_knows(const struct segment *segment, uint32_t first, uint32_t last)
{
	for (uint32_t i = 0; i < segment->slot_count; i++) {
		const struct segment_slot *slot = &segment->slots[i];
		uint32_t		   its;

		if (atomic_load(&slot->pid) == 0)
			continue;
		its = atomic_load(&slot->generation);
		if (its == 0 || (first <= its && its <= last))
			return true;
	}
	return false;
}

/* Free a record that no process uses any more; false: it is in use. */
static bool
vacate(struct segment *segment, uint32_t index)
{
	struct segment_endpoint *e = &segment->endpoints[index];
	uint32_t		 first = atomic_load(&e->first);
	uint32_t		 last = atomic_load(&e->last);

	if (first == 0)
		return true;
	if (last == SEGMENT_STAYS)
		return false;
	/* Clear first, look afterwards: see record_all_hold(). */
	atomic_store(&e->first, 0);
	if (somebody_knows(segment, first, last)) {
		atomic_store(&e->first, first);
		return false;
	}
	return true;
}

static void
fill_record(struct segment *segment, uint32_t index,
    const struct mews_endpoint_config *config, uint64_t place,
    uint32_t generation)
{
	struct segment_endpoint *e = &segment->endpoints[index];

	orphan_disown(segment, index);
	memset(e, 0, sizeof(*e));
	strcpy(e->name, config->name);
	atomic_store(&e->max_connections, config->max_connections);
	atomic_store(&e->burst, config->connect_burst == 0 ?
	    MEWS_CONNECT_BURST_DEFAULT : config->connect_burst);
	atomic_store(&e->lag_ms, SEGMENT_LAG_UNKNOWN);
	/* Take it for a name, until resolve_endpoint() has looked. */
	atomic_store(&e->named, 1);
	atomic_store(&e->place, place);
	atomic_store(&e->last, SEGMENT_STAYS);
	/* Last: a process that sees this sees the rest. */
	atomic_store(&e->first, generation);
}

bool
record_has_name(const struct segment_endpoint *endpoint, const char *name)
{
	return atomic_load(&endpoint->first) != 0 &&
	    strncmp(endpoint->name, name, sizeof(endpoint->name)) == 0;
}

/* Keep an endpoint of the same name drained, even on another server. */
static void
keep_drained(struct segment *segment, uint32_t index)
{
	struct segment_endpoint *e = &segment->endpoints[index];

	for (uint32_t i = 0; i < segment->endpoint_space; i++) {
		const struct segment_endpoint *other = &segment->endpoints[i];

		if (i != index && record_has_name(other, e->name) &&
		    atomic_load(&other->last) == SEGMENT_STAYS)
			atomic_store(&e->drained,
			    atomic_load(&other->drained));
	}
}

/* Find the record of an endpoint of that name at that place. */
static bool
find_placed(const struct segment *segment, const char *name, uint64_t place,
    uint32_t *at)
{
	for (uint32_t i = 0; i < segment->endpoint_space; i++) {
		const struct segment_endpoint *e = &segment->endpoints[i];

		if (record_has_name(e, name) &&
		    atomic_load(&e->place) == place) {
			*at = i;
			return true;
		}
	}
	return false;
}

/* Make a record. False: there is no room for one more. */
static bool
add_record(struct segment *segment, const struct mews_endpoint_config *config,
    uint64_t place, uint32_t generation, uint32_t *at)
{
	for (uint32_t i = 0; i < segment->endpoint_space; i++)
		if (vacate(segment, i)) {
			fill_record(segment, i, config, place, generation);
			keep_drained(segment, i);
			*at = i;
			return true;
		}
	return false;
}

/* Let generation @last be the last to use records that are not in @kept. */
static void
give_up_others(struct segment *segment, uint32_t kept, uint32_t last)
{
	for (uint32_t i = 0; i < segment->endpoint_space; i++) {
		struct segment_endpoint *e = &segment->endpoints[i];

		if ((kept >> i & 1) == 0 && atomic_load(&e->first) != 0 &&
		    atomic_load(&e->last) == SEGMENT_STAYS)
			atomic_store(&e->last, last);
	}
}

enum mews_status
record_claim(struct segment *segment, const struct mews_config *config,
    uint32_t generation, uint8_t index[MEWS_ENDPOINTS_MAX],
    struct mews_error *error)
{
	for (size_t i = 0; i < config->endpoint_count; i++) {
		const struct mews_endpoint_config *e = &config->endpoints[i];
		uint64_t	place = resolve_place(e->conninfo);
		uint32_t	at;

		/* An endpoint that an earlier configuration gave up may come
		 * back while processes still use its record. */
		if (find_placed(segment, e->name, place, &at))
			atomic_store(&segment->endpoints[at].last,
			    SEGMENT_STAYS);
		else if (!add_record(segment, e, place, generation, &at)) {
			record_disclaim(segment, generation);
			return status_set(error, MEWS_INVALID,
			    "endpoint.%.40s: the segment has no room for it: "
			    "it holds %u endpoints, with those that processes "
			    "of an earlier configuration still use", e->name,
			    segment->endpoint_space);
		}
		index[i] = (uint8_t)at;
	}
	return MEWS_OK;
}

void
record_disclaim(struct segment *segment, uint32_t generation)
{
	give_up_others(segment, atomic_load(&segment->header->known),
	    generation);
}

void
record_set_turn(struct segment_header *header, uint32_t generation)
{
	atomic_store(&header->turn, generation | (uint64_t)~generation << 32);
}

void
record_settle(struct segment *segment, uint32_t generation)
{
	record_set_turn(segment->header, generation);
	atomic_store(&segment->header->known, segment->known);
	give_up_others(segment, segment->known, generation - 1);
}

bool
record_all_hold(const struct segment *segment, uint32_t generation)
{
	for (uint32_t i = 0; i < segment->endpoint_count; i++) {
		const struct segment_endpoint *e = &segment->endpoints[i];
		uint32_t		       first = atomic_load(&e->first);

		if (segment_knows(segment, i) && (first == 0 ||
		    generation < first || atomic_load(&e->last) < generation))
			return false;
	}
	return true;
}
