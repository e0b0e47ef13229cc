/*
 * embed_ev.c - a host with a libev loop.
 *
 *	embed_ev CONNINFO...		one for each server, at most four
 *
 * Prints the port of 127.0.0.1 where its workers share one UDP socket. Each
 * datagram is a name; its answer is a greeting that a database made. SIGTERM
 * ends the parent; its workers answer what they began, and end. One more
 * process, the monitor, probes the servers; a fleet may do without.
 */
#include <arpa/inet.h>
#include <err.h>
#include <ev.h>
#include <mews.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define WORKERS	  2
#define FILES_MAX 1024

struct worker {
	struct mews_pool *pool;
	struct mews_group *group;
	struct mews_statement *greeting;
	struct ev_loop *loop;
	ev_io watchers[FILES_MAX]; /* the pool's, by descriptor */
	ev_prepare before_wait;
	ev_timer deadline;
	ev_io readable;
	ev_signal stop;
	int unanswered; /* requests */
};

struct request {
	struct worker *worker;
	struct sockaddr_in from;
	char name[100];
};

/*
 * The adapter: watch() and on_ready() for descriptors, on_wait() for time.
 */
static void
watch(void *arg, int fd, int events)
{
	struct worker *worker = arg;
	ev_io *watcher;

	if (fd >= FILES_MAX)
		errx(1, "more than %d descriptors", FILES_MAX);
	watcher = &worker->watchers[fd];
	ev_io_stop(worker->loop, watcher);
	if (events == 0)
		return;
	ev_io_set(watcher, fd, (events & MEWS_WATCH_READ ? EV_READ : 0) |
	    (events & MEWS_WATCH_WRITE ? EV_WRITE : 0));
	ev_io_start(worker->loop, watcher);
}

static void
on_ready(struct ev_loop *loop, ev_io *watcher, int events)
{
	struct worker *worker = ev_userdata(loop);

	mews_pool_ready(worker->pool, watcher->fd,
	    (events & EV_READ ? MEWS_WATCH_READ : 0) |
	    (events & EV_WRITE ? MEWS_WATCH_WRITE : 0));
}

/* The loop is about to wait. */
static void
on_wait(struct ev_loop *loop, ev_prepare *watcher, int events)
{
	struct worker *worker = ev_userdata(loop);
	int	timeout = mews_pool_tick(worker->pool);

	(void)watcher;
	(void)events;
	ev_timer_stop(loop, &worker->deadline);
	if (timeout >= 0) {
		ev_timer_set(&worker->deadline, timeout / 1000.0, 0);
		ev_timer_start(loop, &worker->deadline);
	}
}

static void
on_deadline(struct ev_loop *loop, ev_timer *watcher, int events)
{
	(void)loop;
	(void)watcher;
	(void)events; /* on_wait() follows */
}

static void
answer(struct request *request, const char *text)
{
	struct worker *worker = request->worker;

	sendto(worker->readable.fd, text, strlen(text), 0,
	    (struct sockaddr *)&request->from, sizeof(request->from));
	free(request);
	if (--worker->unanswered == 0 && !ev_is_active(&worker->readable))
		ev_break(worker->loop, EVBREAK_ALL);
}

static void
on_greeting(void *request, const struct mews_result *result)
{
	if (mews_result_status(result) == MEWS_OK)
		answer(request, PQgetvalue(mews_result_pg(result), 0, 0));
	else
		answer(request, mews_result_message(result));
}

/* A datagram: start the query whose callback answers it. */
static void
on_readable(struct ev_loop *loop, ev_io *watcher, int events)
{
	struct worker *worker = ev_userdata(loop);
	struct request *request = calloc(1, sizeof(*request));
	socklen_t length = sizeof(request->from);
	struct mews_param name;
	struct mews_query_args args = { .statement = worker->greeting,
		.params = &name, .param_count = 1 };

	(void)events;
	if (request == NULL)
		err(1, "calloc");
	if (recvfrom(watcher->fd, request->name, sizeof(request->name) - 1,
		MSG_DONTWAIT, (struct sockaddr *)&request->from,
		&length) == -1) {
		free(request); /* another worker was faster */
		return;
	}
	request->worker = worker;
	worker->unanswered++;
	name = mews_param_text(request->name);
	if (mews_query_send(worker->group, &args, on_greeting, request,
		NULL) != MEWS_OK)
		answer(request, mews_group_message(worker->group));
}

