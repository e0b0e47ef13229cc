/*
 * segment.h - the layout of the memory that a fleet shares.
 *
 * Header, then one record per endpoint, then one slot per worker. No pointers
 * inside. Each field has one writer, named behind it, or is one atomic word
 * changed by compare-and-swap. What is written before the first fork, and
 * never again, is no atomic.
 *
 * Anything read from here is advice: counts and indices are checked before
 * they are used.
 */
#ifndef SEGMENT_H
#define SEGMENT_H

#include "health.h"

#include <mews/config.h>
#include <mews/fleet.h>
#include <stddef.h>

#define SEGMENT_MAGIC UINT64_C(0x31304753574d454d)
#define SEGMENT_ABI   2 /* +1 with each change of the layout below */
#define SEGMENT_LINE  128 /* bytes between words of different writers */
#define SEGMENT_HOSTADDR_MAX 63
#define SEGMENT_BACKENDS     64	 /* of one worker, remembered for its death */
#define SEGMENT_ORPHANS	     256 /* of dead workers, at a time */
#define SEGMENT_LAG_UNKNOWN  UINT32_MAX

struct segment_header {
	/* Written before the fork. */
	uint64_t magic;
	uint32_t abi;
	uint32_t header_size;
	uint32_t endpoint_size;
	uint32_t slot_size;
	uint32_t endpoint_count;
	uint32_t slot_count;
	int64_t made_us; /* CLOCK_MONOTONIC; zero of all times in here */
	char instance[MEWS_NAME_MAX + 1];
	/* The master. */
	_Atomic int32_t master_pid;
	_Atomic uint32_t generation;
	/* The monitor, when it joins; cleared with its slot. */
	_Atomic int32_t monitor_pid;
	/* Whoever changes an endpoint: +1 per transition. */
	alignas(SEGMENT_LINE) _Atomic uint32_t changes;
	/* Whoever waits for a standby to catch up: measure now. */
	_Atomic uint32_t hurries;
};

/* A server process; the pid is stored last and cleared first. */
struct segment_backend {
	_Atomic uint32_t pid; /* 0: none */
	_Atomic uint32_t endpoint;
	_Atomic uint32_t since_ms; /* it was connected then */
};

struct segment_endpoint {
	/* Any process, by health.c only. */
	alignas(SEGMENT_LINE) health_word health;
	/* Any process: the last transition, for people. */
	_Atomic uint32_t evidence;
	_Atomic uint32_t changed_ms; /* 0: never */
	_Atomic int32_t changed_by;  /* the pid that saw it */
	_Atomic uint32_t up_ms;	     /* back from the dead then; 0: never was */
	/* Any process, see budget.h. */
	_Atomic uint32_t burst;	     /* logins at a time */
	_Atomic uint32_t limit;	     /* connections, lowered by 53300 ... */
	_Atomic uint32_t limit_ms;   /* ... until then; 0: not lowered */
	/* Operator: mews drain, mews enable. */
	_Atomic uint32_t drained;
	/* Who holds the probe lease. */
	alignas(SEGMENT_LINE) _Atomic uint32_t probed_ms;
	_Atomic uint32_t measured_ms; /* what follows is of then; 0: never */
	_Atomic uint32_t rtt_us;
	_Atomic uint32_t timeline;    /* 0: not known */
	_Atomic uint64_t lsn;	      /* written (primary) or replayed */
	_Atomic uint64_t lag_bytes;
	_Atomic uint32_t lag_ms;      /* SEGMENT_LAG_UNKNOWN */
	/* Whoever resolves names: one process at a time. */
	_Atomic uint32_t address;     /* which of the two is valid */
	char hostaddr[2][SEGMENT_HOSTADDR_MAX + 1];
	/* Written before the fork. */
	uint32_t max_connections;
	uint32_t named; /* has a host name: never dialed without an address */
	char name[MEWS_NAME_MAX + 1];
};

/* Written by the worker that holds it; cleared by whoever reaps that. */
struct segment_slot {
	alignas(SEGMENT_LINE) _Atomic int32_t pid; /* 0: free; CAS to take */
	_Atomic uint32_t state; /* enum mews_worker_state */
	_Atomic uint32_t joined_ms;
	_Atomic uint32_t beat_ms;
	_Atomic uint64_t requests;
	_Atomic uint64_t queries;
	_Atomic uint64_t errors;
	_Atomic uint32_t waiting;
	_Atomic uint32_t in_flight;
	_Atomic uint32_t connections[MEWS_ENDPOINTS_MAX]; /* see budget.h */
	_Atomic uint32_t dialing[MEWS_ENDPOINTS_MAX]; /* of these */
	struct segment_backend backends[SEGMENT_BACKENDS];
};

/* Statements that a dead worker may have left running. */
struct segment_orphans {
	/* pid set by who reaps workers, cleared by the monitor. */
	alignas(SEGMENT_LINE) struct segment_backend backends[SEGMENT_ORPHANS];
};

static_assert(sizeof(struct segment_header) % SEGMENT_LINE == 0, "aligned");
static_assert(sizeof(struct segment_endpoint) % SEGMENT_LINE == 0, "aligned");
static_assert(sizeof(struct segment_slot) % SEGMENT_LINE == 0, "aligned");
static_assert(sizeof(struct segment_orphans) % SEGMENT_LINE == 0, "aligned");
static_assert(ATOMIC_INT_LOCK_FREE == 2, "no hidden lock");

struct segment {
	struct segment_header *header;
	struct segment_endpoint *endpoints;
	struct segment_slot *slots;
	struct segment_orphans *orphans;
	uint32_t endpoint_count; /* checked copies of the header's */
	uint32_t slot_count;
	size_t size; /* of the mapping */
};

/*
 * Make and map a new one: the file @path (it must not exist), or a memfd if
 * NULL. Times in it start now.
 */
enum mews_status segment_make(struct segment *segment, const char *path,
    const char *instance, uint32_t endpoint_count, uint32_t slot_count,
    struct mews_error *error);

/* Map an existing one, after checking that it is one; only to read it, or to
 * write an operator's word as well. */
enum mews_status segment_open(struct segment *segment, const char *path,
    bool writable, struct mews_error *error);

/* Unmap. A segment of zeros is a no-op. */
void segment_close(struct segment *segment);

/* @now_us in the segment's own time. */
uint32_t segment_ms(const struct segment *segment, int64_t now_us);

/* Clear a slot whose worker ended, the pid last. */
void segment_clear_slot(struct segment *segment, struct segment_slot *slot);

/* The address of an endpoint's host name; "": none is known. */
void segment_get_address(const struct segment_endpoint *endpoint,
    char address[SEGMENT_HOSTADDR_MAX + 1]);
/* Publish it; one process at a time. */
void segment_set_address(struct segment_endpoint *endpoint,
    const char *address);

#endif
