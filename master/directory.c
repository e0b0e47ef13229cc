/*
 * directory.c - whether other users could change a directory.
 */
#include "directory.h"

#include "fail.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static bool
is_trusted(const struct stat *st, const struct privileges *who)
{
	return st->st_uid == who->uid || st->st_uid == 0;
}

static bool
others_may_write(const struct stat *st, const struct privileges *who)
{
	return (st->st_mode & S_IWOTH) != 0 || ((st->st_mode & S_IWGRP) != 0 &&
	    st->st_gid != who->gid && st->st_gid != 0);
}

/* Check a symbolic link, which its owner may lead elsewhere. */
static bool
check_link(const char *dir, const char *path, const struct privileges *who,
    struct mews_error *error)
{
	struct stat st;

	if (lstat(path, &st) != 0 || !S_ISLNK(st.st_mode) ||
	    is_trusted(&st, who))
		return true;
	return fail(error, "runtime_dir %s: %s is a symbolic link of another "
	    "user's (uid %u)", dir, path, (unsigned)st.st_uid);
}

static bool
check_above(const char *dir, const char *path, const struct privileges *who,
    struct mews_error *error)
{
	struct stat st;

	if (!check_link(dir, path, who, error))
		return false;
	if (stat(path, &st) != 0)
		return errno == ENOENT ||
		    fail(error, "runtime_dir %s: %s: %s", dir, path,
			strerror(errno));
	if (!is_trusted(&st, who))
		return fail(error, "runtime_dir %s: %s above it belongs to "
		    "another user (uid %u) than %s", dir, path,
		    (unsigned)st.st_uid, who->name);
	if (others_may_write(&st, who) && (st.st_mode & S_ISVTX) == 0)
		return fail(error, "runtime_dir %s: others may write in %s "
		    "above it (mode %04o); chmod go-w, or name another "
		    "directory", dir, path, (unsigned)st.st_mode & 07777);
	return true;
}

/* Check all directories above @path. */
static bool
check_all_above(const char *dir, const char *path,
    const struct privileges *who, struct mews_error *error)
{
	char above[PATH_MAX], *slash;

	strlcpy(above, path, sizeof(above));
	while ((slash = strrchr(above, '/')) != NULL) {
		*slash = '\0';
		if (!check_above(dir, above[0] == '\0' ? "/" : above, who,
			error))
			return false;
	}
	return true;
}

static bool
check_itself(const char *dir, const struct privileges *who,
    struct mews_error *error)
{
	struct stat st;

	if (stat(dir, &st) != 0)
		return errno == ENOENT || fail(error, "runtime_dir %s: %s",
		    dir, strerror(errno));
	if (!S_ISDIR(st.st_mode))
		return fail(error, "runtime_dir %s: is no directory", dir);
	if (!is_trusted(&st, who))
		return fail(error, "runtime_dir %s: belongs to another user "
		    "(uid %u) than %s", dir, (unsigned)st.st_uid, who->name);
	if (others_may_write(&st, who))
		return fail(error, "runtime_dir %s: others may write there "
		    "(mode %04o); chmod go-w, or name another directory",
		    dir, (unsigned)st.st_mode & 07777);
	return true;
}

bool
directory_is_ours(const char *dir, const struct privileges *who,
    struct mews_error *error)
{
	char real[PATH_MAX];

	/* Check the path as written, then without links: the target of a link
	 * has other directories above it. */
	return check_itself(dir, who, error) &&
	    check_link(dir, dir, who, error) &&
	    check_all_above(dir, dir, who, error) &&
	    (realpath(dir, real) == NULL ||
		check_all_above(dir, real, who, error));
}
