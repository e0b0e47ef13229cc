/*
 * passed.c - listening sockets that systemd, or another parent, passed on.
 */
#include "passed.h"

#include "fail.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/param.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define FIRST 3

union address {
	struct sockaddr	    any;
	struct sockaddr_in  v4;
	struct sockaddr_in6 v6;
	struct sockaddr_un  local;
};

void
passed_find(struct passed *passed)
{
	const char *pid = getenv("LISTEN_PID"), *fds = getenv("LISTEN_FDS");

	passed->count = 0;
	if (pid != NULL && fds != NULL && atol(pid) == getpid())
		passed->count = MAX(MIN(atoi(fds), PASSED_MAX), 0);
	for (int i = 0; i < passed->count; i++) {
		passed->fds[i] = FIRST + i;
		fcntl(FIRST + i, F_SETFD, FD_CLOEXEC);
		fcntl(FIRST + i, F_SETFL,
		    fcntl(FIRST + i, F_GETFL) | O_NONBLOCK);
	}
	unsetenv("LISTEN_PID");
	unsetenv("LISTEN_FDS");
	unsetenv("LISTEN_FDNAMES");
}

static bool
address_of(int fd, union address *at)
{
	socklen_t length = sizeof(*at);
	int	  listens = 0;
	socklen_t size = sizeof(listens);

	memset(at, 0, sizeof(*at));
	return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) ==
	    0 && listens != 0 && getsockname(fd, &at->any, &length) == 0;
}

static bool
is_at(const union address *at, const struct config_listen *where)
{
	const char     *host = where->host;
	struct in_addr	v4 = { htonl(INADDR_ANY) };
	struct in6_addr v6 = in6addr_any;

	switch (at->any.sa_family) {
	case AF_UNIX:
		return where->path != NULL &&
		    strcmp(at->local.sun_path, where->path) == 0;
	case AF_INET:
		return where->path == NULL &&
		    at->v4.sin_port == htons(where->port) &&
		    (host == NULL || inet_pton(AF_INET, host, &v4) == 1) &&
		    memcmp(&at->v4.sin_addr, &v4, sizeof(v4)) == 0;
	case AF_INET6:
		return where->path == NULL &&
		    at->v6.sin6_port == htons(where->port) &&
		    (host == NULL || inet_pton(AF_INET6, host, &v6) == 1) &&
		    memcmp(&at->v6.sin6_addr, &v6, sizeof(v6)) == 0;
	default:
		return false;
	}
}

int
passed_take(struct passed *passed, const struct config_listen *where)
{
	union address at;
	int	      fd;

	for (int i = 0; i < passed->count; i++) {
		fd = passed->fds[i];
		if (fd != -1 && address_of(fd, &at) && is_at(&at, where)) {
			passed->fds[i] = -1;
			return fd;
		}
	}
	return -1;
}

bool
passed_are_taken(const struct passed *passed, struct mews_error *error)
{
	char	      host[INET6_ADDRSTRLEN] = "?";
	union address at;
	unsigned      port = 0;

	for (int i = 0; i < passed->count; i++) {
		if (passed->fds[i] == -1)
			continue;
		if (!address_of(passed->fds[i], &at))
			return fail(error, "descriptor %d, which was passed "
			    "with LISTEN_FDS, is no listening socket",
			    passed->fds[i]);
		if (at.any.sa_family == AF_UNIX)
			return fail(error, "a socket was passed that listens "
			    "on unix:%s, which listen does not name",
			    at.local.sun_path);
		inet_ntop(at.any.sa_family, at.any.sa_family == AF_INET ?
		    (void *)&at.v4.sin_addr : (void *)&at.v6.sin6_addr, host,
		    sizeof(host));
		port = ntohs(at.v4.sin_port);	/* is where v6 has it, too */
		return fail(error, "a socket was passed that listens on %s, "
		    "port %u, which listen does not name", host, port);
	}
	return true;
}
