/*
 * sample.h - a fleet at two moments, and what happened between them.
 */
#ifndef MASTER_SAMPLE_H
#define MASTER_SAMPLE_H

#include <mews/figures.h>
#include <mews/view.h>

struct sample {
	int64_t us; /* CLOCK_MONOTONIC */
	struct mews_figures *figures;
	struct mews_view_worker *workers; /* by slot; pid 0: none */
	uint32_t slots;
};

/** Look at a fleet. False: out of memory; then *sample is empty. */
bool sample_take(struct sample *sample, const struct mews_view *view);
/** Free what it holds. An empty one is a no-op. */
void sample_free(struct sample *sample);

/** How much grew in a second, from @before to @now. */
double sample_rate(const struct sample *old, const struct sample *new,
    uint64_t before, uint64_t now);

/** All that the group @name has, counted as well; false: no such group. */
bool sample_group(const struct sample *sample, const char *name,
    struct mews_figures_group *out);
/** Answers of the endpoint @name, in all groups. */
void sample_endpoint(const struct sample *sample, const char *name,
    struct mews_times *out);
/** Answers of the group @name, by all endpoints. */
void sample_group_times(const struct sample *sample, const char *name,
    struct mews_times *out);
/** Take away from @times what was there @before. */
void sample_since(struct mews_times *times, const struct mews_times *before);
/** Queries of a group that ended, and those of them that failed. */
uint64_t sample_ended(const struct mews_figures_group *group,
    uint64_t *failed);

#endif
