/*
 * live.h - what the page at the admin address is told, once a second.
 */
#ifndef MASTER_LIVE_H
#define MASTER_LIVE_H

#include "history.h"
#include "sample.h"

#include <mews/settings.h>

#define LIVE_LOOKS 11 /* rates and quantiles are those of ten seconds */

struct live {
	const struct mews_view *view;
	const struct mews_config *config; /* as in struct pages */
	struct history *history; /* NULL: there is none */
	struct sample looks[LIVE_LOOKS]; /* the oldest first */
	unsigned count; /* of looks */
	uint64_t told;	/* ticket of the last event before this look */
	uint64_t event; /* of the last one there is */
};

/** Look at the fleet, and remember it. To be called once a second. False: out
 * of memory, and nothing has changed. */
bool live_look(struct live *live);

/**
 * Print an event of server-sent events, as it was at the last look.
 *
 * @whole  with all that is remembered: the first for who opens the page.
 *
 * Its data is one JSON object: "status" is what mews status --json prints,
 * "endpoints", "groups" and "workers" have rates and quantiles, "history" is
 * that of history_print(), "lines_lost" tells how many lines of the log are
 * lost in a second, "events" has the new ones, in plain words.
 */
void live_print(const struct live *live, bool whole, FILE *out);

#endif
