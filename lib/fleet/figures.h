/*
 * figures.h - what a fleet counts for people: how long, how often, how many.
 *
 * Each slot has figures of its own, written by the process that holds it, with
 * plain stores: a counter is an aligned word, and one that is read meanwhile is
 * the old or the new one. They stay when the slot is given back, and whoever
 * takes it next counts on: sums over all slots never shrink, whoever is killed
 * at whatever instruction. Gauges among them are true only while somebody holds
 * the slot.
 *
 * What is counted by name, as by group and endpoint, has entries: their number
 * is raised behind the name. An entry is never given up. The last one of each
 * kind is for all that found no room, and its name is FIGURES_OTHER.
 *
 * Readers believe nothing: numbers of entries are bounded, names are cut.
 */
#ifndef LIB_FLEET_FIGURES_H
#define LIB_FLEET_FIGURES_H

#include <assert.h>
#include <mews/config.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#define FIGURES_NAME	   (MEWS_NAME_MAX + 1)
#define FIGURES_OTHER	   "(other)" /* no name of a configuration */
#define FIGURES_UNNAMED	   "(unnamed)" /* statements without a name */
#define FIGURES_BUCKETS	   23
#define FIGURES_FIRST_BIT  4  /* bucket 0 ends at 32 us, each next at twice */
#define FIGURES_STATEMENTS 64 /* by name; the last is FIGURES_OTHER */
#define FIGURES_ENDS	   16 /* more than there are in enum mews_status */
#define FIGURES_ALIGN	   128

/* Durations: bucket i holds those below 32 << i us, the last all others. */
struct figures_times {
	uint64_t bucket[FIGURES_BUCKETS];
	uint64_t sum_us;
};

/* Queries that a server answered, from sent to answered. */
struct figures_pair {
	char group[FIGURES_NAME];
	char endpoint[FIGURES_NAME];
	struct figures_times times;
	uint64_t idle, used, connecting; /* gauges: connections */
};

struct figures_group {
	char name[FIGURES_NAME];
	uint64_t waiting;   /* a gauge */
	uint64_t endpoints; /* a gauge: that may serve it now */
	uint64_t resent, opened, hedged, batches;
	uint64_t ends[FIGURES_ENDS]; /* by enum mews_status */
	struct figures_times wait;   /* of those that had to wait */
};

struct figures_statement {
	char name[FIGURES_NAME];
	uint64_t answers, errors, sum_us, rows;
};

/* Of one slot; groups and pairs follow, as many as there is room for. */
struct figures {
	alignas(FIGURES_ALIGN) _Atomic uint32_t group_count;
	_Atomic uint32_t pair_count;
	_Atomic uint32_t statement_count;
	uint64_t lag_us; /* a gauge: the loop's last beat was late by that */
	struct figures_times requests; /* of HTTP, or of the host's kind */
	struct figures_statement statements[FIGURES_STATEMENTS];
};

/* Entries of a slot. */
struct figures_room {
	uint32_t groups, pairs;
};

/* For a fleet with that many groups and endpoints at first: later ones find
 * some room as well. */
static inline struct figures_room
figures_room_for(size_t groups, size_t endpoints)
{
	return (struct figures_room) {
		(uint32_t)groups + 2,
		((uint32_t)groups + 1) * ((uint32_t)endpoints + 1) + 1,
	};
}

#define FIGURES_GROUPS_MOST (MEWS_GROUPS_MAX + 2)
#define FIGURES_PAIRS_MOST \
	((MEWS_GROUPS_MAX + 1) * (MEWS_ENDPOINTS_MAX + 1) + 1)

static_assert(sizeof(struct figures_pair) % 8 == 0, "counters are aligned");
static_assert(sizeof(struct figures_group) % 8 == 0, "counters are aligned");
static_assert(sizeof(struct figures) % FIGURES_ALIGN == 0, "aligned");

/* Bytes of one slot's figures. */
static inline size_t
figures_size(struct figures_room room)
{
	size_t	size = sizeof(struct figures) +
	    room.groups * sizeof(struct figures_group) +
	    room.pairs * sizeof(struct figures_pair);

	return (size + FIGURES_ALIGN - 1) / FIGURES_ALIGN * FIGURES_ALIGN;
}

/* Count one that took @us. Clamped by the or below, by the minimum above. */
static inline void
figures_time(struct figures_times *times, int64_t us)
{
	uint64_t wide = (uint64_t)us |
	    ((UINT64_C(1) << (FIGURES_FIRST_BIT + 1)) - 1);
	unsigned bit = 63 - (unsigned)__builtin_clzll(wide);
	unsigned most = FIGURES_BUCKETS - 1 + FIGURES_FIRST_BIT;

	times->bucket[(bit < most ? bit : most) - FIGURES_FIRST_BIT]++;
	times->sum_us += (uint64_t)us;
}

/* Entries by name, found or added; only for the holder of the slot. */
struct figures_group *figures_find_group(struct figures *figures,
    struct figures_room room, const char *name);
struct figures_pair *figures_find_pair(struct figures *figures,
    struct figures_room room, const char *group, const char *endpoint);
struct figures_statement *figures_find_statement(struct figures *figures,
    const char *name);

/* Entries of a slot that may be written, or damaged, meanwhile. */
static inline const struct figures_group *
figures_groups(const struct figures *figures)
{
	return (const void *)(figures + 1);
}

static inline const struct figures_pair *
figures_pairs(const struct figures *figures, struct figures_room room)
{
	return (const void *)(figures_groups(figures) + room.groups);
}

/* How many entries are valid of @most. */
static inline uint32_t
figures_valid(const _Atomic uint32_t *count, uint32_t most)
{
	uint32_t	valid = atomic_load(count);

	return valid < most ? valid : most;
}

/* A counter that its writer changes meanwhile. */
static inline uint64_t
figures_load(const uint64_t *counter)
{
	return __atomic_load_n(counter, __ATOMIC_RELAXED);
}

/* Of a counter or gauge that is not counted up by one. */
static inline void
figures_store(uint64_t *counter, uint64_t value)
{
	__atomic_store_n(counter, value, __ATOMIC_RELAXED);
}

#endif
