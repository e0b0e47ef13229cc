/*
 * explain.h - mews explain: why is a server in its state, and what is next?
 */
#ifndef MASTER_EXPLAIN_H
#define MASTER_EXPLAIN_H

#include <mews/settings.h>
#include <mews/status.h>
#include <stdbool.h>
#include <stdio.h>

struct explain_args {
	const char *runtime_dir;
	const char *instance; /* NULL: the only one there */
	const char *endpoint; /* NULL: each one */
	const struct mews_health_config *health; /* NULL: not known */
};

/**
 * Explain what the segment of a fleet says.
 *
 * Returns false, and one sentence in @error, if there is no such fleet or
 * endpoint (nothing was printed) or its master is dead (everything was).
 */
bool explain_print(const struct explain_args *args, FILE *out,
    struct mews_error *error);

#endif
