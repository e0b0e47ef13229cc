/*
 * deadline.h - the queries of a pool that end at a time of their own.
 *
 * A heap, the earliest first; a query without a deadline is not in it and costs
 * nothing. The deadline bounds the whole query: at that time its group gives up
 * one that waits, and api/cancel.c tells CANCELED to one that was sent.
 */
#ifndef LIB_QUERY_DEADLINE_H
#define LIB_QUERY_DEADLINE_H

#include <stdbool.h>
#include <stdint.h>

struct loop;
struct query;

struct deadlines {
	struct loop *loop;
	struct query **heap;
	uint32_t count, room;
};

/* End @query, which has no deadline yet, @ms from now. False: out of
 * memory. */
bool deadline_set(struct deadlines *deadlines, struct query *query,
    uint32_t ms);

/* Forget the deadline of @query, which has one. */
void deadline_clear(struct deadlines *deadlines, struct query *query);

/* Take a query whose deadline has passed off the heap; NULL: none. */
struct query *deadline_take(struct deadlines *deadlines, int64_t now_us);

/* When the next one passes. */
int64_t deadline_next(const struct deadlines *deadlines);

void deadline_free(struct deadlines *deadlines);

#endif
