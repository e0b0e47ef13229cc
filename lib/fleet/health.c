/*
 * health.c - the state machine of an endpoint.
 *
 * Writers: the five functions that take a health_word, any process, by CAS.
 * Rules:   no locks; a process may die between any two instructions.
 * Needs:   C11 atomics. No libpq, no logging, no clock and no dice of its own.
 */
#include "fleet/health.h"

#include "base/clock.h"

#include <stddef.h>

#define MASK(bits) ((UINT64_C(1) << (bits)) - 1)

#define ROLE_SHIFT    HEALTH_STATE_BITS
#define FAILURE_SHIFT (ROLE_SHIFT + HEALTH_ROLE_BITS)
#define SUCCESS_SHIFT (FAILURE_SHIFT + HEALTH_FAILURE_BITS)
#define EPOCH_SHIFT   (SUCCESS_SHIFT + HEALTH_SUCCESS_BITS)
#define PROBING_SHIFT (EPOCH_SHIFT + HEALTH_EPOCH_BITS)
#define RETRY_SHIFT   (PROBING_SHIFT + HEALTH_PROBING_BITS)

static const char *const state_names[HEALTH_STATES] = {
	[HEALTH_UNKNOWN] = "unknown",
	[HEALTH_UP] = "up",
	[HEALTH_SUSPECT] = "suspect",
	[HEALTH_DOWN] = "down",
};

static const char *const role_names[HEALTH_ROLES] = {
	[HEALTH_ROLE_UNKNOWN] = "unknown",
	[HEALTH_ROLE_PRIMARY] = "primary",
	[HEALTH_ROLE_STANDBY] = "standby",
	[HEALTH_ROLE_READONLY] = "readonly",
};

static const char *const evidence_names[HEALTH_EVIDENCES] = {
	[HEALTH_NOTHING] = "none",
	[HEALTH_PROBE_OK] = "probe_ok",
	[HEALTH_PROBE_FAILED] = "probe_failed",
	[HEALTH_CONNECTED] = "connected",
	[HEALTH_REFUSED] = "refused",
	[HEALTH_NOT_READY] = "not_ready",
	[HEALTH_LOST] = "connection_lost",
	[HEALTH_SHUTDOWN] = "shutdown",
	[HEALTH_WATCHDOG] = "watchdog",
	[HEALTH_CONNECT_TIMEOUT] = "connect_timeout",
	[HEALTH_STALL] = "stall",
	[HEALTH_REJECTED] = "rejected",
	[HEALTH_TOO_MANY] = "too_many_connections",
	[HEALTH_ROLE_CHANGED] = "role_changed",
	[HEALTH_MOVED] = "address_changed",
	[HEALTH_REPORTED] = "reported",
};

const char *
health_state_name(enum health_state state)
{
	return (unsigned)state < HEALTH_STATES ? state_names[state] : "?";
}

const char *
health_role_name(enum health_role role)
{
	return (unsigned)role < HEALTH_ROLES ? role_names[role] : "?";
}

const char *
health_evidence_name(enum health_evidence evidence)
{
	return (unsigned)evidence < HEALTH_EVIDENCES ?
	    evidence_names[evidence] : "?";
}

uint64_t
health_pack(struct health health)
{
	return (uint64_t)health.state |
	    ((uint64_t)health.role << ROLE_SHIFT) |
	    (((uint64_t)health.failures & MASK(HEALTH_FAILURE_BITS))
		<< FAILURE_SHIFT) |
	    (((uint64_t)health.successes & MASK(HEALTH_SUCCESS_BITS))
		<< SUCCESS_SHIFT) |
	    (((uint64_t)health.epoch & MASK(HEALTH_EPOCH_BITS))
		<< EPOCH_SHIFT) |
	    ((uint64_t)health.probing << PROBING_SHIFT) |
	    ((uint64_t)health.retry_ms << RETRY_SHIFT);
}

struct health
health_unpack(uint64_t word)
{
	return (struct health) {
		.state = (enum health_state)(word & MASK(HEALTH_STATE_BITS)),
		.role = (enum health_role)((word >> ROLE_SHIFT) &
		    MASK(HEALTH_ROLE_BITS)),
		.failures = (unsigned)((word >> FAILURE_SHIFT) &
		    MASK(HEALTH_FAILURE_BITS)),
		.successes = (unsigned)((word >> SUCCESS_SHIFT) &
		    MASK(HEALTH_SUCCESS_BITS)),
		.epoch = (unsigned)((word >> EPOCH_SHIFT) &
		    MASK(HEALTH_EPOCH_BITS)),
		.probing = (word >> PROBING_SHIFT) & 1,
		.retry_ms = (uint32_t)(word >> RETRY_SHIFT),
	};
}

