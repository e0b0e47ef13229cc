/*
 * front.c - the HTTP side of a worker.
 *
 * libmicrohttpd runs in external epoll mode: its epoll descriptor is one of
 * those that libev watches. All of its work is done in front_turn(), at most
 * once per turn of the loop: the answers that queries brought in this turn
 * leave together, and so do the queries of the requests that arrived.
 *
 * Connections are accepted here and not by libmicrohttpd, which takes ten at
 * a time: the listening sockets are shared by all workers, and so is to be
 * the load. A worker takes one and lets its neighbours run.
 *
 * A request whose answer is not there at once is held: libmicrohttpd asks
 * for it in each run, which is far cheaper than to suspend the connection (a
 * suspended one leaves the epoll set). One that was asked for HELD_RUNS times,
 * or for HELD_S seconds, is suspended after all; so libmicrohttpd does not
 * time it out. A client that leaves ends a held request's connection, but the
 * request lives until the application has answered it.
 *
 * Its idle timeout is for clients that do nothing. Those who do something,
 * but slowly, and those who left in a way that it overlooks, are found by
 * sweep().
 */
#include "front.h"
#include "rate.h"
#include "reply.h"
#include "request.h"

#include <errno.h>
#include <microhttpd.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/param.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <unistd.h>

#define SWEEP_S 1.	/* between two sweeps */
#define HELD_RUNS 12	/* then a request's connection is suspended; ... */
#define HELD_S .05	/* ... or so long after its first line */
#define TURN_RUNS 3	/* that queue, send and finish an answer */

/* A connection. */
struct client {
	LIST_ENTRY(client) entry;
	struct MHD_Connection *connection;
	struct mews_request *request; /* NULL: waiting for a first line */
	ev_tstamp since; /* of that line, or of the wait for it */
};


struct front {
	struct ev_loop *ev;
	struct MHD_Daemon *daemon;
	ev_io readable; /* the daemon's epoll descriptor */
	bool due;	/* the daemon has something to do */
	ev_idle again;	/* active while it is due */
	ev_io *listeners; /* active while there is room for clients */
	size_t listener_count; /* 0 once it drains */

	struct mews_fleet *fleet;
	const struct mews_app *app;
	void *state; /* the application's */
	bool stopped; /* the application is not asked any more */
	struct worker_limits limits; /* none of them zero */
	struct log log;
	struct rate messages, refused;

	struct request_store requests;
	struct reply_desk desk;
	LIST_HEAD(, client) clients;
	uint32_t client_count;
	ev_timer sweep; /* active while there are clients, or after one could
			   not be accepted */
};

void
front_due(struct front *front)
{
	front->due = true;
	ev_idle_start(front->ev, &front->again);
}

static void
on_readable(struct ev_loop *ev, ev_io *watcher, int revents)
{
	(void)ev;
	(void)revents;
	front_due(watcher->data);
}

/* Keeps the loop from waiting; front_turn() acts. */
static void
on_again(struct ev_loop *ev, ev_idle *watcher, int revents)
{
	(void)ev;
	(void)watcher;
	(void)revents;
}

static void
on_message(void *arg, const char *format, va_list args)
{
	struct front *front = arg;
	char text[256], quoted[300];
	unsigned suppressed;

	if (!rate_allow(&front->messages, &suppressed))
		return;
	vsnprintf(text, sizeof(text), format, args);
	text[strcspn(text, "\n")] = '\0';
	log_write(&front->log, MEWS_INFO, "http", "suppressed=%u text=%s",
	    suppressed, log_quote(quoted, sizeof(quoted), text));
}

