/*
 * arena.c - memory that is given back all at once.
 *
 * Blocks of one size are kept for reuse, see http/keep.h. What does not fit
 * into one gets a block of its own, which is freed at the end.
 */
#include "arena.h"

#include <stdalign.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK_SIZE 16384 /* bytes of memory in a block that is kept */
#define BLOCKS_LEAST 32 /* that are kept, in use or not */

struct arena_block {
	struct arena_block *next;
	size_t size;
	alignas(max_align_t) char memory[];
};

static struct arena_block *
block_take(struct arena_store *store, size_t size)
{
	struct arena_block *block = store->blocks;

	if (size <= BLOCK_SIZE && block != NULL) {
		store->blocks = block->next;
		store->count--;
		keep_lend(&store->keep);
		return block;
	}
	if (size < BLOCK_SIZE)
		size = BLOCK_SIZE;
	if (size > SIZE_MAX - sizeof(*block) ||
	    (block = malloc(sizeof(*block) + size)) == NULL)
		return NULL;
	if (size == BLOCK_SIZE)
		keep_lend(&store->keep);
	block->size = size;
	return block;
}

static void
block_give(struct arena_store *store, struct arena_block *block)
{
	if (block->size != BLOCK_SIZE) {
		free(block);
		return;
	}
	keep_take_back(&store->keep);
	block->next = store->blocks;
	store->blocks = block;
	store->count++;
}

void
arena_open(struct arena *arena, struct arena_store *store, void *first,
    size_t size)
{
	arena->store = store;
	arena->blocks = NULL;
	arena->at = first;
	arena->end = arena->at + size;
}

void *
arena_alloc(struct arena *arena, size_t size)
{
	struct arena_block *block;
	void *memory;

	if (size > SIZE_MAX - alignof(max_align_t))
		return NULL;
	size = (size + alignof(max_align_t) - 1) & ~(alignof(max_align_t) - 1);
	if (size > (size_t)(arena->end - arena->at)) {
		if ((block = block_take(arena->store, size)) == NULL)
			return NULL;
		block->next = arena->blocks;
		arena->blocks = block;
		/* A large block is full: go on with the block before. */
		if (size > BLOCK_SIZE)
			return block->memory;
		arena->at = block->memory;
		arena->end = block->memory + block->size;
	}
	memory = arena->at;
	arena->at += size;
	return memory;
}

char *
arena_copy(struct arena *arena, const void *bytes, size_t length)
{
	char *copy;

	if (length == SIZE_MAX ||
	    (copy = arena_alloc(arena, length + 1)) == NULL)
		return NULL;
	if (length != 0)
		memcpy(copy, bytes, length);
	copy[length] = '\0';
	return copy;
}

void
arena_close(struct arena *arena)
{
	struct arena_block *block;

	while ((block = arena->blocks) != NULL) {
		arena->blocks = block->next;
		block_give(arena->store, block);
	}
	arena->at = arena->end = NULL;
}

static void
free_one(struct arena_store *store)
{
	struct arena_block *block = store->blocks;

	store->blocks = block->next;
	store->count--;
	free(block);
}

void
arena_store_trim(struct arena_store *store)
{
	unsigned kept = keep_look(&store->keep, BLOCKS_LEAST);

	while (store->count > kept)
		free_one(store);
}

void
arena_store_free(struct arena_store *store)
{
	while (store->count > 0)
		free_one(store);
}