struct health
health_get(const health_word *word)
{
	return health_unpack(atomic_load_explicit(word, memory_order_acquire));
}

/* Full jitter: anything from almost at once to the doubled time. */
static uint32_t
backoff(unsigned failures, uint32_t random)
{
	uint32_t	most = HEALTH_BACKOFF_LAST;

	if (failures > 0 && failures <= 5)
		most = (uint32_t)HEALTH_BACKOFF_FIRST << (failures - 1);
	return HEALTH_BACKOFF_LEAST + random % (most - HEALTH_BACKOFF_LEAST);
}

static unsigned
count_up(unsigned count, unsigned bits)
{
	return count < MASK(bits) ? count + 1 : count;
}

/* Set the next try, unless a probe runs: its lease stays. */
static void
set_retry(struct health *health, uint32_t when_ms)
{
	if (!health->probing)
		health->retry_ms = when_ms;
}

static struct health
begin_epoch(struct health health)
{
	health.epoch = (health.epoch + 1) & MASK(HEALTH_EPOCH_BITS);
	return health;
}

static struct health
go_down(struct health health, uint32_t now_ms, uint32_t random)
{
	if (health.state != HEALTH_DOWN) {
		health = begin_epoch(health);
		/* The back-off begins with 1, however many failures it took to
		 * fall. */
		health.failures = 1;
	}
	health.state = HEALTH_DOWN;
	health.successes = 0;
	set_retry(&health, now_ms + backoff(health.failures, random));
	return health;
}

static struct health
good(struct health health, const struct health_rules *rules, uint32_t now_ms,
    uint32_t random)
{
	if (health.state == HEALTH_DOWN) {
		health.successes =
		    count_up(health.successes, HEALTH_SUCCESS_BITS);
		if (health.successes < rules->rise) {
			set_retry(&health, now_ms + rules->interval / 4);
			return health;
		}
		/* Reports that began before the return are about the outage: a
		 * new epoch ignores them. */
		health = begin_epoch(health);
	}
	health.state = HEALTH_UP;
	health.failures = 0;
	health.successes = 0;
	/* Jitter of a tenth, so that endpoints are probed at different
	 * times. */
	set_retry(&health, now_ms + rules->interval - rules->interval / 10 +
	    random % (rules->interval / 5 + 1));
	return health;
}

/* A probe got no answer. */
static struct health
bad(struct health health, const struct health_rules *rules, uint32_t now_ms,
    uint32_t random)
{
	health.failures = count_up(health.failures, HEALTH_FAILURE_BITS);
	if (health.state == HEALTH_DOWN || health.failures >= rules->fall)
		return go_down(health, now_ms, random);
	if (health.state == HEALTH_UP)
		health.state = HEALTH_SUSPECT;
	set_retry(&health, now_ms + rules->interval / 4);
	return health;
}

struct health
health_next(struct health health, enum health_evidence evidence, bool probe,
    const struct health_rules *rules, uint32_t now_ms, uint32_t random)
{
	if (probe)
		health.probing = false;
	switch (evidence) {
	case HEALTH_PROBE_OK:
		return good(health, rules, now_ms, random);
	case HEALTH_PROBE_FAILED:
		return bad(health, rules, now_ms, random);
	case HEALTH_CONNECTED:
	case HEALTH_REJECTED:
	case HEALTH_TOO_MANY:
		/* The server answers; but only a probe brings a DOWN one
		 * back. */
		if (health.state == HEALTH_UP || health.state == HEALTH_DOWN)
			return health;
		return good(health, rules, now_ms, random);
	case HEALTH_REFUSED:
	case HEALTH_NOT_READY:
		/* No server listens: as bad as all probes that it takes to
		 * fall. */
		health.failures =
		    count_up(health.failures, HEALTH_FAILURE_BITS);
		return go_down(health, now_ms, random);
	case HEALTH_LOST:
	case HEALTH_SHUTDOWN:
	case HEALTH_WATCHDOG:
	case HEALTH_CONNECT_TIMEOUT:
	case HEALTH_STALL:
	case HEALTH_REPORTED:
		/* Soft evidence: let a probe decide, now. */
		if (health.state != HEALTH_UP)
			return health;
		health.state = HEALTH_SUSPECT;
		set_retry(&health, now_ms);
		return health;
	case HEALTH_MOVED:
		/* Connections to the old address are of an older epoch. */
		return begin_epoch(health);
	default:
		return health;
	}
}

