/*
 * events.h - mews events: the last things that happened to a fleet.
 */
#ifndef MASTER_EVENTS_H
#define MASTER_EVENTS_H

#include <mews/status.h>
#include <stdbool.h>
#include <stdio.h>

struct events_args {
	const char *runtime_dir;
	const char *instance; /* NULL: the only one there */
	bool	    follow;   /* and those to come, until the fleet ends */
};

/**
 * Print them, a line each, oldest first.
 *
 * Returns false, and one sentence in @error, if there is no such fleet, or if
 * @out takes no more.
 */
bool events_print(const struct events_args *args, FILE *out,
    struct mews_error *error);

#endif
