/*
 * runtime.h - what a running instance keeps in the file system.
 *
 *	RUNTIME_DIR/			made if missing
 *	RUNTIME_DIR/INSTANCE.pid	locked as long as the master lives
 *	RUNTIME_DIR/INSTANCE.segment	the shared segment (the library's)
 *	RUNTIME_DIR/INSTANCE.reload	how the last reload ended; see reload.h
 *
 * The lock, not the file, says that an instance runs: files without a lock were
 * left by a killed master, and are replaced.
 */
#ifndef MASTER_RUNTIME_H
#define MASTER_RUNTIME_H

#include "config.h"
#include "privileges.h"

#include <mews/status.h>
#include <sys/types.h>

struct pidfh;

struct runtime {
	const char   *dir;
	const char   *instance;
	const char   *user; /* the user who makes and removes the files */
	char	     *pid_path;
	char	     *segment_path;
	char	     *outcome_path;
	struct pidfh *pid_file;
	int	      pid_fd; /* of another master's; -1: ours is above */
	bool	      owned;  /* the files are ours to remove */
	bool	      made_dir;
	bool	      inherited; /* a killed master left its files here */
};

/** RUNTIME_DIR/INSTANCE.reload, to be freed; NULL: no memory. */
char *runtime_outcome_path(const char *runtime_dir, const char *instance);

/* Values of runtime_owner() beside a pid. */
#define RUNTIME_NOBODY	0  /* no pid file that we may read, or not held */
#define RUNTIME_UNKNOWN -1 /* held, but it does not say by whom */

/** The pid of the master that holds this pid file, or one of the above. */
pid_t runtime_owner(const char *pid_path);

/**
 * Refuse if the instance runs already, then make the directory if it is
 * missing, for @who. Safe for root in a directory of another user: writes no
 * file.
 */
bool runtime_prepare(struct runtime *runtime, const struct config *config,
    const struct privileges *who, struct mews_error *error);

/** Does the instance of @config run? */
bool runtime_instance_runs(const struct config *config);
/** Can only @who and root change the directory, if there is one? */
bool runtime_check(const struct config *config, const struct privileges *who,
    struct mews_error *error);
/** May the user who serves make the directory, or the files in it? */
bool runtime_check_rights(const struct config *config,
    const struct privileges *who, struct mews_error *error);

/** Take the pid file and remove a stale segment. Not for root. */
bool runtime_claim(struct runtime *runtime, struct mews_error *error);

/**
 * Prepare to take over from a living master, whose pid file was inherited as
 * @pid_fd, with its lock. Changes nothing; see runtime_own().
 */
bool runtime_adopt(struct runtime *runtime, const struct config *config,
    const struct privileges *who, int pid_fd, bool made_dir,
    struct mews_error *error);
/** Write our pid into the pid file; the files are ours to remove from now
 * on. */
void runtime_own(struct runtime *runtime);
/** Leave the files to another master. @apart: ours are in the directory, too,
 * and the last of both removes it. */
void runtime_pass(struct runtime *runtime, bool apart);
/** The descriptor that holds the lock. */
int runtime_pid_fd(const struct runtime *runtime);

/** In a child: close the pid file, and leave it alone. */
void runtime_disown(struct runtime *runtime);

/** Remove the pid file, and the directory if it was made and is empty. */
void runtime_release(struct runtime *runtime);

#endif
