/*
 * figures.h - what a fleet counts for people: how long, how often, how many.
 *
 * Each slot has figures of its own, written by the process that holds it, with
 * plain stores: a counter is an aligned word, so a reader sees its old or its
 * new value. Figures stay when the slot is given back, and the next holder
 * counts on: sums over all slots never shrink, even if a process is killed at
 * any instruction. Gauges are valid only while a process holds the slot.
 *
 * Counters by name (group, endpoint, statement) are entries: the number of
 * entries is raised after the name is written, and no entry is ever removed.
 * The last entry of each kind, FIGURES_OTHER, takes all that found no room.
 *
 * Readers check what they find: numbers of entries are bounded, names are cut.
 */
#ifndef LIB_FLEET_FIGURES_H
#define LIB_FLEET_FIGURES_H

#include <assert.h>
#include <mews/config.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define FIGURES_NAME	   (MEWS_NAME_MAX + 1)
#define FIGURES_OTHER	   "(other)" /* no name of a configuration */
#define FIGURES_UNNAMED	   "(unnamed)" /* statements without a name */
#define FIGURES_BUCKETS	   23
#define FIGURES_FIRST_BIT  4  /* bucket 0 ends at 32 us, each next at twice */
#define FIGURES_STATEMENTS 64 /* by name; the last is FIGURES_OTHER */
#define FIGURES_ENDS	   16 /* more than there are in enum mews_status */
#define FIGURES_ALIGN	   128
#define FIGURES_GONE	   UINT64_MAX /* a group of an earlier holder */

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
	uint64_t endpoints; /* a gauge: that may serve the group now, or
			       FIGURES_GONE */
	uint64_t resent, opened, hedged, batches, slow;
	uint64_t ends[FIGURES_ENDS]; /* by enum mews_status */
	struct figures_times wait;   /* of those that had to wait */
};

struct figures_statement {
	char name[FIGURES_NAME];
	uint64_t answers, errors, sum_us, rows;
};

/* The figures of one slot; groups and pairs follow, as many as there is room
 * for. */
struct figures {
	alignas(FIGURES_ALIGN) _Atomic uint32_t group_count;
	_Atomic uint32_t pair_count;
	_Atomic uint32_t statement_count;
	uint64_t lag_us; /* a gauge: how late the loop's last beat was */
	struct figures_times requests; /* of HTTP, or of the host's kind */
	struct figures_statement statements[FIGURES_STATEMENTS];
};

/* How many entries a slot has. */
struct figures_room {
	uint32_t groups, pairs;
};

/* The room for a fleet that begins with @groups and @endpoints, and some more
 * for later ones. */
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

/* Count @count durations of @us. The OR keeps the bucket from falling below the
 * first, the minimum from exceeding the last. */
static inline void
figures_times(struct figures_times *times, int64_t us, uint32_t count)
{
	uint64_t wide = (uint64_t)us |
	    ((UINT64_C(1) << (FIGURES_FIRST_BIT + 1)) - 1);
	unsigned bit = 63 - (unsigned)__builtin_clzll(wide);
	unsigned most = FIGURES_BUCKETS - 1 + FIGURES_FIRST_BIT;

	times->bucket[(bit < most ? bit : most) - FIGURES_FIRST_BIT] += count;
	times->sum_us += (uint64_t)us * count;
}

/* Count a duration of @us. */
static inline void
figures_time(struct figures_times *times, int64_t us)
{
	figures_times(times, us, 1);
}

/* Take over the figures of an earlier holder: its counters go on, but its
 * gauges are not those of this one. */
void figures_begin(struct figures *figures, struct figures_room room);

/* Find or add an entry by name; only for the holder of the slot. */
struct figures_group *figures_find_group(struct figures *figures,
    struct figures_room room, const char *name);
struct figures_pair *figures_find_pair(struct figures *figures,
    struct figures_room room, const char *group, const char *endpoint);
struct figures_statement *figures_find_statement(struct figures *figures,
    const char *name);

/* Read entries of a slot that may be written, or damaged, meanwhile. */
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

/* How many of @most entries are valid. */
static inline uint32_t
figures_valid(const _Atomic uint32_t *count, uint32_t most)
{
	uint32_t	valid = atomic_load(count);

	return valid < most ? valid : most;
}

/* Read a counter that its writer may change meanwhile. */
static inline uint64_t
figures_load(const uint64_t *counter)
{
	return __atomic_load_n(counter, __ATOMIC_RELAXED);
}

/* Set a counter or gauge that is not counted up by one. */
static inline void
figures_store(uint64_t *counter, uint64_t value)
{
	__atomic_store_n(counter, value, __ATOMIC_RELAXED);
}

/* Copy a name that may be damaged: it ends where it must. */
static inline void
figures_copy_name(char to[FIGURES_NAME], const char *from)
{
	size_t	length = strnlen(from, FIGURES_NAME - 1);

	memcpy(to, from, length);
	memset(to + length, 0, FIGURES_NAME - length);
}

#endif
