/*
 * test_falcon.c - the host of falcon.c serves while its servers and workers
 * die: each request is answered once, and fails only if it was in flight.
 */
#include "host.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define WORKERS	     4
#define REQUESTS     3000
#define KILLS	     40
#define IN_PIPE_MOST 200 /* requests sent ahead of their answers */

static struct host host;

static void
start(void)
{
	host_start(&host, "falcon");
}

static void
ask(const char *request)
{
	ck_assert_int_eq(write(host.in, request, strlen(request)),
	    (ssize_t)strlen(request));
}

static const char *
answer(void)
{
	const char     *line = host_line(&host, HOST_WAIT_MS);

	ck_assert_ptr_nonnull(line);
	return line;
}

static void
ask_and_expect(const char *request, const char *wanted)
{
	ask(request);
	ck_assert_msg(strstr(answer(), wanted) != NULL, "%s: %s, not %s",
	    request, host.answer, wanted);
}

START_TEST(reads_and_writes_are_answered)
{
	int	before, after;

	start();
	ask("write 7\n");
	ck_assert_int_eq(sscanf(answer(), "1 ok %d from a", &before), 1);
	ask("write 7\n");
	ck_assert_int_eq(sscanf(answer(), "2 ok %d from a", &after), 1);
	ck_assert_int_eq(after, before + 1);
	ask_and_expect("read 8\n", "3 ok");
	ask_and_expect("read 0\n", "4 ok nothing");
	ask_and_expect("sing\n", "5 failed: neither read nor write");
	ck_assert_int_eq(host_end(&host, 0), 0);
}
END_TEST

START_TEST(falcon_ends_when_all_is_answered)
{
	int	answers = 0;

	start();
	for (int i = 0; i < 100; i++)
		ask("read 7\n");
	close(host.in);
	while (host_line(&host, HOST_WAIT_MS) != NULL)
		answers++;
	ck_assert_int_eq(answers, 100);
	host.in = open("/dev/null", O_WRONLY);
	ck_assert_int_eq(host_end(&host, 0), 0);
}
END_TEST

START_TEST(falcon_ends_by_sigterm)
{
	start();
	ask_and_expect("read 7\n", "1 ok");
	ck_assert_int_eq(host_end(&host, SIGTERM), 0);
}
END_TEST

struct tally {
	int asked, answered, ok, unknown;
	int writes_ok, writes_unknown;
	char seen[REQUESTS + 1];
};

/* Every tenth request is a write. */
static bool
is_write(int number)
{
	return number % 10 == 0;
}

static void
count_answer(struct tally *tally, const char *line)
{
	char	how[16];
	int	number;

	ck_assert_int_eq(sscanf(line, "%d %15[a-z]", &number, how), 2);
	ck_assert(number >= 1 && number <= tally->asked);
	ck_assert_msg(tally->seen[number]++ == 0, "twice: %s", line);
	tally->answered++;
	if (strcmp(how, "ok") == 0) {
		tally->ok++;
		tally->writes_ok += is_write(number);
		return;
	}
	/* Only a write in flight may end otherwise, and a read that by chance
	 * was in flight in each of three killed workers. */
	ck_assert_msg(is_write(number) ? strcmp(how, "unknown") == 0 :
	    strstr(line, "it kills its workers") != NULL,
	    "request failed: %s", line);
	tally->unknown++;
}

static int
row(void)
{
	char	text[64];

	ck_assert_int_eq(command_output("psql -XAtq \"$MEWS_A\" -c "
	    "'select randomnumber from world where id = 9'", text,
	    sizeof(text)), 0);
	return atoi(text);
}

static void
kill_a_worker(int which)
{
	pid_t	pids[HOST_WORKERS_MAX];

	HOST_WAIT(host_workers(&host, pids) == WORKERS);
	kill(pids[which % WORKERS], SIGKILL);
}

START_TEST(a_killed_worker_fails_only_its_requests_in_flight)
{
	static struct tally	tally;
	int			before, increments, killed = 0;

	before = row();
	start();
	while (tally.answered < REQUESTS) {
		while (tally.asked < REQUESTS &&
		    tally.asked - tally.answered < IN_PIPE_MOST)
			ask(is_write(++tally.asked) ? "write 9\n" :
			    "read 8\n");
		count_answer(&tally, answer());
		if (tally.answered * KILLS / REQUESTS > killed)
			kill_a_worker(killed++);
		if (tally.answered == REQUESTS / 3)
			servers("kill", "b");
		if (tally.answered == REQUESTS * 2 / 3)
			servers("up", "b");
	}
	ck_assert_int_eq(tally.ok + tally.unknown, REQUESTS);
	ck_assert_int_le(tally.unknown, killed);
	/* A write that was answered happened, and no write happened twice. */
	increments = row() - before;
	ck_assert_int_ge(increments, tally.writes_ok);
	ck_assert_int_le(increments, tally.writes_ok + tally.unknown);
	ck_assert_int_eq(host_end(&host, 0), 0);
}
END_TEST

START_TEST(writes_wait_for_the_primary)
{
	start();
	ask_and_expect("write 7\n", "1 ok");
	servers("kill", "a");
	ask_and_expect("read 7\n", "2 ok");
	ask("write 7\n");
	ask_and_expect("read 7\n", "4 ok");
	servers("up", "a");
	answer();
	ck_assert_msg(strncmp(host.answer, "3 ok", 4) == 0 ||
	    strncmp(host.answer, "3 failed UNAVAILABLE", 20) == 0,
	    "%s", host.answer);
	ask_and_expect("write 7\n", "5 ok");
	ck_assert_int_eq(host_end(&host, 0), 0);
}
END_TEST

START_TEST(a_request_that_kills_its_workers_is_given_up)
{
	pid_t	pids[HOST_WORKERS_MAX];
	int	count;

	start();
	ask_and_expect("read 7\n", "1 ok");
	servers("freeze", "a");
	servers("freeze", "b");
	servers("freeze", "c");
	ask("read 7\n");
	while (host_line(&host, 100) == NULL) {
		count = host_workers(&host, pids);
		for (int i = 0; i < count; i++)
			kill(pids[i], SIGKILL);
	}
	servers("thaw", "a");
	servers("thaw", "b");
	servers("thaw", "c");
	ck_assert_str_eq(host.answer, "2 failed: it kills its workers");
	ck_assert(host_logged(&host, "request 2 goes to another"));
	ask_and_expect("read 7\n", "3 ok");
	ck_assert_int_eq(host_end(&host, 0), 0);
}
END_TEST

static Suite *
falcon_suite(void)
{
	Suite  *suite = suite_create("falcon");
	TCase  *tcase = unit_case(suite, "falcon");

	tcase_set_timeout(tcase, 180);
	tcase_add_test(tcase, reads_and_writes_are_answered);
	tcase_add_test(tcase, falcon_ends_when_all_is_answered);
	tcase_add_test(tcase, falcon_ends_by_sigterm);
	tcase_add_test(tcase,
	    a_killed_worker_fails_only_its_requests_in_flight);
	tcase_add_test(tcase, writes_wait_for_the_primary);
	tcase_add_test(tcase, a_request_that_kills_its_workers_is_given_up);
	return suite;
}

UNIT_MAIN(falcon_suite)
