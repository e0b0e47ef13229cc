/*
 * text.c - reading a configuration file.
 */
#include "text.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define TEXT_MAX (1024 * 1024) /* bytes in a file; more is a mistake */

/* Read all of @fd, up to one byte more than is allowed; -1: errno. */
static ssize_t
read_all(int fd, char *bytes)
{
	size_t	used = 0;
	ssize_t length;

	do {
		length = read(fd, bytes + used, TEXT_MAX + 1 - used);
		if (length > 0)
			used += (size_t)length;
	} while (length > 0 || (length == -1 && errno == EINTR));
	return length == -1 ? -1 : (ssize_t)used;
}

static bool
check_bytes(const char *bytes, size_t length, struct mistakes *mistakes)
{
	const char *nul = memchr(bytes, '\0', length);
	unsigned    line = 1;

	if (length > TEXT_MAX) {
		mistake_add(mistakes, 0, "is larger than %d bytes", TEXT_MAX);
		return false;
	}
	if (nul == NULL)
		return true;
	for (const char *p = bytes; p < nul; p++)
		line += *p == '\n';
	mistake_add(mistakes, line, "holds a NUL byte; it must be plain text");
	return false;
}

bool
text_read(struct text *text, const char *path, struct memory **memory,
    struct mistakes *mistakes)
{
	struct stat status;
	char	   *bytes;
	ssize_t	    length;
	int	    fd;
	bool	    done = false;

	fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd == -1 || fstat(fd, &status) == -1)
		mistake_add(mistakes, 0, "cannot be opened: %s",
		    strerror(errno));
	else if (!S_ISREG(status.st_mode))
		mistake_add(mistakes, 0, "is not a regular file");
	else if ((bytes = memory_get(memory, TEXT_MAX + 2)) == NULL)
		mistake_add(mistakes, 0, "out of memory");
	else if ((length = read_all(fd, bytes)) == -1)
		mistake_add(mistakes, 0, "cannot be read: %s",
		    strerror(errno));
	else if ((done = check_bytes(bytes, (size_t)length, mistakes)))
		*text = (struct text) { .bytes = bytes,
			.mode = status.st_mode, .uid = status.st_uid,
			.gid = status.st_gid };
	if (fd != -1)
		close(fd);
	return done;
}
