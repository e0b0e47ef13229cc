/*
 * host.c - run a host that embeds the library, as its own process.
 */
#include "host.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

int64_t
host_now(void)
{
	struct timespec	ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

void
host_pause(void)
{
	poll(NULL, 0, 5);
}

void
host_start(struct host *host, const char *name)
{
	char	path[512];
	int	in[2], out[2], log;

	memset(host, 0, sizeof(*host));
	snprintf(path, sizeof(path), "%s/%s", getenv("MEWS_EXAMPLES"), name);
	strcpy(host->log, "/tmp/mews-embed-XXXXXX");
	ck_assert_int_ge(log = mkstemp(host->log), 0);
	ck_assert_int_eq(pipe2(in, O_CLOEXEC), 0);
	ck_assert_int_eq(pipe2(out, O_CLOEXEC), 0);
	if ((host->pid = fork()) == 0) {
		dup2(in[0], STDIN_FILENO);
		dup2(out[1], STDOUT_FILENO);
		dup2(log, STDERR_FILENO);
		execl(path, name, getenv("MEWS_A"), getenv("MEWS_B"),
		    getenv("MEWS_C"), NULL);
		_exit(127);
	}
	ck_assert_int_gt(host->pid, 0);
	close(in[0]);
	close(out[1]);
	close(log);
	host->in = in[1];
	host->out = out[0];
}

const char *
host_line(struct host *host, int timeout_ms)
{
	struct pollfd	 wait = { .fd = host->out, .events = POLLIN };
	char		*end;
	size_t		 length;
	ssize_t		 got;

	while ((end = memchr(host->buffer, '\n', host->length)) == NULL) {
		if (poll(&wait, 1, timeout_ms) <= 0)
			return NULL;
		got = read(host->out, host->buffer + host->length,
		    sizeof(host->buffer) - host->length);
		if (got <= 0)
			return NULL;
		host->length += (size_t)got;
	}
	length = (size_t)(end - host->buffer);
	ck_assert_uint_lt(length, sizeof(host->answer));
	memcpy(host->answer, host->buffer, length);
	host->answer[length] = '\0';
	host->length -= length + 1;
	memmove(host->buffer, end + 1, host->length);
	return host->answer;
}

int
host_workers(const struct host *host, pid_t pids[HOST_WORKERS_MAX])
{
	char	 path[64];
	FILE	*f;
	int	 count = 0;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", host->pid,
	    host->pid);
	if ((f = fopen(path, "re")) == NULL)
		return 0;
	while (count < HOST_WORKERS_MAX && fscanf(f, "%d", &pids[count]) == 1)
		count++;
	fclose(f);
	return count;
}

/* Does the process live? A zombie does not, even if its parent did not wait
 * yet. */
bool
process_lives(pid_t pid)
{
	char	 path[64], stat[256] = "";
	FILE	*f;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	if ((f = fopen(path, "re")) == NULL)
		return false;
	if (fgets(stat, sizeof(stat), f) == NULL)
		stat[0] = '\0';
	fclose(f);
	return stat[0] != '\0' && strstr(stat, ") Z ") == NULL;
}

int
host_end(struct host *host, int signal)
{
	pid_t	pids[HOST_WORKERS_MAX], ended;
	int	count = host_workers(host, pids), status;

	if (signal != 0)
		ck_assert_int_eq(kill(host->pid, signal), 0);
	close(host->in);
	HOST_WAIT((ended = waitpid(host->pid, &status, WNOHANG)) != 0);
	ck_assert_int_eq(ended, host->pid);
	for (int i = 0; i < count; i++)
		HOST_WAIT(!process_lives(pids[i]));
	close(host->out);
	unlink(host->log);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

bool
host_logged(const struct host *host, const char *text)
{
	static char	all[1 << 20];
	ssize_t		length;
	int		fd = open(host->log, O_RDONLY | O_CLOEXEC);

	length = read(fd, all, sizeof(all) - 1);
	close(fd);
	all[length > 0 ? length : 0] = '\0';
	return strstr(all, text) != NULL;
}

void
servers(const char *command, const char *name)
{
	const char     *path = getenv("MEWS_SERVERS");
	int		status;
	pid_t		pid = fork();

	if (pid == 0) {
		execl(path, path, command, getenv("MEWS_SERVERS_DIR"), name,
		    NULL);
		_exit(127);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_msg(status == 0, "servers %s %s failed", command, name);
}

int
command_output(const char *command, char *text, size_t size)
{
	char	line[1024];
	FILE   *f;
	size_t	length;
	int	status;

	snprintf(line, sizeof(line), "%s 2>&1", command);
	ck_assert_ptr_nonnull(f = popen(line, "re"));
	length = fread(text, 1, size - 1, f);
	text[length] = '\0';
	status = pclose(f);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}
