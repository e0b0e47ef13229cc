/*
 * server.c - all clients of a worker: their begin, turns, time and end.
 *
 * Time is CLOCK_MONOTONIC: setting the machine's clock closes no connection.
 */
#include "server.h"

#include "block.h"
#include "client.h"
#include "input.h"
#include "output.h"
#include "run.h"
#include "stay.h"

#include <linux/sockios.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/param.h>
#include <unistd.h>

#define LINGER_MS 2000	/* after the last answer */
#define LINGER_CROWDED_MS 200 /* the same when others wait for a place */
#define IDLE_CROWDED_MS 1000 /* when others wait for a place */

/* Keeps the loop from waiting; http_server_turn() acts. */
static void
on_busy(struct ev_loop *ev, ev_idle *busy, int revents)
{
	(void)ev;
	(void)busy;
	(void)revents;
}

static void
on_ready(struct ev_loop *ev, ev_io *io, int revents)
{
	struct http_client *client = io->data;

	(void)ev;
	if (revents & EV_WRITE)
		client_flush(client);
	if (revents & EV_READ)
		client_receive(client);
	client_run(client);
}

void
http_server_init(struct http_server *server)
{
	LIST_INIT(&server->clients);
	TAILQ_INIT(&server->again);
	stay_init(server);
	ev_idle_init(&server->busy, on_busy);
	blocks_init(server);
}

bool
http_server_accept(struct http_server *server, int fd, void *tag)
{
	struct http_client *client = calloc(1, sizeof(*client));

	if (client == NULL) {
		close(fd);
		return false;
	}
	client->server = server;
	client->tag = tag;
	ev_io_init(&client->io, on_ready, fd, EV_READ);
	client->io.data = client;
	ev_io_start(server->ev, &client->io);
	LIST_INSERT_HEAD(&server->clients, client, entry);
	server->count++;
	client_enter(client, CLIENT_IDLE);
	stay_begin(client);
	return true;
}

void
http_server_turn(struct http_server *server)
{
	struct http_client *client, *last = TAILQ_LAST(&server->again,
	    http_again);
	bool	more = last != NULL;

	server->now = 0;
	/* Clients added meanwhile have their turn in the next. */
	while (more && (client = TAILQ_FIRST(&server->again)) != NULL) {
		more = client != last;
		TAILQ_REMOVE(&server->again, client, again);
		client->is_again = false;
		client_run(client);
	}
	server->now = 0;
}

/* Is the client idle: everything was answered and sent, and no more came? */
static bool
has_rest(const struct http_client *client)
{
	return client->exchange == NULL && client->in == NULL &&
	    !client->broken && !client->closes && !client->eof &&
	    !client_is_sending(client);
}

void
http_server_send(struct http_server *server)
{
	struct http_client *client, *next;

	TAILQ_FOREACH_SAFE(client, &server->again, again, next) {
		client_flush(client);
		if (!has_rest(client))
			continue;
		TAILQ_REMOVE(&server->again, client, again);
		client->is_again = false;
		client_settle(client);
	}
	if (TAILQ_EMPTY(&server->again))
		ev_idle_stop(server->ev, &server->busy);
}

/* Measure how fast the client takes its answer, over request_ms. False: slower
 * than it must. */
static bool
measure_taking(struct http_client *client)
{
	const struct http_limits *limits = &client->server->limits;
	int64_t	now = http_now(client->server);
	uint64_t taken = client->sent, wanted;
	int	waiting;

	if (ioctl(client->io.fd, SIOCOUTQ, &waiting) == 0)
		taken -= MIN(taken, (uint64_t)waiting);
	if (client->window == 0) {
		client->window = now;
		client->window_taken = taken;
	}
	if (now - client->window < limits->request_ms)
		return true;
	wanted = limits->send_rate * (uint64_t)(now - client->window) / 1000;
	wanted = MAX(wanted, 1);
	if (taken - client->window_taken < wanted)
		return false;
	client->window = now;
	client->window_taken = taken;
	return true;
}

/* Measure how fast the client sends a body, over request_ms of the time in
 * which it was asked for more. False: slower than it must. */
static bool
measure_sending(struct http_client *client)
{
	const struct http_limits *limits = &client->server->limits;
	int64_t	now = http_now(client->server);
	int64_t	asked_ms = client->asked_ms + now - client->asked;

	if (asked_ms < limits->request_ms)
		return true;
	if (client->heard < limits->body_rate * (uint64_t)asked_ms / 1000)
		return false;
	client->asked = now;
	client->asked_ms = 0;
	client->heard = 0;
	return true;
}

/* The status that ends the client's wait; 1: close it without one; 0: it may
 * wait. */
static unsigned
judge_time(struct http_client *client, bool crowded)
{
	const struct http_limits *limits = &client->server->limits;
	int64_t	age = http_now(client->server) - client->since;
	int64_t	idle_ms = limits->idle_ms;

	if (client_is_sending(client)) {
		/* Reset: else the kernel may keep megabytes that are never
		 * read. */
		client->resets = !measure_taking(client);
		return client->resets;
	}
	if (crowded)
		idle_ms = MIN(idle_ms, IDLE_CROWDED_MS);
	switch (client->phase) {
	case CLIENT_IDLE:
		return age > idle_ms;
	case CLIENT_HEAD:
		return age > limits->header_ms ? 408 : 0;
	case CLIENT_BODY:
		return client->wants_body && (age > limits->request_ms ||
		    !measure_sending(client)) ? 408 : 0;
	case CLIENT_ASKED:
		return 0;
	case CLIENT_LINGER:
		return age > (crowded ? LINGER_CROWDED_MS : LINGER_MS);
	}
	return 0;
}

void
http_server_sweep(struct http_server *server, bool crowded)
{
	struct http_client *client, *next;
	unsigned status;

	server->now = 0;
	LIST_FOREACH_SAFE(client, &server->clients, entry, next) {
		if ((status = judge_time(client, crowded)) == 0)
			continue;
		if (status == 1)
			client_break(client);
		else
			client_cut(client, status);
		client_settle(client);
	}
	blocks_trim(server);
}

void
http_server_drain(struct http_server *server, bool patient)
{
	struct http_client *client, *next;

	server->draining = true;
	LIST_FOREACH_SAFE(client, &server->clients, entry, next) {
		if (client->phase == CLIENT_LINGER)
			client_run_again(client);
		if (patient || client->phase != CLIENT_IDLE ||
		    client_is_sending(client))
			continue;
		/* Requests that arrived are answered. */
		client_receive(client);
		if (client->in_at == client->in_end)
			client->closes = true;
		client_run_again(client);
	}
}

void
http_server_cut(struct http_server *server)
{
	struct http_client *client, *next;

	LIST_FOREACH_SAFE(client, &server->clients, entry, next)
		if (client->wants_body || client->wants_room) {
			client_break(client);
			client_settle(client);
		}
}

void
http_server_close(struct http_server *server)
{
	struct http_client *client;

	while ((client = LIST_FIRST(&server->clients)) != NULL) {
		client_flush(client);
		client_close(client);
	}
	ev_idle_stop(server->ev, &server->busy);
	blocks_free(server);
}
