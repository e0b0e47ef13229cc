/*
 * record.h - which record of the segment is which endpoint's.
 *
 * A record is found by its endpoint's name and place, so that processes of an
 * old and a new configuration share it. An endpoint that moves to another host
 * or port is another server, and gets another record under the same name. A
 * record that no generation will use any more is freed once no living process
 * knows it.
 *
 * Writers: the process that made the fleet, alone. A process that joins checks
 * that its records are still there: record_all_hold().
 */
#ifndef LIB_FLEET_RECORD_H
#define LIB_FLEET_RECORD_H

#include "fleet/segment.h"

#include <mews/settings.h>

/*
 * The generation that serves, from 1 on; 0: the word is damaged. Its upper half
 * is the complement of the lower, so that damage is recognized.
 */
static inline uint32_t
record_turn(const struct segment_header *header)
{
	uint64_t	word = atomic_load_explicit(&header->turn,
	    memory_order_acquire);

	return (uint32_t)(word >> 32) == ~(uint32_t)word ? (uint32_t)word : 0;
}

/*
 * Find or add a record for each endpoint of @config, for @generation, which is
 * not yet the current one.
 *
 * @index  filled with the record of each endpoint, in the order of @config.
 * @error  names the endpoint that found no room; then nothing was added.
 */
enum mews_status record_claim(struct segment *segment,
    const struct mews_config *config, uint32_t generation,
    uint8_t index[MEWS_ENDPOINTS_MAX], struct mews_error *error);

/* Undo record_claim() for a generation that never served. */
void record_disclaim(struct segment *segment, uint32_t generation);

/* Say that it is the turn of @generation, and nothing else. */
void record_set_turn(struct segment_header *header, uint32_t generation);

/* Make it the turn of @generation: from now on only the endpoints that this
 * process knows are used. The caller sets caps afterwards. */
void record_settle(struct segment *segment, uint32_t generation);

/* Does, or did, a generation have an endpoint of that name in this record? */
bool record_has_name(const struct segment_endpoint *endpoint,
    const char *name);

/* Are all records that this process knows still its generation's? Call it after
 * the generation was written into the slot: then either the caller finds that a
 * record is gone, or the process that frees it finds the slot. */
bool record_all_hold(const struct segment *segment, uint32_t generation);

#endif