static int
client_socket(const struct client *client)
{
	return MHD_get_connection_info(client->connection,
	    MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
}

static struct client *
client_of(struct MHD_Connection *connection)
{
	return MHD_get_connection_info(connection,
	    MHD_CONNECTION_INFO_SOCKET_CONTEXT)->socket_context;
}

/* No request will follow; one that is here already is still read. */
static void
client_hear_no_more(const struct client *client)
{
	shutdown(client_socket(client), SHUT_RD);
}

/* The request is over, or its connection is. */
static void
client_forget_request(struct client *client)
{
	struct mews_request *request = client->request;

	client->request = NULL;
	request->connection = NULL;
	request->desk->requests[request->wait]--;
	MHD_destroy_response(request->response);
	request->response = NULL;
	request_release(request);
}

static void
listen_no_more(struct front *front)
{
	for (size_t i = 0; i < front->listener_count; i++)
		ev_io_stop(front->ev, &front->listeners[i]);
}

static void
listen_again(struct front *front)
{
	for (size_t i = 0; i < front->listener_count; i++)
		ev_io_start(front->ev, &front->listeners[i]);
}

static void
on_connection(void *arg, struct MHD_Connection *connection, void **context,
    enum MHD_ConnectionNotificationCode code)
{
	struct front *front = arg;
	struct client *client;

	if (code == MHD_CONNECTION_NOTIFY_STARTED) {
		/* Without memory its first request is refused. */
		if ((client = calloc(1, sizeof(*client))) == NULL)
			return;
		client->connection = connection;
		client->since = ev_now(front->ev);
		if (front->client_count++ == 0)
			ev_timer_again(front->ev, &front->sweep);
		LIST_INSERT_HEAD(&front->clients, client, entry);
		*context = client;
	} else if ((client = *context) != NULL) {
		/* After some errors libmicrohttpd forgets to say that the
		 * request is over. */
		if (client->request != NULL)
			client_forget_request(client);
		LIST_REMOVE(client, entry);
		free(client);
		*context = NULL;
		if (--front->client_count == 0)
			ev_timer_stop(front->ev, &front->sweep);
		listen_again(front);
	}
}

/* Take one connection, or find that a neighbour has it. */
static void
on_acceptable(struct ev_loop *ev, ev_io *watcher, int revents)
{
	struct front *front = watcher->data;
	struct sockaddr_storage address;
	socklen_t length = sizeof(address);
	unsigned suppressed;
	int fd;

	(void)ev;
	(void)revents;
	fd = accept4(watcher->fd, (struct sockaddr *)&address, &length,
	    SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd == -1) {
		if (errno != EMFILE && errno != ENFILE && errno != ENOBUFS &&
		    errno != ENOMEM)
			return;
		if (rate_allow(&front->refused, &suppressed))
			log_write(&front->log, MEWS_ERROR, "accept",
			    "error=%s clients=%u suppressed=%u",
			    strerrorname_np(errno), front->client_count,
			    suppressed);
		listen_no_more(front);
		ev_timer_again(front->ev, &front->sweep);
		return;
	}
	MHD_add_connection(front->daemon, fd, (struct sockaddr *)&address,
	    length);
	front_due(front);
	if (front->client_count >= front->limits.connections)
		listen_no_more(front);
	sched_yield();
}

/* The request line was read. What this returns is what the calls about this
 * request get as their context. */
static void *
on_line(void *arg, const char *target, struct MHD_Connection *connection)
{
	struct front *front = arg;
	struct client *client = client_of(connection);
	struct mews_request *request;

	if (client == NULL)
		return NULL;
	if (client->request != NULL)	/* see on_connection() */
		client_forget_request(client);
	request = request_new(&front->requests, connection,
	    target == NULL ? "" : target);
	if (request == NULL)
		return NULL;
	request->desk = &front->desk;
	front->desk.requests[request->wait]++;
	client->request = request;
	client->since = ev_now(front->ev);
	return request;
}

static void
on_completed(void *arg, struct MHD_Connection *connection, void **context,
    enum MHD_RequestTerminationCode code)
{
	struct front *front = arg;
	struct client *client = client_of(connection);

	(void)code;
	if (*context == NULL)
		return;
	*context = NULL;
	if (client->request->state == REQUEST_ASKED)
		request_keep(client->request);
	client_forget_request(client);
	client->since = ev_now(front->ev);
	if (front->desk.draining)
		client_hear_no_more(client);
}

/* It still waits: hold it, if not for long. */
static void
hold(const struct front *front, struct mews_request *request)
{
	const struct client *client = client_of(request->connection);

	if (request->lent || request->asked++ == HELD_RUNS ||
	    ev_now(front->ev) - client->since > HELD_S) {
		MHD_suspend_connection(request->connection);
		reply_wait(request, WAIT_SUSPENDED);
	} else if (request->wait == WAIT_NONE)
		reply_wait(request, WAIT_HELD);
}

/* Ask the application. */
static void
ask(struct front *front, struct mews_request *request)
{
	request->state = REQUEST_ASKED;
	request_hold(request);	/* given up by mews_reply() */
	request->inside = true;
	front->app->request(front->state, request);
	request->inside = false;
	if (request->state == REQUEST_ASKED)
		hold(front, request);
}

/* Called when the headers were read, for each piece of the body, and when
 * the request is complete, until it is answered or suspended. MHD_NO closes
 * the connection. */
static enum MHD_Result
on_request(void *arg, struct MHD_Connection *connection, const char *path,
    const char *method, const char *version, const char *bytes,
    size_t *length, void **context)
{
	struct front *front = arg;
	struct mews_request *request = *context;

	(void)connection;
	if (request == NULL)
		return MHD_NO;
	if (request->state == REQUEST_LINE) {
		request_head(request, method, path, version,
		    front->limits.body);
		/* An answer now closes the connection after it, since the
		 * body was not read. */
		if (request->refused != 0)
			reply_refuse(request);
		return MHD_YES;
	}
	if (request->state == REQUEST_ASKED) {
		hold(front, request);
		return MHD_YES;
	}
	if (request->state == REQUEST_ANSWERED)
		return reply_queue(request) ? MHD_YES : MHD_NO;
	if (*length != 0) {
		if (!request_add_body(request, bytes, *length,
			front->limits.body))
			return MHD_NO;
		*length = 0;
		return MHD_YES;
	}
	if (front->stopped)
		request->refused = MHD_HTTP_SERVICE_UNAVAILABLE;
	if (request->refused != 0)
		reply_refuse(request);
	else
		ask(front, request);
	return MHD_YES;
}

/* The client's end of the connection is closed, and all of it was read. If
 * that end came together with data, libmicrohttpd read the data only, and
 * epoll will not tell it again. */
static bool
client_left(const struct client *client)
{
	char byte;

	return recv(client_socket(client), &byte, 1,
	    MSG_PEEK | MSG_DONTWAIT) == 0;
}

/* Close the connections that wait for what will not come, or not in time. */
static void
sweep(struct front *front)
{
	ev_tstamp now = ev_now(front->ev);
	ev_tstamp patience = front->limits.request / 1000.;
	struct client *client;

	LIST_FOREACH(client, &front->clients, entry)
		if (client->request == NULL ||
		    client->request->state < REQUEST_ASKED)
			if (now - client->since > patience ||
			    client_left(client))
				shutdown(client_socket(client), SHUT_RDWR);
	if (front->client_count < front->limits.connections)
		listen_again(front);
	if (front->client_count == 0)
		ev_timer_stop(front->ev, &front->sweep);
	/* Let libmicrohttpd look at its own timeouts too. */
	front_due(front);
}

static void
on_sweep(struct ev_loop *ev, ev_timer *timer, int revents)
{
	(void)ev;
	(void)revents;
	sweep(timer->data);
}

/* Has libmicrohttpd something to do that epoll does not tell? Connections
 * that were resumed, or that have more to read or to send. */
static bool
is_due(const struct front *front)
{
	const uint32_t *requests = front->desk.requests;
	MHD_UNSIGNED_LONG_LONG wait_ms;

	if (MHD_get_timeout(front->daemon, &wait_ms) != MHD_YES ||
	    wait_ms != 0)
		return false;
	/* It would only ask for answers that are not there yet. */
	return requests[WAIT_HELD] == 0 || requests[WAIT_NONE] != 0;
}

void
front_turn(struct front *front)
{
	for (int run = 0; front->due && run < TURN_RUNS; run++) {
		MHD_run(front->daemon);
		front->due = is_due(front);
	}
	if (!front->due)
		ev_idle_stop(front->ev, &front->again);
	if (front->desk.answered != 0) {
		mews_fleet_count_requests(front->fleet, front->desk.answered);
		front->desk.answered = 0;
	}
}

void
front_drain(struct front *front)
{
	struct client *client;

	if (front->desk.draining)
		return;
	front->desk.draining = true;
	listen_no_more(front);
	/* Our copies must go, or nobody could bind the addresses anew. */
	while (front->listener_count > 0)
		close(front->listeners[--front->listener_count].fd);
	LIST_FOREACH(client, &front->clients, entry)
		if (client->request == NULL)
			client_hear_no_more(client);
	sweep(front);
}

bool
front_is_empty(const struct front *front)
{
	return LIST_EMPTY(&front->clients);
}

void
front_stop(struct front *front)
{
	front_drain(front);
	front->stopped = true;
}

static uint32_t
limit(uint32_t given, uint32_t otherwise)
{
	return given == 0 ? otherwise : given;
}

static void
set_limits(struct worker_limits *limits, const struct worker_limits *given)
{
	limits->head = given->head == 0 ? WORKER_HEAD_DEFAULT : given->head;
	limits->body = given->body == 0 ? WORKER_BODY_DEFAULT : given->body;
	limits->connections =
	    limit(given->connections, WORKER_CONNECTIONS_DEFAULT);
	limits->idle = limit(given->idle, WORKER_IDLE_DEFAULT);
	limits->request = limit(given->request, WORKER_REQUEST_DEFAULT);
}

static struct MHD_Daemon *
start_daemon(struct front *front)
{
	return MHD_start_daemon(MHD_USE_EPOLL | MHD_USE_NO_LISTEN_SOCKET |
	    MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG, 0, NULL, NULL,
	    on_request, front,
	    MHD_OPTION_EXTERNAL_LOGGER, on_message, front,
	    MHD_OPTION_CONNECTION_MEMORY_LIMIT, front->limits.head,
	    MHD_OPTION_CONNECTION_LIMIT, front->limits.connections,
	    MHD_OPTION_CONNECTION_TIMEOUT, front->limits.idle,
	    MHD_OPTION_NOTIFY_CONNECTION, on_connection, front,
	    MHD_OPTION_URI_LOG_CALLBACK, on_line, front,
	    MHD_OPTION_NOTIFY_COMPLETED, on_completed, front,
	    MHD_OPTION_SIGPIPE_HANDLED_BY_APP, 1,
	    MHD_OPTION_END);
}

static void
watch(struct front *front, const struct worker_args *args)
{
	ev_tstamp sweep_s = MIN(SWEEP_S, front->limits.request / 2000.);

	ev_idle_init(&front->again, on_again);
	ev_timer_init(&front->sweep, on_sweep, sweep_s, sweep_s);
	front->sweep.data = front;
	ev_io_init(&front->readable, on_readable,
	    MHD_get_daemon_info(front->daemon,
		MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd, EV_READ);
	front->readable.data = front;
	ev_io_start(front->ev, &front->readable);
	front->listener_count = args->listener_count;
	for (size_t i = 0; i < front->listener_count; i++) {
		ev_io_init(&front->listeners[i], on_acceptable,
		    args->listeners[i], EV_READ);
		front->listeners[i].data = front;
	}
	listen_again(front);
}

enum mews_status
front_open(struct front **out, struct ev_loop *ev,
    const struct worker_args *args, struct mews_pool *pool, void *state,
    struct mews_error *error)
{
	struct front *front;

	*out = NULL;
	if ((front = calloc(1, sizeof(*front))) == NULL ||
	    (front->listeners = calloc(args->listener_count,
		sizeof(*front->listeners))) == NULL) {
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
	set_limits(&front->limits, &args->limits);
	request_store_init(&front->requests);
	reply_desk_init(&front->desk, front, &front->log, pool);
	LIST_INIT(&front->clients);
	if ((front->daemon = start_daemon(front)) == NULL) {
		free(front->listeners);
		free(front);
		error->status = MEWS_SYSTEM;
		snprintf(error->message, sizeof(error->message),
		    "libmicrohttpd does not start: see event=http before");
		return error->status;
	}
	watch(front, args);
	*out = front;
	return MEWS_OK;
}

/* Let go of the requests that the application never answered. */
static void
abandon(struct front *front)
{
	struct client *client;
	unsigned count = 0;

	LIST_FOREACH(client, &front->clients, entry)
		if (client->request != NULL &&
		    client->request->state == REQUEST_ASKED) {
			if (client->request->wait == WAIT_SUSPENDED)
				MHD_resume_connection(client->connection);
			count++;
		}
	if (count != 0)
		log_write(&front->log, MEWS_WARNING, "requests_abandoned",
		    "count=%u text=\"the application did not answer\"",
		    count);
}

void
front_close(struct front **frontp)
{
	struct front *front = *frontp;

	if (front == NULL)
		return;
	front_stop(front);
	front_turn(front);
	abandon(front);
	ev_io_stop(front->ev, &front->readable);
	MHD_stop_daemon(front->daemon);
	ev_timer_stop(front->ev, &front->sweep);
	ev_idle_stop(front->ev, &front->again);
	reply_desk_free(&front->desk);
	request_store_free(&front->requests);
	free(front->listeners);
	free(front);
	*frontp = NULL;
}
