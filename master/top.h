/*
 * top.h - mews top: a fleet, live, in a terminal.
 */
#ifndef MASTER_TOP_H
#define MASTER_TOP_H

#include <mews/status.h>
#include <stdbool.h>

struct top_args {
	const char *runtime_dir;
	const char *instance; /* NULL: the only one there */
};

/**
 * Show it until q is pressed, or the fleet ends.
 *
 * Returns false, and one sentence in @error, if there is no such fleet, no
 * terminal, or if the fleet's master died.
 */
bool top_run(const struct top_args *args, struct mews_error *error);

#endif
