/*
 * app.c - an application that misbehaves on demand.
 *
 *	/hang	never returns: the worker's heart stops
 *	/slow	takes 300 ms
 *	/...	answers at once
 *
 * It adds a byte to the file of MEWS_TEST_BEGAN for each request that it was
 * given, and does not start while the file of MEWS_TEST_FAIL exists.
 */
#include <fcntl.h>
#include <mews/app.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static enum mews_status
test_start(struct mews_worker *worker, void **state, struct mews_error *error)
{
	const char *file = getenv("MEWS_TEST_FAIL");

	(void)worker;
	*state = NULL;
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
test_request(void *state, struct mews_request *request)
{
	const char *path = mews_request_path(request);

	(void)state;
	test_count();
	while (strcmp(path, "/hang") == 0)
		pause();
	if (strcmp(path, "/slow") == 0)
		usleep(300000);
	mews_reply(request, 200, "text/plain", "ok\n", 3, MEWS_BODY_STATIC);
}

extern const struct mews_app mews_app;
const struct mews_app mews_app = {
	.abi = MEWS_APP_ABI,
	.name = "test",
	.start = test_start,
	.request = test_request,
};
