/*
 * deadline.c - a binary heap; heap[i] is due no later than heap[2i + 1] and
 * heap[2i + 2]. A query knows its place in it, from 1.
 */
#include "query/deadline.h"

#include "base/loop.h"
#include "query/query.h"

#include <assert.h>
#include <stdlib.h>

static void
put_deadline(struct deadlines *deadlines, uint32_t at, struct query *query)
{
	deadlines->heap[at] = query;
	query->deadline_at = at + 1;
}

/* Put @query into its place, at @at or above. */
static void
rise(struct deadlines *deadlines, uint32_t at, struct query *query)
{
	while (at > 0) {
		uint32_t	above = (at - 1) / 2;

		if (deadlines->heap[above]->deadline_us <= query->deadline_us)
			break;
		put_deadline(deadlines, at, deadlines->heap[above]);
		at = above;
	}
	put_deadline(deadlines, at, query);
}

/* Put @query into its place, at @at or below. */
static void
sink_deadline(struct deadlines *deadlines, uint32_t at, struct query *query)
{
	struct query	**heap = deadlines->heap;

	for (;;) {
		uint32_t	below = 2 * at + 1;

		if (below + 1 < deadlines->count &&
		    heap[below + 1]->deadline_us < heap[below]->deadline_us)
			below++;
		if (below >= deadlines->count ||
		    heap[below]->deadline_us >= query->deadline_us)
			break;
		put_deadline(deadlines, at, heap[below]);
		at = below;
	}
	put_deadline(deadlines, at, query);
}

bool
deadline_set(struct deadlines *deadlines, struct query *query, uint32_t ms)
{
	assert(query->deadline_at == 0 && "mews: a query has one deadline");
	if (deadlines->count == deadlines->room) {
		uint32_t       room = deadlines->room * 2 + 16;
		struct query **more = reallocarray(deadlines->heap, room,
		    sizeof(struct query *));

		if (more == NULL)
			return false;
		deadlines->heap = more;
		deadlines->room = room;
	}
	query->deadline_us = loop_now(deadlines->loop) + (int64_t)ms * 1000;
	rise(deadlines, deadlines->count++, query);
	loop_due(deadlines->loop, query->deadline_us);
	return true;
}

void
deadline_clear(struct deadlines *deadlines, struct query *query)
{
	uint32_t		at = query->deadline_at - 1;
	struct query	       *last = deadlines->heap[--deadlines->count];

	query->deadline_at = 0;
	if (last == query)
		return;
	if (at > 0 && deadlines->heap[(at - 1) / 2]->deadline_us >
	    last->deadline_us)
		rise(deadlines, at, last);
	else
		sink_deadline(deadlines, at, last);
}

struct query *
deadline_take(struct deadlines *deadlines, int64_t now_us)
{
	struct query	*query;

	if (deadlines->count == 0 ||
	    deadlines->heap[0]->deadline_us > now_us)
		return NULL;
	query = deadlines->heap[0];
	deadline_clear(deadlines, query);
	return query;
}

int64_t
deadline_next(const struct deadlines *deadlines)
{
	return deadlines->count == 0 ? LOOP_NEVER :
	    deadlines->heap[0]->deadline_us;
}

void
deadline_free(struct deadlines *deadlines)
{
	free(deadlines->heap);
}
