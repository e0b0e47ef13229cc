/*
 * instance.c - finding a fleet from outside.
 *
 * The lock on its pid file tells whether a master lives, as another process may
 * have got its pid.
 */
#include "instance.h"

#include "config.h"
#include "fail.h"
#include "runtime.h"
#include "words.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SEGMENT_SUFFIX ".segment"

/* "a" of "a.segment"; false if it is no segment's name. */
static bool
instance_of_file(const char *file, char *instance, size_t size)
{
	size_t length = strlen(file), suffix = strlen(SEGMENT_SUFFIX);

	if (length <= suffix || length - suffix >= size ||
	    strcmp(file + length - suffix, SEGMENT_SUFFIX) != 0)
		return false;
	strlcpy(instance, file, length - suffix + 1);
	return true;
}

/* Find the only instance of a directory, for which an empty name stands. */
static bool
instance_find(const char *dir, char *instance, size_t size,
    struct mews_error *error)
{
	struct dirent **files;
	char		list[256] = "";
	int		file_count, count = 0;

	if ((file_count = scandir(dir, &files, NULL, alphasort)) < 0)
		return fail(error, "no fleet runs: runtime_dir %s: %s", dir,
		    strerror(errno));
	for (int i = 0; i < file_count; i++) {
		if (instance_of_file(files[i]->d_name, instance, size)) {
			strlcat(list, count++ > 0 ? ", " : "", sizeof(list));
			strlcat(list, instance, sizeof(list));
		}
		free(files[i]);
	}
	free(files);
	if (count == 0)
		return fail(error, "no fleet runs: there is no segment in %s",
		    dir);
	if (count > 1)
		return fail(error, "%s: --instance NAME must be one of %s",
		    dir, list);
	strlcpy(instance, list, size);
	return true;
}

bool
instance_open(struct mews_view **view, struct mews_view_fleet *fleet,
    const char *runtime_dir, char *instance, struct mews_error *error)
{
	char		 *path, name[MEWS_NAME_MAX + 1];
	struct mews_error why;
	bool		  same = false;

	*view = NULL;
	if (instance[0] == '\0' && !instance_find(runtime_dir, instance,
		MEWS_NAME_MAX + 1, error))
		return false;
	if ((path = config_segment_path(runtime_dir, instance)) == NULL)
		return fail(error, "out of memory");
	if (access(path, F_OK) != 0 && errno == ENOENT) {
		fail(error, "instance %s does not run: there is no %s",
		    instance, path);
	} else if (mews_view_open(view, path, &why) != MEWS_OK) {
		fail(error, "instance %s: %s", instance, why.message);
	} else {
		mews_view_fleet(*view, fleet, sizeof(*fleet));
		same = strcmp(fleet->instance, instance) == 0;
	}
	if (*view != NULL && !same) {
		mews_view_close(view);
		fail(error, "%s: belongs to instance \"%s\"", path,
		    words_clean(name, sizeof(name), fleet->instance));
	}
	free(path);
	return same;
}

bool
instance_endpoint(const struct mews_view *view, const char *name,
    uint32_t *index, struct mews_error *error)
{
	struct mews_view_endpoint e;
	char			  names[512] = "";

	for (*index = 0; mews_view_endpoint(view, *index, &e, sizeof(e));
	     ++*index) {
		if (strcmp(e.name, name) == 0)
			return true;
		strlcat(names, *index > 0 ? ", " : "", sizeof(names));
		strlcat(names, e.name, sizeof(names));
	}
	return fail(error, "no endpoint of that name: %.64s; there are %s",
	    name, names);
}

/* A host that embeds the library has no pid file, and perhaps no master. */
bool
instance_lives(const struct mews_view_fleet *fleet, const char *runtime_dir,
    struct mews_error *error)
{
	char *path = config_pid_path(runtime_dir, fleet->instance);
	bool  lives;

	if (path != NULL && access(path, R_OK) == 0)
		lives = runtime_owner(path) != RUNTIME_NOBODY;
	else
		lives = fleet->master_pid == 0 ||
		    kill(fleet->master_pid, 0) == 0 || errno == EPERM;
	free(path);
	return lives || fail(error, "instance %s: its master, pid %jd, is "
	    "dead", fleet->instance, (intmax_t)fleet->master_pid);
}
