/*
 * embed_uv.c - a host with a libuv loop.
 *
 *	embed_uv CONNINFO...		one for each server, at most four
 *
 * Prints the port of 127.0.0.1 where its workers share one UDP socket. Each
 * datagram is a name; its answer is a greeting that a database made. SIGTERM
 * ends the parent; its workers answer what they began, and end.
 */
#include <arpa/inet.h>
#include <err.h>
#include <mews.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include <uv.h>

#define WORKERS	  2
#define FILES_MAX 1024

struct worker {
	struct mews_pool *pool;
	struct mews_group *group;
	struct mews_statement *greeting;
	uv_loop_t loop;
	uv_poll_t *polls[FILES_MAX]; /* the pool's, by descriptor */
	uv_prepare_t before_wait;
	uv_timer_t deadline;
	uv_poll_t readable;
	uv_signal_t stop;
	int socket;
	int unanswered; /* requests */
	bool stopping;
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
on_ready(uv_poll_t *poll, int status, int events)
{
	struct worker *worker = poll->loop->data;
	int	fd;

	uv_fileno((uv_handle_t *)poll, &fd);
	mews_pool_ready(worker->pool, fd,
	    (events & UV_READABLE || status < 0 ? MEWS_WATCH_READ : 0) |
	    (events & UV_WRITABLE ? MEWS_WATCH_WRITE : 0));
}

/* libuv frees nothing, and has done with a handle only now. */
static void
on_closed(uv_handle_t *poll)
{
	free(poll);
}

static void
watch(void *arg, int fd, int events)
{
	struct worker *worker = arg;
	uv_poll_t **poll;

	if (fd >= FILES_MAX)
		errx(1, "more than %d descriptors", FILES_MAX);
	poll = &worker->polls[fd];
	if (events == 0) {
		if (*poll != NULL)
			uv_close((uv_handle_t *)*poll, on_closed);
		*poll = NULL;
		return;
	}
	if (*poll == NULL && ((*poll = malloc(sizeof(**poll))) == NULL ||
		uv_poll_init(&worker->loop, *poll, fd) != 0))
		errx(1, "cannot watch descriptor %d", fd);
	uv_poll_start(*poll, (events & MEWS_WATCH_READ ? UV_READABLE : 0) |
	    (events & MEWS_WATCH_WRITE ? UV_WRITABLE : 0), on_ready);
}

static void
on_deadline(uv_timer_t *timer)
{
	(void)timer; /* on_wait() follows */
}

/* The loop is about to wait. */
static void
on_wait(uv_prepare_t *prepare)
{
	struct worker *worker = prepare->loop->data;
	int	timeout = mews_pool_tick(worker->pool);

	if (timeout >= 0)
		uv_timer_start(&worker->deadline, on_deadline,
		    (uint64_t)timeout, 0);
	else
		uv_timer_stop(&worker->deadline);
}

static void
answer(struct request *request, const char *text)
{
	struct worker *worker = request->worker;

	sendto(worker->socket, text, strlen(text), 0,
	    (struct sockaddr *)&request->from, sizeof(request->from));
	free(request);
	if (--worker->unanswered == 0 && worker->stopping)
		uv_stop(&worker->loop);
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
on_readable(uv_poll_t *poll, int status, int events)
{
	struct worker *worker = poll->loop->data;
	struct request *request = calloc(1, sizeof(*request));
	socklen_t length = sizeof(request->from);
	struct mews_param name;
	struct mews_query_args args = { .statement = worker->greeting,
		.params = &name, .param_count = 1 };

	(void)status;
	(void)events;
	if (request == NULL)
		err(1, "calloc");
	if (recvfrom(worker->socket, request->name, sizeof(request->name) - 1,
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
on_stop(uv_signal_t *signal, int number)
{
	struct worker *worker = signal->loop->data;

	(void)number;
	worker->stopping = true;
	uv_poll_stop(&worker->readable);
	if (worker->unanswered == 0)
		uv_stop(&worker->loop);
}

static int
work(struct mews_fleet *fleet, int socket)
{
	struct worker worker = { .socket = socket };
	struct mews_error error;

	uv_loop_init(&worker.loop); /* in the child: a loop is not inherited */
	worker.loop.data = &worker;
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
	uv_timer_init(&worker.loop, &worker.deadline);
	uv_prepare_init(&worker.loop, &worker.before_wait);
	uv_prepare_start(&worker.before_wait, on_wait);
	uv_poll_init(&worker.loop, &worker.readable, socket);
	uv_poll_start(&worker.readable, UV_READABLE, on_readable);
	uv_signal_init(&worker.loop, &worker.stop);
	uv_signal_start(&worker.stop, on_stop, SIGTERM);
	mews_fleet_set_state(fleet, MEWS_WORKER_READY);

	uv_run(&worker.loop, UV_RUN_DEFAULT);

	mews_pool_close(&worker.pool);
	mews_fleet_destroy(&fleet);
	uv_close((uv_handle_t *)&worker.deadline, NULL);
	uv_close((uv_handle_t *)&worker.before_wait, NULL);
	uv_close((uv_handle_t *)&worker.readable, NULL);
	uv_close((uv_handle_t *)&worker.stop, NULL);
	uv_run(&worker.loop, UV_RUN_DEFAULT);
	return uv_loop_close(&worker.loop) == 0 ? 0 : 1;
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
	mews_config_set(config, "instance", "uv", NULL);
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
	int	socket = open_socket();

	config = configure(argc, argv);
	if (mews_fleet_create(&fleet, config, &error) != MEWS_OK)
		errx(1, "%s", error.message);
	mews_config_free(&config);
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
