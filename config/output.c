/*
 * output.c - where the lines of a log go, without waiting for a reader.
 *
 * O_NONBLOCK belongs to the open file, which is shared with the shell that
 * started the process: setting it on standard error would break the shell's. So
 * a pipe or terminal is opened once more, through /proc/self/fd. If that is
 * refused (a terminal of another user), RWF_NOWAIT asks the kernel not to wait.
 * If the file does not support that, poll(2) asks for room, which another
 * process may take in between.
 */
#include "output.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <paths.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

static bool
is_stream(int fd, mode_t mode)
{
	return S_ISFIFO(mode) || isatty(fd);
}

int
output_reopen(int fd)
{
	struct stat status;
	char	    path[64];

	if (fstat(fd, &status) == -1 || !is_stream(fd, status.st_mode))
		return -1;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return open(path, O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
}

/* Make the shared counters of dropped lines, before the first fork. */
static void
count_drops(struct output *output)
{
	output->dropped = mmap(NULL, sizeof(output->uncounted),
	    PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (output->dropped == MAP_FAILED)
		output->dropped = output->uncounted;
	output->lost = output->dropped + 1;
	output->renewals = output->dropped + 2;
}

void
output_open(struct output *output, int fd)
{
	struct stat status;
	int	    own;

	*output = (struct output) { .kind = OUTPUT_FILE, .fd = fd };
	count_drops(output);
	if (fstat(fd, &status) == -1)
		return;
	if (S_ISSOCK(status.st_mode))
		output->kind = OUTPUT_SOCKET;
	else if ((own = output_reopen(fd)) != -1) {
		output->kind = OUTPUT_STREAM;
		output->fd = own;
	} else if (is_stream(fd, status.st_mode))
		output->kind = OUTPUT_FOREIGN;
}

void
output_open_syslog(struct output *output, const char *path)
{
	*output = (struct output) { .kind = OUTPUT_SYSLOG, .fd = -1,
		.path = strdup(path != NULL ? path : _PATH_LOG) };
	count_drops(output);
}

/* Open a file, which must be regular: others may block. -1: errno, or @why. */
static int
open_file(const char *path, int flags, const char **why)
{
	struct stat status;
	int	    fd;

	*why = NULL;
	fd = open(path, O_WRONLY | O_APPEND | O_NONBLOCK | O_NOCTTY |
	    O_CLOEXEC | flags, 0640);
	if (fd == -1)
		*why = strerror(errno);
	else if (fstat(fd, &status) == -1 || !S_ISREG(status.st_mode)) {
		*why = "is no regular file";
		close(fd);
		fd = -1;
	}
	return fd;
}

bool
output_open_file(struct output *output, const char *path, const char **why)
{
	*output = (struct output) { .kind = OUTPUT_NAMED,
		.path = strdup(path) };
	count_drops(output);
	if (output->path == NULL) {
		output->fd = -1;
		*why = strerror(ENOMEM);
	} else
		output->fd = open_file(path, O_CREAT, why);
	if (output->fd != -1)
		return true;
	output_close(output);
	return false;
}

bool
output_check_file(const char *path, const char **why)
{
	char directory[PATH_MAX];
	int  fd = open_file(path, 0, why);

	if (fd != -1) {
		close(fd);
		return true;
	}
	if (errno != ENOENT || strlcpy(directory, path, sizeof(directory)) >=
	    sizeof(directory))
		return false;
	*strrchr(directory, '/') = '\0';
	if (access(directory[0] == '\0' ? "/" : directory, W_OK | X_OK) == 0)
		return true;
	*why = strerror(errno);
	return false;
}

/* Open the file anew under the same number, which other code may know. */
static bool
open_anew(struct output *output, const char **why)
{
	int fd = open_file(output->path, O_CREAT, why);

	if (fd == -1)
		return false;
	dup3(fd, output->fd, O_CLOEXEC);
	close(fd);
	return true;
}

bool
output_renew(struct output *output, const char **why)
{
	if (!open_anew(output, why))
		return false;
	output->renewed = atomic_fetch_add(output->renewals, 1) + 1;
	return true;
}

bool
output_follow(struct output *output, const char **why)
{
	unsigned long renewals;

	if (output->kind != OUTPUT_NAMED ||
	    (renewals = atomic_load(output->renewals)) == output->renewed)
		return true;
	output->renewed = renewals;
	return open_anew(output, why);
}

void
output_close(struct output *output)
{
	if ((output->kind == OUTPUT_STREAM || output->kind == OUTPUT_SYSLOG ||
		output->kind == OUTPUT_NAMED) && output->fd != -1)
		close(output->fd);
	output->fd = -1;
	free(output->path);
	output->path = NULL;
	if (output->dropped != output->uncounted)
		munmap(output->dropped, sizeof(output->uncounted));
	output->dropped = output->uncounted;
	output->lost = output->dropped + 1;
	output->renewals = output->dropped + 2;
}

static ssize_t
write_foreign(int fd, const char *text, size_t length)
{
	struct iovec  piece = { .iov_base = (char *)(uintptr_t)text,
		.iov_len = length };
	struct pollfd room = { .fd = fd, .events = POLLOUT };
	ssize_t	      written;

	written = pwritev2(fd, &piece, 1, -1, RWF_NOWAIT);
	if (written >= 0 || (errno != EOPNOTSUPP && errno != ENOSYS))
		return written;
	if (poll(&room, 1, 0) == 1 && (room.revents & POLLOUT) != 0)
		return write(fd, text, length);
	errno = EAGAIN;
	return -1;
}

/* Write @text without waiting. Returns how many bytes left; 0: none. */
static size_t
write_now(struct output *output, const char *text, size_t length)
{
	ssize_t written;

	do
		switch (output->kind) {
		case OUTPUT_SOCKET:
			written = send(output->fd, text, length,
			    MSG_DONTWAIT | MSG_NOSIGNAL);
			break;
		case OUTPUT_FOREIGN:
			written = write_foreign(output->fd, text, length);
			break;
		default:
			written = write(output->fd, text, length);
		}
	while (written == -1 && errno == EINTR);
	return written < 0 ? 0 : (size_t)written;
}

static int
syslog_dial(const char *path)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	int		   fd;

	if (path == NULL || strlen(path) >= sizeof(at.sun_path))
		return -1;
	memcpy(at.sun_path, path, strlen(path));
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd != -1 && connect(fd, (struct sockaddr *)&at, sizeof(at)) != 0) {
		close(fd);
		fd = -1;
	}
	return fd;
}

