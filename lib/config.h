/*
 * config.h - the library's own copy of a configuration.
 */
#ifndef MEWS_LIB_CONFIG_H
#define MEWS_LIB_CONFIG_H

#include <mews/config.h>

/*
 * Deep copy with every default filled in. NULL: out of memory. What it is
 * made of is one block: free(3) it.
 */
struct mews_config *config_copy(const struct mews_config *config);

#endif