/* SIGTERM: receive nothing more, and end when everything is answered. */
static void
on_stop(struct ev_loop *loop, ev_signal *watcher, int events)
{
	struct worker *worker = ev_userdata(loop);

	(void)watcher;
	(void)events;
	ev_io_stop(loop, &worker->readable);
	if (worker->unanswered == 0)
		ev_break(loop, EVBREAK_ALL);
}

static int
work(struct mews_fleet *fleet, int socket)
{
	struct worker worker = { .loop = ev_loop_new(EVFLAG_AUTO) };
	struct mews_error error;

	for (int fd = 0; fd < FILES_MAX; fd++)
		ev_init(&worker.watchers[fd], on_ready);
	ev_set_userdata(worker.loop, &worker);
	if (mews_fleet_join(fleet, &error) != MEWS_OK ||
	    mews_pool_open(&worker.pool, fleet, watch, &worker,
		&error) != MEWS_OK)
		errx(1, "%s", error.message);
	worker.group = mews_pool_group(worker.pool, "read");
	if (mews_statement_register(&worker.greeting, worker.pool, NULL,
		"SELECT format('Hello, %s! I am %s.', $1::text,"
		" current_setting('cluster_name'))",
		0, NULL) != MEWS_OK)
		errx(1, "out of memory");
	ev_timer_init(&worker.deadline, on_deadline, 0, 0);
	ev_prepare_init(&worker.before_wait, on_wait);
	ev_prepare_start(worker.loop, &worker.before_wait);
	ev_io_init(&worker.readable, on_readable, socket, EV_READ);
	ev_io_start(worker.loop, &worker.readable);
	ev_signal_init(&worker.stop, on_stop, SIGTERM);
	ev_signal_start(worker.loop, &worker.stop);
	mews_fleet_set_state(fleet, MEWS_WORKER_READY);

	ev_run(worker.loop, 0);

	mews_pool_close(&worker.pool);
	mews_fleet_destroy(&fleet);
	ev_loop_destroy(worker.loop);
	return 0;
}

/* The monitor ends when nobody has the other end of the pipe any more. */
static int
monitor(struct mews_fleet *fleet, const int life[2])
{
	struct mews_error error;

	close(life[1]);
	if (mews_monitor_run(fleet, life[0], &error) != MEWS_OK)
		errx(1, "%s", error.message);
	mews_fleet_destroy(&fleet);
	return 0;
}

static int
open_socket(void)
{
	struct sockaddr_in at = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t length = sizeof(at);
	int	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (bind(fd, (struct sockaddr *)&at, sizeof(at)) == -1 ||
	    getsockname(fd, (struct sockaddr *)&at, &length) == -1)
		err(1, "cannot bind a socket to 127.0.0.1");
	printf("%d\n", ntohs(at.sin_port));
	fflush(stdout);
	return fd;
}

/* mews_fleet_create() reports a mistake in these settings. */
static struct mews_config *
configure(int argc, char **argv)
{
	struct mews_config *config = mews_config_new(MEWS_ABI);
	char	endpoint[] = "endpoint.a.conninfo", workers[12];

	if (config == NULL)
		errx(1, "out of memory");
	snprintf(workers, sizeof(workers), "%d", WORKERS);
	mews_config_set(config, "instance", "ev", NULL);
	mews_config_set(config, "workers", workers, NULL);
	mews_config_set(config, "group.read.role", "any", NULL);
	for (int i = 1; i < argc; i++, endpoint[strlen("endpoint.")]++)
		mews_config_set(config, endpoint, argv[i], NULL);
	return config;
}

int
main(int argc, char **argv)
{
	struct mews_config *config;
	struct mews_fleet *fleet;
	struct mews_error error;
	pid_t	pid, parent = getpid();
	int	socket = open_socket(), life[2];

	config = configure(argc, argv);
	if (mews_fleet_create(&fleet, config, &error) != MEWS_OK)
		errx(1, "%s", error.message);
	mews_config_free(&config);
	if (pipe(life) == -1)
		err(1, "pipe");
	if (fork() == 0)
		return monitor(fleet, life);
	for (int i = 0; i < WORKERS; i++)
		if (fork() == 0) {
			prctl(PR_SET_PDEATHSIG, SIGTERM);
			return getppid() == parent ? work(fleet, socket) : 1;
		}
	while ((pid = wait(NULL)) > 0)
		mews_fleet_reap(fleet, pid);
	mews_fleet_destroy(&fleet);
	return 0;
}
