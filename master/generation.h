/*
 * generation.h - one configuration, and the workers that serve it.
 *
 * A fleet has one generation that serves. A reload makes the next one beside
 * it; earlier ones drain until their last worker has ended. All share the
 * segment, and listening sockets of the same address.
 */
#ifndef MASTER_GENERATION_H
#define MASTER_GENERATION_H

#include "listener.h"
#include "worker.h"
#include "workers.h"

TAILQ_HEAD(generation_list, generation);

struct generation {
	TAILQ_ENTRY(generation) entry;
	struct master	    *master; /* for the child's side of a fork */
	const struct config *config;
	struct config	    *owned; /* the same, or NULL: the caller's */
	struct log	     log;   /* of its processes */
	struct listeners     listeners;
	struct config	     admin_config; /* whose listen is its admin */
	struct listeners     admin;
	struct mews_fleet   *fleet;
	struct share_table  *share;
	struct workers	     workers;
	const struct generation_list *all;
};

/** A generation of @config, with nothing made yet. NULL: no memory. */
struct generation *generation_new(struct master *master,
    const struct config *config, struct config *owned,
    const struct log *log);

/**
 * Make the table of @count workers; the fleet of @generation is there.
 *
 * @all    generations whose workers' numbers are not used.
 * @slots  of the segment.
 * False: no memory.
 */
bool generation_make_workers(struct generation *generation,
    const struct generation_list *all, workers_child_fn *child,
    const char *segment_path, unsigned count, unsigned slots);

/** Close and free all of it, without killing a process; sets *generation to
 * NULL. NULL *generation is a no-op. */
void generation_free(struct generation **generation);

#endif
