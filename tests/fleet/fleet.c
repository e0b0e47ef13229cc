/*
 * fleet.c - run the real mews command as a user would; see fleet.h.
 */
#include "fleet.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pwd.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>

static char base[200];

int64_t
fleet_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* The user that root becomes must be able to enter the directory. */
int
fleet_count_lines(const char *text)
{
	int count = 0;

	for (; *text != '\0'; text++)
		count += *text == '\n';
	return count;
}

void
fleet_write_file(const char *dir, const char *name, const char *text,
    mode_t mode)
{
	char path[512];
	int  fd;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, mode);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, text, strlen(text)), (int)strlen(text));
	close(fd);
}

char *
fleet_open_file(const struct fleet *fleet, char *path, size_t size,
    const char *name, const char *variable)
{
	int fd;

	snprintf(path, size, "%s/%s", fleet->dir, name);
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(fchmod(fd, 0666), 0);
	close(fd);
	if (variable != NULL)
		setenv(variable, path, 1);
	return path;
}

void
fleet_make_base(void)
{
	const char *tmp = getenv("TMPDIR");

	snprintf(base, sizeof(base), "%s/mews-fleet.XXXXXX",
	    tmp != NULL ? tmp : "/tmp");
	if (mkdtemp(base) == NULL || chmod(base, 0755) != 0)
		abort();
}

void
fleet_remove_base(void)
{
	pid_t pid;

	if ((pid = fork()) == 0) {
		execlp("rm", "rm", "-rf", base, NULL);
		_exit(127);
	}
	waitpid(pid, NULL, 0);
}

