/*
 * figures.c - entries of a slot's figures, by name.
 */
#include "fleet/figures.h"

#include <stdbool.h>
#include <string.h>

static bool
is_named(const char own[FIGURES_NAME], const char *name)
{
	return strncmp(own, name, FIGURES_NAME) == 0;
}

static void
set_name(char own[FIGURES_NAME], const char *name)
{
	size_t	length = strnlen(name, FIGURES_NAME - 1);

	memcpy(own, name, length);
	memset(own + length, 0, FIGURES_NAME - length);
}

/* The index of a new entry: after the others, or the shared last one. */
static uint32_t
place_of_next(const _Atomic uint32_t *count, uint32_t room)
{
	return figures_valid(count, room - 1);
}

/* Make the entry @at valid, once it has its name. */
static void
count_entry(_Atomic uint32_t *count, uint32_t at)
{
	atomic_store(count, at + 1);
}

void
figures_begin(struct figures *figures, struct figures_room room)
{
	struct figures_group *groups = (struct figures_group *)(figures + 1);
	struct figures_pair  *pairs =
	    (struct figures_pair *)(groups + room.groups);
	uint32_t count = figures_valid(&figures->group_count, room.groups);

	for (uint32_t i = 0; i < count; i++) {
		figures_store(&groups[i].waiting, 0);
		figures_store(&groups[i].endpoints, FIGURES_GONE);
	}
	count = figures_valid(&figures->pair_count, room.pairs);
	for (uint32_t i = 0; i < count; i++) {
		figures_store(&pairs[i].idle, 0);
		figures_store(&pairs[i].used, 0);
		figures_store(&pairs[i].connecting, 0);
	}
	figures_store(&figures->lag_us, 0);
}

/* The holder has the group @of from the first time on that it tells how many
 * endpoints may serve it. */
static struct figures_group *
own_group(struct figures_group *of)
{
	figures_store(&of->endpoints, FIGURES_GONE);
	return of;
}

struct figures_group *
figures_find_group(struct figures *figures, struct figures_room room,
    const char *name)
{
	struct figures_group *all = (struct figures_group *)(figures + 1);
	uint32_t at, count = figures_valid(&figures->group_count, room.groups);

	for (at = 0; at < count; at++)
		if (is_named(all[at].name, name))
			return own_group(&all[at]);
	at = place_of_next(&figures->group_count, room.groups);
	set_name(all[at].name, at == room.groups - 1 ? FIGURES_OTHER : name);
	count_entry(&figures->group_count, at);
	return own_group(&all[at]);
}

struct figures_pair *
figures_find_pair(struct figures *figures, struct figures_room room,
    const char *group, const char *endpoint)
{
	struct figures_group *groups = (struct figures_group *)(figures + 1);
	struct figures_pair  *all =
	    (struct figures_pair *)(groups + room.groups);
	uint32_t at, count = figures_valid(&figures->pair_count, room.pairs);

	for (at = 0; at < count; at++)
		if (is_named(all[at].group, group) &&
		    is_named(all[at].endpoint, endpoint))
			return &all[at];
	at = place_of_next(&figures->pair_count, room.pairs);
	if (at == room.pairs - 1)
		group = endpoint = FIGURES_OTHER;
	set_name(all[at].group, group);
	set_name(all[at].endpoint, endpoint);
	count_entry(&figures->pair_count, at);
	return &all[at];
}

struct figures_statement *
figures_find_statement(struct figures *figures, const char *name)
{
	struct figures_statement *all = figures->statements;
	uint32_t at, count = figures_valid(&figures->statement_count,
	    FIGURES_STATEMENTS);

	for (at = 0; at < count; at++)
		if (is_named(all[at].name, name))
			return &all[at];
	at = place_of_next(&figures->statement_count, FIGURES_STATEMENTS);
	set_name(all[at].name, at == FIGURES_STATEMENTS - 1 ? FIGURES_OTHER :
	    name);
	count_entry(&figures->statement_count, at);
	return &all[at];
}
