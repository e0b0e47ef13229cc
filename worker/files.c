/*
 * files.c - how many descriptors a worker needs, and how many it may have.
 */
#include "files.h"

#include <sys/param.h>
#include <sys/resource.h>

#define FILES_WANTED 65536 /* where the hard limit allows it */
#define FILES_SPARE  64	   /* neither for clients nor for servers */

uint64_t
files_besides_clients(const struct mews_config *fleet, unsigned slots)
{
	uint64_t sum = FILES_SPARE + slots;

	for (size_t i = 0; i < fleet->group_count; i++)
		sum += fleet->groups[i].connection_count == 0 ?
		    MEWS_CONNECTION_COUNT_DEFAULT :
		    fleet->groups[i].connection_count;
	return sum;
}

uint64_t
files_allowed(bool raise)
{
	struct rlimit files;

	if (getrlimit(RLIMIT_NOFILE, &files) == -1)
		return UINT64_MAX;
	if (files.rlim_cur < FILES_WANTED) {
		files.rlim_cur = MIN(files.rlim_max, FILES_WANTED);
		if (raise && (setrlimit(RLIMIT_NOFILE, &files) == -1) &&
		    getrlimit(RLIMIT_NOFILE, &files) == -1)
			return UINT64_MAX;
	}
	return files.rlim_cur;
}
