/*
 * stay.c - telling clients that stay from clients that only pass.
 */
#include "stay.h"

#include <time.h>

#define SETTLE_S  .02
#define SETTLE_US 20000

static int64_t
now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

static void
leave_young(struct http_client *client)
{
	struct http_server *server = client->server;

	TAILQ_REMOVE(&server->young, client, young);
	client->stay = STAY_NOT;
	server->stay.young--;
	if (TAILQ_EMPTY(&server->young))
		ev_timer_stop(server->ev, &server->settle);
}

static void
settle(struct http_client *client)
{
	leave_young(client);
	client->stay = STAY_SETTLED;
	client->server->stay.settled++;
}

/* The list is in the order in which the clients came. */
static void
on_settle(struct ev_loop *ev, ev_timer *timer, int revents)
{
	struct http_server *server = timer->data;
	const int64_t	    before = now_us() - SETTLE_US;
	struct http_client *client;

	(void)ev;
	(void)revents;
	while ((client = TAILQ_FIRST(&server->young)) != NULL &&
	    client->came_us <= before)
		settle(client);
}

void
stay_init(struct http_server *server)
{
	TAILQ_INIT(&server->young);
	ev_timer_init(&server->settle, on_settle, SETTLE_S, SETTLE_S);
	server->settle.data = server;
}

void
stay_begin(struct http_client *client)
{
	struct http_server *server = client->server;

	client->stay = STAY_YOUNG;
	client->came_us = now_us();
	TAILQ_INSERT_TAIL(&server->young, client, young);
	server->stay.young++;
	if (!ev_is_active(&server->settle))
		ev_timer_again(server->ev, &server->settle);
}

void
stay_asked(struct http_client *client)
{
	if (!client->keeps)
		stay_end(client);
	else if (client->stay == STAY_YOUNG && client->asked_before)
		settle(client);
	client->asked_before = true;
}

void
stay_end(struct http_client *client)
{
	struct http_stay *stay = &client->server->stay;

	if (client->stay == STAY_YOUNG) {
		stay->passed++;
		stay->passed_us += (uint64_t)(now_us() - client->came_us);
		leave_young(client);
	} else if (client->stay == STAY_SETTLED)
		stay->settled--;
	client->stay = STAY_NOT;
}
