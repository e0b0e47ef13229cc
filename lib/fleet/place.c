/*
 * place.c - whose segment stands where the runtime file is.
 */
#include "fleet/place.h"

#include "fleet/hold.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

char *
place_beside(const char *path, pid_t pid)
{
	char	*name;

	return asprintf(&name, "%s.%jd", path, (intmax_t)pid) == -1 ? NULL :
	    name;
}

void
place_remove(const char *path)
{
	unlink(path);
	hold_remove_directory(path);
}

bool
place_is(const char *path, dev_t dev, ino_t ino)
{
	struct stat	st;

	return lstat(path, &st) == 0 && st.st_dev == dev && st.st_ino == ino;
}

static void
exchange(const char *one, const char *other)
{
	char	*between;

	if (renameat2(AT_FDCWD, one, AT_FDCWD, other, RENAME_EXCHANGE) == 0 ||
	    (errno != EINVAL && errno != ENOSYS && errno != EPERM &&
		errno != ENOENT))
		return;
	/* A file system that cannot do it at once, or one of both is gone. */
	if (asprintf(&between, "%s.old", other) == -1)
		return;
	rename(other, between);
	rename(one, other);
	rename(between, one);
	free(between);
}

/* Put what is at @beside at @path, if that is ours. */
static void
put_back(const struct mews_fleet *fleet, const char *path, const char *beside)
{
	const struct segment	*segment = &fleet->segment;
	char			*from = NULL, *to = NULL;
	struct stat		 st;

	if (!place_is(path, segment->dev, segment->ino) &&
	    place_is(beside, segment->dev, segment->ino))
		exchange(beside, path);
	if (fstat(fleet->line->dir, &st) == 0 &&
	    asprintf(&from, "%s.d", beside) != -1 &&
	    asprintf(&to, "%s.d", path) != -1 &&
	    !place_is(to, st.st_dev, st.st_ino) &&
	    place_is(from, st.st_dev, st.st_ino))
		exchange(from, to);
	free(from);
	free(to);
}

bool
place_take(struct mews_fleet *fleet)
{
	struct fleet_line	*line = fleet->line;
	char			*beside;

	if (line->apart && line->adopted != NULL) {
		put_back(fleet, line->adopted, line->path);
		if (!place_is(line->adopted, fleet->segment.dev,
			fleet->segment.ino)) {
			fleet_log(fleet, MEWS_LOG_ERROR, "segment_not_placed",
			    "path=%s hint=\"no process attaches to this "
			    "fleet: restart it\"", line->adopted);
			return false;
		}
		line->beside = line->path;
		line->path = line->adopted;
		line->adopted = NULL;
		return true;
	}
	/* A successor of ours may have died at that. */
	if (line->adopted != NULL || line->path == NULL ||
	    line->creator != getpid() || line->dir == -1 ||
	    (beside = place_beside(line->path, getpid())) == NULL)
		return false;
	put_back(fleet, line->path, beside);
	free(beside);
	return true;
}

void
place_clean(const struct fleet_line *line, const struct segment *segment)
{
	int	dir;

	if (line->beside == NULL ||
	    place_is(line->beside, segment->dev, segment->ino))
		return;
	dir = hold_open_directory(line->beside);
	if (dir == -1 || !hold_has_creator(dir))
		place_remove(line->beside);
	if (dir != -1)
		close(dir);
}
