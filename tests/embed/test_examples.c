/*
 * test_examples.c - each example of a host does its work, through the death of
 * a server and of its workers, and leaves nothing behind.
 */
#include "host.h"

#include <arpa/inet.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

static const char *const loops[] = { "embed_epoll", "embed_ev", "embed_uv" };

#define LOOPS ((int)(sizeof(loops) / sizeof(loops[0])))

static struct host host;

/* The example with libuv may not be built. */
static bool
was_built(const char *name)
{
	char	path[512];

	snprintf(path, sizeof(path), "%s/%s", getenv("MEWS_EXAMPLES"), name);
	return access(path, X_OK) == 0;
}

/* A socket connected to the address that the host said it serves. */
static int
host_dial(void)
{
	const struct timeval	limit = { .tv_usec = 500000 };
	struct sockaddr_in	at = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	const char	       *port = host_line(&host, HOST_WAIT_MS);
	int			fd = socket(AF_INET, SOCK_DGRAM, 0);

	ck_assert_ptr_nonnull(port);
	at.sin_port = htons((uint16_t)atoi(port));
	ck_assert_int_eq(connect(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	return fd;
}

/* Ask for @number's name until there is an answer. A request that a killed
 * worker had received is sent again; a late answer is for an earlier number.
 * Returns how often it was sent. */
static int
greet(int fd, int number, char answer[200])
{
	int64_t	until = host_now() + HOST_WAIT_MS;
	char	name[20], wanted[30];
	ssize_t	length;
	int	tries = 0;

	snprintf(name, sizeof(name), "Finch %d", number);
	snprintf(wanted, sizeof(wanted), "Hello, %s!", name);
	while (host_now() < until) {
		ck_assert_int_gt(send(fd, name, strlen(name), 0), 0);
		tries++;
		do {
			if ((length = recv(fd, answer, 199, 0)) <= 0)
				break;
			answer[length] = '\0';
			ck_assert_msg(strncmp(answer, "Hello, ", 7) == 0,
			    "not a greeting: %s", answer);
		} while (strncmp(answer, wanted, strlen(wanted)) != 0);
		if (length > 0)
			return tries;
	}
	ck_abort_msg("nobody greets %s", name);
}

/* End the host: embed_epoll.c ends by itself, the others on SIGTERM. */
static void
end(const char *name)
{
	ck_assert_int_eq(host_end(&host, SIGTERM),
	    strcmp(name, "embed_epoll") == 0 ? 0 : -SIGTERM);
}

START_TEST(every_datagram_is_answered)
{
	char	answer[200];
	int	fd;

	if (!was_built(loops[_i]))
		return;
	host_start(&host, loops[_i]);
	fd = host_dial();
	for (int i = 0; i < 1000; i++)
		greet(fd, i, answer);
	close(fd);
	end(loops[_i]);
}
END_TEST

START_TEST(no_request_fails_while_a_standby_dies)
{
	char	answer[200];
	int	fd, tries = 0;

	if (!was_built(loops[_i]))
		return;
	host_start(&host, loops[_i]);
	fd = host_dial();
	for (int i = 0; i < 1500; i++) {
		if (i == 500)
			servers("kill", "b");
		if (i == 1000)
			servers("up", "b");
		tries += greet(fd, i, answer);
	}
	ck_assert_int_eq(tries, 1500);
	close(fd);
	end(loops[_i]);
}
END_TEST

START_TEST(killed_workers_are_replaced)
{
	pid_t	pids[HOST_WORKERS_MAX], killed;
	char	answer[200];
	int	fd;

	host_start(&host, "embed_epoll");
	fd = host_dial();
	for (int i = 0; i < 10; i++) {
		greet(fd, i, answer);
		HOST_WAIT(host_workers(&host, pids) == 2);
		killed = pids[i % 2];
		kill(killed, SIGKILL);
		HOST_WAIT(host_workers(&host, pids) == 2 &&
		    pids[0] != killed && pids[1] != killed);
	}
	greet(fd, 10, answer);
	close(fd);
	end("embed_epoll");
}
END_TEST

static int
status(const char *dir, char *text, size_t size)
{
	char	command[1000];

	snprintf(command, sizeof(command), "%s status --json "
	    "--runtime-dir %s", getenv("MEWS"), dir);
	return command_output(command, text, size);
}

static int
occurrences(const char *text, const char *word)
{
	int	count = 0;

	while ((text = strstr(text, word)) != NULL) {
		text += strlen(word);
		count++;
	}
	return count;
}

START_TEST(mews_status_shows_the_fleet)
{
	char	dir[] = "/tmp/mews-embed-XXXXXX", file[80], text[8192];
	char	answer[200];
	pid_t	pids[HOST_WORKERS_MAX];
	int	fd;

	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(file, sizeof(file), "%s/epoll.segment", dir);
	setenv("RUNTIME_FILE", file, 1);

	host_start(&host, "embed_epoll");
	fd = host_dial();
	greet(fd, 1, answer);
	HOST_WAIT(status(dir, text, sizeof(text)) == 0 &&
	    occurrences(text, "\"ready\"") == 2);
	ck_assert_ptr_nonnull(strstr(text, "\"epoll\""));
	ck_assert_int_eq(occurrences(text, "\"name\":"), 3);
	end("embed_epoll");
	ck_assert_int_ne(access(file, F_OK), 0);

	/* A worker that crashed is shown as such, and is started again. */
	host_start(&host, "embed_epoll");
	HOST_WAIT(status(dir, text, sizeof(text)) == 0 &&
	    host_workers(&host, pids) == 2);
	ck_assert_int_eq(host_end(&host, SIGKILL), -SIGKILL);
	ck_assert_int_eq(status(dir, text, sizeof(text)), 1);
	close(fd);
	host_start(&host, "embed_epoll");
	fd = host_dial();
	greet(fd, 1, answer);
	end("embed_epoll");
	close(fd);
	ck_assert_int_eq(rmdir(dir), 0);
}
END_TEST

START_TEST(the_least_host_asks_and_ends)
{
	const char     *line;

	host_start(&host, "embed_minimal");
	for (int i = 0; i < 2; i++) {
		ck_assert_ptr_nonnull(line = host_line(&host, HOST_WAIT_MS));
		ck_assert_int_eq(strncmp(line, "hello at ", 9), 0);
	}
	ck_assert_int_eq(host_end(&host, 0), 0);
}
END_TEST

static Suite *
examples_suite(void)
{
	Suite  *suite = suite_create("examples");
	TCase  *tcase = unit_case(suite, "examples");

	tcase_set_timeout(tcase, 180);
	tcase_add_test(tcase, the_least_host_asks_and_ends);
	tcase_add_loop_test(tcase, every_datagram_is_answered, 0, LOOPS);
	tcase_add_loop_test(tcase, no_request_fails_while_a_standby_dies, 0,
	    LOOPS);
	tcase_add_test(tcase, killed_workers_are_replaced);
	tcase_add_test(tcase, mews_status_shows_the_fleet);
	return suite;
}

UNIT_MAIN(examples_suite)
