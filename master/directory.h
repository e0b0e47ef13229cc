/*
 * directory.h - whether other users could change a directory.
 *
 * A user who may write in the runtime directory, or in one above it, could
 * replace the pid file, the segment or the directory itself.
 */
#ifndef MASTER_DIRECTORY_H
#define MASTER_DIRECTORY_H

#include "privileges.h"

#include <mews/status.h>

/**
 * Can only root and @who change what is in @dir, and where it leads?
 *
 * @dir  absolute; missing directories are fine, they were not made yet.
 *
 * Others may write in a sticky directory above it, like /tmp, but may not own a
 * symbolic link on the way. False: one sentence in @error.
 */
bool directory_is_ours(const char *dir, const struct privileges *who,
    struct mews_error *error);

#endif
