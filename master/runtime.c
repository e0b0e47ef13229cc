/*
 * runtime.c - what a running instance keeps in the file system.
 *
 * Root creates no file in a directory that may be another user's, where a
 * symbolic link could be waiting: privileges are dropped between
 * runtime_prepare() and runtime_claim(). So everything belongs to the user
 * who will have to remove it. One thing may stay: a directory that root made
 * inside one that only root may write, like /run.
 */
#include "runtime.h"

#include "fail.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <libutil.h>

static pid_t
pid_read(int fd)
{
	char	    text[16] = "";
	const char *why;
	pid_t	    pid;

	if (read(fd, text, sizeof(text) - 1) <= 0)
		return RUNTIME_UNKNOWN;
	text[strcspn(text, "\n")] = '\0';
	pid = (pid_t)strtonum(text, 1, INT_MAX, &why);
	return why == NULL ? pid : RUNTIME_UNKNOWN;
}

pid_t
runtime_owner(const char *pid_path)
{
	pid_t owner = RUNTIME_NOBODY;
	int   fd;

	fd = open(pid_path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return RUNTIME_NOBODY;
	if (flock(fd, LOCK_SH | LOCK_NB) != 0)
		owner = pid_read(fd);
	close(fd);
	return owner;
}

static bool
already_running(const struct runtime *runtime, pid_t owner,
    struct mews_error *error)
{
	if (owner == RUNTIME_UNKNOWN)
		return fail(error, "instance %s is running already, says %s",
		    runtime->instance, runtime->pid_path);
	return fail(error, "instance %s is running already, as pid %jd (%s)",
	    runtime->instance, (intmax_t)owner, runtime->pid_path);
}

/* Make the directory, and give it away without following a link. */
static bool
directory_make(struct runtime *runtime, const struct privileges *who,
    struct mews_error *error)
{
	int fd;

	if (mkdir(runtime->dir, 0755) != 0)
		return errno == EEXIST ||
		    fail(error, "runtime_dir %s: %s", runtime->dir,
			strerror(errno));
	runtime->made_dir = true;
	fd = open(runtime->dir,
	    O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fchmod(fd, 0755) != 0 ||
	    (who->drop && fchown(fd, who->uid, who->gid) != 0)) {
		fail(error, "runtime_dir %s: %s", runtime->dir,
		    strerror(errno));
		if (fd >= 0)
			close(fd);
		return false;
	}
	close(fd);
	return true;
}

bool
runtime_prepare(struct runtime *runtime, const struct config *config,
    const struct privileges *who, struct mews_error *error)
{
	pid_t owner;

	memset(runtime, 0, sizeof(*runtime));
	runtime->dir = config->runtime_dir;
	runtime->instance = config->fleet.instance;
	runtime->user = who->name;
	runtime->pid_path = config_pid_path(runtime->dir, runtime->instance);
	runtime->segment_path =
	    config_segment_path(runtime->dir, runtime->instance);
	if (runtime->pid_path == NULL || runtime->segment_path == NULL)
		return fail(error, "out of memory");
	owner = runtime_owner(runtime->pid_path);
	if (owner != RUNTIME_NOBODY)
		return already_running(runtime, owner, error);
	runtime->inherited = access(runtime->pid_path, F_OK) == 0;
	return directory_make(runtime, who, error);
}

bool
runtime_claim(struct runtime *runtime, struct mews_error *error)
{
	pid_t owner = RUNTIME_UNKNOWN;

	runtime->pid_file = pidfile_open(runtime->pid_path, 0644, &owner);
	if (runtime->pid_file == NULL && errno == EEXIST)
		return already_running(runtime, owner, error);
	if (runtime->pid_file == NULL || pidfile_write(runtime->pid_file) != 0)
		return fail(error, "%s: %s (as user %s)", runtime->pid_path,
		    strerror(errno), runtime->user);
	if (unlink(runtime->segment_path) != 0 && errno != ENOENT)
		return fail(error, "%s: %s (as user %s)",
		    runtime->segment_path, strerror(errno), runtime->user);
	return true;
}

void
runtime_disown(struct runtime *runtime)
{
	pidfile_close(runtime->pid_file);
	runtime->pid_file = NULL;
}

void
runtime_release(struct runtime *runtime)
{
	if (runtime->pid_file != NULL)
		pidfile_remove(runtime->pid_file);
	if (runtime->made_dir)
		rmdir(runtime->dir);
	free(runtime->pid_path);
	free(runtime->segment_path);
	memset(runtime, 0, sizeof(*runtime));
}
