/*
 * logs.h - where the master and its children write their logs.
 *
 * A place is opened once, and shared by all generations that write there; a
 * file is closed when none does any more. Standard error is opened first of
 * all, as a later user might not be allowed to; a file is opened by the user
 * who serves, who can therefore open it anew.
 */
#ifndef MASTER_LOGS_H
#define MASTER_LOGS_H

#include "log.h"

#include <mews/status.h>
#include <sys/queue.h>

struct master;

struct logs_place {
	LIST_ENTRY(logs_place) entry;
	enum config_log where;
	struct output	output;
};

LIST_HEAD(logs, logs_place);

/** Begin the log of this process, where @config says; on standard error instead
 * of in a file. */
bool logs_begin(struct master *m, struct mews_error *error);
/** Direct @log to where @config says. False: @error names the line. */
bool logs_set(struct master *m, struct log *log, const struct config *config,
    struct mews_error *error);
/** Open each file anew; keep the old one if that fails. */
void logs_renew(struct master *m);
/** Close the files that no generation writes any more. */
void logs_drop_unused(struct master *m);
/** Close all. */
void logs_end(struct master *m);

/** Could logs_set() open the file of @config, as this user? */
bool logs_check(const struct config *config, const char *user,
    struct mews_error *error);

#endif