static struct sockaddr_in
loopback(unsigned port)
{
	return (struct sockaddr_in) {
		.sin_family = AF_INET,
		.sin_port = htons((uint16_t)port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
}

/* A socket bound to @port; -1 if another process is. */
static int
bind_port(unsigned port)
{
	struct sockaddr_in at = loopback(port);
	int		   fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	ck_assert_int_ge(fd, 0);
	if (bind(fd, (struct sockaddr *)&at, sizeof(at)) == 0)
		return fd;
	ck_assert_int_eq(errno, EADDRINUSE);
	close(fd);
	return -1;
}

int
fleet_take_port(const struct fleet *fleet)
{
	int fd = bind_port(fleet->port);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(listen(fd, 1), 0);
	return fd;
}

/* A port of 127.0.0.1 that nothing listens at. Ports from 32768 on are the
 * kernel's, which would lend one to a client of another test. */
unsigned
fleet_free_port(void)
{
	unsigned port;
	int	 fd;

	do
		port = 10000 + arc4random_uniform(22000);
	while ((fd = bind_port(port)) == -1);
	close(fd);
	return port;
}

uid_t
fleet_user(void)
{
	return getuid() == 0 ? getpwnam("nobody")->pw_uid : getuid();
}

/* mews makes and removes the runtime directory: as nobody, if the test is
 * root's, so the directory of the test belongs to nobody. */
void
fleet_init(struct fleet *fleet, const char *more)
{
	FILE *f;

	memset(fleet, 0, sizeof(*fleet));
	snprintf(fleet->dir, sizeof(fleet->dir), "%s/XXXXXX", base);
	ck_assert_ptr_nonnull(mkdtemp(fleet->dir));
	ck_assert_int_eq(chown(fleet->dir, fleet_user(), (gid_t)-1), 0);
	ck_assert_int_eq(chmod(fleet->dir, 0755), 0);
	snprintf(fleet->config, sizeof(fleet->config), "%s/mews.conf",
	    fleet->dir);
	snprintf(fleet->runtime, sizeof(fleet->runtime), "%s/run",
	    fleet->dir);
	snprintf(fleet->log, sizeof(fleet->log), "%s/log", fleet->dir);
	snprintf(fleet->socket, sizeof(fleet->socket), "%s/http.sock",
	    fleet->runtime);
	fleet->port = fleet_free_port();

	f = fopen(fleet->config, "w");
	ck_assert_ptr_nonnull(f);
	fprintf(f,
	    "listen = {\"127.0.0.1:%u\", \"unix:%s\"}\n"
	    "app = \"%s\"\n"
	    "instance = \"test\"\n"
	    "runtime_dir = \"%s\"\n"
	    "workers = 2\n"
	    "log_level = debug\n"
	    "endpoint \"a\" { conninfo = \"host=127.0.0.1 port=%u\" }\n"
	    "group \"read\" { role = any }\n"
	    "%s",
	    fleet->port, fleet->socket, getenv("MEWS_TEST_APP"),
	    fleet->runtime, fleet_free_port(), more);
	fclose(f);
}

void
fleet_edit(const struct fleet *fleet, const char *from, const char *to)
{
	char   text[8192], *at;
	FILE  *f = fopen(fleet->config, "r");
	size_t length;

	ck_assert_ptr_nonnull(f);
	length = fread(text, 1, sizeof(text) - 1, f);
	text[length] = '\0';
	fclose(f);
	ck_assert_msg((at = strstr(text, from)) != NULL, "no %s", from);
	f = fopen(fleet->config, "w");
	ck_assert_ptr_nonnull(f);
	fprintf(f, "%.*s%s%s", (int)(at - text), text, to,
	    at + strlen(from));
	ck_assert_int_eq(fclose(f), 0);
}

void
fleet_launch_log(struct fleet *fleet, int log)
{
	if ((fleet->master = fork()) != 0) {
		ck_assert_int_gt(fleet->master, 0);
		close(log);
		return;
	}
	dup2(log, STDOUT_FILENO);
	dup2(log, STDERR_FILENO);
	execl(getenv("MEWS"), getenv("MEWS"), "run", "-c", fleet->config,
	    NULL);
	_exit(127);
}

void
fleet_ignore_leaks(void)
{
	const char *options = getenv("ASAN_OPTIONS");
	char	    more[500];

	snprintf(more, sizeof(more), "%s:detect_leaks=0",
	    options != NULL ? options : "");
	setenv("ASAN_OPTIONS", more, 1);
}

void
fleet_launch(struct fleet *fleet)
{
	unlink(fleet->log);	/* the log of a start before */
	fleet_launch_log(fleet,
	    open(fleet->log, O_WRONLY | O_CREAT | O_CLOEXEC, 0644));
}

void
fleet_start(struct fleet *fleet)
{
	fleet_launch(fleet);
	fleet_wait(fleet_logged(fleet, "event=ready workers=") == 1 &&
	    fleet_logged(fleet, "event=ready monitors=") == 1);
}

/* A signal to the pid 0 would be for this test's processes. */
void
fleet_keep(struct fleet *fleet)
{
	unlink(fleet->log);
	if ((fleet->master = fork()) == 0) {
		int log = open(fleet->log, O_WRONLY | O_CREAT, 0644);

		dup2(log, STDOUT_FILENO);
		dup2(log, STDERR_FILENO);
		execl(getenv("MEWS"), "mews", "monitor", "-c", fleet->config,
		    NULL);
		_exit(127);
	}
	ck_assert_int_gt(fleet->master, 0);
	fleet_wait(fleet_logged(fleet, "event=ready monitors=1") == 1);
}

pid_t
fleet_pid(const struct fleet *fleet)
{
	char  path[400];
	FILE *f;
	int   pid = 0;

	snprintf(path, sizeof(path), "%s/test.pid", fleet->runtime);
	if ((f = fopen(path, "re")) == NULL)
		return 0;
	if (fscanf(f, "%d", &pid) != 1)
		pid = 0;
	fclose(f);
	return pid;
}

void
fleet_follow(struct fleet *fleet)
{
	pid_t got;
	int   status;

	fleet_wait((got = waitpid(fleet->master, &status, WNOHANG)) != 0);
	ck_assert_int_eq(got, fleet->master);
	ck_assert_int_eq(status, 0);
	fleet->master = fleet_pid(fleet);
}

void
fleet_upgrade(const struct fleet *fleet)
{
	struct said said;

	mews(&said, "upgrade", "-c", fleet->config, NULL);
	ck_assert_msg(said.status == 0, "%d %s%s", said.status, said.err,
	    fleet_log_text(fleet));
	ck_assert_ptr_nonnull(strstr(said.out, "serves"));
}

void
fleet_signal(const struct fleet *fleet, int signal)
{
	ck_assert_int_gt(fleet->master, 0);
	ck_assert_int_eq(kill(fleet->master, signal), 0);
}

int
fleet_end(struct fleet *fleet, int signal)
{
	pid_t got;
	int   status;

	fleet_signal(fleet, signal);
	fleet_wait((got = waitpid(fleet->master, &status, WNOHANG)) != 0);
	ck_assert_int_eq(got, fleet->master);
	fleet->master = 0;
	ck_assert_msg(fleet_logged(fleet, "Sanitizer") == 0 &&
		fleet_logged(fleet, "runtime error") == 0,
	    "%.4000s", fleet_log_text(fleet)); /* Check's limit */
	return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

pid_t
fleet_monitor(const struct fleet *fleet)
{
	static const char started[] = "event=monitor_started ";
	const char	 *at = fleet_log_text(fleet), *last = NULL;

	while ((at = strstr(at, started)) != NULL)
		last = at++;
	if (last == NULL)
		return 0;
	return (pid_t)atoi(strstr(last, "monitor_pid=") +
	    strlen("monitor_pid="));
}

/* The pids of the master's children, without the monitor's. */
int
fleet_workers(const struct fleet *fleet, pid_t pids[FLEET_WORKERS_MAX])
{
	pid_t monitor = fleet_monitor(fleet);
	char  path[64];
	FILE *f;
	int   count = 0;

	snprintf(path, sizeof(path), "/proc/%jd/task/%jd/children",
	    (intmax_t)fleet->master, (intmax_t)fleet->master);
	f = fopen(path, "re");
	ck_assert_ptr_nonnull(f);
	while (count < FLEET_WORKERS_MAX &&
	    fscanf(f, "%d", &pids[count]) == 1)
		count += pids[count] != monitor;
	fclose(f);
	return count;
}

/* Is the process alive? A zombie is not, even if its parent did not wait
 * yet. */
bool
fleet_is_alive(pid_t pid)
{
	char  path[64], stat[256] = "";
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%jd/stat", (intmax_t)pid);
	if ((f = fopen(path, "re")) == NULL)
		return false;
	if (fgets(stat, sizeof(stat), f) == NULL)
		stat[0] = '\0';
	fclose(f);
	return stat[0] != '\0' && strstr(stat, ") Z ") == NULL;
}

const char *
fleet_log_text(const struct fleet *fleet)
{
	static char text[65536];
	ssize_t	    length = 0;
	int	    fd;

	if ((fd = open(fleet->log, O_RDONLY | O_CLOEXEC)) >= 0) {
		length = read(fd, text, sizeof(text) - 1);
		close(fd);
	}
	text[length > 0 ? length : 0] = '\0';
	return text;
}

int
fleet_logged(const struct fleet *fleet, const char *text)
{
	const char *at = fleet_log_text(fleet);
	int	    count = 0;

	while ((at = strstr(at, text)) != NULL) {
		count++;
		at += strcspn(at, "\n");
	}
	return count;
}

static int
dial_tcp(const struct fleet *fleet)
{
	struct sockaddr_in at = loopback(fleet->port);
	int		   fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (connect(fd, (struct sockaddr *)&at, sizeof(at)) == 0)
		return fd;
	close(fd);
	return -1;
}

static int
dial_unix(const struct fleet *fleet)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	int		   fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	ck_assert_uint_lt(strlen(fleet->socket), sizeof(at.sun_path));
	memcpy(at.sun_path, fleet->socket, strlen(fleet->socket));
	if (connect(fd, (struct sockaddr *)&at, sizeof(at)) == 0)
		return fd;
	close(fd);
	return -1;
}

/* Send one request on a connection of its own, and close it. The body of the
 * test application ends in "ok\n". */
static int
get(int fd, const char *path, char *answer, size_t size)
{
	const struct timeval limit = { .tv_sec = FLEET_WAIT_MS / 1000 };
	char		     request[2048];
	size_t		     length = 0;
	ssize_t		     got;
	int		     status = 0;

	answer[0] = '\0';
	if (fd < 0)
		return 0;
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	snprintf(request, sizeof(request),
	    "GET %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", path);
	send(fd, request, strlen(request), MSG_NOSIGNAL);
	while (length < size - 1 &&
	    (got = recv(fd, answer + length, size - 1 - length, 0)) > 0)
		length += (size_t)got;
	answer[length] = '\0';
	close(fd);
	if (sscanf(answer, "HTTP/1.1 %d", &status) != 1 ||
	    strstr(answer, "\r\n\r\nok\n") == NULL)
		return 0;
	return status;
}

void
fleet_send(const struct fleet *fleet, const char *bytes)
{
	const struct timeval limit = { .tv_sec = FLEET_WAIT_MS / 1000 };
	char		     answer[4096];
	int		     fd = dial_tcp(fleet);

	if (fd < 0)
		return;
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	send(fd, bytes, strlen(bytes), MSG_NOSIGNAL);
	while (recv(fd, answer, sizeof(answer), 0) > 0)
		;
	close(fd);
}

int
fleet_get(const struct fleet *fleet, const char *path)
{
	char answer[4096];

	return get(dial_tcp(fleet), path, answer, sizeof(answer));
}

int
fleet_get_unix(const struct fleet *fleet, const char *path)
{
	char answer[4096];

	return get(dial_unix(fleet), path, answer, sizeof(answer));
}

pid_t
fleet_get_worker(const struct fleet *fleet)
{
	static const char header[] = "Mews-Worker: ";
	char		  answer[4096];
	const char	 *at;

	if (get(dial_tcp(fleet), "/", answer, sizeof(answer)) != 200 ||
	    (at = strcasestr(answer, header)) == NULL)
		return 0;
	return (pid_t)atoi(at + strlen(header));
}

static void
read_all(int fd, char *text, size_t size)
{
	size_t	length = 0;
	ssize_t got;

	while (length < size - 1 &&
	    (got = read(fd, text + length, size - 1 - length)) > 0)
		length += (size_t)got;
	text[length] = '\0';
	close(fd);
}

void
mews(struct said *said, ...)
{
	char   *argv[12] = { (char *)(uintptr_t)"mews" };
	int	out[2], err[2], status;
	va_list ap;
	pid_t	pid;

	va_start(ap, said);
	for (int i = 1; (argv[i] = va_arg(ap, char *)) != NULL; i++)
		ck_assert_int_lt(i, 11);
	va_end(ap);
	ck_assert_int_eq(pipe2(out, O_CLOEXEC), 0);
	ck_assert_int_eq(pipe2(err, O_CLOEXEC), 0);
	if ((pid = fork()) == 0) {
		dup2(out[1], STDOUT_FILENO);
		dup2(err[1], STDERR_FILENO);
		execv(getenv("MEWS"), argv);
		_exit(127);
	}
	close(out[1]);
	close(err[1]);
	read_all(out[0], said->out, sizeof(said->out));
	read_all(err[0], said->err, sizeof(said->err));
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	said->status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}
