/*
 * run.c - the steps of a client, and its end.
 *
 * A client is run when its socket is ready, or when the last turn left
 * something to do: it reads heads and bodies as long as there is input and no
 * answer is due, then all answers leave with one call. While an answer is due
 * the socket is still watched for input, which costs nothing and tells at once
 * when the client leaves.
 *
 * Buffers are blocks of one size, taken when there is something to hold and
 * given back when they are empty: an idle client has none.
 */
#include "run.h"

#include "block.h"
#include "input.h"
#include "output.h"
#include "stay.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define REQUESTS_PER_TURN 64  /* of one client, so that others have theirs */
#define LINGER_BYTES 16777216 /* heard after the last answer */

void
client_close(struct http_client *client)
{
	const struct linger at_once = { .l_onoff = 1, .l_linger = 0 };
	struct http_server *server = client->server;

	ev_io_stop(server->ev, &client->io);
	if (client->resets)
		setsockopt(client->io.fd, SOL_SOCKET, SO_LINGER, &at_once,
		    sizeof(at_once));
	close(client->io.fd);
	client_break(client);
	if (client->exchange != NULL)
		exchange_over(client);
	if (client->is_again)
		TAILQ_REMOVE(&server->again, client, again);
	LIST_REMOVE(client, entry);
	block_give(server, &client->in);
	block_give(server, &client->out);
	stay_end(client);
	server->count--;
	server->calls->closed(server->arg, client->tag);
	free(client);
}

/* Wait for what can be done next. */
static void
client_watch(struct http_client *client)
{
	struct ev_loop *ev = client->server->ev;
	int	events = 0;

	if (!client->eof && client->in_end - client->in_at <
	    client->server->block_size)
		events |= EV_READ;
	if (client_is_sending(client))
		events |= EV_WRITE;
	if (ev_is_active(&client->io) && client->io.events == events)
		return;
	ev_io_stop(ev, &client->io);
	ev_io_modify(&client->io, events);
	if (events != 0)
		ev_io_start(ev, &client->io);
}

/* All was answered and sent. Before the close read what the client still sends:
 * unread bytes would cause a reset, which destroys the answer. */
static void
linger(struct http_client *client)
{
	if (client->phase != CLIENT_LINGER) {
		shutdown(client->io.fd, SHUT_WR);
		client_enter(client, CLIENT_LINGER);
		stay_end(client);
		client->in_at = client->in_end = 0;
		if (!client->eof)
			client_receive(client);
	}
	client->linger_bytes += client->in_end;
	if (client->eof || client->broken ||
	    client->linger_bytes > LINGER_BYTES ||
	    (client->server->draining && client->in_end == 0)) {
		client_close(client);
		return;
	}
	client->in_at = client->in_end = 0;
	block_give(client->server, &client->in);
	client_watch(client);
}

void
client_settle(struct http_client *client)
{
	bool	over = client->exchange == NULL && !client_is_sending(client);

	if (client->broken) {
		client_close(client);
		return;
	}
	if (over && client->closes) {
		linger(client);
		return;
	}
	if (client->in_at == client->in_end) {
		client->in_at = client->in_end = 0;
		block_give(client->server, &client->in);
		if (over && client->eof) {
			client_close(client);
			return;
		}
	}
	if (client->out_at == client->out_end) {
		client->out_at = client->out_end = 0;
		block_give(client->server, &client->out);
	}
	client_watch(client);
}

/* One step. False: there is nothing to do. */
static bool
client_step(struct http_client *client)
{
	if (client->broken)
		return false;
	if (client->exchange != NULL) {
		if (client->wants_body && client_read_body(client))
			return true;
		if (!client->wants_room || client_is_sending(client))
			return false;
		client->wants_room = false;
		client->server->calls->room(client->exchange);
		return true;
	}
	if (client->out_end - client->out_at > client->server->block_size / 2)
		client_flush(client);
	if (client->closes || client->broken ||
	    client->out_end - client->out_at > client->server->block_size / 2)
		return false;
	return client_read_head(client);
}

void
client_run(struct http_client *client)
{
	unsigned left = REQUESTS_PER_TURN;

	if (client->phase == CLIENT_LINGER) {
		linger(client);
		return;
	}
	client->running = true;
	while (client_step(client))
		if (client->exchange == NULL && --left == 0) {
			client_run_again(client);
			break;
		}
	client->running = false;
	client_flush(client);
	if (client->wants_room && !client_is_sending(client))
		client_run_again(client);
	client_settle(client);
}
