/*
 * privileges.h - become a user who can do less.
 *
 * Started as root, the master binds its TCP listeners and prepares the
 * runtime directory, and is root no more before it creates any file or
 * forks any worker. Nobody gets anything back afterwards.
 */
#ifndef MASTER_PRIVILEGES_H
#define MASTER_PRIVILEGES_H

#include "config.h"

#include <mews/status.h>
#include <sys/types.h>

struct privileges {
	bool  drop;	 /* started as root, and it is not to stay so */
	uid_t uid;	 /* who we are to be; who we are if !drop */
	gid_t gid;
	char  name[64];	 /* of the user, for messages */
	char  home[256]; /* of the user */
};

/** Look the user of the configuration up: `user`, else nobody. */
bool privileges_find(struct privileges *who, const struct config *config,
    struct mews_error *error);

/**
 * Become that user, for good: user, group and supplementary groups, real,
 * effective and saved; HOME and USER follow. Not started as root: only
 * no_new_privs is set, which is set in any case.
 */
bool privileges_drop(const struct privileges *who, struct mews_error *error);

#endif
