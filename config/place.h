/*
 * place.h - whether a directory exists, or could be made.
 */
#ifndef CONFIG_PLACE_H
#define CONFIG_PLACE_H

#include <stdbool.h>
#include <stddef.h>

/* Is @path a directory, or could one be made there, without making those above
 * it? False: @why says why not, and begins with @path in quotes. */
bool place_is_good(const char *path, char *why, size_t why_size);

#endif
