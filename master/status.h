/*
 * status.h - mews status: show a fleet from outside.
 */
#ifndef MASTER_STATUS_H
#define MASTER_STATUS_H

#include <mews/status.h>
#include <mews/view.h>
#include <stdio.h>
#include <string.h>

/* A worker or monitor without a sign of life for longer hangs, or is kept from
 * its loop. */
#define STATUS_SILENT_MS 5000

/** Milliseconds that a standby is behind; -1: not known, or it is none: of
 * other servers no lag is measured. */
static inline int64_t
status_lag_ms(const struct mews_view_endpoint *e)
{
	return strcmp(e->role, "standby") == 0 ? e->lag_ms : -1;
}

struct status_args {
	const char *runtime_dir;
	const char *instance; /* NULL: the only one there */
	bool	    json;
};

/**
 * Print what the segment of a fleet says.
 *
 * Returns false, and one sentence in @error, if there is no such fleet
 * (nothing was printed) or its master is dead (everything was).
 */
bool status_print(const struct status_args *args, FILE *out,
    struct mews_error *error);

/** Print the JSON of mews status --json. */
void status_print_json(const struct mews_view *view, FILE *out);

#endif
