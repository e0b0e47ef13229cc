/*
 * server.c - a real worker, in a process of its own; see server.h.
 */
#include "server.h"

#include <arpa/inet.h>
#include <check.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define START_MS 10000 /* longer, as a worker under a sanitizer is slow */

int64_t
now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static int
listen_somewhere(uint16_t *port)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t length = sizeof(address);
	int	fd;

	fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	ck_assert_int_ne(fd, -1);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, length), 0);
	ck_assert_int_eq(listen(fd, SOMAXCONN), 0);
	ck_assert_int_eq(
	    getsockname(fd, (struct sockaddr *)&address, &length), 0);
	*port = ntohs(address.sin_port);
	return fd;
}

/* Use the defaults of mews.conf for what the test did not set. */
static void
set_defaults(struct config_http *http)
{
#define DEFAULT(field, value) http->field = http->field ? http->field : value
	DEFAULT(max_connections, 8192);
	DEFAULT(header_timeout, 10000);
	DEFAULT(idle_timeout, 75000);
	DEFAULT(request_timeout, 30000);
	DEFAULT(max_header_size, 16384);
	DEFAULT(max_body_size, 1048576);
#undef DEFAULT
}

void
server_fork(struct server *server, const struct server_options *options)
{
	static const struct server_options none;
	struct mews_endpoint_config endpoint = { .name = "silent" };
	struct mews_group_config group = { .name = "read" };
	struct mews_error error;
	struct config config;
	uint16_t silent_port;
	char	conninfo[80];
	int	channel[2];

	if (options == NULL)
		options = &none;
	server->listener = listen_somewhere(&server->port);
	server->silent = listen_somewhere(&silent_port);
	ck_assert_int_eq(pipe(channel), 0);
	server->channel = channel[1];
	snprintf(conninfo, sizeof(conninfo), "host=127.0.0.1 port=%u",
	    (unsigned)silent_port);
	endpoint.conninfo = options->conninfo == NULL ?
	    conninfo : options->conninfo;
	config = (struct config){
		.workers = 1,
		.graceful_timeout = options->graceful_timeout == 0 ?
		    10000 : options->graceful_timeout,
		.worker_timeout = 30000,
		.http = options->http,
		.fleet = { .abi = MEWS_ABI, .instance = "test", .workers = 1,
			.endpoints = &endpoint, .endpoint_count = 1,
			.groups = &group, .group_count = 1 },
	};
	set_defaults(&config.http);
	ck_assert_msg(mews_fleet_create(&server->fleet, &config.fleet,
	    &error) == MEWS_OK, "%s", error.message);

	fflush(NULL);
	if ((server->pid = fork()) == 0) {
		struct worker_args args = {
			.config = &config, .fleet = server->fleet,
			.app = options->app == NULL ?
			    &test_app : options->app,
			.listeners = &server->listener, .listener_count = 1,
			.channel = channel[0],
			.log = { .where = CONFIG_LOG_STDERR,
				.level = MEWS_LOG_WARNING,
				.process = "worker" },
		};
		int	status;

		close(channel[1]);
		close(server->silent);
		status = worker_run(&args);
		mews_fleet_destroy(&server->fleet);
		exit(status);
	}
	ck_assert_int_ne(server->pid, -1);
	close(channel[0]);
}

void
server_start(struct server *server, const struct server_options *options)
{
	int64_t	end = now_ms() + START_MS;

	server_fork(server, options);
	while (mews_fleet_state(server->fleet, server->pid) !=
	    MEWS_WORKER_READY) {
		ck_assert_int_eq(waitpid(server->pid, NULL, WNOHANG), 0);
		ck_assert_msg(now_ms() < end, "the worker does not start");
		usleep(1000);
	}
}

/* User and system time of the server, in clock ticks. */
static unsigned long
server_ticks(const struct server *server)
{
	unsigned long user, system;
	char	path[64];
	FILE	*file;

	snprintf(path, sizeof(path), "/proc/%ld/stat", (long)server->pid);
	ck_assert_ptr_nonnull(file = fopen(path, "r"));
	ck_assert_int_eq(fscanf(file, "%*d (%*[^)]) %*c %*d %*d %*d %*d %*d "
	    "%*u %*u %*u %*u %*u %lu %lu", &user, &system), 2);
	fclose(file);
	return user + system;
}

long
server_resident_kb(const struct server *server)
{
	char	path[64];
	long	pages;
	FILE	*file;

	snprintf(path, sizeof(path), "/proc/%ld/statm", (long)server->pid);
	ck_assert_ptr_nonnull(file = fopen(path, "r"));
	ck_assert_int_eq(fscanf(file, "%*d %ld", &pages), 1);
	fclose(file);
	return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

void
server_expect_idle(const struct server *server)
{
	unsigned long before, used = 0, limit;

	limit = (unsigned long)sysconf(_SC_CLK_TCK) / 10;
	/* At first the worker may still do what it was asked for before. */
	for (int i = 0; i < 10; i++) {
		before = server_ticks(server);
		usleep(500000);
		if ((used = server_ticks(server) - before) <= limit)
			return;
	}
	ck_abort_msg("the worker takes %lu ticks in half a second", used);
}

void
server_freeze(const struct server *server)
{
	int	status;

	ck_assert_int_eq(kill(server->pid, SIGSTOP), 0);
	ck_assert_int_eq(waitpid(server->pid, &status, WUNTRACED), server->pid);
	ck_assert(WIFSTOPPED(status));
}

void
server_thaw(const struct server *server)
{
	ck_assert_int_eq(kill(server->pid, SIGCONT), 0);
}

int
server_wait(struct server *server)
{
	int	status;

	ck_assert_int_eq(waitpid(server->pid, &status, 0), server->pid);
	mews_fleet_reap(server->fleet, server->pid);
	mews_fleet_destroy(&server->fleet);
	close(server->listener);
	close(server->silent);
	if (server->channel != -1)
		close(server->channel);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

void
server_stop(struct server *server)
{
	ck_assert_int_eq(kill(server->pid, SIGTERM), 0);
	ck_assert_int_eq(server_wait(server), 0);
}
