/*
 * generation.c - one configuration, and the workers that serve it.
 */
#include "generation.h"

#include <stdlib.h>

struct generation *
generation_new(struct master *master, const struct config *config,
    struct config *owned, const struct log *log)
{
	struct generation *g = calloc(1, sizeof(*g));

	if (g == NULL)
		return NULL;
	g->master = master;
	g->config = config;
	g->owned = owned;
	g->log = *log;
	g->admin_config = *config;
	g->admin_config.listen = config->admin;
	g->admin_config.listen_count = config->admin_count;
	TAILQ_INIT(&g->workers.list);
	return g;
}

/* Has a worker of another generation that number? */
static bool
has_number(const void *arg, unsigned number)
{
	const struct generation *self = arg, *other;
	const struct process	*p;

	TAILQ_FOREACH(other, self->all, entry)
		if (other != self)
			TAILQ_FOREACH(p, &other->workers.list, entry)
				if (p->number == number)
					return true;
	return false;
}

bool
generation_make_workers(struct generation *generation,
    const struct generation_list *all, workers_child_fn *child,
    const char *segment_path, unsigned count, unsigned slots)
{
	generation->all = all;
	generation->workers = (struct workers) {
		.noun = "worker",
		.config = generation->config,
		.log = &generation->log,
		.fleet = generation->fleet,
		.segment_path = segment_path,
		.child = child,
		.child_arg = generation,
		.taken = has_number,
		.count = count,
		.slots = slots,
	};
	TAILQ_INIT(&generation->workers.list);
	return (generation->share = share_table_make(slots)) != NULL &&
	    workers_init(&generation->workers);
}

void
generation_free(struct generation **generation)
{
	struct generation *g = *generation;

	*generation = NULL;
	if (g == NULL)
		return;
	listeners_close(&g->listeners);
	listeners_close(&g->admin);
	workers_free(&g->workers);
	mews_fleet_destroy(&g->fleet);
	share_table_free(&g->share);
	config_free(&g->owned);
	free(g);
}
