/*
 * tally.c - the sums of all slots' figures, as mews/figures.h shows them.
 *
 * A slot's entries are found by name. In most slots they stand in the same
 * order, so the place of the last one found is a good guess.
 */
#include <mews/figures.h>

#include "fleet/fleet.h"
#include "fleet/look.h"
#include "fleet/slots.h"
#include "base/status.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static_assert(MEWS_TIMES_BUCKETS == FIGURES_BUCKETS, "copied one by one");
static_assert(MEWS_ENDS == FIGURES_ENDS, "copied one by one");

struct mews_figures {
	struct mews_figures_fleet fleet;
	uint32_t group_count, pair_count, statement_count;
	struct mews_figures_group groups[FIGURES_GROUPS_MOST];
	struct mews_figures_statement statements[FIGURES_STATEMENTS];
	struct mews_figures_pair pairs[FIGURES_PAIRS_MOST];
};

static void
tally_times(struct mews_times *to, const struct figures_times *from)
{
	for (uint32_t i = 0; i < FIGURES_BUCKETS; i++) {
		uint64_t count = figures_load(&from->bucket[i]);

		to->bucket[i] += count;
		to->count += count;
	}
	to->sum_us += figures_load(&from->sum_us);
}

static struct mews_figures_group *
tally_find_group(struct mews_figures *f, const char *named, uint32_t guess)
{
	char	 name[FIGURES_NAME];
	uint32_t i;

	figures_copy_name(name, named);
	if (guess < f->group_count && strcmp(f->groups[guess].name, name) == 0)
		return &f->groups[guess];
	for (i = 0; i < f->group_count; i++)
		if (strcmp(f->groups[i].name, name) == 0)
			return &f->groups[i];
	/* Damaged slots may have any number of names. */
	if (i == FIGURES_GROUPS_MOST)
		return &f->groups[i - 1];
	f->group_count++;
	memcpy(f->groups[i].name, name, sizeof(name));
	return &f->groups[i];
}

static struct mews_figures_pair *
find_pair(struct mews_figures *f, const struct figures_pair *named,
    uint32_t guess)
{
	char	 group[FIGURES_NAME], endpoint[FIGURES_NAME];
	uint32_t i, at;

	figures_copy_name(group, named->group);
	figures_copy_name(endpoint, named->endpoint);
	for (i = 0; i <= f->pair_count; i++) {
		at = i == 0 ? guess : i - 1;
		if (at < f->pair_count &&
		    strcmp(f->pairs[at].group, group) == 0 &&
		    strcmp(f->pairs[at].endpoint, endpoint) == 0)
			return &f->pairs[at];
	}
	at = f->pair_count;
	if (at == FIGURES_PAIRS_MOST)
		return &f->pairs[at - 1];
	f->pair_count++;
	memcpy(f->pairs[at].group, group, sizeof(group));
	memcpy(f->pairs[at].endpoint, endpoint, sizeof(endpoint));
	return &f->pairs[at];
}

static struct mews_figures_statement *
find_statement(struct mews_figures *f, const char *named, uint32_t guess)
{
	char	 name[FIGURES_NAME];
	uint32_t i;

	figures_copy_name(name, named);
	if (guess < f->statement_count &&
	    strcmp(f->statements[guess].name, name) == 0)
		return &f->statements[guess];
	for (i = 0; i < f->statement_count; i++)
		if (strcmp(f->statements[i].name, name) == 0)
			return &f->statements[i];
	if (i == FIGURES_STATEMENTS)
		return &f->statements[i - 1];
	f->statement_count++;
	memcpy(f->statements[i].name, name, sizeof(name));
	return &f->statements[i];
}

static void
add_group(struct mews_figures_group *to, const struct figures_group *from,
    bool held)
{
	uint64_t endpoints = figures_load(&from->endpoints);

	if (held)
		to->waiting += figures_load(&from->waiting);
	if (held && endpoints != FIGURES_GONE) {
		to->processes++;
		if (endpoints > to->endpoints)
			to->endpoints = endpoints;
	}
	to->resent += figures_load(&from->resent);
	to->opened += figures_load(&from->opened);
	to->hedged += figures_load(&from->hedged);
	to->batches += figures_load(&from->batches);
	to->slow += figures_load(&from->slow);
	for (uint32_t i = 0; i < FIGURES_ENDS; i++)
		to->ends[i] += figures_load(&from->ends[i]);
	tally_times(&to->wait, &from->wait);
}

static void
add_pair(struct mews_figures_pair *to, const struct figures_pair *from,
    bool held)
{
	if (held) {
		to->idle += figures_load(&from->idle);
		to->used += figures_load(&from->used);
		to->connecting += figures_load(&from->connecting);
	}
	tally_times(&to->times, &from->times);
}

