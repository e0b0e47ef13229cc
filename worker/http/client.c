/*
 * client.c - a client's phase, its exchange's end, and its next turn.
 */
#include "client.h"

#include <errno.h>
#include <time.h>

int64_t
http_now(struct http_server *server)
{
	struct timespec ts;

	if (server->now == 0) {
		clock_gettime(CLOCK_MONOTONIC_COARSE, &ts);
		server->now = (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
	}
	return server->now;
}

void
client_enter(struct http_client *client, enum client_phase phase)
{
	client->phase = phase;
	client->since = http_now(client->server);
}

void
exchange_over(struct http_client *client)
{
	void	*exchange = client->exchange;

	client->exchange = NULL;
	client->wants_body = client->wants_room = false;
	if (!http_body_is_over(&client->body))
		client->closes = true;
	client_enter(client, CLIENT_IDLE);
	client->server->calls->over(exchange);
}

void
client_run_again(struct http_client *client)
{
	struct http_server *server = client->server;

	if (client->is_again)
		return;
	client->is_again = true;
	TAILQ_INSERT_TAIL(&server->again, client, again);
	ev_idle_start(server->ev, &server->busy);
}

bool
client_is_sending(const struct http_client *client)
{
	return client->out_at < client->out_end || client->tail_count > 0;
}

bool
http_client_is_gone(struct http_client *client)
{
	char	byte;
	ssize_t	n;

	if (client->eof || client->broken)
		return true;
	n = recv(client->io.fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
	return n == 0 || (n == -1 && errno != EAGAIN && errno != EINTR);
}

bool
http_client_peer(const struct http_client *client, struct sockaddr *address,
    socklen_t *length)
{
	return getpeername(client->io.fd, address, length) == 0;
}
