/*
 * falcon.c - an application server of the FalconAS kind: a parent takes
 * requests and hands each to one of its forked, single-threaded workers,
 * through shared memory; a worker has one request at a time and answers it
 * with blocking queries.
 *
 *	falcon CONNINFO...		one for each server, at most four
 *
 * A request is a line of stdin, "read N" or "write N", where N is a row of
 * the table in techempower.sql. Its answer is a line of stdout: the number
 * of the request, then "ok", "failed" or "unknown", and more. What happens
 * meanwhile is told on stderr. It ends with stdin, or by SIGTERM, when all
 * is answered. Kill its workers and its servers while it runs:
 *
 *	yes "read 7" | falcon "$MEWS_A" "$MEWS_B" "$MEWS_C"
 */
#include <err.h>
#include <mews.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#define WORKERS	    4
#define TRIES_MAX   3	 /* workers that one request may take with it */
#define TURN_MS	    1000 /* an idle worker looks after its pool so often */
#define PAYLOAD_MAX 64
#define RESULT_MAX  256

/*
 * The state says whose a mailbox is, so it needs no lock. Whoever has it
 * writes the rest first and the state last; the other reads in the opposite
 * order. A worker may die anywhere: the state tells how far it came.
 */
enum mailbox_state {
	MAILBOX_EMPTY,	 /* the parent's */
	MAILBOX_REQUEST, /* the worker's: nothing has happened yet */
	MAILBOX_WORKING, /* the worker's */
	MAILBOX_RESULT,	 /* the parent's: the result is whole */
	MAILBOX_CLOSED	 /* the worker's, to end */
};

struct mailbox {
	_Alignas(128) _Atomic int state;
	char payload[PAYLOAD_MAX];
	char result[RESULT_MAX];
};

/* Where one worker after the other sits. */
struct seat {
	struct mailbox *mailbox; /* outlives them */
	int bell;	       /* an eventfd: look into the mailbox */
	pid_t pid;	       /* 0: nobody */
	unsigned long request; /* the number of the one in the mailbox */
	int tries;
};

struct host {
	struct mews_fleet *fleet;
	struct seat seats[WORKERS];
	int bell; /* an eventfd: some worker has a result */
	unsigned long requests;
	sigset_t inherited; /* the signals that were blocked before */
	bool stopping;
};

static void
ring(int bell)
{
	const uint64_t one = 1;

	if (write(bell, &one, sizeof(one)) == -1)
		err(1, "eventfd");
}

static void
silence(int bell)
{
	uint64_t count;

	if (read(bell, &count, sizeof(count)) == -1)
		err(1, "eventfd");
}

/*
 * The worker.
 */

struct worker {
	struct mews_pool *pool;
	struct mews_group *read, *write;
	struct mews_statement *select, *update;
};

static void
print_failure(char *text, enum mews_status status, const char *why)
{
	snprintf(text, RESULT_MAX, "%s %s: %s",
	    status == MEWS_LOST ? "unknown" : "failed",
	    mews_status_name(status), why);
}

static void
print_row(char *text, const struct mews_result *result)
{
	const PGresult *pg = mews_result_pg(result);

	snprintf(text, RESULT_MAX, "ok %s from %s",
	    PQntuples(pg) > 0 ? PQgetvalue(pg, 0, 0) : "nothing",
	    mews_result_endpoint(result));
}

static void
serve_read(struct worker *worker, struct mews_param id, char *text)
{
	struct mews_query_args args = { .statement = worker->select,
		.params = &id, .param_count = 1 };
	struct mews_result *result;
	enum mews_status status;

	status = mews_query_run(worker->read, &args, &result);
	if (status == MEWS_OK)
		print_row(text, result);
	else
		print_failure(text, status, result == NULL ?
		    mews_group_message(worker->read) :
		    mews_result_message(result));
	mews_result_free(&result);
}

/* A transaction. Its group has autocommit off, so BEGIN goes by itself, and
 * a lease that ends without a commit is rolled back. */
static void
serve_write(struct worker *worker, struct mews_param id, char *text)
{
	struct mews_query_args args = { .statement = worker->update,
		.params = &id, .param_count = 1 };
	struct mews_lease *lease;
	struct mews_result *row = NULL, *commit = NULL;
	enum mews_status status;

	status = mews_lease_begin_run(worker->write, 0, &lease);
	if (status == MEWS_OK)
		status = mews_lease_query_run(lease, &args, &row);
	if (status == MEWS_OK)
		status = mews_lease_commit_run(lease, &commit);
	if (status == MEWS_OK)
		print_row(text, row);
	else
		print_failure(text, status, commit != NULL ?
		    mews_result_message(commit) : row != NULL ?
		    mews_result_message(row) :
		    mews_group_message(worker->write));
	mews_result_free(&row);
	mews_result_free(&commit);
	mews_lease_end(&lease);
}

