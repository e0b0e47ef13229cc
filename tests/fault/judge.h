/*
 * judge.h - promises against figures, one line for each.
 */
#ifndef TESTS_FAULT_JUDGE_H
#define TESTS_FAULT_JUDGE_H

#include "ledger.h"

/* How much a figure counts for the test. */
enum weight {
	JUDGE_LOGIC, /* the promise holds on any machine */
	JUDGE_TIME,  /* unless strict, three times as much is allowed, and of
			milliseconds also the machine's delay */
	JUDGE_GOAL,  /* counts only if strict */
	JUDGE_INFO   /* nothing is promised */
};

struct judge {
	const char *fault;
	bool strict;
	double late_ms;	  /* the longest that the machine delayed a process */
	unsigned broken;  /* how many promises were checked */
	const char *skipped; /* why the test was skipped; NULL: it was not */
};

/** @value must be at most @most; a negative one was not measured. */
void judge_figure(struct judge *judge, enum weight weight, const char *figure,
    double value, double most);

/** As judge_figure(), with @value at least @least. */
void judge_least(struct judge *judge, enum weight weight, const char *figure,
    double value, double least);

/* Which requests are counted. */
struct scope {
	const struct ledger *ledger;
	const uint32_t *lives; /* only of workers that were not killed; NULL: of
				  all */
	int64_t from_us, to_us; /* due in this time; 0: no limit */
};

/** How many requests of that kind did not end with MEWS_OK, or did not end: of
 * them those that took less than @least_us, or with @late those that took
 * longer. */
unsigned judge_failed(const struct scope *scope, bool write, int64_t least_us,
    bool late);

/** How many reads took longer than that, and how long the longest one took. */
unsigned judge_slower(const struct scope *scope, int64_t us);
double judge_longest_ms(const struct scope *scope);
double judge_percentile_ms(const struct scope *scope, double part);

/** Reads that were first given to that endpoint, before @before_us, and not
 * answered by then. */
unsigned judge_in_flight(const struct scope *scope, unsigned endpoint,
    int64_t before_us);

/** When that endpoint first answered a write with MEWS_OK; 0: never. */
int64_t judge_first_write_us(const struct scope *scope, unsigned endpoint);

/**
 * Do the statuses tell the truth? @there has a byte for each request: whether
 * its row is in the table. @lost: acknowledged, and its row is not there.
 * @untrue: certainly not run by its status, and its row is there. @refused:
 * ended otherwise than OK or LOST.
 */
struct truth {
	unsigned acknowledged, lost, untrue, refused, unknown, unended;
};
struct truth judge_writes(const struct scope *scope, const char *there);

#endif
