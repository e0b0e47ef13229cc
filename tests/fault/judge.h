/*
 * judge.h - promises against figures, one line for each.
 */
#ifndef TESTS_FAULT_JUDGE_H
#define TESTS_FAULT_JUDGE_H

#include "ledger.h"

/* The weight of a figure for the test. */
enum weight {
	JUDGE_LOGIC, /* the promise holds on any machine */
	JUDGE_TIME,  /* unless strict, three times as much is allowed, and of
			milliseconds what the machine made wait besides */
	JUDGE_GOAL,  /* counts if strict only */
	JUDGE_INFO   /* there is no promise */
};

struct judge {
	const char *fault;
	bool strict;
	double late_ms;	  /* the longest that the machine let a process wait */
	unsigned broken;  /* promises */
	const char *skipped; /* why; NULL: it was not */
};

/** @value is to be @most at the most; a negative one was not measured. */
void judge_figure(struct judge *judge, enum weight weight, const char *figure,
    double value, double most);

/** As judge_figure(), with @value at least @least. */
void judge_least(struct judge *judge, enum weight weight, const char *figure,
    double value, double least);

/* Which requests are counted. */
struct scope {
	const struct ledger *ledger;
	const uint32_t *lives; /* of each worker the last, not killed, one;
				  NULL: all */
	int64_t from_us, to_us; /* due in between; 0: no limit */
};

/** How many requests of that kind did not end with MEWS_OK, or at all: those
 * that took less than @least_us, or (@late) those that took longer. */
unsigned judge_failed(const struct scope *scope, bool write, int64_t least_us,
    bool late);

/** How many reads took longer, and how long the longest took. */
unsigned judge_slower(const struct scope *scope, int64_t us);
double judge_longest_ms(const struct scope *scope);
double judge_percentile_ms(const struct scope *scope, double part);

/** Reads that were handed to that endpoint first, before @before_us, and not
 * answered by then. */
unsigned judge_in_flight(const struct scope *scope, unsigned endpoint,
    int64_t before_us);

/** The time of the first write answered with MEWS_OK by that endpoint;
 * 0: none was. */
int64_t judge_first_write_us(const struct scope *scope, unsigned endpoint);

/**
 * Do the statuses tell the truth? @there has a byte for each request: its row
 * is in the table. Acknowledged and not there: @lost. Certainly not run, and
 * there: @untrue. Ended otherwise than OK or LOST: @refused.
 */
struct truth {
	unsigned acknowledged, lost, untrue, refused, unknown, unended;
};
struct truth judge_writes(const struct scope *scope, const char *there);

#endif
