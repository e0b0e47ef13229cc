/*
 * excuse.h - why no endpoint serves a group, in words for a caller.
 */
#ifndef LIB_POOL_EXCUSE_H
#define LIB_POOL_EXCUSE_H

#include "pool/group.h"

#include <stddef.h>

/*
 * Why endpoints are not used, or not for a @position: "a is down: connection
 * refused or unreachable, b is drained". "" while some are.
 */
void excuse_say(const struct mews_group *group, bool position, char *why,
    size_t size);

#endif
