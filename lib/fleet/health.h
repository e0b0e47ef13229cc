/*
 * health.h - is this endpoint worth dialing?
 *
 * One 64-bit word per endpoint, shared by every process of the fleet. The rules
 * are pure functions from (word, evidence) to word; the functions that take a
 * health_word apply them by compare-and-swap and are the only writers.
 */
#ifndef LIB_FLEET_HEALTH_H
#define LIB_FLEET_HEALTH_H

#include <assert.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum health_state {
	HEALTH_UNKNOWN = 0, /* never seen */
	HEALTH_UP = 1,
	HEALTH_SUSPECT = 2, /* evidence against it, no verdict yet */
	HEALTH_DOWN = 3,
	HEALTH_STATES
};

enum health_role {
	HEALTH_ROLE_UNKNOWN = 0,
	HEALTH_ROLE_PRIMARY = 1,
	HEALTH_ROLE_STANDBY = 2,
	HEALTH_ROLE_READONLY = 3, /* no standby, but refuses writes */
	HEALTH_ROLES
};

/* Evidence of a process. Append only: mews status shows the numbers. */
enum health_evidence {
	HEALTH_NOTHING = 0,
	HEALTH_PROBE_OK = 1,
	HEALTH_PROBE_FAILED = 2,   /* no answer within its time */
	HEALTH_CONNECTED = 3,	   /* a worker's own login went well */
	HEALTH_REFUSED = 4,	   /* refused, unreachable, reset on connect */
	HEALTH_NOT_READY = 5,	   /* 57P03: starting up or shutting down */
	HEALTH_LOST = 6,	   /* an established connection broke */
	HEALTH_SHUTDOWN = 7,	   /* 57P01, 57P02 on an established
				      connection */
	HEALTH_WATCHDOG = 8,	   /* a query got no answer in its time */
	HEALTH_CONNECT_TIMEOUT = 9,
	HEALTH_STALL = 10,	   /* every connection's oldest query hangs */
	HEALTH_REJECTED = 11,	   /* a login was rejected: the server lives */
	HEALTH_TOO_MANY = 12,	   /* 53300 */
	HEALTH_ROLE_CHANGED = 13,
	HEALTH_MOVED = 14, /* its name resolves to another address */
	HEALTH_REPORTED = 15, /* a foreign driver's connection failed or was
				 lost */
	HEALTH_EVIDENCES
};

struct health {
	enum health_state state;
	enum health_role role;
	unsigned failures;  /* in a row, saturating; while DOWN: since it
			       fell */
	unsigned successes; /* in a row while DOWN, saturating */
	unsigned epoch;	    /* +1 per change of role, death, return; wraps */
	bool probing;	    /* somebody holds the probe lease */
	uint32_t retry_ms;  /* segment time: lease's end, or next probe */
};

/* Low bits first. */
#define HEALTH_STATE_BITS     2
#define HEALTH_ROLE_BITS      2
#define HEALTH_FAILURE_BITS   4
#define HEALTH_SUCCESS_BITS   4
#define HEALTH_EPOCH_BITS     19
#define HEALTH_PROBING_BITS   1
#define HEALTH_RETRY_BITS     32
static_assert(HEALTH_STATE_BITS + HEALTH_ROLE_BITS + HEALTH_FAILURE_BITS +
    HEALTH_SUCCESS_BITS + HEALTH_EPOCH_BITS + HEALTH_PROBING_BITS +
    HEALTH_RETRY_BITS == 64, "fills the word");
static_assert(HEALTH_STATES <= 1 << HEALTH_STATE_BITS, "states fit");
static_assert(HEALTH_ROLES <= 1 << HEALTH_ROLE_BITS, "roles fit");
static_assert(ATOMIC_LLONG_LOCK_FREE == 2,
    "a hidden lock would die with its holder");

#define HEALTH_BACKOFF_FIRST 1000  /* ms, doubled per failure */
#define HEALTH_BACKOFF_LAST  30000 /* ms, the most; with full jitter */
#define HEALTH_BACKOFF_LEAST 50	   /* ms, the least, whatever the jitter */
#define HEALTH_LEASE_SPARE   100   /* ms a lease outlasts its probe */
#define HEALTH_MONITOR_SPARE 250   /* ms that workers wait for the monitor's
				      probe */

struct health_rules {
	uint32_t interval; /* ms; see struct mews_health_config */
	uint32_t timeout;
	uint32_t fall;
	uint32_t rise;
};

/* The processes that ask for the probe lease. */
enum health_prober {
	HEALTH_WORKER,	  /* probes what is not UP */
	HEALTH_STAND_BY,  /* a worker, beside a monitor that lives */
	HEALTH_MONITOR	  /* probes everything, all the time */
};

typedef _Atomic uint64_t health_word;

/* The effect of one report. */
struct health_change {
	struct health from;
	struct health to;
};

uint64_t health_pack(struct health health);
struct health health_unpack(uint64_t word);
struct health health_get(const health_word *word);

/*
 * The rules. @probe: the evidence is the verdict of a probe, which ends its
 * lease. @random: any number, for the jitter.
 */
struct health health_next(struct health health, enum health_evidence evidence,
    bool probe, const struct health_rules *rules, uint32_t now_ms,
    uint32_t random);
struct health health_next_role(struct health health, enum health_role role);

/*
 * Report evidence. @epoch is the one that the reporter saw when it began to
 * look: if it is over, the report is stale and changes nothing but the lease.
 */
struct health_change health_report(health_word *word,
    enum health_evidence evidence, bool probe, unsigned epoch,
    const struct health_rules *rules, uint32_t now_ms, uint32_t random);
/*
 * The verdict of a probe, which ends its lease @lease_ms, see
 * health_lease_end(). If the lease ran out meanwhile and another process took
 * it, bad news is ignored, as the delay was ours; good news counts, but the
 * lease stays with its holder.
 */
struct health_change health_verdict(health_word *word,
    enum health_evidence evidence, uint32_t lease_ms, unsigned epoch,
    const struct health_rules *rules, uint32_t now_ms, uint32_t random);
struct health_change health_see_role(health_word *word,
    enum health_role role, unsigned epoch);

/*
 * Take the right to probe, for @rules->timeout: true for one process at a
 * time, and only when a probe is due. @panic: a query waits and no endpoint can
 * be used; then one probe per interval is due, whatever the back-off says,
 * counted from @probed_ms, the start of the last one.
 */
bool health_lease(health_word *word, enum health_prober prober,
    const struct health_rules *rules, uint32_t now_ms, bool panic,
    uint32_t probed_ms);

/* Believe what an earlier fleet said of it, until somebody looks: state, role,
 * failures and the next probe. False: that is what it is already. */
bool health_inherit(health_word *word, struct health told);

/* When a lease taken at @now_ms ends by itself; no two leases of an endpoint
 * end at the same time. */
static inline uint32_t
health_lease_end(const struct health_rules *rules, uint32_t now_ms)
{
	return now_ms + rules->timeout + HEALTH_LEASE_SPARE;
}

/* In how many milliseconds health_lease() may succeed. False: only after a
 * change of @health. */
bool health_lease_due(struct health health, enum health_prober prober,
    const struct health_rules *rules, uint32_t now_ms, bool panic,
    uint32_t probed_ms, uint32_t *in_ms);

/* Names in lower case; "?" for anything else (garbage in the segment). */
const char *health_state_name(enum health_state state);
const char *health_role_name(enum health_role role);
const char *health_evidence_name(enum health_evidence evidence);

#endif
