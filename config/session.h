/*
 * session.h - settings that each session of a Python application begins with.
 */
#ifndef CONFIG_SESSION_H
#define CONFIG_SESSION_H

#include "memory.h"

#include <mews/settings.h>
#include <stdbool.h>

/**
 * Have each group set, before its own init, the encoding and the text forms of
 * values that lib/python reads, whatever the server's configuration, the
 * conninfo and the environment say.
 *
 * @config  its groups are replaced by copies in @memory.
 * False: out of memory.
 */
bool session_for_python(struct mews_config *config,
    struct memory **memory);

#endif
