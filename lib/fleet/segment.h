/*
 * segment.h - the layout of the memory that a fleet shares.
 *
 * Header, then records of endpoints, then one slot per worker, then orphans,
 * then events, then the figures of each slot. No pointers inside. Each field
 * has one writer, named above it, or is one atomic word changed by
 * compare-and-swap. Fields written only before the first fork are not atomic.
 *
 * One segment serves a fleet for its whole life. Each new configuration makes a
 * generation of processes; for a while two or more live side by side on the
 * same records, so that caps hold for all together. A record belongs to the
 * generations first to last; see record.h.
 *
 * Order: a writer changes a word, then raises header.changes, both by release;
 * a reader loads the counter, then the words, both by acquire:
 *
 *	atomic_store(&e->..., value);		if (changes != seen) {
 *	atomic_fetch_add(&h->changes, 1);		seen = changes;
 *						... atomic_load(&e->...) ...
 *					}
 *
 * A writer that is killed between its two lines announces nothing: readers also
 * compare the words themselves on each beat (notice.h). An address is longer
 * than a word: it is written into the buffer that is not valid, before the
 * number that makes it valid. A reader copies, and copies again if that number
 * changed meanwhile: segment_get_address(). No fences, as all of it is atomic
 * and sequentially consistent; where a load is relaxed, a later look corrects
 * it.
 *
 * Anything read from here may be damaged: counts and indices are checked before
 * they are used.
 */
#ifndef LIB_FLEET_SEGMENT_H
#define LIB_FLEET_SEGMENT_H

#include "fleet/event.h"
#include "fleet/figures.h"
#include "fleet/health.h"
#include "fleet/mixed.h"

#include <mews/config.h>
#include <mews/fleet.h>
#include <stddef.h>
#include <sys/types.h>

#define SEGMENT_MAGIC UINT64_C(0x31304753574d454d)
#define SEGMENT_ABI   16 /* +1 with each change of the layout below */
#define SEGMENT_LINE  128 /* bytes between words of different writers */
#define SEGMENT_HOSTADDR_MAX 63
#define SEGMENT_BACKENDS     64	 /* of one worker, recorded in case it dies */
#define SEGMENT_ORPHANS	     256 /* of the whole fleet, at a time */
#define SEGMENT_LAG_UNKNOWN  UINT32_MAX
#define SEGMENT_OTHERS	     2 /* segments, see apart.h */
#define SEGMENT_STAYS	     UINT32_MAX /* no generation is the last yet */
#define SEGMENT_REFUSAL_MAX  127 /* bytes of a server's message */
#define SEGMENT_SERVER_MAX   255 /* bytes of resolve_server()'s text */
/* The timeline was measured since the server became a primary. */
#define SEGMENT_PROVEN	     (UINT64_C(1) << 32)

/* A group of the generation that serves. */
struct segment_group {
	char name[MEWS_NAME_MAX + 1];
	_Atomic uint32_t role; /* enum mews_group_role */
};

struct segment_header {
	/* Written before the fork, the magic last. */
	_Atomic uint64_t magic;
	uint32_t abi;
	uint32_t header_size;
	uint32_t endpoint_size;
	uint32_t slot_size;
	uint32_t endpoint_space; /* records */
	uint32_t slot_count;
	uint32_t figure_groups; /* entries of each slot, see figures.h */
	uint32_t figure_pairs;
	int64_t made_us; /* CLOCK_MONOTONIC; where all times in here begin */
	char instance[MEWS_NAME_MAX + 1];
	/* The master. */
	_Atomic int32_t master_pid;
	_Atomic uint32_t generation; /* the host's number, for people */
	/* The creator of the fleet. */
	_Atomic uint64_t turn;	/* the generation that serves, see record.h */
	_Atomic uint32_t known; /* that generation's endpoints: bits, by
				   index */
	/* The monitor, when it joins; cleared with its slot. */
	_Atomic int32_t monitor_pid;
	/* Any process, for people: when damage was found, see damage.h. */
	_Atomic int64_t damaged_ms; /* the last time; 0: never */
	/* Any process that changes an endpoint: +1 per transition. */
	alignas(SEGMENT_LINE) _Atomic uint32_t changes;
	/* Any process that waits for a standby to catch up: measure now. */
	_Atomic uint32_t hurries;
	/* Any process that waits for a server of some role, and finds none: ask
	 * those that are up for their role. */
	_Atomic uint32_t role_wishes;
	/* The creator of the fleet, for processes that attach. */
	alignas(SEGMENT_LINE) _Atomic uint64_t made_by; /* hold_self() */
	_Atomic uint32_t group_count;
	struct segment_group groups[MEWS_GROUPS_MAX];
};

/* A server process, all in one word, see orphan.c; 0: none. */
struct segment_backend {
	_Atomic uint64_t word;
};

