/*
 * load.h - queries that never end: each answer is followed by the next query.
 */
#ifndef TESTS_CLUSTER_LOAD_H
#define TESTS_CLUSTER_LOAD_H

#include "cluster.h"

#define LOAD_WIDTH 16 /* queries under way */
#define LOAD_IDS   100000

struct load {
	struct mews_group *group;
	const char *sql; /* "$1" is replaced by a number that is never used
			    twice */
	bool stop;
	int under_way;
	int count[16];	/* how many answers, by status */
	int on[3];	/* good answers by endpoint: a, b, c */
	int ids;	/* numbers that were used */
	signed char ends[LOAD_IDS]; /* status by number; -1: no answer yet */
	char message[600];	    /* of the last answer that was not good */
};

/* A load that has not begun; free(3) it. */
struct load *load_new(void);
/* Begin to send. */
void load_start(struct load *load, const char *group, const char *sql);
/* Stop sending, and wait until all queries are answered. */
void load_stop(struct load *load);

/* How many answers were not good; how many there are. */
int load_failed(const struct load *load);
int load_answers(const struct load *load);

#endif
