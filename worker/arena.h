/*
 * arena.h - memory that is given back all at once.
 *
 * Each request has one. What a request allocates is never freed by itself;
 * the blocks go back to the store of the worker when the request is over, so
 * a worker that has seen some requests allocates nothing for the next.
 */
#ifndef WORKER_ARENA_H
#define WORKER_ARENA_H

#include "http/keep.h"

#include <stddef.h>

struct arena_block;

/* Blocks that no arena uses now; one store per worker. Zero is empty. */
struct arena_store {
	struct arena_block *blocks;
	unsigned count;
	struct keep keep; /* of those in use, too */
};

struct arena {
	struct arena_store *store;
	struct arena_block *blocks; /* all that was taken beyond the first */
	char *at, *end;		    /* the rest of the newest */
};

/** Begin with @size bytes at @first, which stay the caller's. */
void arena_open(struct arena *arena, struct arena_store *store, void *first,
    size_t size);
/** Memory for anything, not cleared. NULL: out of memory. */
void *arena_alloc(struct arena *arena, size_t size);
/** A copy of @length bytes with a NUL behind them, or NULL. */
char *arena_copy(struct arena *arena, const void *bytes, size_t length);
/** Give all memory back; arena_open() makes the arena usable again. */
void arena_close(struct arena *arena);

/** About once a second: free the blocks that no arena needed lately. */
void arena_store_trim(struct arena_store *store);
/** Free the blocks that no arena uses. */
void arena_store_free(struct arena_store *store);

#endif