struct segment_endpoint {
	/* Any process, by health.c only. */
	alignas(SEGMENT_LINE) health_word health;
	/* Any process, by mixed.c only. */
	mixed_word mixed;
	/* Any process, for people: what was seen last; 0: never, nobody. */
	_Atomic uint32_t evidence;
	_Atomic int32_t evidence_by; /* the pid that saw it */
	_Atomic int64_t evidence_ms;
	/* Any process, for people: the last transition, and its reason. */
	_Atomic int64_t changed_ms; /* 0: never */
	_Atomic int32_t changed_by;  /* the pid that saw it */
	_Atomic uint32_t cause;
	_Atomic int64_t up_ms;	     /* when it came back from DOWN; 0: never */
	_Atomic uint32_t transitions[HEALTH_EVIDENCES]; /* by reason; wraps */
	/* Any process, see budget.h. */
	_Atomic uint32_t burst;	     /* logins at a time */
	_Atomic uint32_t limit;	     /* connections, lowered by 53300 */
	_Atomic int64_t limit_ms;   /* end of limit; 0: not lowered */
	/* Any process, see crowd.h. */
	_Atomic int64_t heard_ms;   /* a session was answered; 0: never */
	_Atomic int64_t wish_ms;    /* one is wished for since then; 0: no */
	_Atomic int64_t crowded_ms; /* last logged; 0: never */
	/* Operator: mews drain, mews enable. */
	_Atomic uint32_t drained;
	/* The creator of the fleet: connections that processes of another
	 * segment have, or may have; see apart.h. */
	_Atomic uint64_t elsewhere[SEGMENT_OTHERS];
	/* Any process, see endpoint_proves_login(). */
	_Atomic int64_t login_ms; /* the last login that went well; 0: none */
	_Atomic uint32_t login_wanted;
	/* The process that holds the probe lease. */
	alignas(SEGMENT_LINE) _Atomic int64_t probed_ms;
	_Atomic int64_t measured_ms; /* time of the values below; 0: never */
	_Atomic uint32_t rtt_us;
	_Atomic uint64_t lsn;	      /* written (primary) or replayed */
	_Atomic uint64_t lag_bytes;
	_Atomic uint32_t lag_ms;      /* SEGMENT_LAG_UNKNOWN */
	/* The process that holds the probe lease: since when logins are
	 * rejected, and why; see segment_set_refusal(). */
	_Atomic int64_t rejected_ms; /* 0: not rejected */
	_Atomic uint64_t refusal[(SEGMENT_REFUSAL_MAX + 1) / 8];
	/* The process that holds the probe lease, and one that saw the role
	 * change, by CAS: the timeline (0: not known), and SEGMENT_PROVEN. */
	_Atomic uint64_t timeline;
	/* The process that resolves names, one at a time. */
	_Atomic uint32_t address;     /* which hostaddr is valid */
	_Atomic uint32_t moved;	      /* the last address that workers were
					 told */
	_Atomic uint64_t hostaddr[2][(SEGMENT_HOSTADDR_MAX + 1) / 8];
	/* Any process that resolved it: has a host name, and is never dialed
	 * without an address. */
	_Atomic uint32_t named;
	/* The creator of the fleet. The fields below are written while first is
	 * 0, when no living process knows the record. */
	_Atomic uint32_t max_connections;
	_Atomic uint32_t first; /* generation that knows it; 0: free */
	_Atomic uint32_t last;	/* generation that knows it; SEGMENT_STAYS */
	_Atomic uint64_t place;	/* resolve_place() of its conninfo */
	char name[MEWS_NAME_MAX + 1];
	/* The creator of the fleet, for processes that attach: which server and
	 * database; see resolve_server(). */
	_Atomic uint64_t server[(SEGMENT_SERVER_MAX + 1) / 8];
};

/* Written by the worker that holds it; after its death cleared by the process
 * that reaped it, or that has its lock: slots.h. */
struct segment_slot {
	alignas(SEGMENT_LINE) _Atomic int32_t pid; /* 0: free; CAS to take */
	_Atomic uint64_t holder; /* hold_self() of a process that has a lock, by
				    CAS; 0: its parent reaps it */
	_Atomic uint32_t state; /* enum mews_worker_state */
	_Atomic uint32_t generation; /* 0: not yet known, it may be any */
	_Atomic uint64_t groups; /* hash of their names, in order */
	_Atomic int64_t joined_ms;
	_Atomic int64_t beat_ms;
	_Atomic uint64_t requests;
	_Atomic uint64_t queries;
	_Atomic uint64_t errors;
	_Atomic uint32_t waiting;
	_Atomic uint32_t in_flight;
	_Atomic uint32_t connections[MEWS_ENDPOINTS_MAX]; /* see budget.h */
	_Atomic uint32_t dialing[MEWS_ENDPOINTS_MAX]; /* of these */
	_Atomic uint32_t queued[MEWS_ENDPOINTS_MAX]; /* too; see crowd.h */
	/* Connections of these, by group; see share.h. */
	_Atomic uint16_t group_connections[MEWS_GROUPS_MAX][MEWS_ENDPOINTS_MAX];
	struct segment_backend backends[SEGMENT_BACKENDS];
};

