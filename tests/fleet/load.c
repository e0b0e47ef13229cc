/*
 * load.c - clients that ask all the time; see load.h.
 */
#include "load.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/param.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static int
client_connect(const struct fleet *fleet)
{
	struct sockaddr_in at = {
		.sin_family = AF_INET,
		.sin_port = htons((uint16_t)fleet->port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (connect(fd, (struct sockaddr *)&at, sizeof(at)) == 0)
		return fd;
	close(fd);
	return -1;
}

/* Send a request and read the answer. Returns NULL, or what went wrong; *last:
 * the answer says that the connection ends. */
static const char *
client_ask(int fd, const char *request, bool *last)
{
	static char answer[4096];
	size_t	    got = 0;
	ssize_t	    n;

	if (send(fd, request, strlen(request), MSG_NOSIGNAL) !=
	    (ssize_t)strlen(request))
		return "send";
	do {
		if ((n = recv(fd, answer + got, sizeof(answer) - 1 - got,
			 0)) <= 0)
			return got > 0 ? "an answer that was cut" : n == 0 ?
			    "an end without an answer" : "a reset";
		got += (size_t)n;
		answer[got] = '\0';
	} while (strstr(answer, "\r\n\r\nok\n") == NULL);
	*last = strcasestr(answer, "\r\nConnection: close") != NULL;
	return strncmp(answer, "HTTP/1.1 200 ", 13) == 0 ? NULL : "a status";
}

static int64_t
now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

static void
client_run(const struct fleet *fleet, struct load *load, int number,
    const struct load_client *client)
{
	char	    request[200];
	const char *why;
	bool	    last = true;
	int	    fd = -1;
	int64_t	    next = now_us(), wait;

	snprintf(request, sizeof(request),
	    "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", client->path);
	while (!atomic_load(&load->over)) {
		if (last && (fd = client_connect(fleet)) == -1)
			why = strerror(errno);
		else
			why = client_ask(fd, request, &last);
		if (why == NULL)
			atomic_fetch_add(&load->answered, 1);
		else if (atomic_fetch_add(&load->failed, 1) == 0)
			snprintf(load->why, sizeof(load->why), "%d: %s",
			    number, why);
		last = last || why != NULL;
		if (last && fd != -1) {
			close(fd);
			atomic_fetch_add(&load->closed, 1);
		}
		next = MAX(next + client->every_us, now_us() + client->rest_us);
		while ((wait = next - now_us()) > 0)
			usleep((useconds_t)wait);
	}
	_exit(0);
}

struct load *
load_begin(const struct fleet *fleet)
{
	static const struct load_client clients[LOAD_CLIENTS] = {
		{ .path = "/slow", .rest_us = 500 },
		{ .path = "/", .rest_us = 500 },
		{ .path = "/", .rest_us = 500 },
		{ .path = "/", .rest_us = 20000 },
	};

	return load_begin_with(fleet, clients, LOAD_CLIENTS);
}

struct load *
load_begin_with(const struct fleet *fleet, const struct load_client *clients,
    int count)
{
	struct load *load = mmap(NULL, sizeof(*load), PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	ck_assert_ptr_ne(load, MAP_FAILED);
	ck_assert_int_le(count, LOAD_CLIENTS_MAX);
	load->began = fleet_now();
	load->count = count;
	for (int i = 0; i < count; i++)
		if ((load->clients[i] = fork()) == 0)
			client_run(fleet, load, i, &clients[i]);
	return load;
}

void
load_end(const struct fleet *fleet, struct load *load, const char *what)
{
	int64_t took = fleet_now() - load->began;

	atomic_store(&load->over, true);
	for (int i = 0; i < load->count; i++)
		waitpid(load->clients[i], NULL, 0);
	fprintf(stderr, "# %s: %u requests, %jd a second, %u failed\n", what,
	    load->answered, (intmax_t)(load->answered * 1000 / took),
	    load->failed);
	ck_assert_msg(load->failed == 0, "%u of %u; the first: %s; %s",
	    load->failed, load->answered, load->why, fleet_log_text(fleet));
}