struct health
health_next_role(struct health health, enum health_role role)
{
	if (health.role == role)
		return health;
	/* The first known role needs no new epoch. */
	if (health.role != HEALTH_ROLE_UNKNOWN)
		health = begin_epoch(health);
	health.role = role;
	return health;
}

struct health_change
health_report(health_word *word, enum health_evidence evidence, bool probe,
    unsigned epoch, const struct health_rules *rules, uint32_t now_ms,
    uint32_t random)
{
	uint64_t		old = atomic_load(word);
	struct health_change	change;

	do {
		change.from = change.to = health_unpack(old);
		change.to = health_next(change.from,
		    change.from.epoch == epoch ? evidence : HEALTH_NOTHING,
		    probe, rules, now_ms, random);
	} while (!atomic_compare_exchange_weak(word, &old,
	    health_pack(change.to)));
	return change;
}

struct health_change
health_verdict(health_word *word, enum health_evidence evidence,
    uint32_t lease_ms, unsigned epoch, const struct health_rules *rules,
    uint32_t now_ms, uint32_t random)
{
	uint64_t		old = atomic_load(word);
	struct health_change	change;
	bool			own;

	/* A server that rejects the probe lives: it is no longer DOWN. */
	if (evidence == HEALTH_REJECTED || evidence == HEALTH_TOO_MANY)
		evidence = HEALTH_PROBE_OK;
	do {
		change.from = change.to = health_unpack(old);
		own = change.from.probing && change.from.retry_ms == lease_ms;
		if (!own && evidence != HEALTH_PROBE_OK)
			return change;
		change.to = health_next(change.from,
		    change.from.epoch == epoch ? evidence : HEALTH_NOTHING,
		    own, rules, now_ms, random);
	} while (!atomic_compare_exchange_weak(word, &old,
	    health_pack(change.to)));
	return change;
}

struct health_change
health_see_role(health_word *word, enum health_role role, unsigned epoch)
{
	uint64_t		old = atomic_load(word);
	struct health_change	change;

	do {
		change.from = change.to = health_unpack(old);
		if (change.from.epoch != epoch || change.from.role == role)
			return change;
		change.to = health_next_role(change.from, role);
	} while (!atomic_compare_exchange_weak(word, &old,
	    health_pack(change.to)));
	return change;
}

bool
health_inherit(health_word *word, struct health told)
{
	uint64_t	old = atomic_load(word);
	struct health	to;

	do {
		to = health_unpack(old);
		if (to.state == told.state && to.role == told.role)
			return false;
		/* The first sight takes nothing back from anybody. */
		if (to.state != HEALTH_UNKNOWN)
			to = begin_epoch(to);
		to.state = told.state;
		to.role = told.role;
		to.failures = told.failures;
		to.successes = 0;
		set_retry(&to, told.retry_ms);
	} while (!atomic_compare_exchange_weak(word, &old, health_pack(to)));
	return true;
}

/* No rule waits for longer than half of this. */
static uint32_t
longest_wait(const struct health_rules *rules)
{
	uint32_t	most = HEALTH_BACKOFF_LAST;

	if (rules->interval > most)
		most = rules->interval;
	if (rules->timeout > most)
		most = rules->timeout;
	return 2 * most;
}

bool
health_lease_due(struct health health, enum health_prober prober,
    const struct health_rules *rules, uint32_t now_ms, bool panic,
    uint32_t probed_ms, uint32_t *in_ms)
{
	uint32_t	when = health.retry_ms;
	uint32_t	again = probed_ms + rules->interval;

	/* Workers probe an UP endpoint only in a panic, to find another
	 * role. */
	*in_ms = 0;
	if (health.state == HEALTH_UP && prober != HEALTH_MONITOR && !panic)
		return false;
	/* Garbage, or so old that it has wrapped into the future. */
	if (!clock_reached(now_ms, when) &&
	    when - now_ms > longest_wait(rules))
		return true;
	if (panic && !health.probing && !clock_reached(again, when))
		when = again;
	if (prober == HEALTH_STAND_BY)
		when += HEALTH_MONITOR_SPARE;
	if (!clock_reached(now_ms, when))
		*in_ms = when - now_ms;
	return true;
}

bool
health_lease(health_word *word, enum health_prober prober,
    const struct health_rules *rules, uint32_t now_ms, bool panic,
    uint32_t probed_ms)
{
	uint64_t	old = atomic_load(word);
	struct health	health = health_unpack(old);
	uint32_t	in_ms;

	if (!health_lease_due(health, prober, rules, now_ms, panic,
		probed_ms, &in_ms) || in_ms > 0)
		return false;
	health.probing = true;
	health.retry_ms = health_lease_end(rules, now_ms);
	return atomic_compare_exchange_strong(word, &old, health_pack(health));
}
