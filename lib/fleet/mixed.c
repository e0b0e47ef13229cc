/*
 * mixed.c - counting changes of an endpoint's role, to find out whether its
 * logins lead to a primary and to a standby by turns.
 */
#include "fleet/mixed.h"

/* Low bits first. */
#define SEEN_BITS    2	/* the role seen last, or SEEN_NOTHING */
#define CHANGE_BITS  3	/* MIXED_CHANGES: the endpoint is mixed */
#define TIME_BITS    59 /* of the last change, ms of the segment */
static_assert(SEEN_BITS + CHANGE_BITS + TIME_BITS == 64, "fills the word");
static_assert(MIXED_CHANGES < 1 << CHANGE_BITS, "changes fit");

#define TIME_MASK ((UINT64_C(1) << TIME_BITS) - 1)

enum sight { SEEN_NOTHING, SEEN_STANDBY, SEEN_OTHER };

static unsigned
changes_of(uint64_t word)
{
	return word >> SEEN_BITS & ((1 << CHANGE_BITS) - 1);
}

static uint64_t
pack_sight(enum sight sight, unsigned changes, uint64_t time_ms)
{
	return (uint64_t)sight | (uint64_t)changes << SEEN_BITS |
	    (time_ms & TIME_MASK) << (SEEN_BITS + CHANGE_BITS);
}

/* The pure rule. */
static uint64_t
next(uint64_t word, enum sight sight, uint64_t now_ms)
{
	enum sight	before = (enum sight)(word & ((1 << SEEN_BITS) - 1));
	unsigned	changes = changes_of(word);
	uint64_t	then_ms = word >> (SEEN_BITS + CHANGE_BITS), age;

	/* Wrapping, so that garbage, a time to come, is long ago. */
	age = (now_ms - then_ms) & TIME_MASK;
	if (before == sight)
		return changes == 0 || age < MIXED_OVER_MS ? word :
		    pack_sight(sight, 0, then_ms);
	if (before != SEEN_STANDBY && before != SEEN_OTHER)
		return pack_sight(sight, 0, now_ms);
	if (changes >= MIXED_CHANGES)
		return pack_sight(sight, MIXED_CHANGES, now_ms);
	return pack_sight(sight, age < MIXED_SOON_MS ? changes + 1 : 1, now_ms);
}

enum mixed
mixed_see(mixed_word *word, enum health_role role, int64_t now_ms)
{
	enum sight	sight = role == HEALTH_ROLE_STANDBY ? SEEN_STANDBY :
							      SEEN_OTHER;
	uint64_t	old = atomic_load(word), new;
	bool		was, is;

	do {
		new = next(old, sight, (uint64_t)now_ms);
	} while (new != old &&
	    !atomic_compare_exchange_weak(word, &old, new));
	was = changes_of(old) >= MIXED_CHANGES;
	is = changes_of(new) >= MIXED_CHANGES;
	if (is)
		return was ? MIXED_STILL : MIXED_BEGAN;
	return was ? MIXED_ENDED : MIXED_NOT;
}

void
mixed_inherit(mixed_word *word, int64_t now_ms)
{
	if (!mixed_is(word))
		atomic_store(word, pack_sight(SEEN_OTHER, MIXED_CHANGES,
		    (uint64_t)now_ms));
}

bool
mixed_is(const mixed_word *word)
{
	return changes_of(atomic_load(word)) >= MIXED_CHANGES;
}
