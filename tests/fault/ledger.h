/*
 * ledger.h - what parent and children of the harness write down, in memory that
 * all of them share.
 *
 * Writers: a request is written by its worker alone; a process' view by that
 * process, until it died and the parent cleared it; all else is one atomic word
 * each.
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
#define LEDGER_MONITOR	 LEDGER_WORKERS /* the monitor's place */
#define LEDGER_PROCESSES (LEDGER_WORKERS + 1)

#define LEDGER_NOWHERE 0xff /* no endpoint yet */

struct request {
	int64_t due_us;	       /* due by the schedule */
	int64_t picked_us;     /* when a connection first got it; 0: never */
	_Atomic int64_t end_us;	/* 0: it has not ended */
	uint32_t life;	       /* which of the processes in the worker's
				  place */
	uint8_t worker;
	bool write;
	uint8_t status;	 /* enum mews_status, once it ended */
	uint8_t picked;	 /* the endpoint whose connection first got it */
	uint8_t answered; /* the endpoint of the result */
};

/* The view of one process, from inside. */
struct sight {
	_Atomic int open[LEDGER_ENDPOINTS];    /* connections that it counts */
	_Atomic int dialing[LEDGER_ENDPOINTS]; /* how many of them are logging
						  in */
	_Atomic uint64_t known[LEDGER_ENDPOINTS]; /* the health that it acts
						     on */
};

/* One endpoint since ledger_arm(); a time is 0 until its event. */
struct story {
	_Atomic int64_t left_up_us; /* the first report against this endpoint */
	_Atomic int64_t down_us;
	_Atomic int64_t up_us;
	_Atomic int64_t first_pick_us;
	_Atomic int64_t last_pick_us;
	_Atomic int64_t last_write_us;
	_Atomic int64_t last_dial_us;
	_Atomic unsigned probes;
};

struct ledger {
	atomic_bool stop; /* send no new requests; end when all have ended */
	atomic_uint count; /* requests so far, also those without a place */
	struct sight sights[LEDGER_PROCESSES];
	struct story stories[LEDGER_ENDPOINTS];
	_Atomic int probing[LEDGER_ENDPOINTS]; /* the prober's process + 1; 0:
						  none probes */
	atomic_uint probes_at_once; /* probes that began while another one
				       ran */
	atomic_uint over_cap, over_burst;
	struct request requests[LEDGER_REQUESTS];
};

/** Map an empty ledger; ends the program if there is no memory. */
struct ledger *ledger_map(void);
void ledger_unmap(struct ledger **ledger);

/** Forget what happened to the endpoints so far. */
void ledger_arm(struct ledger *ledger);

/** How many requests had a place. */
uint32_t ledger_count(const struct ledger *ledger);

/** A place for one more request, or NULL. */
struct request *ledger_add(struct ledger *ledger);

/** Microseconds of CLOCK_MONOTONIC. */
int64_t ledger_now(void);

#endif
