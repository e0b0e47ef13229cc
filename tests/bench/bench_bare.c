/*
 * bench_bare.c - the least work that any front does: one recv and one send for
 * a client's request, which is not even parsed.
 *
 * Prints its port, and answers until it is killed. http_compare compares a
 * front's CPU time of a request with this one's.
 */
#include <arpa/inet.h>
#include <err.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define EVENTS 512

static const char answer[] = "HTTP/1.1 200 OK\r\nServer: mews\r\n"
    "Mews-Worker: 1234567\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\n"
    "Content-Length: 13\r\nContent-Type: text/plain\r\n\r\nHello, World!";

static int
listen_somewhere(void)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t length = sizeof(address);
	int	fd = socket(AF_INET, SOCK_STREAM, 0), yes = 1;

	if (fd == -1 ||
	    bind(fd, (struct sockaddr *)&address, length) == -1 ||
	    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes)) == -1 ||
	    listen(fd, SOMAXCONN) == -1 ||
	    getsockname(fd, (struct sockaddr *)&address, &length) == -1)
		err(1, "listen");
	printf("%u\n", (unsigned)ntohs(address.sin_port));
	fflush(stdout);
	return fd;
}

static void
watch(int epoll, int fd)
{
	struct epoll_event event = { .events = EPOLLIN, .data.fd = fd };

	if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) == -1)
		err(1, "epoll_ctl");
}

static void
serve(int fd)
{
	char	request[4096];

	if (recv(fd, request, sizeof(request), 0) <= 0)
		close(fd);
	else
		send(fd, answer, sizeof(answer) - 1, MSG_NOSIGNAL);
}

int
main(void)
{
	struct epoll_event events[EVENTS];
	int	listener = listen_somewhere();
	int	epoll = epoll_create1(0), fd, n;

	if (epoll == -1)
		err(1, "epoll_create1");
	watch(epoll, listener);
	while ((n = epoll_wait(epoll, events, EVENTS, -1)) >= 0)
		for (int i = 0; i < n; i++)
			if (events[i].data.fd != listener)
				serve(events[i].data.fd);
			else if ((fd = accept4(listener, NULL, NULL,
			    SOCK_NONBLOCK)) != -1)
				watch(epoll, fd);
	err(1, "epoll_wait");
}
