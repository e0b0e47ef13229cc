/*
 * privileges.h - becoming a user with fewer rights.
 *
 * Started as root, the master binds its TCP listeners and prepares the runtime
 * directory; it drops root before it creates any file or forks any worker, and
 * never gets it back.
 */
#ifndef MASTER_PRIVILEGES_H
#define MASTER_PRIVILEGES_H

#include "config.h"

#include <mews/status.h>
#include <sys/types.h>

struct privileges {
	bool  drop;	 /* started as root, which is to be dropped */
	uid_t uid;	 /* the user to become; the present one if !drop */
	gid_t gid;
	char  name[64];	 /* of the user, for messages */
	char  home[256]; /* of the user */
};

/** Look up the user of the configuration: `user`, else "nobody". */
bool privileges_find(struct privileges *who, const struct config *config,
    struct mews_error *error);

/**
 * Become that user, for good: user, group and supplementary groups, real,
 * effective and saved; HOME and USER follow. Not started as root: only
 * no_new_privs is set, which is set in any case.
 */
bool privileges_drop(const struct privileges *who, struct mews_error *error);

#endif