/* Send a datagram as syslog(3) does, but without waiting for the daemon;
 * connects again after the daemon was restarted. */
static bool
write_syslog(struct output *output, const char *line, size_t length,
    int priority)
{
	char	  text[OUTPUT_LINE_MAX + 64];
	time_t	  now = time(NULL);
	struct tm local;
	size_t	  used;

	localtime_r(&now, &local);
	used = (size_t)snprintf(text, 64, "<%d>", priority);
	used += strftime(text + used, 64 - used, "%h %e %T ", &local);
	used += (size_t)snprintf(text + used, 64 - used, "mews[%d]: ",
	    (int)getpid());
	memcpy(text + used, line, length);
	used += length - 1;	/* without the newline */
	for (int tries = 0; tries < 2; tries++) {
		if (output->fd == -1)
			output->fd = syslog_dial(output->path);
		if (output->fd == -1)
			return false;
		if (send(output->fd, text, used,
			MSG_DONTWAIT | MSG_NOSIGNAL) >= 0)
			return true;
		if (errno == EAGAIN || errno == ENOBUFS)
			return false;
		close(output->fd);
		output->fd = -1;
	}
	return false;
}

/* Write the rest of a line before the next one. */
static bool
flush_rest(struct output *output)
{
	size_t written;

	if (output->rest_length == 0)
		return true;
	written = write_now(output, output->rest, output->rest_length);
	output->rest_length -= written;
	memmove(output->rest, output->rest + written, output->rest_length);
	return output->rest_length == 0;
}

bool
output_write(struct output *output, const char *line, size_t length,
    int priority)
{
	size_t written;

	if (output->kind == OUTPUT_SYSLOG)
		return write_syslog(output, line, length, priority);
	if (!flush_rest(output) ||
	    (written = write_now(output, line, length)) == 0)
		return false;
	output->rest_length = length - written;
	memcpy(output->rest, line + written, output->rest_length);
	return true;
}
