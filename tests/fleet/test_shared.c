/*
 * test_shared.c - clients that stay are shared among all workers.
 */
#include "fleet.h"
#include "unit.h"

#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#define WORKERS 4
#define CLIENTS 40
#define PASSING 4

static struct fleet	   the_fleet;
static struct fleet *const fleet = &the_fleet;
static pid_t		   workers[FLEET_WORKERS_MAX];

/* Connect, ask, and stay connected; the pid of the worker that answered. */
static pid_t
stay(void)
{
	static const char  question[] = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
	struct sockaddr_in at = { .sin_family = AF_INET,
		.sin_port = htons((uint16_t)fleet->port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct timeval	   limit = { .tv_sec = FLEET_WAIT_MS / 1000 };
	char		   answer[2048];
	const char	  *worker;
	ssize_t		   length;
	int		   fd = socket(AF_INET, SOCK_STREAM, 0);

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	ck_assert_int_eq(connect(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	ck_assert_int_eq(send(fd, question, strlen(question), 0),
	    (ssize_t)strlen(question));
	length = recv(fd, answer, sizeof(answer) - 1, 0);
	ck_assert_int_gt(length, 0);
	answer[length] = '\0';
	worker = strcasestr(answer, "Mews-Worker: ");
	ck_assert_ptr_nonnull(worker);
	return (pid_t)atoi(worker + strlen("Mews-Worker: "));
}

/* How many of @clients each worker has. */
static void
count_clients(int clients, int counts[WORKERS])
{
	pid_t pid;

	memset(counts, 0, WORKERS * sizeof(*counts));
	for (int i = 0; i < clients; i++) {
		pid = stay();
		for (int j = 0; j < WORKERS; j++)
			counts[j] += pid == workers[j];
	}
}

static void
start(void)
{
	fleet_init(fleet, "");
	/* The configuration has two workers; TTIN adds the others. */
	fleet_start(fleet);
	for (int i = 3; i <= WORKERS; i++) {
		fleet_signal(fleet, SIGTTIN);
		fleet_wait(fleet_workers(fleet, workers) == i);
	}
	fleet_wait(fleet_logged(fleet, "event=worker_ready") == WORKERS);
}

/* A busy machine keeps a worker from its share, so this test asserts little;
 * tests/front/sharing.c asserts how even shares are. */
START_TEST(clients_that_stay_are_shared)
{
	int counts[WORKERS];

	start();
	count_clients(CLIENTS, counts);
	for (int i = 0; i < WORKERS; i++)
		ck_assert_int_ge(counts[i], CLIENTS / WORKERS / 2);
	ck_assert_int_eq(fleet_end(fleet, SIGTERM), 0);
}
END_TEST

/* Clients that ask once, each on a connection of its own, until the end of the
 * test. */
static pid_t
pass(void)
{
	pid_t client = fork();

	if (client != 0)
		return client;
	for (;;)
		fleet_get(fleet, "/");
}

/* Beside so many that pass, in turns of few milliseconds, a worker that takes
 * every client would have twice its share, or none. */
START_TEST(clients_that_stay_are_shared_beside_those_that_pass)
{
	int   counts[WORKERS];
	pid_t passing[PASSING];

	start();
	for (int i = 0; i < PASSING; i++)
		passing[i] = pass();
	count_clients(CLIENTS, counts);
	for (int i = 0; i < PASSING; i++)
		ck_assert_int_eq(kill(passing[i], SIGKILL), 0);
	for (int i = 0; i < WORKERS; i++)
		ck_assert_int_ge(counts[i], CLIENTS / WORKERS / 2);
	ck_assert_int_eq(fleet_end(fleet, SIGTERM), 0);
}
END_TEST

/* A stopped process may run on for a moment, and take a client. */
static bool
is_stopped(pid_t pid)
{
	char	path[60], line[300];
	FILE   *file;

	snprintf(path, sizeof(path), "/proc/%ld/stat", (long)pid);
	ck_assert_ptr_nonnull(file = fopen(path, "r"));
	ck_assert_ptr_nonnull(fgets(line, sizeof(line), file));
	fclose(file);
	return strstr(line, ") T ") != NULL;
}

START_TEST(a_worker_that_is_stopped_keeps_nobody_waiting)
{
	int counts[WORKERS];

	start();
	ck_assert_int_eq(kill(workers[0], SIGSTOP), 0);
	fleet_wait(is_stopped(workers[0]));
	count_clients(CLIENTS, counts);
	ck_assert_int_eq(counts[0], 0);
	for (int i = 1; i < WORKERS; i++)
		ck_assert_int_ge(counts[i], CLIENTS / WORKERS / 3);
	ck_assert_int_eq(kill(workers[0], SIGCONT), 0);
	ck_assert_int_eq(fleet_end(fleet, SIGTERM), 0);
}
END_TEST

static Suite *
shared_suite(void)
{
	Suite *suite = suite_create("shared");
	TCase *tcase = unit_case(suite, "shared");

	tcase_set_timeout(tcase, 180);
	tcase_add_unchecked_fixture(tcase, fleet_make_base,
	    fleet_remove_base);
	tcase_add_test(tcase, clients_that_stay_are_shared);
	tcase_add_test(tcase,
	    clients_that_stay_are_shared_beside_those_that_pass);
	tcase_add_test(tcase, a_worker_that_is_stopped_keeps_nobody_waiting);
	return suite;
}

UNIT_MAIN(shared_suite)
