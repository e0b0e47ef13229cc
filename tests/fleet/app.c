/*
 * app.c - an application that misbehaves on demand.
 *
 *	/hang	never returns: the worker's heart stops
 *	/spin	the same, busy and with all signals blocked
 *	/loop	the same, busy, once it has asked for a query
 *	/crash	ends the worker at once
 *	/slow	takes 300 ms
 *	/leak	keeps 300 MB more
 *	/shout	first writes more than a pipe holds, to stdout and stderr
 *	/...	answers at once
 *
 * It adds a byte to the file of MEWS_TEST_BEGAN for each request that it was
 * given, and does not start while the file of MEWS_TEST_FAIL exists. A worker
 * takes MEWS_TEST_LINGER milliseconds to exit, behind all that is ours. While
 * it is loaded it does what MEWS_TEST_LOAD says: exit, or hang.
 */
#include <fcntl.h>
#include <mews/app.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A process that loads this leaves a line with its user in the file of
 * MEWS_TEST_LOADED, and then waits for the end of that of MEWS_TEST_WAIT. */
__attribute__((constructor)) static void
test_loaded(void)
{
	const char *path = getenv("MEWS_TEST_LOADED");
	const char *end = getenv("MEWS_TEST_LOAD");
	const char *wait = getenv("MEWS_TEST_WAIT");
	FILE	   *file;

	if (end != NULL && strcmp(end, "exit") == 0)
		_exit(0);
	while (end != NULL && strcmp(end, "hang") == 0)
		pause();
	if (path == NULL || (file = fopen(path, "ae")) == NULL)
		return;
	fprintf(file, "%u\n", (unsigned)getuid());
	fclose(file);
	while (wait != NULL && access(wait, F_OK) == 0)
		usleep(1000);
}

static void
test_linger(void)
{
	const char *ms = getenv("MEWS_TEST_LINGER");

	if (ms != NULL)
		usleep((useconds_t)atoi(ms) * 1000);
}

static enum mews_status
test_start(struct mews_worker *worker, void **state, struct mews_error *error)
{
	const char *file = getenv("MEWS_TEST_FAIL");

	(void)worker;
	*state = NULL;
	atexit(test_linger);
	if (file == NULL || access(file, F_OK) != 0)
		return MEWS_OK;
	error->status = MEWS_INVALID;
	snprintf(error->message, sizeof(error->message),
	    "told not to start by %s", file);
	return MEWS_INVALID;
}

static void
test_count(void)
{
	const char *file = getenv("MEWS_TEST_BEGAN");
	int	    fd;

	if (file == NULL || (fd = open(file, O_WRONLY | O_APPEND)) < 0)
		return;
	if (write(fd, ".", 1) != 1)
		abort();
	close(fd);
}

static void
test_leak(void)
{
	static char *kept[16];
	static int   count;

	if (count < 16 && (kept[count] = malloc(300 << 20)) != NULL)
		memset(kept[count++], 1, 300 << 20);
}

static void
test_spin(void)
{
	sigset_t all;

	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, NULL);
	for (volatile int spins = 0;; spins = 1 - spins)
		;
}

static void
test_answer(void *request, const struct mews_result *result)
{
	mews_reply_failure(request, result);
}

static void
test_loop(struct mews_request *request)
{
	const struct mews_query_args args = {
		.sql = "select 1 /* never answered */" };

	mews_request_query(request, "read", &args, test_answer);
	for (volatile int spins = 0;; spins = 1 - spins)
		;
}

static void
test_request(void *state, struct mews_request *request)
{
	const char *path = mews_request_path(request);

	(void)state;
	test_count();
	if (strcmp(path, "/crash") == 0)
		_exit(3);
	while (strcmp(path, "/hang") == 0)
		pause();
	if (strcmp(path, "/spin") == 0)
		test_spin();
	if (strcmp(path, "/loop") == 0)
		test_loop(request);
	if (strcmp(path, "/slow") == 0)
		usleep(300000);
	if (strcmp(path, "/leak") == 0)
		test_leak();
	for (int i = 0; strcmp(path, "/shout") == 0 && i < 20000; i++) {
		printf("a line of the application's own\n");
		fprintf(stderr, "a line of the application's own\n");
	}
	mews_reply(request, 200, "text/plain", "ok\n", 3, MEWS_BODY_STATIC);
}

extern const struct mews_app mews_app;
const struct mews_app mews_app = {
	.abi = MEWS_APP_ABI,
	.name = "test",
	.start = test_start,
	.request = test_request,
};
