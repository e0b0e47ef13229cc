/*
 * place.h - a directory that may have to be made.
 */
#ifndef CONFIG_PLACE_H
#define CONFIG_PLACE_H

#include <stdbool.h>
#include <stddef.h>

/* Is @path a directory, or could one be made there? Those above it are not
 * made. False: @why begins with it in quotes. */
bool place_is_good(const char *path, char *why, size_t why_size);

#endif
