/*
 * proc.c - what the kernel tells about a process that may be somebody else's.
 */
#include "proc.h"

#include <mews/settings.h>

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

ssize_t
proc_read(pid_t pid, const char *name, char *text, size_t size)
{
	char	path[64];
	ssize_t length = -1;
	int	fd;

	snprintf(path, sizeof(path), "/proc/%jd/%s", (intmax_t)pid, name);
	if ((fd = open(path, O_RDONLY | O_CLOEXEC)) >= 0) {
		length = read(fd, text, size - 1);
		close(fd);
	}
	text[length > 0 ? length : 0] = '\0';
	return length;
}

const char *
proc_command(pid_t pid, char *name, size_t size)
{
	if (proc_read(pid, "comm", name, size) <= 0)
		return "?";
	name[strcspn(name, "\n")] = '\0';
	return name;
}

bool
proc_runs_as(pid_t pid, uid_t uid)
{
	char	    status[2048];
	const char *line;
	unsigned    real;

	return proc_read(pid, "status", status, sizeof(status)) > 0 &&
	    (line = strstr(status, "\nUid:")) != NULL &&
	    sscanf(line, "\nUid: %u", &real) == 1 && real == uid;
}

bool
proc_is_called(pid_t pid, const char *role, const char *instance)
{
	char title[256], begin[64], end[MEWS_NAME_MAX + 16] = "";

	snprintf(begin, sizeof(begin), "mews: %s", role);
	if (instance != NULL)
		snprintf(end, sizeof(end), " (%s)", instance);
	return proc_read(pid, "cmdline", title, sizeof(title)) > 0 &&
	    strncmp(title, begin, strlen(begin)) == 0 &&
	    strlen(title) > strlen(end) &&
	    strcmp(title + strlen(title) - strlen(end), end) == 0;
}
