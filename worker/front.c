/*
 * front.c - the HTTP side of a worker.
 *
 * Connections are accepted here, one at a time: all workers share the listening
 * sockets, and the load (share.h). http/ reads and writes for the clients; a
 * whole request is handed to the application, whose answer may come at once or
 * later. A request whose client left lives until the application has answered
 * it.
 */
#include "front.h"
#include "await.h"
#include "doing.h"
#include "peers.h"
#include "rate.h"
#include "reply.h"
#include "request.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define SWEEP_S 1. /* between two looks for clients that are slow */
#define LONELY_SWEEPS 3 /* that also free what the last client needed */
#define TELL_MAX 10000	/* turns that an application may go on streaming */
#define LISTENER_MOST 4096 /* of a listener's backlog, at most */

struct front {
	struct ev_loop *ev;
	ev_io *listeners; /* active while there is room for clients, and
			     while they are not left to other workers */
	size_t listener_count; /* 0 once it drains */
	bool listening; /* it may accept */
	struct share *share;
	struct http_stay told; /* to the others */

	struct mews_fleet *fleet;
	const struct mews_app *app;
	void *state; /* the application's */
	bool stopped; /* the application is not asked any more */
	bool closing; /* the application will not answer any more */
	unsigned abandoned; /* requests that it never answered */
	struct config_http limits;
	struct peers peers;
	struct log log;
	struct rate unaccepted, refused; /* of lines in the log */

	struct request_store requests;
	struct reply_desk desk;
	struct http_server server;
	ev_timer sweep;
	unsigned lonely; /* sweeps without a client */
};

static void
listen_no_more(struct front *front)
{
	for (size_t i = 0; i < front->listener_count; i++)
		ev_io_stop(front->ev, &front->listeners[i]);
}

static void
listen_again(struct front *front)
{
	if (!front->listening || share_waits(front->share) ||
	    front->server.count >= front->limits.max_connections)
		return;
	for (size_t i = 0; i < front->listener_count; i++)
		ev_io_start(front->ev, &front->listeners[i]);
}

static void
tell_share(struct front *front)
{
	const struct http_stay *stay = &front->server.stay;

	front->told = *stay;
	share_tell(front->share, &(struct share_clients){
	    .settled = stay->settled, .young = stay->young,
	    .passed = stay->passed, .passed_us = stay->passed_us,
	    .room = front->listener_count > 0 &&
	    front->server.count < front->limits.max_connections });
}

/* Accept again: other workers had their time to take a client. */
static void
on_resume(void *arg)
{
	listen_again(arg);
}

/* Descriptors or memory are short: accept again after the next sweep. */
static void
accept_failed(struct front *front, int error)
{
	unsigned suppressed;

	if (error != EMFILE && error != ENFILE && error != ENOBUFS &&
	    error != ENOMEM)
		return;
	if (rate_take(&front->unaccepted, &suppressed))
		log_write(&front->log, MEWS_LOG_ERROR, "accept",
		    "error=%s clients=%u suppressed=%u",
		    strerrorname_np(error), front->server.count, suppressed);
	listen_no_more(front);
	ev_timer_again(front->ev, &front->sweep);
}

/* Turn a client away whose address has as many connections as it may. */
static void
turn_away(struct front *front, int fd)
{
	static const char text[] = "HTTP/1.1 503 Service Unavailable\r\n"
	    "Connection: close\r\nContent-Length: 0\r\n\r\n";
	unsigned suppressed;

	if (rate_take(&front->refused, &suppressed))
		log_write(&front->log, MEWS_LOG_WARNING, "client_refused",
		    "max_per_client=%u suppressed=%u",
		    front->limits.max_per_client, suppressed);
	send(fd, text, sizeof(text) - 1, MSG_NOSIGNAL);
	close(fd);
}

static void
take(struct front *front, int fd, const struct sockaddr *address)
{
	struct peer *peer = NULL;

	if (front->limits.max_per_client != 0 &&
	    !peers_join(&front->peers, address, front->limits.max_per_client,
		&peer)) {
		turn_away(front, fd);
		return;
	}
	if (!http_server_accept(&front->server, fd, peer)) {
		peer_leave(peer);
		return;
	}
	tell_share(front);
	front->lonely = 0;
	if (!ev_is_active(&front->sweep))
		ev_timer_again(front->ev, &front->sweep);
	if (front->server.count >= front->limits.max_connections)
		listen_no_more(front);
}

/* Accept one connection, unless another worker was faster. */
static bool
take_next(struct front *front, int listener)
{
	struct sockaddr_storage address = { .ss_family = AF_UNSPEC };
	socklen_t length = sizeof(address);
	int	fd;

	fd = accept4(listener, (struct sockaddr *)&address, &length,
	    SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd == -1) {
		accept_failed(front, errno);
		return false;
	}
	take(front, fd, (struct sockaddr *)&address);
	return true;
}

