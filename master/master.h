/*
 * master.h - the process that everything else of a fleet descends from.
 */
#ifndef MASTER_MASTER_H
#define MASTER_MASTER_H

#include "config.h"

#include <mews/status.h>

struct handover;

/**
 * Run a fleet in the foreground until a signal ends it.
 *
 * @name      the command's first word, by which it is found for an upgrade.
 * @handover  what a master passed that is to be replaced; NULL: there is none.
 * @error  filled if it returns false: it could not start, and nothing is left,
 *         or it stopped, and could not end what its workers left on servers.
 */
bool master_run(const struct config *config, const char *name,
    struct handover *handover, struct mews_error *error);

/** As master_run(), of a fleet without workers: its segment, the monitor and
 * the admin process, for processes that attach. Such a master loads no
 * application, listens for no clients and is not reloaded. */
bool master_keep(const struct config *config, struct mews_error *error);

#endif
