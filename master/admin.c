/*
 * admin.c - the process that shows the fleet over HTTP, read-only.
 *
 * The segment is mapped for reading, so that no mistake in here can harm those
 * who serve; a worker or a master that hangs is seen as what it is. Requests
 * are read by the workers' reader (worker/http), which refuses all that can be
 * read in two ways.
 *
 * A page of another site that is open in an operator's browser must not read
 * this one: a Host that is no address and no name of this host is refused.
 */
#include "admin.h"

#include "feed.h"
#include "pages.h"

#include <errno.h>
#include <mews/view.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define CLIENTS_MAX  64 /* at once; more are closed */
#define LISTENER_MAX 16
#define HEADER_MS    5000
#define IDLE_MS	     60000
#define REQUEST_MS   5000
#define HEADER_SIZE  16384
#define SEND_BUFFER  32768 /* bytes that the kernel keeps for a client */
#define SWEEP_S	     1.0
#define BEAT_S	     1.0

struct admin {
	const struct admin_args *args;
	struct pages	   pages;
	struct feed	   feed;
	struct ev_loop	  *ev;
	struct http_server server;
	ev_io		   listeners[LISTENER_MAX];
	ev_timer	   sweep;
	ev_timer	   beat;
	ev_prepare	   turn;
};

/* One request and its answer. */
struct visit {
	struct admin	   *admin;
	struct http_client *client;
	struct page	    page;
	struct feed_reader  reader; /* of the feed, if it was joined */
};

/*
 * Of the clients.
 */

static void *
on_begin(void *arg, struct http_client *client, const struct http_head *head,
    const char *bytes)
{
	struct visit *visit = calloc(1, sizeof(*visit));

	if (visit == NULL)
		return NULL;
	visit->admin = arg;
	visit->client = client;
	pages_ask(&visit->page, head, bytes);
	return visit;
}

static void
on_start(void *exchange)
{
	struct visit *visit = exchange;

	http_client_want(visit->client);
}

static bool
on_piece(void *exchange, const char *bytes, size_t length)
{
	(void)exchange;
	(void)bytes;
	(void)length;
	return true; /* the body of a GET says nothing */
}

static void
on_whole(void *exchange)
{
	struct visit	    *visit = exchange;
	struct page	    *page = &visit->page;
	struct http_headers  headers = STAILQ_HEAD_INITIALIZER(headers);
	struct http_response response = { .headers = &headers };

	pages_fill(&visit->admin->pages, page);
	for (size_t i = 0; i < PAGE_HEADERS && page->headers[i].name != NULL;
	    i++)
		STAILQ_INSERT_TAIL(&headers, &page->headers[i], entry);
	if (page->live && feed_join(&visit->admin->feed, &visit->reader,
	    visit->client, &headers))
		return;
	if (page->body == NULL) {
		http_client_refuse(visit->client, 503);
		return;
	}
	response.status = page->status;
	response.type = page->type;
	response.length = page->length;
	http_client_answer(visit->client, &response, page->body);
}

static void
on_cut(void *exchange, unsigned status)
{
	struct visit *visit = exchange;

	http_client_refuse(visit->client, status);
}

static void
on_room(void *exchange)
{
	struct visit *visit = exchange;

	feed_room(&visit->reader);
}

static void
on_over(void *exchange)
{
	struct visit *visit = exchange;

	feed_leave(&visit->admin->feed, &visit->reader);
	free(visit->page.body);
	free(visit);
}

static void
on_refused(void *arg, unsigned status)
{
	(void)arg;
	(void)status;
}

static void
on_closed(void *arg, void *tag)
{
	(void)arg;
	(void)tag;
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

/*
 * Of the loop.
 */

static void
on_acceptable(struct ev_loop *ev, ev_io *watcher, int revents)
{
	static const int buffer = SEND_BUFFER;
	struct admin	*admin = watcher->data;
	int		 fd;

	(void)ev;
	(void)revents;
	fd = accept4(watcher->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd == -1)
		return;
	/* A page that is open and reads nothing shall be found in seconds, not
	 * once megabytes of news wait in the kernel. */
	setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &buffer, sizeof(buffer));
	if (admin->server.count >= CLIENTS_MAX)
		close(fd);
	else
		http_server_accept(&admin->server, fd, NULL);
}

