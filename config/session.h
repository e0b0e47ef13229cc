/*
 * session.h - settings that each session of a Python application begins with.
 */
#ifndef CONFIG_SESSION_H
#define CONFIG_SESSION_H

#include "memory.h"

#include <mews/settings.h>
#include <stdbool.h>

/**
 * Have each session, that of listeners too, log in with the encoding that
 * lib/python reads and writes, and each group set, before its own init, the
 * text forms of values that it reads, whatever the server's configuration, the
 * conninfo, the environment and init say.
 *
 * @config  its groups are replaced by copies in @memory.
 * False: out of memory.
 */
bool session_for_python(struct mews_config *config,
    struct memory **memory);

#endif
