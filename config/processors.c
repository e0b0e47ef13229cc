/*
 * processors.c - how many processors this process may use.
 *
 * A container with a quota of two processors sees all of the machine's: with
 * one worker for each of those, workers would wait for each other.
 */
#include "processors.h"

#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* Read the first line of a file. */
static bool
read_line(const char *path, char *line, int size)
{
	FILE *file = fopen(path, "re");
	bool  read;

	if (file == NULL)
		return false;
	read = fgets(line, size, file) != NULL;
	fclose(file);
	return read;
}

/* The quota of one cgroup's directory in processors, rounded up; 0: none. */
static uint32_t
quota_of(const char *directory)
{
	char	  path[4200], line[128];
	long long quota, period;

	/* Version 2: "200000 100000" or "max 100000". */
	snprintf(path, sizeof(path), "%s/cpu.max", directory);
	if (read_line(path, line, sizeof(line))) {
		if (sscanf(line, "%lld %lld", &quota, &period) != 2)
			return 0;
	} else {
		/* Version 1: two files; -1 is no quota. */
		snprintf(path, sizeof(path), "%s/cpu.cfs_quota_us", directory);
		if (!read_line(path, line, sizeof(line)) ||
		    sscanf(line, "%lld", &quota) != 1)
			return 0;
		snprintf(path, sizeof(path), "%s/cpu.cfs_period_us",
		    directory);
		if (!read_line(path, line, sizeof(line)) ||
		    sscanf(line, "%lld", &period) != 1)
			return 0;
	}
	if (quota <= 0 || period <= 0)
		return 0;
	quota = (quota + period - 1) / period;
	return quota > UINT32_MAX ? UINT32_MAX : (uint32_t)quota;
}

/* The least quota from @path below @mount up to @mount itself. */
static uint32_t
quota_above(const char *mount, char *path)
{
	char	 directory[4096];
	uint32_t least = 0, quota;
	char	*slash;

	for (;;) {
		snprintf(directory, sizeof(directory), "%s%s", mount, path);
		quota = quota_of(directory);
		if (quota > 0 && (least == 0 || quota < least))
			least = quota;
		if ((slash = strrchr(path, '/')) == NULL)
			return least;
		*slash = '\0';
	}
}

/* The path in "0::/path" or "4:cpu,cpuacct:/path"; NULL: the line is not about
 * processor time. */
static char *
path_of(char *line, bool *v2)
{
	char  list[256], *controllers, *path;

	line[strcspn(line, "\n")] = '\0';
	if ((controllers = strchr(line, ':')) == NULL ||
	    (path = strchr(++controllers, ':')) == NULL)
		return NULL;
	*path++ = '\0';
	*v2 = *controllers == '\0';
	snprintf(list, sizeof(list), ",%s,", controllers);
	return *v2 || strstr(list, ",cpu,") != NULL ? path : NULL;
}

static uint32_t
cgroup_quota(const char *root)
{
	char	 name[4096], mount[4096], line[4096], *path;
	uint32_t least = 0, quota;
	FILE	*file;
	bool	 v2;

	snprintf(name, sizeof(name), "%s/proc/self/cgroup", root);
	if ((file = fopen(name, "re")) == NULL)
		return 0;
	while (fgets(line, sizeof(line), file) != NULL) {
		if ((path = path_of(line, &v2)) == NULL)
			continue;
		snprintf(mount, sizeof(mount), "%s/sys/fs/cgroup%s", root,
		    v2 ? "" : "/cpu");
		quota = quota_above(mount, path);
		if (quota > 0 && (least == 0 || quota < least))
			least = quota;
	}
	fclose(file);
	return least;
}

uint32_t
processors_usable(const char *root)
{
	cpu_set_t set;
	uint32_t  usable = 1, quota = cgroup_quota(root);

	if (sched_getaffinity(0, sizeof(set), &set) == 0 &&
	    CPU_COUNT(&set) > 1)
		usable = (uint32_t)CPU_COUNT(&set);
	return quota > 0 && quota < usable ? quota : usable;
}