static void
add_slot(struct mews_figures *f, const struct segment *segment, uint32_t slot)
{
	const struct figures	  *own = segment_figures(segment, slot);
	const struct figures_group *groups = figures_groups(own);
	const struct figures_pair *pairs = figures_pairs(own, segment->room);
	bool	 held = atomic_load(&segment->slots[slot].pid) > 0;
	uint32_t count;

	tally_times(&f->fleet.requests, &own->requests);
	count = figures_valid(&own->group_count, segment->room.groups);
	for (uint32_t i = 0; i < count; i++)
		add_group(tally_find_group(f, groups[i].name, i), &groups[i],
		    held);
	count = figures_valid(&own->pair_count, segment->room.pairs);
	for (uint32_t i = 0; i < count; i++)
		add_pair(find_pair(f, &pairs[i], i), &pairs[i], held);
	count = figures_valid(&own->statement_count, FIGURES_STATEMENTS);
	for (uint32_t i = 0; i < count; i++) {
		const struct figures_statement *from = &own->statements[i];
		struct mews_figures_statement  *to =
		    find_statement(f, from->name, i);

		to->answers += figures_load(&from->answers);
		to->errors += figures_load(&from->errors);
		to->sum_us += figures_load(&from->sum_us);
		to->rows += figures_load(&from->rows);
	}
}

enum mews_status
mews_figures_read(struct mews_figures **out, const struct mews_view *view,
    struct mews_error *error)
{
	const struct segment *segment = &view->segment;
	struct mews_figures  *f;

	STATUS_NEED_OUT(out);
	if ((*out = f = calloc(1, sizeof(*f))) == NULL)
		return status_set(error, MEWS_NOMEM, "out of memory");
	for (uint32_t i = 0; i < segment->slot_count; i++)
		add_slot(f, segment, i);
	for (uint32_t i = 0; i < MEWS_PROCESS_ENDS; i++)
		f->fleet.ends[i] = atomic_load(&segment->events->ends[i]);
	f->fleet.dropped = atomic_load(&segment->events->dropped);
	return MEWS_OK;
}

void
mews_figures_free(struct mews_figures **figures)
{
	free(*figures);
	*figures = NULL;
}

void
mews_figures_fleet(const struct mews_figures *figures,
    struct mews_figures_fleet *out, size_t size)
{
	status_fill(out, size, &figures->fleet, sizeof(figures->fleet));
}

bool
mews_figures_group(const struct mews_figures *figures, uint32_t index,
    struct mews_figures_group *out, size_t size)
{
	if (index >= figures->group_count)
		return false;
	status_fill(out, size, &figures->groups[index],
	    sizeof(figures->groups[index]));
	return true;
}

bool
mews_figures_pair(const struct mews_figures *figures, uint32_t index,
    struct mews_figures_pair *out, size_t size)
{
	if (index >= figures->pair_count)
		return false;
	status_fill(out, size, &figures->pairs[index],
	    sizeof(figures->pairs[index]));
	return true;
}

bool
mews_figures_statement(const struct mews_figures *figures, uint32_t index,
    struct mews_figures_statement *out, size_t size)
{
	if (index >= figures->statement_count)
		return false;
	status_fill(out, size, &figures->statements[index],
	    sizeof(figures->statements[index]));
	return true;
}

double
mews_times_quantile(const struct mews_times *times, double part)
{
	double	wanted = part * (double)times->count, before = 0, low = 0;

	for (uint32_t i = 0; i < MEWS_TIMES_BUCKETS; i++) {
		double	high = (double)(UINT64_C(32) << i);
		double	count = (double)times->bucket[i];

		if (count > 0 && before + count >= wanted)
			return low + (high - low) * (wanted - before) / count;
		before += count;
		low = high;
	}
	return 0;
}

bool
mews_view_event(const struct mews_view *view, uint64_t after,
    struct mews_event *out, size_t size)
{
	const struct events *events = view->segment.events;
	uint64_t	     last = atomic_load(&events->last);
	struct mews_event    own;

	if (last > EVENT_RING && after < last - EVENT_RING)
		after = last - EVENT_RING;
	while (after < last)
		if (event_get(events, ++after, &own)) {
			status_fill(out, size, &own, sizeof(own));
			return true;
		}
	return false;
}

void
mews_fleet_count_time(struct mews_fleet *fleet, int64_t us)
{
	if (fleet_slot(fleet) != NULL && us >= 0)
		figures_time(&fleet_figures(fleet)->requests, us);
}

void
mews_fleet_count_end(struct mews_fleet *fleet, enum mews_process_end end)
{
	if ((unsigned)end < MEWS_PROCESS_ENDS)
		atomic_fetch_add(&fleet->segment.events->ends[end], 1);
}

void
mews_fleet_count_dropped(struct mews_fleet *fleet, uint64_t lines)
{
	atomic_fetch_add(&fleet->segment.events->dropped, lines);
}

void
mews_fleet_note(struct mews_fleet *fleet, enum mews_log_level level,
    const char *name, const char *text)
{
	event_add(fleet->segment.events, (uint32_t)level, name, text);
}
