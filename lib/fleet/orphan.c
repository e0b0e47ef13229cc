/*
 * orphan.c - short lists of backends, without a lock: an entry is one word.
 *
 * From the lowest bit: the pid, the endpoint, and when the session began, in
 * seconds of the segment's time. The seconds wrap after two years; only the age
 * of a session is computed from them.
 */
#include "fleet/orphan.h"

#include <inttypes.h>
#include <stdio.h>

#define PID_BITS      32
#define ENDPOINT_BITS 6
#define SINCE_BITS    26
static_assert(PID_BITS + ENDPOINT_BITS + SINCE_BITS == 64, "fills the word");
static_assert(MEWS_ENDPOINTS_MAX <= 1 << ENDPOINT_BITS, "endpoints fit");
#define MASK(bits) ((UINT64_C(1) << (bits)) - 1)

static uint64_t
pack_orphan(uint32_t endpoint, uint32_t pid, int64_t since_ms)
{
	return pid | ((uint64_t)endpoint << PID_BITS) |
	    (((uint64_t)since_ms / 1000) << (PID_BITS + ENDPOINT_BITS));
}

static bool
is_on(uint64_t word, uint32_t endpoint)
{
	return (uint32_t)word != 0 &&
	    ((word >> PID_BITS) & MASK(ENDPOINT_BITS)) == endpoint;
}

/* Add @word to the list of orphans, which other processes write to as well. */
static void
put_orphan(struct segment *segment, uint64_t word)
{
	uint64_t	none;

	for (uint32_t i = 0; i < SEGMENT_ORPHANS; i++) {
		none = 0;
		if (atomic_compare_exchange_strong(
		    &segment->orphans->backends[i].word, &none, word))
			return;
	}
	/* The list is full: statement_timeout ends this session. */
}

int
orphan_record(struct segment_slot *slot, uint32_t endpoint, uint32_t pid,
    int64_t now_ms)
{
	for (int i = 0; slot != NULL && i < SEGMENT_BACKENDS; i++)
		if (atomic_load(&slot->backends[i].word) == 0) {
			atomic_store(&slot->backends[i].word,
			    pack_orphan(endpoint, pid, now_ms));
			return i;
		}
	return -1;
}

void
orphan_forget(struct segment_slot *slot, int index)
{
	if (slot != NULL && index >= 0)
		atomic_store(&slot->backends[index].word, 0);
}

void
orphan_leave(struct segment *segment, struct segment_slot *slot, int index)
{
	if (slot != NULL && index >= 0)
		put_orphan(segment, atomic_load(&slot->backends[index].word));
	orphan_forget(slot, index);
}

void
orphan_add(struct segment *segment, uint32_t endpoint, uint32_t pid,
    int64_t since_ms)
{
	put_orphan(segment, pack_orphan(endpoint, pid, since_ms));
}

static bool
is_orphan_listed(const struct segment *segment, uint64_t word)
{
	for (uint32_t i = 0; i < SEGMENT_ORPHANS; i++)
		if (atomic_load(&segment->orphans->backends[i].word) == word)
			return true;
	return false;
}

void
orphan_adopt(struct segment *segment, struct segment_slot *slot)
{
	for (uint32_t i = 0; i < SEGMENT_BACKENDS; i++) {
		uint64_t word = atomic_load(&slot->backends[i].word);

		/* A process that was killed here may have listed it already. */
		if ((uint32_t)word != 0 && !is_orphan_listed(segment, word))
			put_orphan(segment, word);
		atomic_store(&slot->backends[i].word, 0);
	}
}

uint32_t
orphan_count(const struct segment *segment, uint32_t endpoint)
{
	uint32_t	count = 0;

	for (uint32_t i = 0; i < SEGMENT_ORPHANS; i++)
		count += is_on(atomic_load_explicit(
		    &segment->orphans->backends[i].word,
		    memory_order_relaxed), endpoint);
	return count;
}

bool
orphan_any(const struct segment *segment)
{
	for (uint32_t i = 0; i < SEGMENT_ORPHANS; i++)
		if (atomic_load(&segment->orphans->backends[i].word) != 0)
			return true;
	return false;
}

void
orphan_disown(struct segment *segment, uint32_t endpoint)
{
	for (uint32_t i = 0; i < SEGMENT_ORPHANS; i++) {
		struct segment_backend *backend =
		    &segment->orphans->backends[i];
		uint64_t	word = atomic_load(&backend->word);

		/* If another process changed the entry first, it is gone as
		 * well. */
		if (is_on(word, endpoint))
			atomic_compare_exchange_strong(&backend->word, &word,
			    0);
	}
}

bool
orphan_next(const struct segment *segment, uint32_t endpoint, uint32_t *at,
    const char *name, int64_t now_ms, char sql[ORPHAN_SQL_MAX])
{
	for (; *at < SEGMENT_ORPHANS; ++*at) {
		uint64_t word =
		    atomic_load(&segment->orphans->backends[*at].word);
		uint64_t age_s;

		if (!is_on(word, endpoint))
			continue;
		age_s = ((uint64_t)now_ms / 1000 -
		    (word >> (PID_BITS + ENDPOINT_BITS))) & MASK(SINCE_BITS);
		/* Another session may have the pid by now: the one meant has
		 * our name, and began when we connected. */
		snprintf(sql, ORPHAN_SQL_MAX,
		    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
		    "WHERE pid = %" PRIu32 " AND application_name = %s AND "
		    "state <> 'idle' AND abs(extract(epoch FROM "
		    "clock_timestamp() - backend_start) - %" PRIu64 ") < 3",
		    (uint32_t)word, name, age_s);
		return true;
	}
	return false;
}

void
orphan_gone(struct segment *segment, uint32_t at)
{
	atomic_store(&segment->orphans->backends[at].word, 0);
}
