/*
 * runtime.c - what a running instance keeps in the file system.
 *
 * Root creates no file in a directory of another user, who could have put a
 * symbolic link there: privileges are dropped between runtime_prepare() and
 * runtime_claim(). So all files belong to the user who will remove them. A
 * directory that root made inside one that only root may write, like /run, may
 * stay.
 */
#include "runtime.h"

#include "directory.h"
#include "fail.h"
#include "proc.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <libutil.h>

#define CLAIM_TRIES    50
#define CLAIM_RETRY_MS 10

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

/* May others open the file, and so lock it? Not a file that pid_file_take()
 * made. */
static bool
is_open_to_others(const struct stat *st)
{
	return (st->st_mode & (S_IRWXG | S_IRWXO)) != 0;
}

/* Is the lock a master's? On a file that others may lock, only if the process
 * that it names is a master. */
static bool
lock_is_believed(int fd, pid_t owner)
{
	struct stat st;

	return fstat(fd, &st) != 0 || !is_open_to_others(&st) ||
	    (owner > 0 && proc_runs_as(owner, st.st_uid) &&
		proc_is_called(owner, "master ", NULL));
}

char *
runtime_outcome_path(const char *runtime_dir, const char *instance)
{
	char *path;

	return asprintf(&path, "%s/%s.reload", runtime_dir, instance) == -1 ?
	    NULL : path;
}

