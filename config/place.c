/*
 * place.c - whether a directory exists, or could be made.
 */
#include "place.h"

#include "config.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

/* The directory above @path, "/" at last. */
static void
find_parent(char *parent, size_t size, const char *path)
{
	char	*slash;

	strlcpy(parent, path, size);
	while ((slash = strrchr(parent, '/')) != NULL && slash[1] == '\0' &&
	    slash > parent)
		*slash = '\0';
	if (slash != NULL)
		slash[slash == parent] = '\0';
}

bool
place_is_good(const char *path, char *why, size_t why_size)
{
	char		parent[PATH_MAX];
	struct stat	status;

	if (stat(path, &status) == 0) {
		if (S_ISDIR(status.st_mode))
			return true;
		snprintf(why, why_size, "'%.500s' is not a directory", path);
		return false;
	}
	find_parent(parent, sizeof(parent), path);
	if (stat(parent, &status) == -1)
		snprintf(why, why_size, "'%.250s' cannot be made: %.250s: %s",
		    path, parent, strerror(errno));
	else if (!S_ISDIR(status.st_mode))
		snprintf(why, why_size, "'%.250s' cannot be made: %.250s is "
		    "not a directory", path, parent);
	else
		return true;
	return false;
}

static char *
runtime_path(const char *runtime_dir, const char *instance, const char *suffix)
{
	char	*path;

	return asprintf(&path, "%s/%s.%s", runtime_dir, instance,
	    suffix) == -1 ? NULL : path;
}

char *
config_segment_path(const char *runtime_dir, const char *instance)
{
	return runtime_path(runtime_dir, instance, "segment");
}

char *
config_pid_path(const char *runtime_dir, const char *instance)
{
	return runtime_path(runtime_dir, instance, "pid");
}
