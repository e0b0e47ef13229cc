/*
 * config.h - the library's own copy of a configuration.
 */
#ifndef LIB_BASE_CONFIG_H
#define LIB_BASE_CONFIG_H

#include <mews/settings.h>

/*
 * Deep copy with every default filled in, in one block of free(3). NULL: out of
 * memory.
 */
struct mews_config *config_copy(const struct mews_config *config);
/*
 * As config_copy(), with endpoint i at @index[i] of @count; the others have no
 * name. NULL @index: the order stays.
 */
struct mews_config *config_copy_at(const struct mews_config *config,
    const uint8_t *index, size_t count);

/* Is @name a name: 1 to MEWS_NAME_MAX letters, digits, '_', '-' and '.'? */
bool config_is_name(const char *name);

#endif
