/*
 * ledger.h - what parent and children of the harness write down, in memory
 * that all of them share.
 *
 * Writers: a request is its worker's alone; a process' own sight is its own,
 * until it died and the parent cleared it; everything else is one atomic.
 */
#ifndef TESTS_FAULT_LEDGER_H
#define TESTS_FAULT_LEDGER_H

#include <mews.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define LEDGER_REQUESTS	 (1u << 17)
#define LEDGER_ENDPOINTS 3
#define LEDGER_WORKERS	 8
#define LEDGER_MONITOR	 LEDGER_WORKERS /* its place among the processes */
#define LEDGER_PROCESSES (LEDGER_WORKERS + 1)

#define LEDGER_NOWHERE 0xff /* as an endpoint */

struct request {
	int64_t due_us;	       /* by the schedule */
	int64_t picked_us;     /* first handed to a connection; 0: never */
	_Atomic int64_t end_us;	/* 0: not ended */
	uint32_t life;	       /* which process in the worker's place */
	uint8_t worker;
	bool write;
	uint8_t status;	 /* enum mews_status, once ended */
	uint8_t picked;	 /* the endpoint then */
	uint8_t answered; /* the endpoint of the result */
};

/* One process, as seen from inside it. */
struct sight {
	_Atomic int open[LEDGER_ENDPOINTS];    /* connections it counts */
	_Atomic int dialing[LEDGER_ENDPOINTS]; /* of these, logging in */
	_Atomic uint64_t known[LEDGER_ENDPOINTS]; /* health it acts on */
};

/* One endpoint, since ledger_arm(); times are 0 until it happens. */
struct story {
	_Atomic int64_t left_up_us; /* the first report against it */
	_Atomic int64_t down_us;
	_Atomic int64_t up_us;
	_Atomic int64_t first_pick_us;
	_Atomic int64_t last_pick_us;
	_Atomic int64_t last_write_us;
	_Atomic int64_t last_dial_us;
	_Atomic unsigned probes;
};

struct ledger {
	atomic_bool stop; /* no new requests; end when all have ended */
	atomic_uint count; /* of requests, also those that did not fit */
	struct sight sights[LEDGER_PROCESSES];
	struct story stories[LEDGER_ENDPOINTS];
	_Atomic int probing[LEDGER_ENDPOINTS]; /* process + 1; 0: nobody */
	atomic_uint probes_at_once; /* began while another ran */
	atomic_uint over_cap, over_burst;
	struct request requests[LEDGER_REQUESTS];
};

/** Map an empty one; ends the program if there is no memory. */
struct ledger *ledger_map(void);
void ledger_unmap(struct ledger **ledger);

/** Forget the stories so far. */
void ledger_arm(struct ledger *ledger);

/** The requests that fitted. */
uint32_t ledger_count(const struct ledger *ledger);

/** A place for one more, or NULL. */
struct request *ledger_add(struct ledger *ledger);

/** Microseconds of CLOCK_MONOTONIC. */
int64_t ledger_now(void);

#endif
