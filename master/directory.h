/*
 * directory.h - is a directory ours alone?
 *
 * A user who may write in a directory, or in one above it, could put a pid
 * file, a segment, a symbolic link or another directory in the place of ours.
 */
#ifndef MASTER_DIRECTORY_H
#define MASTER_DIRECTORY_H

#include "privileges.h"

#include <mews/status.h>

/**
 * Can nobody but root and @who change what is in @dir, and where it leads?
 *
 * @dir  absolute; what is missing of it was not made yet, which is fine.
 *
 * Others may write in a directory above it that is sticky, like /tmp; they
 * may own no symbolic link on the way. False: one sentence in @error.
 */
bool directory_is_ours(const char *dir, const struct privileges *who,
    struct mews_error *error);

#endif
