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
	const char *sql; /* "$1" is a number, never used twice */
	bool stop;
	int under_way;
	int count[16];	/* answers, by status */
	int on[3];	/* those that are well, by endpoint: a, b, c */
	int ids;	/* handed out */
	signed char ends[LOAD_IDS]; /* status by number; -1: none yet */
	char message[600];	    /* of the last that was not well */
};

/* A load that has not begun; free(3) it. */
struct load *load_new(void);
/* Begin. */
void load_start(struct load *load, const char *group, const char *sql);
/* Wait until all are answered. */
void load_stop(struct load *load);

/* Answers that were not well; and all. */
int load_failed(const struct load *load);
int load_answers(const struct load *load);

#endif
