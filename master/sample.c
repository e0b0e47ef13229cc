/*
 * sample.c - a fleet at two moments, and what happened between them.
 */
#include "sample.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

bool
sample_take(struct sample *sample, const struct mews_view *view)
{
	struct mews_view_fleet	fleet;
	struct timespec		now;

	memset(sample, 0, sizeof(*sample));
	mews_view_fleet(view, &fleet, sizeof(fleet));
	sample->workers = calloc((size_t)fleet.slot_count + 1,
	    sizeof(*sample->workers));
	if (sample->workers == NULL ||
	    mews_figures_read(&sample->figures, view, NULL) != MEWS_OK) {
		sample_free(sample);
		return false;
	}
	clock_gettime(CLOCK_MONOTONIC, &now);
	sample->us = (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
	sample->slots = fleet.slot_count;
	for (uint32_t i = 0; i < fleet.slot_count; i++)
		mews_view_worker(view, i, &sample->workers[i],
		    sizeof(sample->workers[i]));
	return true;
}

void
sample_free(struct sample *sample)
{
	mews_figures_free(&sample->figures);
	free(sample->workers);
	memset(sample, 0, sizeof(*sample));
}

double
sample_rate(const struct sample *old, const struct sample *new,
    uint64_t before, uint64_t now)
{
	int64_t	us = new->us - old->us;

	/* A slot has another worker than before, perhaps. */
	return us <= 0 || now < before ? 0 :
	    (double)(now - before) * 1e6 / (double)us;
}

bool
sample_group(const struct sample *sample, const char *name,
    struct mews_figures_group *out)
{
	for (uint32_t i = 0; mews_figures_group(sample->figures, i, out,
	    sizeof(*out)); i++)
		if (strcmp(out->name, name) == 0)
			return true;
	memset(out, 0, sizeof(*out));
	return false;
}

static void
add_times(struct mews_times *to, const struct mews_times *from)
{
	to->count += from->count;
	to->sum_us += from->sum_us;
	for (uint32_t b = 0; b < MEWS_TIMES_BUCKETS; b++)
		to->bucket[b] += from->bucket[b];
}

void
sample_endpoint(const struct sample *sample, const char *name,
    struct mews_times *out)
{
	struct mews_figures_pair pair;

	memset(out, 0, sizeof(*out));
	for (uint32_t i = 0; mews_figures_pair(sample->figures, i, &pair,
	    sizeof(pair)); i++)
		if (strcmp(pair.endpoint, name) == 0)
			add_times(out, &pair.times);
}

void
sample_group_times(const struct sample *sample, const char *name,
    struct mews_times *out)
{
	struct mews_figures_pair pair;

	memset(out, 0, sizeof(*out));
	for (uint32_t i = 0; mews_figures_pair(sample->figures, i, &pair,
	    sizeof(pair)); i++)
		if (strcmp(pair.group, name) == 0)
			add_times(out, &pair.times);
}

void
sample_since(struct mews_times *times, const struct mews_times *before)
{
	times->count -= before->count;
	times->sum_us -= before->sum_us;
	for (uint32_t b = 0; b < MEWS_TIMES_BUCKETS; b++)
		times->bucket[b] -= before->bucket[b];
}

uint64_t
sample_ended(const struct mews_figures_group *group, uint64_t *failed)
{
	*failed = 0;
	for (uint32_t i = 0; i < MEWS_ENDS; i++)
		if (i != MEWS_OK)
			*failed += group->ends[i];
	return *failed + group->ends[MEWS_OK];
}