static void
on_acceptable(struct ev_loop *ev, ev_io *watcher, int revents)
{
	struct front *front = watcher->data;

	(void)ev;
	(void)revents;
	if (!share_takes(front->share)) {
		listen_no_more(front);
		return;
	}
	take_next(front, watcher->fd);
}

/* Callbacks of the clients. */

static void *
on_begin(void *arg, struct http_client *client, const struct http_head *head,
    const char *bytes)
{
	struct front *front = arg;
	struct mews_request *request;

	request = request_new(&front->requests, head, bytes);
	if (request != NULL) {
		request->desk = &front->desk;
		request->client = client;
		request->asked = ev_now(front->desk.ev);
	}
	return request;
}

static void
ask(struct mews_request *request)
{
	struct front *front = request->desk->front;

	if (front->stopped) {
		http_client_refuse(request->client, 503);
		return;
	}
	request->state = REQUEST_ASKED;
	doing_request(request->method, request->path);
	doing_call("request");
	front->app->request(front->state, request);
	doing_call(NULL);
}

/* Does the application take the body of @request in pieces? */
static bool
is_streamed(const struct front *front, const struct mews_request *request)
{
	return front->app->abi >= 2 && front->app->streams != NULL &&
	    !front->stopped && http_client_is_reading(request->client) &&
	    front->app->streams(front->state, request);
}

static void
on_start(void *exchange)
{
	struct mews_request *request = exchange;
	struct front *front = request->desk->front;

	if ((request->streamed = is_streamed(front, request)))
		ask(request);
	else if (request->announced > front->limits.max_body_size)
		http_client_refuse(request->client, 413);
	else
		http_client_want(request->client);
}

static bool
on_piece(void *exchange, const char *bytes, size_t length)
{
	struct mews_request *request = exchange;
	uint64_t limit = request->desk->front->limits.max_body_size;

	if (request->streamed)
		await_piece(request, MEWS_OK, bytes, length);
	else if (length > limit - request->body_length)
		http_client_refuse(request->client, 413);
	else if (!request_add_body(request, bytes, length))
		http_client_refuse(request->client, 503);
	else
		return true;
	return false;
}

static void
on_whole(void *exchange)
{
	struct mews_request *request = exchange;

	if (request->streamed)
		await_piece(request, MEWS_OK, "", 0);
	else
		ask(request);
}

static void
on_cut(void *exchange, unsigned status)
{
	struct mews_request *request = exchange;

	if (request->streamed)
		await_piece(request, MEWS_LOST, "", 0);
	else
		http_client_refuse(request->client, status);
}

static void
on_room(void *exchange)
{
	await_room(exchange);
}

static void
on_over(void *exchange)
{
	struct mews_request *request = exchange;
	struct front *front = request->desk->front;

	if (front->closing && (request->state == REQUEST_ASKED ||
	    request->state == REQUEST_REPLYING)) {
		request->state = REQUEST_ANSWERED;
		front->abandoned++;
	}
	reply_over(request);
}

static void
on_refused(void *arg, unsigned status)
{
	struct front *front = arg;
	unsigned suppressed;

	if (rate_take(&front->refused, &suppressed))
		log_write(&front->log, MEWS_LOG_INFO, "request_refused",
		    "status=%u reason=\"%s\" suppressed=%u", status,
		    http_reason(status), suppressed);
}

static void
on_closed(void *arg, void *peer)
{
	struct front *front = arg;

	peer_leave(peer);
	tell_share(front);
	listen_again(front);
}

static const struct http_calls calls = {
	.begin = on_begin,
	.start = on_start,
	.piece = on_piece,
	.whole = on_whole,
	.cut = on_cut,
	.room = on_room,
	.over = on_over,
	.refused = on_refused,
	.closed = on_closed,
};

static void
on_sweep(struct ev_loop *ev, ev_timer *timer, int revents)
{
	struct front *front = timer->data;

	(void)revents;
	http_server_sweep(&front->server,
	    front->server.count >= front->limits.max_connections);
	request_store_trim(&front->requests);
	listen_again(front);
	if (front->server.count != 0)
		front->lonely = 0;
	else if (++front->lonely >= LONELY_SWEEPS)
		ev_timer_stop(ev, timer);
}

void
front_turn(struct front *front)
{
	http_server_turn(&front->server);
	if (front->told.settled != front->server.stay.settled ||
	    front->told.young != front->server.stay.young)
		tell_share(front);
	await_tell(&front->desk);
	if (front->desk.answered != 0) {
		mews_fleet_count_requests(front->fleet, front->desk.answered);
		front->desk.answered = 0;
	}
}

void
front_waiting(struct front *front, bool waits)
{
	share_idle(front->share, waits);
}

void
front_listen(struct front *front)
{
	front->listening = true;
	listen_again(front);
}

/* Take all clients in the backlogs: they would be lost with the last copy of a
 * socket. */
