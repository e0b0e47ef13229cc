/*
 * embed_epoll.c - a host with an epoll loop of its own.
 *
 *	embed_epoll CONNINFO...		one for each server, at most four
 *
 * Prints the port of 127.0.0.1 where its workers share one UDP socket. Each
 * datagram is a name; its answer is a greeting that a database made:
 *
 *	echo -n Finch | nc -u -W 1 127.0.0.1 PORT
 *
 * The parent replaces workers that were killed. SIGTERM or SIGINT ends it;
 * the workers first answer what they began. With a path DIR/epoll.segment in
 * the environment, as RUNTIME_FILE, `mews status --runtime-dir DIR` shows
 * the fleet.
 */
#include <arpa/inet.h>
#include <err.h>
#include <mews.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#define WORKERS	   2
#define EVENTS_MAX 64

struct host {
	struct mews_fleet *fleet;
	int socket;
	sigset_t signals; /* blocked, and waited for */
	pid_t workers[WORKERS];
};

struct worker {
	struct mews_pool *pool;
	struct mews_group *group;
	struct mews_statement *greeting;
	int epoll;
	int socket;
	int unanswered; /* requests */
};

struct request {
	struct worker *worker;
	struct sockaddr_in from;
	char name[100];
};

/*
 * The adapter is this function, and two lines of the loop in work().
 */
static void
watch(void *arg, int fd, int events)
{
	const struct worker *worker = arg;
	struct epoll_event event = { .data.fd = fd };

	if (events & MEWS_WATCH_READ)
		event.events |= EPOLLIN;
	if (events & MEWS_WATCH_WRITE)
		event.events |= EPOLLOUT;
	if (events == 0)
		epoll_ctl(worker->epoll, EPOLL_CTL_DEL, fd, NULL);
	else if (epoll_ctl(worker->epoll, EPOLL_CTL_MOD, fd, &event) == -1 &&
	    epoll_ctl(worker->epoll, EPOLL_CTL_ADD, fd, &event) == -1)
		err(1, "epoll_ctl");
}

static void
ready(struct worker *worker, const struct epoll_event *event)
{
	/* Errors and hang-ups are there to be read. */
	mews_pool_ready(worker->pool, event->data.fd,
	    (event->events & ~(uint32_t)EPOLLOUT ? MEWS_WATCH_READ : 0) |
	    (event->events & EPOLLOUT ? MEWS_WATCH_WRITE : 0));
}

static void
answer(struct request *request, const char *text)
{
	sendto(request->worker->socket, text, strlen(text), 0,
	    (struct sockaddr *)&request->from, sizeof(request->from));
	request->worker->unanswered--;
	free(request);
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
receive(struct worker *worker)
{
	struct request *request = calloc(1, sizeof(*request));
	socklen_t length = sizeof(request->from);
	struct mews_param name;
	struct mews_query_args args = { .statement = worker->greeting,
		.params = &name, .param_count = 1 };

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

static int
work(const struct host *host)
{
	struct mews_fleet *fleet = host->fleet;
	struct worker worker = { .socket = host->socket,
		.epoll = epoll_create1(EPOLL_CLOEXEC) };
	struct epoll_event events[EVENTS_MAX];
	struct mews_error error;
	int	stop = signalfd(-1, &host->signals, SFD_CLOEXEC);
	int	timeout, count;
	bool	stopping = false;

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
	watch(&worker, stop, MEWS_WATCH_READ);
	watch(&worker, worker.socket, MEWS_WATCH_READ);
	mews_fleet_set_state(fleet, MEWS_WORKER_READY);

	while (!stopping || worker.unanswered > 0) {
		timeout = mews_pool_tick(worker.pool);
		count = epoll_wait(worker.epoll, events, EVENTS_MAX, timeout);
		for (int i = 0; i < count; i++) {
			if (events[i].data.fd == worker.socket) {
				receive(&worker);
			} else if (events[i].data.fd == stop) {
				stopping = true;
				watch(&worker, stop, 0);
				watch(&worker, worker.socket, 0);
			} else {
				ready(&worker, &events[i]);
			}
		}
	}
	mews_pool_close(&worker.pool);
	mews_fleet_destroy(&fleet);
	close(stop);
	close(worker.epoll);
	return 0;
}

static pid_t
start_worker(const struct host *host)
{
	pid_t	parent = getpid(), pid = fork();

	if (pid == -1)
		err(1, "fork");
	if (pid > 0)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGTERM); /* end with the parent */
	if (getppid() != parent)
		raise(SIGTERM); /* the parent ended already */
	exit(work(host));
}

/* SIGCHLD. A worker that gave up said why, and is not tried again. */
static void
replace_killed(struct host *host)
{
	int	status;
	pid_t	pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		mews_fleet_reap(host->fleet, pid);
		for (int i = 0; i < WORKERS; i++)
			if (host->workers[i] == pid)
				host->workers[i] = WIFSIGNALED(status) ?
				    start_worker(host) : 0;
	}
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
	mews_config_set(config, "instance", "epoll", NULL);
	mews_config_set(config, "workers", workers, NULL);
	mews_config_set(config, "group.read.role", "any", NULL);
	for (int i = 1; i < argc; i++, endpoint[strlen("endpoint.")]++)
		mews_config_set(config, endpoint, argv[i], NULL);
	if (getenv("RUNTIME_FILE") != NULL) {
		unlink(getenv("RUNTIME_FILE")); /* a crash would leave it */
		mews_config_set(config, "runtime_file",
		    getenv("RUNTIME_FILE"), NULL);
	}
	return config;
}

int
main(int argc, char **argv)
{
	struct mews_config *config;
	struct mews_error error;
	struct host host;
	pid_t	pid;
	int	signal;

	config = configure(argc, argv);
	if (mews_fleet_create(&host.fleet, config, &error) != MEWS_OK)
		errx(1, "%s", error.message);
	mews_config_free(&config);
	mews_fleet_set_master(host.fleet, getpid(), 0);
	sigemptyset(&host.signals);
	sigaddset(&host.signals, SIGCHLD);
	sigaddset(&host.signals, SIGINT);
	sigaddset(&host.signals, SIGTERM);
	sigprocmask(SIG_BLOCK, &host.signals, NULL);
	host.socket = open_socket();
	for (int i = 0; i < WORKERS; i++)
		host.workers[i] = start_worker(&host);

	while (sigwait(&host.signals, &signal) == 0 && signal == SIGCHLD)
		replace_killed(&host);

	for (int i = 0; i < WORKERS; i++)
		if (host.workers[i] > 0)
			kill(host.workers[i], SIGTERM);
	while ((pid = wait(NULL)) > 0)
		mews_fleet_reap(host.fleet, pid);
	mews_fleet_destroy(&host.fleet);
	return 0;
}