static void
on_sweep(struct ev_loop *ev, ev_timer *timer, int revents)
{
	struct admin *admin = timer->data;

	(void)ev;
	(void)revents;
	http_server_sweep(&admin->server, admin->server.count >= CLIENTS_MAX);
	log_tell_dropped(&admin->args->log);
}

static void
on_beat(struct ev_loop *ev, ev_timer *beat, int revents)
{
	struct admin *admin = beat->data;

	(void)ev;
	(void)revents;
	feed_beat(&admin->feed);
}

static void
on_turn(struct ev_loop *ev, ev_prepare *prepare, int revents)
{
	struct admin *admin = prepare->data;

	(void)ev;
	(void)revents;
	http_server_turn(&admin->server);
	http_server_send(&admin->server);
}

static void
set_server(struct admin *admin)
{
	struct http_server *server = &admin->server;
	char		    pid[16];

	server->ev = admin->ev;
	server->calls = &calls;
	server->arg = admin;
	server->limits = (struct http_limits) {
		.header_ms = HEADER_MS, .idle_ms = IDLE_MS,
		.request_ms = REQUEST_MS, .header = HEADER_SIZE,
	};
	snprintf(pid, sizeof(pid), "%ld", (long)getpid());
	http_writer_init(&server->writer, pid);
	http_server_init(server);
}

/* From now to the middle of a second of CLOCK_MONOTONIC: looks that are a bit
 * late still fall into seconds of their own. */
static ev_tstamp
until_half(void)
{
	struct timespec	now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return 1.5 - (double)now.tv_nsec / 1e9;
}

static void
watch(struct admin *admin)
{
	const struct admin_args *args = admin->args;

	for (size_t i = 0; i < args->listener_count && i < LISTENER_MAX; i++) {
		ev_io_init(&admin->listeners[i], on_acceptable,
		    args->listeners[i], EV_READ);
		admin->listeners[i].data = admin;
		ev_io_start(admin->ev, &admin->listeners[i]);
	}
	ev_timer_init(&admin->sweep, on_sweep, SWEEP_S, SWEEP_S);
	admin->sweep.data = admin;
	ev_timer_start(admin->ev, &admin->sweep);
	ev_timer_init(&admin->beat, on_beat, until_half(), BEAT_S);
	admin->beat.data = admin;
	ev_timer_start(admin->ev, &admin->beat);
	ev_prepare_init(&admin->turn, on_turn);
	admin->turn.data = admin;
	ev_prepare_start(admin->ev, &admin->turn);
}

/* TERM ends us, by its default; the rest is the master's business. */
static bool
mind_signals(const struct admin_args *args)
{
	sigset_t term;

	sigemptyset(&term);
	sigaddset(&term, SIGTERM);
	sigaddset(&term, SIGQUIT);
	signal(SIGTERM, SIG_DFL);
	signal(SIGQUIT, SIG_DFL);
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	sigprocmask(SIG_UNBLOCK, &term, NULL);
	/* The master may have died before that. */
	return getppid() == args->master;
}

int
admin_run(const struct admin_args *args)
{
	struct admin	  admin = { .args = args };
	struct mews_error error;
	char		  why[sizeof(error.message)];

	setproctitle("admin (%s)", args->config->fleet.instance);
	if (!mind_signals(args))
		return 1;
	if (mews_view_open(&admin.pages.view, args->segment_path, &error) !=
	    MEWS_OK) {
		log_write(&args->log, MEWS_LOG_ERROR, "admin_failed",
		    "error=%s", logfmt_value(why, sizeof(why), error.message));
		return 1;
	}
	admin.pages.config = args->keeps ? NULL : &args->config->fleet;
	if ((admin.ev = ev_loop_new(EVFLAG_AUTO)) == NULL) {
		log_write(&args->log, MEWS_LOG_ERROR, "admin_failed",
		    "error=\"no event loop\"");
		return 1;
	}
	feed_init(&admin.feed, admin.pages.view, admin.pages.config,
	    args->history);
	feed_beat(&admin.feed);
	set_server(&admin);
	watch(&admin);
	ev_run(admin.ev, 0);
	return 1;
}
