/*
 * bench.h - what the two sides of bench_pool share.
 *
 * A side is the pool (bench_mews.c) or bare libpq (bench_raw.c). Both do the
 * same work in a closed loop: as soon as a query has ended the next one is
 * sent, inflight of them at a time. main() in bench_pool.c turns the loop and
 * counts; a side keeps sent and ended, and asks bench_more() before it sends.
 */
#ifndef TESTS_BENCH_BENCH_H
#define TESTS_BENCH_BENCH_H

#include <libpq-fe.h>
#include <stdbool.h>
#include <stdint.h>

#define BENCH_SQL "select id, randomnumber from world where id = $1"
#define BENCH_ROWS 10000 /* rows of the table world, whose ids begin at 1 */

enum bench_mode {
	BENCH_SINGLE, /* one query in flight on each connection */
	BENCH_SYNC,   /* pipelined, each query has a Sync of its own */
	BENCH_BATCH,  /* pipelined, the queries of a turn share a Sync */
	BENCH_LEASE,  /* take a connection, one query, give it back */
	BENCH_EMPTY,  /* take a connection and give it back, nothing more */
	BENCH_TICK,   /* a turn of the loop in which nothing happens */
	BENCH_MODES
};

struct bench {
	const char *conninfo;
	enum bench_mode mode;
	unsigned connections; /* connections to all endpoints together */
	unsigned inflight;
	unsigned endpoints; /* how many names the same server has */
	bool count_sends;   /* count instructions only in the calls that send,
			       or take and give */
	bool traced; /* each query has a traceparent, and slow queries would be
			logged with all details */
	bool measuring;	    /* the run is warm, and is counted from now on */
	bool stop;	    /* send no more */
	uint64_t limit;	    /* how many may be sent */
	uint64_t sent, ended;
	unsigned warnings; /* asserts of the library are on, so figures may be
			      worthless */
	uint32_t dice;
	unsigned sum; /* a sum of what was read, so that no compiler leaves
			 reading out */
};

struct bench_side {
	void *(*open)(struct bench *bench);
	/* Send what there is to send, wait, and read what arrived. */
	void (*turn)(void *side);
	void (*close)(void *side);
};

extern const struct bench_side bench_mews, bench_raw;

static inline bool
bench_more(const struct bench *bench)
{
	return !bench->stop && bench->sent < bench->limit;
}

/* The key of the next row to ask for. */
static inline int
bench_id(struct bench *bench)
{
	uint32_t x = bench->dice;

	/* xorshift32, G. Marsaglia, "Xorshift RNGs", 2003 */
	x ^= x << 13;
	x ^= x >> 17;
	x ^= x << 5;
	bench->dice = x;
	return 1 + (int)((uint64_t)x * BENCH_ROWS >> 32);
}

/* Read the row that arrived; ends the program unless it is one row. */
void bench_row(struct bench *bench, const PGresult *result);

/*
 * Count allocations: calls of malloc(), calloc() and realloc(), by whether
 * libpq made them. False: this build cannot (sanitizers have their own
 * allocator).
 */
struct bench_allocations {
	uint64_t libpq;
	uint64_t others; /* libmews', and those that libc makes for either of
			    them */
};

bool bench_allocations_start(void);
struct bench_allocations bench_allocations_stop(void);

/*
 * Count instructions: the program starts itself again under callgrind. Returns
 * how many that copy executed between start and stop; what the copy prints is
 * shown as it is. @profile, if it is not NULL, is kept for
 * callgrind_annotate(1). Ends the program if it cannot.
 */
uint64_t bench_instructions_run(char **argv, const char *profile);
bool bench_instructions_inside(void); /* Is this process that copy? */
void bench_instructions_start(void);
void bench_instructions_stop(void);

#endif