static void
take_all(struct front *front)
{
	for (size_t i = 0; i < front->listener_count; i++)
		for (int taken = 0; taken < LISTENER_MOST &&
		    front->server.count < front->limits.max_connections &&
		    take_next(front, front->listeners[i].fd); taken++)
			;
}

void
front_drain(struct front *front, bool patient)
{
	if (front->server.draining && patient)
		return;
	if (patient && front->listening)
		take_all(front);
	listen_no_more(front);
	front->desk.blocks = NULL;
	share_close(&front->share);
	/* Close our copies, so that the addresses can be bound anew. */
	while (front->listener_count > 0)
		close(front->listeners[--front->listener_count].fd);
	http_server_drain(&front->server, patient);
}

void
front_send(struct front *front)
{
	http_server_send(&front->server);
}

bool
front_is_empty(const struct front *front)
{
	return front->server.count == 0;
}

void
front_stop(struct front *front)
{
	front_drain(front, false);
	front->stopped = true;
	http_server_cut(&front->server);
	for (int i = 0; i < TELL_MAX && !TAILQ_EMPTY(&front->desk.due); i++)
		await_tell(&front->desk);
}

static void
set_server(struct front *front)
{
	struct http_server *server = &front->server;
	char	pid[16];

	server->ev = front->ev;
	server->calls = &calls;
	server->arg = front;
	server->limits = (struct http_limits){
		.header_ms = front->limits.header_timeout,
		.idle_ms = front->limits.idle_timeout,
		.request_ms = front->limits.request_timeout,
		.body_rate = front->limits.min_receive_rate,
		.send_rate = front->limits.min_send_rate,
		.header = (size_t)front->limits.max_header_size,
	};
	snprintf(pid, sizeof(pid), "%ld", (long)getpid());
	http_writer_init(&server->writer, pid);
	http_server_init(server);
}

static void
watch(struct front *front, const struct worker_args *args)
{
	int	yes = 1;

	ev_timer_init(&front->sweep, on_sweep, SWEEP_S, SWEEP_S);
	front->sweep.data = front;
	front->listener_count = args->listener_count;
	for (size_t i = 0; i < front->listener_count; i++) {
		/* Accepted sockets inherit TCP_NODELAY; of no use for unix
		 * sockets. */
		setsockopt(args->listeners[i], IPPROTO_TCP, TCP_NODELAY, &yes,
		    sizeof(yes));
		ev_io_init(&front->listeners[i], on_acceptable,
		    args->listeners[i], EV_READ);
		front->listeners[i].data = front;
	}
}

/* Keeps the loop from waiting; front_turn() acts. */
static void
on_busy(struct ev_loop *loop, ev_idle *busy, int revents)
{
	(void)loop;
	(void)busy;
	(void)revents;
}

enum mews_status
front_open(struct front **out, struct ev_loop *ev,
    const struct worker_args *args, const struct config_http *limits,
    struct mews_pool *pool, void *state, struct mews_error *error)
{
	struct front *front;

	*out = NULL;
	if ((front = calloc(1, sizeof(*front))) == NULL ||
	    (front->listeners = calloc(args->listener_count,
		sizeof(*front->listeners))) == NULL ||
	    (front->share = share_open(args->share, args->number, ev,
		args->listeners, args->listener_count, on_resume, front)) ==
		NULL) {
		if (front != NULL)
			free(front->listeners);
		free(front);
		error->status = MEWS_NOMEM;
		snprintf(error->message, sizeof(error->message),
		    "no memory for the HTTP front");
		return error->status;
	}
	front->ev = ev;
	front->fleet = args->fleet;
	front->app = args->app;
	front->state = state;
	front->log = args->log;
	front->limits = *limits;
	peers_init(&front->peers);
	request_store_init(&front->requests);
	reply_desk_init(&front->desk, front, &front->log, pool);
	front->desk.ev = ev;
	front->desk.fleet = args->fleet;
	ev_idle_init(&front->desk.busy, on_busy);
	front->desk.expose_errors =
	    limits->expose_errors == MEWS_SWITCH_ON;
	if (args->app->abi >= 3 && args->app->waiting != NULL)
		front->desk.blocks = front->share;
	set_server(front);
	watch(front, args);
	*out = front;
	return MEWS_OK;
}

void
front_close(struct front **frontp)
{
	struct front *front = *frontp;

	if (front == NULL)
		return;
	front_stop(front);
	front_turn(front);
	front_send(front);
	front->closing = true;
	http_server_close(&front->server);
	ev_idle_stop(front->ev, &front->desk.busy);
	if (front->abandoned != 0)
		log_write(&front->log, MEWS_LOG_WARNING, "requests_abandoned",
		    "count=%u text=\"the application did not answer\"",
		    front->abandoned);
	ev_timer_stop(front->ev, &front->sweep);
	request_store_free(&front->requests);
	free(front->listeners);
	free(front);
	*frontp = NULL;
}
