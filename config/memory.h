/*
 * memory.h - allocations that live and end together.
 *
 * A list begins as NULL and grows with every call; memory_free() frees all. The
 * one who declares the pointer owns the list.
 */
#ifndef CONFIG_MEMORY_H
#define CONFIG_MEMORY_H

#include <stddef.h>

struct memory;

/* Zeroed memory, aligned for any type; NULL: out of memory. */
void *memory_get(struct memory **list, size_t size);
/* A copy of @text; NULL: out of memory. */
char *memory_text(struct memory **list, const char *text);
char *memory_format(struct memory **list, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Free all and set *list to NULL. */
void memory_free(struct memory **list);

#endif
