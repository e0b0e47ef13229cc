/*
 * account.h - what queries know of their group: its settings and counters.
 */
#ifndef LIB_QUERY_ACCOUNT_H
#define LIB_QUERY_ACCOUNT_H

#include "query/slow.h"
#include "query/store.h"

#include <mews/settings.h>

struct refusal;

struct account {
	struct mews_group *group; /* opaque here, for the rooms above */
	struct query_store *store;
	const struct mews_group_config *config;
	struct figures_group *figures;
	struct refusal *why; /* of the last call that was refused */
	uint64_t ended, errors; /* queries, ever */
	uint64_t batches; /* Syncs behind queries, ever */
	int64_t slow_us; /* a query that took longer is logged */
	struct slow_rate slow_rate;
};

#endif