pid_t
runtime_owner(const char *pid_path)
{
	pid_t owner = RUNTIME_NOBODY;
	int   fd;

	fd = open(pid_path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return RUNTIME_NOBODY;
	if (flock(fd, LOCK_SH | LOCK_NB) != 0) {
		owner = pid_read(fd);
		if (!lock_is_believed(fd, owner))
			owner = RUNTIME_NOBODY;
	}
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

/* Did systemd make the directory for this service? Then it is root's. */
static bool
is_given(const char *dir)
{
	const char *given = getenv("RUNTIME_DIRECTORY");

	return given != NULL && strcmp(given, dir) == 0;
}

/* Make the directory, and give it away without following a link. */
static bool
directory_make(struct runtime *runtime, const struct privileges *who,
    struct mews_error *error)
{
	int fd;

	if (mkdir(runtime->dir, 0755) == 0)
		runtime->made_dir = true;
	else if (errno != EEXIST)
		return fail(error, "runtime_dir %s: %s", runtime->dir,
		    strerror(errno));
	if (!runtime->made_dir && !is_given(runtime->dir))
		return true;
	fd = open(runtime->dir,
	    O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || (runtime->made_dir && fchmod(fd, 0755) != 0) ||
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

static bool
set_names(struct runtime *runtime, const struct config *config,
    const struct privileges *who, struct mews_error *error)
{
	memset(runtime, 0, sizeof(*runtime));
	runtime->pid_fd = -1;
	runtime->dir = config->runtime_dir;
	runtime->instance = config->fleet.instance;
	runtime->user = who->name;
	runtime->pid_path = config_pid_path(runtime->dir, runtime->instance);
	runtime->segment_path =
	    config_segment_path(runtime->dir, runtime->instance);
	runtime->outcome_path =
	    runtime_outcome_path(runtime->dir, runtime->instance);
	return (runtime->pid_path != NULL && runtime->segment_path != NULL &&
	    runtime->outcome_path != NULL) || fail(error, "out of memory");
}

bool
runtime_prepare(struct runtime *runtime, const struct config *config,
    const struct privileges *who, struct mews_error *error)
{
	pid_t owner;

	if (!set_names(runtime, config, who, error))
		return false;
	if (!directory_is_ours(runtime->dir, who, error))
		return false;
	owner = runtime_owner(runtime->pid_path);
	if (owner != RUNTIME_NOBODY)
		return already_running(runtime, owner, error);
	runtime->inherited = access(runtime->pid_path, F_OK) == 0;
	return directory_make(runtime, who, error);
}

bool
runtime_instance_runs(const struct config *config)
{
	char *path = config_pid_path(config->runtime_dir,
	    config->fleet.instance);
	bool  runs = path != NULL && runtime_owner(path) != RUNTIME_NOBODY;

	free(path);
	return runs;
}

bool
runtime_check(const struct config *config, const struct privileges *who,
    struct mews_error *error)
{
	return directory_is_ours(config->runtime_dir, who, error);
}

/* Can pid_file_take() and runtime_claim() replace what an earlier instance
 * left? */
static bool
can_replace(const char *pid_path, const char *segment_path,
    const struct privileges *who, struct mews_error *error)
{
	struct stat st;

	if (lstat(pid_path, &st) == 0) {
		if (!S_ISREG(st.st_mode))
			return fail(error, "%s: is no regular file", pid_path);
		if (!is_open_to_others(&st) &&
		    access(pid_path, R_OK | W_OK) != 0)
			return fail(error, "%s: %s (as user %s)", pid_path,
			    strerror(errno), who->name);
	}
	if (lstat(segment_path, &st) == 0 && S_ISDIR(st.st_mode))
		return fail(error, "%s: %s (as user %s)", segment_path,
		    strerror(EISDIR), who->name);
	return true;
}

static bool
check_files(const struct config *config, const struct privileges *who,
    struct mews_error *error)
{
	const char *instance = config->fleet.instance;
	char	   *pid_path = config_pid_path(config->runtime_dir, instance);
	char	   *segment_path =
		config_segment_path(config->runtime_dir, instance);
	bool	    good = false;

	if (pid_path == NULL || segment_path == NULL)
		fail(error, "out of memory");
	else
		good = can_replace(pid_path, segment_path, who, error);
	free(pid_path);
	free(segment_path);
	return good;
}

/* As root, what is missing is made before privileges are dropped. */
bool
runtime_check_rights(const struct config *config, const struct privileges *who,
    struct mews_error *error)
{
	const char *dir = config->runtime_dir;
	char	    above[PATH_MAX];

	if (access(dir, F_OK) == 0) {
		if (access(dir, W_OK | X_OK) != 0)
			return fail(error, "runtime_dir %s: %s", dir,
			    strerror(errno));
		return check_files(config, who, error);
	}
	if (who->drop)
		return true;
	strlcpy(above, dir, sizeof(above));
	return access(dirname(above), W_OK | X_OK) == 0 ||
	    fail(error, "runtime_dir %s: cannot be made: %s", dir,
		strerror(errno));
}

/* Take the pid file, readable for its owner only, as others could lock it. A
 * process that looks whether the instance runs holds a shared lock for an
 * instant, so a lock is not believed at once. */
static bool
pid_file_take(struct runtime *runtime, struct mews_error *error)
{
	pid_t	    owner = RUNTIME_UNKNOWN;
	struct stat st;

	if (lstat(runtime->pid_path, &st) == 0) {
		if (!S_ISREG(st.st_mode))
			return fail(error, "%s: is no regular file",
			    runtime->pid_path);
		/* A user who opened the old file may hold a lock for ever: make
		 * a new one. */
		if (is_open_to_others(&st) &&
		    runtime_owner(runtime->pid_path) == RUNTIME_NOBODY)
			unlink(runtime->pid_path);
	}
	for (int tries = 0; tries < CLAIM_TRIES; tries++) {
		runtime->pid_file = pidfile_open(runtime->pid_path, 0600,
		    &owner);
		if (runtime->pid_file != NULL || errno != EEXIST)
			break;
		usleep(CLAIM_RETRY_MS * 1000);
	}
	if (runtime->pid_file == NULL && errno == EEXIST)
		return already_running(runtime, owner, error);
	if (runtime->pid_file == NULL ||
	    fchmod(pidfile_fileno(runtime->pid_file), 0600) != 0 ||
	    pidfile_write(runtime->pid_file) != 0)
		return fail(error, "%s: %s (as user %s)", runtime->pid_path,
		    strerror(errno), runtime->user);
	return true;
}

bool
runtime_claim(struct runtime *runtime, struct mews_error *error)
{
	if (!pid_file_take(runtime, error))
		return false;
	if (unlink(runtime->segment_path) != 0 && errno != ENOENT)
		return fail(error, "%s: %s (as user %s)",
		    runtime->segment_path, strerror(errno), runtime->user);
	unlink(runtime->outcome_path);
	return true;
}

bool
runtime_adopt(struct runtime *runtime, const struct config *config,
    const struct privileges *who, int pid_fd, bool made_dir,
    struct mews_error *error)
{
	bool done = set_names(runtime, config, who, error);

	runtime->pid_fd = pid_fd;
	runtime->made_dir = made_dir;
	return done;
}

void
runtime_own(struct runtime *runtime)
{
	char text[16];
	int  fd = runtime_pid_fd(runtime);
	int  length = snprintf(text, sizeof(text), "%jd",
	    (intmax_t)getpid());

	/* Never empty, as another process may read it meanwhile. */
	if (pwrite(fd, text, (size_t)length, 0) == length &&
	    ftruncate(fd, length) != 0)
		return;
	runtime->owned = true;
}

int
runtime_pid_fd(const struct runtime *runtime)
{
	return runtime->pid_file != NULL ? pidfile_fileno(runtime->pid_file) :
					   runtime->pid_fd;
}

void
runtime_disown(struct runtime *runtime)
{
	pidfile_close(runtime->pid_file);
	runtime->pid_file = NULL;
	if (runtime->pid_fd != -1)
		close(runtime->pid_fd);
	runtime->pid_fd = -1;
	runtime->owned = false;
}

void
runtime_pass(struct runtime *runtime, bool apart)
{
	runtime_disown(runtime);
	runtime->made_dir = runtime->made_dir && apart;
}

void
runtime_release(struct runtime *runtime)
{
	if (runtime->pid_file != NULL) {
		unlink(runtime->outcome_path);
		pidfile_remove(runtime->pid_file);
	} else if (runtime->owned) {
		unlink(runtime->outcome_path);
		unlink(runtime->pid_path);
	} else if (runtime->pid_fd != -1)
		runtime->made_dir = false; /* it was not passed */
	if (runtime->pid_fd > 0)
		close(runtime->pid_fd);
	if (runtime->made_dir)
		rmdir(runtime->dir);
	free(runtime->pid_path);
	free(runtime->segment_path);
	free(runtime->outcome_path);
	memset(runtime, 0, sizeof(*runtime));
}