/* Here an application server would call its interpreter. */
static void
serve(struct worker *worker, const char *payload, char *result)
{
	int	id;

	if (sscanf(payload, "read %d", &id) == 1)
		serve_read(worker, mews_param_int_text(id), result);
	else if (sscanf(payload, "write %d", &id) == 1)
		serve_write(worker, mews_param_int_text(id), result);
	else
		snprintf(result, RESULT_MAX, "failed: neither read nor write");
}

static int
work(struct mews_fleet *fleet, struct mailbox *mailbox, int bell, int result)
{
	struct worker worker;
	struct mews_error error;
	struct pollfd wait = { .fd = bell, .events = POLLIN };
	int	state;

	if (mews_fleet_join(fleet, &error) != MEWS_OK ||
	    mews_pool_open(&worker.pool, fleet, NULL, NULL,
		&error) != MEWS_OK)
		errx(1, "%s", error.message);
	worker.read = mews_pool_group(worker.pool, "read");
	worker.write = mews_pool_group(worker.pool, "write");
	if (mews_statement_register(&worker.select, worker.pool, NULL,
		"SELECT randomnumber FROM world WHERE id = $1", 0,
		NULL) != MEWS_OK ||
	    mews_statement_register(&worker.update, worker.pool, NULL,
		"UPDATE world SET randomnumber = randomnumber + 1"
		" WHERE id = $1 RETURNING randomnumber",
		0, NULL) != MEWS_OK)
		errx(1, "out of memory");
	mews_fleet_set_state(fleet, MEWS_WORKER_READY);

	while ((state = atomic_load(&mailbox->state)) != MAILBOX_CLOSED) {
		if (state == MAILBOX_REQUEST) {
			atomic_store(&mailbox->state, MAILBOX_WORKING);
			serve(&worker, mailbox->payload, mailbox->result);
			mews_fleet_count_requests(fleet, 1);
			atomic_store(&mailbox->state, MAILBOX_RESULT);
			ring(result);
		} else if (poll(&wait, 1, TURN_MS) > 0) {
			silence(bell);
		} else {
			mews_pool_turn(worker.pool, 0);
		}
	}
	mews_pool_close(&worker.pool);
	mews_fleet_destroy(&fleet);
	return 0;
}

/*
 * The parent.
 */

static void
start_worker(struct host *host, struct seat *seat)
{
	pid_t	parent = getpid();

	if ((seat->pid = fork()) == -1)
		err(1, "fork");
	if (seat->pid > 0) {
		fprintf(stderr, "falcon: worker %d starts\n", seat->pid);
		return;
	}
	prctl(PR_SET_PDEATHSIG, SIGTERM); /* end with the parent */
	if (getppid() != parent)
		_exit(1); /* the parent ended already */
	sigprocmask(SIG_SETMASK, &host->inherited, NULL);
	exit(work(host->fleet, seat->mailbox, seat->bell, host->bell));
}

static struct seat *
free_seat(struct host *host)
{
	for (int i = 0; i < WORKERS; i++)
		if (host->seats[i].mailbox->state == MAILBOX_EMPTY)
			return &host->seats[i];
	return NULL;
}

static void
take_request(struct host *host, struct seat *seat)
{
	if (fgets(seat->mailbox->payload, PAYLOAD_MAX, stdin) == NULL) {
		host->stopping = true;
		return;
	}
	seat->request = ++host->requests;
	seat->tries = 0;
	atomic_store(&seat->mailbox->state, MAILBOX_REQUEST);
	ring(seat->bell);
}

static void
answer_request(struct seat *seat, const char *result)
{
	printf("%lu %s\n", seat->request, result);
	fflush(stdout);
	atomic_store(&seat->mailbox->state, MAILBOX_EMPTY);
}

static void
take_results(struct host *host)
{
	for (int i = 0; i < WORKERS; i++)
		if (host->seats[i].mailbox->state == MAILBOX_RESULT)
			answer_request(&host->seats[i],
			    host->seats[i].mailbox->result);
}

/* Settle the request that a dead worker had: one that it had not begun, and a
 * read, are left to the next worker. */
static void
inherit_request(struct seat *seat)
{
	struct mailbox *mailbox = seat->mailbox;

	if (mailbox->state != MAILBOX_WORKING)
		return;
	if (strncmp(mailbox->payload, "read", 4) != 0) {
		answer_request(seat, "unknown: its worker died");
	} else if (++seat->tries == TRIES_MAX) {
		answer_request(seat, "failed: it kills its workers");
	} else {
		fprintf(stderr, "falcon: request %lu goes to another\n",
		    seat->request);
		atomic_store(&mailbox->state, MAILBOX_REQUEST);
	}
}

