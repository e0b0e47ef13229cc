/*
 * relay.c - a balancer that asks for no role; see relay.h.
 */
#include "relay.h"

#include "cluster.h"
#include "unit.h"

#include <arpa/inet.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define FDS 257 /* the listening socket, then pairs */

static struct pollfd fds[FDS];

static int
other_end(int i)
{
	return i % 2 == 1 ? i + 1 : i - 1;
}

static void
hang_up(int i)
{
	close(fds[i].fd);
	close(fds[other_end(i)].fd);
	fds[i].fd = fds[other_end(i)].fd = -1;
}

/* Write what was read. Few bytes that the peer waits for, so blocking does no
 * harm. */
static bool
pass_on(int from, int to)
{
	char	bytes[4096];
	ssize_t	got = read(from, bytes, sizeof(bytes)), sent, done = 0;

	while (done < got) {
		sent = send(to, bytes + done, (size_t)(got - done),
		    MSG_NOSIGNAL);
		if (sent <= 0)
			return false;
		done += sent;
	}
	return got > 0;
}

static void
take(in_port_t server)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
		.sin_port = htons(server) };
	int	client = accept(fds[0].fd, NULL, NULL);
	int	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), i = 1;

	while (i < FDS && fds[i].fd != -1)
		i += 2;
	if (i >= FDS || connect(fd, (struct sockaddr *)&address,
	    sizeof(address)) == -1) {
		close(client);
		close(fd);
		return;
	}
	fds[i].fd = client;
	fds[i + 1].fd = fd;
}

static void
relay(int listening, const in_port_t servers[2], _Atomic int *taken)
{
	for (int i = 0; i < FDS; i++)
		fds[i] = (struct pollfd) { .fd = -1, .events = POLLIN };
	fds[0].fd = listening;
	for (;;) {
		poll(fds, FDS, -1);
		for (int i = 1; i < FDS; i++)
			if (fds[i].fd != -1 && fds[i].revents != 0 &&
			    !pass_on(fds[i].fd, fds[other_end(i)].fd))
				hang_up(i);
		if (fds[0].revents != 0)
			take(servers[atomic_fetch_add(taken, 1) % 2]);
	}
}

pid_t
relay_start(in_port_t *port, const in_port_t servers[2], _Atomic int *taken)
{
	int	fd = cluster_listen(port);
	pid_t	pid = fork();

	ck_assert_int_ne(pid, -1);
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		relay(fd, servers, taken);
	}
	close(fd);
	return pid;
}

void
relay_end(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}