/* Sessions that no process holds, and that the server may still run. */
struct segment_orphans {
	/* Any process, by CAS; cleared by the prober that found it gone. */
	alignas(SEGMENT_LINE) struct segment_backend backends[SEGMENT_ORPHANS];
};

static_assert(sizeof(struct segment_header) % SEGMENT_LINE == 0, "aligned");
static_assert(sizeof(struct segment_endpoint) % SEGMENT_LINE == 0, "aligned");
static_assert(sizeof(struct segment_slot) % SEGMENT_LINE == 0, "aligned");
static_assert(sizeof(struct segment_orphans) % SEGMENT_LINE == 0, "aligned");
static_assert(sizeof(struct events) % SEGMENT_LINE == 0, "aligned");
static_assert(ATOMIC_INT_LOCK_FREE == 2, "no hidden lock");

struct segment {
	struct segment_header *header;
	struct segment_endpoint *endpoints;
	struct segment_slot *slots;
	struct segment_orphans *orphans;
	struct events *events;
	struct figures *figures; /* of the first slot */
	uint32_t endpoint_count; /* records up to the last one in known */
	uint32_t known; /* bits, by index: endpoints of this process */
	uint32_t endpoint_space; /* checked copies of the header's */
	uint32_t slot_count;
	struct figures_room room; /* of each slot's figures */
	size_t size; /* of the mapping */
	dev_t dev;   /* the file that is mapped */
	ino_t ino;
};

static_assert(MEWS_ENDPOINTS_MAX <= 32, "a bit for each endpoint");

/* Does this process have an endpoint at that index? Others may. */
static inline bool
segment_knows(const struct segment *segment, uint32_t index)
{
	return index < MEWS_ENDPOINTS_MAX && (segment->known >> index & 1) != 0;
}

/* Set which endpoints this process has. */
void segment_set_known(struct segment *segment, uint32_t known);

/*
 * Make and map a new segment: the file @path (it must not exist), or a memfd if
 * NULL. Its times begin now. This process knows all records.
 *
 * @room  for figures; at least one entry of each kind.
 */
enum mews_status segment_make(struct segment *segment, const char *path,
    const char *instance, uint32_t endpoint_space, uint32_t slot_count,
    struct figures_room room, struct mews_error *error);

/* The figures of a slot. */
static inline struct figures *
segment_figures(const struct segment *segment, uint32_t slot)
{
	return (struct figures *)((char *)segment->figures +
	    slot * figures_size(segment->room));
}

/* Map and check an existing segment; @writable: to write an operator's word,
 * too. */
enum mews_status segment_open(struct segment *segment, const char *path,
    bool writable, struct mews_error *error);

/* Is @path a segment of mews, but one of another version's? */
bool segment_is_foreign(const char *path);

/* Unmap. A segment of zeros is a no-op. */
void segment_close(struct segment *segment);

/* @now_us in milliseconds of the segment's own time. The health word has only
 * 32 bits of it, which wrap after 49 days. */
int64_t segment_ms(const struct segment *segment, int64_t now_us);

/* Clear a slot whose worker ended: the pid and the holder last. */
void segment_clear_slot(struct segment *segment, struct segment_slot *slot);

/* The timeline that an endpoint was last seen on; 0: not known. *@proven: it
 * was measured since the endpoint became a primary. */
uint32_t segment_timeline(const struct segment_endpoint *endpoint,
    bool *proven);
/* Record a timeline that a probe measured. */
void segment_set_timeline(struct segment_endpoint *endpoint,
    uint32_t timeline, bool proven);
/* The endpoint became a primary, which may have begun a timeline;
 * @promoted: it was a standby, so the timeline is a later one. */
void segment_doubt_timeline(struct segment_endpoint *endpoint,
    bool promoted);

/*
 * Record that logins are rejected, with the server's message; NULL: no longer.
 * One process at a time. A reader may see a mix of two messages, which is good
 * enough for people.
 */
void segment_set_refusal(struct segment_endpoint *endpoint,
    const char *message, int64_t now_ms);
/* Since when logins are rejected, and the @message; 0: they are not, and
 * @message is "". */
int64_t segment_get_refusal(const struct segment_endpoint *endpoint,
    char message[SEGMENT_REFUSAL_MAX + 1]);

/* The endpoint's server and database, without secrets. */
void segment_get_server(const struct segment_endpoint *endpoint,
    char server[SEGMENT_SERVER_MAX + 1]);
void segment_set_server(struct segment_endpoint *endpoint,
    const char *server);

/* The address of an endpoint's host name; "": none is known. */
void segment_get_address(const struct segment_endpoint *endpoint,
    char address[SEGMENT_HOSTADDR_MAX + 1]);
/* Publish an address; one process at a time. */
void segment_set_address(struct segment_endpoint *endpoint,
    const char *address);

#endif