static void
reap_workers(struct host *host)
{
	struct seat *seat;
	int	status;
	pid_t	pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		mews_fleet_reap(host->fleet, pid);
		for (seat = host->seats; seat->pid != pid; seat++)
			;
		if (WIFEXITED(status))
			errx(1, "worker %d gave up", pid);
		fprintf(stderr, "falcon: worker %d died by signal %d\n", pid,
		    WTERMSIG(status));
		inherit_request(seat);
		start_worker(host, seat);
	}
}

static bool
is_idle(const struct host *host)
{
	for (int i = 0; i < WORKERS; i++)
		if (host->seats[i].mailbox->state != MAILBOX_EMPTY)
			return false;
	return true;
}

static void
run(struct host *host, int signals)
{
	struct signalfd_siginfo signal;
	struct seat *seat;

	while (!host->stopping || !is_idle(host)) {
		struct pollfd wait[] = {
			{ .fd = host->bell, .events = POLLIN },
			{ .fd = signals, .events = POLLIN },
			{ .fd = STDIN_FILENO, .events = POLLIN },
		};

		/* A request that no worker is free for may wait outside. */
		seat = host->stopping ? NULL : free_seat(host);
		if (poll(wait, seat == NULL ? 2 : 3, -1) == -1)
			err(1, "poll");
		if (wait[0].revents != 0)
			silence(host->bell);
		if (wait[1].revents != 0) {
			if (read(signals, &signal, sizeof(signal)) == -1)
				err(1, "signalfd");
			if (signal.ssi_signo == SIGCHLD)
				reap_workers(host);
			else
				host->stopping = true;
		}
		take_results(host); /* those of the dead, too */
		if (seat != NULL && wait[2].revents != 0)
			take_request(host, seat);
	}
}

static void
on_log(void *arg, enum mews_log_level level, const char *event,
    const char *text)
{
	(void)arg;
	if (level >= MEWS_LOG_INFO)
		fprintf(stderr, "falcon: %s %s\n", event, text);
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
	mews_config_set(config, "instance", "falcon", NULL);
	mews_config_set(config, "workers", workers, NULL);
	mews_config_set(config, "group.read.role", "prefer-standby", NULL);
	mews_config_set(config, "group.write.role", "primary", NULL);
	mews_config_set(config, "group.write.connection_count", "1", NULL);
	mews_config_set(config, "group.write.autocommit", "off", NULL);
	for (int i = 1; i < argc; i++, endpoint[strlen("endpoint.")]++)
		mews_config_set(config, endpoint, argv[i], NULL);
	if (getenv("RUNTIME_FILE") != NULL) {
		unlink(getenv("RUNTIME_FILE")); /* a crash would leave it */
		mews_config_set(config, "runtime_file",
		    getenv("RUNTIME_FILE"), NULL);
	}
	return config;
}

static struct mews_fleet *
create_fleet(int argc, char **argv)
{
	struct mews_config *config;
	struct mews_fleet *fleet;
	struct mews_error error;

	config = configure(argc, argv);
	if (mews_fleet_create(&fleet, config, &error) != MEWS_OK)
		errx(1, "%s", error.message);
	mews_config_free(&config);
	mews_fleet_set_master(fleet, getpid(), 0);
	mews_fleet_set_log(fleet, on_log, NULL);
	return fleet;
}

int
main(int argc, char **argv)
{
	struct host host = { .bell = eventfd(0, EFD_CLOEXEC) };
	struct mailbox *mailboxes = mmap(NULL, WORKERS * sizeof(*mailboxes),
	    PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	sigset_t signals;
	int	fd;

	if (mailboxes == MAP_FAILED)
		err(1, "mmap");
	sigemptyset(&signals);
	sigaddset(&signals, SIGCHLD);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGTERM);
	sigprocmask(SIG_BLOCK, &signals, &host.inherited);
	fd = signalfd(-1, &signals, SFD_CLOEXEC);
	setbuf(stdin, NULL); /* poll(2) cannot see bytes read ahead */

	host.fleet = create_fleet(argc, argv);
	for (int i = 0; i < WORKERS; i++) {
		host.seats[i].mailbox = &mailboxes[i];
		host.seats[i].bell = eventfd(0, EFD_CLOEXEC);
		start_worker(&host, &host.seats[i]);
	}

	run(&host, fd);

	for (int i = 0; i < WORKERS; i++) {
		atomic_store(&mailboxes[i].state, MAILBOX_CLOSED);
		ring(host.seats[i].bell);
	}
	for (int i = 0; i < WORKERS; i++) {
		waitpid(host.seats[i].pid, NULL, 0);
		mews_fleet_reap(host.fleet, host.seats[i].pid);
	}
	mews_fleet_destroy(&host.fleet);
	return 0;
}
