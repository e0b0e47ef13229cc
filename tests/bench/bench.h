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
#define BENCH_ROWS 10000 /* of table world: ids from 1 */

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
	unsigned connections; /* of all endpoints together */
	unsigned inflight;
	unsigned endpoints; /* the same server under so many names */
	bool count_sends;   /* instructions: of the calls that send, or take
			       and give, only */
	bool traced; /* each query has a traceparent, and slow ones would be
			logged with all there is */
	bool measuring;	    /* warm, and what happens now is counted */
	bool stop;	    /* send no more */
	uint64_t limit;	    /* nor more than so many */
	uint64_t sent, ended;
	unsigned warnings; /* of the library: the figures may be worthless */
	uint32_t dice;
	unsigned sum; /* of what came, so that nobody can leave it out */
};

struct bench_side {
	void *(*open)(struct bench *bench);
	/* Send what there is to send, wait, take in what came. */
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

/* Look at the row that came; ends the program if it is not one row. */
void bench_row(struct bench *bench, const PGresult *result);

/*
 * Counting allocations: calls of malloc(), calloc() and realloc(), by whether
 * libpq made them. False: this build cannot (sanitizers have their own).
 */
struct bench_allocations {
	uint64_t libpq;
	uint64_t others; /* ours, and those that libc makes on behalf of both */
};

bool bench_allocations_start(void);
struct bench_allocations bench_allocations_stop(void);

/*
 * Counting instructions: the program starts itself again under callgrind.
 * Returns how many were executed between start and stop in that copy, which
 * prints what it has to say on its own; @profile is kept for
 * callgrind_annotate(1) if it is not NULL. Ends the program if it cannot.
 */
uint64_t bench_instructions_run(char **argv, const char *profile);
bool bench_instructions_inside(void); /* is this that copy? */
void bench_instructions_start(void);
void bench_instructions_stop(void);

#endif
