/*
 * hold.c - lock files, and the directory in which they are.
 */
#include "fleet/hold.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#define MARK_MAX      32 /* "segment.18446744073709551615" */
#define SLOT_NAME_MAX 24 /* "4294967295.lock" */
#define CREATOR_NAME  "fleet.lock"

/* The number of this process: its pid, 31 random bits, and room for
 * HOLD_ATTACHED. */
static _Atomic uint64_t	self;
static _Atomic int32_t	busy; /* the pid, while a thread uses lock files; a
				 fork's copy has its parent's */

static uint64_t
pid_bits(void)
{
	return (uint64_t)(uint32_t)getpid() << 32;
}

uint64_t
hold_self(void)
{
	uint64_t	now = atomic_load(&self), mine;
	uint32_t	random = 0;

	while (now >> 32 != pid_bits() >> 32) {
		/* Four bytes always come whole. Without them the pid alone
		 * tells processes apart. */
		if (getrandom(&random, sizeof(random), GRND_NONBLOCK) == -1)
			random = 0;
		mine = pid_bits() | (uint64_t)(random & ~1U);
		if (atomic_compare_exchange_strong(&self, &now, mine))
			return mine;
	}
	return now;
}

bool
hold_begin(bool wait)
{
	int32_t	own = (int32_t)getpid(), other = 0;

	for (;;) {
		if (other != own &&
		    atomic_compare_exchange_strong(&busy, &other, own))
			return true;
		if (other != own)
			continue;
		if (!wait)
			return false;
		sched_yield();
		other = atomic_load(&busy);
	}
}

void
hold_end(void)
{
	atomic_store(&busy, 0);
}

size_t
hold_digits(char *name, uint32_t number)
{
	char	digits[HOLD_DIGITS];
	size_t	count = 0, length = 0;

	do
		digits[count++] = (char)('0' + number % 10);
	while ((number /= 10) > 0);
	while (count > 0)
		name[length++] = digits[--count];
	name[length] = '\0';
	return length;
}

static int
lock_file(int dir, const char *name, bool make)
{
	struct flock	whole = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	int		fd, saved;

	fd = openat(dir, name, O_RDWR | O_CLOEXEC | O_NOFOLLOW |
	    (make ? O_CREAT : 0), 0600);
	if (fd == -1 || fcntl(fd, F_SETLK, &whole) == 0)
		return fd;
	saved = errno;
	close(fd);
	errno = saved;
	return -1;
}

int
hold_lock(int dir, uint32_t number, bool make)
{
	char	name[SLOT_NAME_MAX];

	strcpy(name + hold_digits(name, number), ".lock");
	return lock_file(dir, name, make);
}

int
hold_lock_creator(int dir)
{
	return lock_file(dir, CREATOR_NAME, true);
}

bool
hold_has_creator(int dir)
{
	struct flock	whole = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	bool		has = false;
	int		fd;

	hold_begin(true);
	fd = openat(dir, CREATOR_NAME, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	if (fd != -1) {
		has = fcntl(fd, F_GETLK, &whole) == 0 &&
		    whole.l_type != F_UNLCK;
		close(fd);
	}
	hold_end();
	return has;
}

/* "segment.123" */
static void
mark_of(char name[MARK_MAX], ino_t segment)
{
	snprintf(name, MARK_MAX, "segment.%ju", (uintmax_t)segment);
}

bool
hold_mark(int dir, ino_t segment)
{
	char	name[MARK_MAX];
	int	fd;

	mark_of(name, segment);
	fd = openat(dir, name, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_CREAT, 0600);
	if (fd != -1)
		close(fd);
	return fd != -1;
}

bool
hold_is_of(int dir, ino_t segment)
{
	char	name[MARK_MAX];

	mark_of(name, segment);
	return faccessat(dir, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

/* The directory's path, "FILE.d"; free(3) it. NULL: errno. */
static char *
directory_of(const char *path)
{
	char	*name;

	return asprintf(&name, "%s.d", path) == -1 ? NULL : name;
}

static int
open_directory(const char *name)
{
	return open(name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

/* Call @act with each name in @dir, except "." and "..". */
static void
walk(int dir, void (*act)(int dir, const char *name, void *arg), void *arg)
{
	int		 copy = openat(dir, ".", O_RDONLY | O_DIRECTORY |
	    O_CLOEXEC);
	DIR		*list = copy == -1 ? NULL : fdopendir(copy);
	struct dirent	*entry;

	if (list == NULL && copy != -1)
		close(copy);
	while (list != NULL && (entry = readdir(list)) != NULL)
		if (strcmp(entry->d_name, ".") != 0 &&
		    strcmp(entry->d_name, "..") != 0)
			act(dir, entry->d_name, arg);
	if (list != NULL)
		closedir(list);
}

static void
remove_entry(int dir, const char *name, void *arg)
{
	(void)arg;
	unlinkat(dir, name, 0);
}

static void
empty(const char *name)
{
	int	dir = open_directory(name);

	if (dir == -1)
		return;
	walk(dir, remove_entry, NULL);
	close(dir);
}

int
hold_make_directory(const char *path)
{
	char	*name = directory_of(path);
	int	 dir = -1;

	if (name == NULL)
		return -1;
	/* Make a new directory: processes of an earlier fleet may have the old
	 * one open. */
	empty(name);
	rmdir(name);
	if (mkdir(name, 0700) == 0)
		dir = open_directory(name);
	free(name);
	return dir;
}

int
hold_open_directory(const char *path)
{
	char	*name = directory_of(path);
	int	 dir = name == NULL ? -1 : open_directory(name);

	free(name);
	return dir;
}

void
hold_remove_directory(const char *path)
{
	char	*name = directory_of(path);

	if (name == NULL)
		return;
	empty(name);
	rmdir(name);
	free(name);
}

struct owner {
	uid_t uid;
	gid_t gid;
	int error;
};

static void
chown_entry(int dir, const char *name, void *arg)
{
	struct owner	*owner = arg;

	if (fchownat(dir, name, owner->uid, owner->gid,
		AT_SYMLINK_NOFOLLOW) == -1)
		owner->error = errno;
}

int
hold_chown(int dir, uid_t uid, gid_t gid)
{
	struct owner	owner = { uid, gid, 0 };

	walk(dir, chown_entry, &owner);
	if (owner.error == 0 && fchown(dir, uid, gid) == 0)
		return 0;
	if (owner.error != 0)
		errno = owner.error;
	return -1;
}
